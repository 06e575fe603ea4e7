"""The strip without a browser, the memory it shares, and what goes to the stage."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from app.catalogue import Item
from app.cutting import NONE, cut, places, thousandths
from app.kept import Kept, weigh
from app.strip import MOST_NAMES, Strip
from xaieval.types import Heatmap


def strip(count: int, chosen: list[str]) -> Strip:
    items = [Item(f"s{n:012x}", f"a/{n}", "", has_mask=False) for n in range(count)]
    found = Strip(chosen.append, thumb=lambda item: "", pool=ThreadPoolExecutor(1))
    found.show(items, items[1].id)
    return found


def test_names_go_by_the_window() -> None:
    chosen: list[str] = []
    found = strip(100_000, chosen)
    assert len(json.dumps([found.listing, found.names])) < 10_000
    assert found.selected == "s000000000001"
    message = {"type": "names", "stamp": found.listing["stamp"], "start": 500, "stop": 90_000}
    found._handle_msg(message)
    assert found.names["start"] == 500
    assert len(found.names["rows"]) == MOST_NAMES
    found._handle_msg({"type": "choose", "stamp": found.listing["stamp"], "start": 99_999})
    assert chosen == ["s00000001869f"]
    assert found.at == 99_999


@pytest.mark.parametrize(
    "message",
    [
        {"type": "choose", "stamp": 0, "start": 1},
        {"type": "choose", "stamp": 1, "start": 77},
        {"type": "choose", "stamp": 1, "start": -1},
        {"type": "choose", "stamp": 1, "start": "x"},
        {"type": "names", "stamp": 1},
    ],
)
def test_messages_about_nothing_change_nothing(message: dict[str, Any]) -> None:
    chosen: list[str] = []
    found = strip(10, chosen)
    found._handle_msg(message)
    assert chosen == []
    assert found.at == 1


def test_a_search_goes_on_from_the_chosen_image() -> None:
    found = strip(30, [])
    assert found.find("12") == 11  # the twelfth
    assert found.find("a/2") == 2
    found.at = 2
    assert found.find("a/2") == 20
    found.at = 29
    assert found.find("A/2") == 2
    assert found.find("b") == found.find("  ") == -1


def test_what_is_kept_stays_within_its_bytes() -> None:
    kept = Kept(100, 1000)
    for n in range(50):
        kept.get(n, lambda: np.zeros(100, np.uint8))
    assert kept.weight == 1000
    assert len(kept) == 10
    kept.get("large", lambda: "x" * 5000)  # stays: it is being looked at
    assert len(kept) == 1
    assert kept.get("large", lambda: "never") == "x" * 5000
    assert weigh(Heatmap(np.zeros((2, 2), np.float32), "m", 0)) == 16 + 1


def test_scores_travel_as_they_are_shown() -> None:
    rng = np.random.default_rng(0)
    hits, ks = rng.integers(0, 2000, 4000), rng.integers(2000, 9000, 4000)
    values = np.append(hits / ks, [0.0005, 0.0015, 0.0625, np.nan])
    told = thousandths(values)
    assert [f"{n / 1000:.3f}" for n in told[:-1]] == [f"{v:.3f}" for v in values[:-1]]
    assert told[-1] == NONE


def test_places_only_where_the_ranking_score_moves() -> None:
    mask = np.eye(4, dtype=bool)
    maps = {
        name: Heatmap(np.float32(values), name, 0)
        for name, values in (("a", np.eye(4)), ("b", np.ones((4, 4))))
    }
    cuts = {name: cut(heatmap, mask, 8) for name, heatmap in maps.items()}
    assert set(places(cuts, "topk_overlap")) == {"a", "b"}
    assert set(places(cuts, "iou")) == {"a", "b"}
    assert places(cuts, "mass_accuracy") == {}
    assert places({"a": cuts["a"]}, "topk_overlap") == {}
    assert cuts["b"].packed["flat"] is True
