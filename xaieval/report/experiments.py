"""An experiment's folder as blocks of a report, and as plain values for programs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xaieval.digest import digest_file
from xaieval.errors import XaievalError
from xaieval.export import cell_text
from xaieval.figures import chart_note, draw_chart
from xaieval.outcomes import EXPERIMENT, Experiment, Finding, GateResult, read_outcome
from xaieval.progress import duration
from xaieval.report.blocks import (
    Download,
    FigureBlock,
    PictureBlock,
    TableBlock,
    download,
    moment,
    pretty,
    table_block,
    uri,
    with_note,
)
from xaieval.report.bokeh_items import bokeh_item

SIGNS = {"holds": "✓", "does not hold": "✗", "cannot be tested here": "–"}
_UNTESTED = "cannot be tested here"
_TONES = {"holds": "good", "does not hold": "bad", _UNTESTED: "open"}


@dataclass(frozen=True)
class ClaimRow:
    """A claim and what became of it, as texts; ``tone`` is "good", "bad" or "open"."""

    text: str
    source: str
    published: str
    sign: str
    verdict: str
    tone: str
    value: str
    interval: str
    unit: str
    n: str
    why: str


@dataclass(frozen=True)
class GateRow:
    """A gate: what was demanded, what was measured."""

    text: str
    minimum: str
    measured: str
    all_values: str
    passed: bool


@dataclass(frozen=True, eq=False)
class ExperimentPart:
    """Everything of one experiment that the page shows."""

    kind = "experiment"
    id: str
    title: str
    summary: str
    source: str
    about: tuple[tuple[str, str], ...]
    claims: tuple[ClaimRow, ...]
    gates: tuple[GateRow, ...]
    notes: tuple[str, ...]
    figures: tuple[FigureBlock, ...]
    pictures: tuple[PictureBlock, ...]
    tables: tuple[TableBlock, ...]
    facts: str
    facts_file: Download
    provenance: str
    record: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have each verdict."""
        return {
            verdict: sum(claim.verdict == verdict for claim in self.claims) for verdict in SIGNS
        }

    @property
    def has_figures(self) -> bool:
        return bool(self.figures)


def experiment_part(folder: Path, *, id: str) -> ExperimentPart:
    """Read an experiment's folder; ``id`` starts the ids of its elements on the page.

    Raises
    ------
    ResultsError
        When the folder is damaged.
    """
    experiment = read_outcome(folder)
    about, outcome = experiment.about, experiment.outcome
    kept = json.loads((folder / EXPERIMENT).read_text(encoding="utf-8"))
    facts = pretty(dict(outcome.facts))
    provenance = {
        "made": dict(experiment.made),
        "command": shlex.join(about.command),
        "digests": {EXPERIMENT: digest_file(folder / EXPERIMENT), **kept["sha256"]},
        "studies": _studies(experiment),
    }
    return ExperimentPart(
        id=id,
        title=about.title,
        summary=about.summary,
        source=about.source,
        about=(
            ("Experiment", about.experiment),
            ("Size", about.size),
            ("Finished", moment(str(experiment.made.get("finished", "")))),
            ("Last run took", duration(about.elapsed_s)),
            ("Machine", f"{experiment.made.get('machine', '')}, device {about.device}"),
            ("Command", shlex.join(about.command)),
        ),
        claims=tuple(
            sorted(map(claim_row, outcome.findings), key=lambda row: row.verdict == _UNTESTED)
        ),
        gates=tuple(gate_row(result) for result in outcome.gates),
        notes=outcome.notes,
        figures=_figures(experiment, id),
        pictures=tuple(
            PictureBlock(
                id=f"{id}-picture-{picture.id}",
                title=picture.title,
                caption=picture.caption,
                alt=picture.alt,
                uri=uri((folder / "pictures" / f"{picture.id}.png").read_bytes(), "image/png"),
                width=picture.image.shape[1],
                height=picture.image.shape[0],
            )
            for picture in outcome.pictures
        ),
        tables=tuple(
            table_block(
                f"{id}-table-{sheet.id}",
                sheet.title,
                sheet.frame,
                caption=sheet.caption,
                decimals=sheet.decimals,
                downloads=[
                    download(name, (folder / "tables" / name).read_bytes())
                    for name in (f"{sheet.id}.csv", f"{sheet.id}.tex")
                ],
            )
            for sheet in outcome.sheets
        ),
        facts=facts if outcome.facts else "",
        facts_file=download(f"{id}-facts.json", facts.encode()),
        provenance=pretty(provenance),
        record={"kind": "experiment", "folder": folder.name, **kept, "provenance": provenance},
    )


def _figures(experiment: Experiment, id: str) -> tuple[FigureBlock, ...]:
    blocks = []
    for chart in experiment.outcome.charts:
        figure = draw_chart(chart)
        printed = experiment.path / "figures" / f"{chart.id}.png"
        name = f"{id}-chart-{chart.id}"
        blocks.append(
            FigureBlock(
                id=name,
                title=chart.title,
                caption=with_note(chart.caption, chart_note(chart)),
                item=bokeh_item(figure, name=name),
                height=figure.height,
                printed=uri(printed.read_bytes(), "image/png"),
                downloads=(
                    download(
                        f"{chart.id}.csv",
                        (experiment.path / "charts" / f"{chart.id}.csv").read_bytes(),
                    ),
                ),
            )
        )
    return tuple(blocks)


def claim_row(finding: Finding) -> ClaimRow:
    """Return a finding as the texts of its row."""
    value, low, high = finding.value, finding.low, finding.high
    return ClaimRow(
        text=finding.claim.text,
        source=finding.claim.source,
        published=finding.claim.published,
        sign=SIGNS[finding.verdict],
        verdict=finding.verdict,
        tone=_TONES[finding.verdict],
        value="" if value is None else cell_text(value, 3),
        interval=""
        if low is None or high is None
        else f"[{cell_text(low, 3)}, {cell_text(high, 3)}]",
        unit=finding.unit,
        n=finding.n,
        why=finding.why,
    )


def gate_row(result: GateResult) -> GateRow:
    """Return what was measured at a gate as the texts of its row."""
    values = [cell_text(value, 3) for value in result.values]
    what = result.what if result.what != result.gate.text else ""
    several = f"{len(values)} measured: {', '.join(values)}" if len(values) > 1 else ""
    return GateRow(
        text=result.gate.text,
        minimum=f"{result.gate.minimum:g}",
        measured=cell_text(result.value, 3) if values else "not measured",
        all_values="; ".join(part for part in (what, several) if part),
        passed=result.passed,
    )


def _studies(experiment: Experiment) -> dict[str, Any]:
    """Return what made each of its studies; an error's text where a folder has gone."""
    from xaieval.export.files import made_from
    from xaieval.study import Results

    found: dict[str, Any] = {}
    for name, folder in zip(experiment.outcome.studies, experiment.study_folders, strict=True):
        try:
            found[name] = made_from(Results(folder))
        except XaievalError as error:
            found[name] = {"gone": str(error).replace(str(experiment.path), ".")}
    return found


def overview(parts: Sequence[ExperimentPart]) -> dict[str, int]:
    """Return the verdicts of several experiments together."""
    return {verdict: sum(part.counts[verdict] for part in parts) for verdict in SIGNS}
