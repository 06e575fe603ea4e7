"""Shared Interest's eight patterns: how a map, the annotation and the prediction go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.errors import ConfigError, ResultsError

PATTERNS: dict[str, str] = {
    "human-aligned": "right, and the map is the annotated region",
    "sufficient-subset": "right, and the map lies within the region",
    "context-dependent": "right, and the map holds the region and more",
    "sufficient-context": "right, without the region",
    "confuser": "wrong, although the map is the annotated region",
    "insufficient-subset": "wrong, and the map lies within the region",
    "context-confusion": "wrong, and the map holds the region and more",
    "distractor": "wrong, and the map lies elsewhere",
    "unassigned": "none of these",
    "undefined": "the map or the annotation has no score",
}
"""Pattern -> what it says; the first four of correct predictions, the next four of wrong ones."""


@dataclass(frozen=True)
class Thresholds:
    """From where a score counts as high, or as near 0.

    The paper sorts by the scores and draws no lines; these are ours. ``high`` is of the IoU,
    ``covered`` of the two coverages.
    """

    high: float = 0.5
    covered: float = 0.8
    low: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1 or not 0 < self.covered <= 1:
            raise ConfigError(
                "bad thresholds",
                expected="0 <= low < high <= 1 and 0 < covered <= 1",
                got=f"low {self.low}, high {self.high}, covered {self.covered}",
            )


def shared_interest_pattern(
    iou: Any,
    gt_coverage: Any,
    saliency_coverage: Any,
    correct: Any,
    *,
    thresholds: Thresholds = Thresholds(),
) -> npt.NDArray[np.object_]:
    """Return the pattern of each image.

    The tests overlap, so the first that holds decides: IoU >= high, saliency coverage >= covered,
    ground-truth coverage >= covered, IoU <= low; else "unassigned". A NaN passes no test; an
    image without an IoU is "undefined". Every image has exactly one pattern.

    Parameters
    ----------
    iou, gt_coverage, saliency_coverage : float (n,)
    correct : bool (n,)
        Whether the model's prediction is right.
    thresholds : Thresholds

    Returns
    -------
    object array (n,) of the keys of ``PATTERNS``

    Raises
    ------
    ResultsError
        When the arrays differ in length.

    References
    ----------
    Boggust, Hoover, Satyanarayan, Strobelt 2022, Shared Interest, section 4,
    doi:10.1145/3491102.3501965.

    >>> shared_interest_pattern([0.9, 0.2, 0.0], [1, 0.2, 0], [0.9, 1, 0], [True, True, False])
    array(['human-aligned', 'sufficient-subset', 'distractor'], dtype=object)
    """
    codes = pattern_codes(iou, gt_coverage, saliency_coverage, correct, thresholds=thresholds)
    return np.array(list(PATTERNS), dtype=object)[codes]


def pattern_codes(
    iou: Any,
    gt_coverage: Any,
    saliency_coverage: Any,
    correct: Any,
    *,
    thresholds: Thresholds = Thresholds(),
) -> npt.NDArray[np.int8]:
    """Return ``shared_interest_pattern`` as places in ``PATTERNS``, int8 (n,)."""
    scores = [np.asarray(a, np.float64) for a in (iou, gt_coverage, saliency_coverage)]
    right = np.asarray(correct, bool)
    if any(a.shape != right.shape for a in scores) or right.ndim != 1:
        raise ResultsError(
            "scores and predictions differ in number",
            expected=f"({right.size},)",
            got=", ".join(str(a.shape) for a in scores),
        )
    overlap, truth, saliency = scores
    names = list(PATTERNS)
    found = np.full(right.shape, names.index("unassigned"), np.int8)
    # What decides first is written last.
    for place, test in (
        (3, overlap <= thresholds.low),
        (2, truth >= thresholds.covered),
        (1, saliency >= thresholds.covered),
        (0, overlap >= thresholds.high),
    ):
        found[test & right] = place
        found[test & ~right] = place + 4
    found[np.isnan(overlap)] = names.index("undefined")
    return found


def pattern_counts(patterns: Any) -> dict[str, int]:
    """Return how often each pattern occurs, all ten in order; the counts add up to n.

    >>> counts = pattern_counts(["confuser", "confuser", "unassigned"])
    >>> counts["confuser"], counts["distractor"], sum(counts.values())
    (2, 0, 3)
    """
    found = list(patterns)
    for name in found:
        if name not in PATTERNS:
            raise ResultsError("not a pattern", expected=", ".join(PATTERNS), got=repr(name))
    return {name: found.count(name) for name in PATTERNS}
