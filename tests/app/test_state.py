"""The link: value by value, back and forth, never anything that reads as a number."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.state import COLOUR_MAPS, FIELDS, PAGES, SCALES, VIEWS, AppState, read_link, write_link


def test_a_whole_link() -> None:
    values, problems = read_link(
        "?page=batch&study=demo&split=test&class=crack&image=s0123456789ab&seed=seed-42"
        "&methods=gradcam+saliency&target=label&metric=iou&region=l_brow&k=412px&opacity=35pct&map=cividis"
        "&view=topk&scale=shared"
    )
    assert not problems
    assert values == {
        "page": "batch",
        "study": "demo",
        "split": "test",
        "class_name": "crack",
        "image": "s0123456789ab",
        "seed": 42,
        "methods": ("gradcam", "saliency"),
        "target": "label",
        "metric": "iou",
        "region": "l_brow",
        "k": 412,
        "opacity": 0.35,
        "colormap": "cividis",
        "view": "topk",
        "scale": "shared",
    }


BAD = [
    ("page", "page=nowhere"),
    ("image", "image=12"),
    ("image", "image=s0123456789AB"),
    ("image", "image=../../etc/passwd"),
    ("seed", "seed=42"),
    ("seed", "seed=seed-"),
    ("seed", "seed=seed--1"),
    ("seed", "seed=seed-" + "9" * 60),
    ("k", "k=0px"),
    ("k", "k=-3px"),
    ("k", "k=12"),
    ("k", "k=1e3px"),
    ("k", "k=٣px"),
    ("opacity", "opacity=101pct"),
    ("opacity", "opacity=nanpct"),
    ("colormap", "map=viridis"),
    ("view", "view=everything"),
    ("scale", "scale=1"),
    ("methods", "methods=+++"),
    ("class_name", "class=" + "a" * 500),
    ("class_name", "class=%00"),
    ("target", "target=%0A"),
]


@pytest.mark.parametrize(("name", "part"), BAD, ids=[part[:30] for _, part in BAD])
def test_one_bad_value_spares_the_others(name: str, part: str) -> None:
    values, problems = read_link(f"?split=train&{part}&metric=auroc")
    assert name not in values
    assert values["split"] == "train"
    assert values["metric"] == "auroc"
    assert len(problems) == 1
    assert "not valid" in problems[0]


@pytest.mark.parametrize(
    "search", ["", "?", "?&&&", "?=", "?unknown=1", "?seed", "?" + "a=1&" * 99]
)
def test_odd_links_never_raise(search: str) -> None:
    values, _ = read_link(search)
    assert values == {}


@given(st.text(max_size=80))
def test_any_link_restores_to_a_valid_state(text: str) -> None:
    state = AppState()
    state.restore(f"?{text}")
    assert state.page in PAGES


names = st.text(st.characters(categories=["L", "Nd", "P", "S"]), min_size=1, max_size=20)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "page": st.sampled_from(PAGES),
            "study": names,
            "split": names,
            "class_name": names,
            "image": st.from_regex(r"s[0-9a-f]{12}", fullmatch=True),
            "seed": st.integers(0, 2**62),
            "methods": st.lists(names, min_size=1, max_size=5, unique=True).map(tuple),
            "target": names,
            "metric": names,
            "k": st.integers(1, 2**31),
            "opacity": st.integers(0, 100).map(lambda n: n / 100),
            "colormap": st.sampled_from(COLOUR_MAPS),
            "view": st.sampled_from(VIEWS),
            "scale": st.sampled_from(SCALES),
        },
    )
)
def test_links_round_trip(values: dict[str, Any]) -> None:
    state = AppState(**values)
    link = write_link(state)
    again = AppState()
    again.restore(link)
    assert not again.notices
    assert {f.name: getattr(again, f.name) for f in FIELDS} == {
        f.name: getattr(state, f.name) for f in FIELDS
    }


def test_own_values_never_read_as_numbers() -> None:
    state = AppState(seed=42, k=412, opacity=0.5, image="s000000000000", methods=("gradcam",))
    pairs = parse_qsl(write_link(state).removeprefix("?"))
    assert len(pairs) == 5
    for _, text in pairs:
        with pytest.raises(ValueError):
            json.loads(text)


def test_notices_are_not_repeated() -> None:
    state = AppState()
    state.notify("a", "b")
    state.notify("b", "c")
    assert state.notices == ["a", "b", "c"]


def test_a_link_may_name_a_study_of_which_several_results_are_open():
    state = AppState()
    state.restore("?study=project-iml", study={"project-iml": "published/out"}.get)
    assert state.study == "published/out"
