"""The summary of a results folder: win rates, mean scores, accuracy, and who was left out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pandas as pd

from xaieval.study.results import OVERALL, Population, Results

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Summary:
    """Rows as plain values, None where there is no number; the command line writes them out.

    Attributes
    ----------
    rows : list of dict
        ``split, class, method_id, competes, win_rate, std`` (ddof 0, over seeds), ``low, high``
        (Wilson interval of the pooled counts), ``score, score_std`` (mean over images, then mean
        and std over seeds), ``area_share, ceiling`` (what chance and the best map on the method's
        grid get; None where not scored), ``n_seeds, n, left_out`` (summed over seeds),
        ``left_out_by``, ``undefined`` (why a competitor has no win rate: it has no score of any
        image; else ''), ``sanity`` (why the method failed the sanity gate; empty: it did not).
    accuracy : list of dict
        ``split, balanced_accuracy, balanced_accuracy_std, accuracy, accuracy_std, n_seeds, n``.
    stand_ins : list of dict
        Per split and per method that is another form of one that competes (the same id with
        other options): ``split, original, variant, n, changed, before, after`` (``stats.StandIn``).
    region : str
        The one scored, where there are several; else ''.
    """

    title: str
    note: str
    metric: str
    population: Population
    tie_rule: str
    rows: list[Row]
    accuracy: list[Row]
    problems: list[str]
    stand_ins: list[Row] = field(default_factory=list)
    region: str = ""


def summary(
    results: Results,
    *,
    metric: str = "topk_overlap",
    region: str | None = None,
    population: Population = "correct",
    tie_rule: Literal["split", "first"] = "split",
    nan: Literal["loses", "complete-case"] = "loses",
) -> Summary:
    """Summarise a results folder by one metric; arguments as in ``Results.win_rates``.

    Methods that do not compete (baselines) have their mean score and no win rate.
    """
    from xaieval.stats import over_seeds

    rates = results.win_rates(
        metric, region=region, population=population, tie_rule=tie_rule, nan=nan
    )
    spread = over_seeds(rates).set_index(["split", "class", "method_id"]).to_dict("index")
    left_out = _left_out(rates)
    undefined = _undefined(rates)
    scores = _mean_scores(results, metric, region, population)
    rows: list[Row] = []
    for split, name in rates[["split", "class"]].drop_duplicates().itertuples(index=False):
        count, causes = left_out[split, name]
        for method in results.method_ids:
            why = undefined.get((split, name, method), "")
            rate = spread.get((split, name, method), {})
            if why:  # it lost everywhere, but only for want of a score: no rate to be read
                rate = rate | dict.fromkeys(("mean", "std", "low", "high"))
            score = scores.get((split, name, method), {})
            rows.append(
                {
                    "split": split,
                    "class": name,
                    "method_id": method,
                    "competes": method in results.compete,
                    "win_rate": _number(rate.get("mean")),
                    "std": _number(rate.get("std")),
                    "low": _number(rate.get("low")),
                    "high": _number(rate.get("high")),
                    "score": _number(score.get("mean")),
                    "score_std": _number(score.get("std")),
                    "area_share": _number(score.get("area")),
                    "ceiling": _number(score.get("ceiling")),
                    "n_seeds": _count(rate.get("n_seeds", score.get("n_seeds"))),
                    "n": _count(rate.get("n_images", score.get("n"))),
                    "left_out": _count(count),
                    "left_out_by": causes,
                    "undefined": why,
                    "sanity": results.sanity_failures.get(method, ""),
                }
            )
    return Summary(
        title=results.title,
        note=results.note,
        metric=metric,
        population=population,
        tie_rule=results.manifest.get("tie_rule", tie_rule),
        rows=rows,
        accuracy=_accuracy(results),
        problems=[problem["what"] for problem in results.manifest.get("problems", [])],
        stand_ins=stand_ins(
            results, metric, region=region, population=population, tie_rule=tie_rule, nan=nan
        ),
        region=results.named_region(metric, region),
    )


def stand_ins(
    results: Results,
    metric: str,
    *,
    region: str | None = None,
    population: Population = "correct",
    tie_rule: Literal["split", "first"] = "split",
    nan: Literal["loses", "complete-case"] = "loses",
) -> list[Row]:
    """Return how many wins change hands when another form of a competitor takes its place.

    A form is a method of the study with the competitor's id and other options. A row per split
    and form: ``split`` and the fields of ``stats.StandIn``. Arguments as in ``summary``.
    """
    if results.kind == "published":
        return []
    from xaieval.metrics import parse_metric
    from xaieval.stats import stand_in

    compete = results.compete
    pairs = [
        (original, variant)
        for original in compete
        for variant in results.method_ids
        if variant not in compete and variant.split("[")[0] == original.split("[")[0]
    ]
    if not pairs:
        return []
    frame = results.scores(metric_key=metric, region=results.region_of(metric, region))
    if parse_metric(metric).higher_is_better is False:
        frame["value"] = -frame["value"]
    return [
        {"split": split}
        | asdict(
            stand_in(
                frame[frame["split"] == split],
                methods=compete,
                original=original,
                variant=variant,
                tie_rule=tie_rule,
                nan=nan,
                population=population,
            )
        )
        for split in results.splits
        for original, variant in pairs
    ]


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _count(value: Any) -> int | None:
    return None if value is None or math.isnan(value) else int(value)


def _undefined(rates: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Return why a method has no win rate under any seed."""
    if "undefined" not in rates:  # published
        return {}
    found = {}
    some = rates[rates["n"] > 0]
    for (split, name, method), group in iter(some.groupby(["split", "class", "method_id"])):
        reasons = group["undefined"].tolist()
        if all(reasons):
            found[str(split), str(name), str(method)] = reasons[0]
    return found


