"""What the stage of Explore does by itself: K, threshold, colours, zoom, cross, divider."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xaieval.metrics import score, topk_weights
from xaieval.render import topk_layer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]
MAP = "article[data-method=gradcam]"

# Counts what leaves through the websocket, and notes the count when the stage has painted a cut.
WATCH = """(() => {
  window.sent = 0;
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (...all) { window.sent++; return send.apply(this, all); };
})()"""
ARM = """(name) => {
  const find = (node) => {
    for (const it of node.querySelectorAll("*")) {
      if (it.matches("section.explore")) { return it; }
      const deep = it.shadowRoot && find(it.shadowRoot);
      if (deep) { return deep; }
    }
    return null;
  };
  const stage = find(document);
  window.seen = [];
  const before = window.sent;
  new MutationObserver(() => window.seen.push(window.sent - before))
    .observe(stage, {attributeFilter: [name]});
}"""


def stage(page: Page) -> Any:
    return page.locator("section.explore")


def with_tables(page: Page) -> None:
    page.wait_for_selector("section.explore[data-status=ready][data-cuts]", timeout=90_000)


def open_watched(open_page: OpenPage, server: str, search: str = "") -> Page:
    page = open_page("about:blank")
    page.add_init_script(WATCH)
    page.goto(f"{server}{search}")
    with_tables(page)
    return page


def rows(page: Page, method: str = "gradcam") -> dict[str, str]:
    lines = page.locator(f"article[data-method={method}] table.scores tr")
    return {
        line.locator("th").inner_text(): line.locator("td").last.inner_text()
        for line in lines.all()
    }


def layer(page: Page, method: str = "gradcam") -> np.ndarray:
    """Return the Top-K overlay that the browser painted: uint8 (H, W, 4)."""
    from PIL import Image

    canvas = page.locator(f"article[data-method={method}] .well.topk canvas")
    text = canvas.evaluate("it => it.toDataURL()")
    return np.asarray(Image.open(BytesIO(base64.b64decode(text.split(",")[1]))).convert("RGBA"))


def same_layer(ours: np.ndarray, theirs: np.ndarray) -> None:
    """A canvas keeps no colour of what cannot be seen."""
    assert np.array_equal(ours[..., 3], theirs[..., 3])
    seen = theirs[..., 3] == 255
    assert seen.any()
    assert np.array_equal(ours[seen], theirs[seen])


@pytest.fixture(scope="module")
def shown_map(demo_results: Any) -> Callable[[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return (map, mask) of the class that a model predicts, as the page gets them."""
    from xaieval.backend import Backend, Request
    from xaieval.cache import HeatmapCache
    from xaieval.methods import resolve_methods

    def compute(sample_id: str, method: str) -> tuple[np.ndarray, np.ndarray]:
        dataset = demo_results.dataset()
        sample = dataset[sample_id]
        path = next(path for seed, fold, path in demo_results.checkpoints() if seed == 42)
        backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0))
        try:
            asked = Request(
                checkpoint=path,
                sample=sample,
                methods=resolve_methods([method]),
                target="predicted",
                upsampling=demo_results.study.explain.upsampling,
                seed=demo_results.study.explain.seed,
            )
            answer = backend.submit(asked).future.result()
        finally:
            backend.close()
        return answer.maps[method].values, next(iter(sample.regions.values()))

    return compute


