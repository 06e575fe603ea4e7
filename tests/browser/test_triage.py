"""The Triage page in Chromium: a queue looked through by keyboard, brushed, tagged, shared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser


def ready(page: Page) -> Page:
    page.locator('.triage-desk[data-status="ready"]').wait_for(timeout=120_000)
    page.locator('.preview[data-state="ready"]').wait_for(timeout=120_000)
    return page


def chosen(page: Page) -> Locator:
    return page.locator('.row[aria-selected="true"]')


def shown(page: Page) -> int:
    """How many rows the sentence says are shown."""
    text = page.locator(".sentence strong").inner_text()
    return int(re.sub(r"\D", "", text))


def test_by_keyboard_from_the_queue_to_explore_and_back(
    server: str, open_page: Callable[..., Page]
):
    page = ready(open_page(f"{server}?page=triage"))
    assert chosen(page).get_attribute("data-index") == "0"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.locator('.row[data-index="1"][aria-selected="true"]').wait_for()
    ready(page)
    name = chosen(page).locator('[data-key="name"]').inner_text()
    page.keyboard.press("t")
    page.get_by_role("combobox", name="Tag of this image").press_sequentially("keyed")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Take the tag keyed away").wait_for()
    page.keyboard.press("n")
    page.get_by_role("textbox", name="Note on this image").press_sequentially("Look at j and k.")
    page.keyboard.press("Control+Enter")
    page.get_by_role("listitem").filter(has_text="Look at j and k.").wait_for()
    page.keyboard.press("u")
    page.get_by_text(f"Undone: note on {name}.").wait_for()
    page.get_by_role("listitem").filter(has_text="Look at j and k.").wait_for(state="detached")
    assert page.get_by_role("button", name="Take the tag keyed away").is_visible()
    page.keyboard.press("1")  # the latest tag again: it is taken away
    page.get_by_role("button", name="Take the tag keyed away").wait_for(state="detached")
    image = re.search(r"image=(s[0-9a-f]{12})", page.url)
    assert image
    page.keyboard.press("o")
    page.locator(".explore").first.wait_for(timeout=60_000)
    page.get_by_role("radio", name="Explore").or_(
        page.get_by_role("button", name="Explore", exact=True)
    ).first.wait_for()
    assert image.group(1) in page.url
    page.get_by_role("button", name="Triage", exact=True).click()
    ready(page)
    page.locator('.row[data-index="1"][aria-selected="true"]').wait_for()


def test_a_brush_narrows_table_and_gallery(server: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{server}?page=triage"))
    everything = shown(page)
    scores = page.locator('.row[data-there="yes"] [data-key="score"]')
    known = sorted(float(text) for text in scores.all_inner_texts() if text != "–")
    middle = known[len(known) // 2]
    page.get_by_role("spinbutton", name="score from").fill(str(middle))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove score").wait_for()
    page.wait_for_url("**span=**")
    narrowed = shown(page)
    assert 0 < narrowed < everything
    page.locator(f'.table[aria-rowcount="{narrowed + 1}"]').wait_for()
    for text in scores.all_inner_texts():
        assert float(text) >= middle - 0.005
    box = page.locator(".joint").bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 90, box["y"] + box["height"] - 34, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Remove confidence").wait_for()
    page.locator(".frame .brush").wait_for(state="attached")
    page.get_by_role("button", name="Gallery").click()
    page.locator('.tile[data-index="0"]').wait_for()
    page.wait_for_url("**listed=gallery**")
    page.get_by_role("button", name="Clear the ranges").click()
    page.get_by_role("button", name="Remove confidence").wait_for(state="detached")
    assert shown(page) == everything


def test_nothing_left_offers_a_way_back(server: str, open_page: Callable[..., Page]):
    page = open_page(f"{server}?page=triage&find=nothing-of-this-name")
    page.get_by_role("heading", name="Nothing here").wait_for(timeout=120_000)
    page.get_by_role("button", name="Clear the filters").first.click()
    ready(page)
    assert shown(page) > 0


def test_two_sessions_share_tags_but_no_choices(server: str, open_page: Callable[..., Page]):
    one = ready(open_page(f"{server}?page=triage"))
    two = ready(open_page(f"{server}?page=triage&listed=table"))
    name = chosen(one).locator('[data-key="name"]').inner_text()
    one.keyboard.press("t")
    one.get_by_role("combobox", name="Tag of this image").press_sequentially("shared")
    one.keyboard.press("Enter")
    two.locator(".row").filter(has_text=name).locator(".tag", has_text="shared").first.wait_for()
    one.keyboard.press("j")
    one.locator('.row[data-index="1"][aria-selected="true"]').wait_for()
    one.get_by_role("button", name="Wrong", exact=True).click()
    one.get_by_role("button", name="Remove wrong").wait_for()
    assert two.locator('.row[data-index="0"][aria-selected="true"]').count() == 1
    assert two.get_by_role("button", name="Remove wrong").count() == 0


BAD = "split=no1&class=no2&of=seed-99&method=no3&order=no4&outcome=lost:no5&pattern=no6&lines=no7"
BAD += "&confidence=no8&span=2to1&answers=no9&listed=no10&region=no11"


def test_every_bad_part_of_a_link_is_said(server: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{server}?page=triage&find=0&{BAD}"))
    said = page.get_by_role("alert").first.inner_text()
    for number in range(1, 12):
        assert f"no{number}" in said
    for text in ("99", "2to1"):
        assert f"“{text}”" in said
    assert page.get_by_role("button", name="Remove “0”").is_visible()  # what was good is kept


def test_a_saved_view_survives_a_reload(server: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{server}?page=triage"))
    page.get_by_role("searchbox").fill("crack")
    page.get_by_role("button", name="Remove “crack”").wait_for()
    narrowed = shown(page)
    page.locator(".table").focus()
    page.keyboard.press("s")
    page.get_by_role("textbox", name="Name of the view").fill("only cracks")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Open the view only cracks").wait_for()
    again = ready(open_page(f"{server}?page=triage"))
    again.keyboard.press("s")
    again.get_by_role("button", name="Open the view only cracks").click()
    again.get_by_role("button", name="Remove “crack”").wait_for()
    assert shown(again) == narrowed
    again.locator(".table").focus()
    again.keyboard.press("s")
    again.get_by_role("button", name="Delete the view only cracks").click()
    again.get_by_role("button", name="Open the view only cracks").wait_for(state="detached")


def test_files_hold_the_rows_shown(server: str, open_page: Callable[..., Page], tmp_path: Path):
    page = ready(open_page(f"{server}?page=triage&find=crack"))
    rows = shown(page)
    for name, file in (("CSV", "rows.csv"), ("About", "about.json")):
        page.get_by_role("button", name="Files").click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"All rows of the queue as {name}").click()
        waiting.value.save_as(tmp_path / file)
        page.keyboard.press("Escape")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == rows + 1
    assert json.loads((tmp_path / "about.json").read_text())["ids"]["rows"] == rows
