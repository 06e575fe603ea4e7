"""The Parts page without a browser: its states, what links restore, its tables."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from by_hand import write_results

from app.pages.parts import PartsPage
from app.services import open_services
from app.state import AppState, write_link
from xaieval.study import Results

SAMPLES = {"0": "smile", "1": "smile", "2": "<b>hat</b>", "3": "<b>hat</b>"}
METRICS = ("regional_precision", "mass_accuracy", "area_share", "falsification")


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    if metric == "area_share":
        return 0.1
    if metric == "falsification":
        return float(sample in "02")
    if region == "nose" and sample == "0":
        return "absent-part"
    own = (24.0 if method == "gradcam" else 9.0) + seed
    return own if metric == "regional_precision" else own / 100


@pytest.fixture
def results(tmp_path: Path) -> Results:
    wrong = frozenset({("1", 1), ("1", 2)})
    out = write_results(
        tmp_path / "out", value, samples=SAMPLES, seeds=(1, 2), metrics=METRICS, wrong=wrong
    )
    return Results(out)


def page_of(*opened: Any, **state: Any) -> PartsPage:
    services = SimpleNamespace(
        results={f"r{i}": it for i, it in enumerate(opened)},
        problems=(),
        pool=ThreadPoolExecutor(1),
        backend=None,
    )
    return PartsPage(AppState(page="parts", **state), services)  # type: ignore[arg-type]


def shown(page: PartsPage) -> PartsPage:
    asyncio.run(page._refresh())
    return page


def state_of(page: PartsPage) -> str:
    text = str([getattr(o, "object", "") for o in page._body.select()])
    return next((name for name in ("error", "empty") if f'data-state="{name}"' in text), "filled")


def test_filled_shows_answer_figures_and_table(results: Results):
    page = shown(page_of(results))
    assert state_of(page) == "filled"
    assert (
        "<b>Grad-CAM</b> on <b>eyes</b> is most above chance: 2.55 times"
        in page.figures.answer.object
    )
    assert set(page._content.drawn) == {"regions", "lift", "falsification", "class-regions"}
    assert page.figures.figures["regions"].object.name == "chart-regions"
    assert "mean area share" in page.figures.captions["regions"].object
    table = page.figures.table.object
    assert table.count("<tr data-region") + table.count('<tr class="group"') == 3 * 3
    assert "absent" not in page.figures.table.object.split("nose")[0]
    assert "the part is not in this image 1" in table
    assert "misclassified 1" in table


def test_the_table_has_the_signs_of_the_figure_and_bars_their_hatch(tmp_path: Path):
    def without(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
        signed = method == "saliency" and metric != "area_share"
        return "zero-map" if signed else value(sample, seed, method, region, metric)

    methods = ("gradcam", "saliency", "random", "sobel")
    out = write_results(
        tmp_path / "out", without, samples=SAMPLES, metrics=METRICS, methods=methods
    )
    page = shown(page_of(Results(out)))
    assert "; n 3–4;" in page.figures.captions["regions"].object  # not 0: saliency is not drawn
    rows = page.figures.table.object.split("<tr")
    drawn = page.figures.captions["regions"].object.split("<span>")
    for name in ("Grad-CAM", "Random"):
        sign = next(it for it in drawn if name in it).split("</svg>")[0]
        assert any(f"{sign}</svg> {name}" in row for row in rows), name
    (row, *_) = [row for row in rows if 'data-method="saliency"' in row]
    assert "<svg" not in row
    lift = page.figures.captions["lift"].object
    assert 'data-hatch="blank"' in lift
    assert 'data-hatch="right_diagonal_line"' in lift  # Sobel's bar has the colour of Random's


def test_texts_of_data_are_escaped(results: Results):
    page = shown(page_of(results, class_name="<b>hat</b>"))
    text = page.figures.captions["regions"].object
    assert "<b>hat" not in text
    assert "&lt;b&gt;hat&lt;/b&gt;" in text


def test_a_link_restores_the_view(results: Results):
    page = page_of(
        results,
        measure="mass_accuracy",
        parts=("mouth", "nose"),
        methods=("random",),
        part_seed=2,
        images="all",
        points="classes",
        cell="lift",
        region="nose",
        method="saliency",
    )
    view = page._view()
    assert view is not None
    assert (view.metric, view.regions, view.methods, view.seed) == (
        "mass_accuracy",
        ("mouth", "nose"),
        ("random",),
        2,
    )
    assert (view.population, view.cells, view.lifted) == ("all", True, True)
    assert (view.region, view.method) == ("nose", "saliency")
    panel = shown(page).controls
    assert panel.metric.value == "mass_accuracy"
    assert (panel.points.value, panel.cell.value, panel.seed.value) == ("classes", "lift", "2")
    assert state_of(page) == "filled"


def test_bad_values_of_a_link_fall_back(results: Results):
    page = page_of(
        results, measure="nope", parts=("chin",), methods=("nope",), part_seed=9, split="nope"
    )
    view = page._view()
    assert view is not None
    assert view == page_of(results)._view()


def test_building_the_page_leaves_the_link_as_it_is(results: Results):
    page = shown(page_of(results))
    assert write_link(page.state) == "?page=parts"


def test_widgets_set_the_state_and_at_least_one_stays(results: Results):
    page = shown(page_of(results))
    page.controls.regions.value = ["nose"]
    assert page.state.parts == ("nose",)
    page.controls.regions.value = []
    assert page.controls.regions.value == ["nose"]
    page.controls.regions.value = ["eyes", "mouth", "nose"]
    assert page.state.parts == ()
    page.controls.methods.value = ["random"]
    assert page.state.methods == ("random",)
    page.controls.seed.value = "2"
    assert page.state.part_seed == 2
    page.controls.seed.value = ""
    assert page.state.part_seed is None


def test_a_hidden_page_waits_until_it_is_looked_at(results: Results):
    page = shown(page_of(results))
    page.state.page = "batch"
    page.state.parts = ("nose",)
    assert page.controls.regions.value != ["nose"]
    page.state.page = "parts"
    assert page.controls.regions.value == ["nose"]


def test_without_falsification_it_says_how_to_get_it(tmp_path: Path):
    plain = METRICS[:3]
    out = write_results(tmp_path / "out", value, samples=SAMPLES, metrics=plain)
    page = shown(page_of(Results(out)))
    assert page.figures.no_falsification.visible
    assert not page.figures.figures["falsification"].visible
    assert "rule=area-matched" in page.figures.no_falsification.object


def test_without_area_share_there_is_no_lift(tmp_path: Path):
    out = write_results(tmp_path / "out", value, samples=SAMPLES, metrics=("regional_precision",))
    page = shown(page_of(Results(out)))
    assert not page.figures.sections["lift"].visible
    assert "is highest: Regional precision" in page.figures.answer.object


def test_one_region_is_explained_and_another_study_offered(tmp_path: Path, results: Results):
    single = Results(
        write_results(tmp_path / "one", value, samples=SAMPLES, regions=("mask",), title="One")
    )
    page = shown(page_of(single, results, study="r0"))
    assert state_of(page) == "empty"
    offered = [o for o in page._body.select() if getattr(o, "label", "") == "Show By hand"]
    assert len(offered) == 1
    assert page_of(single, results).results is results  # the first with parts, unless asked for


def test_nobody_takes_part(tmp_path: Path):
    wrong = frozenset((sample, 1) for sample in SAMPLES)
    out = write_results(tmp_path / "out", value, samples=SAMPLES, metrics=METRICS, wrong=wrong)
    page = shown(page_of(Results(out)))
    assert state_of(page) == "empty"
    page.state.images = "all"
    assert state_of(shown(page)) == "filled"


def test_an_error_names_itself(results: Results):
    page = shown(page_of(results))
    for part in (results.path / "scores").iterdir():
        part.unlink()
    page.state.part_seed = 1
    assert state_of(shown(page)) == "error"


def test_a_newer_request_makes_the_older_one_void(results: Results):
    page = page_of(results)
    gate = threading.Event()
    page.services.pool.submit(gate.wait, 10)

    async def two() -> None:
        first = asyncio.create_task(page._refresh())
        await asyncio.sleep(0)
        page.state.parts = ("mouth",)
        second = asyncio.create_task(page._refresh())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, second)

    asyncio.run(two())
    assert page._content is not None
    assert page._content.view.regions == ("mouth",)


def test_scores_are_read_once_for_what_rests_on_them(results: Results):
    page = shown(page_of(results))
    before = page._content.regional.scores
    page.state.cell = "lift"
    assert shown(page)._content.regional.scores is before
    page.state.part_seed = 1
    assert shown(page)._content.regional.scores is not before


def test_files_say_where_they_come_from(results: Results):
    page = shown(page_of(results))
    download = next(b for b in page.figures.buttons["regions"].table if b.label == "CSV")
    text = asyncio.run(download.callback()).getvalue().decode()
    assert text.startswith("region,method_id,method,n,")
    assert download.filename == "demo-regions.csv"
    about = page.figures.buttons["lift"]._sidecar()
    assert "--exhibit lift" in about["command"]


def test_an_experiments_folder_opens_all_its_studies(tmp_path: Path):
    for arm in ("honest", "spurious"):
        write_results(tmp_path / "studies" / arm, value, samples=SAMPLES, metrics=METRICS)
    services = open_services((str(tmp_path),))
    assert list(services.results) == ["honest", "spurious"]
    assert services.problems == ()
