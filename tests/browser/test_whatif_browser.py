"""What if, in a real Chromium: edits by keyboard and by pointer, own images, own masks, links."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as PILImage

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]


def stage(page: Page) -> Locator:
    return page.locator("section.explore")


def panel(page: Page) -> Locator:
    return page.locator("section.whatif")


def settled(page: Page, **data: str) -> None:
    """Wait until the stage shows, ready, what the attributes say; a value may end in *."""
    wanted = "".join(
        f'[data-{name}^="{value[:-1]}"]' if value.endswith("*") else f'[data-{name}="{value}"]'
        for name, value in data.items()
    )
    page.wait_for_selector(f"section.explore[data-status=ready]{wanted}", timeout=90_000)


def prediction(page: Page) -> Locator:
    return stage(page).locator(".fact").first


def png(width: int = 90, height: int = 60) -> bytes:
    rng = np.random.default_rng(1)
    stream = io.BytesIO()
    pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    PILImage.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the page, as a pointer would from the desk."""
    transfer = page.evaluate_handle(
        """([name, text]) => {
          const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name));
          return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    for event in ("dragenter", "dragover", "drop"):
        stage(page).dispatch_event(event, {"dataTransfer": transfer})


def stroke(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the pointer over the image card, from and to shares of the image."""
    image = page.locator("article.source .well")
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    for (x, y), act in ((start, page.mouse.down), (end, page.mouse.up)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        act()


def test_the_mask_is_erased_and_put_back_by_keyboard(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    settled(page)
    before = prediction(page).inner_text()
    picture = str(page.locator("article.source img").get_attribute("src"))
    disclosure = panel(page).get_by_role("button", name="What if")
    expect(disclosure).to_have_attribute("aria-expanded", "false")
    disclosure.focus()
    page.keyboard.press("Enter")
    expect(disclosure).to_have_attribute("aria-expanded", "true")
    panel(page).get_by_role("combobox", name="What to change").focus()
    page.keyboard.press("ArrowDown")  # the mask stands first
    settled(page, edit="erase:blur:region=defect")
    expect(prediction(page)).to_contain_text("→")
    expect(panel(page)).to_contain_text("defect erased (blur)")
    table = panel(page).get_by_role("table", name="Probability")
    assert table.get_by_role("row").count() >= 3
    scores = panel(page).get_by_role("table", name="Top-K overlap")
    expect(scores.get_by_role("row")).to_have_count(5)
    expect(panel(page).locator(".fills b")).to_have_count(3)
    page.wait_for_url(re.compile("edit=erase"))

    panel(page).get_by_role("radio", name="Blur").focus()
    page.keyboard.press("ArrowRight")
    settled(page, edit="erase:mean:region=defect")
    edited = str(page.locator("article.source img").get_attribute("src"))
    assert edited != picture
    page.get_by_role("button", name="Show the original").click()
    expect(page.locator("article.source img")).to_have_attribute("src", picture)
    expect(page.locator("article.source h3")).to_have_text("Original")
    page.keyboard.press("Escape")
    settled(page, edit="")
    expect(page.locator("article.source h3")).to_have_text("Image")
    assert prediction(page).inner_text() == before
    assert "edit" not in page.url


def test_the_brush_by_pointer_and_by_keys_and_a_link_restores_it(
    open_page: OpenPage, server: str
) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    settled(page)
    panel(page).get_by_role("button", name="What if").click()
    place = panel(page).get_by_role("combobox", name="What to change")
    place.select_option("brush")
    brush = page.get_by_role("application", name="Brush on the image")
    expect(brush).to_be_focused()
    stroke(page, (0.3, 0.4), (0.7, 0.5))
    settled(page, edit="erase:blur:brush=r0.06,0.3*")
    first = str(stage(page).get_attribute("data-edit"))
    assert not page.locator(".zoomed").count()

    sample = stage(page).get_attribute("data-sample")
    for key in ("ArrowDown", "ArrowDown", "]", " "):  # moves, grows, paints a dot
        page.keyboard.press(key)
    settled(page, edit=f"{first};r0.075,*")
    assert stage(page).get_attribute("data-sample") == sample  # the arrows were the brush's
    panel(page).get_by_role("button", name="Undo stroke").click()
    settled(page, edit=first)
    page.wait_for_url(re.compile("edit=erase%3Ablur%3Abrush"))

    words = prediction(page).inner_text()
    again = open_page(page.url)
    settled(again, edit=first)
    expect(prediction(again)).to_have_text(re.compile(re.escape(words.split("\n")[-1])))
    expect(panel(again).get_by_role("combobox", name="What to change")).to_have_value("brush")
    expect(again.get_by_role("button", name="Undo stroke")).to_be_enabled()
    panel(again).get_by_role("button", name="Clear").click()
    settled(again, edit="")


def test_the_strongest_pixels_of_a_map_are_erased(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    settled(page)
    k = stage(page).get_attribute("data-k")
    panel(page).get_by_role("button", name="What if").click()
    panel(page).get_by_role("combobox", name="What to change").select_option(f"topk={k}px,saliency")
    settled(page, edit=f"erase:blur:topk={k}px,saliency")
    expect(panel(page)).to_contain_text(f"the {k} strongest pixels of Saliency erased")


def test_an_own_image_is_dropped_masked_and_gone_for_others(
    open_page: OpenPage, server: str
) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    settled(page)
    count = page.get_by_role("option").count()
    drop(page, "words.png", b"these are words")
    expect(panel(page).get_by_role("alert")).to_contain_text("words.png: not an image")
    drop(page, "shoe.png", png())
    settled(page, sample="own/shoe.png")
    expect(panel(page)).to_contain_text("only in this session’s memory, not in the link")
    expect(stage(page).locator(".facts")).to_contain_text("Labelled–")
    expect(page.get_by_role("option")).to_have_count(count + 1)
    expect(panel(page).get_by_role("alert")).to_be_hidden()
    assert page.locator("article.winner").count() == 0  # no mask, no ranking

    panel(page).get_by_role("button", name="What if").click()
    panel(page).get_by_role("button", name="Draw").click()
    stroke(page, (0.3, 0.5), (0.6, 0.5))
    settled(page, region="own mask")
    expect(page.locator("article[data-method=saliency] tr.ranks .value")).to_be_visible()
    outline = page.locator("article.source .outline .line")
    assert outline.get_attribute("d")
    k = stage(page).get_attribute("data-k")
    stroke(page, (0.3, 0.2), (0.6, 0.2))
    expect(stage(page)).not_to_have_attribute("data-k", str(k))  # K is the mask's size

    other = open_page(page.url)
    settled(other)
    assert str(stage(other).get_attribute("data-sample")).startswith(("crack", "cut", "good"))
    other.get_by_role("alert").filter(has_text="own image stays in the session").first.wait_for()
    expect(other.get_by_role("option")).to_have_count(count)


def test_an_own_mask_stands_in_for_the_data_sets(
    open_page: OpenPage, server: str, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    settled(page)
    before = page.locator("article[data-method=saliency] tr.ranks .value").inner_text()
    panel(page).get_by_role("button", name="What if").click()
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :20] = 255
    file = tmp_path / "mask.png"
    PILImage.fromarray(mask).save(file)
    page.set_input_files('input[aria-label="Own mask"]', file)
    settled(page, region="own mask", k="1280")
    expect(page.locator("article.source table")).to_contain_text("own mask")
    panel(page).get_by_role("button", name="Score against the data set’s").click()
    settled(page, region="defect")
    expect(page.locator("article[data-method=saliency] tr.ranks .value")).to_have_text(before)
    panel(page).get_by_role("button", name="Score against it").click()
    settled(page, region="own mask")
    panel(page).get_by_role("button", name="Remove").click()
    settled(page, region="defect")
