"""Regional charts and their tables as files, each with the sidecar that explains it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from xaieval.errors import ResultsError
from xaieval.export.files import made_from, plain_rows, versions
from xaieval.export.latex import frame_latex
from xaieval.export.regional import Regional, RegionalView, alignment_chart
from xaieval.figures.chart import Chart
from xaieval.figures.chart_print import print_chart
from xaieval.figures.saving import FIGURE_FORMATS
from xaieval.files import write_bytes, write_json
from xaieval.study import Results


@dataclass(frozen=True, eq=False)
class Charted:
    """One exhibit, ready to be written: its chart (None: a table only), table and origin.

    ``opened`` holds the results behind it by key; one, but for "alignment".
    """

    view: RegionalView
    opened: Mapping[str, Results]
    chart: Chart | None
    table: pd.DataFrame

    @property
    def stem(self) -> str:
        """A plain file name without extension."""
        study = next(iter(self.opened.values())).study.id
        name = self.view.exhibit
        return name if len(self.opened) > 1 else f"{study}-{name}"

    @property
    def title(self) -> str:
        """What it shows."""
        return self.chart.title if self.chart else self.stem


def charted(opened: Mapping[str, Results], view: RegionalView) -> Charted:
    """Make one exhibit of opened results.

    Raises
    ------
    ConfigError
        For an unknown metric, region or method.
    ResultsError
        When it was not scored, or several results are given where one is shown.
    """
    if view.exhibit == "alignment":
        first = view.settled(next(iter(opened.values())))
        view = RegionalView(
            exhibit="alignment",
            metric=first.metric,
            method=first.method,
            region=view.region,
            split=view.split or "test",
            population=view.population,
        )
        chart, table = alignment_chart(opened, view)
        return Charted(view, opened, chart, table)
    if len(opened) != 1:
        raise ResultsError("this exhibit is of one study", where=view.exhibit, got=len(opened))
    regional = Regional.of(next(iter(opened.values())), view)
    view = regional.view
    if view.exhibit == "falsification":
        found = regional.falsification()
        if found is None:
            raise ResultsError(
                "falsification was not scored",
                where=regional.results.path,
                fix="add falsification@rule=area-matched to [score] metrics",
            )
        return Charted(view, opened, *found)
    if view.exhibit == "class-regions":
        return Charted(view, opened, *regional.class_regions())
    table = regional.table()
    shown = regional.boxes(table) if view.exhibit == "regions" else regional.lift(table)
    return Charted(view, opened, shown, table)


def charted_figure(shown: Charted, *, format: str = "png") -> bytes:
    """Return the figure as bytes of a PNG, SVG or PDF.

    Raises
    ------
    ResultsError
        When there is nothing to draw.
    """
    if shown.chart is None:
        raise ResultsError("there is no figure", where=shown.view.exhibit, fix="save the table")
    return print_chart(shown.chart, format=format)


def charted_table(shown: Charted, *, format: str = "csv") -> str:
    """Return the table as CSV or JSON in full precision, or as LaTeX to three digits."""
    table = shown.table.drop(columns=[c for c in ("id", "label") if c in shown.table])
    if format == "tex":
        caption = f"{shown.title}. {shown.chart.caption if shown.chart else ''}".strip()
        return frame_latex(table, caption=caption)
    if format == "json":
        about = charted_sidecar(shown, format=format)
        rows = {"about": about, "rows": plain_rows(table)}
        return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return table.to_csv(index=False, lineterminator="\n")


def charted_command(shown: Charted, *, format: str) -> str:
    """Return the command that makes this file again."""
    view = shown.view
    words = ["python", "-m", "xaieval.export"]
    words += [str(results.path) for results in shown.opened.values()]
    words += ["--exhibit", view.exhibit, "--format", format, "--metric", view.metric]
    words += ["--population", view.population, "--split", view.split]
    plain = {"--class": view.class_name, "--region": view.region, "--method": view.method}
    plain |= {"--falsified": view.falsified if view.exhibit == "falsification" else ""}
    if view.seed is not None:
        plain["--seed"] = str(view.seed)
    for option, value in plain.items():
        words += [option, value] if value else []
    for option, values in (("--regions", view.regions), ("--methods", view.methods)):
        for value in values:
            words += [option, value]
    words += ["--cells"] * view.cells + ["--lifted"] * view.lifted
    return shlex.join([*words, "--out", f"{shown.stem}.{format}"])


def charted_sidecar(shown: Charted, *, format: str) -> dict[str, Any]:
    """Return what explains an export: ids, parameters, versions, digests, command."""
    empty = {f.name: f.default for f in fields(RegionalView)}
    chosen = {key: value for key, value in asdict(shown.view).items() if value != empty[key]}
    return {
        "exhibit": shown.view.exhibit,
        "title": shown.title,
        "caption": shown.chart.caption if shown.chart else "",
        "format": format,
        "ids": {
            "studies": {key: results.study.id for key, results in shown.opened.items()},
            "seeds": {key: list(results.seeds) for key, results in shown.opened.items()},
        },
        "parameters": json.loads(json.dumps(chosen))
        | {"interval": "95 %, two-way bootstrap over images and seeds (1000 draws)"},
        "results": {key: made_from(results) for key, results in shown.opened.items()},
        "versions": versions(),
        "command": charted_command(shown, format=format),
    }


def save_charted(shown: Charted, path: Path, *, format: str | None = None) -> tuple[Path, Path]:
    """Write a figure or table and its sidecar ``NAME.EXT.json``; return both paths."""
    kind = format or path.suffix.removeprefix(".").lower()
    if kind in FIGURE_FORMATS:
        data = charted_figure(shown, format=kind)
    else:
        data = charted_table(shown, format=kind).encode()
    beside = path.with_name(path.name + ".json")
    write_bytes(path, data)
    write_json(beside, charted_sidecar(shown, format=kind))
    return path, beside
