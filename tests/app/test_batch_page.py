"""The Batch page without a browser: its states, its tables, the jobs it starts."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from by_hand import write_results

from app.pages import _batch_jobs as jobs
from app.pages._batch_run import RunPanel, describe
from app.pages.batch import BatchPage
from app.state import AppState, write_link
from xaieval.cli.summary_text import render
from xaieval.errors import Cancelled, ResultsError
from xaieval.progress import Progress, duration
from xaieval.study import Results, import_published, load_study
from xaieval.study.lock import locked, recorded
from xaieval.study.summarise import summary

METHODS = ("gradcam", "saliency", "integrated_gradients")
NOTE = "Re-aggregated from published runs, no model run here"


def import_runs(folder: Path, *cams: float) -> Results:
    runs = {}
    for seed, cam in enumerate(cams, start=42):
        share = dict(zip(METHODS, (cam, 1 - cam, 0.0), strict=True))
        rates = {"<b>crack</b>": share, "hole": share, "overall": share}
        block = {
            "win_rate": rates,
            "balanced_accuracy": [0.5, cam],
            "loss_total_ce_mask": [[2.0, 1.5, 0.5], [1.0, 0.75, 0.25]],
        }
        runs[str(seed)] = {"train": block, "test": block}
    (folder / "runs.json").write_text(json.dumps(runs))
    return import_published(folder / "runs.json", folder / "out")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return import_runs(tmp_path, 1.0, 0.5)


def page_of(results: Any) -> BatchPage:
    services = SimpleNamespace(
        results={"one": results}, problems=(), pool=ThreadPoolExecutor(1), backend=None
    )
    return BatchPage(AppState(page="batch"), services)  # type: ignore[arg-type]


def shown(page: BatchPage) -> BatchPage:
    asyncio.run(page._refresh())
    return page


def state_of(page: BatchPage) -> str:
    text = str([getattr(o, "object", "") for o in page._body.select()])
    return next((name for name in ("error", "empty") if f'data-state="{name}"' in text), "filled")


def test_filled_shows_numbers_label_and_figure(results: Results):
    page = shown(page_of(results))
    assert state_of(page) == "filled"
    head = page.sections.head.object
    assert "<b>Grad-CAM</b> ranks first on 75 % of test images, mean over 2 seeds" in head
    assert "0.750 <span>± 0.250</span>" in head
    assert NOTE in head
    assert [row.name for row in page.sections.boxes.object.children] == [
        "win-rate-train",
        "win-rate-test",
    ]
    assert page.sections.curves.visible
    assert not page.sections.no_curves.visible
    assert "0.750" in page.sections.accuracy.object


def test_a_score_that_is_not_here_stays_the_choice_of_the_other_pages(tmp_path: Path):
    def half(*_: Any) -> float:
        return 0.5

    out = write_results(tmp_path / "out", half, samples={"a": "x"}, metrics=("iou", "topk_overlap"))
    page = page_of(Results(out))
    page.state.metric = "regional_precision"
    assert page._metric.value == "topk_overlap"
    assert page.state.metric == "regional_precision"
    page._metric.value = "iou"
    assert page.state.metric == "iou"


def test_of_several_regions_the_scored_one_is_named(tmp_path: Path):
    def half(*_: Any) -> float:
        return 0.5

    out = write_results(
        tmp_path / "out", half, samples={"a": "x", "b": "y"}, metrics=("topk_overlap",)
    )
    page = shown(page_of(Results(out)))
    assert "scored in <b>eyes</b>." in page.sections.head.object
    assert "wins by topk_overlap in eyes; " in render(summary(Results(out)), "table")
    assert Results(out).named_region("topk_overlap", "nose") == "nose"
    assert Results(out).named_region("deletion") == ""


def test_texts_of_data_are_escaped(results: Results):
    page = shown(page_of(results))
    assert "<b>crack</b>" not in page.sections.table.object
    assert "&lt;b&gt;crack&lt;/b&gt;" in page.sections.table.object


def test_filters_reach_the_table_and_the_curves(results: Results):
    page = shown(page_of(results))
    assert page.sections.table.object.count("<tr") == 1 + 2 * 3
    page.state.param.update(split="test", class_name="hole")
    shown(page)
    assert page.sections.table.object.count("<tr") == 1 + 2
    assert page.sections.table.object.count('data-id="test|hole|') == 3
    assert "train" not in page.sections.curve_legend.object
    assert page._current_view().classes == ("overall", "hole")


def test_unknown_filters_of_a_link_show_everything(results: Results):
    page = page_of(results)
    page.state.param.update(split="validation", class_name="nope", metric="nope")
    shown(page)
    assert state_of(page) == "filled"
    assert page.sections.table.object.count("<tr") == 1 + 2 * 3


def test_curves_are_kept_while_only_the_metric_changes(results: Results):
    page = shown(page_of(results))
    before = page.sections.curves.object
    shown(page)
    assert page.sections.curves.object is before


def test_colours_follow_the_theme(results: Results):
    page = shown(page_of(results))
    light = page.sections.head.object
    page._split.dark_theme = True
    shown(page)
    assert page._mode == "dark"
    assert page.sections.head.object != light


class Broken:
    """Results whose tables cannot be read any more."""

    def __init__(self, results: Results, error: Exception) -> None:
        self._results, self._error = results, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._results, name)

    def win_rates(self, *_: Any, **__: Any) -> Any:
        raise self._error


@pytest.mark.parametrize("error", [ResultsError("a part is gone", where="x"), KeyError("bug")])
def test_an_error_names_itself_and_offers_a_way_on(results: Results, error: Exception):
    page = shown(page_of(Broken(results, error)))
    assert state_of(page) == "error"
    labels = {getattr(o, "label", "") for o in page._body.select()}
    assert {"Try again", "Clear the filters"} <= labels
    page.services.results["one"] = results
    shown(page)
    assert state_of(page) == "filled"


class NoImages(Broken):
    """Results in which every image is left out."""

    def win_rates(self, *_: Any, **__: Any) -> Any:
        return self._results.win_rates().assign(win_rate=float("nan"), n=0, wins=0, left_out=9)


class Measured(Broken):
    """The same numbers as if measured here."""

    kind = "measured"
    note = ""


def test_empty_says_what_is_missing(results: Results):
    page = shown(page_of(NoImages(results, KeyError())))
    assert state_of(page) == "empty"


def test_a_newer_request_makes_the_older_one_void(results: Results):
    page = page_of(results)
    gate = threading.Event()
    page.services.pool.submit(gate.wait, 10)

    async def two() -> None:
        first = asyncio.create_task(page._refresh())
        await asyncio.sleep(0)
        page.state.split = "test"
        second = asyncio.create_task(page._refresh())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, second)

    asyncio.run(two())
    assert page._content is not None
    assert page._content.view.splits == ("test",)


def test_published_results_offer_no_run_and_keep_their_tie_rule(results: Results):
    page = shown(page_of(results))
    assert not page._run._root.visible
    assert page._ties.disabled
    assert page.tie_rule == "first"
    assert jobs.missing_seeds(results) == ()


def test_a_measured_study_beside_it_gets_its_own_tie_rule_back(results: Results):
    page = page_of(results)
    measured = Measured(results, KeyError())
    page.services.results["two"] = measured
    page.state.study = "two"
    assert page.results is measured
    assert page.tie_rule == "split"
    assert not page._ties.disabled
    page.state.study = "one"
    assert page.tie_rule == "first"


def test_building_the_page_leaves_the_link_as_it_is(results: Results):
    page = page_of(results)
    assert write_link(page.state) == "?page=batch"


def test_a_hidden_page_computes_nothing_and_catches_up(results: Results):
    page = shown(page_of(results))
    content = page._content
    page.state.param.update(page="explore", split="test", ties="first")
    assert page._split.value == "all"
    assert page._content is content
    page.state.page = "batch"
    assert page._split.value == "test"


def test_a_link_restores_the_whole_view(results: Results):
    measured = Measured(results, KeyError())
    page = page_of(measured)
    page.state.restore("?page=batch&ties=first&images=all&split=test&class=hole")
    assert page._ties.value == "first"
    assert page._images.value == "all"
    view = page._current_view()
    assert (view.tie_rule, view.population) == ("first", "all")
    assert (view.splits, view.classes) == (("test",), ("overall", "hole"))
    page._images.value = "correct"
    assert "images=correct" in write_link(page.state)


# ---------------------------------------------------------------- jobs


def study_of(tmp_path: Path) -> Any:
    study = load_study("demo")
    study = dataclasses.replace(study, train=dataclasses.replace(study.train, seeds=(1, 2, 3)))
    return SimpleNamespace(
        path=tmp_path,
        study=study,
        seeds=(1,),
        kind="measured",
        manifest={"data_path": None},
        dataset=lambda: None,
    )


def test_missing_seeds(tmp_path: Path):
    assert jobs.missing_seeds(study_of(tmp_path)) == (2, 3)


def test_a_job_trains_runs_and_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[Any] = []
    monkeypatch.setattr(jobs, "train_study", lambda *a, **k: calls.append(k["seeds"]))
    monkeypatch.setattr(jobs, "run_study", lambda *a, **k: "grown")
    table = jobs.Jobs()
    job = table.start(study_of(tmp_path), (2, 3), backend=None)
    assert job is not None
    job.join(10)
    assert (job.state, job.opened, calls) == ("done", "grown", [(2, 3)])
    assert table.of(study_of(tmp_path)) is job
    assert table.running() is None
    assert job.log[-1].endswith("done")


def test_a_job_looks_at_the_images_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from PIL import Image

    from xaieval.datasets import DATASETS

    for name in ("good", "bad"):
        folder = tmp_path / "data" / "images" / name
        folder.mkdir(parents=True)
        (tmp_path / "data" / "masks" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (8, 8)).save(folder / f"{i}.png")
            Image.new("L", (8, 8), 255).save(tmp_path / "data" / "masks" / name / f"{i}.png")
    (tmp_path / "data" / "images" / "bad" / "1.png").write_bytes(b"no image")
    results = study_of(tmp_path)
    data = dataclasses.replace(results.study.data, name="folder")
    results.study = dataclasses.replace(results.study, data=data)
    results.dataset = lambda: DATASETS["folder"].open(tmp_path / "data")
    trained: list[int] = []
    monkeypatch.setattr(jobs, "train_study", lambda *a, **k: trained.append(1))
    monkeypatch.setattr(jobs, "run_study", lambda *a, **k: None)
    job = jobs.Jobs().start(results, (2,), backend=None)
    assert job is not None
    job.join(30)
    assert job.state == "done"
    said = "\n".join(job.log)
    assert "1.png" in said
    assert "1 faulty, left out" in said
    assert said.index("faulty") < said.index("done")

    def gone() -> Any:
        raise ResultsError("the images are not there")

    results.dataset, trained[:] = gone, []
    job = jobs.Jobs().start(results, (2,), backend=None)
    assert job is not None
    job.join(30)
    assert (job.state, trained) == ("failed", [])


def test_a_job_of_another_session_and_work_elsewhere_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    go_on = threading.Event()

    def train(*_: Any, report: Any, **__: Any) -> None:
        report(Progress("models", 0, 2, 0.0))
        report(Progress("epochs", 1, 4, 3.0))
        go_on.wait(30)
        raise Cancelled

    monkeypatch.setattr(jobs, "train_study", train)
    results = study_of(tmp_path)
    services = SimpleNamespace(pool=ThreadPoolExecutor(1), backend=None)
    panels = [
        RunPanel(services, lambda: results, lambda: None)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    for panel in panels:
        panel.offer()
    assert panels[0]._choice.value == ["2", "3"]
    panels[0]._choice.value = ["3"]
    assert panels[0]._start.label == "Train and run seed 3"
    panels[0]._begin()
    job = jobs.JOBS.of(results)
    assert job is not None
    assert job.seeds == (3,)
    asyncio.run(panels[1]._look())
    assert panels[1]._cancel.visible
    panels[1]._stop()
    go_on.set()
    job.join(30)
    for panel in panels:
        panel._tick()
        assert "can go on" in panel._text.object
        assert "cancelled" in panel._log.object
    panels[0]._choice.value = ["2", "3"]
    assert panels[0]._start.label == "Go on with the missing seeds"
    with locked(tmp_path):
        recorded(tmp_path, lambda _: None)(Progress("explain and score", 3, 12, 9.0, "seed 2"))
        panels[1].offer()
        assert "elsewhere, in another program: explain and score, 3 of 12" in (
            panels[1]._text.object
        )
        assert not panels[1]._start.visible
    panels[1].offer()
    assert panels[1]._start.visible


def test_cancel_stops_at_the_next_step_and_only_one_job_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    started, go_on = threading.Event(), threading.Event()

    def train(*_: Any, report: Any, **__: Any) -> None:
        report(Progress("models", 0, 2, 0.0))
        report(Progress("epochs", 1, 4, 3.0))
        started.set()
        go_on.wait(10)
        report(Progress("epochs", 2, 4, 6.0))
        raise AssertionError("it went on")

    monkeypatch.setattr(jobs, "train_study", train)
    table = jobs.Jobs()
    job = table.start(study_of(tmp_path), (2, 3), backend=None)
    assert job is not None
    assert started.wait(10)
    text, share = describe(job)
    assert text == "Training model 1 of 2 · epochs 1 of 4 · about 9 s left in this step"
    assert share == 25
    assert table.start(study_of(tmp_path), (2,), backend=None) is None
    job.cancel()
    assert job.stopping
    assert describe(job)[0].startswith("Stopping")
    go_on.set()
    job.join(10)
    assert (job.state, job.error) == ("cancelled", "")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ResultsError("disk full", where="out"), "out: disk full"),
        (ValueError("x"), "ValueError: x"),
    ],
)
def test_a_failed_job_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
):
    def train(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(jobs, "train_study", train)
    job = jobs.Jobs().start(study_of(tmp_path), (2,), backend=None)
    assert job is not None
    job.join(10)
    assert job.state == "failed"
    assert text in job.error


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599.9, "1 h 0 min"), (61, "1 min 1 s")],
)
def test_duration(seconds: float, text: str):
    assert duration(seconds) == text


def test_wins_that_change_hands_are_told_beside_the_table() -> None:
    from app.pages._batch_html import stand_in_notes

    row = {"split": "test", "original": "gradcam", "variant": "gradcam[upsampling=aligned]"}
    row |= {"n": 40, "changed": 7, "before": (("gradcam", 0.25), ("saliency", 0.75))}
    row |= {"after": (("gradcam[upsampling=aligned]", 0.4), ("saliency", 0.6))}
    labels = {"gradcam": "Grad-CAM", "gradcam[upsampling=aligned]": "Grad-CAM <aligned>"}
    text = stand_in_notes([row], labels)
    assert "Grad-CAM &lt;aligned&gt; in the place of Grad-CAM" in text
    assert "<b>7</b> of 40 wins change hands; its win rate is 0.400 instead of 0.250" in text
    assert stand_in_notes([], labels) == ""
