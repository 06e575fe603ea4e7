"""From the state to what the Triage page asks for; what the study does not have is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xaieval.export import method_labels
from xaieval.stats.patterns import Thresholds
from xaieval.study import Results
from xaieval.triage import ORDERS, Filters

from ..state import ANY, AppState

FILTERS = (
    "study",
    "split",
    "class_name",
    "part_seed",
    "answers",
    "images",
    "ties",
    "metric",
    "method",
    "region",
    "tag",
    "find",
    "pattern",
    "lines",
    "confidence",
    "span",
    "order",
    "outcome",
)
"""The values of the state that decide which rows are shown, and how."""


def settle(state: AppState, results: Results) -> None:
    """Put defaults where the state asks for what these results do not have, and say so."""
    labels = method_labels(results)
    seeds = (None, *results.seeds)
    outcome = state.outcome.partition(":")[2]
    named: tuple[tuple[str, Any, Sequence[Any], str], ...] = (
        ("split", state.split, ("", ANY, *results.splits), "split"),
        ("class_name", state.class_name, (ANY, *results.classes), "class"),
        ("part_seed", state.part_seed, seeds, "model seed"),
        ("method", state.method, ("", *labels), "method"),
        ("region", state.region, ("", *results.regions), "region"),
        ("order", state.order, tuple(ORDERS), "order"),
        ("outcome", outcome, ("", *results.compete), "competing method"),
    )
    changes: dict[str, Any] = {}
    for name, value, known, called in named:
        if value not in known:
            shown = str(value) if len(str(value)) <= 40 else str(value)[:40] + "…"
            state.notify(f"There is no {called} “{shown}” here; the default is shown.")
            changes[name] = state.param[name].default
    if state.metric not in results.metric_keys:
        if state.metric != state.param["metric"].default:
            state.notify(f"There is no score “{state.metric[:40]}” here; another one is shown.")
        changes["metric"] = usual_metric(results)
    if changes:
        state.param.update(**changes)


def usual_metric(results: Results) -> str:
    """Return the score that is shown until somebody chooses."""
    keys = results.metric_keys
    return "topk_overlap" if "topk_overlap" in keys else keys[0]


def split_of(state: AppState, results: Results) -> str:
    """Return the split shown; the study's first is test where there is one."""
    if state.split:
        return state.split
    return "test" if "test" in results.splits else (*results.splits, ANY)[0]


def asked(state: AppState, results: Results) -> dict[str, Any]:
    """Return what ``_triage_view.Asked`` holds, of a settled state."""
    split = split_of(state, results)
    region = state.region or (results.regions[0] if results.regions else "")
    filters = Filters(
        split=None if split == ANY else split,
        class_name=None if state.class_name == ANY else state.class_name,
        seed=state.part_seed,
        answers=state.answers,
        confidence=state.confidence or None,
        score=state.span or None,
        pattern=state.pattern or None,
        outcome=state.outcome or None,
        population=state.images or "correct",
        tie_rule=state.ties,
        tag=state.tag or None,
        text=state.find,
    )
    return {
        "metric": state.metric,
        "region": region,
        "method": state.method or None,
        "filters": filters,
        "order": state.order,
        "thresholds": Thresholds(*state.lines) if state.lines else Thresholds(),
    }
