"""Who wins an image, and how often: win shares and win rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.errors import ResultsError, unknown
from xaieval.stats.populations import (
    MASK_CAUSES,
    Frame,
    PopulationName,
    comparison,
    need,
)
from xaieval.stats.populations import population as keep

OVERALL = "overall"
"""The class of rows that take all classes together, image by image."""

TieRule = Literal["split", "first"]
NanRule = Literal["loses", "complete-case"]

# Columns that must not be mixed in one win rate unless asked for.
_ALONE = ("model_id", "region", "metric_key", "rule_digest")


def win_shares(
    scores: Frame,
    *,
    methods: Sequence[str],
    tie_rule: TieRule = "split",
    tolerance: float = 1e-9,
    nan: NanRule = "loses",
) -> Frame:
    """Return each competing method's share of the win, image by image.

    Parameters
    ----------
    scores : DataFrame
        ``sample_id, method_id, value`` and any of ``model_id, seed, fold, split, class, region,
        metric_key, rule_digest``, which tell comparisons of one image apart.
    methods : sequence of str
        Who competes, in order.
    tie_rule : {"split", "first"}
        m methods within ``tolerance`` of the best get 1/m each, or the first in ``methods`` gets
        all (project_iml).
    nan : {"loses", "complete-case"}
        NaN loses to any number; or an image with any NaN is left out. An image whose scores are
        all NaN (or missing) is left out either way.

    Returns
    -------
    DataFrame
        ``[*groups, sample_id, method_id, share]``; the share is NaN where the image is left out.

    Raises
    ------
    ResultsError
        When a column is missing or an image has two scores of one method.
    ConfigError
        When a competing method has no score at all.

    >>> scores = pd.DataFrame({"sample_id": ["a"] * 3, "method_id": ["x", "y", "z"],
    ...                        "value": [0.5, 0.5, 0.1]})
    >>> win_shares(scores, methods=["x", "y", "z"])["share"].tolist()
    [0.5, 0.5, 0.0]
    """
    wide = _wide(scores, methods)
    shares = shares_of(wide.to_numpy(np.float64), tie_rule, tolerance, nan)
    units = wide.index.to_frame(index=False)
    long = units.loc[units.index.repeat(len(methods))].reset_index(drop=True)
    long["method_id"] = list(methods) * len(units)
    return long.assign(share=shares.reshape(-1))


def win_rates(
    scores: Frame,
    *,
    methods: Sequence[str],
    tie_rule: TieRule = "split",
    tolerance: float = 1e-9,
    nan: NanRule = "loses",
    population: PopulationName = "all",
    by: Sequence[str] = ("seed", "split"),
) -> Frame:
    """Return win rates per seed, split, class ("overall": all images together) and method.

    Parameters
    ----------
    scores, methods, tie_rule, tolerance, nan
        As for ``win_shares``; ``scores`` also holds ``class`` and the columns of ``by``, and of one
        metric, region, model and rule unless ``by`` names them.
    population : {"all", "correct"}
        See ``population``; "correct" needs a column ``correct``.
    by : sequence of str
        Denominators are counted per group of these columns. Folds are taken together.

    Returns
    -------
    DataFrame
        ``[*by, class, method_id, win_rate, wins, n, left_out, left_out_by, undefined]``: ``wins``
        is the sum of win shares, ``n`` the images they are shared over, ``left_out`` the images
        that take no part, and ``left_out_by`` why ("empty-mask 4, misclassified 2"). With n = 0
        the rate is NaN. ``undefined`` says why a method that has a score on none of the n images
        has none ("zero-map"; else ''): its rate is 0, since NaN loses. A class of which no image
        has a mask has no row; "overall" counts its images as left out.

    Raises
    ------
    ResultsError
        When a column is missing or several metrics, regions, models or rules are mixed.
    """
    need(scores, [*by, "class", "sample_id", "method_id", "value"])
    for column in _ALONE:
        if column in scores and column not in by and scores[column].nunique(dropna=False) > 1:
            raise ResultsError(
                f"a win rate cannot mix several values of {column}",
                got=", ".join(sorted(map(str, scores[column].unique()))[:4]),
                fix=f"filter the scores by {column}, or add it to by",
            )
    who = keep(scores, kind=population)
    wide = _wide(who.kept, methods)
    units = wide.index.to_frame(index=False)
    units[list(methods)] = shares_of(wide.to_numpy(np.float64), tie_rule, tolerance, nan)
    undefined = units[methods[0]].isna()
    units["cause"] = _undefined(who.kept, units, methods).where(undefined)
    units["row"] = np.arange(len(units))
    known = ~np.isnan(wide.to_numpy(np.float64))
    reasons = _reasons(who.kept, wide)
    units = pd.concat([units, who.left_out[who.left_out["cause"].notna()]], ignore_index=True)
    asks = units.loc[~units["cause"].isin(MASK_CAUSES), "class"].unique()
    listed = pd.concat([units[units["class"].isin(asks)], units.assign(**{"class": OVERALL})])
    rows: list[dict[str, Any]] = []
    for key, group in listed.groupby([*by, "class"], sort=False, observed=True, dropna=False):
        named = dict(zip([*by, "class"], key, strict=True))
        used = group[group["cause"].isna()]
        causes = group["cause"].dropna().value_counts().sort_index()
        here = used["row"].to_numpy(np.int64)
        for at, method in enumerate(methods):
            wins, some = float(used[method].sum()), bool(known[here, at].any())
            why = [text for text in reasons[here, at] if isinstance(text, str)]
            rows.append(
                named
                | {"method_id": method, "win_rate": wins / len(used) if len(used) else math.nan}
                | {"wins": wins, "n": len(used), "left_out": len(group) - len(used)}
                | {"left_out_by": ", ".join(f"{cause} {n}" for cause, n in causes.items())}
                | {"undefined": "" if some or not len(used) else (why or ["no score"])[0]}
            )
    columns = [*by, "class", "method_id", "win_rate", "wins", "n", "left_out", "left_out_by"]
    table = pd.DataFrame(rows, columns=[*columns, "undefined"])
    # seeds ascending, splits and classes as they came, "overall" last
    places = {
        name: pd.factorize(table[name], sort=name == "seed", use_na_sentinel=False)[0]
        for name in by
    }
    order = pd.DataFrame({**places, "last": table["class"] == OVERALL})
    return table.loc[order.sort_values([*by, "last"], kind="stable").index].reset_index(drop=True)


def outcome_counts(shares: Frame) -> Frame:
    """Return how many images each method was counted on, won (alone or tied) and lost.

    Parameters
    ----------
    shares : DataFrame
        As from ``win_shares``: ``split, class, method_id, seed, share``; NaN takes no part.

    Returns
    -------
    DataFrame
        ``split, class, method_id, seed, n, won, lost``, n = won + lost; "overall" takes all
        classes together. n is that of ``win_rates``.

    >>> shares = pd.DataFrame({"split": "test", "class": "c", "method_id": "x", "seed": 1,
    ...                        "share": [1.0, 0.5, 0.0, None]})
    >>> outcome_counts(shares)[["class", "n", "won", "lost"]].values.tolist()
    [['c', 3, 2, 1], ['overall', 3, 2, 1]]
    """
    keys = ["split", "class", "method_id", "seed"]
    need(shares, [*keys, "share"])
    rows = shares.dropna(subset="share")
    rows = pd.concat([rows, rows.assign(**{"class": OVERALL})], ignore_index=True)
    rows = rows.assign(won=rows["share"] > 0)
    grouped = rows.groupby(keys, sort=False, observed=True)["won"]
    found = pd.DataFrame({"n": grouped.count(), "won": grouped.sum()}).astype(np.int64)
    return found.assign(lost=found["n"] - found["won"]).reset_index()


def _wide(scores: Frame, methods: Sequence[str]) -> Frame:
    """Return one row per comparison and one column per method; a missing score is NaN."""
    need(scores, ["sample_id", "method_id", "value"])
    if not methods:
        raise ResultsError("no method competes", fix="name at least one method")
    there = set(scores["method_id"])
    for method in methods:
        if there and method not in there:
            raise unknown("method of these scores", method, map(str, there))
    unit = comparison(scores)
    asked = scores[scores["method_id"].isin(methods)]
    twice = asked.duplicated([*unit, "method_id"])
    if twice.any():
        row = asked[twice].iloc[0]
        raise ResultsError(
            "an image has two scores of one method",
            where=str(row["sample_id"]),
            got=str(row["method_id"]),
            fix="filter by metric, region and rules, or keep the column that tells them apart",
        )
    return asked.pivot(index=unit, columns="method_id", values="value").reindex(
        columns=list(methods)
    )


def shares_of(
    values: npt.NDArray[np.float64], tie_rule: TieRule, tolerance: float, nan: NanRule
) -> npt.NDArray[np.float64]:
    """Return the win shares (images, methods) of scores (images, methods); see ``win_shares``."""
    if tie_rule not in ("split", "first"):
        raise unknown("tie rule", tie_rule, ("split", "first"))
    if nan not in ("loses", "complete-case"):
        raise unknown("rule for NaN", nan, ("loses", "complete-case"))
    missing = np.isnan(values)
    gone = missing.any(axis=1) if nan == "complete-case" else missing.all(axis=1)
    filled = np.where(missing, -np.inf, values)
    best = filled.max(axis=1, initial=-np.inf)
    wins = ~missing & (filled >= (best - tolerance)[:, None])
    if tie_rule == "first":
        wins &= np.cumsum(wins, axis=1) == 1
    shares: npt.NDArray[np.float64] = wins / np.maximum(wins.sum(axis=1), 1)[:, None]
    shares[gone] = np.nan
    return shares


def _reasons(scores: Frame, wide: Frame) -> npt.NDArray[np.object_]:
    """Return why each comparison lacks a method's score, in the places of ``wide``; None: not."""
    if "reason" not in scores:
        return np.full(wide.shape, None, dtype=object)
    found = scores[scores["method_id"].isin(wide.columns)].pivot(
        index=comparison(scores), columns="method_id", values="reason"
    )
    return found.reindex(index=wide.index, columns=wide.columns).to_numpy(object)


def _undefined(scores: Frame, units: Frame, methods: Sequence[str]) -> pd.Series[Any]:
    """Return per comparison the first reason of its scores, for those that end up undefined."""
    if "reason" not in scores:
        return pd.Series("undefined", index=units.index, dtype=object)
    unit = comparison(scores)
    given = scores[scores["method_id"].isin(methods) & scores["reason"].notna()]
    first = given.drop_duplicates(unit)[[*unit, "reason"]]
    return units[unit].merge(first, on=unit, how="left")["reason"].fillna("undefined")
