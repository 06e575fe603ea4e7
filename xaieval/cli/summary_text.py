"""A summary as text: table, JSON, CSV, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd

from xaieval.cli.text import text_table
from xaieval.sanity.marks import marked, notes
from xaieval.study.summarise import Row, Summary


def _about(summary: Summary) -> str:
    from xaieval.metrics import parse_metric

    images = {"correct": "correctly classified images", "all": "all images"}[summary.population]
    metric = parse_metric(summary.metric)
    return (
        f"wins by {summary.metric}{' (the lowest)' if metric.higher_is_better is False else ''}"
        f"{f' in {summary.region}' if summary.region else ''}; "
        f"{images}{'' if metric.whole else ' with a mask'}; "
        f"ties: {'shared' if summary.tie_rule == 'split' else 'to the first method'}; "
        "mean ± std (ddof 0) over seeds"
    )


def _plus_minus(mean: float | None, std: float | None) -> str:
    return "–" if mean is None else f"{mean:.4f} ± {std or 0:.4f}"


def _causes(row: Row) -> str:
    if row["left_out"] is None:
        return "not published"
    causes = ", ".join(f"{cause} {number}" for cause, number in row["left_out_by"].items())
    return f"{row['left_out']}" + (f" ({causes})" if causes else "")


def _cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    head = ["split", "class", "method", "win rate", "95 %", "score", "area", "n", "left out"]
    cells = []
    for row in summary.rows:
        low = "–" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        area = "–" if row["area_share"] is None else f"{row['area_share']:.4f}"
        count = "–" if row["n"] is None else str(row["n"])
        win = _plus_minus(row["win_rate"], row["std"]) if row["competes"] else "reference"
        if row["undefined"]:
            win += f" ({row['undefined']})"
        score = _plus_minus(row["score"], row["score_std"])
        method = marked(row["method_id"], bool(row["sanity"]))
        names = [row["split"], row["class"], method]
        cells.append([*names, win, low, score, area, count, _causes(row)])
    # A column that nothing fills is left out.
    if any(row["ceiling"] is not None for row in summary.rows):
        head.insert(7, "ceiling")
        for row, line in zip(summary.rows, cells, strict=True):
            line.insert(7, "–" if row["ceiling"] is None else f"{row['ceiling']:.4f}")
    return head, cells


def _gate_notes(summary: Summary) -> list[str]:
    """Return a line per method that failed the sanity gate."""
    failed = {row["method_id"]: row["sanity"] for row in summary.rows if row["sanity"]}
    return notes(failed, {key: key for key in failed})


def _stand_in_lines(summary: Summary) -> list[str]:
    """Return a sentence per method that was tried in another form."""
    lines = []
    for row in summary.stand_ins:
        before, after = dict(row["before"]), dict(row["after"])
        lines.append(
            f"{row['split']}: with {row['variant']} for {row['original']}, "
            f"{row['changed']} of {row['n']} wins change hands; its win rate "
            f"{after[row['variant']]:.4f} instead of {before[row['original']]:.4f}"
        )
    return lines


def _accuracy_cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    head = ["split", "balanced accuracy", "accuracy", "seeds", "n"]
    return head, [
        [
            row["split"],
            _plus_minus(row["balanced_accuracy"], row["balanced_accuracy_std"]),
            _plus_minus(row["accuracy"], row["accuracy_std"]),
            str(row["n_seeds"]),
            "–" if row["n"] is None else str(row["n"]),
        ]
        for row in summary.accuracy
    ]


def _as_table(summary: Summary) -> str:
    parts = [summary.title, _about(summary), "", text_table(*_cells(summary)), ""]
    parts += [text_table(*_accuracy_cells(summary))]
    if _gate_notes(summary):
        parts += ["", *_gate_notes(summary)]
    if summary.stand_ins:
        parts += ["", *_stand_in_lines(summary)]
    if summary.note:
        parts += ["", f"Note: {summary.note}."]
    if summary.problems:
        shown = [f"  {text}" for text in summary.problems[:10]]
        rest = len(summary.problems) - len(shown)
        parts += ["", f"{len(summary.problems)} faulty images were left out:", *shown]
        parts += [f"  and {rest} more (manifest.json)"] if rest else []
    return "\n".join(parts) + "\n"


def _as_json(summary: Summary) -> str:
    content = {
        "title": summary.title,
        "note": summary.note,
        "metric": summary.metric,
        "region": summary.region,
        "population": summary.population,
        "tie_rule": summary.tie_rule,
        "win_rates": summary.rows,
        "accuracy": summary.accuracy,
        "stand_ins": summary.stand_ins,
        "problems": summary.problems,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _as_csv(summary: Summary) -> str:
    """Return the win-rate rows; every row carries the note, so that none travels without it."""
    flat = [
        {**row, "left_out_by": _causes(row) if row["left_out_by"] else "", "metric": summary.metric}
        | {"note": summary.note}
        for row in summary.rows
    ]
    return pd.DataFrame(flat).to_csv(index=False, lineterminator="\n")


def _as_latex(summary: Summary) -> str:
    from xaieval.export.latex import escape, gate_line

    blocks = []
    below = [gate_line(text) for text in (*_gate_notes(summary), *_stand_in_lines(summary))]
    caption = f"{summary.title}: {_about(summary)}"
    for head, cells in (_cells(summary), _accuracy_cells(summary)):
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\begin{{tabular}}{{{'l' * len(head)}}}",
            r"\toprule",
            " & ".join(map(escape, head)) + r" \\",
            r"\midrule",
            *(" & ".join(map(escape, row)) + r" \\" for row in cells),
            r"\bottomrule",
            r"\end{tabular}",
            *below,
            r"\end{table}",
        ]
        blocks.append("\n".join(lines))
        below = []
    return "\n\n".join(blocks) + "\n"


FORMATS: dict[str, Callable[[Summary], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
    "latex": _as_latex,
}


def render(summary: Summary, kind: str) -> str:
    """Return a summary as text of one of ``FORMATS``."""
    return FORMATS[kind](summary)
