"""The pictures of the documentation, taken from the running dashboard: ``make screenshots``.

Serves the built-in study and one of faces, opens every page in Chromium, waits until it is filled
and writes ``docs/images/*.png``, with a palette of 256 colours where nobody sees what that loses.
``python docs/make_screenshots.py batch explore`` takes some of them again; ``--check`` opens every
page without writing. A page that is new in the table gets its picture by itself.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageStat

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DEMO, FACES = "the built-in study", "a study of faces with regions"
LARGEST_ERROR = 2.0
"""Root mean square of 0 to 255, in the worst channel."""


@dataclass(frozen=True)
class Shot:
    """One picture: where it is taken, what must be on the screen, what is done before."""

    name: str
    link: str
    ready: str
    size: tuple[int, int] = (1366, 820)
    dark: bool = False
    study: str = DEMO
    before: tuple[Callable[[Page], None], ...] = field(default=())


def press(*keys: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        for key in keys:
            page.keyboard.press(key)

    return act


def scroll_to(text: str) -> Callable[[Page], None]:
    """Bring a heading to the top of what can be scrolled."""

    def act(page: Page) -> None:
        heading = page.get_by_role("heading", name=text).first
        heading.evaluate("node => node.scrollIntoView({block: 'start'})")

    return act


def pin_three(page: Page) -> None:
    """Pin this image and the two after it, with a caption each."""
    for number, caption in enumerate(CAPTIONS):
        if number:
            page.keyboard.press("ArrowRight")
            page.wait_for_function(STILL, polling=300)
        page.keyboard.press("p")
        field = page.get_by_role("textbox", name="Caption")
        field.wait_for()
        field.fill(caption)
        page.keyboard.press("Enter")
        page.get_by_role("region", name="Pinned view").wait_for(state="hidden")


def show(title: str, ready: str) -> Callable[[Page], None]:
    """Go to another page by its button."""

    def act(page: Page) -> None:
        page.get_by_role("button", name=title, exact=True).first.click()
        page.wait_for_selector(ready)

    return act


EXPLORE = "section.explore[data-status=ready]"
FILLED = {
    "explore": EXPLORE,
    "compare": EXPLORE,
    "batch": "main canvas",
    "triage": "section.queue",
    "parts": "tr[data-region] svg",
    "present": "ol.slides",
}
"""Page id -> what is on the screen when it is filled; of others only that they are shown."""

CAPTIONS = ("What the network looks at", "A second image", "And a third")

CLASS = "&split=test&class=crack"


def shots() -> list[Shot]:
    """Return one picture per page of the table, in light, and those that a text needs besides."""
    from app.pages import PAGES

    ready = {spec.id: FILLED.get(spec.id, "main") for spec in PAGES}
    present = (pin_three, show("Present", FILLED["present"]))
    found = [Shot(spec.id, f"?page={spec.id}", ready[spec.id]) for spec in PAGES]
    special = {
        "parts": Shot("parts", "?page=parts", FILLED["parts"], study=FACES),
        "present": Shot("present", "?page=explore&split=test", EXPLORE, before=present),
    }
    found = [special.get(shot.name, shot) for shot in found]
    found += [
        Shot("explore-dark", f"?page=explore{CLASS}", EXPLORE, dark=True),
        Shot("batch-dark", "?page=batch", FILLED["batch"], dark=True),
        Shot("help", f"?page=explore{CLASS}", EXPLORE, before=(press("?"),)),
    ]
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(cache: Path, *arguments: str) -> Iterator[str]:
    """Serve a study with nothing of the user's: no cache, no tags, no stories."""
    port = free_port()
    command = [sys.executable, "-m", "panel", "serve", str(ROOT / "app"), "--port", str(port)]
    command += ["--address", "127.0.0.1", "--allow-websocket-origin", f"127.0.0.1:{port}"]
    command += ["--args", *arguments] if arguments else []
    env = {**os.environ, "XAIEVAL_CACHE": str(cache), "XAIEVAL_STATE": str(cache / "state")}
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/app"
    try:
        deadline = time.monotonic() + 120
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the dashboard did not start")
            try:
                with urllib.request.urlopen(url, timeout=60):
                    break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def faces(folder: Path) -> str:
    """Train and run the smallest study of faces whose regions have names; return its folder."""
    xaieval = Path(sys.executable).parent / "xaieval"
    command = [xaieval, "reproduce", "celebamask-regions/attributes", "--tiny", "--out", folder]
    print("faces: a small study is run first, about a minute", flush=True)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (found,) = (it.parent for it in folder.glob("**/studies/*/study.toml"))
    return str(found)


