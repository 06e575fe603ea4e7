"""Charts: what they draw, on page and paper, against tables worked out by hand."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bokeh.embed import json_item
from hypothesis import given, settings
from hypothesis import strategies as st
from outcome_made import charts

from xaieval.errors import ConfigError, ResultsError
from xaieval.figures import Chart, chart_note, draw_chart, print_chart
from xaieval.figures.chart_names import fitted, names_in_order
from xaieval.figures.chart_parts import MANY, chart_parts, heat_parts, reference_ticks
from xaieval.figures.chart_places import name_places, swarm
from xaieval.figures.palette import dark_colours, method_colours
from xaieval.stats import box_statistics

CHARTS = {chart.id: chart for chart in charts()}


def chart(kind: str = "bars", **settings: Any) -> Chart:
    table = settings.pop("table", pd.DataFrame({"x": ["a", "b"], "y": [1.0, -2.0]}))
    return Chart(id="c", kind=kind, title="t", table=table, x="x", y="y", **settings)


def renderer(figure: Any, name: str) -> Any:
    return next(r for r in figure.renderers if r.name == name)


# ---------------------------------------------------------------- what is worked out


def test_boxes_are_those_of_each_name_and_group():
    made = CHARTS["boxes"]
    parts = chart_parts(made)
    table = made.table.dropna(subset="precision")
    assert len(parts.boxes) == 5 * 4
    for box in parts.boxes.itertuples():
        key = next(one.key for one in parts.series if one.label == box.name)
        rows = table[(table["region"] == box.category) & (table["method"] == key)]
        known = box_statistics(rows["precision"].tolist())
        assert (box.q1, box.median, box.q3) == (known.q1, known.median, known.q3)
        assert (box.whisker_low, box.whisker_high) == (known.low, known.high)
        assert box.n == len(rows)
        assert box.mean == pytest.approx(rows["precision"].mean())
    assert len(parts.rows) == len(table), "every row is a point"
    assert parts.note == "1 row without a number not drawn."
    assert list(parts.ticks.values())[:2] == ["eyes\nn 11–12", "nose\nn 12"]


def test_points_stay_inside_their_box_and_boxes_apart():
    parts = chart_parts(CHARTS["boxes"])
    assert (parts.rows["x"].between(parts.rows["left"], parts.rows["right"])).all()
    edges = parts.boxes.sort_values("x")[["left", "right"]].to_numpy()
    assert (edges[1:, 0] > edges[:-1, 1]).all()


def test_a_crowd_shows_only_the_rows_outside_the_whiskers_and_says_so():
    made = CHARTS["boxes-many"]
    assert len(made.table) > MANY
    parts = chart_parts(made)
    outside = 0
    for _, rows in made.table.groupby("part"):
        box = box_statistics(rows["share"].to_numpy())
        outside += int(((rows["share"] < box.low) | (rows["share"] > box.high)).sum())
    assert len(parts.rows) == outside > 0
    assert chart_note(made) == f"Points: the {outside} of 4,500 rows outside the whiskers."
    assert parts.boxes["n"].tolist() == [900] * 5


@given(st.lists(st.floats(-5, 5), max_size=120))
def test_swarm_stays_in_its_place(values):
    found = swarm(np.asarray(values, float), 10.0)
    assert len(found) == len(values)
    assert (np.abs(found) <= 1).all()
    assert np.array_equal(found, swarm(np.asarray(values, float), 10.0))


def test_bars_of_one_group_each_do_not_stand_aside():
    parts = chart_parts(CHARTS["bars"])
    assert parts.rows["x"].tolist() == [0, 1, 2, 3]
    assert [one.key for one in parts.series] == CHARTS["bars"].table["method"].tolist()
    assert parts.y_range[0] < -0.09
    assert parts.y_range[1] > 0.35, "the interval's ends are inside"
    positive = chart_parts(chart(table=pd.DataFrame({"x": ["a"], "y": [2.0]})))
    assert positive.y_range[0] == 0, "bars stand on zero"


def test_rows_without_a_number_leave_their_place():
    parts = chart_parts(CHARTS["bars-grouped"])
    assert len(parts.rows) == 5
    assert list(parts.ticks.values()) == ["female", "male"]
    assert "1 row without a number" in parts.note
    lines = chart("lines", table=pd.DataFrame({"x": [1, 2, 3], "y": [1.0, math.nan, 3.0]}))
    assert chart_parts(lines).rows["y"].isna().sum() == 1, "a line has a gap there"


def test_trend_is_the_least_squares_line():
    x = np.array([0.0, 1.0, 2.0, 5.0])
    y = np.array([1.0, 0.0, 4.0, 3.0])
    (x0, y0), (x1, y1) = chart_parts(
        chart("points", table=pd.DataFrame({"x": x, "y": y}), trend=True)
    ).trend
    slope, offset = np.polyfit(x, y, 1)
    assert (x0, x1) == (0.0, 5.0)
    assert [y0, y1] == pytest.approx([offset, slope * 5 + offset])
    upright = pd.DataFrame({"x": [1.0, 1.0], "y": [0.0, 1.0]})
    assert chart_parts(chart("points", table=upright, trend=True)).trend is None


def test_methods_keep_their_colours_and_names_others_get_their_own():
    table = pd.DataFrame(
        {"x": ["a"] * 4, "y": [1.0] * 4, "g": ["saliency", "Grad-CAM", "honest", "random"]}
    )
    known = {one.key: one for one in chart_parts(chart(table=table, group="g")).series}
    assert known["saliency"].label == "Saliency"
    assert known["saliency"].colour == method_colours(["saliency"])["saliency"]
    assert known["Grad-CAM"].colour == method_colours(["gradcam"])["gradcam"]
    assert known["honest"].label == "honest"
    assert len({one.colour for one in known.values()}) == 4
    assert len({one.mark for one in known.values()}) == 4


def test_many_groups_differ_by_colour_and_mark():
    names = [f"g{i}" for i in range(56)]
    table = pd.DataFrame({"x": range(56), "y": range(56), "g": names})
    series = chart_parts(chart("points", table=table, group="g")).series
    assert len({(one.colour, one.mark) for one in series}) == 56


def test_bars_of_one_colour_differ_by_hatch():
    table = pd.DataFrame({"x": ["random", "sobel", "gradcam"], "y": [1.0, 2.0, 3.0]})
    series = chart_parts(chart(table=table)).series
    assert series[0].colour == series[1].colour
    assert [one.hatch for one in series] == ["blank", "right_diagonal_line", "blank"]


def test_figures_grow_with_their_legend_and_names():
    names = [f"a rather long name {i:02}" for i in range(20)]
    table = pd.DataFrame({"x": ["a"] * 20, "y": range(20), "g": names})
    small, large = draw_chart(chart()), draw_chart(chart(table=table, group="g"))
    assert large.height >= small.height + 3 * 20
    slanted = draw_chart(chart(table=pd.DataFrame({"x": names, "y": range(20)})))
    assert slanted.height > small.height
    assert slanted.min_border_left > 50
    assert draw_chart(chart(table=table, group="g"), height=200).height == 200


def test_names_stand_in_their_order():
    declared = pd.Series(pd.Categorical(["b", "a"], categories=["c", "b", "a"]))
    assert names_in_order(declared) == ["b", "a"]
    assert names_in_order(pd.Series(["z", "a", "z", None])) == ["z", "a", "–"]
    assert names_in_order(pd.Series([10, 2.5, 10])) == ["2.5", "10"]
    assert names_in_order(pd.Series([True, False])) == ["yes", "no"]


def test_one_reference_per_name_or_per_bar():
    table = pd.DataFrame({"x": ["a", "a", "b", "b"], "g": ["p", "q"] * 2, "y": [1.0] * 4})
    same = chart(table=table.assign(r=[1, 1, 2, 2]), group="g", reference="r")
    own = chart(table=table.assign(r=[1, 2, 3, 4]), group="g", reference="r")
    assert reference_ticks(chart_parts(same).rows)["reference"].tolist() == [1, 2]
    assert reference_ticks(chart_parts(own).rows)["reference"].tolist() == [1, 2, 3, 4]


def test_names_beside_points_keep_clear():
    points = pd.DataFrame({"x": [0.5, 0.53, 0.56], "y": [0.5] * 3, "label": ["abcdef"] * 3})
    places = name_places(points, x_range=(0, 1), y_range=(0, 1))
    assert len(set(places)) == 3
    edge = name_places(points.assign(x=0.999), x_range=(0, 1), y_range=(0, 1))
    assert edge[0][2] == "right", "a name does not leave the plot"


def test_heat_map_starts_on_top_and_refuses_two_rows_in_a_cell():
    made = CHARTS["heat"]
    heat = heat_parts(made)
    assert heat.y_names == ("Blond_Hair", "Wearing_Hat", "Eyeglasses", "Smiling")
    first = heat.cells.iloc[0]
    assert (first["x"], first["y"], first["x_name"]) == (0, 3, "eyes")
    assert heat.cells["text"].iloc[2] == "–"
    twice = pd.concat([made.table, made.table.head(1)])
    with pytest.raises(ResultsError, match="one cell"):
        heat_parts(replace(made, table=twice))


def test_long_names_are_slanted_only_when_nothing_else_helps():
    assert fitted(["Integrated gradients"] * 2, 12) == (["Integrated\ngradients"] * 2, False)
    assert fitted(["Internationalisation"], 10) == (["Internationalisation"], True)


# ---------------------------------------------------------------- the drawings


@pytest.mark.parametrize("name", CHARTS)
def test_page_figure_holds_the_rows(name: str):
    figure = draw_chart(CHARTS[name])
    assert figure.name == f"chart-{name}"
    source = renderer(figure, "rows").data_source.data
    if name == "heat":
        assert len(source["value"]) == 20
    else:
        assert len(source["y"]) == len(chart_parts(CHARTS[name]).rows)
    assert ("id" in source) == (name == "boxes")


def test_names_of_lines_stand_beside_the_frame():
    (axis,) = draw_chart(chart(lines_at=((1.0, "chance"),))).right
    assert axis.major_label_overrides == {1.0: "chance"}
    assert list(axis.ticker.ticks) == [1.0]


def test_rows_keep_their_ids_for_taps():
    figure = draw_chart(CHARTS["boxes"])
    ids = renderer(figure, "rows").data_source.data["id"]
    assert ids[0] == "eyes|gradcam|0"
    assert "eyes|gradcam|3" not in ids, "its number is missing"
    assert len(set(ids)) == len(ids)


def test_texts_in_tooltips_are_escaped():
    made = chart(y_label="<b>@id $index")
    hover = json.dumps([t.tooltips for t in draw_chart(made).tools if hasattr(t, "tooltips")])
    assert "&lt;b&gt;&#64;id &#36;index" in hover


def normal(figure: Any) -> str:
    """Return a figure as JSON with its models counted from one."""
    text = json.dumps(json_item(figure)["doc"])
    seen: dict[str, str] = {}
    return re.sub(r'"p\d+"', lambda m: seen.setdefault(m[0], f'"m{len(seen)}"'), text)


@pytest.mark.parametrize("name", CHARTS)
def test_dark_figure_is_the_light_one_in_other_colours(name: str):
    """What the report's page does with a figure that is kept once."""
    light, dark = (normal(draw_chart(CHARTS[name], mode=mode)) for mode in ("light", "dark"))
    pairs = dark_colours()
    turned = re.sub(r'"(#[0-9a-f]{6})"', lambda m: f'"{pairs.get(m[1], m[1])}"', light)
    assert turned == dark


