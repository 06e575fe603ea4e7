"""What a sheet is asked for beyond its image and model: cut, scores, look, a changed picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xaieval.errors import ConfigError
from xaieval.figures.sheet import Look, SheetPanel
from xaieval.metrics import Rules, parse_metric, score, topk_weights
from xaieval.types import Mask, Score

if TYPE_CHECKING:
    from xaieval.study import Results

USUAL = ("topk_overlap", "mass_accuracy", "pointing_game", "iou", "auroc")
"""Scores of a sheet that is scored anew, as the page shows them."""
_TIE = 1e-9


@dataclass(frozen=True, kw_only=True)
class SheetOptions:
    """How the maps of a sheet are cut, scored and drawn.

    Attributes
    ----------
    split : str
        In which the image was scored; "" for the test split where it has one.
    target : str
        "predicted", "label" or a class; "" for the study's own.
    k : int or None
        Pixels of the Top-K; None for the mask's size.
    threshold : float or None
        Cut the min-max normalised maps here, 0 to 1, instead of by K.
    metrics : tuple of str
        Scores, the one that decides who wins first; () for those of the results.
    edit : str
        What is done to the picture first (``edits.parse_edit``); "" for nothing.
    look : Look

    Raises
    ------
    ConfigError
        For a K below 1, a threshold outside 0 to 1, an edit or a score that cannot be read.
    """

    split: str = ""
    target: str = ""
    k: int | None = None
    threshold: float | None = None
    metrics: tuple[str, ...] = ()
    edit: str = ""
    look: Look = field(default_factory=Look)

    def __post_init__(self) -> None:
        from xaieval.edits import parse_edit

        if self.k is not None and self.k < 1:
            raise ConfigError("not a valid K", expected="1 or more pixels", got=self.k)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError("not a valid threshold", expected="0 to 1", got=self.threshold)
        for key in self.metrics:
            parse_metric(key)
        if self.edit:
            parse_edit(self.edit)

    @property
    def scored_anew(self) -> bool:
        """Whether the scores in the results are of something else."""
        return bool(self.k or self.target or self.metrics or self.edit)

    @property
    def keys(self) -> tuple[str, ...]:
        """The scores of a sheet that is scored anew.

        >>> SheetOptions(k=9, metrics=("topk_overlap", "iou")).keys
        ('precision@K=9', 'iou')
        """
        keys = self.metrics or USUAL
        if self.k is None:
            return keys
        return tuple(f"precision@K={self.k}" if key == "topk_overlap" else key for key in keys)


def cut_weights(
    values: npt.NDArray[np.floating], mask: Mask | None, options: SheetOptions
) -> npt.NDArray[np.floating] | None:
    """Return what of a map (H, W) is drawn as its strongest part, in [0, 1]; None for nothing.

    >>> values = np.array([[0.0, 1.0], [3.0, 4.0]])
    >>> cut_weights(values, None, SheetOptions(threshold=0.75)).astype(int).tolist()
    [[0, 0], [1, 1]]
    >>> cut_weights(values, None, SheetOptions(k=1)).astype(int).tolist()
    [[0, 0], [0, 1]]
    """
    if options.threshold is not None:
        low, high = float(values.min()), float(values.max())
        if not high > low:
            return np.zeros(values.shape, np.float32)
        share = (values.astype(np.float64) - low) / (high - low)
        return np.asarray(share >= options.threshold, np.float32)
    k = options.k or (0 if mask is None else int(mask.sum()))
    return topk_weights(values, min(k, values.size)) if k else None


def scored(
    values: npt.NDArray[np.floating], mask: Mask | None, keys: Sequence[str]
) -> dict[str, Score]:
    """Return a map's scores by key; undefined ones with their reason."""
    if mask is None:
        return {key: Score(float("nan"), "no-ground-truth") for key in keys}
    found = score(values[None], mask[None], metrics=list(keys), rules=Rules(), signed="nan")
    return {key: Score(float(found[key][0]), found.reasons[key][0]) for key in keys}


def win_shares_of(scores: dict[str, Score], metric: str) -> dict[str, float]:
    """Return each competitor's share of the win; {} where nobody can win.

    >>> win_shares_of({"a": Score(0.5), "b": Score(0.5), "c": Score(0.1)}, "iou")
    {'a': 0.5, 'b': 0.5, 'c': 0.0}
    """
    higher = parse_metric(metric).higher_is_better
    there = {key: found.value for key, found in scores.items() if not np.isnan(found.value)}
    if higher is None or len(there) < 2:
        return {}
    best = max(there.values()) if higher else min(there.values())
    winners = [key for key, value in there.items() if abs(value - best) <= _TIE]
    return {key: (1 / len(winners) if key in winners else 0.0) for key in there}


def sheet_words(options: SheetOptions, panels: Sequence[SheetPanel], results: Results) -> list[str]:
    """Return the words of ``xaieval sheet`` that ask for the same."""
    words: list[str] = []
    for name, value in (
        ("--split", options.split),
        ("--target", options.target),
        ("--k", options.k),
        ("--threshold", options.threshold),
        ("--metrics", ",".join(options.metrics)),
        ("--edit", options.edit),
    ):
        if value not in ("", None):
            words += [name, str(value)]
    usual = Look()
    for name in ("colormap", "opacity", "show", "scale", "display"):
        if getattr(options.look, name) != getattr(usual, name):
            words += [f"--{name}", str(getattr(options.look, name))]
    shown = [panel.key for panel in panels]
    if shown != list(results.method_ids):
        words += ["--methods", ",".join(shown)]
    return words
