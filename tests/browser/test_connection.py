"""The server goes and comes back; two people on one server do not see each other's views."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest
from everywhere import shown

from xaieval.study import Results

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]

EXPECTED = re.compile(
    r"net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)"
    r"|WebSocket connection to 'ws://127\.0\.0\.1:\d+/app/ws"
    r"|Lost websocket connection|Failed to connect to Bokeh server|Could not open websocket"
)
"""What a browser writes when the server it asks for is gone; nothing else may be written."""


WRITE = """() => {
  const field = document.createElement("textarea");
  field.value = "a note";
  document.body.append(field);
  field.focus();
}"""


def ready(page: Page, **data: str) -> None:
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    page.wait_for_selector(f"section.explore[data-status=ready]{wanted}", timeout=90_000)


def test_the_same_view_comes_back_with_the_server(
    chromium: Browser, demo_results: Results, serve: Callable[..., AbstractContextManager[str]]
) -> None:
    from playwright.sync_api import expect

    errors: list[str] = []
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    with serve(str(demo_results.path)) as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        page.goto(f"{url}?k=90px&split=all")
        ready(page, k="90")
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "() => new URLSearchParams(location.search).get('image') !== null", timeout=60_000
        )
        # A K chosen for one image means nothing for the next, so it is chosen again by the link.
        link = page.url if "k=" in page.url else f"{page.url}&k=90px"
        page.goto(link)
        ready(page, k="90")
        sample = page.locator("section.explore").get_attribute("data-sample")
        here = page.url
        writer = context.new_page()  # another tab, where somebody writes
        writer.goto(f"{url}?page=batch")
        shown(writer, "batch", "Batch").evaluate(WRITE)
        assert not errors, errors
    banner = page.get_by_role("alert").filter(has_text="Connection to the server lost")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("Your view is kept; trying again")
    expect(banner.get_by_role("button", name="Reload")).to_be_visible()
    assert page.locator("section.explore").get_attribute("data-sample") == sample  # kept
    with serve(str(demo_results.path), port=port):
        expect(banner).to_be_hidden(timeout=60_000)
        ready(page, k="90", sample=str(sample))
        assert page.url == here
        page.keyboard.press("ArrowRight")  # the new session answers
        expect(page.locator("section.explore")).not_to_have_attribute("data-sample", str(sample))

        waits = writer.get_by_role("alert").filter(has_text="Reload")
        expect(waits).to_contain_text("what you are writing is not kept", timeout=60_000)
        assert writer.locator("textarea").last.input_value() == "a note"
        waits.get_by_role("button", name="Reload").click()
        expect(waits).to_be_hidden(timeout=60_000)
        shown(writer, "batch", "Batch")
        context.close()
    strange = [text for text in errors if not EXPECTED.search(text)]
    assert not strange, strange


def test_two_people_do_not_see_each_other(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    one, two = open_page(server), open_page(f"{server}?class=nowhere&k=70px")
    ready(one)
    ready(two, k="70")
    expect(two.get_by_text("There is no class “nowhere” here")).to_be_visible()
    expect(one.get_by_text("nowhere")).to_have_count(0)
    before = str(two.locator("section.explore").get_attribute("data-sample"))
    one.keyboard.press("ArrowRight")
    one.wait_for_selector(f'section.explore[data-status=ready]:not([data-sample="{before}"])')
    one.get_by_role("combobox", name="Class", exact=True).click()
    one.get_by_role("menuitem", name="cut", exact=True).click()
    one.wait_for_selector('section.explore[data-status=ready][data-sample^="cut/"]')
    assert two.locator("section.explore").get_attribute("data-sample") == before
    ready(two, k="70", sample=before)

    for page in (one, two):
        page.keyboard.press("g")
        page.keyboard.press("b")
        shown(page, "batch", "Batch")
    choose = one.get_by_role("combobox", name="Who wins is decided by", exact=True)
    chosen = two.get_by_role("combobox", name="Who wins is decided by", exact=True).inner_text()
    choose.click()
    one.get_by_role("menuitem").filter(has_not_text=chosen).first.click()
    expect(choose).not_to_have_text(chosen)
    expect(two.get_by_role("combobox", name="Who wins is decided by", exact=True)).to_have_text(
        chosen
    )
    assert "metric=" not in two.url
    two.keyboard.press("g")
    two.keyboard.press("e")
    ready(two, k="70", sample=before)


def test_a_page_first_opened_by_somebody_else_opens_here_too(
    open_page: OpenPage, demo_results: Results, serve: Callable[..., AbstractContextManager[str]]
) -> None:
    with serve(str(demo_results.path)) as url:  # a fresh server: no page was opened before
        one, two = open_page(url), open_page(url)
        for page in (one, two):
            ready(page)
        for page in (one, two):
            for key, page_id in zip("tbpc", ("triage", "batch", "parts", "compare"), strict=True):
                page.keyboard.press("g")
                page.keyboard.press(key)
                page.wait_for_url(f"**page={page_id}**")
                page.locator("main").get_by_role("heading").first.wait_for()
        for page in (one, two):
            page.context.close()


def test_a_page_that_missed_a_change_opens_its_view_again(chromium: Browser, server: str) -> None:
    from playwright.sync_api import expect

    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.goto(f"{server}?k=90px")
    ready(page, k="90")
    page.evaluate("window.old = true")
    page.evaluate(
        """setTimeout(() => Bokeh.documents[0].apply_json_patch(
          {events: [{kind: "ModelChanged", model: {id: "nobody"}, attr: "text", new: ""}]}))"""
    )
    page.wait_for_function("() => window.old === undefined")
    ready(page, k="90")
    expect(page.get_by_role("alert").filter(has_text="missed a change")).to_be_hidden()
    context.close()


# Keeps back what a browser says when a page is drawn; Bokeh sends a message as three texts and two
# parts for each of its buffers.
DRAWN_LATE = """(() => {
  const send = WebSocket.prototype.send;
  let parts = [];
  WebSocket.prototype.send = function (part) {
    parts.push(part);
    const { num_buffers = 0 } = JSON.parse(parts[0]);
    if (parts.length < 3 + 2 * num_buffers) { return; }
    const whole = parts;
    parts = [];
    const go = () => whole.forEach((it) => send.call(this, it));
    if (!whole[2].includes('"document_ready"')) { go(); return; }
    window.sayDrawn = go;
  };
})()"""


def test_what_is_done_before_a_page_is_drawn_is_heard(
    chromium: Browser, open_page: OpenPage, server: str
) -> None:
    from playwright.sync_api import expect

    address = f"{server}?page=explore&split=all"
    ready(open_page(address))  # now this view is known, and comes with the page
    errors: list[str] = []
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    context.add_init_script(DRAWN_LATE)
    page = context.new_page()
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    ready(page)
    page.wait_for_function("window.sayDrawn !== undefined")
    page.get_by_role("option").nth(1).click()
    page.wait_for_function("location.search.includes('image=')")
    second = page.get_by_role("option").nth(1)
    expect(second).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name="Batch", exact=True).click()
    page.get_by_role("heading", name="Win rate over seeds").wait_for()
    page.evaluate("window.sayDrawn()")
    page.get_by_role("button", name="Explore", exact=True).click()
    ready(page)
    page.get_by_role("button", name="Batch", exact=True).click()
    page.get_by_role("heading", name="Win rate over seeds").wait_for()
    context.close()
    assert errors == []
