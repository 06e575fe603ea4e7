"""The Parts page's answer, captions and table as HTML. Every text from data is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from xaieval.figures.chart import Chart
from xaieval.figures.chart_parts import chart_parts
from xaieval.figures.palette import Mode
from xaieval.metrics import parse_metric

from ..scorecard import REASON_TEXT
from ._batch_html import mark
from ._parts_content import PartsContent

__all__ = [
    "answer",
    "as_table",
    "caption",
    "chart_legend",
    "no_falsification",
    "region_rows",
]


def caption(*texts: str) -> str:
    """Return what stands under a figure's title; empty texts are left out."""
    return f'<p class="quiet small">{escape(" ".join(filter(None, texts)))}</p>'


def scroll(name: str) -> str:
    """Return the start of a box that scrolls, by keyboard too."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">'


def as_table(name: str, table: pd.DataFrame, heads: Mapping[str, str]) -> str:
    """Return what a figure shows as a table to unfold: column -> head."""
    numeric = {c for c in heads if pd.api.types.is_numeric_dtype(table[c])}
    first = "".join(
        f'<th scope="col"{_NUM if column in numeric else ""}>{escape(head)}</th>'
        for column, head in heads.items()
    )
    rows = []
    for _, row in table.iterrows():
        texts = "".join(
            f'<td class="num">{_cell(row[column])}</td>'
            if column in numeric
            else f"<td>{escape(str(row[column]))}</td>"
            for column in heads
        )
        rows.append(f"<tr>{texts}</tr>")
    return (
        f"<details><summary>As a table</summary>{scroll(name)}<table><thead><tr>{first}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, int | np.integer) else number(float(value))


_LINE = (
    '<svg width="20" height="8" aria-hidden="true" stroke="currentColor">'
    '<path d="M0 4H20" stroke-width="{}" stroke-dasharray="{}"/></svg>{}'
)


_HATCH = {
    "right_diagonal_line": '<path d="M0 6 6 0M0 12 12 0M6 12 12 6"/>',
    "dot": '<path stroke-width="2" d="M2 3h2M8 3h2M2 9h2M8 9h2"/>',
    "diagonal_cross": '<path d="M0 0 12 12M0 12 12 0"/>',
    "horizontal_line": '<path d="M0 3H12M0 6H12M0 9H12"/>',
}


def bar_sign(colour: str, hatch: str) -> str:
    """Return a bar's colour and hatch as inline SVG."""
    return (
        f'<svg width="12" height="12" aria-hidden="true" data-hatch="{hatch}" stroke="var(--page)">'
        f'<rect width="12" height="12" fill="{colour}" stroke="none"/>{_HATCH.get(hatch, "")}</svg>'
    )


def chart_legend(chart: Chart, *, mode: Mode) -> str:
    """Return what the colours and lines of a chart mean; '' for one that says it itself."""
    if chart.kind == "heat":
        return ""
    series = chart_parts(chart, mode=mode).series
    signs = [
        bar_sign(one.colour, one.hatch)
        if chart.kind == "bars"
        else mark(one.mark, one.colour, hollow=False)
        for one in series
    ]
    entries = [f"{sign}{escape(one.label)}" for sign, one in zip(signs, series, strict=True)]
    if chart.kind == "boxes":
        entries += [_LINE.format(3, "none", "median"), _LINE.format(1.8, "4 3", "mean")]
        entries.append("box: quartiles · whiskers: within 1.5 box heights")
    if chart.reference:
        entries.append(_LINE.format(5, "none", f"mean {escape(chart.reference)}"))
    return f'<div class="legend">{"".join(f"<span>{entry}</span>" for entry in entries)}</div>'


def answer(content: PartsContent) -> str:
    """Return the answer in one line: where the maps lie most beyond chance."""
    table = content.table[content.table["n"] > 0]
    metric = parse_metric(content.view.metric).label
    lifted = table[table["lift"].notna()]
    if len(lifted):
        best = lifted.loc[lifted["lift"].idxmax()]
        value = f"{best['lift']:.2f} times its area share"
        interval = _interval(best["lift_low"], best["lift_high"], 2)
        text = "most above chance"
    else:
        best = table.loc[table["mean"].idxmax()]
        value, interval = (
            f"{metric} {number(best['mean'])}",
            _interval(best["low"], best["high"], 3),
        )
        text = "highest"
    return (
        f'<p class="lead"><b>{escape(str(best["method"]))}</b> on '
        f"<b>{escape(str(best['region']))}</b> is {text}: {value}{interval}.</p>"
    )


