"""Definitions opened by mouse and keyboard, and the panel that asks whether the winner survives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xaieval.backend import Backend, Request
from xaieval.metrics import score
from xaieval.sensitivity.store import FOLDER
from xaieval.study import Results

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOCUS = """() => { let at = document.activeElement;
  while (at && at.shadowRoot && at.shadowRoot.activeElement) { at = at.shadowRoot.activeElement; }
  return at ? [at.dataset.define || "", at.dataset.of || "", at.className] : []; }"""


@pytest.fixture(scope="module")
def own(
    demo_results: Results, serve: Callable[..., AbstractContextManager[str]], tmp_path_factory
) -> Iterator[tuple[str, Results]]:
    """A dashboard on a copy that may be written to."""
    folder = tmp_path_factory.mktemp("survives") / "results"
    shutil.copytree(demo_results.path, folder, ignore=shutil.ignore_patterns(FOLDER))
    with serve(str(folder)) as url:
        yield url, Results(folder)


def test_a_number_on_explore_opens_its_definition(
    own: tuple[str, Results], open_page: Callable[..., Page]
) -> None:
    url, results = own
    page = open_page(url)
    button = page.locator('button[data-define="topk_overlap"][data-of="saliency"]')
    button.wait_for()
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Top-K overlap")
    page.locator('dialog.definition[data-state="ready"]').wait_for()
    assert dialog.locator("math").count() == 1
    page.keyboard.press("ArrowRight")  # a key of the page behind does nothing now
    sample = page.locator("section.explore").get_attribute("data-sample")
    shown = dialog.locator(".exact strong").inner_text()
    dataset = results.dataset()
    assert dataset is not None
    found = dataset[str(sample)]
    backend = Backend("cpu")
    try:
        from xaieval.methods import parse_method

        calls = (parse_method("saliency"), parse_method("saliency[pooling=l1-norm]"))
        path = results.checkpoints()[0][2]
        answer = backend.explain(Request(checkpoint=path, sample=found, methods=calls))
    finally:
        backend.close()
    mask = answer.geometry.mask(next(iter(found.regions.values())))[None]

    def value(key: str, metric: str) -> float:
        return float(score(answer.maps[key].values[None], mask, metrics=[metric])[metric][0])

    assert float(shown) == pytest.approx(value("saliency", "topk_overlap"), abs=1e-5)
    rows = {
        row.get_attribute("data-variant"): float(row.locator(".num").get_attribute("data-value"))
        for row in dialog.locator("tbody tr").all()
    }
    assert rows["iou"] == pytest.approx(value("saliency", "topk_iou"), abs=1e-5)
    l1 = value("saliency[pooling=l1-norm]", "topk_overlap")
    assert rows["pooling-l1-norm"] == pytest.approx(l1, abs=1e-5)
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate(FOCUS) == ["topk_overlap", "saliency", "define"]


def test_the_mouse_opens_and_closes_it_too(
    own: tuple[str, Results], open_page: Callable[..., Page]
) -> None:
    page = open_page(own[0])
    page.locator('td[data-define="iou"][data-of="gradcam"]').click()
    dialog = page.get_by_role("dialog", name="IoU")
    page.locator('dialog.definition[data-state="ready"]').wait_for()
    assert "one channel" in dialog.inner_text()
    page.mouse.click(3, 3)  # beside the card
    dialog.wait_for(state="hidden")


def test_the_winner_is_asked_for_from_the_page(
    own: tuple[str, Results], open_page: Callable[..., Page]
) -> None:
    url, results = own
    page = open_page(f"{url}?page=batch&images=all&split=test")
    panel = page.get_by_text("Nobody has asked yet.")
    panel.wait_for()
    title = page.get_by_role("button", name="Does the winner survive?")
    title.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Does the winner survive?")
    page.locator('dialog.definition[data-state="ready"]').wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.get_by_role("button", name="Measure it otherwise").click()
    answer = page.locator(".answer-line")
    answer.wait_for(timeout=120_000)
    assert "variants" in answer.inner_text()
    page.get_by_role("figure", name="Win rates under every variant").wait_for()
    kept = json.loads((results.path / FOLDER / "runs.json").read_text())["runs"]
    assert list(kept) == ["topk_overlap · defect · test · all"]
    page.reload()
    page.locator(".answer-line").wait_for()
    assert not Path(results.path / ".lock").exists()
