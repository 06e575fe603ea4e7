"""Tables and charts of one-shot transfer: accuracies over draws, and what goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaieval.outcomes import Sheet
from xaieval.reproduce.explanation_alignment.zoo import RULES, baseline_table, correlation_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from xaieval.figures.chart import Chart


def add_transfer(table: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Return the table of models with the mean one-shot accuracy, its interval and its spread.

    The interval is a bootstrap over the draws: how far the mean over draws is settled.
    """
    from xaieval.stats.bootstrap import two_way

    table = table.copy()
    for model, group in draws.groupby("model"):
        frame = group.assign(seed=0, sample_id=group["draw"].astype(str))
        found = two_way(frame[["seed", "sample_id", "value"]])
        row = table["model"] == model
        table.loc[row, "transfer"] = found.estimate
        table.loc[row, "transfer_low"], table.loc[row, "transfer_high"] = found.low, found.high
        table.loc[row, "transfer_std"] = group["value"].std(ddof=0)
        table.loc[row, "transfer_median"] = group["value"].median()
        table.loc[row, "draws"] = len(group)
    return table


def rival_gap(
    table: pd.DataFrame, predictor: str, rival: str, *, y: str = "transfer"
) -> tuple[float, float, float]:
    """Return r(predictor, y) − r(rival, y) over the models, and its 95 % interval.

    Both correlations are of the same models and the same y. The interval combines Fisher's of
    each, minding how they depend on each other (Zou 2007, Psychological Methods 12:399,
    section "Overlapping"). NaN for fewer than 4 models.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"a": [1, 2, 3, 5, 4], "b": [2, 1, 3, 4, 5], "transfer": range(5)})
    >>> gap, low, high = rival_gap(table, "a", "b")
    >>> round(gap, 6), bool(low < 0 < high)
    (0.0, True)
    """
    from xaieval.stats.correlation import correlation

    rows = table[[predictor, rival, y]].dropna()
    first, second = (correlation(rows[name], rows[y]) for name in (predictor, rival))
    between = correlation(rows[predictor], rows[rival]).r
    gap = first.r - second.r
    shared = _dependence(first.r, second.r, between)
    down, up = first.r - first.low, second.high - second.r
    low = gap - (down**2 + up**2 - 2 * shared * down * up) ** 0.5
    up, down = first.high - first.r, second.r - second.low
    high = gap + (up**2 + down**2 - 2 * shared * up * down) ** 0.5
    return gap, low, high


def _dependence(a: float, b: float, between: float) -> float:
    """Return the correlation of two correlations with the same third quantity, in [−1, 1]."""
    size = (1 - a * a) * (1 - b * b)
    if not size > 0:
        return 0.0
    found = (between - a * b / 2) * (1 - a * a - b * b - between * between) + between**3
    return min(max(found / size, -1.0), 1.0)


def link_table(table: pd.DataFrame, drawn: pd.DataFrame, predictors: Sequence[str]) -> pd.DataFrame:
    """Return how each predictor goes with one-shot accuracy over the models."""
    import pandas as pd

    links = pd.DataFrame([correlation_row(table, name, "transfer") for name in predictors])
    links["draws_positive"] = [share_positive(table, drawn, name) for name in predictors]
    return links


def share_positive(table: pd.DataFrame, drawn: pd.DataFrame, name: str) -> float:
    """Return the share of draws whose correlation over the models is above 0."""
    wide = drawn.pivot(index="draw", columns="model", values="value")[table["model"]]
    found = wide.T.reset_index(drop=True).corrwith(table[name].reset_index(drop=True))
    return float((found.dropna() > 0).mean()) if found.notna().any() else float("nan")


