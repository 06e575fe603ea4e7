"""The tables of a results folder, kept as Parquet parts that are written whole or not at all.

A part's rows say what it covers, its metadata says under which settings it was made. Merging is
safe against a kill at any moment: a note names the merged part and those it replaces before
anything is deleted, and readers heed it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xaieval.errors import ResultsError
from xaieval.files import write_bytes, write_json

SCHEMA_VERSION = 1
WHOLE = "whole"
"""Region of scores that are of the whole map: those that need the model and no mask."""
_META = b"xaieval"
_MERGED = "merged.json"

SCHEMAS: dict[str, pa.Schema] = {
    "predictions": pa.schema(
        [
            ("sample_id", pa.string()),
            ("split", pa.string()),
            ("class", pa.string()),
            ("model_id", pa.string()),
            ("seed", pa.int32()),
            ("fold", pa.int32()),
            ("target_kind", pa.string()),
            ("target", pa.int32()),
            ("predicted", pa.int32()),
            ("label", pa.int32()),
            ("confidence", pa.float64()),
            ("correct", pa.bool_()),
        ]
    ),
    "scores": pa.schema(
        [
            ("sample_id", pa.string()),
            ("model_id", pa.string()),
            ("seed", pa.int32()),
            ("method_id", pa.string()),
            ("method_digest", pa.string()),
            ("region", pa.string()),
            ("metric_key", pa.string()),
            ("rule_digest", pa.string()),
            ("value", pa.float64()),
            ("reason", pa.string()),
        ]
    ),
    "map_stats": pa.schema(
        [
            ("sample_id", pa.string()),
            ("model_id", pa.string()),
            ("seed", pa.int32()),
            ("method_id", pa.string()),
            ("method_digest", pa.string()),
            ("region", pa.string()),
            ("k", pa.int32()),
            ("hits", pa.float64()),
            ("mass_in", pa.float64()),
            ("mass_total", pa.float64()),
            ("argmax_y", pa.int32()),
            ("argmax_x", pa.int32()),
            ("flags", pa.string()),
        ]
    ),
}
"""Column names and types of each table; ``fold`` and ``seed`` tell models apart."""

_SORT = {
    "predictions": ("model_id", "seed", "fold", "sample_id"),
    "scores": ("metric_key", "rule_digest", "region", "method_id", "sample_id", "seed"),
    "map_stats": ("region", "method_id", "sample_id", "seed"),
}


@dataclass(frozen=True)
class Part:
    """One file, its number of rows, and the digest of the settings it was made under."""

    path: Path
    rows: int
    base: str


def write_part(out: Path, table: str, rows: pa.Table, *, base: str, stem: str) -> Path:
    """Write sorted rows as ``OUT/<table>/<stem>-<digest>.parquet``; equal rows, equal file.

    Parameters
    ----------
    base : str
        Digest of the settings that the rows were made under.
    stem : str
        Start of the file name, for people who look into the folder.

    Raises
    ------
    ResultsError
        When the folder cannot be written.
    """
    data = _encode(table, rows, base)
    path = out / table / _name(stem, data)
    write_bytes(path, data)
    return path


def _encode(table: str, rows: pa.Table, base: str) -> bytes:
    facts = json.dumps({"schema": SCHEMA_VERSION, "base": base}, sort_keys=True)
    ordered = rows.cast(SCHEMAS[table]).sort_by([(key, "ascending") for key in _SORT[table]])
    floats = [field.name for field in SCHEMAS[table] if field.type == pa.float64()]
    sink = pa.BufferOutputStream()
    # Sorted dictionary columns cost next to nothing; the bytes of doubles compress best when
    # split by place (75,600 scores: 0.24 MB against 0.31 MB).
    pq.write_table(
        ordered.replace_schema_metadata({_META: facts}),
        sink,
        compression="zstd",
        compression_level=12,
        use_dictionary=[name for name in ordered.column_names if name not in floats],
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _name(stem: str, data: bytes) -> str:
    return f"{stem}-{hashlib.sha256(data).hexdigest()[:12]}.parquet"


def read_part(part: Part, table: str) -> pa.Table:
    """Return the rows of one part, columns as the schema says."""
    return pq.read_table(part.path, columns=SCHEMAS[table].names).cast(SCHEMAS[table])


def live_parts(out: Path, table: str) -> list[Part]:
    """Return the parts of one table that count, sorted by name.

    Raises
    ------
    ResultsError
        For a damaged part, or one of another schema version.
    """
    replaced = _replaced(out / table)
    paths = sorted(p for p in (out / table).glob("*.parquet") if p.name not in replaced)
    return [_read_footer(path) for path in paths]


def _replaced(folder: Path) -> set[str]:
    """Return the names that the note says are replaced, once the merged part is there."""
    try:
        note = json.loads((folder / _MERGED).read_bytes())
    except FileNotFoundError:
        return set()
    return set(note["replaces"]) if (folder / note["into"]).exists() else set()


def _read_footer(path: Path) -> Part:
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(
            "damaged part of a results folder",
            where=path,
            got=str(error).splitlines()[0],
            fix="delete this file and run the study again; only its rows are computed anew",
        ) from None
    facts = json.loads((footer.metadata or {}).get(_META, b"{}"))
    if facts.get("schema") != SCHEMA_VERSION:
        raise ResultsError(
            "cannot read this schema version",
            where=path,
            expected=SCHEMA_VERSION,
            got=facts.get("schema"),
            fix="run the study again with another --out",
        )
    return Part(path, footer.num_rows, facts["base"])


def merge_parts(out: Path, table: str, *, base: str) -> None:
    """Make one part of all live parts of a table, then delete those it replaces."""
    folder = out / table
    _tidy(folder)
    parts = live_parts(out, table)
    if len(parts) < 2:
        return
    data = _encode(table, pa.concat_tables([read_part(part, table) for part in parts]), base)
    into = _name("all", data)
    names = [part.path.name for part in parts if part.path.name != into]
    write_json(folder / _MERGED, {"into": into, "replaces": names})
    write_bytes(folder / into, data)
    _tidy(folder)


def _tidy(folder: Path) -> None:
    """Delete what the note says is replaced, then the note itself."""
    for name in _replaced(folder):
        (folder / name).unlink(missing_ok=True)
    (folder / _MERGED).unlink(missing_ok=True)
