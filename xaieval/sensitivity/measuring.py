"""Scores of one image under every recipe: which maps are needed, and what they give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.jobs import Answer
from xaieval.methods import MethodCall
from xaieval.metrics import Rules, parse_metric, score
from xaieval.sensitivity.recipe import Recipe, changed_mask, nearest_cells
from xaieval.types import Grid, Mask, Score

NO_MAP = Score(math.nan, "not-defined-for-model")


def call_for(call: MethodCall, recipe: Recipe) -> MethodCall:
    """Return the method with a recipe's pooling and upsampling, where it has such options.

    >>> from xaieval.methods import parse_method
    >>> call_for(parse_method("saliency"), Recipe(metric="iou", pooling="l1-norm")).key
    'saliency[pooling=l1-norm]'
    """
    changed = dict(call.options)
    if recipe.pooling and "pooling" in changed:
        changed["pooling"] = recipe.pooling
    if recipe.upsampling not in ("", "nearest") and "upsampling" in changed:
        changed["upsampling"] = recipe.upsampling
    same = changed == dict(call.options)
    return call if same else MethodCall(call.id, changed, call.custom)


@dataclass(frozen=True, eq=False)
class _Map:
    values: npt.NDArray[np.float32]
    grid: Grid | None


def _map_of(answer: Answer, call: MethodCall, recipe: Recipe) -> _Map | None:
    """Return a method's map under a recipe; None where there is none."""
    found = answer.maps.get(call_for(call, recipe).key)
    if found is None:
        return None
    if recipe.upsampling == "nearest" and found.grid is not None:
        flat = nearest_cells(found.values, found.grid)
        return None if flat is None else _Map(flat, None)
    return _Map(found.values, found.grid)


def measured(
    recipes: Sequence[Recipe],
    calls: Sequence[MethodCall],
    answers: Mapping[str, Answer],
    mask: Mask,
    *,
    rules: Rules,
) -> dict[tuple[str, str], Score]:
    """Score one image: (recipe key, method key) -> Score, with ``score()`` itself.

    Parameters
    ----------
    recipes, calls : sequences
    answers : mapping target name -> Answer
        "" for the study's own target; a target that is not there gives no scores.
    mask : bool (H, W)
        The region in input space, not empty.
    rules : Rules
        The study's.

    Notes
    -----
    Recipes that differ in their masks only are scored together, so that a map is sorted once.
    """
    found: dict[tuple[str, str], Score] = {}
    groups: dict[tuple[str, str, str], list[Recipe]] = {}
    for recipe in recipes:
        groups.setdefault(recipe.maps, []).append(recipe)
    masks: dict[int, Mask] = {}
    for (_, target, _), group in groups.items():
        steps = tuple(dict.fromkeys(recipe.mask_px for recipe in group))
        for px in steps:
            if px not in masks:
                masks[px] = changed_mask(mask, px)
        regions = np.stack([masks[px] for px in steps])
        keys = {
            recipe.key: recipe.key_for(int(masks[recipe.mask_px].sum()), mask.size)
            for recipe in group
        }
        for call in calls:
            answer = answers.get(target)
            shown = None if answer is None else _map_of(answer, call, group[0])
            if shown is None:
                found |= {(recipe.key, call.key): NO_MAP for recipe in group}
                continue
            scores = score(
                shown.values[None],
                regions[None],
                metrics=list(dict.fromkeys(keys.values())),
                rules=rules,
                grid=shown.grid,
                signed="nan",
            )
            for recipe in group:
                key = parse_metric(keys[recipe.key]).key
                at = 0, steps.index(recipe.mask_px)
                value, reason = float(scores[key][at]), scores.reasons[key][at]
                if reason in ("empty-mask", "absent-part"):
                    reason = "empty-mask"
                found[recipe.key, call.key] = Score(value, reason)
    return found