def test_no_light_colour_has_two_dark_ones():
    from xaieval.figures import palette

    families = [*palette._MEASURED.values(), *palette._MEASURED_SPARE, palette._BASELINE]
    families += [*palette._PUBLISHED.values(), *palette._PUBLISHED_SPARE, *palette._GROUPS]
    for light, dark in families:
        assert palette.dark_colours()[light] == dark
    for name in palette.Ink.__dataclass_fields__:
        light, dark = (getattr(palette.INKS[mode], name) for mode in ("light", "dark"))
        assert palette.dark_colours()[light] == dark


@pytest.mark.parametrize("name", CHARTS)
def test_printed_figure_is_always_the_same_and_text(name: str):
    made = CHARTS[name]
    first = print_chart(made, format="svg")
    assert first == print_chart(made, format="svg")
    text = first.decode()
    assert made.title.split("<")[0].strip() in text
    assert "<script" not in text
    assert "dc:date" not in text


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_printed_formats(format: str, start: bytes):
    assert print_chart(CHARTS["bars"], format=format, mode="dark").startswith(start)
    with pytest.raises(ConfigError, match="figure format"):
        print_chart(CHARTS["bars"], format="gif")


EMPTY = pd.DataFrame({"x": pd.Series([], dtype="str"), "y": pd.Series([], dtype=float)})
BARE = {
    "no rows": EMPTY,
    "no numbers": pd.DataFrame({"x": ["a"], "y": [math.nan]}),
    "one row": pd.DataFrame({"x": ["a"], "y": [0.0]}),
    "no name": pd.DataFrame({"x": [None, "a"], "y": [1.0, 2.0]}),
}


@pytest.mark.parametrize("kind", ["boxes", "bars", "points", "lines", "heat"])
@pytest.mark.parametrize("table", BARE.values(), ids=BARE)
def test_bare_tables_are_drawn(kind: str, table: pd.DataFrame):
    made = chart(kind, table=table, value="y" if kind == "heat" else None, trend=True)
    if kind == "heat":
        made = replace(made, y="x", value="y")
    assert draw_chart(made) is not None
    assert print_chart(made, format="svg").startswith(b"<?xml")


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["eyes", "nose", "a very long name of a part"]),
            st.sampled_from(["gradcam", "honest", "$x$"]),
            st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf)),
        ),
        max_size=30,
    ),
    st.sampled_from(["boxes", "bars", "points", "lines"]),
)
def test_any_table_is_drawn(rows, kind):
    table = pd.DataFrame(rows, columns=["x", "g", "y"]).astype({"y": float})
    made = chart(kind, table=table, group="g")
    parts = chart_parts(made)
    finite = int(np.isfinite(table["y"]).sum()) if len(table) else 0
    assert np.isfinite(parts.rows["y"]).sum() == finite
    json_item(draw_chart(made))
