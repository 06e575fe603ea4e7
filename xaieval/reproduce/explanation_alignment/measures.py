"""Tables and findings that several experiments make alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import Claim, Finding, judged
from xaieval.reproduce.explanation_alignment.scoring import GRADIENT

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.stats.contrasts import Contrast
    from xaieval.stats.split_half import SplitHalf


def contrast_finding(claim: Claim, found: Contrast, unit: str, *, what: str = "images") -> Finding:
    """Return the finding of a claim that one mean is greater than another."""
    agree = f"{found.seeds_for} of {found.n_seeds} seeds agree"
    return judged(
        claim,
        value=found.difference,
        low=found.low,
        high=found.high,
        n=f"{found.n_seeds} seeds × {found.n_images} {what}",
        unit=unit,
        why=agree if found.n_seeds > 1 else "",
    )


def contrast_numbers(found: Contrast) -> dict[str, Any]:
    """Return a contrast's means, difference, interval, verdict and seeds, for a table's row."""
    return {
        "mean_a": found.mean_a,
        "mean_b": found.mean_b,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "verdict": found.verdict,
        "seeds_for": found.seeds_for,
        "seeds": found.n_seeds,
    }


def best_by_mass(
    frame: pd.DataFrame, region: str, *, compete: Sequence[str], salt: str
) -> SplitHalf:
    """Return the method with most mass on a region, chosen on one half, against random and edges.

    ``compete`` holds method ids; the signed gradient has no mass and is none of them.
    """
    from xaieval.stats.split_half import split_half_best

    frame = frame[(frame["region"] == region) & (frame["metric_key"] == "mass_accuracy")]
    keys = {key.partition("[")[0]: key for key in frame["method_id"].unique() if key != GRADIENT}
    return split_half_best(
        frame,
        methods=[keys[name] for name in compete],
        baselines=["random", "sobel"],
        salt=salt,
    )


def mean_table(frames: Mapping[str, pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Return mean, spread and n by model and ``keys``, the area share of the region beside them.

    Parameters
    ----------
    frames : mapping model -> DataFrame
        ``seed, sample_id, region, metric_key, value`` and the keys.
    keys : sequence of str
        ``region`` and ``metric_key`` among them.

    Returns
    -------
    DataFrame
        ``model``, the keys, ``area_share``, ``mean`` (of the seeds' means), ``std_over_seeds``,
        ``median`` (of all values), ``n``, ``left_out`` (undefined values).
    """
    import pandas as pd

    keys = list(keys)
    parts = []
    for model, frame in frames.items():
        area = frame[frame["metric_key"] == "area_share"]
        share = area.groupby("region")["value"].mean()
        kept = frame[frame["metric_key"] != "area_share"]
        seeds = kept.groupby([*keys, "seed"])["value"].mean().groupby(level=keys)
        values = kept.groupby(keys)["value"]
        table = pd.DataFrame(
            {
                "mean": seeds.mean(),
                "std_over_seeds": seeds.std(ddof=0),
                "median": values.median(),
                "n": values.count(),
                "left_out": values.size() - values.count(),
            }
        ).reset_index()
        table.insert(0, "model", model)
        table.insert(len(keys) + 1, "area_share", table["region"].map(share))
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def by_seed(frame: pd.DataFrame) -> tuple[float, ...]:
    """Return the mean of column ``value`` under each seed."""
    return tuple(float(mean) for mean in frame.groupby("seed")["value"].mean())
