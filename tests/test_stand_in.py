"""How many wins change hands when a competitor is drawn in another way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xaieval.errors import ConfigError
from xaieval.stats import stand_in, win_shares

METHODS = ["cam", "grad", "path"]


def table(seed: int = 0, images: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    names = [*METHODS, "cam'"]
    return pd.DataFrame(
        {
            "sample_id": np.repeat([f"i{n}" for n in range(images)], len(names)),
            "method_id": names * images,
            "value": generator.integers(0, 6, images * len(names)) / 5,  # ties are common
            "seed": 1,
            "class": "a",
            "correct": True,
            "reason": None,
        }
    )


def test_against_counting_by_hand() -> None:
    scores = table()
    found = stand_in(scores, methods=METHODS, original="cam", variant="cam'")
    wide = scores.pivot(index="sample_id", columns="method_id", values="value")
    changed = 0
    wins = {"cam'": 0.0, "grad": 0.0, "path": 0.0}
    for _, row in wide.iterrows():
        first = {m for m in METHODS if row[m] == row[METHODS].max()}
        others = ["cam'", "grad", "path"]
        second = {m for m in others if row[m] == row[others].max()}
        changed += {m.rstrip("'") for m in second} != first
        for method in second:
            wins[method] += 1 / len(second) / len(wide)
    assert (found.n, found.changed) == (40, changed)
    assert dict(found.after) == pytest.approx(wins)
    before = win_shares(scores, methods=METHODS).groupby("method_id")["share"].mean()
    assert dict(found.before) == pytest.approx(before.to_dict())


def test_nothing_changes_for_an_equal_form() -> None:
    scores = table()
    same = scores[scores["method_id"] == "cam"].assign(method_id="cam'")
    scores = pd.concat([scores[scores["method_id"] != "cam'"], same], ignore_index=True)
    assert stand_in(scores, methods=METHODS, original="cam", variant="cam'").changed == 0


def test_images_without_a_winner_are_left_out() -> None:
    scores = table()
    gone = scores["sample_id"].isin(["i0", "i1"])
    scores.loc[gone, ["value", "reason"]] = [np.nan, "empty-mask"]
    assert stand_in(scores, methods=METHODS, original="cam", variant="cam'").n == 38
    with pytest.raises(ConfigError, match="method of these scores"):
        stand_in(scores, methods=METHODS, original="cam", variant="camm")
