"""Every page in four sizes and at double zoom: nothing is cut off, no text lies on another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest
from everywhere import DEEP, faces, shown

from app.pages import PAGES, PageSpec
from xaieval.study import Results

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]

SIZES = ((1280, 720), (1920, 1080), (1024, 768), (820, 1180), (640, 720))
"""A small laptop, a projector, an old one, a tablet, and 1280 px at 200 % (WCAG 1.4.10)."""

SETTLED = (
    "() => {"
    + DEEP
    + """
  const now = [...deep(document)].filter((it) => it.checkVisibility())
    .map((it) => { const b = it.getBoundingClientRect(); return `${b.x},${b.y},${b.width}`; })
    .join();
  window.frames_alike = now === window.boxes_before ? window.frames_alike + 1 : 0;
  window.boxes_before = now;
  return window.frames_alike >= 8;
}"""
)

CUT = (
    "() => {"
    + DEEP
    + """
  const up = (node) => node.parentElement ?? node.getRootNode().host ?? null;
  const rolls = (node) => {  // somebody can scroll it into sight
    for (let at = up(node); at; at = up(at)) {
      if (/auto|scroll/.test(getComputedStyle(at).overflowX) && at.scrollWidth > at.clientWidth
          && at.getBoundingClientRect().right <= innerWidth + 1) { return true; }
    }
    return false;
  };
  const found = [];
  for (const node of deep(document)) {
    if (!node.childNodes.length || !seen(node)) { continue; }
    const own = [...node.childNodes].some((it) => it.nodeType === 3 && it.data.trim());
    if (!own && !/^(BUTTON|INPUT|IMG|CANVAS)$/.test(node.tagName)) { continue; }
    const box = node.getBoundingClientRect();
    const out = box.width > 1 && box.height > 1 && (box.right > innerWidth + 1 || box.left < -1);
    if (out && !rolls(node) && getComputedStyle(node).position !== "fixed") {
      const text = node.textContent.trim().slice(0, 40);
      found.push(`${node.tagName} ${text} ${box.left}..${box.right}`);
    }
  }
  return found;
}"""
)

OVERLAPS = (
    "() => {"
    + DEEP
    + """
  const up = (node) => node.parentElement ?? node.getRootNode().host ?? null;
  const clipped = (box, node) => {  // what is left of a text inside everything that cuts it off
    let [left, right, top, bottom] = [box.left, box.right, box.top, box.bottom];
    for (let at = node; at; at = up(at)) {
      if (getComputedStyle(at).overflow === "visible") { continue; }
      const frame = at.getBoundingClientRect();
      left = Math.max(left, frame.left); right = Math.min(right, frame.right);
      top = Math.max(top, frame.top); bottom = Math.min(bottom, frame.bottom);
    }
    return {left, right, top, bottom};
  };
  const on_top = (x, y) => {
    let top = document.elementFromPoint(x, y);
    for (let next = top; next; next = next.shadowRoot?.elementFromPoint(x, y)) {
      if (next === top && next !== document.elementFromPoint(x, y)) { break; }
      top = next;
    }
    return top;
  };
  const texts = [];
  for (const node of deep(document)) {
    if (!seen(node) || /^(STYLE|SCRIPT|OPTION|TITLE|LEGEND)$/.test(node.tagName)) { continue; }
    for (const child of node.childNodes) {
      if (child.nodeType !== 3 || !child.data.trim()) { continue; }
      const range = document.createRange();
      range.selectNodeContents(child);
      for (const rect of range.getClientRects()) {
        const box = clipped(rect, node);
        if (box.right - box.left < 4 || box.bottom - box.top < 6) { continue; }
        const top = on_top((box.left + box.right) / 2, (box.top + box.bottom) / 2);
        if (top === node || node.contains(top)) {
          texts.push({box, child, text: child.data.trim().slice(0, 40)});
        }
      }
    }
  }
  const found = [];
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i].box, texts[j].box];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 4 && high > 5 && texts[i].child !== texts[j].child) {
        found.push(`${texts[i].text} / ${texts[j].text}`);
      }
    }
  }
  return found;
}"""
)


@pytest.fixture(scope="module")
def url(
    demo_results: Results,
    tmp_path_factory: pytest.TempPathFactory,
    serve: Callable[..., AbstractContextManager[str]],
) -> Iterator[str]:
    home = tmp_path_factory.mktemp("layouts")
    with serve(str(demo_results.path), str(faces(home))) as address:
        yield address


def look(page: Page) -> tuple[int, list[str], list[str]]:
    page.wait_for_function(SETTLED)
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    return int(wide), list(page.evaluate(CUT)), list(page.evaluate(OVERLAPS))


@pytest.mark.parametrize("spec", PAGES, ids=lambda spec: spec.id)
def test_pages_fit_every_size(open_page: OpenPage, url: str, spec: PageSpec) -> None:
    study = "&study=faces" if spec.id == "parts" else ""
    page = shown(open_page(f"{url}?page={spec.id}{study}"), spec.id, spec.title)
    problems = []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        wide, cut, overlaps = look(page)
        if wide > width:
            problems.append(f"{width}: the page is {wide} px wide")
        problems += [f"{width}: cut off: {it}" for it in cut]
        problems += [f"{width}: texts overlap: {it}" for it in overlaps]
    assert not problems, "\n".join(problems)


def test_the_header_keeps_pages_and_buttons_in_one_line(open_page: OpenPage, url: str) -> None:
    page = shown(open_page(f"{url}?page=batch"), "batch", "Batch")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(SETTLED)
        tops = []
        for name in (*(spec.title for spec in PAGES), "Help", "Toggle theme"):
            box = page.locator("header").get_by_role("button", name=name, exact=True).bounding_box()
            assert box is not None, name
            assert box["x"] >= 0, (name, width)
            assert box["x"] + box["width"] <= width + 1, (name, width)
            tops.append(box["y"] + box["height"] / 2)
        assert max(tops) - min(tops) <= 3, width


@pytest.mark.parametrize("page_id", ["batch", "parts"])
def test_a_page_higher_than_the_window_scrolls_by_wheel_and_key(
    open_page: OpenPage, url: str, page_id: str
) -> None:
    study = "&study=faces" if page_id == "parts" else ""
    title = next(spec.title for spec in PAGES if spec.id == page_id)
    page = shown(open_page(f"{url}?page={page_id}{study}"), page_id, title)
    page.wait_for_function(SETTLED)
    heading = page.locator("main h2:visible").first.element_handle()
    above = "([node, y]) => node.getBoundingClientRect().y < y"

    def top() -> float:
        return float(heading.evaluate("node => node.getBoundingClientRect().y"))

    start = top()
    page.mouse.move(600, 500)  # over a figure: it does not keep the wheel
    page.mouse.wheel(0, 400)
    page.wait_for_function(above, arg=[heading, start - 200])
    page.locator("main").get_by_role("combobox").first.focus()
    page.wait_for_function(SETTLED)
    start = top()
    page.keyboard.press("PageDown")
    page.wait_for_function(above, arg=[heading, start - 200])