def _interval(low: float, high: float, digits: int) -> str:
    if math.isnan(low) or math.isnan(high):
        return ""
    return f' <span class="quiet">(95 %: {low:.{digits}f} to {high:.{digits}f})</span>'


def number(value: float) -> str:
    """Return a score as a table shows it: three digits that matter, a dash for none.

    >>> [number(v) for v in (0.12345, 12.345, 100.0, float("nan"))]
    ['0.123', '12.35', '100.0', '–']
    """
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 100 else "100.0"


def region_rows(content: PartsContent, *, colours: dict[str, str], marks: dict[str, str]) -> str:
    """Return the table: a row per region and method, the best of each region in bold."""
    table = content.table
    lift = bool(table["lift"].notna().any())
    heads = ["region", "method", "n", "mean", "95 %", "std", "median", "area share"]
    heads += ["lift", "95 %"] if lift else []
    heads.append("left out")
    first = "".join(
        f'<th scope="col"{"" if head in _TEXTS else _NUM}>{head}</th>' for head in heads
    )
    rows = []
    for region, group in table.groupby("region", sort=False):
        best = group["mean"].max()
        for i, (_, row) in enumerate(group.iterrows()):
            rows.append(_row(row, str(region), i, best, lift, colours, marks))
    seeds = "over images and seeds" if table["n_seeds"].max() > 1 else "over images"
    return (
        f"{scroll('Scores of every region and method')}"
        f"<table><caption>{escape(content.regional.label)}. Every image counts "
        "once, with its mean over the seeds; std: between images (ddof 0); 95 %: two-way "
        f"bootstrap {seeds}; lift: mean score / mean area share, 1 is chance; left out: images "
        f"that take part under no seed.</caption><thead><tr>{first}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


_NUM = ' class="num"'
_TEXTS = ("region", "method", "left out")


def _row(
    row: pd.Series[Any],
    region: str,
    place: int,
    best: float,
    lift: bool,
    colours: dict[str, str],
    marks: dict[str, str],
) -> str:
    key = str(row["method_id"])
    sign = mark(marks[key], colours[key], hollow=False) if key in marks else ""
    name = f'<th scope="row">{sign} {escape(str(row["method"]))}</th>'
    win = " win" if row["mean"] == best else ""
    few = '<span class="few">few</span>' if 0 < row["n"] < 5 else ""
    numbers = [
        f'<td class="num">{row["n"]}{few}</td>',
        f'<td class="num{win}">{number(row["mean"])}</td>',
        f'<td class="num std">{_range(row["low"], row["high"])}</td>',
        f'<td class="num">{number(row["std"])}</td>',
        f'<td class="num">{number(row["median"])}</td>',
        f'<td class="num">{_percent(row["area"])}</td>',
    ]
    if lift:
        numbers.append(f'<td class="num{win}">{number(row["lift"])}</td>')
        numbers.append(f'<td class="num std">{_range(row["lift_low"], row["lift_high"])}</td>')
    start = ' class="group"' if place == 0 else ""
    what = escape(region) if place == 0 else f'<span class="sr">{escape(region)}</span>'
    return (
        f'<tr{start} data-region="{escape(region)}" data-method="{escape(key)}"><td>{what}</td>'
        f"{name}{''.join(numbers)}{_left_out(row)}</tr>"
    )


def _range(low: float, high: float) -> str:
    return "–" if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def _left_out(row: pd.Series[Any]) -> str:
    if not row["left_out"]:
        return '<td class="why quiet">0</td>'
    reasons = []
    for part in str(row["left_out_by"]).split(", "):
        cause, _, count = part.rpartition(" ")
        reasons.append(f"{REASON_TEXT.get(cause, cause)} {count}")
    why = escape(", ".join(reasons))
    return f'<td class="why">{row["left_out"]} <span class="quiet small">{why}</span></td>'


def no_falsification() -> str:
    """Return what stands where the falsification figure would be."""
    return (
        '<p class="quiet" data-state="not-scored">Falsification was not scored in these results. '
        "Add <code>falsification@rule=area-matched</code> (for conclusions) and "
        "<code>falsification</code> (as published) to the study's <code>[score] metrics</code> and "
        "run it again: finished scores are kept.</p>"
    )


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"