def _left_out(rates: pd.DataFrame) -> dict[tuple[str, str], tuple[float, dict[str, int]]]:
    """Return how many images take no part, summed over seeds, and why."""
    found: dict[tuple[str, str], tuple[float, dict[str, int]]] = {}
    once = rates.drop_duplicates(["seed", "split", "class"])
    for (split, name), group in iter(once.groupby(["split", "class"], sort=False)):
        causes: dict[str, int] = {}
        for text in group["left_out_by"]:
            for part in filter(None, str(text).split(", ")):
                cause, _, number = part.rpartition(" ")
                causes[cause] = causes.get(cause, 0) + int(number)
        found[str(split), str(name)] = group["left_out"].sum(min_count=len(group)), causes
    return found


def _mean_scores(
    results: Results, metric: str, region: str | None, population: Population
) -> dict[tuple[str, str, str], Row]:
    """Return mean score and area share per split, class and method: images first, then seeds."""
    if results.kind == "published":
        return {}
    from xaieval.metrics import ceiling_key
    from xaieval.stats import population as keep

    region = results.region_of(metric, region)
    frame = keep(results.scores(metric_key=metric, region=region), kind=population).kept
    keys = ["sample_id", "seed", "method_id"]
    for name, key in (("area", "area_share"), ("ceiling", ceiling_key(metric) or "ceiling")):
        beside = results.scores(metric_key=key, region=region)
        beside = beside[[*keys, "value"]].rename(columns={"value": name})
        frame = frame.merge(beside, on=keys, how="left")
    frame = pd.concat([frame, frame.assign(**{"class": OVERALL})], ignore_index=True)
    group = ["split", "class", "method_id"]
    seeds = frame.groupby([*group, "seed"], sort=False).agg(
        value=("value", "mean"),
        area=("area", "mean"),
        ceiling=("ceiling", "mean"),
        n=("value", "count"),
    )
    table = seeds.groupby(level=group, sort=False).agg(
        mean=("value", "mean"),
        std=("value", lambda values: values.std(ddof=0)),
        area=("area", "mean"),
        ceiling=("ceiling", "mean"),
        n=("n", "sum"),
        n_seeds=("value", "count"),
    )
    found: Any = table.to_dict("index")
    return dict(found)


def _accuracy(results: Results) -> list[Row]:
    rows: list[Row] = []
    frame = results.accuracy()
    for split in results.splits:
        part = frame[frame["split"] == split]
        row: Row = {"split": split}
        for name in ("balanced_accuracy", "accuracy"):
            row[name] = _number(part[name].mean())
            row[f"{name}_std"] = _number(part[name].std(ddof=0))
        rows.append(row | {"n_seeds": len(part), "n": _count(part["n"].sum(min_count=1))})
    return rows
