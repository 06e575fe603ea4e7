"""What became of each claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xaieval.datasets import ATTRIBUTE_REGIONS
from xaieval.methods import METHODS
from xaieval.outcomes import Claim, Finding, judged, untested
from xaieval.reproduce.celebamask_regions.claims import LEAST_SHARE, ONE_NINETEENTH
from xaieval.reproduce.celebamask_regions.measured import (
    Frame,
    Measured,
    correct,
    deciding,
    of,
)
from xaieval.reproduce.celebamask_regions.plans import BASELINES, CLASSES, COMPETE, SALT, STUDIED
from xaieval.stats.bootstrap import draws, two_way
from xaieval.stats.clusters import ClusteredCorrelation
from xaieval.stats.contrasts import Contrast, contrast
from xaieval.stats.correlation import Correlation
from xaieval.stats.falsification_link import (
    MAIN_TEXT,
    FalsificationLink,
    falsification_link,
    study_verdict,
)
from xaieval.stats.intervals import percentiles
from xaieval.stats.split_half import SplitHalf, halves, split_half_best

_DRAWS = 1000


def label(key: str) -> str:
    """Return a method's name; a pooling that is not its own stays visible.

    >>> label("lime[n_samples=200]"), label("lime[n_samples=200,pooling=sum,abs]")
    ('LIME', 'LIME, both signs')
    """
    name = METHODS[key.partition("[")[0]].label
    return f"{name}, both signs" if "pooling=sum,abs" in key else name


def n_text(found: Contrast, *, what: str = "samples") -> str:
    """Return what a contrast rests on; ``n_images`` counts what was drawn as one."""
    seeds = f"{found.n_seeds} seed{'' if found.n_seeds == 1 else 's'}"
    return f"{seeds} × {found.n_images} {what}, {found.n} values"


def compared(claim: Claim, found: Contrast, unit: str, *, what: str = "images") -> Finding:
    """Return the finding of "the first is greater"."""
    why = (
        f"{found.mean_a:.3g} against {found.mean_b:.3g}; "
        f"so in {found.seeds_for} of {found.n_seeds} seeds"
    )
    return judged(
        claim,
        value=found.difference,
        low=found.low,
        high=found.high,
        n=n_text(found, what=what),
        unit=unit,
        why=why,
    )


# ---------------------------------------------------------------- the best method


def best_method(measured: Measured, candidates: Sequence[str] = ()) -> SplitHalf | None:
    """Choose the method with the best precision of the deciding region on half of the images.

    Candidates are method keys; default: the study's four. None when no image of that half has a
    score of every method.
    """
    from xaieval.errors import ResultsError

    try:
        return split_half_best(
            correct(deciding(measured.precision)),
            methods=candidates or measured.keys(COMPETE),
            baselines=measured.keys(BASELINES),
            salt=SALT,
            group="image",
        )
    except ResultsError:
        return None


def testing_half(frame: Frame) -> Frame:
    """Return the rows of the images that the best method was not chosen on."""
    _, second = halves(frame["image"].astype(str), salt=SALT)
    return frame[frame["image"].isin(second)]


def of_best(
    claims: Mapping[str, Claim],
    measured: Measured,
    best: SplitHalf | None,
    *,
    what: str = "images",
) -> list[Finding]:
    """Judge what is said of the chosen method: against baselines, inverse and random maps."""
    beats = [f"best-beats-{name.replace('_', '-')}" for name in BASELINES]
    less = ["falsified-less-than-inverse", "falsified-less-than-random"]
    if best is None:
        why = "no image has a score of every method to choose from"
        return [untested(claims[name], why) for name in (*beats, *less)]
    name = label(best.chosen)
    found = [
        compared(
            claims[claim], best.against[key], f"difference of precision, % ({name})", what=what
        )
        for claim, key in zip(beats, measured.keys(BASELINES), strict=True)
    ]
    rows = testing_half(correct(measured.falsified["area-matched"]))
    own = of(rows, best.chosen)
    others = own.assign(value=own["inverted"]), of(rows, measured.key("random"))
    for claim, other in zip(less, others, strict=True):
        other = other.assign(value=other.get("value", other["falsified"]))
        difference = contrast(other, own.assign(value=own["falsified"]), cluster="image")
        found.append(compared(claims[claim], difference, f"difference of FR ({name})", what=what))
    return found


# ---------------------------------------------------------------- falsification and precision


def link(measured: Measured, rule: str, *, precision: Frame | None = None) -> FalsificationLink:
    """Return FR against the precision of the deciding region, over the study's five methods."""
    own = correct(deciding(measured.precision) if precision is None else precision)
    keys = ["seed", "sample_id", "method_id"]
    table = correct(measured.falsified[rule]).merge(own[[*keys, "value"]], on=keys, how="left")
    table = table.rename(columns={"falsified": "rate", "value": "precision"})
    return falsification_link(table, methods=measured.keys(STUDIED), cluster="image")


