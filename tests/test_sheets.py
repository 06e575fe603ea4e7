"""The sheet of one image: its numbers are those of the results, its files stand alone."""

from __future__ import annotations

import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pictures

from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.cli import main
from xaieval.errors import ConfigError
from xaieval.export import make_sheet, sheet_bytes, sheet_name
from xaieval.figures.sheet import ImageSheet, SheetPanel
from xaieval.render import TOPK_COLOURS, rgb
from xaieval.types import Score


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    made = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder))
    yield made
    made.close()


@pytest.fixture(scope="module")
def with_mask(demo_results, backend):
    sample = demo_results.predictions(split="test", class_name="hole")["sample_id"].iloc[0]
    return make_sheet(demo_results, sample, seed=43, backend=backend)


@pytest.fixture(scope="module")
def without_mask(demo_results, backend):
    sample = demo_results.predictions(class_name="good")["sample_id"].iloc[0]
    return make_sheet(demo_results, sample, backend=backend)


def by_hand() -> ImageSheet:
    """Four pixels: the strongest lies in the mask of one pixel, in another method outside."""
    mask = np.array([[True, False], [False, False]])
    panels = tuple(
        SheetPanel(
            key=key,
            label=key,
            values=values,
            weights=(values == values.max()).astype(np.float32),
            scores={"Top-K overlap": Score(hit), "AUROC": Score(math.nan, "flat-map")},
            win=hit,
        )
        for key, values, hit in (
            ("right", np.array([[1.0, 0.0], [0.0, 0.0]]), 1.0),
            ("wrong", np.array([[0.0, 0.0], [0.0, 1.0]]), 0.0),
        )
    )
    return ImageSheet(
        study="by hand",
        sample_id="a/<b>",
        class_name="hole",
        split="test",
        seed=1,
        fold=0,
        predicted="hole",
        target="hole",
        correct=True,
        probabilities=(("hole", 0.75), ("good", 0.25)),
        picture=np.zeros((2, 2, 3), np.uint8),
        mask=mask,
        region="defect",
        panels=panels,
        wins_by="Top-K overlap",
    )


def test_hit_miss_and_false_alarm_have_their_colours():
    sheet = by_hand()
    right, wrong = (sheet.topk(panel) for panel in sheet.panels)
    assert tuple(right[0, 0]) == rgb(TOPK_COLOURS["hit"])
    assert tuple(wrong[0, 0]) == rgb(TOPK_COLOURS["miss"])
    assert tuple(wrong[1, 1]) == rgb(TOPK_COLOURS["false_alarm"])
    assert right[1, 1].tolist() == [0, 0, 0]
    assert sheet.area_share == 0.25
    assert sheet.outline == "M0 1h1M1 0v1"
    assert [panel.head for panel in sheet.panels] == ["right (wins)", "wrong"]


def test_the_page_says_everything_and_needs_no_other_file():
    page = sheet_bytes(by_hand(), format="html").decode()
    assert "a/&lt;b&gt;" in page
    assert "a/<b>" not in page
    assert "flat-map" in page
    assert "area share 0.250" in page
    assert page.count("data:image/png;base64,") == 5  # the picture, two of each method
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert page.count("<img") == len(re.findall(r'<img[^>]* alt="[^"]+"', page))


def test_the_scores_are_those_of_the_results(demo_results, with_mask):
    rows = demo_results.scores(sample_id=with_mask.sample_id, seed=43)
    assert [panel.key for panel in with_mask.panels] == list(demo_results.method_ids)
    for panel in with_mask.panels:
        mine = rows[rows["method_id"] == panel.key].set_index("metric_key")["value"]
        assert panel.scores["Top-K overlap"].value == mine["topk_overlap"]
        assert panel.scores["Mass accuracy"].value == mine["mass_accuracy"]
        assert panel.weights is not None
        assert panel.weights.sum() == pytest.approx(with_mask.mask.sum(), rel=1e-5)
        # the Top-K overlay shows the very overlap that was scored
        hits = float(panel.weights[with_mask.mask].sum())
        assert hits / with_mask.mask.sum() == pytest.approx(mine["topk_overlap"], abs=1e-5)
    competing = [panel.win for panel in with_mask.panels if panel.win is not None]
    assert len(competing) == len(demo_results.compete)
    assert sum(competing) == pytest.approx(1)


def test_an_image_without_a_mask_has_heatmaps_and_no_overlap(without_mask):
    assert all(panel.weights is None for panel in without_mask.panels)
    assert all(panel.win is None for panel in without_mask.panels)
    assert without_mask.outline == ""
    assert "No mask of defect" in without_mask.note
    assert sheet_bytes(without_mask, format="svg")


def test_the_formats_are_what_they_are_called(with_mask):
    png, svg = (sheet_bytes(with_mask, format=format) for format in ("png", "svg"))
    width, height = Pictures.open(io.BytesIO(png)).size
    assert width > 1500
    assert height > 1000
    text = "".join(ElementTree.fromstring(svg).itertext())
    assert with_mask.sample_id in text
    assert "false alarm" in text
    assert "Saliency" in text
    assert sheet_bytes(with_mask, format="svg") == svg, "the same sheet, the same bytes"


def test_a_method_that_is_not_defined_says_why():
    sheet = by_hand()
    panel = SheetPanel(key="none", label="None", values=None, undefined="no feature maps")
    sheet = ImageSheet(**{**vars(sheet), "panels": (panel,)})
    assert "no feature maps" in sheet_bytes(sheet, format="html").decode()
    assert b"no feature maps" in sheet_bytes(sheet, format="svg")


def test_what_is_not_there_is_said(demo_results, backend):
    sample = demo_results.predictions()["sample_id"].iloc[0]
    with pytest.raises(ConfigError, match="unknown image of these results"):
        make_sheet(demo_results, "no/such", backend=backend)
    with pytest.raises(ConfigError, match="no such seed"):
        make_sheet(demo_results, sample, seed=7, backend=backend)
    with pytest.raises(ConfigError, match="unknown method"):
        make_sheet(demo_results, sample, methods=["lime"], backend=backend)
    with pytest.raises(ConfigError, match="unknown format"):
        sheet_bytes(by_hand(), format="gif")


def test_the_command_writes_a_sheet(demo_results, tmp_path):
    sample = demo_results.predictions(split="test", class_name="cut")["sample_id"].iloc[0]
    out = tmp_path / "sheet.html"
    command = ["sheet", str(demo_results.path), sample, "--seed", "42", "--out", str(out)]
    done = CliRunner().invoke(main, [*command, "--methods", "gradcam,random", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    page = out.read_text()
    assert sample in page
    assert "Grad-CAM" in page
    assert "Integrated gradients" not in page


def test_the_name_of_a_sheet_is_plain():
    assert sheet_name(by_hand(), "svg") == "a_b-seed-1.svg"
