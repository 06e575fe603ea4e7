"""Explore's stage, driven and timed inside the page."""

from __future__ import annotations

from typing import Any

READY = "section.explore[data-status=ready]"
FOUR = ("gradcam", "saliency", "integrated_gradients", "random")
EIGHT = (*FOUR, "gradcam_plus_plus", "gradient_x_input", "sobel", "centre_prior")

# Finds through shadow roots; clicks; waits until the stage says that the new view is painted: all
# images decoded, two frames passed.
_CLOCK = """async ([what, index, ready]) => {
  const find = (node) => {
    const here = [];
    for (const it of node.querySelectorAll("*")) {
      if (it.matches(what) || it.matches("section.explore")) { here.push(it); }
      if (it.shadowRoot) { here.push(...find(it.shadowRoot)); }
    }
    return here;
  };
  const all = find(document);
  const stage = all.find((it) => it.matches("section.explore"));
  const button = all.filter((it) => it.matches(what))[index];
  const before = Number(stage.dataset.painted);
  const start = performance.now();
  button.click();
  let first = null;
  return await new Promise((resolve, reject) => {
    const watch = new MutationObserver(() => {
      if (Number(stage.dataset.painted) <= before) { return; }
      const now = performance.now() - start;
      if (first === null && stage.querySelector("article.ready[data-method]")) { first = now; }
      if (stage.dataset.status === ready) { watch.disconnect(); resolve([first ?? now, now]); }
    });
    watch.observe(stage, {attributes: true});
    setTimeout(() => reject(new Error("nothing was painted in 60 s")), 60000);
  });
}"""


def clock(page: Any, what: str, index: int = 0) -> tuple[float, float]:
    """Click the index-th match; return ms to the first card and to the whole view, painted."""
    first, whole = page.evaluate(_CLOCK, [what, index, "ready"])
    return float(first), float(whole)


def step(page: Any, *, forward: bool = True) -> float:
    """Go to the next or previous image; return ms to the painted view."""
    return clock(page, f'button[aria-label="{"Next" if forward else "Previous"} image"]')[1]


def open_stage(
    page: Any, url: str, *, methods: tuple[str, ...] = (), split: str = "test", link: str = ""
) -> None:
    """Open Explore and wait for its first whole view; ``link``: further values, "&k=412px"."""
    chosen = f"&methods={'+'.join(methods)}" if methods else ""
    page.goto(f"{url}?split={split}{chosen}{link}")
    page.wait_for_selector(READY, timeout=180_000)