# Nothing has moved for a while, every picture is decoded, and nothing says that it is at work.
STILL = """() => {
  function* deep(root) {
    for (const node of root.querySelectorAll("*")) {
      yield node;
      if (node.shadowRoot) { yield* deep(node.shadowRoot); }
    }
  }
  let busy = false;
  const now = [];
  for (const node of deep(document)) {
    if (!node.checkVisibility()) { continue; }
    busy ||= node.getAttribute("aria-busy") === "true"
      || (node.tagName === "IMG" && node.src && !node.complete);
    const box = node.getBoundingClientRect();
    now.push(`${box.x},${box.y},${box.width},${box.height},${node.textContent.length}`);
  }
  const same = !busy && now.join() === window.picture_before;
  window.picture_still = same ? (window.picture_still ?? 0) + 1 : 0;
  window.picture_before = now.join();
  return window.picture_still >= 5;
}"""


def take(browser: Browser, url: str, shot: Shot) -> bytes:
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(url + shot.link)
        page.wait_for_selector(shot.ready)
        page.wait_for_function(STILL, polling=300)
        for act in shot.before:
            act(page)
        page.mouse.move(2, height - 2)
        page.wait_for_function(STILL, polling=300)
        return page.screenshot(animations="disabled", caret="hide")
    finally:
        context.close()


def packed(picture: bytes) -> bytes:
    """Return a PNG, of 256 colours where nobody sees the difference: no photographs."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    reduced = image.quantize(256, dither=Image.Dither.NONE)
    error = ImageStat.Stat(ImageChops.difference(image, reduced.convert("RGB"))).rms
    stream = io.BytesIO()
    (reduced if max(error) < LARGEST_ERROR else image).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def colour_vision() -> bytes:
    """Return a chart of the colours that matter, as each kind of sight has them."""
    import numpy as np

    from xaieval.figures.palette import method_colours
    from xaieval.figures.printed import new_figure
    from xaieval.figures.simulation import MATRICES, from_hex, simulated
    from xaieval.render import TOPK_COLOURS

    methods = ["gradcam", "saliency", "integrated_gradients", "gradient_x_input", "occlusion"]
    groups = {
        "Top-K": TOPK_COLOURS | {"outline": "#ffffff"},
        "Methods, light": method_colours([*methods, "random"]),
        "Methods, dark": method_colours([*methods, "random"], mode="dark"),
    }
    grounds = {"Top-K": "#74777b", "Methods, light": "#ffffff", "Methods, dark": "#191b1e"}
    figure = new_figure(7.4, 2.6, "light")
    axes = figure.subplots(1, len(groups), width_ratios=[len(it) for it in groups.values()])
    for ax, (title, colours) in zip(axes, groups.items(), strict=True):
        ax.set_title(title, fontsize=9)
        for row, vision in enumerate(MATRICES):
            ax.axhspan(row - 0.5, row + 0.5, color=simulated(from_hex(grounds[title]), vision))
            for column, colour in enumerate(colours.values()):
                face = np.clip(simulated(from_hex(colour), vision), 0, 1)
                ax.plot(column, row, "s", markersize=15, color=face, markeredgewidth=0)
        names = [name.replace("_", " ").replace("integrated ", "int. ") for name in colours]
        ax.set_xticks(range(len(colours)), names, rotation=40, ha="right", fontsize=8)
        ax.set_xlim(-0.6, len(colours) - 0.4)
        ax.set_ylim(len(MATRICES) - 0.5, -0.5)
        ax.set_yticks(range(len(MATRICES)), MATRICES if ax is axes[0] else [], fontsize=8)
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)
    figure.set_layout_engine("constrained")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return packed(stream.getvalue())


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make screenshots")
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--check", action="store_true", help="open every page, write nothing")
    options = parser.parse_args()
    if not options.check and not options.names:
        (OUT / "colour-vision.png").write_bytes(colour_vision())
    known = {shot.name: shot for shot in shots()}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no picture {unknown[0]!r}; there are {', '.join(known)}")
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("XAIEVAL_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    wanted = [known[name] for name in options.names or known]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for study in (DEMO, FACES):
            of_it = [shot for shot in wanted if shot.study == study]
            if not of_it:
                continue
            arguments = () if study == DEMO else (faces(Path(folder) / "faces"),)
            with served(Path(folder), *arguments) as url:
                for shot in of_it:
                    picture = packed(take(browser, url, shot))
                    print(f"{shot.name}: {len(picture) / 1024:.0f} KB", flush=True)
                    if not options.check:
                        (OUT / f"{shot.name}.png").write_bytes(picture)
        browser.close()


if __name__ == "__main__":
    main()
