"""The Batch page's tables, tiles and legends as HTML. Every text from data is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

import pandas as pd

from xaieval.export import accuracy_table
from xaieval.figures.boxes import Boxes, count_text
from xaieval.figures.palette import INKS, Mode, Origin, method_colours, method_marks
from xaieval.stats import FEW_IMAGES, FEW_SEEDS, OVERALL

from ..scorecard import REASON_TEXT
from ..theme import TOKENS
from ._batch_gate import STYLE as GATE_STYLE
from ._batch_gate import gate_notes, method_name

STYLE = (
    TOKENS
    + GATE_STYLE
    + """
:host { font-variant-numeric: tabular-nums; }
h2 { font-size: var(--t-title); font-weight: 600; margin: 0; }
.lead { font-size: var(--t-lead); margin: 0; }
.quiet { color: var(--quiet); }
.small { font-size: var(--t-small); }
.tiles { display: flex; flex-wrap: wrap; gap: 8px; flex: 0 1 auto; }
.tile { background: var(--raised); border-radius: 6px; padding: 6px 14px 7px;
  min-width: 128px; flex: 0 1 auto; border: 1px solid transparent; }
.tile.first { border-color: color-mix(in srgb, var(--ink) 34%, transparent); }
.tile .name { display: flex; align-items: center; gap: 6px; white-space: nowrap; }
.tile .number { font-size: 22px; font-weight: 600; line-height: 1.25; white-space: nowrap; }
.tile .number span { font-size: var(--t-body); font-weight: 400; color: var(--quiet); }
.answer { display: flex; flex-wrap: wrap; gap: 12px 32px; align-items: center;
  justify-content: space-between; }
.words { display: flex; flex-direction: column; gap: 6px; flex: 1 1 320px;
  align-items: flex-start; }
.rank { font-size: var(--t-small); border: 1px solid var(--line); border-radius: 8px;
  padding: 0 6px; margin-left: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center;
  color: var(--quiet); font-size: 12px; }
.legend > span { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap; }
svg { flex: none; overflow: visible; }
.scroll { overflow: auto; max-height: 560px; }
.scroll.whole { max-height: none; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; color: var(--quiet); font-size: 12px;
  padding: 6px 12px; border-bottom: 1px solid var(--line); white-space: nowrap;
  position: sticky; top: 0; background: var(--page); z-index: 1; }
