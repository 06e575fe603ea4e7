"""Families of models: trained as arms, and one table of how accurate and how aligned each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xaieval.reproduce.explanation_alignment.scoring import GRADIENT, PUBLISHED_POINTING

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.outcomes import Claim, Finding
    from xaieval.reproduce.base import Setup
    from xaieval.study import Results

METHODS = ("gradcam", "saliency", GRADIENT, "random", "sobel", "centre_prior")
BASELINES = ("random", "sobel", "centre_prior")
METRICS = (
    *("iou", "iou[mean+1std]", "pointing_game", PUBLISHED_POINTING),
    *("topk_overlap", "mass_accuracy", "area_share"),
)


@dataclass(frozen=True)
class Member:
    """One arm of a family: its name, what it is in words, what its study says otherwise."""

    name: str
    label: str
    traits: Mapping[str, Any]
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """One number for how aligned a model is: the mean of a metric of a method's maps.

    ``published``: as the notebooks score; else as xaieval does by default.
    """

    id: str
    label: str
    method: str
    metric: str
    published: bool = False


RULES = (
    Rule("iou", "Grad-CAM, IoU", "gradcam", "iou", published=True),
    Rule("pointing", "Grad-CAM, pointing game", "gradcam", PUBLISHED_POINTING, published=True),
    Rule("pointing-ties", "Grad-CAM, pointing game with ties", "gradcam", "pointing_game"),
    Rule("mass", "Grad-CAM, mass accuracy", "gradcam", "mass_accuracy"),
    Rule("gradient-iou", "gradient, IoU", GRADIENT, "iou[mean+1std]", published=True),
    Rule("gradient-mass", "saliency, mass accuracy", "saliency", "mass_accuracy"),
)
"""The first two are the notebooks' (Grad-CAM cut at half its range; the first maximum)."""


def rule(id: str) -> Rule:
    """Return one of ``RULES``."""
    return next(found for found in RULES if found.id == id)


def run_family(
    setup: Setup,
    members: Iterable[Member],
    study: Mapping[str, Mapping[str, Any]],
    *,
    id: str,
    title: str,
) -> dict[str, Results]:
    """Train and run an arm per member: ``study`` with the member's own values in their place."""
    from xaieval.reproduce.arms import run_arm

    arms = {}
    for member in members:
        tables = {name: dict(table) for name, table in study.items()}
        tables["study"] = {"id": f"{id}-{member.name}", "title": f"{title}: {member.label}"}
        tables["model"] |= member.model
        tables["train"] |= member.train
        tables["data"]["options"] = {**tables["data"].get("options", {}), **member.options}
        arms[member.name] = run_arm(setup, member.name, tables, data=setup.data)
    return arms


def scores_of(
    arms: Mapping[str, Results], *, region: str, split: str | None = "test"
) -> pd.DataFrame:
    """Return the test scores of every model and its accuracy per image, column ``model`` added.

    A model is an arm's training with one seed: ``<arm>/<seed>``. ``split`` None: of all images.
    """
    import pandas as pd

    parts = []
    for name, results in arms.items():
        frame = results.scores(split=split, region=region)
        parts.append(frame.assign(arm=name, model=name + "/" + frame["seed"].astype(str)))
    return pd.concat(parts, ignore_index=True)


def right_of(arms: Mapping[str, Results], *, split: str | None = "test") -> pd.DataFrame:
    """Return a row per model and test image, ``value`` 1.0 where the model is right."""
    import pandas as pd

    parts = []
    for name, results in arms.items():
        frame = results.predictions(split=split)
        model = name + "/" + frame["seed"].astype(str)
        parts.append(frame.assign(arm=name, model=model, value=frame["correct"].astype(float)))
    return pd.concat(parts, ignore_index=True)


def of_rule(scores: pd.DataFrame, found: Rule) -> pd.DataFrame:
    """Return the scores of one rule."""
    keep = (scores["method_id"] == found.method) & (scores["metric_key"] == found.metric)
    return scores[keep]


