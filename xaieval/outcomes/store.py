"""An experiment's folder: what is written there, and how it is read back.

``experiment.json`` (written last) says what was run, what was found, and which files belong to
it; ``tables/ID.csv``, ``.parquet`` (exact) and ``.tex``, ``charts/ID.csv`` and ``.parquet`` (the
figure's data), ``figures/ID.svg`` and ``.png`` (printed), ``pictures/ID.png``.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from xaieval import __version__
from xaieval.digest import digest_file
from xaieval.errors import ResultsError
from xaieval.export import frame_latex
from xaieval.figures.chart import Chart
from xaieval.files import write_bytes, write_json
from xaieval.outcomes.claims import Claim, Finding, Gate, GateResult
from xaieval.outcomes.frames import frame_files, number_kept, number_read, plain, read_frame
from xaieval.outcomes.outcome import Outcome, Picture, Sheet

SCHEMA = 2
EXPERIMENT = "experiment.json"
_FIGURES = ("value", "low", "high")  # numbers of a finding that may be none or not finite


@dataclass(frozen=True)
class About:
    """What was run: ids, size, command, time; all plain values."""

    experiment: str
    title: str
    summary: str
    source: str
    size: str
    command: tuple[str, ...]
    device: str
    elapsed_s: float


@dataclass(frozen=True, eq=False)
class Experiment:
    """An experiment's folder, read back."""

    path: Path
    about: About
    outcome: Outcome
    made: Mapping[str, Any]

    @property
    def study_folders(self) -> tuple[Path, ...]:
        """The results folders of its studies."""
        return tuple(self.path / name for name in self.outcome.studies)


def write_outcome(out: Path, about: About, outcome: Outcome) -> None:
    """Write an experiment's folder; ``experiment.json`` comes last, so a half-written one shows.

    Raises
    ------
    ResultsError
        When the folder cannot be written.
    """
    from xaieval.figures.chart_print import print_chart

    (out / EXPERIMENT).unlink(missing_ok=True)
    files: list[Path] = []

    def write(name: str, data: bytes) -> None:
        write_bytes(out / name, data)
        files.append(out / name)

    for sheet in outcome.sheets:
        for kind, data in frame_files(sheet.frame, where=sheet.id).items():
            write(f"tables/{sheet.id}.{kind}", data)
        text = frame_latex(
            sheet.frame, caption=f"{sheet.title}. {sheet.caption}".strip(), decimals=sheet.decimals
        )
        write(f"tables/{sheet.id}.tex", text.encode())
    for chart in outcome.charts:
        for kind, data in frame_files(chart.table, where=chart.id).items():
            write(f"charts/{chart.id}.{kind}", data)
        for format in ("svg", "png"):
            write(f"figures/{chart.id}.{format}", print_chart(chart, format=format))
    for picture in outcome.pictures:
        stream = io.BytesIO()
        Pictures.fromarray(picture.image).save(stream, "PNG")
        write(f"pictures/{picture.id}.png", stream.getvalue())
    write_json(
        out / EXPERIMENT,
        {
            "schema": SCHEMA,
            "about": asdict(about),
            "made": {
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": {"xaieval": __version__, "python": platform.python_version()},
                "machine": platform.machine(),
            },
            "findings": [
                {**asdict(finding), **{k: number_kept(getattr(finding, k)) for k in _FIGURES}}
                for finding in outcome.findings
            ],
            "gates": [
                {**asdict(result), "passed": result.passed}
                | {"value": number_kept(result.value)}
                | {"values": [number_kept(value) for value in result.values]}
                for result in outcome.gates
            ],
            "facts": plain(outcome.facts),
            "notes": list(outcome.notes),
            "studies": list(outcome.studies),
            "sheets": [_named(sheet, "frame") for sheet in outcome.sheets],
            "charts": [plain(chart.settings()) for chart in outcome.charts],
            "pictures": [_named(picture, "image") for picture in outcome.pictures],
            "sha256": {path.relative_to(out).as_posix(): digest_file(path) for path in files},
        },
    )


def read_outcome(folder: str | Path) -> Experiment:
    """Read an experiment's folder.

    Raises
    ------
    ResultsError
        When it is none, was not finished, is of another schema, or a file is gone or damaged.
    """
    folder = Path(folder)
    path = folder / EXPERIMENT
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(
            f"no finished experiment ({error.strerror})",
            where=path,
            fix="run 'xaieval reproduce' to the end",
        ) from None
    except ValueError as error:
        raise ResultsError(f"not JSON: {error}", where=path) from None
    if kept.get("schema") != SCHEMA:
        raise ResultsError(
            "cannot read this schema version",
            where=path,
            expected=SCHEMA,
            got=kept.get("schema"),
            fix="run the experiment again; what is finished of it is kept",
        )
    for name, sha in kept["sha256"].items():
        file = folder / name
        if not file.is_file() or digest_file(file) != sha:
            raise ResultsError(
                "a file of this experiment is gone or was changed",
                where=file,
                fix="run the experiment again",
            )
    outcome = Outcome(
        findings=tuple(
            Finding(
                **{**finding, **{k: number_read(finding[k]) for k in _FIGURES}}
                | {"claim": _claim(finding["claim"])}
            )
            for finding in kept["findings"]
        ),
        gates=tuple(
            GateResult(
                Gate(**result["gate"]),
                tuple(float(value) for value in result["values"]),
                result["what"],
            )
            for result in kept["gates"]
        ),
        sheets=tuple(
            Sheet(frame=read_frame(folder / "tables" / f"{sheet['id']}.parquet"), **sheet)
            for sheet in kept["sheets"]
        ),
        charts=tuple(
            Chart.of(settings, read_frame(folder / "charts" / f"{settings['id']}.parquet"))
            for settings in kept["charts"]
        ),
        pictures=tuple(
            Picture(image=_image(folder / "pictures" / f"{picture['id']}.png"), **picture)
            for picture in kept["pictures"]
        ),
        facts=kept["facts"],
        notes=tuple(kept["notes"]),
        studies=tuple(kept["studies"]),
    )
    about = About(**{**kept["about"], "command": tuple(kept["about"]["command"])})
    return Experiment(folder, about, outcome, kept["made"])


def is_experiment(folder: str | Path) -> bool:
    """Say whether a folder holds a finished experiment."""
    return (Path(folder) / EXPERIMENT).is_file()


def _named(item: Sheet | Picture, without: str) -> dict[str, Any]:
    return {key: value for key, value in vars(item).items() if key != without}


def _claim(kept: dict[str, Any]) -> Claim:
    return Claim(**{**kept, "gates": tuple(kept["gates"])})


def _image(path: Path) -> Any:
    with Pictures.open(path) as image:
        return np.asarray(image.convert("RGB"))