def test_k_moves_overlay_scores_and_verdict_without_the_server(
    open_page: OpenPage, server: str, shown_map: Any
) -> None:
    from playwright.sync_api import expect

    page = open_watched(open_page, server)
    slider = page.get_by_role("slider", name="K", exact=True)
    slider.focus()
    page.evaluate(ARM, "data-k")
    start = int(slider.input_value())
    page.keyboard.press("PageUp")
    expect(stage(page)).not_to_have_attribute("data-k", str(start))
    k = int(slider.input_value())
    assert page.evaluate("window.seen")[0] == 0  # painted before anything was sent
    assert stage(page).get_attribute("data-k") == str(k)
    sample = str(stage(page).get_attribute("data-sample"))
    values, mask = shown_map(sample, "gradcam")
    found = score(values[None], mask[None], metrics=[f"precision@K={k}"])
    told = rows(page)
    assert told["Precision at K"] == f"{float(found[f'precision@K={k}'][0]):.3f}"
    assert f"Top-{k} precision" in page.locator(".verdict").inner_text()
    same_layer(layer(page), topk_layer(topk_weights(values, k), mask))
    page.wait_for_url(re.compile(f"k={k}px"))  # the link follows
    # The same view from the server says the same.
    again = open_page(page.url)
    with_tables(again)
    assert again.locator(".verdict").inner_text() == page.locator(".verdict").inner_text()
    for method in ("gradcam", "saliency", "random"):
        assert rows(again, method) == rows(page, method)
    badges = "article[data-method=saliency] .badges"
    assert again.locator(badges).inner_text() == page.locator(badges).inner_text()


def test_a_threshold_moves_without_the_server(
    open_page: OpenPage, server: str, shown_map: Any
) -> None:
    from playwright.sync_api import expect

    page = open_watched(open_page, server, "?threshold=60pct&metric=iou")
    expect(stage(page)).to_have_attribute("data-threshold", "60")
    slider = page.get_by_role("slider", name="Threshold")
    slider.focus()
    page.evaluate(ARM, "data-threshold")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(stage(page)).to_have_attribute("data-threshold", "55")
    assert page.evaluate("window.seen")[0] == 0
    values, mask = shown_map(str(stage(page).get_attribute("data-sample")), "gradcam")
    keys = {
        name: f"{key}[minmax>=0.55]"
        for name, key in (
            ("IoU", "iou"),
            ("Ground-truth coverage", "gt_coverage"),
            ("Saliency coverage", "saliency_coverage"),
        )
    }
    found = score(values[None], mask[None], metrics=list(keys.values()))
    told = rows(page)
    for name, key in keys.items():
        assert told[name] == f"{float(found[key][0]):.3f}"
    span = values.max() - values.min()
    inside = values >= np.float32(values.min() + 0.55 * span)
    assert told["Pixels"].replace("\u2009", "") == f"{int(inside.sum())} px"
    same_layer(layer(page), topk_layer(inside.astype(np.float32), mask))
    page.wait_for_url(re.compile("threshold=55pct"))
    page.get_by_role("button", name="K pixels").click()
    expect(stage(page)).to_have_attribute("data-threshold", "")
    assert "Top-K overlap" in rows(page)


