"""Whether the methods of a study really differ, and whether its scores agree about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xaieval.errors import ResultsError, unknown
from xaieval.stats import (
    ALPHA,
    OVERALL,
    Blocks,
    Friedman,
    Nemenyi,
    Pair,
    blocks,
    friedman,
    nemenyi,
    pairwise,
    score_agreement,
)
from xaieval.stats import population as keep
from xaieval.stats.agreement import COLUMNS, Level
from xaieval.stats.blocks import Unit
from xaieval.study.results import Population, Results

Quantity = Literal["score", "win-rate"]


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """The competing methods of a study, tested.

    Attributes
    ----------
    metric, region, split, class_name, population : str
        What was compared; ``class_name`` "overall" takes all classes together.
    quantity : {"score", "win-rate"}
        What a cell of ``blocks`` holds: the mean score, or, of published runs, which keep no
        score of an image, the seed's win rate.
    higher_is_better : bool
    blocks : Blocks
    friedman : Friedman
    nemenyi : Nemenyi or None
        None where there is no test.
    pairs : tuple of Pair
    alpha : float
    """

    metric: str
    region: str
    split: str
    class_name: str
    population: Population
    quantity: Quantity
    higher_is_better: bool
    blocks: Blocks
    friedman: Friedman
    nemenyi: Nemenyi | None
    pairs: tuple[Pair, ...]
    alpha: float = ALPHA

    @property
    def differs(self) -> bool:
        """Whether Friedman's test says that the methods are not all alike."""
        return self.friedman.p < self.alpha

    def rank_table(self) -> pd.DataFrame:
        """Return ``method_id, rank, mean, group``: best first; groups are letters (Nemenyi)."""
        groups = self.nemenyi.groups if self.nemenyi else ()
        means = self.blocks.table.mean()
        rows = [
            {
                "method_id": method,
                "rank": rank,
                "mean": float(means[method]),
                "group": "".join(
                    chr(ord("a") + i) for i, group in enumerate(groups) if method in group
                ),
            }
            for method, rank in sorted(
                zip(self.friedman.methods, self.friedman.ranks, strict=True), key=lambda r: r[1]
            )
        ]
        return pd.DataFrame(rows, columns=["method_id", "rank", "mean", "group"])

    def pair_table(self) -> pd.DataFrame:
        """Return a row per pair: the fields of ``stats.Pair`` and ``p_nemenyi``."""
        rows = [
            vars(pair) | {"p_nemenyi": self.nemenyi.p(pair.a, pair.b) if self.nemenyi else None}
            for pair in self.pairs
        ]
        return pd.DataFrame(rows, columns=[*Pair.__dataclass_fields__, "p_nemenyi"])


