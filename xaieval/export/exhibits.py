"""What a study shows, as tables: win rates, accuracy, training curves, under a stated view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from xaieval.errors import unknown
from xaieval.figures.boxes import Boxes, boxes
from xaieval.figures.curves import QUANTITIES, curve_table
from xaieval.sanity.marks import marked as with_mark
from xaieval.sanity.marks import notes
from xaieval.stats import win_intervals
from xaieval.stats.agreement import Level
from xaieval.stats.blocks import Unit
from xaieval.study import Results

TieRule = Literal["split", "first"]
Population = Literal["correct", "all"]
Exhibit = Literal["win-rates", "accuracy", "curves", "ranks", "pairs", "agreement"]
EXHIBITS: dict[str, str] = {
    "win-rates": "win rates over seeds",
    "accuracy": "accuracy over seeds",
    "curves": "training curves over seeds",
    "ranks": "average ranks of the methods",
    "pairs": "the methods in pairs",
    "agreement": "agreement of the scores",
}


@dataclass(frozen=True)
class View:
    """What is exported: the exhibit and how its numbers are made.

    Attributes
    ----------
    exhibit : one of ``EXHIBITS``
    metric : str
        The score that decides who wins.
    tie_rule : {"split", "first"}
        Equal scores share the win, or the first method takes it.
    population : {"correct", "all"}
        Correctly classified images only, or all with a mask.
    splits, classes : tuple of str
        What to keep; empty keeps all. Ranks, pairs and agreement are of the last of each.
    region : str
        The one scored; '' is the first.
    unit : {"seed", "image"}
        What one observation of ranks and pairs is (``stats.blocks``).
    level : {"rankings", "values"}
        How agreement is measured (``stats.score_agreement``).
    """

    exhibit: Exhibit = "win-rates"
    metric: str = "topk_overlap"
    tie_rule: TieRule = "split"
    population: Population = "correct"
    splits: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    region: str = ""
    unit: Unit = "seed"
    level: Level = "rankings"

    def __post_init__(self) -> None:
        if self.exhibit not in EXHIBITS:
            raise unknown("exhibit", self.exhibit, EXHIBITS)


def method_labels(results: Results, *, marked: bool = True) -> dict[str, str]:
    """Return the name of each method key as people read it; options stay visible.

    A method that failed the sanity gate carries its mark, unless not ``marked``.
    """
    from xaieval.methods import METHODS

    labels = {}
    for key in results.method_ids:
        name, bracket, options = key.partition("[")
        label = METHODS[name].label if name in METHODS else name
        labels[key] = f"{label} [{options}" if bracket else label
        if marked:
            labels[key] = with_mark(labels[key], key in results.sanity_failures)
    return labels


def gate_notes(results: Results, methods: Sequence[str] | None = None) -> list[str]:
    """Return a line per method (of these, or all) that failed the sanity gate, and why."""
    labels = method_labels(results, marked=False)
    shown = {key: labels[key] for key in labels if methods is None or key in methods}
    return notes(results.sanity_failures, shown)


def view_boxes(results: Results, view: View) -> Boxes:
    """Return the tables of the boxplot of a view."""
    region = view.region or None
    asked: dict[str, Any] = {"tie_rule": view.tie_rule, "population": view.population}
    rates = results.win_rates(view.metric, region=region, **asked)
    shares = results.win_shares(view.metric, region=region, **asked)
    return boxes(
        rates,
        splits=_kept(rates["split"], view.splits),
        classes=_kept(rates["class"], view.classes),
        methods=[key for key in results.compete if key in set(rates["method_id"])],
        intervals=win_intervals(shares),
    )


def _kept(column: pd.Series[str], wanted: Sequence[str]) -> list[str] | None:
    """Return the wanted names in the order they were asked for, or None for all."""
    known = list(dict.fromkeys(column))
    for name in wanted:
        if name not in known:
            raise unknown(str(column.name), name, known)
    return list(wanted) or None


def exhibit_table(results: Results, view: View) -> pd.DataFrame:
    """Return the long table behind an exhibit, full precision, one row per group.

    The column ``sanity`` says why a method failed the sanity gate; empty when it did not.
    Published results carry the column ``note`` with the label that says so.
    """
    if view.exhibit == "win-rates":
        table = view_boxes(results, view).boxes.drop(columns=["id"])
        names = method_labels(results)
        table.insert(3, "method", [names.get(m, m) for m in table["method_id"]])
        table["sanity"] = [results.sanity_failures.get(m, "") for m in table["method_id"]]
        table = table.rename(columns={"low": "wilson_low", "high": "wilson_high"})
    elif view.exhibit == "accuracy":
        table = accuracy_table(results.accuracy())
    elif view.exhibit in ("ranks", "pairs", "agreement"):
        from xaieval.export import comparing

        rows = {
            "ranks": comparing.rank_rows,
            "pairs": comparing.pair_rows,
            "agreement": comparing.agreement_rows,
        }
        table = rows[view.exhibit](results, view)
    else:
        history = results.history()
        parts = [curve_table(history, q).assign(quantity=q) for q in QUANTITIES]
        table = pd.concat([part for part in parts if len(part)] or [parts[0]], ignore_index=True)
    if view.splits and "split" in table:
        table = table[table["split"].isin(view.splits)].reset_index(drop=True)
    return table.assign(note=results.note) if results.note else table


def accuracy_table(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return mean and std (ddof 0) over seeds of each accuracy, per split, train first.

    >>> rows = [(1, "test", 0.5, 0.6, 10), (2, "test", 1.0, 0.6, 10)]
    >>> frame = pd.DataFrame(rows, columns=["seed", "split", "balanced_accuracy", "accuracy", "n"])
    >>> accuracy_table(frame)[["quantity", "mean", "std"]].values.tolist()[0]
    ['balanced_accuracy', 0.75, 0.25]
    """
    rows = []
    splits = sorted(accuracy["split"].unique(), key=lambda s: (s != "train", s))
    for split in splits:
        part = accuracy[accuracy["split"] == split]
        for quantity in ("balanced_accuracy", "accuracy"):
            values = part[quantity].dropna() if quantity in part else pd.Series(dtype=float)
            if len(values):
                rows.append(
                    {"split": split, "quantity": quantity, "mean": values.mean()}
                    | {"std": values.std(ddof=0), "median": values.median()}
                    | {"min": values.min(), "max": values.max(), "n_seeds": len(values)}
                    | {"n_low": part["n"].min(), "n_high": part["n"].max()}
                )
    columns = ["split", "quantity", "mean", "std", "median", "min", "max", "n_seeds"]
    return pd.DataFrame(rows, columns=[*columns, "n_low", "n_high"])