def by_colour(table: pd.DataFrame) -> pd.DataFrame:
    """Return each kind of training's means, and its own r of the two main predictors.

    Looked at for the cause of what the claims found; no claim rests on it.
    """
    import pandas as pd

    rows = []
    for colour, group in table.groupby("colour"):
        row = {"colour": colour, "models": len(group)}
        row |= {name: group[name].mean() for name in ("iou", "accuracy_own", "transfer")}
        for name in ("iou", "accuracy_own"):
            found = correlation_row(group, name, "transfer")
            row |= {f"r_{name}": found["pearson"]}
            row |= {f"r_{name}_low": found["low"], f"r_{name}_high": found["high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def colour_note(groups: pd.DataFrame) -> str:
    """Return in words what ``by_colour`` holds."""
    parts = [
        f"{row['colour']} block ({row['models']} models): IoU {row['iou']:.3f}, one-shot accuracy "
        f"{row['transfer']:.3f}, r of IoU within {row['r_iou']:.2f} "
        f"[{row['r_iou_low']:.2f}, {row['r_iou_high']:.2f}]"
        for row in groups.to_dict("records")
    ]
    return (
        f"Looked at afterwards, by training: {'; '.join(parts)}. Alignment measures the reasons on "
        "the source task: features of colour are wrong reasons for a digit and may be of use for "
        "photographs."
    )


def transfer_sheets(
    table: pd.DataFrame,
    links: pd.DataFrame,
    drawn: pd.DataFrame,
    groups: pd.DataFrame | None,
    scores: pd.DataFrame,
    *,
    draws: int,
) -> tuple[Sheet, ...]:
    """Return the tables for people."""
    return (
        Sheet(
            "models",
            "Alignment, accuracy and one-shot transfer of every model",
            table,
            "Alignment and accuracy: means over test images, 95 % bootstrap over images. "
            f"Transfer: mean over {draws} draws of one image per class, bootstrap over draws.",
        ),
        Sheet(
            "links",
            "What goes with one-shot transfer, over the models",
            links,
            "Pearson's r and its interval; needed: |r| for p < 0.01; draws_positive: share of "
            "draws whose own r is above 0.",
        ),
        Sheet("draws", "One-shot accuracy of every draw", drawn, "One row per model and draw."),
        Sheet(
            "baselines",
            "What maps without a model get",
            baseline_table(scores),
            "Over all models and test images.",
        ),
        *(
            ()
            if groups is None
            else (
                Sheet(
                    "by-colour",
                    "The same within each kind of training",
                    groups,
                    "Looked at afterwards, for the cause; no claim rests on it. Fisher's "
                    "intervals.",
                ),
            )
        ),
    )


def transfer_charts(
    table: pd.DataFrame, links: pd.DataFrame, drawn: pd.DataFrame, target: str, chance: float
) -> tuple[Chart, ...]:
    """Return scatters of transfer against its predictors, their r, and the spread of draws."""
    from xaieval.figures.chart import Chart

    group = "colour" if "colour" in table else "architecture"
    labels = {it.id: it.label for it in RULES} | {
        "accuracy": "accuracy on the test images",
        "accuracy_own": "accuracy on images like those trained on",
    }
    charts = [
        Chart(
            id=f"transfer-{name}",
            kind="points",
            title=f"One-shot accuracy against {labels[name]}",
            table=table,
            x=name,
            y="transfer",
            low="transfer_low",
            high="transfer_high",
            group=group,
            x_label=labels[name],
            y_label=f"one-shot accuracy, {target}",
            lines_at=((chance, "chance"),),
            trend=True,
            caption="A point per model; whiskers: 95 % over draws; least-squares line.",
        )
        for name in ("iou", "pointing", "mass", "accuracy_own")
    ]
    bars = links.assign(predictor=links["x"].map(labels), kind="Pearson's r")
    charts.append(
        Chart(
            id="predictors",
            kind="bars",
            title="What goes with one-shot transfer",
            table=bars,
            x="predictor",
            y="pearson",
            low="low",
            high="high",
            y_label="Pearson's r over models",
            caption="Whiskers: 95 %. The accuracies are alignment's rivals.",
        )
    )
    ordered = table.sort_values("transfer")["model"].tolist()
    short = {model: f"{place + 1}" for place, model in enumerate(ordered)}
    charts.append(
        Chart(
            id="draws",
            kind="boxes",
            title="How much the drawn image matters",
            table=drawn.assign(place=drawn["model"].map(short)).sort_values(
                "place", key=lambda it: it.astype(int)
            ),
            x="place",
            y="value",
            x_label="model, from the least to the most accurate on the new task",
            y_label=f"one-shot accuracy, {target}",
            lines_at=((chance, "chance"),),
            caption="A point per draw of one image per class.",
        )
    )
    return tuple(charts)
