"""The columns of a triage table: what makes an image under a training seed worth a look."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from xaieval.errors import ResultsError, unknown
from xaieval.metrics import MetricCall
from xaieval.stats.patterns import Thresholds, pattern_codes
from xaieval.stats.wins import shares_of
from xaieval.study import Results
from xaieval.triage.loading import Rows, Scores, load_scores
from xaieval.triage.normalising import normalised

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
T = TypeVar("T")

PATTERN_METRICS = ("iou", "gt_coverage", "saliency_coverage")
"""The three scores whose comparison makes a Shared Interest pattern."""
USUAL = Thresholds()
"""The patterns' thresholds until somebody moves them."""
TOLERANCE = 1e-9
"""Scores this near to each other are tied, as in win rates."""


@dataclass(frozen=True, eq=False)
class Columns:
    """One row per image and training seed; n rows, M methods, C of them competing.

    Attributes
    ----------
    results : Results
    rows : Rows
        Predictions as columns.
    metric : MetricCall
        The score of all columns here.
    region : str
    methods : tuple of str
        Those that were scored, in the study's order.
    compete : tuple of str
        Those that share the wins.
    scores : Scores
        float64 (n, M), as they were measured.
    method : str or None
        Whose score and alignment a row shows; None: the mean over the competing methods.
    """

    results: Results = field(repr=False)
    rows: Rows = field(repr=False)
    metric: MetricCall = field(repr=False)
    region: str
    methods: tuple[str, ...]
    compete: tuple[str, ...]
    scores: Scores = field(repr=False)
    method: str | None = None
    _held: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, method: str | None) -> Self:
        """Return the same table with another method's score and alignment; nothing is read.

        Raises
        ------
        ConfigError
            For a method that was not scored.
        """
        if method is not None and method not in self.methods:
            raise unknown("method of these results", method, self.methods)
        return self if method == self.method else dataclasses.replace(self, method=method)

    # ---------------------------------------------------------------- what there is

    @property
    def study(self) -> str:
        """The study's id, under which the journal keeps tags."""
        return self.results.study.id

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(np.unique(self.rows.seed).tolist())

    @cached_property
    def pattern_metrics(self) -> tuple[str, ...]:
        """The keys of IoU and both coverages under one binarisation; () when not all are there."""
        there = self.results.metric_keys
        endings = [key[len("iou") :] for key in there if key == "iou" or key.startswith("iou[")]
        for ending in sorted(endings, key=bool):
            keys = tuple(name + ending for name in PATTERN_METRICS)
            if all(key in there for key in keys):
                return keys
        return ()

    @property
    def pattern_method(self) -> str:
        """Whose pattern a row shows: the chosen method, else the first that competes."""
        return self.method or (*self.compete, *self.methods)[0]

    # ---------------------------------------------------------------- columns (n,)

    @cached_property
    def score(self) -> Floats:
        """The chosen method's score, or the mean over the competing methods that have one."""
        return self._one(self.scores.values)

    @cached_property
    def normalised(self) -> Floats:
        """Scores on a common scale, (n, M): 0 is the worst, 1 the best (``normalising.py``)."""
        return self._once(
            "normalised",
            lambda: normalised(
                self.scores.values,
                metric=self.metric,
                pool=[self.methods.index(key) for key in self.compete],
            ),
        )

    @cached_property
    def alignment(self) -> Floats:
        """The normalised score, of the chosen method or the mean over the competing ones."""
        return self._one(self.normalised)

    @cached_property
    def misalignment(self) -> Floats:
        """1 − alignment."""
        return 1 - self.alignment

    @cached_property
    def disagreement(self) -> Floats:
        """Largest minus smallest normalised score of the competing methods that have one.

        NaN where fewer than two have one.
        """
        return self._once("disagreement", lambda: _spread(self._competing(self.normalised)))

    @cached_property
    def surprise(self) -> Floats:
        """confidence × misalignment × disagreement, each in 0..1."""
        return self.rows.confidence * self.misalignment * self.disagreement

    @cached_property
    def by_image(self) -> Floats:
        """Greatest for the first image and seed, so that images come by their ids."""

        def make() -> Floats:
            place = np.argsort(np.argsort(np.array(self.rows.samples, dtype=object)))
            order = np.lexsort((self.rows.fold, self.rows.seed, place[self.rows.sample]))
            rank = np.empty(len(order))
            rank[order] = np.arange(len(order))
            return -rank

        return self._once("by_image", make)

    def why(self, row: int) -> str:
        """Return why a row has no surprise; '' when it has one."""
        if not np.isnan(self.surprise[row]):
            return ""
        if self.metric.higher_is_better is None:
            return "no-direction"
        asked = [self.method] if self.method else list(self.compete)
        codes = [int(self.scores.reason[row, self.methods.index(key)]) for key in asked]
        reasons = [self.scores.reasons[code] for code in codes if code]
        if np.isnan(self.alignment[row]):
            return reasons[0] if reasons else "not-scored"
        return "one-method"

    def patterns(self, thresholds: Thresholds = USUAL) -> npt.NDArray[np.int8]:
        """Return the pattern method's Shared Interest patterns: places in ``PATTERNS``, (n,).

        Raises
        ------
        ResultsError
            When IoU and both coverages were not scored under one binarisation.
        """
        method = self.pattern_method
        # Only the last thresholds are kept: a slider has very many.
        last = self._held.get(("patterns", method))
        if last is not None and last[0] == thresholds:
            held: npt.NDArray[np.int8] = last[1]
            return held
        iou, truth, saliency = self._once(("overlaps", method), lambda: self._overlaps(method))
        found = pattern_codes(iou, truth, saliency, self.rows.correct, thresholds=thresholds)
        self._held["patterns", method] = thresholds, found
        return found

    def _overlaps(self, method: str) -> list[Floats]:
        if not self.pattern_metrics:
            raise ResultsError(
                "these results have no Shared Interest patterns",
                where=self.results.path,
                expected=f"the scores {', '.join(PATTERN_METRICS)}",
                got=", ".join(self.results.metric_keys),
                fix="add them to the study's [score] metrics and run it again",
            )
        # A score that needs the model is of the whole map; patterns are of a region.
        region = self.region if self.region in self.results.regions else self.results.regions[0]
        found = load_scores(
            self.results,
            self.rows,
            keys=[(key, region) for key in self.pattern_metrics],
            methods=[method],
        )
        return [scores.values[:, 0] for scores in found]

    def wins(
        self,
        *,
        tie_rule: Literal["split", "first"] = "split",
        population: Literal["correct", "all"] = "correct",
    ) -> Floats:
        """Return the competing methods' shares of each row's win, (n, C); NaN: not counted.

        Over the rows of a seed, split and class, their mean is the win rate of
        ``Results.win_rates``: the same function shares the wins.

        Raises
        ------
        ResultsError
            When the score is no quality, so that nobody can win by it.
        """
        better = self.metric.higher_is_better
        if better is None:
            raise ResultsError(
                f"{self.metric.key} is no quality of a heatmap, so nobody can win by it",
                where=self.results.path,
                fix="choose another score",
            )

        def make() -> Floats:
            values = self._competing(self.scores.values) * (1.0 if better else -1.0)
            shares = shares_of(values, tie_rule, TOLERANCE, "loses")
            if population == "correct":
                shares[~self.rows.correct] = np.nan
            return shares

        return self._once(("wins", tie_rule, population), make)

    def find(self, image: str, seed: int | None = None) -> int | None:
        """Return the row of an image (its sample id or url id) and seed; None: the first seed."""
        found = self.rows.of_sample(image)
        if seed is not None:
            found = found[self.rows.seed[found] == seed]
        return int(found[0]) if len(found) else None

    # ---------------------------------------------------------------- helpers

    def _competing(self, values: Floats) -> Floats:
        return values[:, [self.methods.index(key) for key in self.compete]]

    def _one(self, values: Floats) -> Floats:
        """Return the chosen method's column, or the mean over the competing ones without NaN."""
        if self.method is not None:
            return values[:, self.methods.index(self.method)]
        asked = self._competing(values)
        there = ~np.isnan(asked)
        n = there.sum(axis=1)
        sums = np.where(there, asked, 0).sum(axis=1)
        return np.where(n > 0, sums / np.maximum(n, 1), np.nan)

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was worked out under a key; views of other methods share it."""
        if key not in self._held:
            self._held[key] = make()
        found: T = self._held[key]
        return found


def _spread(values: Floats) -> Floats:
    """Return largest minus smallest of each row, without NaN; NaN for fewer than two numbers."""
    there = ~np.isnan(values)
    high = np.where(there, values, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(there, values, np.inf).min(axis=1, initial=np.inf)
    enough = there.sum(axis=1) > 1
    return np.where(enough, np.where(enough, high, 0) - np.where(enough, low, 0), np.nan)
