"""Named regions on Explore, in a real Chromium: pick, name, link, bars, colours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]

STUDY = """
schema = 1

[study]
id = "faces"
title = "Drawn faces"

[data]
name = "folder"
path = "{path}"
split_scheme = "stratified"
options = {{ region = "mouth" }}

[model]
arch = "small-cnn"
input_size = [64, 64]

[train]
seeds = [42]
epochs = 1
batch = 8

[explain]
methods = ["gradcam", "saliency", "random"]

[score]
metrics = ["topk_overlap"]
"""
SIDE = 64


def draw_faces(root: Path) -> None:
    """Two classes of six pictures: a head with eyes in it, and a mouth but for the last two."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    rng = np.random.default_rng(0)
    for class_name in ("plain", "smiling"):
        for number in range(6):
            shift = int(rng.integers(-4, 5))
            head = ((rows - 32) / 28) ** 2 + ((columns - 32 - shift) / 22) ** 2 < 1
            eyes = (abs(rows - 22) < 4) & (abs(abs(columns - 32 - shift) - 9) < 5)
            height = 6 if class_name == "smiling" else 2
            mouth = (abs(rows - 46) < height) & (abs(columns - 32 - shift) < 9)
            picture = rng.integers(60, 100, (SIDE, SIDE, 3))
            picture[head] += 90
            picture[eyes] = (40, 80, 160)
            regions = {"head": head, "eyes": eyes}
            if number < 4:
                picture[mouth] = (190, 40, 50)
                regions["mouth"] = mouth
            name = f"{class_name}{number}"
            for kind in ("images", "masks"):
                (root / kind / class_name).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
            image.save(root / "images" / class_name / f"{name}.png")
            for region, mask in regions.items():
                drawn = Image.fromarray(mask.astype(np.uint8) * 255)
                drawn.save(root / "masks" / class_name / f"{name}_{region}.png")


def measured(folder: Path) -> Path:
    """Draw the faces, train and run a small study on them, and return its results folder."""
    from xaieval.backend import Backend
    from xaieval.cache import HeatmapCache
    from xaieval.study import load_study, run_study, train_study

    draw_faces(folder / "faces")
    file = folder / "faces.toml"
    file.write_text(STUDY.format(path=(folder / "faces").as_posix()))
    study, out = load_study(file), folder / "results"
    train_study(study, out=out, device="cpu")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder / "cache"))
    try:
        return run_study(study, out=out, device="cpu", backend=backend).path
    finally:
        backend.close()


