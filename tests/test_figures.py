"""Figures: what they draw, checked against hand-computed tables and naive twins."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaieval.errors import ConfigError, ResultsError
from xaieval.figures import curve_figure, curve_table, print_curves, print_win_rates
from xaieval.figures import win_rate_figure as draw
from xaieval.figures.axes import short_name
from xaieval.figures.boxes import boxes, head_text, spread
from xaieval.figures.curves import QUANTITIES
from xaieval.figures.palette import INKS, MARKS, method_colours, method_marks

COLUMNS = ["seed", "split", "class", "method_id", "win_rate", "wins", "n", "left_out"]


def rates(n: float = 4) -> pd.DataFrame:
    """Two seeds, two splits, two classes and overall, two methods; test crack has n images."""
    rows = []
    for seed, share in ((42, 0.75), (43, 0.25)):
        for split in ("test", "train"):
            for group in ("crack", "hole", "overall"):
                images = n if (split, group) == ("test", "crack") else 20
                for method, rate in (("gradcam", share), ("saliency", 1 - share)):
                    rows.append((seed, split, group, method, rate, rate * images, images, 1))
    return pd.DataFrame(rows, columns=COLUMNS)


def test_orders_and_counts():
    data = boxes(rates())
    assert data.splits == ("train", "test")
    assert data.classes == ("overall", "crack", "hole")
    assert data.methods == ("gradcam", "saliency")
    assert len(data.boxes) == 2 * 3 * 2
    assert len(data.points) == 2 * len(data.boxes)
    crack = data.boxes.set_index("id").loc["test|crack|gradcam"]
    assert crack[["mean", "std", "median", "q1", "q3"]].tolist() == [0.5, 0.25, 0.5, 0.25, 0.75]
    assert crack["few"]
    assert crack["n_low"] == crack["n_high"] == 4
    assert not data.boxes.set_index("id").loc["train|crack|gradcam", "few"]
    assert head_text(data, "test", "crack") == "crack · n 4, few"
    assert head_text(data, "train", "hole") == "hole · n 20"


def test_ten_images_are_not_few_and_unknown_numbers_are_not_few():
    assert boxes(rates(9)).boxes["few"].any()
    assert not boxes(rates(10)).boxes["few"].any()
    unknown = rates().assign(n=np.nan, wins=np.nan, left_out=np.nan)
    data = boxes(unknown)
    assert not data.boxes["few"].any()
    assert data.boxes["low"].isna().all()
    assert head_text(data, "test", "crack") == "crack"


def test_group_without_images_has_a_row_and_no_point():
    table = rates()
    gone = (table["class"] == "hole") & (table["split"] == "test")
    table.loc[gone, ["win_rate", "wins", "n"]] = [np.nan, 0, 0]
    data = boxes(table)
    row = data.boxes.set_index("id").loc["test|hole|gradcam"]
    assert np.isnan(row["mean"])
    assert row["n_seeds"] == 0
    assert "test|hole|gradcam" not in set(data.points["box"])
    draw(data, labels={})
    print_win_rates(data, labels={})


def test_filters_keep_the_order_asked_for():
    data = boxes(rates(), splits=["test"], classes=["hole", "overall"], methods=["saliency"])
    assert data.boxes["id"].tolist() == ["test|hole|saliency", "test|overall|saliency"]


def test_missing_columns_are_named():
    with pytest.raises(ResultsError, match="win_rate, wins"):
        boxes(rates().drop(columns=["win_rate", "wins"]))


def test_reasons_come_from_the_seed_that_lost_most():
    table = rates().assign(left_out_by="misclassified 1")
    worst = table["seed"] == 43
    table.loc[worst, "left_out"] = 3
    table.loc[worst, "left_out_by"] = "empty-mask 3"
    assert set(boxes(table).boxes["left_out_by"]) == {"empty-mask 3"}


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=40))
def test_equal_values_never_hide_each_other(values: list[float]):
    places = spread(values)
    assert len(places) == len(values)
    assert all(-1 <= place <= 1 for place in places)
    seen = list(zip(values, places, strict=True))
    assert len(set(seen)) == len(seen)
    for value in set(values):  # laid out about the middle
        assert sum(p for v, p in seen if v == value) == pytest.approx(0, abs=1e-4)


@given(st.permutations([0.1, 0.1, 0.4, 0.41, 0.9]))
def test_spread_places_do_not_depend_on_other_clumps(values: list[float]):
    places = spread(values)
    assert places[values.index(0.9)] == 0
    assert sorted(p for v, p in zip(values, places, strict=True) if v == 0.1) == [-0.17, 0.17]


def test_bokeh_figure_draws_the_tables():
    data = boxes(rates())
    figure = draw(data, labels={"gradcam": "Grad-CAM"}, mode="dark")
    assert [row.name for row in figure.rows] == ["win-rate-train", "win-rate-test"]
    assert list(figure.boxes.data["id"]) == data.boxes["id"].tolist()
    assert "test|crack|gradcam|43" in figure.points.data["id"]
    left, right = (np.asarray(figure.boxes.data[k]) for k in ("left", "right"))
    x = np.asarray(figure.boxes.data["x"])
    assert np.allclose((left + right) / 2, x)
    order = np.argsort(x[:6])  # train: boxes stand apart, in order, inside their column
    assert (left[order][1:] > right[order][:-1]).all()
    assert (np.floor(left) == np.floor(right)).all()
    of_box = dict(zip(figure.boxes.data["id"], zip(left, right, strict=True), strict=True))
    for box, place in zip(figure.points.data["box"], figure.points.data["x"], strict=True):
        assert of_box[box][0] <= place <= of_box[box][1]
    tools = {type(tool).__name__ for tool in figure.rows[0].toolbar.tools}
    assert tools == {"HoverTool", "TapTool"}
    heads = figure.rows[1].above[0].major_label_overrides
    assert list(heads.values()) == ["overall · n 20", "crack · n 4, few", "hole · n 20"]
    assert not figure.rows[0].below[0].visible
    assert figure.rows[1].below[0].visible


def test_published_and_measured_never_share_a_colour():
    keys = ["gradcam", "saliency", "integrated_gradients", "other"]
    for mode in ("light", "dark"):
        measured = method_colours(keys, mode=mode)
        published = method_colours(keys, mode=mode, origin="published")
        assert not set(measured.values()) & set(published.values())
        assert len(set(measured.values())) == len(set(published.values())) == len(keys)


def test_a_method_keeps_its_colour_whoever_stands_beside_it():
    alone = method_colours(["saliency"])["saliency"]
    assert method_colours(["gradcam", "random", "saliency"])["saliency"] == alone
    twice = method_colours(["saliency", "saliency[pooling=sum]"])
    assert twice["saliency"] == alone != twice["saliency[pooling=sum]"]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("origin", ["measured", "published"])
def test_every_colour_stands_out_from_its_ground(mode: str, origin: str):
    keys = ["gradcam", "saliency", "integrated_gradients", "gradient_x_input", "occlusion"]
    keys += ["random", "one", "two", "three"]
    ground = luminance(INKS[mode].band)
    for key, colour in method_colours(keys, mode=mode, origin=origin).items():
        light, dark = sorted([luminance(colour), ground], reverse=True)
        ratio = (light + 0.05) / (dark + 0.05)
        assert ratio >= 3, f"{key}: {ratio:.2f}"  # WCAG 2.2, 1.4.11


def test_marks_differ_and_repeat_only_after_all():
    assert len(set(method_marks(list("abcdefg")).values())) == len(MARKS) == 7


@pytest.mark.parametrize(
    ("label", "short"), [("Gradient × input", "G×I"), ("Sobel edges", "SE"), ("Random", "Ran")]
)
def test_short_names(label: str, short: str):
    assert short_name(label) == short


def history(seeds: int = 2, folds: int = 2) -> pd.DataFrame:
    rows = [
        (seed, fold, epoch, split, 1.0 / epoch + seed, 0.5, np.nan, 0.1 * (seed + fold))
        for seed in range(seeds)
        for fold in range(folds)
        for epoch in (1, 2, 3)
        for split in ("train", "test")
    ]
    columns = ["seed", "fold", "epoch", "split", "loss_total", "loss_ce", "loss_mask"]
    return pd.DataFrame(rows, columns=[*columns, "balanced_accuracy"])


def test_curves_against_a_naive_twin():
    table = curve_table(history(3, 2), "balanced_accuracy")
    for _, row in table.iterrows():
        seeds = [np.mean([0.1 * (seed + fold) for fold in range(2)]) for seed in range(3)]
        mean = sum(seeds) / 3
        std = (sum((s - mean) ** 2 for s in seeds) / 3) ** 0.5
        assert row["mean"] == pytest.approx(mean)
        assert row["std"] == pytest.approx(std)
        assert row["n_seeds"] == 3
    assert len(table) == 6


def test_an_epoch_that_one_seed_did_not_reach_says_so():
    frame = history()
    frame = frame[(frame["epoch"] < 3) | (frame["seed"] == 0)]
    table = curve_table(frame, "loss_total")
    assert table.set_index(["split", "epoch"])["n_seeds"].loc[("test", 3)] == 1


def test_no_history_no_curve():
    empty = history().iloc[:0]
    assert curve_figure(empty, "loss_ce") is None
    assert curve_figure(history(), "loss_mask") is None  # all NaN
    assert print_curves(empty).axes
    with pytest.raises(ConfigError, match="loss_ce"):
        curve_table(history(), "loss_cee")


def test_band_on_a_logarithmic_axis_stays_positive():
    frame = history()
    frame["loss_total"] = [0.01, 8.0] * (len(frame) // 2)
    frame.loc[frame["seed"] == 1, "loss_total"] *= 0.001  # mean - std < 0 somewhere
    figure = curve_figure(frame, "loss_total", log=True)
    bands = [r.data_source.data["y"] for r in figure.renderers if "Patch" in type(r.glyph).__name__]
    lines = [r for r in figure.renderers if type(r.glyph).__name__ == "Line"]
    assert len(bands) == len(lines) == 2
    assert all(np.min(band) > 0 for band in bands)


def test_every_quantity_has_a_panel_on_paper():
    frame = history().assign(loss_mask=0.1)
    printed = print_curves(frame, title="a", note="b")
    assert [axes.get_ylabel() for axes in printed.axes] == list(QUANTITIES.values())
    assert printed.get_suptitle() == "a\n(b)"


def test_paper_and_screen_draw_the_same_points():
    data = boxes(rates())
    printed = print_win_rates(data, labels={"gradcam": "Grad-CAM"})
    found = []
    for axes in printed.axes:
        for line in axes.lines:
            if line.get_linestyle() == "None":
                found += line.get_ydata().tolist()
    assert sorted(found) == sorted(data.points["value"])
    assert printed.legends[0].get_texts()[0].get_text() == "Grad-CAM"


def published() -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    path = Path(os.environ.get("XAIEVAL_DATA", ""), "..", "reference", "project_iml_runs.json")
    if "XAIEVAL_DATA" not in os.environ or not path.exists():
        pytest.skip("the published runs are not there: set XAIEVAL_DATA")
    return json.loads(path.read_text())


def test_published_boxes_as_in_the_published_figure():
    """Quartiles and whiskers read off project_iml's own boxplot (Plotly draws Hazen's)."""
    rows = [
        (int(seed), split, group, method, share, np.nan, np.nan, np.nan)
        for seed, run in published().items()
        for split, block in run.items()
        for group, shares in block["win_rate"].items()
        for method, share in shares.items()
    ]
    table = boxes(pd.DataFrame(rows, columns=COLUMNS)).boxes.set_index("id")
    five = ["whisker_low", "q1", "median", "q3", "whisker_high"]
    expected = {
        "test|overall|gradcam": [0.8, 0.8667, 0.875, 1.0, 1.0],
        "test|cut|integrated_gradients": [0.0, 0.0, 0.25, 0.25, 0.5],
        "train|crack|gradcam": [0.7857, 0.8571, 0.9286, 1.0, 1.0],
        "train|hole|saliency": [0.0, 0.0, 0.0714, 0.2143, 0.3571],
    }
    for key, values in expected.items():
        assert table.loc[key, five].astype(float).round(4).tolist() == values
    assert round(table.loc["test|overall|gradcam", "mean"], 4) == 0.9017
    assert round(table.loc["test|overall|gradcam", "std"], 4) == 0.0739


def test_a_method_without_any_score_has_a_reason_and_no_box():
    table = rates().assign(undefined="")
    nobody = (table["method_id"] == "saliency") & (table["class"] == "crack")
    table.loc[nobody, ["win_rate", "undefined"]] = [0.0, "zero-map"]
    data = boxes(table)
    rows = data.boxes[(data.boxes["method_id"] == "saliency") & (data.boxes["class"] == "crack")]
    assert len(rows)
    assert rows["mean"].isna().all()
    assert set(rows["undefined"]) == {"zero-map"}
    assert not data.points["box"].isin(rows["id"]).any()
