"""For the tests that go over every page of the table: open it, wait until it shows something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from by_hand import write_results

if TYPE_CHECKING:
    from playwright.sync_api import Page

READY = {
    "explore": "section.explore[data-status=ready]",
    "batch": "main canvas",
    "parts": "main canvas",
    "compare": "section.explore[data-status=ready]",
}
"""Page id -> what is there when it shows its data; a page without one is only waited for."""

DEEP = """
function* deep(root) {
  for (const node of root.querySelectorAll("*")) {
    yield node;
    if (node.shadowRoot) { yield* deep(node.shadowRoot); }
  }
}
const seen = (node) => node.checkVisibility({visibilityProperty: true, opacityProperty: true});
"""
"""JavaScript that walks over the document and every shadow root in it."""


def _score(sample: str, seed: int, method: str, region: str, metric: str) -> float:
    return 0.05 if metric == "area_share" else (0.9 if method == "gradcam" else 0.5) - seed / 10


def faces(folder: Path) -> Path:
    """Write a study whose images have several regions, so that every page has something to show."""
    samples = {f"{i}@{name}": name for i in range(6) for name in ("hat", "smile")}
    write_results(folder / "faces", _score, samples=samples, seeds=(1, 2), title="Faces")
    return folder / "faces"


def shown(page: Page, page_id: str, title: str) -> Page:
    """Wait until a page is drawn, and filled or says why it is empty."""
    page.wait_for_function("title => document.title.startsWith(title)", arg=title, timeout=90_000)
    if page_id in READY:
        page.wait_for_selector(READY[page_id], timeout=90_000)
    page.wait_for_function(
        "() => {"
        + DEEP
        + """
          let [text, busy] = [0, false];
          for (const node of deep(document)) {
            if (!seen(node)) { continue; }
            busy ||= node.getAttribute("aria-busy") === "true";
            for (const child of node.childNodes) {
              if (child.nodeType === 3) { text += child.data.trim().length; }
            }
          }
          return !busy && text > 200 && Bokeh.documents.every((it) => it.is_idle);
        }""",
        timeout=90_000,
    )
    return page
