"""The triage table: every image under every training seed, filtered and put in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.errors import ResultsError, unknown
from xaieval.journal import Marks
from xaieval.metrics import parse_metric
from xaieval.stats.patterns import Thresholds
from xaieval.study import Results
from xaieval.triage.columns import USUAL, Columns
from xaieval.triage.filters import EVERY_ROW, NO_TAGS, Filters, kept
from xaieval.triage.loading import load_rows, load_scores
from xaieval.triage.orders import ORDERS

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TriageTable(Columns):
    """One row per image and training seed: ``Columns``, and the rows in some order."""

    def select(
        self,
        filters: Filters = EVERY_ROW,
        *,
        order: str = "surprise",
        thresholds: Thresholds = USUAL,
        marks: Mapping[str, Marks] = NO_TAGS,
    ) -> Indices:
        """Return the rows that pass, the first to look at first: int64.

        Raises
        ------
        ConfigError
            For an unknown order, split, class, seed or method.
        ResultsError
            When a filter asks for what these results do not have.
        """
        if order not in ORDERS:
            raise unknown("order", order, ORDERS)
        keep = kept(self, filters, thresholds=thresholds, marks=marks)
        ranked = self._ranked(order)
        return ranked[keep[ranked]]

    def _ranked(self, order: str) -> Indices:
        """Return all rows in an order; rows of equal keys stay in the table's order."""

        def make() -> Indices:
            # NaN sorts last, whatever the sign.
            return np.argsort(-ORDERS[order].key(self), kind="stable").astype(np.int64)

        return self._once(("ranked", order, self.method), make)


def open_triage(
    results: Results,
    *,
    metric: str = "topk_overlap",
    region: str | None = None,
    method: str | None = None,
    like: TriageTable | None = None,
) -> TriageTable:
    """Read a results folder into a triage table.

    Only the predictions and one score of all methods are read; what patterns need is read when
    they are first asked for.

    Parameters
    ----------
    metric : str
        Key of a score.
    region : str, optional
        Default: the first of the results.
    method : str, optional
        See ``TriageTable.of``.
    like : TriageTable, optional
        Another table of the same results, whose predictions need not be read again.

    Raises
    ------
    ResultsError
        For published results, which have no rows.
    ConfigError
        For a score, region or method that these results do not have.
    """
    if results.kind == "published":
        raise ResultsError(
            "published results hold no single images",
            where=results.path,
            expected="measured results",
            fix="run the study yourself to look at its images",
        )
    if metric not in results.metric_keys:
        raise unknown("score of these results", metric, results.metric_keys)
    region = results.region_of(metric, region)
    methods = results.method_ids
    shared = like is not None and like.results is results
    rows = like.rows if like is not None and shared else load_rows(results)
    (scores,) = load_scores(results, rows, keys=[(metric, region)], methods=methods)
    table = TriageTable(
        results=results,
        rows=rows,
        metric=parse_metric(metric),
        region=region,
        methods=methods,
        compete=tuple(key for key in results.compete if key in methods),
        scores=scores,
    )
    return table.of(method)
