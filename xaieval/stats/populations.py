"""Who takes part in a comparison, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xaieval.errors import ResultsError, unknown

Frame = pd.DataFrame
PopulationName = Literal["correct", "all"]
MASK_CAUSES = ("no-ground-truth", "empty-mask", "absent-part")
"""Reasons of the mask, not of the heatmap: such an image asks no question."""

# What tells one heatmap comparison from another, beside the sample itself.
_UNIT = ["model_id", "seed", "fold", "split", "class", "region", "metric_key", "rule_digest"]


@dataclass(frozen=True, eq=False)
class Population:
    """Who takes part in a comparison, and who does not.

    Attributes
    ----------
    kept : DataFrame
        The rows that take part, columns as they came.
    left_out : DataFrame
        One row per image (and seed, split, ...) left out, with ``cause``: a mask's reason
        ("no-ground-truth", "empty-mask", "absent-part") or "misclassified"; the first that holds.
    """

    kept: Frame
    left_out: Frame

    @property
    def counts(self) -> dict[str, int]:
        """Cause -> number of images left out for it."""
        return {str(k): int(v) for k, v in self.left_out["cause"].value_counts(sort=False).items()}


def population(frame: Frame, *, kind: PopulationName = "correct") -> Population:
    """Keep the images that a comparison is about.

    Parameters
    ----------
    frame : DataFrame
        Predictions or scores: ``sample_id``; ``correct`` (bool) where ``kind`` is "correct";
        ``reason`` where it should be known that a mask is empty or missing.
    kind : {"correct", "all"}
        "correct": correctly classified images with a mask, as project_iml does; "all": every
        image with a mask.

    Raises
    ------
    ResultsError
        When a column is missing.
    ConfigError
        For an unknown kind.

    >>> frame = pd.DataFrame({"sample_id": ["a", "b", "c"], "correct": [True, False, True],
    ...                       "reason": [None, None, "empty-mask"]})
    >>> population(frame).kept["sample_id"].tolist(), population(frame).counts
    (['a'], {'misclassified': 1, 'empty-mask': 1})
    """
    if kind not in ("correct", "all"):
        raise unknown("population", kind, ("correct", "all"))
    need(frame, ["sample_id", *(["correct"] if kind == "correct" else [])])
    cause = pd.Series(None, index=frame.index, dtype=object)
    if kind == "correct":
        cause[~frame["correct"].astype(bool)] = "misclassified"
    if "reason" in frame:
        of_mask = frame["reason"].isin(MASK_CAUSES)
        cause[of_mask] = frame["reason"][of_mask]
    out = cause.notna()
    unit = comparison(frame)
    left_out = frame.loc[out, unit].assign(cause=cause[out]).drop_duplicates(unit)
    return Population(frame[~out].reset_index(drop=True), left_out.reset_index(drop=True))


def need(frame: Frame, columns: Sequence[str]) -> None:
    """Raise a ResultsError that names the columns a table lacks."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ResultsError(f"the table lacks {', '.join(missing)}", expected=", ".join(columns))


def comparison(frame: Frame) -> list[str]:
    """Return the columns that tell one comparison of heatmaps from another."""
    return [*(name for name in _UNIT if name in frame.columns), "sample_id"]
