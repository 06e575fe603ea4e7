"""Opening: from the address to the first card, against an empty page's first paint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.browser.figures import median, said
from benchmarks.browser.served import EMPTY, chromium, new_page, serving
from benchmarks.browser.stage import READY

EXTRA_MS = 300.0
# Notes when the first card of a painted stage is there, without asking the page again and again.
_WATCH = """(() => {
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options);
    const look = () => {
      if (window.firstCard !== undefined) { return; }
      const stage = root.querySelector("section.explore[data-painted]");
      const card = stage?.querySelector("article.ready[data-method]");
      if (card) { window.firstCard = performance.now(); }
    };
    new MutationObserver(look).observe(root, {subtree: true, childList: true, attributes: true,
      attributeFilter: ["class", "data-painted"]});
    return root;
  };
})()"""
_FIRST_PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Alternate both pages, each time with a browser context of its own (nothing kept)."""
    empty: list[float] = []
    first: list[float] = []
    with (
        serving(folder) as app,
        serving(folder, page=EMPTY) as bare,
        chromium() as browser,
    ):
        for turn in range(4 if quick else 9):
            page = new_page(browser)
            page.goto(bare.url)
            page.wait_for_function(f"({_FIRST_PAINT})() !== undefined")
            page.get_by_text("Nothing here.").wait_for()
            blank = page.evaluate(_FIRST_PAINT)
            page.context.close()
            page = new_page(browser)
            page.add_init_script(_WATCH)
            page.goto(app.url)
            page.wait_for_selector(READY, timeout=180_000)
            page.wait_for_function("window.firstCard !== undefined")
            shown = page.evaluate("window.firstCard")
            page.wait_for_timeout(1500)
            page.context.close()
            if turn:  # the first one of a process loads models and libraries
                empty.append(blank)
                first.append(shown)
    bound = 1.5 * median(empty) + EXTRA_MS
    print(said("opening: first card visible, median", median(first), bound))
    print(f"{'':4}an empty page's first paint {median(empty):.1f} ms")
    return {"first_card_ms": first, "empty_ms": empty}
