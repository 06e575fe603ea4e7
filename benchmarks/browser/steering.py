"""Opacity, colour map, K and threshold answered by the browser alone: the server is stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.browser.figures import p95, said
from benchmarks.browser.served import Server, chromium, new_page, serving
from benchmarks.browser.stage import FOUR, open_stage

BOUND_MS = 100.0
"""Below it a change seems to follow the hand (Nielsen 1993, Usability Engineering, chapter 5)."""
# From the next key to the frame in which what the stage shows has changed, painted.
_ARM = """([name]) => {
  const find = (node) => {
    for (const it of node.querySelectorAll("*")) {
      if (it.matches("section.explore")) { return it; }
      const deep = it.shadowRoot && find(it.shadowRoot);
      if (deep) { return deep; }
    }
    return null;
  };
  const stage = find(document);
  const style = name.startsWith("--");
  const read = () => style ? stage.style.getPropertyValue(name) : stage.dataset[name];
  window.timed = new Promise((resolve, reject) => {
    document.addEventListener("keydown", () => {
      const [before, start] = [read(), performance.now()];
      const look = () => {
        if (read() !== before) { requestAnimationFrame(() => resolve(performance.now() - start)); }
        else if (performance.now() - start > 5000) { reject(new Error(`${name} did not change`)); }
        else { requestAnimationFrame(look); }
      };
      requestAnimationFrame(look);
    }, {capture: true, once: true});
  });
}"""


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Let the server's process stand still."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def press(page: Any, key: str, shown: str) -> float:
    """Press a key; return ms until what the stage shows has changed."""
    page.evaluate(_ARM, [shown])
    page.keyboard.press(key)
    return float(page.evaluate("window.timed"))


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Move each control by keyboard while the server stands still."""
    rounds = 6 if quick else 20
    times: dict[str, list[float]] = {}
    with serving(folder) as server, chromium() as browser:
        page = new_page(browser)
        for name, link in (("K", ""), ("threshold", "&threshold=50pct")):
            open_stage(page, server.url, methods=FOUR, link=link)
            page.wait_for_selector("section.explore[data-cuts]")
            slider = page.get_by_role("slider", name=name)
            slider.focus()
            with stopped(server):
                key = "k" if name == "K" else "threshold"
                times[name] = [press(page, "ArrowRight", key) for _ in range(rounds)]
                if name == "K":
                    page.get_by_role("slider", name="Heatmap opacity").focus()
                    times["opacity"] = [press(page, "ArrowLeft", "--opacity") for _ in range(6)]
                    times["colour map"] = list(_colour_maps(page))
    for name, found in times.items():
        print(said(f"{name} with the server stopped, p95 of {len(found)}", p95(found), BOUND_MS))
    return times


def _colour_maps(page: Any) -> Iterator[float]:
    for place in (1, 2):
        page.get_by_role("combobox", name="Colour map").focus()
        page.keyboard.press("Enter")
        page.locator("li.MuiMenuItem-root:focus").wait_for()
        page.keyboard.press("Home")
        for _ in range(place):
            page.keyboard.press("ArrowDown")
        yield press(page, "Enter", "--ramp")
        page.get_by_role("menuitem").first.wait_for(state="detached")
