"""Present in Chromium: pins from three pages, order by keyboard, a talk by clicker, files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
SLOW = 120_000
PAPER = "figure.paper[data-status=ready]"


def pin(page: Page, caption: str) -> None:
    page.keyboard.press("p")
    field = page.get_by_role("textbox", name="Caption")
    field.wait_for()
    field.fill(caption)
    page.keyboard.press("Enter")
    page.get_by_role("region", name="Pinned view").wait_for(state="hidden")


def go(page: Page, title: str) -> None:
    page.get_by_role("button", name=title, exact=True).first.click()


def order(page: Page) -> list[str]:
    return page.locator("ol.slides .name").all_inner_texts()


def wait_order(page: Page, wanted: list[str]) -> None:
    page.wait_for_function(
        """wanted => {
          const walk = (root) => {
            for (const node of root.querySelectorAll("*")) {
              if (node.matches("ol.slides")) {
                const found = [...node.querySelectorAll(".name")].map((it) => it.textContent);
                return JSON.stringify(found) === JSON.stringify(wanted);
              }
              if (node.shadowRoot) { const it = walk(node.shadowRoot); if (it) { return it; } }
            }
            return false;
          };
          return walk(document);
        }""",
        arg=wanted,
    )


def presented(page: Page, place: str) -> None:
    page.locator("section.bar .place").filter(has_text=place).wait_for(timeout=SLOW)


@pytest.fixture
def talk(server: str, open_page: Callable[..., Page]) -> Page:
    """Three pinned views in a story of their own, on the Present page."""
    page = open_page(f"{server}?page=present", viewport={"width": 1280, "height": 720})
    page.get_by_label("More about this story").click(timeout=SLOW)
    page.get_by_role("button", name="New story").click()
    page.get_by_role("heading", name="This story has no slides yet").wait_for()
    go(page, "Explore")
    page.wait_for_selector("section.explore[data-status=ready]", timeout=SLOW)
    pin(page, "one image")
    go(page, "Batch")
    page.locator("main canvas").first.wait_for(timeout=SLOW)
    pin(page, "all images")
    go(page, "Compare")
    page.wait_for_selector("section.explore[data-status=ready]", timeout=SLOW)
    pin(page, "two models")
    go(page, "Present")
    wait_order(page, ["one image", "all images", "two models"])
    page.wait_for_selector(PAPER, timeout=SLOW)
    return page


def test_a_talk_by_keyboard_and_clicker(talk: Page):
    page = talk
    page.locator("ol.slides button.pick").last.focus()
    page.keyboard.press("Alt+ArrowUp")
    wait_order(page, ["one image", "two models", "all images"])
    page.keyboard.press("Delete")
    wait_order(page, ["one image", "all images"])
    page.get_by_role("button", name="Undo").click()
    wait_order(page, ["one image", "two models", "all images"])
    page.get_by_role("button", name="Check everything").click()
    page.get_by_text("All 3 slides are ready").wait_for(timeout=SLOW)

    page.locator("ol.slides button.pick").first.click()
    page.get_by_role("button", name="▶ Present").click()
    presented(page, "1 / 3")
    page.wait_for_selector("section.explore[data-status=ready]", timeout=SLOW)
    assert not page.get_by_role("button", name="Copy a link").is_visible()
    assert page.locator("section.bar .caption").inner_text() == "one image"
    page.keyboard.press("PageDown")
    presented(page, "2 / 3")
    page.wait_for_url("**page=compare**")
    page.keyboard.press("PageDown")
    presented(page, "3 / 3")
    page.locator("main canvas").first.wait_for(timeout=SLOW)
    page.keyboard.press("PageUp")
    presented(page, "2 / 3")
    page.keyboard.press("b")
    page.get_by_role("img", name="Black screen").wait_for()
    page.keyboard.press("b")
    page.get_by_role("img", name="Black screen").wait_for(state="hidden")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    presented(page, "3 / 3")
    page.keyboard.press("Home")
    presented(page, "1 / 3")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="▶ Present").wait_for()
    assert page.get_by_role("button", name="Copy a link").is_visible()


def test_a_live_slide_can_be_used_and_comes_back_as_pinned(talk: Page):
    page = talk
    page.locator("ol.slides button.pick").first.click()
    page.get_by_role("button", name="▶ Present").click()
    presented(page, "1 / 3")
    page.wait_for_selector("section.explore[data-status=ready]", timeout=SLOW)
    pinned = page.url
    page.get_by_role("option").nth(1).click()  # another image, on the live page
    page.wait_for_url(lambda url: url != pinned)
    page.keyboard.press("ArrowRight")  # moves among the images: the strip has the focus
    assert page.locator("section.bar .place").inner_text() == "1 / 3"
    page.keyboard.press("PageDown")
    presented(page, "2 / 3")
    page.keyboard.press("PageUp")
    presented(page, "1 / 3")
    page.wait_for_url(pinned)


def test_files_stand_alone(talk: Page, chromium: Browser, tmp_path: Path):
    page = talk
    with page.expect_download(timeout=SLOW) as got:
        page.get_by_role("button", name="HTML", exact=True).click()
    path = tmp_path / "story.html"
    got.value.save_as(path)
    asked: list[str] = []
    context = chromium.new_context(offline=True, java_script_enabled=False)
    reader = context.new_page()
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto(path.as_uri())
    assert reader.get_by_role("heading", name="two models").is_visible()
    assert reader.locator("section.slide").count() == 3
    broken = "() => [...document.images].filter((it) => !it.naturalWidth).length"
    assert reader.evaluate(broken) == 0
    context.close()
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    with page.expect_download(timeout=SLOW) as got:
        page.get_by_role("button", name="PDF", exact=True).click()
    data = got.value.path().read_bytes()
    assert len(re.findall(rb"/Type /Page\b", data)) == 3


def test_copied_links_say_what_has_changed(server: str, open_page: Callable[..., Page]):
    options = {"permissions": ["clipboard-read", "clipboard-write"]}
    page = open_page(server, **options)
    page.wait_for_selector("section.explore[data-status=ready]", timeout=SLOW)
    page.get_by_role("button", name="Copy a link").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('as=r')")
    link = page.evaluate("navigator.clipboard.readText()")
    again = open_page(link)
    again.wait_for_selector("section.explore[data-status=ready]", timeout=SLOW)
    assert again.get_by_role("alert").count() == 0
    other = open_page(re.sub(r"as=r\w{8}", "as=r00000000", link))
    other.get_by_text("the results were run again").wait_for(timeout=SLOW)
