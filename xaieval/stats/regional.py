"""Scores of several regions, image by image, as tables: per region and method, per class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from xaieval.stats.populations import MASK_CAUSES, Frame, PopulationName, need
from xaieval.stats.ratios import Ratios

REGION_COLUMNS = (
    "n",
    "n_images",
    "n_seeds",
    "mean",
    "low",
    "high",
    "std",
    "median",
    "area",
    "lift",
    "lift_low",
    "lift_high",
    "left_out",
    "left_out_by",
)
_NEEDED = ["sample_id", "image", "seed", "region", "method_id", "value", "reason"]


def causes(scores: Frame, *, population: PopulationName = "correct") -> pd.Series[Any]:
    """Return why each row takes no part; None for those that do.

    ``"misclassified"`` (unless the population is "all"), the reason of the mask ("absent-part",
    "empty-mask", …), or the reason for which the score is undefined ("zero-map").

    >>> rows = pd.DataFrame({"correct": [True, False, True], "value": [0.5, 0.5, float("nan")],
    ...                      "reason": [None, None, "absent-part"]})
    >>> causes(rows).tolist(), causes(rows, population="all").tolist()
    ([None, 'misclassified', 'absent-part'], [None, None, 'absent-part'])
    """
    need(scores, ["value", "reason", *(["correct"] if population == "correct" else [])])
    reason = scores["reason"].astype(object).where(scores["reason"].notna(), None)
    why = [
        (of or "undefined") if undefined else None
        for of, undefined in zip(reason, scores["value"].isna(), strict=True)
    ]
    if population == "correct":
        wrong = ~scores["correct"].astype(bool) & ~reason.isin(MASK_CAUSES)
        why = ["misclassified" if w else of for w, of in zip(wrong, why, strict=True)]
    return pd.Series(why, index=scores.index, dtype=object)


def over_images(scores: Frame, *, by: Sequence[str] = ("region", "method_id")) -> Frame:
    """Return one row per image and group: the mean over the seeds in which it takes part.

    Parameters
    ----------
    scores : DataFrame
        Rows that take part: ``sample_id, image, seed, value`` and the columns of ``by``;
        ``area``, where the region's area share is known.
    """
    need(scores, ["sample_id", "image", "seed", "value", *by])
    keys = ["sample_id", "image", *by]
    named = {"value": ("value", "mean"), "n_seeds": ("seed", "nunique")}
    if "area" in scores:
        named["area"] = ("area", "mean")
    return scores.groupby(keys, sort=False, observed=True).agg(**named).reset_index()


def region_table(
    scores: Frame,
    *,
    scale: float | None = 1.0,
    population: PopulationName = "correct",
    by: Sequence[str] = ("region", "method_id"),
) -> Frame:
    """Return the score of every region and method over images, beside what chance would get.

    Parameters
    ----------
    scores : DataFrame
        One row per image, seed, region and method: ``sample_id, image`` (what is drawn anew for
        the interval: the picture, of which there may be several samples), ``seed, region,
        method_id, value, reason``, ``correct`` unless the population is "all", ``area`` (area
        share, 0 to 1).
    scale : float or None
        What a map without information scores on a region of area share 1: 1 for mass accuracy,
        100 for regional precision; None where chance is no multiple of the area: no lift then.
    by : sequence of str
        What a row of the table stands for.

    Returns
    -------
    DataFrame
        The columns of ``by`` and ``REGION_COLUMNS``. Every image counts once, with its mean over
        the seeds in which it takes part: ``n`` (samples), ``n_images``, ``mean``, ``std`` (ddof
        0) and ``median`` over samples, ``area`` (their mean area share). ``low, high``: 95 %
        interval of the mean over images and seeds, both drawn anew. ``lift`` = Σ score / (scale ·
        Σ area), the ratio of means, since a ratio per image explodes where a part has few pixels.
        ``left_out``: samples that take part under no seed; ``left_out_by`` says why, as text.

    >>> rows = pd.DataFrame({"sample_id": list("ab"), "image": list("ab"), "seed": [1, 1],
    ...     "region": ["nose"] * 2, "method_id": ["gradcam"] * 2, "value": [0.2, 0.4],
    ...     "reason": [None, None], "area": [0.1, 0.2], "correct": [True, True]})
    >>> region_table(rows)[["n", "mean", "std", "lift"]].round(3).values.tolist()
    [[2.0, 0.3, 0.1, 2.0]]
    """
    need(scores, [*_NEEDED, *by])
    why = causes(scores, population=population)
    ratios = Ratios(scores["image"], scores["seed"])
    by = list(by)
    whole = scores.assign(cause=why, area=scores.get("area", math.nan))
    if scale is not None:
        whole["chance"] = whole["area"] * scale
    rows: list[dict[str, Any]] = []
    for key, group in whole.groupby(by, sort=False, observed=True):
        part = group[group["cause"].isna()]
        found = over_images(part, by=by)
        row = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        row |= _spread(found, part)
        row["low"], row["high"] = ratios.interval(part, "value")
        row |= {"lift": math.nan, "lift_low": math.nan, "lift_high": math.nan}
        if scale is not None and len(part) and found["area"].sum() > 0:
            row["lift"] = float(found["value"].sum() / (scale * found["area"].sum()))
            row["lift_low"], row["lift_high"] = ratios.interval(part, "value", "chance")
        rows.append(row | _left_out(group, found))
    return pd.DataFrame(rows, columns=[*by, *REGION_COLUMNS])


def _spread(found: Frame, part: Frame) -> dict[str, Any]:
    values = found["value"].to_numpy(np.float64)
    some = bool(values.size)
    return {
        "n": len(found),
        "n_images": int(found["image"].nunique()),
        "n_seeds": int(part["seed"].nunique()),
        "mean": float(values.mean()) if some else math.nan,
        "std": float(values.std()) if some else math.nan,
        "median": float(np.median(values)) if some else math.nan,
        "area": float(found["area"].mean()) if some else math.nan,
    }


def _left_out(group: Frame, found: Frame) -> dict[str, Any]:
    out = group[~group["sample_id"].isin(found["sample_id"])].drop_duplicates("sample_id")
    counts = out["cause"].value_counts(sort=False)
    text = ", ".join(f"{cause} {n}" for cause, n in sorted(counts.items()))
    return {"left_out": len(out), "left_out_by": text}


def cells(
    scores: Frame,
    rates: Frame,
    *,
    population: PopulationName = "correct",
    by: Sequence[str] = ("method_id",),
) -> Frame:
    """Return two scores side by side, a row per group: x of ``scores``, y of ``rates``.

    Used for regional precision against the falsification rate: both tables hold the same images,
    seeds and methods; an image counts where both scores take part.

    Returns
    -------
    DataFrame
        The columns of ``by``, ``x, y`` (means; every image with its mean over seeds), ``low,
        high`` (95 % interval of y over images and seeds), ``n`` samples.
    """
    keys = ["sample_id", "seed", "method_id"]
    parts = []
    for table in (scores, rates):
        need(table, [*_NEEDED, *by])
        parts.append(table[causes(table, population=population).isna()])
    joined = parts[0].merge(
        parts[1][[*keys, "value"]].rename(columns={"value": "y"}), on=keys, how="inner"
    )
    ratios = Ratios(joined["image"], joined["seed"])
    rows: list[dict[str, Any]] = []
    by = list(by)
    for key, group in joined.groupby(by, sort=False, observed=True):
        images = group.groupby("sample_id", sort=False)[["value", "y"]].mean()
        low, high = ratios.interval(group, "y")
        row = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        means = {"x": float(images["value"].mean()), "y": float(images["y"].mean())}
        rows.append(row | means | {"low": low, "high": high, "n": len(images)})
    return pd.DataFrame(rows, columns=[*by, "x", "y", "low", "high", "n"])
