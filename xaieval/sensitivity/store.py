"""Scores of a sensitivity run, kept in the results folder: computed once, found again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xaieval.cache import default_folder
from xaieval.digest import digest
from xaieval.errors import ResultsError
from xaieval.files import write_bytes, write_json
from xaieval.metrics import METRICS
from xaieval.study.results import Results, demo_folder

VERSION = 1
"""Raised by hand when a variant's numbers change."""
FOLDER = "sensitivity"
RUNS = "runs.json"
KEYS = ("seed", "sample_id", "recipe")
_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("seed", pa.int32()),
        ("model", pa.string()),
        ("method_id", pa.string()),
        ("method_digest", pa.string()),
        ("region", pa.string()),
        ("recipe", pa.string()),
        ("value", pa.float64()),
        ("reason", pa.string()),
    ]
)
_META = b"xaieval-sensitivity"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run looked at; with the scores it gives the whole result again."""

    metric: str
    region: str
    split: str
    population: str
    images: tuple[str, ...]
    seeds: tuple[int, ...]
    axes: tuple[str, ...]
    base: str
    finished: str = ""
    elapsed_s: float = 0.0
    command: tuple[str, ...] = ()
    versions: Mapping[str, str] | None = None
    machine: str = ""

    @property
    def key(self) -> str:
        """Runs of one question replace each other."""
        return f"{self.metric} · {self.region} · {self.split} · {self.population}"


def base_digest(results: Results) -> str:
    """Return what changes whenever stored scores no longer belong to a study."""
    manifest = results.manifest
    named = ("data_digest", "explain_digest", "rule_digest")
    versions = {name: spec.version for name, spec in METRICS.items()}
    return digest(VERSION, [manifest.get(name) for name in named], versions)[:32]


def writable_home(results: Results) -> Path:
    """Return where a run writes: the results folder; for the built-in study, which belongs to the
    installation, and for folders that cannot be written, a folder of the cache.
    """
    inside = results.path.resolve() == demo_folder().resolve()
    if not inside and os.access(results.path, os.W_OK):
        return results.path / FOLDER
    return _spare(results)


def _spare(results: Results) -> Path:
    name = digest("sensitivity", results.study.id, results.manifest.get("base_digest"))[:16]
    return default_folder() / FOLDER / f"{results.study.id}-{name}"


def homes(results: Results) -> tuple[Path, ...]:
    """Return where stored scores may be."""
    found = (results.path / FOLDER, _spare(results))
    return tuple(path for path in found if path.is_dir())


def read_scores(results: Results) -> pd.DataFrame:
    """Return every stored score that still belongs to these results.

    Raises
    ------
    ResultsError
        When a part is damaged.
    """
    base = base_digest(results)
    tables = []
    for home in homes(results):
        for path in sorted(home.glob("*.parquet")):
            try:
                table = pq.read_table(path)
                facts = json.loads((table.schema.metadata or {}).get(_META, b"{}"))
                if facts.get("base") == base:
                    tables.append(table.select(_SCHEMA.names).cast(_SCHEMA))
            except (OSError, pa.ArrowException, ValueError) as error:
                raise ResultsError(
                    "damaged part of a sensitivity run",
                    where=path,
                    got=str(error).splitlines()[0],
                    fix="delete this file and run 'xaieval sensitivity' again",
                ) from None
    whole = pa.concat_tables(tables) if tables else _SCHEMA.empty_table()
    frame = whole.to_pandas()
    texts = [name for name in frame if frame[name].dtype not in ("int32", "float64")]
    frame = frame.astype(dict.fromkeys(texts, object))  # grouped several times faster
    frame["reason"] = frame["reason"].where(frame["reason"].notna(), None)
    models = {sha[:16] for sha in results.manifest.get("models", {}).values()}
    frame = frame[frame["model"].isin(models)]
    once = ["method_id", "method_digest", "region", "model"]
    kept: pd.DataFrame = frame.drop_duplicates([*KEYS, *once])
    return kept


def write_scores(home: Path, rows: Sequence[Mapping[str, Any]], *, base: str, stem: str) -> None:
    """Write rows as one part; equal rows, equal file."""
    if not rows:
        return
    table = pa.Table.from_pylist(list(rows), schema=_SCHEMA)
    table = table.sort_by([(key, "ascending") for key in ("recipe", "method_id", *KEYS[:2])])
    sink = pa.BufferOutputStream()
    facts = json.dumps({"base": base}).encode()
    pq.write_table(table.replace_schema_metadata({_META: facts}), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    write_bytes(home / f"{stem}-{hashlib.sha256(data).hexdigest()[:12]}.parquet", data)


def read_runs(results: Results) -> dict[str, Settings]:
    """Return the settings of finished runs that still belong to these results, latest last."""
    base = base_digest(results)
    found: dict[str, Settings] = {}
    for home in homes(results):
        for kept in _kept(home).values():
            given: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in kept.items()
            }
            settings = Settings(**given)
            if settings.base == base:
                found[settings.key] = settings
    return dict(sorted(found.items(), key=lambda item: item[1].finished))


def write_run(home: Path, settings: Settings) -> None:
    """Keep the settings of a finished run."""
    runs = {**_kept(home), settings.key: asdict(settings)}
    write_json(home / RUNS, {"schema": VERSION, "runs": runs})


def _kept(home: Path) -> dict[str, Any]:
    try:
        content = json.loads((home / RUNS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"the list of sensitivity runs cannot be read ({error})",
            where=home / RUNS,
            fix="delete the file and run 'xaieval sensitivity' again",
        ) from None
    if content.get("schema") != VERSION:
        return {}
    found: dict[str, Any] = content["runs"]
    return found
