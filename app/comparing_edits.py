"""What an edit changed, as lines of a small table: prediction, classes, scores, fills."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xaieval.backend import Answer
from xaieval.digest import digest
from xaieval.edits import Edit
from xaieval.types import Score

from .scorecard import metric_label, value_text
from .subjects import Edited

if TYPE_CHECKING:
    from .composing import Wish

MOST_CLASSES = 4


def change_text(before: float, after: float, *, decimals: int = 2) -> str:
    """Return a difference with its sign; a true minus, and nothing else than 0 for none.

    >>> change_text(0.93, 0.12), change_text(0.5, 0.75), change_text(0.5, 0.501)
    ('−0.81', '+0.25', '0.00')
    """
    value = round(after - before, decimals)
    if value == 0:
        return f"{0:.{decimals}f}"
    return f"{'+' if value > 0 else chr(0x2212)}{abs(value):.{decimals}f}"


def place_text(edit: Edit, labels: Mapping[str, str]) -> str:
    """Return in words what an edit is about."""
    if edit.topk:
        return f"the {edit.k} strongest pixels of {labels.get(edit.topk, edit.topk)}"
    return edit.region or "the brushed part"


def edit_text(edit: Edit, labels: Mapping[str, str]) -> str:
    """Return an edit in words.

    >>> edit_text(Edit("erase", "blur", region="mouth"), {})
    'mouth erased (blur)'
    """
    done = "erased" if edit.kind == "erase" else "kept alone"
    return f"{place_text(edit, labels)} {done} ({edit.fill})"


def prediction_fact(wish: Wish, before: Answer, after: Answer) -> dict[str, str]:
    """Return the prediction before and after an edit for the line on top."""
    same = before.predicted_name == after.predicted_name
    fact = {
        "name": "Predicted",
        "value": after.predicted_name
        if same
        else f"{before.predicted_name} → {after.predicted_name}",
    }
    fact["note"] = f"{before.confidence:.2f} → {after.confidence:.2f}"
    if same:
        fact["note"] += f" ({change_text(before.confidence, after.confidence)})"
    else:
        was, now = _probability(before, before), _probability(after, before)
        fact["note"] += f" · {before.predicted_name} {change_text(was, now)}"
    if wish.label:
        right = after.predicted_name == wish.label
        fact |= {"mark": "✓ correct" if right else "✗ wrong", "kind": "right" if right else "wrong"}
    return fact


def _probability(answer: Answer, before: Answer) -> float:
    """Return the probability in one answer of what another one predicted."""
    if before.predicted < 0:
        return 1 - float(answer.probabilities[before.asked])
    return float(answer.probabilities[before.predicted])


def class_rows(before: Answer, after: Answer, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the classes whose probability matters: predicted, explained, and what moved most."""
    moved = np.abs(after.probabilities - before.probabilities)
    first = [before.predicted, after.predicted, before.target, after.target]
    order = dict.fromkeys([c for c in first if c >= 0] + np.argsort(-moved, kind="stable").tolist())
    rows = []
    for index in list(order)[:MOST_CLASSES]:
        was, now = float(before.probabilities[index]), float(after.probabilities[index])
        rows.append(
            {
                "kind": "class",
                "name": names[index],
                "note": "explained" if index == after.target else "",
                "before": f"{was:.3f}",
                "after": f"{now:.3f}",
                "change": change_text(was, now, decimals=3),
                "from": was,
                "to": now,
            }
        )
    return rows


def score_rows(
    before: Mapping[str, Score], after: Mapping[str, Score], labels: Mapping[str, str], metric: str
) -> list[dict[str, Any]]:
    """Return each method's ranking score before and after; undefined ones as a dash."""
    rows = []
    for key in after:
        was = before.get(key, Score(math.nan, "not-defined-for-model")).value
        now = after[key].value
        both = not (math.isnan(was) or math.isnan(now))
        rows.append(
            {
                "kind": "score",
                "name": labels[key],
                "note": metric_label(metric),
                "before": "–" if math.isnan(was) else value_text(metric, was),
                "after": "–" if math.isnan(now) else value_text(metric, now),
                "change": change_text(was, now, decimals=3) if both else "",
            }
        )
    return rows


def edit_key(wish: Wish) -> str:
    """Return what tells edited views apart in the browser."""
    return digest(*map(str, wish.asked))[:12]


def edit_view(wish: Wish, edited: Edited, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what the panel says of an edit whatever comes of it."""
    assert wish.edit is not None
    return {
        "text": wish.edit.text,
        "key": edit_key(wish),
        "said": edit_text(wish.edit, labels),
        "share": f"{edited.share:.1%} of the image replaced",
        "note": edited.note,
    }


def fill_rows(before: Answer, found: Mapping[str, Answer]) -> dict[str, Any]:
    """Return for each fill the probability of what was predicted before the edit."""
    was = before.confidence
    rows = []
    for fill, answer in found.items():
        now = _probability(answer, before)
        rows.append(
            {
                "fill": fill,
                "after": f"{now:.2f}",
                "to": now,
                "change": change_text(was, now),
                "predicted": answer.predicted_name,
            }
        )
    return {"of_class": before.predicted_name, "before": f"{was:.2f}", "from": was, "rows": rows}
