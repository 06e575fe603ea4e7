"""Training histories over seeds, as the table that a curve with its band draws."""

from __future__ import annotations

import pandas as pd

from xaieval.errors import unknown

QUANTITIES: dict[str, str] = {
    "balanced_accuracy": "balanced accuracy",
    "loss_total": "loss, total",
    "loss_ce": "loss, cross-entropy",
    "loss_mask": "loss, mask",
}
"""What a training history may hold, with its label."""


def curve_table(history: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return mean and std (ddof 0) over seeds per split and epoch.

    Folds of one seed are averaged first, so that a seed counts once. Missing numbers are left
    out; an epoch that only some seeds reached says so in ``n_seeds``.

    Parameters
    ----------
    history : DataFrame
        ``seed, fold, epoch, split`` and the quantity.
    quantity : str
        A key of ``QUANTITIES``.

    Returns
    -------
    DataFrame
        ``split, epoch, mean, std, n_seeds``, sorted.

    Raises
    ------
    ConfigError
        When the quantity is unknown.

    >>> rows = [(1, 0, 1, "test", 0.2), (1, 1, 1, "test", 0.4), (2, 0, 1, "test", 0.5)]
    >>> frame = pd.DataFrame(rows, columns=["seed", "fold", "epoch", "split", "loss_ce"])
    >>> curve_table(frame, "loss_ce").round(3).to_dict("records")
    [{'split': 'test', 'epoch': 1, 'mean': 0.4, 'std': 0.1, 'n_seeds': 2}]
    """
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, QUANTITIES)
    if quantity not in history.columns or history.empty:
        return pd.DataFrame(columns=["split", "epoch", "mean", "std", "n_seeds"])
    some = history[history[quantity].notna()]
    seeds = some.groupby(["split", "epoch", "seed"], observed=True)[quantity].mean()
    groups = seeds.groupby(level=["split", "epoch"])
    table = pd.DataFrame(
        {"mean": groups.mean(), "std": groups.std(ddof=0), "n_seeds": groups.size()}
    )
    return table.reset_index().sort_values(["split", "epoch"], ignore_index=True)


def curve_floor(table: pd.DataFrame) -> float:
    """Return where a logarithmic axis cuts the band: half the smallest positive mean.

    >>> curve_floor(pd.DataFrame({"mean": [0.0, 0.5, 2.0]}))
    0.25
    """
    positive = table["mean"][table["mean"] > 0]
    return float(positive.min()) / 2 if len(positive) else 1e-12


def wants_log(table: pd.DataFrame) -> bool:
    """Return whether the means span so much (10 times or more) that only a logarithm shows it.

    >>> wants_log(pd.DataFrame({"mean": [0.5, 4.0]})), wants_log(pd.DataFrame({"mean": [0.1, 4]}))
    (False, True)
    """
    means = table["mean"]
    return bool(len(means) and means.min() > 0 and means.max() >= 10 * means.min())
