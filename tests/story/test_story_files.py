"""A story as HTML and PDF: every page has a plate, what is missing is said, files stand alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.cli import main
from xaieval.digest import url_id
from xaieval.figures.pages import page_figure, page_size, pages_pdf
from xaieval.story import Slide, Story, stamp_of, story_json
from xaieval.story.plates import Studio, make_plates
from xaieval.story.render import plate_png, story_html, story_pdf
from xaieval.story.views import Link, changed_since, troubles


@pytest.fixture(scope="module")
def story(demo_results) -> Story:
    sample = demo_results.predictions(split="test", class_name="hole")["sample_id"].iloc[0]
    facts = {"study": "tiny", "results": str(demo_results.path.resolve()), "sample": sample}
    stamp = str(stamp_of([demo_results]))
    image = f"image={url_id(sample)}"
    links = {
        "explore": f"?study=tiny&split=test&{image}&seed=seed-43&k=40px&map=cividis",
        "batch": "?page=batch&study=tiny&ties=first",
        "triage": "?page=triage&study=tiny&answers=all",
        "compare": f"?page=compare&study=tiny&{image}&models=tiny%2Fseed-42+tiny%2Fseed-43",
        "parts": "?page=parts&study=tiny",
    }
    slides = tuple(
        Slide(
            id=f"v{i:08x}",
            link=link,
            page=page,
            caption=f"About <{page}>",
            facts=facts,
            stamp=stamp,
        )
        for i, (page, link) in enumerate(links.items())
    )
    return Story(id="t00000001", title="Five pages & more", slides=slides)


@pytest.fixture(scope="module")
def plates(story, demo_results, tmp_path_factory):
    backend = Backend(
        "cpu", cache=HeatmapCache(disk_bytes=0, folder=tmp_path_factory.mktemp("maps"))
    )
    yield make_plates(story, Studio({"tiny": demo_results}, backend=backend))
    backend.close()


def test_every_page_has_a_plate_or_says_why(plates):
    trouble = {plate.slide.page: plate.trouble for plate in plates}
    assert "region by region" in trouble.pop("parts")
    assert set(trouble.values()) == {""}
    assert all(plate.commands for plate in plates if not plate.trouble)


def test_the_sheet_of_a_slide_has_its_k_seed_and_colours(plates):
    sheet = plates[0].sheet
    assert (sheet.seed, sheet.k, sheet.look.colormap) == (43, 40, "cividis")
    assert [panel.key for panel in sheet.panels] == [
        "gradcam",
        "saliency",
        "integrated_gradients",
        "random",
    ]
    assert sheet.panels[0].weights.sum() == pytest.approx(40)
    assert "--k 40" in plates[0].commands[0]


def test_models_of_a_slide_stand_side_by_side(plates):
    compare = next(plate for plate in plates if plate.slide.page == "compare")
    assert [panel.label.split(":")[0] for panel in compare.sheet.panels] == ["seed 42", "seed 43"]


def test_html_needs_nothing_else(story, plates):
    page = story_html(story, plates)
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert page.count('class="slide"') == 5
    assert "About &lt;batch&gt;" in page
    assert "Five pages &amp; more" in page
    assert "xaieval sheet" in page


def test_pdf_has_a_page_per_slide_with_fonts_inside(story, plates):
    data = story_pdf(story, plates)
    assert data.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", data)) == 5
    assert b"/FontFile2" in data  # TrueType, embedded
    boxes = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", data)
    assert len(boxes) == 5
    assert all(float(w) / float(h) == pytest.approx(16 / 9, abs=1e-3) for w, h in boxes)
    assert plate_png(plates[0], width_px=320).startswith(b"\x89PNG")


def test_a_page_keeps_its_figure_as_large_as_it_was():
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1])
    figure.suptitle("its own")
    figure.draw_without_rendering()
    before = axes.get_window_extent().width
    page = page_figure(figure, title="A page", place="1 / 1")
    assert tuple(page.get_size_inches()) == pytest.approx(page_size(4, 3))
    assert axes.get_window_extent().width == pytest.approx(before, rel=0.01)
    assert pages_pdf([page], source="x").count(b"/MediaBox") == 1


def test_troubles_are_found_without_computing(story, demo_results, tmp_path: Path):
    opened = {"tiny": demo_results}
    assert troubles(story.slides[0], opened) == ()
    gone = replace(story.slides[0], facts={}, link="?study=tiny&image=s000000000000")
    assert "is not in these results" in troubles(gone, opened)[0]
    model = replace(story.slides[0], link=story.slides[0].link.replace("seed-43", "seed-9"))
    assert "seed 9" in troubles(model, opened)[0]
    elsewhere = replace(story.slides[1], facts={"results": str(tmp_path / "none")})
    assert "not opened" in troubles(replace(elsewhere, link="?page=batch&study=x"), opened)[0]


def test_what_changed_is_seen_by_the_stamp(story, demo_results):
    opened = {"tiny": demo_results}
    assert changed_since(story.slides[0], opened) == ()
    stamp = "r00000000" + story.slides[0].stamp[9:]
    assert changed_since(replace(story.slides[0], stamp=stamp), opened) == (
        "the results were run again",
    )
    assert changed_since(replace(story.slides[0], stamp="?"), opened) != ()


def test_a_link_that_says_nothing_has_defaults():
    link = Link("")
    assert (link.page, link.k, link.seed, link.methods, link.opacity) == (
        "explore",
        None,
        None,
        (),
        0.6,
    )
    assert Link("?k=12&seed=4&opacity=2").k is None


def test_commands(story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XAIEVAL_STATE", str(tmp_path / "state"))
    runner = CliRunner()
    path = tmp_path / "story.json"
    path.write_text(story_json(replace(story, slides=story.slides[1:3])))
    found = runner.invoke(main, ["story", "check", str(path)])
    assert found.exit_code == 0, found.output
    assert found.output.count("ready") == 2
    out = [str(tmp_path / name) for name in ("s.html", "s.pdf")]
    found = runner.invoke(main, ["story", "export", str(path), "--html", out[0], "--pdf", out[1]])
    assert found.exit_code == 0, found.output
    assert all(Path(name).stat().st_size > 10_000 for name in out)
    assert runner.invoke(main, ["story", "export", str(path)]).exit_code == 2
    broken = replace(story.slides[4], id="v0000000a")
    path.write_text(story_json(replace(story, slides=(broken,))))
    assert runner.invoke(main, ["story", "check", str(path)]).exit_code == 1
    assert runner.invoke(main, ["story", "check", "no such story"]).exit_code == 2
    assert "no stories" in runner.invoke(main, ["story", "list"]).output
