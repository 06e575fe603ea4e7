"""From scores to an answer: who wins under each variant, and is it the same method?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from xaieval.metrics import parse_metric
from xaieval.sensitivity.axes import AXES, Asked, variants_of
from xaieval.sensitivity.recipe import Variant
from xaieval.sensitivity.store import Settings, read_scores
from xaieval.stats import two_way, win_shares
from xaieval.study.results import Results

BASE = "base"
TIE = 1e-9
"""Mean win rates nearer than this are equal."""
REPLICATES = 1000


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What a run found.

    Attributes
    ----------
    settings : Settings
    methods : tuple of str
        The competing methods, in the study's order.
    frame : DataFrame
        ``axis, variant, label, method_id, seed, win_rate, score, n, left_out, left_out_by``; the
        base has the axis and variant "base".
    table : DataFrame
        Per variant and method, seeds together: ``axis, variant, label, method_id, win_rate, std,
        low, high, score, n, n_seeds, winner``: mean and population std of the seeds' win rates,
        and the 95 % interval of the win rate by the two-way bootstrap.
    verdicts : DataFrame
        Per variant: ``axis, variant, label, winners, survives, tau, n, n_seeds, left_out,
        left_out_by``; ``winners`` joined by "+", ``tau`` is Kendall's against the base's ranking.
    skipped : mapping axis -> why it has no variant
    """

    settings: Settings
    methods: tuple[str, ...]
    frame: pd.DataFrame
    table: pd.DataFrame
    verdicts: pd.DataFrame
    skipped: Mapping[str, str]

    @property
    def base_winners(self) -> tuple[str, ...]:
        """Who wins as the study measures; several when they tie, none when nobody does."""
        row = self.verdicts[self.verdicts["variant"] == BASE].iloc[0]
        return tuple(filter(None, row["winners"].split("+"))) if row["winners"] else ()

    @property
    def variants(self) -> pd.DataFrame:
        """The verdicts on everything but the base."""
        return self.verdicts[self.verdicts["variant"] != BASE]

    @property
    def survived(self) -> tuple[int, int]:
        """In how many variants the base's winner wins, and how many there are with a winner."""
        counted = self.variants[self.variants["winners"] != ""]
        return int(counted["survives"].sum()), len(counted)


def summarised(results: Results, settings: Settings, asked: Asked) -> Sensitivity:
    """Return the answer that stored scores give."""
    stored = read_scores(results)
    digests = {call.key: call.digest for call in asked.compete}
    kept = (
        (stored["region"] == settings.region)
        & stored["sample_id"].isin(settings.images)
        & stored["seed"].isin(settings.seeds)
        & (stored["method_id"].map(digests) == stored["method_digest"])
    )
    varied, skipped = variants_of(asked, settings.axes)
    # what the model classifies differently now, or never counted, takes no part
    scores = _counted(results, settings, stored[kept])
    return answer_of(
        scores, varied, asked=asked, settings=settings, methods=tuple(digests), skipped=skipped
    )


def _counted(results: Results, settings: Settings, scores: pd.DataFrame) -> pd.DataFrame:
    if settings.population != "correct":
        return scores
    right = results.predictions(split=settings.split)
    right = right.loc[right["correct"].astype(bool), ["sample_id", "seed"]]
    return scores.merge(right, on=["sample_id", "seed"])