def by_study_rule(claim: Claim, found: Correlation, points: str) -> Finding:
    """Return whether a correlation is what the study would have put into its main text."""
    if math.isnan(found.r):
        return untested(claim, "one of the two does not differ between the points")
    verdict = study_verdict(found.r, found.p)
    needed = "" if math.isnan(found.needed) else f", |r| ≥ {found.needed:.2f} needed for p < 0.01"
    return Finding(
        claim,
        "holds" if verdict == MAIN_TEXT else "does not hold",
        found.r,
        found.low,
        found.high,
        f"{found.n} {points}",
        "Pearson's r",
        f"p = {found.p:.2g}{needed}; by the study's own rule: {verdict}".replace("= -", "= −"),
    )


def within_images(claim: Claim, found: ClusteredCorrelation | None, name: str) -> Finding:
    """Return whether margin and precision rise together over the images of one method."""
    if found is None:
        return untested(claim, "no method was chosen")
    return judged(
        claim,
        value=found.r,
        low=found.low,
        high=found.high,
        n=f"{found.n} maps of {found.n_clusters} images",
        unit=f"Spearman's ρ ({label(name)})",
    )


def of_links(
    claims: Mapping[str, Claim], links: Mapping[str, FalsificationLink], best: SplitHalf | None
) -> list[Finding]:
    found = []
    for rule, end in (("paper", ""), ("area-matched", "-matched")):
        own = links[rule]
        over = (
            ("methods", own.over_methods, "methods"),
            ("cells", own.over_cells, "cells of method and attribute"),
        )
        found += [
            by_study_rule(claims[f"correlation-{id}{end}"], level.pearson, points)
            for id, level, points in over
        ]
        chosen = None if best is None else own.within[best.chosen]
        name = "" if best is None else best.chosen
        found.append(within_images(claims[f"correlation-images{end}"], chosen, name))
    return found


def tells_area(claim: Claim, measured: Measured) -> Finding:
    """Return how often the paper's verdict is the comparison of the two sets' sizes."""
    table = measured.falsified["paper"].dropna(subset=["falsified", "high", "low"])
    said = (table["falsified"] == 1) == (table["high"] < table["low"])
    frame = table.assign(value=said.astype(float))
    frame["sample_id"] = frame["sample_id"] + "|" + frame["method_id"]
    found = two_way(frame, cluster="image")
    return judged(
        claim,
        value=found.estimate,
        low=max(found.low, 0.0),
        high=min(found.high, 1.0),
        n=f"{found.n_seeds} seeds × {found.n_images} images, {found.n} maps of all methods",
        unit="share of maps",
        bound=0.5,
    )


# ---------------------------------------------------------------- random maps


@dataclass(frozen=True)
class RandomClass:
    """A random map's precision in one class, %, and its area share, %; means over samples."""

    region: str
    precision: float
    low: float
    high: float
    area: float
    beyond: float
    beyond_low: float
    beyond_high: float
    n: int


def random_classes(measured: Measured) -> list[RandomClass]:
    """Return random's precision by class, with intervals that hold for all classes at once.

    Random maps do not depend on the network, so one seed tells all. ``beyond`` is precision minus
    area share: noise of one map, independent of every other, so its interval is Student's over
    samples; that of the precision is bootstrapped over images, whose areas differ. The 95 % is
    shared out evenly among the classes (Bonferroni).
    """
    rows = of(measured.precision, measured.key("random"))
    rows = rows[(rows["seed"] == rows["seed"].min()) & rows["value"].notna()]
    level = 1 - 0.05 / len(CLASSES)
    found = []
    for region in CLASSES:
        part = rows[rows["region"] == region]
        if part.empty:
            continue
        own = two_way(part, cluster="image", confidence=level, replicates=10_000)
        share = 100 * part["area"]
        beyond = (part["value"] - share).to_numpy(np.float64)
        found.append(
            RandomClass(
                region,
                own.estimate,
                own.low,
                own.high,
                float(share.mean()),
                *_student(beyond, level),
                own.n,
            )
        )
    return found


def _student(
    values: np.ndarray[Any, np.dtype[np.float64]], level: float
) -> tuple[float, float, float]:
    """Return mean and both ends of Student's interval; no ends for fewer than two values."""
    from scipy.stats import t

    mean = float(values.mean())
    if values.size < 2:
        return mean, math.nan, math.nan
    reach = float(t.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1))
    reach /= math.sqrt(values.size)
    return mean, mean - reach, mean + reach


