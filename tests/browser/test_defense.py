"""A defense, as it is played: from the boxplot to the pixels, to a what-if, to the story's file.

On the built-in study with its ten seeds, offline, by pointer and keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from xaieval.digest import url_id
from xaieval.metrics import parse_metric
from xaieval.study import demo_results as built_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
METHOD, LABEL, METRIC = "integrated_gradients", "Integrated gradients", "topk_overlap"
# Where a mark of the figure stands in the window; null until it is drawn.
PLACE = """id => {
  for (const view of Bokeh.index.query((v) => v.model.name === "points" && v.glyph?.sx)) {
    const data = view.model.data_source.data;
    const row = Array.from(data.get ? data.get("id") : data.id).indexOf(id);
    const at = Array.from(view.all_indices).indexOf(row);  // among those that this row draws
    if (at < 0 || !Number.isFinite(view.glyph.sx[at])) { continue; }
    const box = view.parent.canvas_view.el.getBoundingClientRect();
    return [box.left + view.glyph.sx[at], box.top + view.glyph.sy[at]];
  }
  return null;
}"""


def outlier() -> tuple[int, set[str], int]:
    """Return the seed farthest below the others, the images that the method lost there, and n.

    Worked out from single scores, apart from the win rates that the page shows.
    """
    results = built_in()
    assert parse_metric(METRIC).higher_is_better
    scores = results.scores(metric_key=METRIC, split="test", region=results.regions[0])
    scores = scores[scores["correct"] & scores["method_id"].isin(results.compete)]
    wide = scores.pivot(index=["seed", "sample_id"], columns="method_id", values="value")
    wide = wide.dropna(how="all")
    best = wide.sub(wide.max(axis=1), axis=0).abs() <= 1e-9  # several where they tie
    lost = ~best[METHOD]
    rates = (best[METHOD] / best.sum(axis=1)).groupby("seed").mean()
    seed = int(pd.Index(rates.index)[int((rates - rates.median()).to_numpy().argmin())])
    images = {str(sample) for sample in lost.loc[seed][lost.loc[seed]].index}
    return seed, images, int(lost.loc[seed].size)


def tap(page: Page, mark: str) -> None:
    """Tap a mark of the boxplots."""
    page.wait_for_function(f"({PLACE})({mark!r}) !== null")
    figure = page.locator(".bk-Figure, .bk-GridPlot").first
    figure.scroll_into_view_if_needed()
    x, y = page.evaluate(PLACE, mark)
    page.mouse.click(x, y)


def test_from_the_boxplot_to_the_story(
    open_page: Callable[..., Any],
    chromium: Browser,
    serve: Callable[..., AbstractContextManager[str]],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect

    seed, losing, counted = outlier()
    assert 0 < len(losing) < counted
    with serve() as url:
        page = open_page(f"{url}?page=batch", viewport={"width": 1366, "height": 900})
        page.set_default_timeout(90_000)
        page.get_by_role("heading", name="Win rate over seeds").wait_for()

        # The seed that stands apart says how many images it is about, and which it lost.
        tap(page, f"test|overall|{METHOD}|{seed}")
        panel = page.get_by_role("dialog", name=f"{LABEL}: test, all classes")
        expect(panel).to_contain_text(f"seed {seed}")
        expect(panel).to_contain_text(f"Open these {counted} images in Triage")
        panel.get_by_role("button", name=f"Open the {len(losing)} images that").last.click()

        # Triage holds exactly those.
        page.wait_for_selector('.triage-desk[data-painted]:not([data-painted=""])')
        page.wait_for_url(re.compile(f"outcome=lost%3A{METHOD}"))
        expect(page.locator(".triage-desk .sentence")).to_contain_text(str(len(losing)))
        rows = page.locator(".triage-desk .queue [data-there=yes]")
        expect(rows).to_have_count(len(losing))
        shown = {row.locator("[data-key=name]").first.inner_text() for row in rows.all()}
        assert {name.strip() for name in shown} == losing

        # One of them, in Explore, under the same model.
        page.keyboard.press("o")
        stage = page.locator("section.explore")
        page.wait_for_selector("section.explore[data-status=ready]")
        sample = str(stage.get_attribute("data-sample"))
        assert sample in losing
        page.wait_for_url(re.compile(f"seed=seed-{seed}"))
        assert f"image={url_id(sample)}" in page.url
        expect(page.locator(f"article[data-method={METHOD}]")).to_have_count(1)
        expect(page.locator(f"article.winner[data-method={METHOD}]")).to_have_count(0)

        # What if what the mask marks were not there?
        whatif = page.locator("section.whatif")
        whatif.get_by_role("button", name="What if").focus()
        page.keyboard.press("Enter")
        whatif.get_by_role("combobox", name="What to change").focus()
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(
            'section.explore[data-status=ready][data-edit="erase:blur:region=defect"]'
        )
        expect(stage.locator(".fact").first).to_contain_text("→")

        # Pinned with a sentence, and taken away as one file.
        page.keyboard.press("Tab")  # out of the select, where p is a letter like any other
        page.keyboard.press("p")
        toast = page.get_by_role("region", name="Pinned view")
        toast.get_by_role("textbox", name="Caption").fill("Without the defect the answer changes.")
        toast.get_by_role("button", name="Open story").click()
        slides = page.get_by_role("list", name="Slides")
        expect(slides).to_contain_text("Without the defect the answer changes.")
        with page.expect_download(timeout=240_000) as download:
            page.get_by_role("button", name="HTML", exact=True).click()
        file = tmp_path / "story.html"
        download.value.save_as(file)
        page.close()

    # The server is gone, no script runs: the file shows everything by itself.
    context = chromium.new_context(offline=True, java_script_enabled=False)
    story = context.new_page()
    asked: list[str] = []
    story.on("request", lambda request: asked.append(request.url.split(":")[0]))
    story.goto(file.as_uri())
    expect(story.get_by_text("Without the defect the answer changes.").first).to_be_visible()
    assert story.locator("section.slide img, section.slide svg").count() > 0
    assert set(asked) <= {"file", "data"}
    context.close()
