"""A strip of 20,000 images: only what is in view is drawn, named and asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import panel as pn
import pytest

from app.catalogue import Item
from app.strip import Strip
from xaieval.digest import url_id
from xaieval.render import data_uri

pytestmark = pytest.mark.browser
MANY = 20_000
OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def many() -> Iterator[tuple[str, list[str], list[str]]]:
    """Serve a strip alone; yield its address, the thumbnails made and the images chosen."""
    names = [f"set-{n // 1000}/image-{n:05d}" for n in range(MANY)]
    items = tuple(Item(url_id(name), name, "", has_mask=False) for name in names)
    made: list[str] = []
    chosen: list[str] = []

    def thumb(item: Item) -> str:
        made.append(item.sample_id)
        if item.sample_id.endswith("00003"):
            return ""
        return data_uri(np.full((8, 8, 3), len(made) % 256, np.uint8), format="jpeg")

    with ThreadPoolExecutor(1) as pool:

        def build() -> Any:
            strip = Strip(chosen.append, thumb=thumb, pool=pool)
            strip.show(items, items[2].id)
            return pn.Column(strip, width=264, height=500)

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = pn.serve(
            {"strip": build},
            port=port,
            address="127.0.0.1",
            websocket_origin=f"127.0.0.1:{port}",
            threaded=True,
            show=False,
        )
        yield f"http://127.0.0.1:{port}/strip", made, chosen
        server.stop()


def test_twenty_thousand_images(open_page: OpenPage, many: Any) -> None:
    from playwright.sync_api import expect

    url, made, chosen = many
    received: list[int] = []
    page = open_page("about:blank")
    page.on("websocket", lambda w: w.on("framereceived", lambda data: received.append(len(data))))
    page.goto(url)
    images = page.get_by_role("navigation", name="Images")
    thumbs = images.get_by_role("option")
    expect(images.get_by_role("status")).to_have_text("3 / 20\u2009000")
    expect(thumbs.first.locator("img")).to_be_visible()
    expect(thumbs.nth(3)).to_have_class("thumb damaged")
    assert thumbs.count() < 120
    assert len(page.content()) < 200_000
    assert thumbs.first.get_attribute("aria-setsize") == "20000"
    assert 0 < len(made) < 120
    assert sum(received) < 500_000

    # From a key on a thumbnail to the end and a page back.
    thumbs.nth(2).focus()
    page.keyboard.press("End")
    expect(images.get_by_role("status")).to_have_text("20\u2009000 / 20\u2009000")
    last = images.get_by_role("option", name="set-19/image-19999")
    expect(last).to_be_focused()
    expect(last).to_have_attribute("aria-selected", "true")
    expect(last.locator("img")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(images.get_by_role("status")).not_to_have_text("20\u2009000 / 20\u2009000")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")

    # By number, by a part of a name, and by one that is nowhere.
    find = page.get_by_role("textbox", name="Find an image")
    find.fill("12345")
    find.press("Enter")
    expect(images.get_by_role("status")).to_have_text("12\u2009345 / 20\u2009000")
    expect(images.get_by_role("option", name="set-12/image-12344")).to_be_visible()
    find.fill("image-00777")
    find.press("Enter")
    expect(images.get_by_role("status")).to_have_text("778 / 20\u2009000")
    find.fill("nowhere")
    find.press("Enter")
    expect(images.get_by_text("no such image")).to_be_visible()
    find.press("Escape")
    assert chosen[-1] == url_id("set-0/image-00777")

    # The wheel scrolls; what is passed by is not asked for.
    before = len(made)
    images.locator(".list").evaluate("it => { it.scrollTop = it.scrollHeight / 2; }")
    middle = images.get_by_role("option", name="set-10/image-100").first
    expect(middle.locator("img")).to_be_visible()
    assert len(made) - before < 240
    assert thumbs.count() < 120
    assert page.get_by_role("status").inner_text() == "778 / 20\u2009000"
