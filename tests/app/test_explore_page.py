"""The Explore page without a browser: it works only while somebody looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import panel as pn
import pytest

from app.pages.explore import ExplorePage
from app.services import Services
from app.state import AppState
from xaieval.study import Results


@pytest.fixture
def services(demo_results: Results) -> Iterator[Services]:
    services = Services({"tiny": demo_results}, backend=object())  # type: ignore[arg-type]
    yield services
    services.pool.shutdown()
    services.later.shutdown()


def test_a_hidden_page_starts_nothing_and_catches_up_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ExplorePage(AppState(), services)
    asked: list[Any] = []
    monkeypatch.setattr(pn.state, "execute", asked.append)
    first, second = (item.id for item in page.settling.items[:2])
    page.state.image = second
    assert len(asked) == 1
    page.state.k = 7
    assert len(asked) == 2
    page.state.page = "compare"
    page.state.image = first
    page.state.target = "label"
    assert len(asked) == 2
    page.state.page = "explore"
    assert len(asked) == 3
    assert page.strip.selected == first
    assert page.controls.target.value == "label"
    assert page.state.k is None  # chosen for another image
    page.state.page = "batch"
    page.state.page = "explore"
    assert len(asked) == 3


def test_page_and_image_may_come_with_one_link(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ExplorePage(AppState(), services)
    other = page.settling.items[1].id
    page.state.page = "compare"
    asked: list[Any] = []
    monkeypatch.setattr(pn.state, "execute", asked.append)
    page.state.restore(f"?page=explore&image={other}")
    assert len(asked) == 1
    assert page.strip.selected == other