def answer_of(
    scores: pd.DataFrame,
    varied: Mapping[str, Sequence[Variant]],
    *,
    asked: Asked,
    settings: Settings,
    methods: tuple[str, ...],
    skipped: Mapping[str, str] | None = None,
) -> Sensitivity:
    """Count wins under every variant.

    Parameters
    ----------
    scores : DataFrame
        ``sample_id, seed, method_id, recipe, value, reason``.
    varied : mapping axis -> variants
    """
    by_recipe = dict(tuple(scores.groupby("recipe", sort=False)))
    base = Variant(BASE, "as the study measures", asked.recipe())
    listed = [(BASE, base), *((axis, v) for axis, found in varied.items() for v in found)]
    frames, tables, verdicts = [], [], []
    reference: dict[str, float] = {}
    for axis, variant in listed:
        part = by_recipe.get(variant.recipe.key)
        if part is None:
            continue
        named = {"axis": axis, "variant": variant.id, "label": variant.label}
        frame, table, left = _one(part, variant, methods)
        rates = dict(zip(table["method_id"], table["win_rate"], strict=True))
        reference = reference or rates
        winners = _winners(rates)
        table["winner"] = table["method_id"].isin(winners)
        first = _winners(reference)
        verdicts.append(
            named
            | {
                "winners": "+".join(winners),
                "survives": bool(winners) and winners == first,
                "tau": _tau(rates, reference, methods),
                "n": int(table["n"].max()),
                "n_seeds": int(table["n_seeds"].max()),
                "left_out": sum(left.values()),
                "left_out_by": ", ".join(f"{cause} {n}" for cause, n in sorted(left.items())),
            }
        )
        frames.append(frame.assign(**named))
        tables.append(table.assign(**named))
    heads = ["axis", "variant", "label", "method_id"]
    columns = [*heads, "seed", "win_rate", "score", "n", "left_out", "left_out_by"]
    numbers = ["win_rate", "std", "low", "high", "score", "n", "n_seeds", "winner"]
    return Sensitivity(
        settings=settings,
        methods=methods,
        frame=pd.concat(frames, ignore_index=True)[columns],
        table=pd.concat(tables, ignore_index=True)[[*heads, *numbers]],
        verdicts=pd.DataFrame(verdicts),
        skipped=dict(skipped or {}),
    )


