"""Whether methods differ and scores agree, as exhibits: ranks, pairs, agreement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xaieval.errors import ResultsError
from xaieval.export.exhibits import View, method_labels
from xaieval.export.latex import frame_latex
from xaieval.figures.chart import Chart
from xaieval.stats import OVERALL
from xaieval.stats.agreement import LEVELS
from xaieval.stats.blocks import UNITS
from xaieval.study import Results
from xaieval.study.comparison import (
    MethodComparison,
    compare_methods,
    metric_agreement,
    quality_metrics,
)


@dataclass(frozen=True)
class Group:
    """The one split and class that a comparison is about."""

    split: str
    class_name: str

    @classmethod
    def of(cls, results: Results, view: View) -> Group:
        """Return the last split and class that a view shows, as the page's headline does."""
        split = view.splits[-1] if view.splits else results.splits[-1]
        return cls(split, view.classes[-1] if view.classes else OVERALL)

    @property
    def text(self) -> str:
        """As people read it."""
        return f"{self.split} images" + (
            "" if self.class_name == OVERALL else f" of {self.class_name}"
        )


def view_comparison(results: Results, view: View) -> MethodComparison:
    """Return the tests of a view's methods (``study.comparison.compare_methods``)."""
    group = Group.of(results, view)
    return compare_methods(
        results,
        metric=view.metric,
        region=view.region or None,
        population=view.population,
        split=group.split,
        class_name=group.class_name,
        unit=view.unit,
    )


def rank_rows(results: Results, view: View) -> pd.DataFrame:
    """Return a row per method: average rank, mean, group; Friedman's test beside each."""
    found = view_comparison(results, view)
    table, labels, test = found.rank_table(), method_labels(results), found.friedman
    table.insert(1, "method", [labels.get(m, m) for m in table["method_id"]])
    beside: dict[str, Any] = {
        "n_blocks": test.n_blocks,
        "critical_difference": found.nemenyi.cd if found.nemenyi else None,
        "chi2": test.chi2,
        "f": None if math.isinf(test.f) else test.f,
        "p": test.p,
        "p_from": test.p_from,
    }
    return _where(table.assign(**beside), found)


def pair_rows(results: Results, view: View) -> pd.DataFrame:
    """Return a row per pair of methods: difference, Wilcoxon's p, Holm's, effect, Nemenyi's p."""
    found = view_comparison(results, view)
    table, labels = found.pair_table(), method_labels(results)
    for place, side in enumerate(("a", "b")):
        names = [labels.get(m, m) for m in table[side]]
        table.insert(2 * place + 1, f"method_{side}", names)
    return _where(table, found)


def _where(table: pd.DataFrame, found: MethodComparison) -> pd.DataFrame:
    table.insert(0, "split", found.split)
    table.insert(1, "class", found.class_name)
    return table.assign(unit=found.blocks.unit)


def agreement_rows(results: Results, view: View) -> pd.DataFrame:
    """Return a row per pair of scores (``stats.score_agreement``)."""
    group = Group.of(results, view)
    table = metric_agreement(
        results,
        region=view.region or None,
        population=view.population,
        split=group.split,
        class_name=group.class_name,
        level=view.level,
    )
    table.insert(0, "split", group.split)
    table.insert(1, "class", group.class_name)
    return table


def agreement_chart(results: Results, view: View, rows: pd.DataFrame) -> Chart:
    """Return the matrix of agreement as a chart; scores of the mask come before those of the model.

    Raises
    ------
    ResultsError
        When there are fewer than two scores or methods to compare.
    """
    if rows.empty:
        raise ResultsError(
            "there is nothing to compare", where=results.path, expected="two scores, two methods"
        )
    labels = metric_labels(results)
    there = {*rows["a"], *rows["b"]}
    order = [key for key in quality_metrics(results) if key in there]
    known = {(row["a"], row["b"]): row for _, row in rows.iterrows()}
    cells = []
    for y in order:
        for x in order:
            row = known.get((x, y), known.get((y, x)))
            number = 1.0 if row is None else row["r"]
            cells.append({"x": labels[x], "y": labels[y], "agreement": number})
    group = Group.of(results, view)
    return Chart(
        id="agreement",
        kind="heat",
        title=f"{results.study.title}: agreement of scores",
        table=pd.DataFrame(cells),
        x="x",
        y="y",
        value="agreement",
        caption=f"{LEVELS[view.level]}; {group.text}, methods "
        f"{', '.join(method_labels(results)[m] for m in results.compete)}.",
    )


def metric_labels(results: Results) -> dict[str, str]:
    """Return the name of each scored metric that says better or worse; lower-is-better marked."""
    from xaieval.metrics import parse_metric

    found = {}
    for key in quality_metrics(results):
        metric = parse_metric(key)
        found[key] = metric.label + (" ↓" if metric.higher_is_better is False else "")
    return found


def question(view: View) -> str:
    """Return what the tests of a view ask, in plain words."""
    return UNITS[view.unit]


def p_text(p: float | None) -> str:
    """Return a p as people read it.

    >>> p_text(0.0312), p_text(0.0000004), p_text(math.nan)
    ('0.031', '< 0.001', '–')
    """
    if p is None or math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def comparing_latex(view: View, table: pd.DataFrame, *, caption: str) -> str:
    """Return ranks, pairs or agreement as a LaTeX table that fits a page."""
    if view.exhibit == "ranks":
        shown = table[["method", "rank", "mean", "group"]]
        first = table.iloc[0]
        how = "counted" if first["p_from"] == "exact" else "F"
        caption += f". Friedman over {first['n_blocks']} {view.unit}s: p {p_text(first['p'])}"
        caption += f" ({how}); methods that share a letter are not told apart (Nemenyi, 0.05)"
    elif view.exhibit == "pairs":
        shown = pd.DataFrame(
            {
                "method": table["method_a"],
                "against": table["method_b"],
                "difference": table["difference"],
                "better in": [
                    f"{a} : {b} of {n}"
                    for a, b, n in zip(table["for_a"], table["for_b"], table["n"], strict=True)
                ],
                "effect": table["effect"],
                "p": [p_text(p) for p in table["p"]],
                "p (Holm)": [p_text(p) for p in table["p_holm"]],
            }
        )
        caption += ". Wilcoxon signed-rank; effect: rank-biserial"
    else:
        shown = table[["a", "b", "r", "low", "high", "n", "left_out", "verdict"]]
        caption += f". {LEVELS[view.level]}; 95 % interval"
    return frame_latex(shown, caption=caption)
