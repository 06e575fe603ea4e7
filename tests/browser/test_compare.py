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
    page.get_by_text("Scored mouth", exact=False).first.wait_for()
    models = "+".join(MODELS[1:])
    again = ready(open_page(f"{page.url}&models={models}"))
    showing(again, MODELS[1:])
    assert again.get_by_role("combobox", name="Region", exact=True).inner_text() == "mouth"
    assert again.get_by_role("combobox", name="Method", exact=True).inner_text() == "Saliency"


def test_a_tap_on_a_point_puts_its_model_beside_the_others(
    url: str, open_page: Callable[..., Page]
):
    page = ready(open_page(f"{url}?page=compare&models={MODELS[0]}+{MODELS[2]}"))
    canvas = page.locator(".bk-Figure canvas").first
    canvas.scroll_into_view_if_needed()
    # Where the point lies is the figure's own business: ask it.
    at = page.evaluate(
        """model => {
          const views = Bokeh.documents.flatMap(d => d.all_models
            ? [...d.all_models] : [...d._all_models.values()]);
          const source = views.find(m => m.type === 'ColumnDataSource' && m.data.id
            && [...m.data.id].includes(model));
          return {x: source.data.x, y: source.data.y, i: [...source.data.id].indexOf(model)};
        }""",
        MODELS[1],
    )
    assert len(at["x"]) == 3
    box = page.locator(".bk-Figure").first.bounding_box()
    assert box is not None
    place = page.evaluate(
        """i => {
          const all = [];
          const walk = v => { if (!v || all.includes(v)) return; all.push(v);
            for (const c of v.children_views || v.child_views || []) walk(c);
            for (const c of v.renderer_views ? v.renderer_views.values() : []) walk(c); };
          for (const v of Object.values(Bokeh.index)) walk(v);
          const views = Bokeh.index.roots ? [...Bokeh.index.roots] : [];
          for (const v of views) walk(v);
          const glyph = all.find(v => v.model && v.model.name === 'rows' && v.glyph);
          if (!glyph) return null;
          return {x: glyph.glyph.sx[i], y: glyph.glyph.sy[i]};
        }""",
        at["i"],
    )
    if place is None:
        pytest.skip("this Bokeh does not tell where a point lies")
    page.mouse.click(box["x"] + place["x"], box["y"] + place["y"])
    showing(page, [MODELS[0], MODELS[2], MODELS[1]])
    page.wait_for_url("**models=**seed-2**")


def test_one_model_comes_by_keyboard(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=compare&models={MODELS[0]}+{MODELS[1]}"))
    showing(page, MODELS[:2])
    page.get_by_role("combobox", name="Models, up to 6").press("Enter")
    page.get_by_role("option", name="Small faces, short · seed 1").press("Enter")
    page.wait_for_url("**models=**short**")


def test_leaving_and_coming_back_in_the_dark(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=compare"))
    page.get_by_role("button", name="Toggle theme").click()
    page.get_by_role("button", name="Parts", exact=True).click()
    page.get_by_role("heading", name="Region by region").wait_for(timeout=120_000)
    page.get_by_role("button", name="Compare", exact=True).click()
    ready(page)