def _one(
    part: pd.DataFrame, variant: Variant, methods: tuple[str, ...]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Return the win rates per seed, those over seeds, and what is left out, by reason."""
    better = parse_metric(variant.recipe.metric).higher_is_better
    signed = part.assign(value=part["value"] if better else -part["value"])
    columns = ["sample_id", "seed", "method_id", "value"]
    there = [method for method in methods if (signed["method_id"] == method).any()]
    shares = win_shares(signed[columns], methods=there, tie_rule=variant.wins)
    left = _left_out(part, shares, variant)
    by = ["seed", "method_id"]
    frame = shares.groupby(by)["share"].agg(win_rate="mean", n="count", all="size").reset_index()
    frame = frame.merge(part.groupby(by)["value"].mean().rename("score").reset_index(), on=by)
    causes = {
        seed: ", ".join(f"{cause} {n}" for cause, n in own.value_counts().sort_index().items())
        for seed, own in left.groupby("seed")["cause"]
    }
    frame["left_out"] = frame.pop("all") - frame["n"]
    frame["left_out_by"] = [causes.get(seed, "") for seed in frame["seed"]]
    known = shares.rename(columns={"share": "value"}).dropna(subset="value")
    table = []
    for method in methods:
        of = frame[frame["method_id"] == method]
        rates = of["win_rate"].dropna()
        counted = known[known["method_id"] == method]
        interval = two_way(counted, replicates=REPLICATES) if len(counted) else None
        table.append(
            {
                "method_id": method,
                "win_rate": float(rates.mean()) if len(rates) else math.nan,
                "std": float(rates.std(ddof=0)) if len(rates) else math.nan,
                # widened for few seeds, an interval of a share may leave its range
                "low": max(interval.low, 0.0) if interval else math.nan,
                "high": min(interval.high, 1.0) if interval else math.nan,
                "score": float(of["score"].mean()) if of["score"].notna().any() else math.nan,
                "n": int(of["n"].sum()),
                "n_seeds": len(rates),
            }
        )
    counts = {str(cause): int(n) for cause, n in left["cause"].value_counts().items()}
    return frame, pd.DataFrame(table), counts


def _left_out(part: pd.DataFrame, shares: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    """Return ``sample_id, seed, cause`` of the images that nobody can win."""
    gone = shares[shares["share"].isna()][["sample_id", "seed"]].drop_duplicates()
    first = part.dropna(subset="reason").drop_duplicates(["sample_id", "seed"])
    named = gone.merge(first[["sample_id", "seed", "reason"]], on=["sample_id", "seed"], how="left")
    cause = named["reason"].fillna("undefined")
    if variant.recipe.mask_px < 0:
        cause = cause.replace("empty-mask", "eroded-away")
    return named.assign(cause=cause)[["sample_id", "seed", "cause"]]


def _winners(rates: Mapping[str, float]) -> tuple[str, ...]:
    """Return the methods of the highest mean win rate.

    >>> _winners({"a": 0.5, "b": 0.5, "c": 0.0}), _winners({"a": float("nan")})
    (('a', 'b'), ())
    """
    known = {method: rate for method, rate in rates.items() if not math.isnan(rate)}
    best = max(known.values(), default=math.nan)
    return tuple(method for method, rate in known.items() if rate >= best - TIE)


def _tau(
    rates: Mapping[str, float], reference: Mapping[str, float], methods: Sequence[str]
) -> float:
    pairs = [(rates.get(m, math.nan), reference.get(m, math.nan)) for m in methods]
    known = np.array([pair for pair in pairs if not any(map(math.isnan, pair))])
    if len(known) < 2:
        return math.nan
    return float(kendalltau(known[:, 0].round(9), known[:, 1].round(9)).statistic)


def sentence(found: Sensitivity, labels: Mapping[str, str]) -> str:
    """Return the answer in plain words.

    Axes under which the winner never changes are not named.
    """
    first = found.base_winners
    who = " and ".join(labels.get(method, method) for method in first)
    survived, total = found.survived
    if not first or not total:
        return "Nobody wins as the study measures, so there is nothing to survive."
    verb = "win" if len(first) > 1 else "wins"
    text = f"{who} {verb} in {survived} of {total} variants"
    lost = found.variants[~found.variants["survives"] & (found.variants["winners"] != "")]
    if lost.empty:
        return f"{text}: the choice of the measurement does not decide it."
    parts = []
    for winners, group in lost.groupby("winners", sort=False):
        others = [m for m in str(winners).split("+") if m not in first]
        name = " and ".join(labels.get(m, m) for m in others)
        shared = set(first) & set(str(winners).split("+"))
        names = _named(group["axis"].astype(str).tolist(), group["label"].astype(str).tolist())
        listed = ", ".join(names[:-1]) + (" and " if names[1:] else "") + names[-1]
        parts.append(f"{'ties with' if shared else 'loses to'} {name} {listed}")
    return f"{text}; {'; '.join(parts)}."


def _named(axes: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return variants as parts of a sentence, steps of one kind together.

    >>> _named(["mask", "mask", "metric"], ["dilated by 4 px", "dilated by 5 px", "IoU"])
    ['on masks dilated by 4 or 5 px', 'by IoU']
    """
    found: dict[str, list[str]] = {}
    for axis, label in zip(axes, labels, strict=True):
        head, _, tail = label.partition(" by ")
        key = f"on masks {head} by" if axis == "mask" else _where(axis, label)
        found.setdefault(key, []).append(tail.removesuffix(" px") if axis == "mask" else "")
    return [
        f"{key} {_either(sorted(steps, key=int))} px" if steps[0] else key
        for key, steps in found.items()
    ]


def _either(steps: Sequence[str]) -> str:
    if len(steps) < 2:
        return steps[0]
    if len(steps) > 2 and int(steps[-1]) - int(steps[0]) == len(steps) - 1:
        return f"{steps[0]} to {steps[-1]}"
    return f"{', '.join(steps[:-1])} or {steps[-1]}"


def _where(axis: str, label: str) -> str:
    """Return a variant as a part of a sentence.

    >>> _where("mask", "dilated by 5 px"), _where("metric", "AUROC"), _where("pooling", "sum")
    ('on masks dilated by 5 px', 'by AUROC', 'with pooling “sum”')
    """
    named = {"mask": "on masks {}", "metric": "by {}", "threshold": "by {}", "k": "at {}"}
    other = AXES[axis].label
    return named.get(axis, f"with {other[:1].lower()}{other[1:]} “{{}}”").format(label)
