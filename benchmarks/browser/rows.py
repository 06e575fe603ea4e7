"""100,000 rows on the Triage page: opened from another page, filtered by a click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.browser.figures import median, p95, said
from benchmarks.browser.served import chromium, new_page, serving

OPEN_MS, FILTER_MS = 1000.0, 200.0
# Clicks a button and waits until the desk shows the rows of a newer view, painted.
_CLOCK = """async ([words]) => {
  const find = (node, what, found = []) => {
    for (const it of node.querySelectorAll("*")) {
      if (it.matches(what)) { found.push(it); }
      if (it.shadowRoot) { find(it.shadowRoot, what, found); }
    }
    return found;
  };
  const desk = () => find(document, ".triage-desk[data-painted]")[0];
  const button = find(document, "button").find((it) => it.textContent.trim() === words);
  const before = desk()?.dataset.painted ?? "";
  const start = performance.now();
  button.click();
  return await new Promise((resolve, reject) => {
    const look = () => {
      const it = desk();
      const there = it && it.dataset.painted && it.dataset.painted !== before
        && it.querySelector('[data-there="yes"]') && !it.querySelector('[data-there="no"]');
      if (there) { requestAnimationFrame(() => resolve(performance.now() - start)); }
      else if (performance.now() - start > 30000) { reject(new Error("no rows in 30 s")); }
      else { requestAnimationFrame(look); }
    };
    requestAnimationFrame(look);
  });
}"""


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """A server of its own for every opening: nothing of the results is in its memory."""
    from benchmarks.many_rows import make

    results = make(folder / "many")
    opened: list[float] = []
    filtered: list[float] = []
    with chromium() as browser:
        for _ in range(1 if quick else 3):
            with serving(folder, results=[results]) as server:
                page = new_page(browser)
                page.goto(f"{server.url}?page=explore")
                page.locator("section.explore[data-status]").wait_for()
                page.wait_for_timeout(2000)
                opened.append(page.evaluate(_CLOCK, ["Triage"]))
                page.wait_for_timeout(3000)
                for words in ("Wrong", "Right", "All") * (2 if quick else 4):
                    filtered.append(page.evaluate(_CLOCK, [words]))
                    page.wait_for_timeout(700)
                page.context.close()
    print(said("100,000 rows: the page opened, median", median(opened), OPEN_MS))
    print(said(f"100,000 rows: filtered, p95 of {len(filtered)}", p95(filtered), FILTER_MS))
    return {"open_ms": opened, "filter_ms": filtered}
