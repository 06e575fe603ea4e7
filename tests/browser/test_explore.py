"""Explore in a real Chromium against a real ``panel serve app``."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]
Serve = Callable[..., AbstractContextManager[str]]


def stage(page: Page) -> Locator:
    return page.locator("section.explore")


def ready(page: Page) -> None:
    page.wait_for_selector("section.explore[data-status=ready]", timeout=90_000)


def settled(page: Page, **data: str) -> None:
    """Wait until the stage shows, ready, what the attributes say."""
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    page.wait_for_selector(f"section.explore[data-status=ready]{wanted}")


def shown(page: Page) -> str:
    return str(stage(page).get_attribute("data-sample"))


def methods(page: Page) -> list[str]:
    cards = page.locator("article[data-method]")
    return [str(card.get_attribute("data-method")) for card in cards.all()]


def first_score(page: Page, method: str = "gradcam") -> str:
    return page.locator(f"article[data-method={method}] tr.ranks .value").inner_text()


def picture(page: Page) -> str:
    return str(page.locator("article.source img").get_attribute("src"))


def pixels(page: Page, method: str = "gradcam") -> str:
    return str(
        page.locator(f"article[data-method={method}] .well.heat canvas").evaluate(
            "c => c.toDataURL()"
        )
    )


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("menuitem", name=option, exact=True).click()


def test_pick_class_image_and_method_then_move_k(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    assert methods(page) == ["gradcam", "saliency", "integrated_gradients", "random"]
    expect(stage(page).locator(".verdict")).to_contain_text("Top-K overlap")
    assert page.locator("article.winner").count() <= 1
    assert page.locator("article.baseline.winner").count() == 0

    choose(page, "Class", "hole")
    page.wait_for_selector('section.explore[data-status=ready][data-sample^="hole/"]')
    before = picture(page)
    page.get_by_role("option", name="hole/").nth(1).click()
    expect(page.locator("article.source img")).not_to_have_attribute("src", before)
    assert shown(page).startswith("hole/")

    choose(page, "Add a method", "Sobel edges")
    page.wait_for_selector("section.explore[data-status=ready] article[data-method=sobel] tr.ranks")
    page.get_by_role("button", name="Random", exact=True).click()
    expect(page.locator("article[data-method=random]")).to_have_count(0)

    top = page.locator("article[data-method=gradcam] .well.topk")
    overlay, score = top.locator("img.layer").get_attribute("src"), first_score(page)
    k = str(stage(page).get_attribute("data-k"))
    slider = page.get_by_role("slider", name="K", exact=True)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    expect(stage(page)).not_to_have_attribute("data-k", k)
    expect(page.locator("article[data-method=gradcam] tr.ranks th")).to_contain_text(
        "Precision at K"
    )
    page.get_by_role("button", name="K = mask size").click()
    settled(page, k=k)
    expect(top.locator("img.layer")).to_have_attribute("src", str(overlay))
    expect(top.locator("img.layer")).to_be_visible()
    assert first_score(page) == score


def test_the_cross_comes_and_goes_with_the_pointer(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    cross = page.locator("article.source .cross")
    expect(cross).to_have_css("display", "none")
    page.locator("article[data-method=gradcam] .well.heat").hover()
    expect(cross).to_have_css("display", "block")
    page.mouse.move(2, 2)
    expect(cross).to_have_css("display", "none")


def test_the_keyboard_alone_adds_a_method(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    menu = page.get_by_role("combobox", name="Add a method")
    items = page.locator("li.MuiMenuItem-root")
    menu.focus()
    page.keyboard.press("Enter")
    expect(items.filter(has_text="choose …")).to_be_focused()
    page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    for number, method in enumerate(("gradcam_plus_plus", "layercam"), start=1):
        menu.focus()
        page.keyboard.press("Space")
        expect(items.filter(has_text="choose …")).to_be_focused()
        for _ in range(number):  # one is gone from the menu by the second time
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator(f"article[data-method={method}]")).to_have_count(1)
        expect(items).to_have_count(0)
        expect(menu).to_have_text("choose …")
    ready(page)
    assert methods(page)[:3] == ["gradcam", "saliency", "integrated_gradients"]
    assert len(methods(page)) == 6


def test_the_legend_names_the_ticks_on_the_bars(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    legend = stage(page).get_by_label("Legend")
    assert page.locator("article[data-method=gradcam] .tick.best").count() > 0
    expect(legend.get_by_text("constant map")).to_be_visible()
    expect(legend.get_by_text("best on its grid")).to_be_visible()


def test_arrow_keys_step_through_the_images(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    images = page.get_by_role("navigation", name="Images")
    start = shown(page)
    position = images.get_by_role("status").inner_text()
    page.keyboard.press("ArrowRight")
    expect(stage(page)).not_to_have_attribute("data-sample", start)
    expect(images.get_by_role("status")).not_to_have_text(position)
    page.keyboard.press("ArrowLeft")
    settled(page, sample=start)
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
    expect(images.get_by_role("button", name="Previous image")).to_be_disabled()
    # arrows inside a field belong to the field
    first = shown(page)
    page.get_by_role("slider", name="Heatmap opacity").focus()
    page.keyboard.press("ArrowRight")
    expect(images.get_by_role("status")).to_have_text(re.compile("^1 /"))
    assert shown(page) == first


def test_opacity_and_colours_never_ask_the_server(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    painted = stage(page).get_attribute("data-painted")
    before = pixels(page)
    choose(page, "Colour map", "cividis")
    page.wait_for_function(
        """before => {
          const root = document.querySelectorAll("*");
          const find = (node) => {
            for (const it of node.querySelectorAll("*")) {
              if (it.tagName === "CANVAS" && it.closest("[data-method=gradcam]")) { return it; }
              if (it.shadowRoot) { const deep = find(it.shadowRoot); if (deep) { return deep; } }
            }
            return null;
          };
          return root.length && find(document).toDataURL() !== before;
        }""",
        arg=before,
    )
    slider = page.get_by_role("slider", name="Heatmap opacity")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("article[data-method=gradcam] canvas")).to_have_css("opacity", "0")
    page.get_by_role("button", name="Top-K", exact=True).click()
    expect(page.locator("article[data-method=gradcam] canvas")).to_be_hidden()
    assert stage(page).get_attribute("data-painted") == painted
    page.wait_for_url(re.compile("map=cividis"))
    page.wait_for_url(re.compile("view=topk"))


def test_a_link_restores_the_view(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    choose(page, "Class", "print")
    page.wait_for_selector('section.explore[data-status=ready][data-sample^="print/"]')
    for label, option, link in (
        ("Model seed", "43", "seed=seed-43"),
        ("Explained class", "cut", "target=cut"),
    ):
        painted = str(stage(page).get_attribute("data-painted"))
        choose(page, label, option)
        page.wait_for_url(re.compile(link))
        expect(stage(page)).not_to_have_attribute("data-painted", painted)
        ready(page)
    slider = page.get_by_role("slider", name="K", exact=True)
    slider.focus()
    page.keyboard.press("PageUp")
    page.wait_for_url(re.compile(r"k=\d+px"))
    px = re.search(r"k=(\d+)px", page.url)
    assert px
    settled(page, k=px[1])
    there = (shown(page), first_score(page), pixels(page))
    again = open_page(page.url)
    ready(again)
    settled(again, k=px[1])
    assert (shown(again), first_score(again), pixels(again)) == there
    assert again.get_by_role("combobox", name="Model seed").inner_text() == "43"
    assert again.get_by_role("alert").filter(has_text="not valid").count() == 0


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("image=s000000000000", "image is not in this study"),
        ("image=7&seed=42", "not valid"),
        ("seed=seed-7", "no model seed"),
        ("class=pebble&split=nowhere", "no class"),
        ("study=%3Cscript%3Ealert(1)%3C/script%3E", "no study"),
        ("methods=gradcam+grdcam", "no method"),
        ("target=pebble", "no class"),
        ("metric=elegance", "no metric"),
        ("k=99999999px", None),
        ("opacity=1e9pct&map=viridis", "not valid"),
    ],
)
def test_bad_links_fall_back_and_say_so(
    open_page: OpenPage, server: str, search: str, told: str | None
) -> None:
    page = open_page(f"{server}?{search}")
    ready(page)
    assert len(methods(page)) >= 1
    if told is not None:
        page.get_by_role("alert").filter(has_text=told).first.wait_for()


def test_images_have_texts_and_the_page_survives_a_visit_to_batch(
    open_page: OpenPage, server: str
) -> None:
    page = open_page(server)
    ready(page)
    assert page.locator("article.source img").get_attribute("alt")
    card = page.locator("article[data-method=saliency]")
    assert "Saliency" in str(card.locator("canvas").get_attribute("aria-label"))
    assert "strongest" in str(card.locator(".well.topk img.layer").get_attribute("alt"))
    page.get_by_role("button", name="Batch").click()
    page.wait_for_url(re.compile("page=batch"))
    stage(page).wait_for(state="detached")
    page.get_by_role("button", name="Explore").click()
    ready(page)
    assert first_score(page)
    assert len(pixels(page)) > 200


def test_dark_theme_turns_the_page_not_the_stage(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    ink = "e => getComputedStyle(e).color"
    ground = "e => getComputedStyle(e.querySelector('.well')).backgroundColor"
    light = (stage(page).evaluate(ink), stage(page).evaluate(ground))
    page.get_by_role("button", name="Toggle theme").click()
    page.locator(".mui-dark").first.wait_for()
    expect(stage(page)).not_to_have_css("color", light[0])
    assert stage(page).evaluate(ground) == light[1]


def test_a_bad_argument_is_told_and_the_server_stays(
    open_page: OpenPage, serve: Serve, tmp_path: Path
) -> None:
    with serve(str(tmp_path / "nothing here")) as url:
        page = open_page(url)
        page.get_by_text("Nothing could be opened").wait_for()
        page.get_by_text("nothing here").first.wait_for()
        again = open_page(url)
        again.get_by_text("Nothing could be opened").wait_for()
        for opened in (page, again):  # before its server is gone
            opened.close()


def test_the_page_shows_the_scores_of_the_results(
    open_page: OpenPage, server: str, demo_results: Any
) -> None:
    page = open_page(server)
    ready(page)
    rows = demo_results.scores(
        metric_key="topk_overlap", sample_id=shown(page), seed=42, split="test"
    ).set_index("method_id")["value"]
    assert len(rows) == 4
    for method, value in rows.items():
        assert first_score(page, method) == f"{value:.3f}"
