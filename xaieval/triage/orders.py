"""In which order a queue is worked through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.triage.columns import Columns

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """One order: greatest ``key`` first; rows whose key is NaN come last, in the table's order."""

    id: str
    label: str
    summary: str
    formula: str
    key: Callable[[Columns], Floats]


def _of(kept: npt.NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(kept, values, np.nan)


_LIST = (
    Order(
        "surprise",
        "Most surprising",
        "the model is sure, the maps miss the region, and the methods disagree",
        "confidence × misalignment × disagreement",
        lambda t: t.surprise,
    ),
    Order(
        "wrong-reason",
        "Right for the wrong reason",
        "correct answers, sure of them, whose maps miss the region",
        "confidence × misalignment, of correct answers",
        lambda t: _of(t.rows.correct, t.rows.confidence * t.misalignment),
    ),
    Order(
        "confident-mistake",
        "Confident mistakes",
        "wrong answers, the surest first",
        "confidence, of wrong answers",
        lambda t: _of(~t.rows.correct, t.rows.confidence),
    ),
    Order(
        "aligned-mistake",
        "Wrong in the right place",
        "wrong answers, sure of them, whose maps lie on the region: look at the label",
        "confidence × alignment, of wrong answers",
        lambda t: _of(~t.rows.correct, t.rows.confidence * t.alignment),
    ),
    Order(
        "disagreement",
        "Methods disagree",
        "the widest spread between the competing methods",
        "disagreement",
        lambda t: t.disagreement,
    ),
    Order(
        "lowest-score",
        "Worst score",
        "the least aligned maps first",
        "misalignment",
        lambda t: t.misalignment,
    ),
    Order(
        "highest-score",
        "Best score",
        "the best aligned maps first",
        "alignment",
        lambda t: t.alignment,
    ),
    Order(
        "least-sure",
        "Least sure",
        "the smallest confidence first",
        "1 − confidence",
        lambda t: 1 - t.rows.confidence,
    ),
    Order(
        "image",
        "By image",
        "all seeds of an image beside each other, images by their ids",
        "rank of the image's id, then of the seed",
        lambda t: t.by_image,
    ),
)

ORDERS: dict[str, Order] = {order.id: order for order in _LIST}
"""Every order by its id; the first is the default."""