def compare_methods(
    results: Results,
    *,
    metric: str = "topk_overlap",
    region: str | None = None,
    population: Population = "correct",
    split: str = "",
    class_name: str = OVERALL,
    unit: Unit = "seed",
    alpha: float = ALPHA,
) -> MethodComparison:
    """Test whether the competing methods differ: Friedman, Nemenyi, Wilcoxon with Holm.

    Parameters
    ----------
    metric, region, population : as for ``Results.win_rates``
    split : str
        Default: the last one, "test" where there is one.
    class_name : str
        "overall" for all classes together.
    unit : {"seed", "image"}
        What counts as one observation (``stats.blocks``). Published runs know seeds only.
    alpha : float
        Level of all three.

    Raises
    ------
    ConfigError
        For an unknown metric, region, split, class or unit.
    ResultsError
        When fewer than two methods compete, the metric is no quality, or published runs are asked
        for what was not published.
    """
    from xaieval.metrics import parse_metric

    if metric not in results.metric_keys:
        raise unknown("metric of these results", metric, results.metric_keys)
    split = split or results.splits[-1]
    if split not in results.splits:
        raise unknown("split of these results", split, results.splits)
    if class_name not in (OVERALL, *results.classes):
        raise unknown("class of these results", class_name, (OVERALL, *results.classes))
    better = parse_metric(metric).higher_is_better
    if better is None:
        raise ResultsError(f"{metric} is no quality of a heatmap", where=results.path)
    quantity: Quantity = "score"
    if results.kind == "published":
        if unit != "seed":
            raise ResultsError(
                "published runs hold no score of an image", where=results.path, fix="compare seeds"
            )
        rates = results.win_rates(metric, population=population)
        here = rates[(rates["split"] == split) & (rates["class"] == class_name)]
        frame = here.rename(columns={"win_rate": "value"}).assign(sample_id="all")
        quantity, better, found = "win-rate", True, ""
    else:
        found = results.region_of(metric, region)
        frame = results.scores(
            metric_key=metric,
            region=found,
            split=split,
            class_name=None if class_name == OVERALL else class_name,
        )
        frame = keep(frame, kind=population).kept
    table = blocks(frame, methods=results.compete, unit=unit)
    tested = friedman(table.table, higher_is_better=better)
    ranks = dict(zip(tested.methods, tested.ranks, strict=True))
    return MethodComparison(
        metric,
        results.named_region(metric, region),
        split,
        class_name,
        population,
        quantity,
        better,
        table,
        tested,
        None if tested.reason else nemenyi(ranks, n_blocks=tested.n_blocks, alpha=alpha),
        pairwise(table.table, higher_is_better=better),
        alpha,
    )


def quality_metrics(results: Results) -> tuple[str, ...]:
    """Return the scored metrics that say better or worse, those of the mask first."""
    from xaieval.errors import ConfigError
    from xaieval.metrics import parse_metric

    found = []
    for key in results.metric_keys:
        try:
            metric = parse_metric(key)
        except ConfigError:  # a score of a package that is not installed here
            continue
        if metric.higher_is_better is not None:
            found.append((metric.whole, key))
    return tuple(key for _, key in sorted(found, key=lambda pair: pair[0]))


def metric_agreement(
    results: Results,
    *,
    region: str | None = None,
    population: Population = "correct",
    split: str = "",
    class_name: str = OVERALL,
    level: Level = "rankings",
    replicates: int = 1000,
) -> pd.DataFrame:
    """Return how far each pair of scores agrees about who is better (``stats.score_agreement``).

    All scores that say better or worse take part: those against the mask and, where the study has
    them, those that ask the model (deletion, insertion, …). Arguments as in ``compare_methods``;
    empty where there are fewer than two scores or methods, and of published runs.

    Raises
    ------
    ConfigError
        For an unknown region, split, class or level.
    """
    from xaieval.metrics import parse_metric

    split = split or results.splits[-1]
    if split not in results.splits:
        raise unknown("split of these results", split, results.splits)
    if class_name not in (OVERALL, *results.classes):
        raise unknown("class of these results", class_name, (OVERALL, *results.classes))
    metrics = quality_metrics(results) if results.kind == "measured" else ()
    if len(metrics) < 2 or len(results.compete) < 2:
        return pd.DataFrame(columns=COLUMNS)
    group = None if class_name == OVERALL else class_name
    frames = [
        results.scores(
            metric_key=key, region=results.region_of(key, region), split=split, class_name=group
        )
        for key in metrics
    ]
    frame = keep(pd.concat(frames, ignore_index=True), kind=population).kept
    there = set(frame["metric_key"])
    metrics = tuple(key for key in metrics if key in there)
    methods = tuple(key for key in results.compete if key in set(frame["method_id"]))
    if len(metrics) < 2 or len(methods) < 2:
        return pd.DataFrame(columns=COLUMNS)
    return score_agreement(
        frame,
        methods=methods,
        metrics=metrics,
        lower_is_better=[k for k in metrics if parse_metric(k).higher_is_better is False],
        level=level,
        replicates=replicates,
    )
