"""Regional tables and their intervals: by hand, against loops, at the edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaieval.errors import ResultsError
from xaieval.export.regional import correlation_text
from xaieval.stats import Ratios, causes, cells, over_images, region_table, two_way


def rows(*found: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of (sample, seed, region, method, value or reason, area, correct)."""
    names = ["sample_id", "seed", "region", "method_id", "value", "area", "correct"]
    frame = pd.DataFrame(found, columns=names)
    texts = frame["value"].map(lambda v: v if isinstance(v, str) else None)
    frame["reason"] = texts.astype(object).where(texts.notna(), None)
    frame["value"] = [math.nan if isinstance(v, str) else float(v) for v in frame["value"]]
    frame["image"] = frame["sample_id"].str.partition("@")[0]
    frame["class"] = "smile"
    return frame


HAND = rows(
    ("a", 1, "nose", "gradcam", 0.2, 0.1, True),
    ("a", 2, "nose", "gradcam", 0.4, 0.1, True),
    ("b", 1, "nose", "gradcam", 0.6, 0.2, True),
    ("b", 2, "nose", "gradcam", 0.9, 0.2, False),
    ("c", 1, "nose", "gradcam", 0.5, 0.1, False),
    ("c", 2, "nose", "gradcam", 0.5, 0.1, False),
    ("d", 1, "nose", "gradcam", "absent-part", 0.0, True),
    ("d", 2, "nose", "gradcam", "absent-part", 0.0, False),
    ("e", 1, "nose", "gradcam", "zero-map", 0.1, True),
    ("e", 2, "nose", "gradcam", "zero-map", 0.1, True),
)


def test_a_region_by_hand():
    (found,) = region_table(HAND).to_dict("records")
    # a: mean of 0.2 and 0.4; b: its one right seed; c never right; d without a nose; e zero
    assert (found["n"], found["n_images"], found["n_seeds"]) == (2, 2, 2)
    assert found["mean"] == pytest.approx((0.3 + 0.6) / 2)
    assert found["std"] == pytest.approx(0.15)
    assert found["median"] == pytest.approx(0.45)
    assert found["area"] == pytest.approx(0.15)
    assert found["lift"] == pytest.approx(0.9 / 0.3)
    assert found["left_out"] == 3
    assert found["left_out_by"] == "absent-part 1, misclassified 1, zero-map 1"


def test_everybody_takes_part_when_asked():
    (found,) = region_table(HAND, population="all").to_dict("records")
    assert found["n"] == 3
    assert found["mean"] == pytest.approx((0.3 + 0.75 + 0.5) / 3)
    assert found["left_out_by"] == "absent-part 1, zero-map 1"


def test_percent_and_no_chance():
    percent = HAND.assign(value=HAND["value"] * 100)
    by_percent, by_share = region_table(percent, scale=100.0), region_table(HAND)
    assert by_percent["lift"].tolist() == pytest.approx(by_share["lift"].tolist())
    assert by_percent["lift_low"].tolist() == pytest.approx(by_share["lift_low"].tolist())
    assert region_table(HAND, scale=None)["lift"].isna().all()
    assert region_table(HAND.drop(columns="area"))["lift"].isna().all()


def test_nobody_takes_part():
    (found,) = region_table(HAND[HAND["sample_id"] == "d"]).to_dict("records")
    assert found["n"] == 0
    assert math.isnan(found["mean"])
    assert math.isnan(found["low"])
    assert found["left_out_by"] == "absent-part 1"
    assert causes(HAND, population="all").isna().sum() == 6
    with pytest.raises(ResultsError, match="lacks"):
        region_table(HAND.drop(columns="region"))


def test_pairs_of_one_picture_are_one_image():
    frame = rows(
        ("a@x", 1, "nose", "m", 0.1, 0.1, True),
        ("a@y", 1, "nose", "m", 0.3, 0.1, True),
        ("b@x", 1, "nose", "m", 0.5, 0.1, True),
    )
    (found,) = region_table(frame).to_dict("records")
    assert (found["n"], found["n_images"]) == (3, 2)
    lone = region_table(frame[frame["image"] == "a"]).iloc[0]
    assert math.isnan(lone["low"])  # two rows of one picture say nothing of other pictures


