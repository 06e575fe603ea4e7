"""The scores of an experiment as tables: precision by region, of the deciding region, FR."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from xaieval.datasets import ATTRIBUTE_REGIONS
from xaieval.reproduce.celebamask_regions.plans import (
    REGIONAL,
    REGIONS,
    RULES,
    SHAPES,
    Settings,
    falsifications,
)

if TYPE_CHECKING:
    from xaieval.study import Results

Frame = pd.DataFrame
UNIT = ["seed", "sample_id", "image", "class", "correct", "method_id"]
FALSIFIED = ("falsified", "margin", "violations", "high", "low")


@dataclass(frozen=True, eq=False)
class Measured:
    """The scores of one experiment; every table has the columns of ``UNIT``.

    Attributes
    ----------
    regional : mapping metric -> DataFrame
        Also ``region, value, reason, area``; area is a share of the picture, 0 to 1.
    shape : DataFrame
        ``spatial_coherence, n_components``.
    falsified : mapping rule -> DataFrame
        ``falsified, margin, violations, high, low``, and ``inverted``: whether the inverted map
        is falsified.
    """

    regional: dict[str, Frame]
    shape: Frame
    falsified: dict[str, Frame]

    @property
    def precision(self) -> Frame:
        return self.regional["regional_precision"]

    @property
    def methods(self) -> tuple[str, ...]:
        """Method keys, in the order of the study."""
        return tuple(dict.fromkeys(self.precision["method_id"]))

    def key(self, method: str) -> str:
        """Return the key of a method's id."""
        return next(key for key in self.methods if key.partition("[")[0] == method)

    def keys(self, names: Iterable[str]) -> list[str]:
        return [self.key(name) for name in names]


def read(results: Results, settings: Settings, wanted: Sequence[str]) -> Measured:
    """Return the scores of some samples (pairs of image and attribute) of a results folder."""
    from xaieval.metrics import resolve_metrics
    from xaieval.study.regional import regional_scores

    def scores(metric: str, regions: Sequence[str]) -> Frame:
        found = regional_scores(results, metric, regions=regions, split="test")
        return found[found["sample_id"].isin(set(wanted))].reset_index(drop=True)

    keys = [call.key for call in resolve_metrics(falsifications(settings))]
    tables = {}
    for number, rule in enumerate(RULES):
        own = keys[number * len(FALSIFIED) : (number + 1) * len(FALSIFIED)]
        parts = {name: scores(key, ()) for name, key in zip(FALSIFIED, own, strict=True)}
        tables[rule] = side_by_side(parts)
    return Measured(
        {name: scores(name, REGIONS) for name in REGIONAL},
        side_by_side({name: scores(name, REGIONS[:1]) for name in SHAPES}),
        {rule: with_inverse(table) for rule, table in tables.items()},
    )


def side_by_side(parts: dict[str, Frame]) -> Frame:
    """Return scores of the same maps as columns of one table."""
    columns = {name: part.set_index(UNIT)["value"] for name, part in parts.items()}
    return pd.DataFrame(columns).reset_index()


def with_inverse(table: Frame) -> Frame:
    """Return a table of falsification with what becomes of the inverted maps.

    Turning a map upside down exchanges its high and its low pixels, so its margin is the margin
    negated and nothing more has to be run. Under the area-matched rule each set keeps the draws of
    pixels that it had.

    >>> with_inverse(pd.DataFrame({"margin": [0.2, 0.0, -0.1]}))["inverted"].tolist()
    [1.0, 1.0, 0.0]
    """
    inverted = (table["margin"] >= 0).astype(float).where(table["margin"].notna())
    return table.assign(inverted=inverted)


def deciding(precision: Frame) -> Frame:
    """Return the precision and the area share of the parts that decide each sample's attribute.

    Both are sums over these parts (parts do not overlap). An absent part adds nothing; where none
    is there, or the map is zero, the value is NaN.
    """
    pairs = [(name, part) for name, parts in ATTRIBUTE_REGIONS.items() for part in parts]
    own = precision.merge(pd.DataFrame(pairs, columns=["class", "region"]), on=["class", "region"])
    groups = own.groupby(UNIT, sort=False, observed=True)[["value", "area"]]
    found = groups.sum(min_count=1).reset_index()
    return found.assign(share=100 * found["area"])


def correct(frame: Frame) -> Frame:
    """Return the rows of samples whose attribute the network found."""
    return frame[frame["correct"].astype(bool)]


def of(frame: Frame, method: str) -> Frame:
    """Return one method's rows."""
    return frame[frame["method_id"] == method]


def lifts(precision: Frame, parts: Sequence[str]) -> Frame:
    """Return the lift of each part: Σ precision / Σ area share over the samples of each class.

    Returns
    -------
    DataFrame
        ``class, method_id, region, lift, n``.
    """
    rows = precision[precision["region"].isin(parts) & precision["value"].notna()]
    groups: Any = rows.groupby(["class", "method_id", "region"], sort=False, observed=True)
    table = groups.agg(value=("value", "sum"), area=("area", "sum"), n=("value", "size"))
    found: Frame = table.assign(lift=table["value"] / (100 * table["area"])).reset_index()
    return found


def specific(precision: Frame, *, within_image: bool) -> Frame:
    """Return how much more a region gets where it decides than where something else does.

    Faces get more of any map than the background does, so a map may lie on the deciding region
    and yet say nothing about the attribute. Here the precision of the region less its area share
    is compared with the mean of the same over the method's maps of attributes that other parts
    decide: of the same image, or (where an image has one map) of all images.

    Returns
    -------
    DataFrame
        The columns of ``UNIT``, ``own``, ``others``, ``value`` (their difference, %).
    """
    rows = precision[precision["region"].isin({p for ps in ATTRIBUTE_REGIONS.values() for p in ps})]
    rows = rows.assign(beyond=rows["value"] - 100 * rows["area"])
    wide = rows.pivot(index=UNIT, columns="region", values="beyond")
    known = rows.assign(there=rows["value"].notna()).groupby(UNIT)["there"].any()
    wide = wide[known.reindex(wide.index)].fillna(0.0).reset_index()
    groups = ["seed", "method_id", *(["image"] if within_image else [])]
    found = []
    for name, parts in ATTRIBUTE_REGIONS.items():
        # An absent part has no precision and no area: it adds nothing.
        table = wide.assign(own=wide[[p for p in parts if p in wide]].sum(axis=1))
        apart = [
            other for other, theirs in ATTRIBUTE_REGIONS.items() if not set(theirs) & set(parts)
        ]
        means = table[table["class"].isin(apart)].groupby(groups)["own"].mean()
        mine = table[table["class"] == name]
        found.append(mine[[*UNIT, "own"]].merge(means.rename("others"), on=groups, how="left"))
    table = pd.concat(found, ignore_index=True)
    return table.assign(value=table["own"] - table["others"])
