"""What the regions of a study show, and alignment against accuracy, as charts and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from xaieval.errors import ResultsError, unknown
from xaieval.export.exhibits import Population, method_labels
from xaieval.figures.boxes import count_text
from xaieval.figures.chart import Chart
from xaieval.metrics import parse_metric
from xaieval.stats import causes, cells, correlation, over_images, region_table
from xaieval.study import Results
from xaieval.study.parts import WHOLE
from xaieval.study.regional import (
    alignment,
    chance_scale,
    default_regions,
    falsification_metrics,
    regional_metrics,
    regional_scores,
)

RegionalExhibit = Literal["regions", "lift", "falsification", "class-regions", "alignment"]
REGIONAL_EXHIBITS: dict[str, str] = {
    "regions": "scores of each region over images",
    "lift": "score over area share",
    "falsification": "falsification rate against the score of a region",
    "class-regions": "mean score of each region per class",
    "alignment": "alignment against accuracy",
}


@dataclass(frozen=True, kw_only=True)
class RegionalView:
    """What is shown of the regions of a study; empty values mean the study's own choice.

    Attributes
    ----------
    exhibit : str
        A key of ``REGIONAL_EXHIBITS``.
    metric : str
        Default: regional precision, else mass accuracy, else the first regional score.
    split, class_name : str
        Empty: the test split (or the only one); all classes.
    seed : int, optional
        Default: all seeds.
    regions, methods : tuple of str
        Empty: the groups of a face where there are some, else all; all methods.
    population : {"correct", "all"}
    region : str
        The one of "falsification" and "alignment"; empty: the first of ``regions``.
    method : str
        The one of "class-regions" and "alignment"; empty: the first of ``methods``.
    falsified : str
        A falsification score; empty: the one for conclusions, where it was scored.
    cells : bool
        "falsification": a point per method and class instead of one per method.
    lifted : bool
        "class-regions": lift over area share instead of the score itself.
    """

    exhibit: RegionalExhibit = "regions"
    metric: str = ""
    split: str = ""
    class_name: str = ""
    seed: int | None = None
    regions: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    population: Population = "correct"
    region: str = ""
    method: str = ""
    falsified: str = ""
    cells: bool = False
    lifted: bool = False

    def __post_init__(self) -> None:
        if self.exhibit not in REGIONAL_EXHIBITS:
            raise unknown("exhibit", self.exhibit, REGIONAL_EXHIBITS)

    def settled(self, results: Results) -> RegionalView:
        """Return the view with every choice made.

        Raises
        ------
        ResultsError
            When no score was made region by region.
        """
        scored = regional_metrics(results)
        if not scored:
            raise ResultsError(
                "no score of a region in these results",
                where=results.path,
                fix="name one in [score] metrics, such as regional_precision",
            )
        last = results.splits[-1] if results.splits else ""
        regions = self.regions or default_regions(results)
        methods = self.methods or results.method_ids
        return RegionalView(
            exhibit=self.exhibit,
            metric=self.metric or scored[0],
            split=self.split or last,
            class_name=self.class_name,
            seed=self.seed,
            regions=regions,
            methods=methods,
            population=self.population,
            region=self.region or regions[0],
            method=self.method or methods[0],
            falsified=self.falsified or next(iter(falsification_metrics(results)), ""),
            cells=self.cells,
            lifted=self.lifted,
        )


@dataclass(frozen=True, eq=False)
class Regional:
    """The tables and charts of a view over one study; read once, asked for one by one.

    ``scores`` holds a row per image, seed, region and method of the chosen regions and methods.
    """

    results: Results
    view: RegionalView
    scores: pd.DataFrame

    @classmethod
    def of(cls, results: Results, view: RegionalView) -> Regional:
        """Read what a view needs."""
        view = view.settled(results)
        return cls(results, view, _read(results, view, view.metric, view.regions))

    @property
    def label(self) -> str:
        """The score's name, with its unit."""
        call = parse_metric(self.view.metric)
        return f"{call.label} (%)" if call.bounds[1] == 100 else call.label

    def table(self) -> pd.DataFrame:
        """Return ``stats.region_table`` with the methods' names."""
        view = self.view
        table = region_table(
            self.scores, scale=chance_scale(view.metric), population=view.population
        )
        low, high = parse_metric(view.metric).bounds  # widened ends may lie beyond what can be
        for name, end in (("low", high), ("high", high), ("lift_low", None), ("lift_high", None)):
            table[name] = table[name].clip(low, end)
        return self._named(table)

    def _named(self, table: pd.DataFrame) -> pd.DataFrame:
        names = method_labels(self.results)
        at = table.columns.get_loc("method_id")
        assert isinstance(at, int)
        table.insert(at + 1, "method", [names.get(key, key) for key in table["method_id"]])
        return table

    def _who(self, table: pd.DataFrame | None = None) -> str:
        """Return population, n and seeds as the caption says them."""
        view = self.view
        parts = [f"{view.split} images"]
        if view.class_name:
            parts[0] += f" of {view.class_name}"
        if view.population == "correct":
            parts[0] = f"correctly classified {parts[0]}"
        if table is not None and len(table):
            drawn = table[table["n"] > 0] if table["n"].any() else table
            parts.append(count_text(drawn["n"].min(), drawn["n"].max()))
        seeds = sorted(set(self.scores["seed"]))
        if view.seed is not None or len(seeds) < 2:
            parts.append(f"seed {', '.join(map(str, seeds))}")
        else:
            parts.append(f"mean of each image over {len(seeds)} seeds")
        text = "; ".join(parts)
        return text[:1].upper() + text[1:]

    # ------------------------------------------------------------ charts

    def boxes(self, table: pd.DataFrame) -> Chart:
        """Return the boxplot over images, a box per region and method, area share marked."""
        view, scale = self.view, chance_scale(self.view.metric)
        rows = over_images(self.scores[causes(self.scores, population=view.population).isna()])
        area = table.groupby("region", sort=False)["area"].mean()
        reference = scale is not None and bool(area.notna().any())
        if reference:
            rows["area share"] = rows["region"].map(area * (scale or 1))
        rows["id"] = rows["sample_id"] + "|" + rows["region"] + "|" + rows["method_id"]
        low, high = parse_metric(view.metric).bounds
        said = "Thick line: mean area share, what a map without information scores."
        return Chart(
            id="regions",
            kind="boxes",
            title=self._title("regions"),
            table=rows,
            x="region",
            y="value",
            group="method_id",
            reference="area share" if reference else None,
            x_label="",
            y_label=self.label,
            y_range=_from_zero(rows["value"], low, high),
            caption=f"{self._who(table)}. {said if reference else ''}".strip(),
        )

    def lift(self, table: pd.DataFrame) -> Chart | None:
        """Return bars of score over area share; None where chance is not known."""
        rows = table[table["lift"].notna()]
        if rows.empty:
            return None
        return Chart(
            id="lift",
            kind="bars",
            title=self._title("lift"),
            table=rows.assign(id=rows["region"] + "|" + rows["method_id"]),
            x="region",
            y="lift",
            group="method_id",
            low="lift_low",
            high="lift_high",
            x_label="",
            y_label=f"{parse_metric(self.view.metric).label} / area share",
            lines_at=((1.0, "chance"),),
            caption=f"{self._who(table)}. Mean score over mean area share; whiskers: 95 %, images "
            "and seeds drawn anew.",
        )

    def falsification(self) -> tuple[Chart, pd.DataFrame] | None:
        """Return falsification rate against the score of one region; None where not scored."""
        view = self.view
        if not view.falsified:
            return None
        own = self.scores[self.scores["region"] == view.region]
        if view.region not in view.regions:
            own = _read(self.results, view, view.metric, (view.region,))
        rates = _read(self.results, view, view.falsified, (WHOLE,))
        by = ("method_id", "class") if view.cells else ("method_id",)
        table = self._named(cells(own, rates, population=view.population, by=by))
        table = table.rename(columns={"x": "score", "y": "rate"})
        table[["low", "high"]] = table[["low", "high"]].clip(0.0, 1.0)
        names = table["method"] + (", " + table["class"] if view.cells else "")
        table = table.assign(label=names, id=names)
        what = "method and class" if view.cells else "method"
        chart = Chart(
            id="falsification",
            kind="points",
            title=self._title("falsification"),
            table=table,
            x="score",
            y="rate",
            group="method_id",
            low="low",
            high="high",
            label="label",
            x_label=f"{self.label} in {view.region}",
            y_label=f"Falsification rate ({_rule(view.falsified)})",
            y_range=(-0.04, 1.04),
            trend=len(table) > 2,
            caption=f"{self._who(table)}. A point per {what}; whiskers: 95 %, images and seeds "
            f"drawn anew. {correlation_text(table['score'], table['rate'])}",
        )
        return chart, table

    def class_regions(self) -> tuple[Chart, pd.DataFrame]:
        """Return the mean score (or lift) of each region per class, for one method."""
        view, scale = self.view, chance_scale(self.view.metric)
        rows = self.scores[self.scores["method_id"] == view.method]
        if view.method not in view.methods:
            rows = _read(self.results, view, view.metric, view.regions, (view.method,))
        images = over_images(
            rows[causes(rows, population=view.population).isna()],
            by=("class", "region", "method_id"),
        )
        table = images.groupby(["class", "region"], sort=False, as_index=False).agg(
            mean=("value", "mean"), area=("area", "mean"), n=("value", "size")
        )
        lifted = view.lifted and scale is not None
        table["lift"] = table["mean"] / (table["area"] * scale) if scale else math.nan
        column = "lift" if lifted else "mean"
        order = {name: i for i, name in enumerate(self.results.classes)}
        place = {name: i for i, name in enumerate(view.regions)}
        table = table.sort_values(
            ["class", "region"], key=lambda s: s.map(order if s.name == "class" else place)
        ).reset_index(drop=True)
        table["id"] = table["class"] + "|" + table["region"]
        name = method_labels(self.results)[view.method]
        unit = "mean over mean area share" if lifted else f"mean {self.label}"
        chart = Chart(
            id="class-regions",
            kind="heat",
            title=f"{self._title('class-regions')}, {name}",
            table=table,
            x="region",
            y="class",
            value=column,
            x_label="",
            y_label="",
            caption=f"{name}. {self._who(table)} in a cell. Number: {unit}.",
        )
        return chart, table

    def _title(self, exhibit: str) -> str:
        return f"{self.results.title}: {REGIONAL_EXHIBITS[exhibit]}"