def of_random(claims: Mapping[str, Claim], classes: Sequence[RandomClass]) -> list[Finding]:
    """Judge 1/19 and its correction; the figure is that of the class farthest off."""
    found = []
    for id, low, high, value, bound in (
        ("random-one-nineteenth", "low", "high", "precision", ONE_NINETEENTH),
        ("random-area-share", "beyond_low", "beyond_high", "beyond", 0.0),
    ):
        known = [it for it in classes if not math.isnan(getattr(it, low))]
        if not known:
            found.append(untested(claims[id], "too few images for an interval"))
            continue
        inside = sum(getattr(it, low) <= bound <= getattr(it, high) for it in known)
        worst = max(known, key=lambda it: abs(getattr(it, value) - bound))
        what = f"{bound:.2f} %" if bound else "the area share"
        found.append(
            Finding(
                claims[id],
                "holds" if inside == len(known) else "does not hold",
                getattr(worst, value),
                getattr(worst, low),
                getattr(worst, high),
                f"{len(known)} classes, up to {max(it.n for it in known)} maps each",
                f"{'precision' if bound else 'precision − area share'} in {worst.region}, "
                "% of the map",
                f"{inside} of {len(known)} simultaneous 95 % intervals contain {what}",
            )
        )
    return found


# ---------------------------------------------------------------- attribute -> region


def first_parts(precision: Frame, *, image_draws: bool = True) -> tuple[dict[str, str], Frame]:
    """Return the part with the highest lift of each attribute, and how often under resampling.

    Parameters
    ----------
    precision : DataFrame
        Of one method.

    Returns
    -------
    first : mapping class -> part
    hits : DataFrame
        A row per replicate (images and seeds drawn anew), its ``share`` of the attributes whose
        first part is a deciding one; without ``image_draws`` no row.
    """
    rows = precision[precision["region"].isin(CLASSES) & precision["value"].notna()]
    images, image = np.unique(rows["image"].to_numpy(str), return_inverse=True)
    seeds, seed = np.unique(rows["seed"].to_numpy(), return_inverse=True)
    region = rows["region"].map({name: i for i, name in enumerate(CLASSES)}).to_numpy()
    generator = np.random.default_rng(0)
    count = _DRAWS if image_draws else 0
    of_images, of_seeds = (draws(generator, len(names), count) for names in (images, seeds))
    ones = np.ones((1, len(images))), np.ones((1, len(seeds)))
    weights = [
        np.concatenate([one, drawn]) for one, drawn in zip(ones, (of_images, of_seeds), strict=True)
    ]
    first: dict[str, str] = {}
    hits = []
    for name in ATTRIBUTE_REGIONS:
        here = (rows["class"] == name).to_numpy()
        if not here.any():
            continue
        over, under = np.zeros((2, len(images), len(seeds), len(CLASSES)))
        place = image[here], seed[here], region[here]
        np.add.at(over, place, rows["value"].to_numpy(np.float64)[here])
        np.add.at(under, place, 100 * rows["area"].to_numpy(np.float64)[here])
        top, bottom = (
            np.einsum("di,ds,isr->dr", *weights, table, optimize=True) for table in (over, under)
        )
        lift = np.divide(top, bottom, out=np.full(top.shape, -1.0), where=bottom > 0)
        best = lift.argmax(1)
        first[name] = CLASSES[best[0]]
        known = [CLASSES.index(part) for part in ATTRIBUTE_REGIONS[name]]
        hit = np.isin(best, known).astype(float)
        hits.append(np.where((bottom > 0).any(1), hit, np.nan))
    shares = np.nanmean(np.stack(hits), axis=0)[1:] if hits else np.zeros(0)
    return first, pd.DataFrame({"share": shares})


def parts_first(claim: Claim, measured: Measured, best: SplitHalf | None) -> Finding:
    """Return for which share of the attributes a deciding part comes first by lift."""
    if best is None:
        return untested(claim, "no method was chosen")
    rows = of(testing_half(correct(measured.precision)), best.chosen)
    first, hits = first_parts(rows)
    if not first:
        return untested(claim, "no sample is left")
    hit = [part in ATTRIBUTE_REGIONS[name] for name, part in first.items()]
    low, high = percentiles(hits["share"].to_numpy(), 0.95)
    n = f"{len(first)} attributes, {rows['image'].nunique()} images, {rows['seed'].nunique()} seeds"
    chance = np.mean([len(ATTRIBUTE_REGIONS[name]) / len(CLASSES) for name in first])
    return Finding(
        claim,
        "holds" if low >= LEAST_SHARE else "does not hold",
        float(np.mean(hit)),
        low,
        high,
        n,
        f"share of the attributes ({label(best.chosen)})",
        f"by chance {chance:.2f}; resampling shuffles lifts, so the interval reaches down",
    )
