"""One page of an experiment, of several, or of a results folder: it needs no other file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from xaieval.errors import ResultsError
from xaieval.export.files import versions
from xaieval.figures.palette import dark_colours
from xaieval.files import write_bytes, write_json
from xaieval.outcomes import EXPERIMENT, is_experiment
from xaieval.report.blocks import pretty
from xaieval.report.bokeh_items import bokeh_script
from xaieval.report.experiments import SIGNS, ExperimentPart, experiment_part, overview
from xaieval.report.studies import StudyPart, study_part
from xaieval.study.manifest import MANIFEST

Part = ExperimentPart | StudyPart
_DEPTH = 3  # how far down experiments are looked for


def report_html(folder: str | Path) -> str:
    """Return a report as one HTML page that opens anywhere, without a network.

    Parameters
    ----------
    folder : path
        An experiment's folder, a results folder, or a folder that holds several of either.

    Raises
    ------
    ResultsError
        When the folder is none of these, or damaged.
    """
    folder = Path(folder)
    return _render(folder, read_parts(folder))


def write_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write a report; return the path of its page.

    Beside the page: the same name with ``.json`` (everything with its provenance), and for
    results folders the tables as ``tables/*.csv`` and ``.tex``.

    Parameters
    ----------
    folder : path
        As for ``report_html``.
    out : path, optional
        An ``.html`` file. Default: ``report.html`` in the folder.

    Raises
    ------
    ResultsError
        As ``report_html``; also when ``out`` is no ``.html`` file or cannot be written.
    """
    folder = Path(folder)
    page = Path(out) if out is not None else folder / "report.html"
    if page.suffix.lower() not in (".html", ".htm"):
        raise ResultsError("a report is an HTML file", where=page, fix="let --out end in .html")
    parts = read_parts(folder)
    text = _render(folder, parts)
    studies = [part for part in parts if isinstance(part, StudyPart)]
    for part in studies:
        place = page.parent / "tables" / (part.id if len(parts) > 1 else "")
        for name, data in part.files.items():
            write_bytes(place / name, data)
    write_json(
        page.with_suffix(".json"),
        {
            "schema": 1,
            "title": _title(folder, parts),
            "command": _command(folder),
            "versions": versions(),
            "parts": [part.record for part in parts],
        },
    )
    write_bytes(page, text.encode())
    return page


def read_parts(folder: Path) -> list[Part]:
    """Read what a folder holds: itself, or the experiments (else the results) inside.

    Raises
    ------
    ResultsError
        When it holds neither.
    """
    if is_experiment(folder):
        return [experiment_part(folder, id="experiment")]
    if (folder / MANIFEST).is_file():
        return [study_part(folder, id="study")]
    for name, read in ((EXPERIMENT, experiment_part), (MANIFEST, study_part)):
        found = sorted({path.parent for path in _inside(folder, name)})
        if found:
            return [read(path, id=_slug(path.relative_to(folder))) for path in found]
    raise ResultsError(
        "neither an experiment nor a results folder",
        where=folder,
        expected=f"a folder with {EXPERIMENT} or {MANIFEST}, or with several such folders inside",
        got=None if folder.is_dir() else "a file" if folder.is_file() else "no such folder",
        fix="give the --out folder of a finished 'xaieval reproduce' or 'xaieval run'",
    )


def _inside(folder: Path, name: str) -> list[Path]:
    """Return the files of a name some levels down."""
    return [path for depth in range(1, _DEPTH + 1) for path in folder.glob("*/" * depth + name)]


def _slug(path: Path) -> str:
    """Return a path as an id of an element.

    >>> _slug(Path("project-iml/synthetic"))
    'project-iml-synthetic'
    """
    return re.sub(r"[^\w-]+", "-", path.as_posix()).strip("-") or "part"


def _title(folder: Path, parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].title
    what = "experiments" if isinstance(parts[0], ExperimentPart) else "results"
    return f"{len(parts)} {what} in {folder.resolve().name}"


def _command(folder: Path) -> str:
    return shlex.join(["xaieval", "report", folder.as_posix()])


def _render(folder: Path, parts: Sequence[Part]) -> str:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["safe_json"] = _safe_json
    experiments = [part for part in parts if isinstance(part, ExperimentPart)]
    return environment.get_template("page.html").render(
        title=_title(folder, parts),
        parts=parts,
        several=len(parts) > 1,
        verdicts=overview(experiments) if experiments else {},
        signs=SIGNS,
        command=_command(folder),
        made_with=versions(),
        style=Markup(_source("page.css")),
        script=Markup(_source("page.js")),
        bokeh=Markup(bokeh_script()) if any(part.figures for part in parts) else "",
        dark=dark_colours(),
    )


def _source(name: str) -> str:
    """Return a template or what it includes; they are files of this package."""
    return files("xaieval.report").joinpath(name).read_text(encoding="utf-8")


def _safe_json(value: Any) -> Markup:
    """Return plain values as JSON that may stand in a script element."""
    return Markup(pretty(value).replace("<", "\\u003c"))