tables = st.integers(1, 5).flatmap(
    lambda seeds: st.lists(
        st.lists(st.floats(0, 1), min_size=seeds, max_size=seeds), min_size=1, max_size=7
    )
)


@given(tables)
def test_the_mean_lies_in_its_interval_and_is_the_means_mean(table: list[list[float]]):
    values = np.array(table)
    frame = rows(
        *(
            (f"i{i}", s, "nose", "m", float(value), 0.5, True)
            for i, row in enumerate(values)
            for s, value in enumerate(row)
        )
    )
    (found,) = region_table(frame).to_dict("records")
    assert found["mean"] == pytest.approx(values.mean())
    assert found["std"] == pytest.approx(values.mean(1).std(), abs=1e-9)
    if values.size == 1 or (values.shape[0] < 2 and values.shape[1] < 2):
        assert math.isnan(found["low"])
    else:
        assert found["low"] <= found["mean"] + 1e-9
        assert found["high"] >= found["mean"] - 1e-9


def test_an_interval_agrees_with_the_bootstrap_of_means():
    generator = np.random.default_rng(3)
    value = generator.normal(0.5, 0.1, (40, 1)) + generator.normal(0, 0.02, (1, 5))
    value = value + generator.normal(0, 0.05, (40, 5))
    frame = pd.DataFrame(
        [
            {"sample_id": f"{i}", "image": f"{i}", "seed": s, "value": value[i, s]}
            for i in range(40)
            for s in range(5)
        ]
    )
    low, high = Ratios(frame["image"], frame["seed"]).interval(frame, "value")
    other = two_way(frame)
    width = other.high - other.low
    assert low == pytest.approx(other.low, abs=0.15 * width)
    assert high == pytest.approx(other.high, abs=0.15 * width)


def test_a_ratio_of_constant_rows_has_no_width():
    frame = rows(*((s, seed, "nose", "m", 0.4, 0.1, True) for s in "abc" for seed in (1, 2)))
    ratios = Ratios(frame["image"], frame["seed"])
    assert ratios.interval(frame, "value", "area") == (pytest.approx(4.0), pytest.approx(4.0))
    nothing = frame.assign(area=0.0)
    assert all(map(math.isnan, ratios.interval(nothing, "value", "area")))
    with pytest.raises(ResultsError, match="bad interval"):
        Ratios("a", [1], confidence=1.0)


def test_two_scores_side_by_side_by_hand():
    scores = rows(
        ("a", 1, "nose", "gradcam", 0.2, 0.1, True),
        ("b", 1, "nose", "gradcam", 0.4, 0.1, True),
        ("c", 1, "nose", "gradcam", "absent-part", 0.0, True),
        ("a", 1, "nose", "random", 0.1, 0.1, True),
    )
    rates = rows(
        ("a", 1, "whole", "gradcam", 1.0, math.nan, True),
        ("b", 1, "whole", "gradcam", 0.0, math.nan, True),
        ("c", 1, "whole", "gradcam", 1.0, math.nan, True),
        ("a", 1, "whole", "random", "flat-map", math.nan, True),
    )
    (found,) = cells(scores, rates).to_dict("records")  # c has no nose, random no rate
    assert (found["method_id"], found["n"], found["y"]) == ("gradcam", 2, 0.5)
    assert found["x"] == pytest.approx(0.3)
    assert len(cells(scores, rates, by=("method_id", "class"))) == 1


def test_correlations_in_words_at_the_edges():
    assert "fewer than three points (n = 2)" in correlation_text([1, 2], [1, 2])
    assert "does not differ (n = 3)" in correlation_text([1, 1, 1], [1, 2, 3])
    text = correlation_text([1, 2, 3, math.nan], [2, 4, 7, 0])  # 2 of the 6 orders are as clear
    assert "Spearman ρ = 1.00 (p = 0.33), n = 3 points." in text
    assert text.startswith("Pearson r = 0.99 (p = 0.07")


def test_every_image_counts_once():
    found = over_images(HAND[causes(HAND).isna()])
    assert found[["sample_id", "n_seeds"]].values.tolist() == [["a", 2], ["b", 1]]