def test_colours_say_what_they_mean(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_watched(open_page, server)
    bar = page.locator(f"{MAP} .scale")
    ends = [bar.locator(f".{name}").inner_text() for name in ("low", "high")]
    assert float(ends[0]) < float(ends[1])
    plain = page.locator(f"{MAP} .well.heat canvas").evaluate("c => c.toDataURL()")
    for option, low in (("raw", "0"), ("signed", f"-{ends[1]}")):
        page.get_by_role("combobox", name="Values").click()
        page.get_by_role("menuitem", name=option, exact=True).click()
        expect(stage(page)).to_have_attribute("data-display", option)
        expect(bar.locator(".low")).to_have_text(low)
        expect(bar.locator(".high")).to_have_text(ends[1])
    expect(page.locator(f"{MAP} .unsigned")).to_be_visible()
    expect(bar.locator(".zero")).to_be_visible()
    painted = page.locator(f"{MAP} .well.heat canvas").evaluate("c => c.toDataURL()")
    assert painted != plain
    page.wait_for_url(re.compile("display=signed"))


def test_one_zoom_for_all_images(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_watched(open_page, server)
    heat = page.locator(f"{MAP} .well.heat")
    box = heat.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.wheel(0, -400)
    expect(stage(page)).not_to_have_attribute("data-zoom", "1.00")
    moved = "e => [e.style.transform, ...['--z', '--tx', '--ty']" + (
        ".map((name) => getComputedStyle(e).getPropertyValue(name))].join()"
    )
    shown = page.locator("article:visible .layers").all()
    assert len({it.evaluate(moved) for it in shown}) == 1  # image, heatmaps and Top-K together
    scaled = "e => new DOMMatrix(getComputedStyle(e).transform).a"
    assert all(it.evaluate(scaled) == pytest.approx(2.718, abs=0.01) for it in shown)
    x, y = map(float, str(stage(page).get_attribute("data-centre")).split(","))
    assert x < 0.5
    assert y < 0.5  # towards the pointer
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4 - 40, box["y"] + box["height"] / 4, steps=4)
    page.mouse.up()
    assert float(str(stage(page).get_attribute("data-centre")).split(",")[0]) > x
    page.keyboard.press("0")
    expect(stage(page)).to_have_attribute("data-zoom", "1.00")
    for _ in range(6):
        page.keyboard.press("+")
    expect(stage(page)).to_have_attribute("data-zoom", "16.00")
    expect(page.get_by_role("button", name="Zoom in")).to_be_disabled()
    expect(heat.locator("canvas")).to_have_css("image-rendering", "pixelated")
    page.keyboard.press("Shift+ArrowLeft")
    assert float(str(stage(page).get_attribute("data-centre")).split(",")[0]) < 0.5
    sample = stage(page).get_attribute("data-sample")
    page.get_by_role("button", name="Show the whole image").click()
    expect(stage(page)).to_have_attribute("data-zoom", "1.00")
    assert stage(page).get_attribute("data-sample") == sample  # no key stepped to another image


def test_the_cross_reads_exact_values_by_pointer_and_by_keys(
    open_page: OpenPage, server: str, shown_map: Any
) -> None:
    from playwright.sync_api import expect

    page = open_watched(open_page, server)
    values, _ = shown_map(str(stage(page).get_attribute("data-sample")), "gradcam")
    button = page.get_by_role("button", name="Move a cross with the arrow keys")
    button.focus()
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    naming = page.locator("article.source .naming .where")
    expect(naming).to_have_text("row 43, column 33")
    expect(page.locator("article.source .naming .there")).to_have_text("original 43, 33")
    readout = page.locator(f"{MAP} .readout")
    expect(readout).not_to_contain_text("≈")  # the session has said the exact value
    assert float(readout.inner_text()) == pytest.approx(float(values[43, 33]), rel=1e-3)
    page.keyboard.press("Escape")
    expect(readout).to_have_text("")
    page.locator(f"{MAP} .well.heat").hover(position={"x": 3, "y": 3})
    expect(readout).not_to_have_text("")
    expect(readout).not_to_contain_text("≈")
    assert float(readout.inner_text()) == pytest.approx(float(values[1, 1]), rel=1e-3) or (
        float(readout.inner_text()) == pytest.approx(float(values[0, 0]), rel=1e-3)
    )


def test_two_methods_side_by_side_by_keyboard(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_watched(open_page, server)
    page.get_by_role("button", name="Grad-CAM side by side").focus()
    page.keyboard.press("Enter")
    divider = page.get_by_role("slider", name="Divider")
    expect(divider).to_be_focused()
    expect(divider).to_have_attribute("aria-valuenow", "50")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "62")
    page.keyboard.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    page.get_by_role("combobox", name="Right method").select_option("random")
    expect(stage(page)).to_have_attribute("data-swipe", "gradcam random")
    page.wait_for_url(re.compile(r"swipe=gradcam\+random"))
    again = open_page(page.url)
    with_tables(again)
    expect(stage(again)).to_have_attribute("data-swipe", "gradcam random")
    again.get_by_role("button", name="Close side by side").click()
    expect(again.locator("article.swipe")).to_be_hidden()
    again.wait_for_url(re.compile("^(?!.*swipe=)"))