def model_table(
    scores: pd.DataFrame, right: pd.DataFrame, members: Iterable[Member]
) -> pd.DataFrame:
    """Return a row per model: its traits, accuracy and every rule's mean, each with an interval.

    Intervals are bootstraps over the test images (95 %), of each model for itself.
    """
    import pandas as pd

    from xaieval.stats.bootstrap import two_way

    known = {member.name: member for member in members}
    rows = []
    for model, group in right.groupby("model", sort=False):
        arm, _, seed = str(model).rpartition("/")
        row: dict[str, Any] = {"model": model, "arm": arm, "seed": int(seed), **known[arm].traits}
        own = scores[scores["model"] == model]
        columns = {"accuracy": group} | {it.id: of_rule(own, it) for it in RULES}
        for name, frame in columns.items():
            found = two_way(frame[["seed", "sample_id", "value"]])
            row |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
        row["n_accuracy"] = len(group)
        random = own[(own["method_id"] == "random") & (own["metric_key"] == "iou")]
        row["n_masks"] = int(random["value"].notna().sum())
        row["n_alignment"] = int(of_rule(own, RULES[0])["value"].notna().sum())
        rows.append(row)
    return pd.DataFrame(rows)


def baseline_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return what maps without a model get, and the region's area share: mean, std, median, n."""
    import pandas as pd

    rows = []
    area = scores[scores["metric_key"] == "area_share"]["value"]
    for method in BASELINES:
        for metric in ("iou", PUBLISHED_POINTING, "mass_accuracy"):
            keep = (scores["method_id"] == method) & (scores["metric_key"] == metric)
            values = scores[keep]["value"]
            rows.append(
                {
                    "method": method,
                    "metric": metric,
                    "mean": values.mean(),
                    "std": values.std(ddof=0),
                    "median": values.median(),
                    "n": int(values.count()),
                    "left_out": int(values.isna().sum()),
                    "area_share": area.mean(),
                }
            )
    return pd.DataFrame(rows)


def floor_note(table: pd.DataFrame, scores: pd.DataFrame) -> str:
    """Return in words how the models' IoU compares with that of maps without a model."""
    iou = scores[scores["metric_key"] == "iou"]
    without = {name: iou[iou["method_id"] == name]["value"].mean() for name in BASELINES}
    best = max(without, key=lambda name: without[name])
    above = int((table["iou_low"] > without[best]).sum())
    listed = ", ".join(f"{name} {value:.3f}" for name, value in without.items())
    area = scores[scores["metric_key"] == "area_share"]["value"]
    return (
        f"IoU of Grad-CAM over the models: mean {table['iou'].mean():.3f}; maps without a model: "
        f"{listed}. The whole interval of {above} of {len(table)} models lies above the best of "
        f"these. The mask covers {100 * area.mean():.1f} % of the picture on average, "
        f"{100 * area.median():.1f} % in the middle."
    )


def correlation_row(table: pd.DataFrame, x: str, y: str) -> dict[str, Any]:
    """Return how two columns go together over the models: r, rho, p, the interval, what is needed.

    The interval of r is Fisher's where every arm has one model. Models of the same arm, trained
    with several seeds, are no independent points: there whole arms are resampled too, and the
    interval reaches from the lower to the upper of both. (Resampled alone, a dozen arms give
    intervals that are too narrow: an r with p = 0.2 was called shown.)
    """
    from xaieval.stats.clusters import clustered_correlation
    from xaieval.stats.correlation import correlation

    linear = correlation(table[x], table[y])
    ranks = correlation(table[x], table[y], kind="spearman")
    low, high = linear.low, linear.high
    if table["arm"].nunique() < len(table):
        clustered = clustered_correlation(table, x, y, cluster="arm", kind="pearson")
        low, high = min(low, clustered.low), max(high, clustered.high)
    return {
        "x": x,
        "y": y,
        "pearson": linear.r,
        "low": low,
        "high": high,
        "p": linear.p,
        "spearman": ranks.r,
        "spearman_p": ranks.p,
        "n": linear.n,
        "arms": int(table["arm"].nunique()),
        "needed": linear.needed,
    }


def by_name(table: pd.DataFrame, column: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a table by the text in a column."""
    rows = ({str(k): v for k, v in row.items()} for row in table.to_dict("records"))
    return {str(row[column]): row for row in rows}


def correlated(claim: Claim, row: Mapping[str, Any]) -> Finding:
    """Judge the claim that two columns go together over the models."""
    from xaieval.outcomes import judged

    why = (
        f"p = {row['p']:.3f}, Spearman {row['spearman']:.2f}; |r| of {row['needed']:.2f} would be "
        "needed for p < 0.01"
    )
    arms = f" of {row['arms']} arms" if row["arms"] < row["n"] else ""
    return judged(
        claim,
        value=row["pearson"],
        low=row["low"],
        high=row["high"],
        n=f"{row['n']} models{arms}",
        unit="Pearson's r over models",
        why=why,
    )