@pytest.fixture(scope="module")
def faces(
    serve: Callable[..., AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The dashboard on the drawn faces, every image on offer."""
    with serve(str(measured(tmp_path_factory.mktemp("faces")))) as url:
        yield f"{url}?split=all"


def stage(page: Page) -> Locator:
    return page.locator("section.explore")


def ready(page: Page, **data: str) -> None:
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    page.wait_for_selector(f"section.explore[data-status=ready]{wanted}", timeout=90_000)


def panel(page: Page, picked: str) -> Locator:
    page.wait_for_selector(f"section.regions[data-filled=true][data-picked={picked}]")
    return page.get_by_role("region", name="Regions", exact=True)


def score(page: Page, method: str = "saliency") -> str:
    return page.locator(f"article[data-method={method}] tr.ranks .value").inner_text()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("menuitem", name=option, exact=True).click()


def image(page: Page, name: str) -> None:
    page.get_by_role("option", name=name).click()
    ready(page, sample=name)


def at(page: Page, column: int, row: int, card: str = "article.source") -> dict[str, Any]:
    """A pixel of the picture as a place on its card."""
    box = page.locator(f"{card} .well").first.bounding_box()
    assert box
    return {
        "x": box["width"] * (column + 0.5) / SIDE,
        "y": box["height"] * (row + 0.5) / SIDE,
    }


def test_a_region_picked_by_the_select_is_scored_and_linked(
    open_page: OpenPage, faces: str
) -> None:
    from playwright.sync_api import expect

    page = open_page(faces)
    ready(page, region="mouth")
    before = (score(page), stage(page).get_attribute("data-k"))
    line = page.locator("article.source .outline .line")
    outline = line.get_attribute("d")
    choose(page, "Region scored", "head")
    ready(page, region="head")
    assert (score(page), stage(page).get_attribute("data-k")) != before
    assert line.get_attribute("d") != outline
    expect(stage(page).get_by_text("size of head")).to_be_visible()
    page.wait_for_url(re.compile("region=head"))
    again = open_page(page.url)
    ready(again, region="head")
    assert (score(again), stage(again).get_attribute("data-k")) == (
        score(page),
        stage(page).get_attribute("data-k"),
    )
    choose(page, "Region scored", "mouth")
    ready(page, region="mouth")
    assert (score(page), stage(page).get_attribute("data-k")) == before
    page.wait_for_url(lambda url: "region=" not in url)


def test_bars_hold_the_cards_mass_and_pick_their_region(open_page: OpenPage, faces: str) -> None:
    from playwright.sync_api import expect

    page = open_page(faces)
    ready(page, region="mouth")
    shares = panel(page, "mouth")
    mass = page.locator("article[data-method=saliency] tr", has_text="Mass accuracy")
    told = float(mass.locator(".value").inner_text())
    saliency = shares.locator("tr[data-region=mouth] td.share").nth(1)
    assert float(saliency.inner_text().rstrip("%")) / 100 == pytest.approx(told, abs=1e-3)
    assert "lift" in str(saliency.get_attribute("title"))
    expect(shares.get_by_role("button", name="mouth")).to_have_attribute("aria-pressed", "true")
    expect(shares.get_by_text("need not add up to 100%")).to_be_visible()  # head holds the others
    shares.locator("tr[data-region=eyes] td.share").first.click()
    ready(page, region="eyes")
    shares = panel(page, "eyes")
    shares.get_by_role("button", name="head").focus()
    page.keyboard.press("Enter")
    ready(page, region="head")
    expect(panel(page, "head").get_by_role("button", name="head")).to_be_focused()
    shares.get_by_role("button", name="lift", exact=True).click()
    expect(shares.locator("tr[data-region=eyes] td.share").first).to_contain_text("×")
    shares.get_by_role("button", name="Area").click()
    first = shares.locator("tbody").first.locator("tr[data-region]").first
    expect(first).to_have_attribute("data-region", "eyes")


def test_a_click_on_the_image_picks_what_lies_there(open_page: OpenPage, faces: str) -> None:
    from playwright.sync_api import expect

    page = open_page(faces)
    ready(page, region="mouth")
    well = page.locator("article.source .well")
    well.click(position=at(page, 32, 46))  # the mouth is scored: the next around it
    ready(page, region="head")
    well.click(position=at(page, 32, 46))
    ready(page, region="mouth")
    well.click(position=at(page, 32, 34))
    ready(page, region="head")
    well.dblclick(position=at(page, 1, 1))  # nothing there to pick: magnify
    expect(page.locator(".wall.zoomed")).to_have_count(1)


def test_the_pointer_names_regions_on_every_image(open_page: OpenPage, faces: str) -> None:
    from playwright.sync_api import expect

    page = open_page(faces)
    ready(page, region="mouth")
    for card in ("article.source", "article[data-method=saliency]"):
        well = page.locator(f"{card} .well").first
        for (column, row), told in (
            ((32, 46), "mouth · head"),
            ((32, 34), "head"),
            ((1, 1), "no region"),
        ):
            well.hover(position=at(page, column, row, card))
            expect(well.locator(".naming .names")).to_have_text(told)
    page.mouse.move(2, 2)
    expect(page.locator(".naming:visible")).to_have_count(0)


def test_regions_in_colour_have_a_legend_for_the_keyboard(open_page: OpenPage, faces: str) -> None:
    from playwright.sync_api import expect

    page = open_page(faces)
    ready(page, region="mouth")
    layer = page.locator("article.source canvas.parts")
    expect(layer).to_be_hidden()
    toggle = page.get_by_role("button", name="regions in colour")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(layer).to_be_visible()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    legend = page.get_by_role("list", name="Colours of the regions")
    assert legend.get_by_role("button").all_inner_texts() == ["mouth", "eyes", "head"]
    assert len(set(colours(page))) == 4  # three regions and nothing
    page.keyboard.press("Tab")
    expect(legend.get_by_role("button", name="mouth")).to_be_focused()
    expect(page.locator("article.source canvas.spot")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    ready(page, region="eyes")
    expect(legend.get_by_role("button", name="eyes")).to_be_focused()


def colours(page: Page) -> list[int]:
    layer = page.locator("article.source canvas.parts")
    found: list[int] = layer.evaluate(
        """c => [...new Uint32Array(
          c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer)]"""
    )
    assert len(found) == SIDE * SIDE
    return found


def test_an_absent_region_is_told_and_cannot_be_picked(open_page: OpenPage, faces: str) -> None:
    from playwright.sync_api import expect

    page = open_page(faces)
    ready(page, region="mouth")
    image(page, "images/plain/plain5")
    verdict = stage(page).locator(".verdict")
    expect(verdict).to_contain_text("the part is not in this image")
    expect(page.locator("article.source .note")).to_contain_text("mouth is not in this image")
    expect(page.get_by_text("Not in this image: mouth")).to_be_visible()
    choose(page, "Region scored", "eyes")
    ready(page, region="eyes")
    expect(verdict).not_to_contain_text("undefined")
    select = page.get_by_role("combobox", name="Region scored", exact=True)
    expect(select).to_have_text("eyes")
    select.click()
    gone = page.get_by_role("menuitem", name="mouth", exact=True)
    expect(gone).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Escape")
    image(page, "images/plain/plain0")
    ready(page, region="eyes")


def test_an_unknown_region_in_a_link_falls_back(open_page: OpenPage, faces: str) -> None:
    page = open_page(f"{faces}&region=tail")
    ready(page, region="mouth")
    page.get_by_role("alert").filter(has_text="no region “tail”").first.wait_for()


def test_one_region_needs_no_panel(open_page: OpenPage, server: str) -> None:
    from playwright.sync_api import expect

    page = open_page(server)
    ready(page)
    expect(page.get_by_role("combobox", name="Region scored")).to_have_count(0)
    expect(page.get_by_role("button", name="regions in colour")).to_have_count(0)
    expect(page.locator("section.regions")).to_be_hidden()
