"""What a win-rate boxplot draws, as tables: boxes, whiskers, points that do not hide each other.

The screen figure (``figures``) and the printed one (``printed``) draw the same two tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xaieval.errors import ResultsError
from xaieval.stats import FEW_IMAGES, OVERALL, box_statistics, over_seeds

_GROUP = ["split", "class", "method_id"]
_NEEDED = ("seed", *_GROUP, "win_rate", "wins", "n", "left_out")


@dataclass(frozen=True, eq=False)
class Boxes:
    """Both tables of a boxplot figure and the order of its parts.

    Attributes
    ----------
    boxes : DataFrame
        One row per split, class and method: ``id``, ``mean``, ``std`` (ddof 0), ``median``,
        ``q1``, ``q3``, ``low`` and ``high`` (Wilson interval), ``from`` and ``to`` (two-way
        bootstrap interval; NaN when not known), ``n_seeds``, ``n_low`` and ``n_high`` (fewest and
        most images of a seed; NaN when not known), ``left_out`` (most of a seed) and
        ``left_out_by`` (why), ``undefined`` (why there is no number), ``whisker_low``,
        ``whisker_high``, ``few`` (bool: images).
    points : DataFrame
        One row per seed of a box: ``id``, ``box``, ``seed``, ``value``, ``wins``, ``n``,
        ``left_out``, ``shift`` in [-1, 1] (sideways place inside the box).
    splits, classes, methods : tuple of str
        Rows, columns and order of the boxes.
    """

    boxes: pd.DataFrame
    points: pd.DataFrame
    splits: tuple[str, ...]
    classes: tuple[str, ...]
    methods: tuple[str, ...]


def spread(values: Sequence[float], *, near: float = 0.025, step: float = 0.34) -> list[float]:
    """Return a sideways place in [-1, 1] per value, so that near values stand side by side.

    Values that follow each other within ``near`` form a clump; a clump is laid out evenly about
    the middle, in the order given. A lone value stands at 0. No random number is involved: the
    same data give the same picture.

    >>> spread([1.0, 0.5, 1.0, 1.0])
    [-0.34, 0.0, 0.0, 0.34]
    """
    places = [0.0] * len(values)
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    start = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and values[order[end]] - values[order[end - 1]] <= near:
            continue
        clump = sorted(order[start:end])
        gap = min(step, 2 / (len(clump) - 1)) if len(clump) > 1 else 0.0
        for place, index in enumerate(clump):
            places[index] = round((place - (len(clump) - 1) / 2) * gap, 6)
        start = end
    return places


def box_id(split: str, group: str, method: str) -> str:
    """Return the id of a box; a point's id appends its seed.

    >>> box_id("test", "crack", "gradcam")
    'test|crack|gradcam'
    """
    return f"{split}|{group}|{method}"


def boxes(
    win_rates: pd.DataFrame,
    *,
    splits: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    intervals: pd.DataFrame | None = None,
) -> Boxes:
    """Build both tables from win rates per seed.

    Quartiles by Hazen's rule (rank = p·n + 1/2), as the published boxplots draw them.

    Parameters
    ----------
    win_rates : DataFrame
        ``seed, split, class, method_id, win_rate, wins, n, left_out`` as from
        ``stats.win_rates``; ``win_rate`` in [0, 1] or NaN (no image), which makes no point.
    splits, classes, methods : sequence of str, optional
        What to show, in this order. Default: all, in order of appearance, "overall" first and
        "train" before "test".
    intervals : DataFrame, optional
        ``split, class, method_id, low, high`` as from ``stats.win_intervals``.

    Raises
    ------
    ResultsError
        When a column is missing.
    """
    missing = [name for name in _NEEDED if name not in win_rates.columns]
    if missing:
        raise ResultsError(
            "win rates lack columns", where=", ".join(missing), expected=", ".join(_NEEDED)
        )
    splits = tuple(_order(win_rates["split"], "train") if splits is None else splits)
    classes = tuple(_order(win_rates["class"], OVERALL) if classes is None else classes)
    methods = tuple(_order(win_rates["method_id"], None) if methods is None else methods)
    shown = win_rates[
        win_rates["split"].isin(splits)
        & win_rates["class"].isin(classes)
        & win_rates["method_id"].isin(methods)
    ]
    summary = over_seeds(shown, quartiles="hazen") if len(shown) else pd.DataFrame(columns=_GROUP)
    summary = summary.set_index(_GROUP)
    ends = {}
    if intervals is not None:
        named = intervals[[*_GROUP, "low", "high"]].itertuples(index=False, name=None)
        ends = {tuple(key): (low, high) for *key, low, high in named}
    box_rows, point_rows = [], []
    groups = dict(iter(shown.groupby(_GROUP, sort=False, observed=True)))
    for key in ((s, c, m) for s in splits for c in classes for m in methods):
        if key not in groups:
            continue
        group = groups[key].sort_values("seed")
        some = group[group["win_rate"].notna()]
        why = some["undefined"].tolist() if "undefined" in some else []
        without = bool(why) and all(why)  # it lost everywhere for want of a score: nothing to draw
        some = some[:0] if without else some
        values = some["win_rate"].tolist()
        name = dict(zip(_GROUP, key, strict=True))
        identity = box_id(*key)
        box = box_statistics(values, quartiles="hazen")
        box_rows.append(
            {"id": identity, **name}
            | {c: np.nan if without else summary.loc[key, c] for c in _STATISTICS}
            | dict(zip(("from", "to"), _ends(None if without else ends.get(key)), strict=True))
            | {
                "n_low": group["n"].min(),
                "n_high": group["n"].max(),
                "left_out": group["left_out"].max(),
                "left_out_by": _why(group),
                "undefined": why[0] if without else "",
                "whisker_low": box.low,
                "whisker_high": box.high,
                "few": bool(group["n"].min() < FEW_IMAGES),
            }
        )
        for (_, row), shift in zip(some.iterrows(), spread(values), strict=True):
            point_rows.append(
                {"id": f"{identity}|{row['seed']}", "box": identity, "seed": row["seed"], **name}
                | {"value": row["win_rate"], "wins": row["wins"], "n": row["n"]}
                | {"left_out": row["left_out"], "shift": shift}
            )
    return Boxes(
        pd.DataFrame(box_rows, columns=_BOX_COLUMNS),
        pd.DataFrame(point_rows, columns=_POINT_COLUMNS),
        splits,
        classes,
        methods,
    )


_STATISTICS = ("mean", "std", "median", "q1", "q3", "low", "high", "n_seeds")
_BOX_COLUMNS = [
    "id",
    *_GROUP,
    *_STATISTICS,
    "from",
    "to",
    "n_low",
    "n_high",
    "left_out",
    "left_out_by",
]
_BOX_COLUMNS += ["undefined", "whisker_low", "whisker_high", "few"]
_POINT_COLUMNS = ["id", "box", "seed", *_GROUP, "value", "wins", "n", "left_out", "shift"]


def _ends(known: tuple[float, float] | None) -> tuple[float, float]:
    return known or (np.nan, np.nan)


def _why(group: pd.DataFrame) -> str:
    """Return why images were left out, of the seed with the most of them."""
    if "left_out_by" not in group or not group["left_out"].notna().any():
        return ""
    worst = group["left_out"].to_numpy(float)
    return str(group["left_out_by"].iloc[int(np.nanargmax(worst))] or "")


def _order(column: pd.Series[str], first: str | None) -> list[str]:
    names = [str(name) for name in column.unique()]
    return sorted(names, key=lambda name: name != first) if first else names


def count_text(low: float, high: float) -> str:
    """Return a group's number of images as people read it; nothing when it is not known.

    >>> count_text(15, 15), count_text(14, 16), count_text(float("nan"), float("nan"))
    ('n 15', 'n 14–16', '')
    """
    if np.isnan(low) or np.isnan(high):
        return ""
    return f"n {low:.0f}" if low == high else f"n {low:.0f}–{high:.0f}"


def head_text(data: Boxes, split: str, group: str) -> str:
    """Return what stands above a column: class, number of images, and whether they are few."""
    cell = data.boxes[(data.boxes["split"] == split) & (data.boxes["class"] == group)]
    if cell.empty or cell["n_high"].max() == 0:
        return f"{group} · no images"
    parts = [group, count_text(cell["n_low"].min(), cell["n_high"].max())]
    text = " · ".join(part for part in parts if part)
    return f"{text}, few" if cell["few"].any() else text
