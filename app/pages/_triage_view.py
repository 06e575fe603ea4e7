"""What the Triage page shows of a study: filtered, counted and put into words in the pool."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.export import method_labels
from xaieval.journal import Marks
from xaieval.methods import METHODS
from xaieval.stats.patterns import PATTERNS, Thresholds
from xaieval.triage import (
    ORDERS,
    Filters,
    TriageTable,
    frame,
    histogram,
    pattern_counts,
    scatter,
)

from ..scorecard import REASON_TEXT
from ..services import Services
from ._triage_words import chips, sentence

Rows = npt.NDArray[np.int64]
PAGE = 60
"""Rows of one message to the browser; ``queue.js`` asks for the same."""
POINTS = 3000
"""Points of the scatter: more of them lie on each other, and cost time."""
WHY = REASON_TEXT | {
    "one-method": "only one method has a score: no disagreement",
    "no-direction": "this score is no quality: nothing is better or worse",
    "not-scored": "not scored",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be shown: a study's key, which score of whom, which rows in which order."""

    study: str
    metric: str
    region: str
    method: str | None
    filters: Filters
    order: str
    thresholds: Thresholds
    marks: Mapping[str, Marks] = field(default_factory=dict)


@dataclass(eq=False)
class Content:
    """One answer: the table, the rows shown in order, those of the plots, and all in words."""

    asked: Asked
    table: TriageTable
    rows: Rows
    drawn: Rows
    points: Rows
    labels: Mapping[str, str]
    view: dict[str, Any]
    patterns: dict[str, Any]
    marks: Mapping[str, Marks]

    def place(self, image: str, seed: int | None) -> int:
        """Return where an image and seed stand in the queue; -1 when they are not in it."""
        found = self.table.find(image, seed)
        if found is None:
            return -1
        at = np.flatnonzero(self.rows == found)
        return int(at[0]) if len(at) else -1

    def take(self, marks: Mapping[str, Marks]) -> None:
        """Know newer tags and notes."""
        self.marks = marks

    def page(self, start: int, count: int = PAGE) -> list[dict[str, Any]]:
        """Return some rows of the queue as the desk takes them."""
        return described(self, self.rows[start : start + count])


def compute(services: Services, asked: Asked) -> Content:
    """Return what is asked for; for the pool.

    Raises
    ------
    XaievalError
        When the results do not have it.
    """
    table = services.triage(asked.study, asked.metric, asked.region, asked.method)
    how: dict[str, Any] = {"thresholds": asked.thresholds, "marks": asked.marks}
    labels = method_labels(table.results)
    filters = asked.filters
    if not table.pattern_metrics:
        filters = dataclasses.replace(filters, pattern=None)
    free = dataclasses.replace(filters, confidence=None, score=None)
    drawn = table.select(free, order=asked.order, **how)
    rows = drawn
    if (filters.confidence, filters.score) != (None, None):
        rows = table.select(filters, order=asked.order, **how)
    shown = scatter(table, drawn, limit=POINTS)
    content = Content(
        asked=asked,
        table=table,
        rows=rows,
        drawn=drawn,
        points=shown.rows,
        labels=labels,
        view={},
        marks=asked.marks,
        patterns=_patterns(table, filters, asked, how),
    )
    view = {
        "total": len(rows),
        "all": len(table),
        "sentence": sentence(len(rows), len(table), table, filters, labels),
        "chips": chips(filters, labels),
        "columns": columns(table, asked),
        "order": {
            "value": asked.order,
            "options": [{"value": key, "label": order.label} for key, order in ORDERS.items()],
        },
        "outcome": _outcome(filters, labels),
        "plots": _plots(table, drawn, shown, filters) if len(drawn) else None,
    }
    content.view.update(view)
    content.view["first"] = {"start": 0, "rows": content.page(0)}
    return content


def described(content: Content, rows: Rows) -> list[dict[str, Any]]:
    """Return rows of the table as the browser shows them."""
    asked = content.asked
    sheet = frame(content.table, rows, marks=content.marks, thresholds=asked.thresholds)
    found = []
    for row in sheet.to_dict("records"):
        marks = content.marks.get(row["sample_id"])
        found.append(
            {
                "id": row["image"],
                "name": row["sample_id"],
                "seed": int(row["seed"]),
                "split": row["split"],
                "class": row["class"],
                "predicted": row["predicted"],
                "correct": bool(row["correct"]),
                "confidence": number(row["confidence"]),
                "score": number(row["score"]),
                "disagreement": number(row["disagreement"]),
                "surprise": number(row["surprise"]),
                "pattern": row["pattern"],
                "why": WHY.get(row["why"], row["why"]),
                "tags": list(marks.tags) if marks else [],
                "notes": len(marks.notes) if marks else 0,
            }
        )
    return found


