"""Tables and charts of the model comparison: pairs, links and rankings of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import Sheet
from xaieval.reproduce.explanation_alignment.zoo import (
    RULES,
    baseline_table,
    correlation_row,
    of_rule,
    rule,
)

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.figures.chart import Chart

SIMILAR = 0.02
"""Models whose accuracies differ by less are similarly accurate."""
REPLICATES = 20_000
"""Resamples behind the corrected intervals, whose ends lie far out."""


def similar_pairs(table: pd.DataFrame, *, within: float = SIMILAR) -> list[tuple[str, str]]:
    """Return the pairs of models whose accuracies differ by less than ``within``.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"model": ["a", "b", "c"], "accuracy": [0.70, 0.71, 0.80]})
    >>> similar_pairs(table)
    [('a', 'b')]
    """
    accuracy = dict(zip(table["model"], table["accuracy"], strict=True))
    return [(a, b) for a, b in combinations(accuracy, 2) if abs(accuracy[a] - accuracy[b]) < within]


def pair_table(scores: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return how similarly accurate models differ in alignment, the clearest pair first.

    Each pair stands once, the more aligned model first. ``low`` and ``high`` are Bonferroni's: of
    k pairs each has an interval of 1 − 0.05 / k, paired over the images.
    """
    import pandas as pd

    from xaieval.stats.contrasts import contrast

    pairs = similar_pairs(table)
    confidence = 1 - 0.05 / max(1, len(pairs))
    means = {str(row["model"]): row for row in table.to_dict("records")}
    own = of_rule(scores, rule("iou"))
    groups = {
        model: frame.assign(seed=0)[["seed", "sample_id", "value"]]
        for model, frame in own.groupby("model")
    }
    rows = []
    for pair in pairs:
        a, b = sorted(pair, key=lambda it: -float(means[it]["iou"]))
        found = contrast(groups[a], groups[b], confidence=confidence, replicates=REPLICATES)
        rows.append(
            {
                "a": a,
                "b": b,
                "accuracy_a": means[a]["accuracy"],
                "accuracy_b": means[b]["accuracy"],
                "iou_a": found.mean_a,
                "iou_b": found.mean_b,
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "images": found.n_images,
                "pairs": len(pairs),
            }
        )
    columns = ["a", "b", "accuracy_a", "accuracy_b", "iou_a", "iou_b", "difference", "low", "high"]
    frame = pd.DataFrame(rows, columns=[*columns, "images", "pairs"])
    return frame.sort_values("low", ascending=False, ignore_index=True)


def link_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return how every rule goes with accuracy over the models."""
    import pandas as pd

    rules = [it.id for it in RULES if table[it.id].notna().any()]
    return pd.DataFrame([correlation_row(table, "accuracy", name) for name in rules])


def ranking_rows(scores: pd.DataFrame, right: pd.DataFrame) -> list[dict[str, Any]]:
    """Return Kendall's tau between every two rankings of the models, accuracy among them."""
    from xaieval.stats.rankings import ranking_agreement

    columns = ["model", "sample_id", "value"]
    tables = {"accuracy": right[columns]}
    found_by = {it.id: of_rule(scores, it)[columns].dropna() for it in RULES}
    tables |= {name: frame for name, frame in found_by.items() if not frame.empty}
    rows = []
    for first, second in combinations(tables, 2):
        a, b = (tables[name].assign(seed=0) for name in (first, second))
        found = ranking_agreement(a, b, item="model")
        rows.append(
            {
                "first": first,
                "second": second,
                "tau": found.estimate,
                "low": found.low,
                "high": found.high,
                "models": found.n_items,
                "images": found.n_images,
            }
        )
    return rows


def comparison_sheets(
    table: pd.DataFrame,
    pairs: pd.DataFrame,
    links: pd.DataFrame,
    agreement: Sequence[Mapping[str, Any]],
    scores: pd.DataFrame,
) -> tuple[Sheet, ...]:
    """Return the tables for people."""
    import pandas as pd

    rule_texts = "; ".join(f"{it.id}: {it.label}" for it in RULES)
    return (
        Sheet(
            "models",
            "Accuracy and alignment of every model",
            table,
            f"Means over the test images with 95 % bootstrap intervals over images. {rule_texts}.",
        ),
        Sheet(
            "pairs",
            f"Models whose accuracies differ by less than {SIMILAR}",
            pairs,
            "Differences of IoU, paired over images; intervals corrected for the number of pairs.",
        ),
        Sheet(
            "links",
            "How alignment goes with accuracy over the models",
            links,
            "Pearson's r with its interval, Spearman's rho; needed: |r| for p < 0.01.",
        ),
        Sheet(
            "rankings",
            "Do the rules rank the models alike?",
            pd.DataFrame(agreement),
            "Kendall's tau between rankings, bootstrap over images.",
        ),
        Sheet(
            "baselines",
            "What maps without a model get",
            baseline_table(scores),
            "Over all models and test images.",
        ),
    )


def comparison_charts(
    table: pd.DataFrame, agreement: Sequence[Mapping[str, Any]]
) -> tuple[Chart, ...]:
    """Return scatters of alignment against accuracy, places and agreements."""
    import pandas as pd

    from xaieval.figures.chart import Chart

    trait = "width" if "width" in table else "architecture"
    grouped = table.assign(family=[f"{trait} {value}" for value in table[trait]])
    charts = [
        Chart(
            id=f"accuracy-{found.id}",
            kind="points",
            title=f"Accuracy against alignment: {found.label}",
            table=grouped,
            x="accuracy",
            y=found.id,
            low=f"{found.id}_low",
            high=f"{found.id}_high",
            group="family",
            x_label="accuracy on the test images",
            y_label=found.label,
            trend=True,
            caption="A point per model; whiskers: 95 % bootstrap over images; least-squares line.",
        )
        for found in RULES
        if found.id in ("iou", "pointing", "mass")
    ]
    labels = {"accuracy": "accuracy"} | {it.id: it.label for it in RULES}
    ranks = table[["model", "accuracy", "iou", "mass"]].sort_values("accuracy", ascending=False)
    for name in ("accuracy", "iou", "mass"):
        ranks[name] = ranks[name].rank(ascending=False)
    long = ranks.rename(columns=labels).melt("model", var_name="by", value_name="place")
    charts.append(
        Chart(
            id="ranking",
            kind="heat",
            title="Place of each model by accuracy, IoU and mass accuracy",
            table=long,
            x="by",
            y="model",
            value="place",
            caption="1 is the best; equal values share their mean place.",
        )
    )
    named = [
        {**row, "first": labels[row["first"]], "second": labels[row["second"]]} for row in agreement
    ]
    charts.append(
        Chart(
            id="agreement",
            kind="heat",
            title="Agreement of rankings (Kendall's tau)",
            table=pd.DataFrame(named),
            x="first",
            y="second",
            value="tau",
            caption="1: the same order of models; 0: none in common; −1: the reverse order.",
        )
    )
    return tuple(charts)