def _read(
    results: Results,
    view: RegionalView,
    metric: str,
    regions: Sequence[str],
    methods: Sequence[str] = (),
) -> pd.DataFrame:
    return regional_scores(
        results,
        metric,
        regions=() if tuple(regions) == (WHOLE,) else regions,
        methods=methods or view.methods,
        split=view.split,
        class_name=view.class_name or None,
        seed=view.seed,
    )


def _from_zero(values: pd.Series[Any], low: float, high: float) -> tuple[float, float] | None:
    """Return an axis from the score's least value to its largest, or to where the data end."""
    if not (math.isfinite(low) and math.isfinite(high)) or not len(values):
        return None
    top = min(high, max(float(values.max()) * 1.05, (high - low) / 10))
    return low - 0.02 * (top - low), top + 0.02 * (top - low)


def _rule(metric: str) -> str:
    return "area-matched" if "rule=area-matched" in metric else "as published"


def correlation_text(
    x: Sequence[float] | pd.Series[Any], y: Sequence[float] | pd.Series[Any]
) -> str:
    """Return the two correlations of x and y in words.

    >>> correlation_text([1, 2, 3, 4, 5], [5, 3, 4, 2, 1])
    'Pearson r = −0.90 (p = 0.037), Spearman ρ = −0.90 (p = 0.083), n = 5 points.'
    """
    pearson, spearman = correlation(x, y), correlation(x, y, kind="spearman")
    n = pearson.n
    if math.isnan(pearson.r):
        why = "fewer than three points" if n < 3 else "one of the two does not differ"
        return f"No correlation: {why} (n = {n})."
    text = (
        f"Pearson r = {pearson.r:.2f} (p = {pearson.p:.2g}), "
        f"Spearman ρ = {spearman.r:.2f} (p = {spearman.p:.2g}), n = {n} points."
    )
    return text.replace("= -", "= −")