def number(value: float, digits: int = 4) -> float | None:
    """Return a number short enough to send; None for NaN."""
    return None if not math.isfinite(value) else round(float(value), digits)


def columns(table: TriageTable, asked: Asked) -> list[dict[str, Any]]:
    """Return the columns of the queue's table, with the order that a click on each gives."""
    label = table.metric.label
    found: list[dict[str, Any]] = [
        _column("thumb", "", "the image", "thumb", "30px"),
        _column("name", "Image", "the image’s id", "text", "minmax(92px, 1.5fr)", "image"),
    ]
    if len(table.seeds) > 1 and asked.filters.seed is None:
        found.append(_column("seed", "Seed", "training seed of the model", "text", "34px"))
    found += [
        _column("predicted", "Predicted", "what the model says", "answer", "minmax(82px, 1fr)"),
        _column("confidence", "Conf.", "confidence of what the model says", "number", "40px"),
        _column("score", "Score", label, "number", "44px", "lowest-score"),
        _column(
            "disagreement",
            "Spread",
            "disagreement: largest minus smallest alignment of the competing methods",
            "number",
            "46px",
            "disagreement",
        ),
        _column("surprise", "Surprise", ORDERS["surprise"].formula, "number", "66px", "surprise"),
    ]
    if table.pattern_metrics:
        says = f"Shared Interest pattern of {table.pattern_method}"
        found.append(_column("pattern", "Pattern", says, "text", "minmax(90px, 1.1fr)"))
    found.append(
        _column("tags", "Tags", "tags and notes of the image", "tags", "minmax(48px, 1fr)")
    )
    for column in found:
        _sorting(column, asked.order)
    return found


def _column(
    key: str, label: str, title: str, kind: str, width: str, order: str = ""
) -> dict[str, Any]:
    return {
        "key": key, "label": label, "title": title, "kind": kind, "width": width, "order": order,
    }  # fmt: skip


def _sorting(column: dict[str, Any], order: str) -> None:
    """Say how a column is sorted now; a second click on the score turns its order round."""
    rising = {"lowest-score": True, "highest-score": False, "image": True}
    own = {column["order"]} | ({"highest-score"} if column["key"] == "score" else set())
    if column["order"] and order in own:
        column["sorted"] = "ascending" if rising.get(order, False) else "descending"
        if order == "lowest-score":
            column["order"] = "highest-score"


def _outcome(filters: Filters, labels: Mapping[str, str]) -> dict[str, Any] | None:
    if filters.outcome is None:
        return None
    _, method = filters.outcome_parts()
    name = labels.get(method, method)
    words = {"counted": "all counted", "won": f"{name} won", "lost": f"{name} lost"}
    return {
        "value": filters.outcome,
        "options": [{"value": f"{kind}:{method}", "label": text} for kind, text in words.items()],
    }


def _patterns(
    table: TriageTable, filters: Filters, asked: Asked, how: dict[str, Any]
) -> dict[str, Any]:
    if not table.pattern_metrics:
        return {
            "groups": [],
            "note": "These results have no Shared Interest patterns: add iou, gt_coverage and "
            "saliency_coverage to the study’s [score] metrics and run it again.",
        }
    counts = pattern_counts(table, filters, **how)
    names = list(PATTERNS)
    parts = (("Right answers", names[:4]), ("Wrong answers", names[4:8]), ("Neither", names[8:]))

    def item(key: str) -> dict[str, Any]:
        says = PATTERNS[key].partition(", ")[2] if key in names[:8] else PATTERNS[key]
        return {"key": key, "label": key.replace("-", " "), "says": says, "count": counts[key]}

    at = asked.thresholds
    return {
        "groups": [{"title": title, "items": [item(key) for key in keys]} for title, keys in parts],
        "most": max(counts.values(), default=1),
        "picked": filters.pattern or "",
        "lines": dataclasses.asdict(at),
        "usual": at == Thresholds(),
        "note": f"of {method_labels(table.results)[table.pattern_method]}’s maps",
    }


