"""What became of each claim: win shares and overlaps of both arms, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from xaieval.outcomes import Claim, Finding, Gate, GateResult, judged, untested
from xaieval.reproduce.project_iml.claims import (
    BASELINES,
    PUBLISHED_ACCURACY,
    PUBLISHED_SPREAD,
    SHOWN,
)
from xaieval.stats import population, win_shares
from xaieval.stats.bootstrap import two_way
from xaieval.stats.contrasts import Contrast, contrast
from xaieval.study import Results

METRIC = "topk_overlap"
GRADCAM = "gradcam"
SHARES, SCORES = "win share", "Top-K overlap"


def overlaps(results: Results, split: str = "test") -> pd.DataFrame:
    """Return ``seed, sample_id, method_id, value``: overlaps of correctly classified images."""
    found = results.scores(metric_key=METRIC, region=results.regions[0], split=split)
    return population(found, kind="correct").kept


def shares(results: Results, split: str = "test") -> pd.DataFrame:
    """Return ``seed, sample_id, method_id, value``: the competitors' shares of each win."""
    kept = overlaps(results, split)
    found = win_shares(kept, methods=results.compete).rename(columns={"share": "value"})
    return found[["seed", "sample_id", "method_id", "value"]]


def of(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return one method's rows."""
    return frame[frame["method_id"] == method]


def n_text(found: Contrast) -> str:
    """Return what a contrast rests on.

    >>> from types import SimpleNamespace
    >>> n_text(SimpleNamespace(n_seeds=3, n_images=10, n=28))
    '3 seeds × 10 images, 28 pairs'
    """
    seeds = f"{found.n_seeds} seed{'' if found.n_seeds == 1 else 's'}"
    return f"{seeds} × {found.n_images} images, {found.n} pairs"


def compared(claim: Claim, a: pd.DataFrame, b: pd.DataFrame, *, unit: str) -> Finding:
    """Return the finding of "a scores higher than b", image by image under the same seed."""
    if not a["value"].notna().any() or not b["value"].notna().any():
        return untested(claim, "no correctly classified image has a mask")
    found = contrast(a, b)
    return _judged(claim, found, unit, f"{found.mean_a:.3f} against {found.mean_b:.3f}")


def _judged(claim: Claim, found: Contrast, unit: str, means: str) -> Finding:
    why = f"{means}; above in {found.seeds_for} of {found.n_seeds} seeds"
    return judged(
        claim,
        value=found.difference,
        low=found.low,
        high=found.high,
        n=n_text(found),
        unit=f"difference of mean {unit}",
        why="too few values for an interval" if math.isnan(found.low) else why,
    )


def wins_most(claim: Claim, results: Results, *, split: str = "test") -> Finding:
    """Return whether Grad-CAM wins more often than each other competitor.

    The figure is the difference to the competitor that comes nearest (whose interval lies lowest);
    the claim holds when even that interval lies above 0.
    """
    if split not in results.splits:
        return untested(claim, f"no {split} images are scored")
    found = shares(results, split)
    others = [key for key in results.compete if key != GRADCAM]
    mine = of(found, GRADCAM)
    if not mine["value"].notna().any():
        return untested(claim, "no correctly classified image has a mask")
    rates = {key: float(of(found, key)["value"].mean()) for key in results.compete}
    nearest = min(
        (contrast(mine, of(found, key)) for key in others),
        key=lambda it: math.inf if math.isnan(it.low) else it.low,
    )
    means = ", ".join(f"{key} {rate:.3f}" for key, rate in rates.items())
    return _judged(claim, nearest, SHARES, f"win rates: {means}")


def published_accuracy(claim: Claim, results: Results) -> Finding:
    """Return whether the mean test accuracy reaches the published one, less its spread."""
    accuracy = results.accuracy()
    values = accuracy[accuracy["split"] == "test"].rename(columns={"balanced_accuracy": "value"})
    # One number per model: the models are what is resampled.
    frame = values[["seed", "value"]].assign(sample_id="all test images")
    found = two_way(frame)
    return judged(
        claim,
        value=found.estimate,
        low=found.low,
        high=found.high,
        n=f"{found.n_seeds} seeds × {int(values['n'].max())} images",
        unit="mean balanced accuracy",
        bound=PUBLISHED_ACCURACY - PUBLISHED_SPREAD,
    )


def measured_gates(gates: Sequence[Gate], arms: Mapping[float, Results]) -> tuple[GateResult, ...]:
    """Return the accuracy of every seed at its arm's gate."""
    found = []
    for gate in gates:
        accuracy = arms[1.0 if gate.id == SHOWN else 0.0].accuracy()
        test = accuracy[accuracy["split"] == "test"]
        values = tuple(float(value) for value in test["balanced_accuracy"])
        found.append(GateResult(gate, values, "one value per seed"))
    return tuple(found)


def own_findings(claims: Mapping[str, Claim], arms: Mapping[float, Results]) -> list[Finding]:
    """Return the findings of the questions that are asked of every set of images."""
    shown, unshown = arms[1.0], arms[0.0]
    found = [wins_most(claims["gradcam-wins-unshown"], unshown)]
    for id, table, unit in (
        ("mask-loss-raises-win-rate", shares, SHARES),
        ("mask-loss-raises-overlap", overlaps, SCORES),
    ):
        a, b = (of(table(arm), GRADCAM) for arm in (shown, unshown))
        found.append(compared(claims[id], a, b, unit=unit))
    for suffix, arm in (("", shown), ("-unshown", unshown)):
        scores = overlaps(arm)
        for key in BASELINES:
            claim = claims[f"gradcam-beats-{key.replace('_', '-')}{suffix}"]
            found.append(compared(claim, of(scores, GRADCAM), of(scores, key), unit=SCORES))
    return found