td { padding: 5px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
tbody tr:hover td, tbody tr:hover th { background: color-mix(in srgb, var(--ink) 4%, transparent); }
tbody tr.group td { border-top: 2px solid var(--line); }
tbody th { position: static; color: var(--ink); font-size: var(--t-body); padding: 5px 12px; }
.num { text-align: right; }
th.num { text-align: right; }
td.why { white-space: normal; min-width: 152px; }
td .std, td .interval { color: var(--quiet); }
td .interval { font-size: var(--t-small); display: block; }
td .interval.wide { font-size: 12px; color: var(--ink); opacity: .86; }
td button.open { font: inherit; color: inherit; text-align: inherit; background: none; border: 0;
  padding: 2px 6px; margin: -2px -6px; border-radius: 4px; cursor: pointer; min-height: 24px; }
td button.open:hover { background: color-mix(in srgb, var(--accent) 16%, transparent); }
td button.open:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
td.win { font-weight: 650; }
td.win .std, td.win .interval { font-weight: 400; }
.few { color: var(--quiet); font-size: var(--t-small); border: 1px dashed currentColor;
  border-radius: 8px; padding: 0 6px; margin-left: 6px; }
.caution { border-radius: 4px; font-size: 12px; padding: 2px 10px; border-left: 4px solid #c98a00;
  background: color-mix(in srgb, #c98a00 16%, transparent); }
.published { border-radius: 4px; font-size: 12px; padding: 2px 10px; border-left: 4px solid #9a5fd0;
  background: color-mix(in srgb, #9a5fd0 18%, transparent); }
caption { text-align: left; color: var(--quiet); padding: 0 0 4px; font-size: 12px; }
"""
)

_SHAPES = {
    "circle": '<circle cx="6" cy="6" r="4"/>',
    "square": '<rect x="2.5" y="2.5" width="7" height="7"/>',
    "triangle": '<path d="M6 1.5 10.5 10 1.5 10Z"/>',
    "diamond": '<path d="M6 1 11 6 6 11 1 6Z"/>',
    "hex": '<path d="M3.5 1.7h5L11 6 8.500 10.3h-5L1 6Z"/>',
    "inverted_triangle": '<path d="M6 10.500 1.500 2 10.500 2Z"/>',
    "star": '<path d="M6 .5 7.500 4.500 11.500 4.500 8.300 7 9.500 11 6 8.600 2.500 11 3.700 7 '
    '.5 4.500 4.500 4.500Z"/>',
}


def define(key: str, text: str) -> str:
    """Return a name that opens its definition when pressed."""
    return (
        f'<button type="button" class="define" data-define="{escape(key)}">{escape(text)}</button>'
    )


def mark(shape: str, colour: str, *, hollow: bool) -> str:
    """Return a method's mark as inline SVG."""
    fill = "none" if hollow else colour
    return (
        f'<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" fill="{fill}" '
        f'stroke="{colour}" stroke-width="1.4">{_SHAPES[shape]}</svg>'
    )


def marks(data: Boxes, *, mode: Mode, origin: Origin) -> dict[str, str]:
    """Return every method's mark as SVG."""
    colours = method_colours(data.methods, mode=mode, origin=origin)
    shapes = method_marks(data.methods)
    hollow = origin == "published"
    return {m: mark(shapes[m], colours[m], hollow=hollow) for m in data.methods}


def headline(
    data: Boxes,
    accuracy: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    mode: Mode,
    origin: Origin,
    note: str = "",
    region: str = "",
    chance: float | None = None,
    metric: str = "",
    failed: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the answer in one line and a tile per method, for the last split's first column.

    ``region``: the one scored, where there are several; ``metric``: the key of the score that
    decides.
    """
    split, group = data.splits[-1], data.classes[0]
    cell = data.boxes[(data.boxes["split"] == split) & (data.boxes["class"] == group)]
    cell = cell[cell["mean"].notna()].sort_values("mean", ascending=False, kind="stable")
    if cell.empty:
        where = f"{escape(split)}, {escape(group)}"
        return f'<p class="lead quiet">No image of {where} could be ranked.</p>'
    svgs = marks(data, mode=mode, origin=origin)
    tiles = []
    for place, (_, row) in enumerate(cell.iterrows(), start=1):
        first = row["mean"] == cell["mean"].max()
        rank = '<span class="rank">1st</span>' if first else ""
        name = method_name(row["method_id"], labels, failed)
        tiles.append(
            f'<div class="tile{" first" if first else ""}" data-place="{place}" '
            f'data-method="{escape(row["method_id"])}">'
            f'<div class="name">{svgs[row["method_id"]]}{name}{rank}</div>'
            f'<div class="number">{row["mean"]:.3f} <span>± {row["std"]:.3f}</span></div></div>'
        )
    caution = ""
    table = accuracy_table(accuracy)
    here = table[(table["split"] == split) & (table["quantity"] == "balanced_accuracy")]
    for _, row in here.iterrows():
        if chance is not None and row["mean"] - row["std"] <= chance:
            caution = (
                f"The classifier is hardly better than chance ({chance:.2f}): "
                "what its heatmaps show means little."
            )
        tiles.append(
            '<div class="tile" data-accuracy><div class="name quiet">balanced accuracy</div>'
            f'<div class="number">{row["mean"]:.3f} <span>± {row["std"]:.3f}</span></div></div>'
        )
    best = cell.iloc[0]
    tied = cell[cell["mean"] == best["mean"]]
    who = " and ".join(method_name(m, labels, failed) for m in tied["method_id"])
    seeds = int(best["n_seeds"])
    where = f"{escape(split)} images" + ("" if group == OVERALL else f" of {escape(group)}")
    verb = "rank" if len(tied) > 1 else "ranks"
    of_region = f", scored in <b>{escape(region)}</b>" if region else ""
    if metric:
        name = next((n for n, key in metric_options((metric,)).items() if key == metric), metric)
        of_region = f", by {define(metric, name)}{of_region}"
    text = (
        f"<b>{who}</b> {verb} first on {100 * best['mean']:.0f} % of {where}, "
        f"mean over {seeds} seed{'' if seeds == 1 else 's'}{of_region}."
    )
    label = published_note(note) if note else ""
    if caution:
        label += f'<div class="caution" role="note">{caution}</div>'
    return (
        f'<div class="answer"><div class="words"><p class="lead">{text}</p>{label}</div>'
        f'<div class="tiles">{"".join(tiles)}</div></div>'
    )


def box_legend(
    data: Boxes,
    *,
    labels: Mapping[str, str],
    mode: Mode,
    origin: Origin,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return what the signs of the boxplot mean."""
    svgs = marks(data, mode=mode, origin=origin)
    entries = [f"{svgs[m]}{method_name(m, labels, failed)}" for m in data.methods]
    line = (
        '<svg width="20" height="8" aria-hidden="true" stroke="currentColor">'
        '<path d="M0 4H20" stroke-width="{}" stroke-dasharray="{}"/></svg>{}'
    )
    entries += [line.format(3, "none", "median"), line.format(1.8, "4 3", "mean")]
    entries.append("box: quartiles · whiskers: within 1.5 box heights")
    entries.append("every mark is one seed: tap it, or a box, for its images")
    if len(data.boxes) and data.boxes["few"].any():
        entries.append(f"hatched: fewer than {FEW_IMAGES} images")
    legend = f'<div class="legend">{"".join(f"<span>{entry}</span>" for entry in entries)}</div>'
    return legend + gate_notes(data, labels, failed)


def win_table(
    data: Boxes,
    *,
    labels: Mapping[str, str],
    mode: Mode,
    origin: Origin,
    failed: Mapping[str, str] = MappingProxyType({}),
    opens: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Return the matrix of win rates: a row per split and class, a column per method.

    Cells whose id is in ``opens`` are buttons (``app/taps.py``).
    """
    svgs = marks(data, mode=mode, origin=origin)
    heads = "".join(
        f'<th scope="col" class="num">{svgs[m]} {method_name(m, labels, failed)}</th>'
        for m in data.methods
    )
    rows = []
    cells = {row["id"]: row for _, row in data.boxes.iterrows()}
    for split in data.splits:
        for i, group in enumerate(data.classes):
            found = [cells.get(f"{split}|{group}|{m}") for m in data.methods]
            there = [row for row in found if row is not None]
            best = max((row["mean"] for row in there if not math.isnan(row["mean"])), default=None)
            n = count_text(
                min((row["n_low"] for row in there), default=math.nan),
                max((row["n_high"] for row in there), default=math.nan),
            )
            few = _few_sign(there)
            left = max((row["left_out"] for row in there), default=math.nan)
            reasons = next((row["left_out_by"] for row in there if row["left_out_by"]), "")
            why = f'<span class="interval">{escape(reasons)}</span>' if reasons else ""
            columns = "".join(_win_cell(row, best, opens, labels) for row in found)
            start = ' class="group"' if i == 0 and rows else ""
            rows.append(
                f"<tr{start}><td>{escape(split.capitalize()) if i == 0 else ''}</td>"
                f'<th scope="row">{escape(group)}{few}</th>'
                f'<td class="num">{n.removeprefix("n ") or "–"}</td>'
                f'<td class="num">{"–" if math.isnan(left) else f"{left:.0f}"}{why}</td>'
                f"{columns}</tr>"
            )
    unknown = len(data.boxes) > 0 and data.boxes["n_low"].isna().all()
    two_way, wilson = define("interval", "two-way bootstrap"), define("wilson", "Wilson")
    interval = (
        f"below it the 95 % interval by the {two_way} over seeds and images, and the {wilson} "
        "interval of all seeds' images together, which is too narrow; "
    )
    note = ""
    if unknown:
        interval, note = "", " Numbers of images were not published, so there is no interval."
    seeds = int(data.boxes["n_seeds"].max()) if len(data.boxes) else 0
    return (
        '<div class="scroll whole" tabindex="0" role="region" '
        'aria-label="Win rates, mean and standard deviation"><table><caption>'
        f"{define('spread', 'Mean ± population standard deviation')} over "
        f"{seeds} seed{'' if seeds == 1 else 's'}; {interval}▲ highest of its row.{note}</caption>"
        '<thead><tr><th scope="col">Split</th><th scope="col">Class</th>'
        f'<th scope="col" class="num" title="images per seed">{define("n", "n")}</th>'
        '<th scope="col" class="num" title="images that take no part, most of any seed">'
        f"left out</th>{heads}"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"{gate_notes(data, labels, failed)}"
    )


def _few_sign(rows: Sequence[pd.Series]) -> str:
    """Return the sign of a small group, which says what is small."""
    why = []
    if any(row["few"] for row in rows):
        why.append(f"fewer than {FEW_IMAGES} images under some seed: one image moves a rate by "
                   f"more than {100 // FEW_IMAGES} %")  # fmt: skip
    if any(0 < row["n_seeds"] < FEW_SEEDS for row in rows):
        why.append(f"fewer than {FEW_SEEDS} seeds: their spread is hardly known")
    if not why:
        return ""
    text = escape("; ".join(why))
    return f'<span class="few" role="img" title="{text}" aria-label="few: {text}">few</span>'


def _win_cell(
    row: pd.Series | None,
    best: float | None,
    opens: Mapping[str, Any],
    labels: Mapping[str, str],
) -> str:
    if row is None or math.isnan(row["mean"]):
        why = "" if row is None else row["undefined"]
        text = REASON_TEXT.get(why, why)
        below = f'<span class="interval">{escape(text)}</span>' if text else ""
        return f'<td class="num quiet">–{below}</td>'
    interval = ""
    if not math.isnan(row["from"]):
        interval = f'<span class="interval wide">{row["from"]:.3f} to {row["to"]:.3f}</span>'
    if not math.isnan(row["low"]):
        wilson = f"Wilson {row['low']:.3f} to {row['high']:.3f}"
        interval += f'<span class="interval">{wilson}</span>'
    win = row["mean"] == best
    text = f'{row["mean"]:.3f} <span class="std">± {row["std"]:.3f}</span>'
    if row["id"] in opens:
        n, where = opens[row["id"]][4], f"{row['split']}, {row['class']}"
        name = f"{labels.get(row['method_id'], row['method_id'])}, {where}: {row['mean']:.3f} ± "
        name += f"{row['std']:.3f}, its {n} images"
        text = (
            f'<button type="button" class="open" data-open="{escape(row["id"])}" '
            f'aria-haspopup="dialog" aria-label="{escape(name)}">{text}</button>'
        )
    return (
        f'<td class="num{" win" if win else ""}" data-id="{escape(row["id"])}">'
        f"{'▲ ' if win else ''}{text}{interval}</td>"
    )


def curve_legend(splits: tuple[str, ...], *, mode: Mode) -> str:
    """Return what the lines and bands of the training curves mean."""
    ink = INKS[mode]
    colours = {"train": ink.train, "test": ink.test}
    entries = [
        '<span><svg width="24" height="10" aria-hidden="true">'
        f'<rect width="24" height="10" fill="{colours[s]}" opacity=".2"/>'
        f'<path d="M0 5H24" stroke="{colours[s]}" stroke-width="2" '
        f'stroke-dasharray="{"5 3" if s == "train" else "none"}"/></svg>{s}</span>'
        for s in splits
        if s in colours
    ]
    entries.append("<span>line: mean over seeds · band: ± 1 std</span>")
    entries.append("<span>on a logarithmic axis the band ends where mean − std ≤ 0</span>")
    return f'<div class="legend">{"".join(entries)}</div>'


def accuracy_html(accuracy: pd.DataFrame, *, mode: Mode) -> str:
    """Return accuracy per split: mean ± std, range, n, and every seed on a strip from 0 to 1."""
    table = accuracy_table(accuracy)
    ink = INKS[mode]
    rows = []
    for _, row in table.iterrows():
        colour = ink.train if row["split"] == "train" else ink.test
        seeds = accuracy[accuracy["split"] == row["split"]][row["quantity"]].dropna()
        dots = "".join(
            f'<circle cx="{4 + 112 * value:.1f}" cy="7" r="3.2" fill="{colour}" opacity=".55"/>'
            for value in seeds
        )
        strip = (
            f'<svg width="120" height="14" role="img" aria-label="{len(seeds)} seeds between '
            f'{row["min"]:.3f} and {row["max"]:.3f}"><path d="M4 7H116" stroke="currentColor" '
            f'opacity=".25"/>{dots}</svg>'
        )
        n = count_text(row["n_low"], row["n_high"]).removeprefix("n ") or "–"
        rows.append(
            f"<tr><td>{escape(str(row['split']).capitalize())}</td>"
            f'<th scope="row">{escape(row["quantity"].replace("_", " "))}</th>'
            f'<td class="num"><b>{row["mean"]:.3f}</b> <span class="std">± {row["std"]:.3f}</span>'
            f'</td><td class="num">{row["min"]:.3f} to {row["max"]:.3f}</td><td>{strip}</td>'
            f'<td class="num">{n}</td><td class="num">{row["n_seeds"]}</td></tr>'
        )
    return (
        '<div class="scroll"><table><caption>Mean ± population standard deviation over seeds; the '
        "strip shows every seed from 0 to 1.</caption><thead><tr>"
        '<th scope="col">Split</th><th scope="col">Quantity</th><th scope="col" class="num">mean ± '
        'std</th><th scope="col" class="num">range</th><th scope="col">seeds</th><th scope="col" '
        'class="num">n</th><th scope="col" class="num">seeds</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def stand_in_notes(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    """Return a sentence per split and method that was tried in another form; '' for none."""
    lines = []
    for row in rows:
        after, before = dict(row["after"]), dict(row["before"])
        lines.append(
            f"<li>{escape(str(row['split']).capitalize())}: with "
            f"{escape(labels.get(row['variant'], row['variant']))} in the place of "
            f"{escape(labels.get(row['original'], row['original']))}, <b>{row['changed']}</b> of "
            f"{row['n']} wins change hands; its win rate is {after[row['variant']]:.3f} instead of "
            f"{before[row['original']]:.3f}.</li>"
        )
    return f'<ul class="quiet stand-ins">{"".join(lines)}</ul>' if lines else ""


def published_note(note: str) -> str:
    """Return the label that stands above everything made of published numbers."""
    text = note[:1].upper() + note[1:]
    return f'<div class="published" role="note">{escape(text)}</div>'


def message(title: str, text: str, *, name: str) -> str:
    """Return an empty or failed page's words."""
    role = "alert" if name == "error" else "status"
    return (
        f'<div role="{role}" data-state="{name}"><h2>{escape(title)}</h2>'
        f'<p class="quiet">{escape(text)}</p></div>'
    )


def hidden_note(hidden: int) -> str:
    """Return the sentence about classes that are not drawn."""
    if not hidden:
        return ""
    return f'<div class="quiet small">{hidden} more classes: choose one above.</div>'


def no_history() -> str:
    """Return what stands where training curves would be."""
    return (
        '<p class="quiet">These results hold no training history: the models were trained '
        "elsewhere, or their checkpoints are not in this folder.</p>"
    )


def metric_options(keys: tuple[str, ...]) -> dict[str, str]:
    """Return the choices of a metric selector: label -> key."""
    from xaieval.errors import ConfigError
    from xaieval.metrics import parse_metric

    options = {}
    for key in keys:
        try:
            label = parse_metric(key).label
        except ConfigError:  # a score of a package that is not installed here
            label = key
        options[label] = key
    return options


def words(text: str) -> str:
    """Return a sentence that a screen reader reads out when it changes."""
    return f'<p class="quiet" role="status" style="margin:0">{escape(text)}</p>'
