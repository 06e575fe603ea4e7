"""The Parts page in Chromium: figures, choices in the link, downloads, empty states, keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from by_hand import write_results

from xaieval.study import Results
from xaieval.study.regional import regional_scores

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SAMPLES = {f"{i}@{name}": name for i in range(8) for name in ("Smiling", "Wearing_Hat")}
METRICS = ("regional_precision", "area_share", "falsification@rule=area-matched")


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    number = int(sample[0])
    if metric == "area_share":
        return 0.05
    if metric.startswith("falsification"):
        return float(number % 3 == 0 or method == "random")
    if region == "nose" and number == 0:
        return "absent-part"
    return (9.0 if method == "gradcam" else 5.0) + number / 4 + seed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("regional")
    write_results(
        home / "studies" / "a", value, samples=SAMPLES, seeds=(1, 2), metrics=METRICS, title="Faces"
    )
    write_results(
        home / "studies" / "b", value, samples=SAMPLES, regions=("mask",), title="One region"
    )
    return home


@pytest.fixture(scope="module")
def url(folder: Path, serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    with serve(str(folder)) as address:
        yield address


def ready(page: Page) -> Page:
    page.get_by_role("heading", name="Region by region").wait_for(timeout=120_000)
    page.locator("canvas").first.wait_for(timeout=120_000)
    return page


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("menuitem", name=option, exact=True).click()


def test_numbers_on_the_page_are_those_of_the_results(
    url: str, folder: Path, open_page: Callable[..., Page]
):
    page = ready(open_page(f"{url}?page=parts"))
    page.get_by_text("Grad-CAM on nose is most above chance: 2.30 times its area share").wait_for()
    scores = regional_scores(
        Results(folder / "studies" / "a"), "regional_precision", regions=("nose",)
    )
    for method, part in scores.dropna(subset="value").groupby("method_id"):
        row = page.locator(f'tr[data-region="nose"][data-method="{method}"]')
        mean = part.groupby("sample_id")["value"].mean().mean()
        row.get_by_text(f"{mean:.3f}" if mean < 10 else f"{mean:.2f}", exact=True).first.wait_for()
        assert "the part is not in this image 2" in row.inner_text()


def test_choices_travel_in_the_link(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=parts"))
    page.get_by_role("button", name="nose", exact=True).click()
    page.wait_for_url("**parts=eyes+mouth**")
    page.locator('tr[data-region="nose"]').first.wait_for(state="detached")
    choose(page, "Cells", "lift")
    page.wait_for_url("**cell=lift**")
    choose(page, "A point per", "method and class")
    page.wait_for_url("**points=classes**")
    page.get_by_text("n = 6 points").wait_for()
    again = ready(open_page(page.url))
    again.get_by_text("n = 6 points").wait_for()
    assert again.locator('tr[data-region="nose"]').count() == 0
    assert again.get_by_role("combobox", name="Cells").inner_text() == "lift"


def test_a_study_with_one_region_says_so_and_offers_another(
    url: str, open_page: Callable[..., Page]
):
    page = open_page(f"{url}?page=parts&study=b")
    page.get_by_role("heading", name="No parts in these results").wait_for(timeout=120_000)
    page.get_by_role("button", name="Show Faces").click()
    ready(page)
    page.wait_for_url("**study=a**")


def test_by_keyboard_and_in_the_dark(url: str, open_page: Callable[..., Page]):
    page = ready(open_page(f"{url}?page=parts"))
    mark = page.locator('tr[data-region="eyes"][data-method="gradcam"] svg')
    light = mark.get_attribute("stroke")
    page.get_by_role("button", name="Toggle theme").press("Enter")
    page.locator(f'tr[data-region="eyes"][data-method="gradcam"] svg:not([stroke="{light}"])')
    page.get_by_role("button", name="Random", exact=True).press("Enter")
    page.locator('tr[data-method="random"]').first.wait_for(state="detached")
    page.get_by_role("region", name="Scores of every region and method").focus()
    summary = page.locator("summary").first
    summary.press("Enter")
    page.get_by_role("columnheader", name="falsification rate").wait_for()


DOWNLOADS: tuple[tuple[str, int, str, bytes], ...] = (
    ("PNG", 0, "demo-regions.png", b"\x89PNG"),
    ("PDF", 1, "demo-lift.pdf", b"%PDF"),
    ("CSV", 0, "demo-regions.csv", b"region,method_id"),
    ("LaTeX", 1, "demo-falsification.tex", b"\\begin{table}"),
    ("About", 3, "demo-class-regions-about.json", b"{"),
)


def test_downloads(url: str, open_page: Callable[..., Any]):
    page = ready(open_page(f"{url}?page=parts"))
    for button, place, name, start in DOWNLOADS:
        with page.expect_download(timeout=120_000) as download:
            page.get_by_role("button", name=button, exact=True).nth(place).click()
        assert download.value.suggested_filename == name
        assert download.value.path().read_bytes().startswith(start), name