def _plots(
    table: TriageTable,
    drawn: Rows,
    shown: Any,
    filters: Filters,
) -> dict[str, Any]:
    scores = histogram(table, drawn, measure="score", bins=32)
    surprise = histogram(table, drawn, measure="surprise", bins=40)
    counts, end = _trimmed(surprise.correct + surprise.wrong, surprise.edges)
    note = (
        "every row a mark"
        if shown.total == len(shown.rows)
        else f"{len(shown.rows):,} of {shown.total:,} rows drawn, lone ones first; counts of all"
    )
    if shown.undefined:
        note += f"; {shown.undefined:,} without a score"
    return {
        "x": {"label": "confidence", "low": 0.0, "high": 1.0},
        "y": {
            "label": table.metric.label,
            "low": float(scores.edges[0]),
            "high": float(scores.edges[-1]),
        },
        "points": {
            "x": np.round(shown.x, 4).tolist(),
            "y": np.round(shown.y, 4).tolist(),
            "wrong": "".join(np.where(shown.correct, "0", "1")),
        },
        "scores": {"right": scores.correct.tolist(), "wrong": scores.wrong.tolist()},
        "surprise": {"counts": counts.tolist(), "low": 0.0, "high": end},
        "confidence": list(filters.confidence or ()),
        "span": list(filters.score or ()),
        "described": f"Scatter of {shown.total:,} rows: confidence against {table.metric.label}; "
        "beside it how the scores are spread",
        "surprised": f"How surprise is spread over {len(drawn):,} rows",
        "note": note,
    }


def _trimmed(
    counts: npt.NDArray[np.int64], edges: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], float]:
    """Return a histogram without the empty bins at its upper end, and where that end is."""
    there = np.flatnonzero(counts)
    last = max(int(there[-1]) + 1 if len(there) else 1, min(4, len(counts)))
    return counts[:last], float(edges[last])


def facts(content: Content, row: int, *, method: str) -> dict[str, Any]:
    """Return what stands beside the chosen image: answer, scores of every method, the rest."""
    table = content.table
    (shown,) = described(content, np.array([row]))
    better = table.metric.higher_is_better
    best: Sequence[float] = ()
    if better is not None and table.compete:
        best = table.wins(population="all")[row].tolist()
    scores = []
    for key in (*table.compete, *(m for m in table.methods if m not in table.compete)):
        number_of = table.methods.index(key)
        value = number(table.scores.values[row, number_of])
        reason = table.scores.reasons[int(table.scores.reason[row, number_of])]
        competes = key in table.compete
        scores.append(
            {
                "key": key,
                "label": content.labels.get(key, key),
                "value": value,
                "share": number(table.normalised[row, number_of]),
                "reason": WHY.get(reason, reason),
                "competes": competes,
                "baseline": METHODS[key.partition("[")[0]].baseline,
                "best": bool(competes and best and best[table.compete.index(key)] > 0),
                "shown": key == method,
            }
        )
    answer = shown["predicted"]
    answer += "" if shown["correct"] else f", labelled {shown['class']}"
    answer += f" · confidence {shown['confidence']:.2f} · {shown['split']}, seed {shown['seed']}"
    rest = []
    if shown["pattern"]:
        rest.append(
            {
                "name": "Pattern",
                "value": f"{shown['pattern'].replace('-', ' ')}: {PATTERNS[shown['pattern']]}",
                "title": f"of {content.labels.get(table.pattern_method, table.pattern_method)}",
            }
        )
    rest.append(_surprise(table, row, shown))
    return {
        "title": shown["name"],
        "name": shown["name"],
        "correct": shown["correct"],
        "answer": answer,
        "note": "",
        "metric": {"key": table.metric.key, "label": table.metric.label},
        "region": table.region if len(table.results.regions) > 1 else "",
        "method": content.labels.get(method, method),
        "scores": scores,
        "facts": rest,
    }


def _surprise(table: TriageTable, row: int, shown: dict[str, Any]) -> dict[str, Any]:
    if shown["surprise"] is None:
        return {"name": "Surprise", "value": f"undefined: {shown['why']}", "title": ""}
    parts = (shown["confidence"], table.misalignment[row], table.disagreement[row])
    return {
        "name": "Surprise",
        "value": f"{shown['surprise']:.3f} = " + " × ".join(f"{part:.2f}" for part in parts),
        "title": ORDERS["surprise"].formula,
    }
