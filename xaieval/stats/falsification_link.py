"""Does the falsification rate tell regional precision? Three levels, and the study's own rule.

The regional study on CelebAMask-HQ expected r ≈ −0.85 between both, over five methods. Five points
can hardly show that: p < 0.01 needs |r| >= 0.96. Cells of method and class are more points, but not
independent ones; and only images within one method leave out what methods have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from xaieval.errors import ResultsError
from xaieval.stats.clusters import ClusteredCorrelation, clustered_correlation
from xaieval.stats.correlation import Correlation, Kind, correlation
from xaieval.stats.intervals import CONFIDENCE, REPLICATES
from xaieval.stats.populations import Frame, need

MAIN_TEXT, APPENDIX, FUTURE_WORK = "main text", "appendix", "future work"


def study_verdict(r: float, p: float) -> str:
    """Return where the study would have put a correlation of this strength, by its own rule.

    r < −0.65 and p < 0.01: "main text"; else r < −0.50: "appendix"; else, and where there is no
    correlation (NaN): "future work".

    >>> study_verdict(-0.85, 0.004), study_verdict(-0.85, 0.07), study_verdict(-0.3, 0.001)
    ('main text', 'appendix', 'future work')
    """
    if r < -0.65 and p < 0.01:
        return MAIN_TEXT
    return APPENDIX if r < -0.50 else FUTURE_WORK


@dataclass(frozen=True, eq=False)
class Level:
    """The correlation of means.

    Attributes
    ----------
    points : DataFrame
        ``method_id`` (and ``class``), ``rate`` (mean falsification, 0 to 1), ``precision`` (its
        mean), ``n_rate, n_precision`` (values behind the means).
    pearson, spearman : Correlation
    """

    points: Frame
    pearson: Correlation
    spearman: Correlation

    @property
    def verdict(self) -> str:
        """``study_verdict`` of Pearson's r."""
        return study_verdict(self.pearson.r, self.pearson.p)


@dataclass(frozen=True, eq=False)
class FalsificationLink:
    """Falsification against regional precision on three levels.

    Attributes
    ----------
    over_methods, over_cells : Level
        A point is a method, or a method × class. A negative r is what the study expected.
    within : mapping method -> ClusteredCorrelation
        Over the images of one method: the margin d_high − d_low against precision. The margin is
        large where the rate is small, so the study's claim is a positive r here.
    """

    over_methods: Level
    over_cells: Level
    within: Mapping[str, ClusteredCorrelation]


def link_table(
    scores: Frame, *, rate: str, margin: str, precision: str, region: str | None = None
) -> Frame:
    """Return scores in long form as one row per seed, image and method.

    Parameters
    ----------
    scores : DataFrame
        ``sample_id, method_id, metric_key, value``; ``seed``, ``class`` and ``region`` where there
        are several.
    rate, margin, precision : str
        Metric keys: of falsification (0 or 1), its margin, and regional precision.
    region : str, optional
        Of the precision; the other two are of the whole map.

    Returns
    -------
    DataFrame
        ``[seed,] sample_id, [class,] method_id, rate, margin, precision``; NaN where there is no
        value.

    Raises
    ------
    ResultsError
        When a column or a metric is missing, or an image has two values of one.
    """
    need(scores, ["sample_id", "method_id", "metric_key", "value", *(["region"] if region else [])])
    unit = [n for n in ("seed", "sample_id", "class", "method_id") if n in scores]
    found = scores[scores["metric_key"].isin([rate, margin, precision])][unit].drop_duplicates()
    for name, key in (("rate", rate), ("margin", margin), ("precision", precision)):
        part = scores[scores["metric_key"] == key]
        if name == "precision" and region is not None:
            part = part[part["region"] == region]
        if part.empty:
            raise ResultsError(f"the scores lack {key}", where=region or "metric_key")
        if part.duplicated(unit).any():
            raise ResultsError(
                f"an image has two values of {key}", fix="name the region, or filter the scores"
            )
        part = part[[*unit, "value"]].rename(columns={"value": name})
        found = found.merge(part, on=unit, how="left")
    return found


def falsification_link(
    table: Frame,
    *,
    methods: Sequence[str] | None = None,
    cluster: str = "sample_id",
    kind: Kind = "spearman",
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    rng: int = 0,
) -> FalsificationLink:
    """Return how falsification and regional precision go together.

    Parameters
    ----------
    table : DataFrame
        As from ``link_table``; without ``class`` the cells are the methods.
    methods : sequence of str, optional
        Default: all, in the order of the table. Baselines are points like any other; leave them
        out for the study's five.
    cluster : str
        Column of what is resampled within a method: the image, however many rows it has.
    kind : {"spearman", "pearson"}
        Within methods.

    Raises
    ------
    ResultsError
        When a column is missing or a method has no rows.
    """
    need(table, ["method_id", "rate", "margin", "precision", cluster])
    names = list(methods) if methods is not None else list(dict.fromkeys(table["method_id"]))
    for name in names:
        if name not in set(table["method_id"]):
            raise ResultsError(f"no rows of the method {name!r}")
    asked = table[table["method_id"].isin(names)]
    cells = ["method_id", *(["class"] if "class" in table else [])]
    within = {
        name: clustered_correlation(
            asked[asked["method_id"] == name],
            "margin",
            "precision",
            cluster=cluster,
            kind=kind,
            replicates=replicates,
            confidence=confidence,
            rng=rng,
        )
        for name in names
    }
    return FalsificationLink(
        _level(asked, ["method_id"], confidence), _level(asked, cells, confidence), within
    )


def _level(table: Frame, keys: list[str], confidence: float) -> Level:
    points: Frame = (
        table.groupby(keys, sort=False, observed=True)
        .agg(
            rate=("rate", "mean"),
            precision=("precision", "mean"),
            n_rate=("rate", "count"),
            n_precision=("precision", "count"),
        )
        .reset_index()
    )
    x, y = points["rate"], points["precision"]
    return Level(
        pd.DataFrame(points),
        correlation(x, y, kind="pearson", confidence=confidence),
        correlation(x, y, kind="spearman", confidence=confidence),
    )