def alignment_chart(
    opened: Mapping[str, Results], view: RegionalView
) -> tuple[Chart, pd.DataFrame]:
    """Return alignment against accuracy: a point per model, that is per study and seed.

    ``view`` must name metric and method; its ``seed``, ``regions`` and ``class_name`` play no
    part.
    """
    split, region = view.split or "test", view.region or None
    table = alignment(
        opened,
        view.metric,
        method=view.method,
        region=region,
        split=split,
        population=view.population,
    )
    names: dict[str, str] = {}
    for results in opened.values():
        names |= method_labels(results, marked=False)
    call = parse_metric(view.metric)
    label = f"{call.label} (%)" if call.bounds[1] == 100 else call.label
    where = f" in {region}" if region else ""
    n = count_text(table["n"].min(), table["n"].max()) if len(table) else "n 0"
    which = "all" if view.population == "all" else "correctly classified"
    several = table.duplicated("study", keep=False)  # the colour tells the study already
    short = table["model"].where(~several, "seed " + table["seed"].astype(str))
    chart = Chart(
        id="alignment",
        kind="points",
        title=f"Alignment against accuracy: {names.get(view.method, view.method)}",
        table=table.assign(short=short),
        x="accuracy",
        y="value",
        group="study",
        low="low",
        high="high",
        label="short",
        x_label=f"balanced accuracy, {split}",
        y_label=f"{label}{where}",
        trend=len(table) > 2,
        caption=f"A point per model (study and seed); {which} {split} images, {n}; whiskers: 95 %, "
        f"images drawn anew. {correlation_text(table['accuracy'], table['value'])}",
    )
    return chart, table
