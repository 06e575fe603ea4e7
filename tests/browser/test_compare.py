"""The Compare page in Chromium: cards of several models, links, taps on the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
MODELS = ["long/seed-1", "long/seed-2", "short/seed-1"]


@pytest.fixture(scope="module")
def url(arms: Path, serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    with serve(str(arms)) as address:
        yield address


def ready(page: Page) -> Page:
    page.wait_for_selector("section.explore[data-status=ready]", timeout=120_000)
    page.locator("tr[data-model]").first.wait_for(timeout=120_000)
    return page


def cards(page: Page) -> list[str]:
    found = page.locator("article[data-method]")
    return [str(card.get_attribute("data-method")) for card in found.all()]


def showing(page: Page, models: list[str]) -> None:
    """Wait until these models stand side by side, ready."""
    for model in models:
        page.wait_for_selector(f'article.ready[data-method="{model}"]')
    page.wait_for_selector("section.explore[data-status=ready]")
    assert cards(page) == models


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("menuitem", name=option, exact=True).click()


def test_models_stand_side_by_side_on_the_same_image(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=compare"))
    showing(page, [MODELS[0], MODELS[2]])
    first = page.locator(f'article[data-method="{MODELS[0]}"]')
    assert "Predicted" in first.inner_text()
    assert "not in training" in first.inner_text()
    page.get_by_role("status").filter(has_text="Mass accuracy").wait_for()
    before = page.locator("article.source img").get_attribute("src")
    page.get_by_role("option").nth(2).click()
    page.wait_for_url("**image=s**")
    page.wait_for_function(
        "before => { const walk = r => { for (const e of r.querySelectorAll('*')) {"
        " if (e.matches('article.source img') && e.src !== before) return true;"
        " if (e.shadowRoot && walk(e.shadowRoot)) return true; } return false; };"
        " return walk(document); }",
        arg=before,
    )
    showing(page, [MODELS[0], MODELS[2]])


def test_a_link_restores_models_region_and_method(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=compare"))
    choose(page, "Region", "mouth")
    page.wait_for_url("**region=mouth**")
    choose(page, "Method", "Saliency")
    page.wait_for_url("**method=saliency**")
    page.locator("div.fact").filter(has_text="mouth").wait_for()
    models = "+".join(MODELS[1:])
    again = ready(open_page(f"{page.url}&models={models}"))
    showing(again, MODELS[1:])
    assert again.get_by_role("combobox", name="Region", exact=True).inner_text() == "mouth"
    assert again.get_by_role("combobox", name="Method", exact=True).inner_text() == "Saliency"


def test_a_tap_on_a_point_puts_its_model_beside_the_others(
    url: str, open_page: Callable[..., Page]
):
    page = ready(open_page(f"{url}?page=compare&models={MODELS[0]}+{MODELS[2]}"))
    page.locator(".bk-Figure").first.scroll_into_view_if_needed()
    place = page.evaluate(  # where a point lies is the figure's own business: ask it
        """model => {
          const named = (name) => Bokeh.index.query_one(v => v.model && v.model.name === name);
          const [figure, rows] = [named("chart-alignment"), named("rows")];
          const data = rows.model.data_source.data;
          const i = [...data.id].indexOf(model);
          const box = figure.el.getBoundingClientRect();
          return {x: box.x + figure.frame.x_scale.compute(data.x[i]),
                  y: box.y + figure.frame.y_scale.compute(data.y[i])};
        }""",
        MODELS[1],
    )
    page.mouse.click(place["x"], place["y"])
    showing(page, [MODELS[0], MODELS[2], MODELS[1]])
    page.wait_for_url("**models=**seed-2**")


def test_one_model_comes_by_keyboard(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=compare&models={MODELS[0]}+{MODELS[1]}"))
    showing(page, MODELS[:2])
    page.get_by_role("combobox", name="Models, up to 6").press("Enter")
    page.get_by_role("menuitem", name="Small faces, short · seed 1").press("Enter")
    page.wait_for_url("**models=**short**")


def test_leaving_and_coming_back_in_the_dark(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=compare"))
    page.get_by_role("button", name="Toggle theme").click()
    page.get_by_role("button", name="Parts", exact=True).click()
    page.get_by_role("heading", name="Region by region").wait_for(timeout=120_000)
    page.get_by_role("button", name="Compare", exact=True).click()
    ready(page)


def test_what_only_explore_answers_is_not_offered(server: str, open_page: Callable[..., Page]):
    page = open_page(f"{server}?page=compare")
    page.wait_for_selector("section.explore[data-status=ready]", timeout=90_000)
    assert page.locator("section.whatif").count() == 0
    assert page.get_by_role("button", name="Own image").count() == 0
