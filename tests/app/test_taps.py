"""From a number of the Batch page to its images: the same n, the same images, one update."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from by_hand import write_results

from app.pages._triage_asking import asked
from app.pages.batch import BatchPage
from app.state import AppState
from xaieval.study import Results
from xaieval.triage.table import open_triage

SAMPLES = {str(i): "xy"[i % 2] for i in range(7)}


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    if sample == "6":
        return "zero-map"
    return 0.5 if sample == "5" else (int(sample) + seed + len(method) * (region == "nose")) % 3 / 3


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    out = write_results(
        tmp_path_factory.mktemp("taps") / "out",
        value,
        samples=SAMPLES,
        seeds=(1, 2),
        metrics=("topk_overlap", "mass_accuracy", "area_share"),
        wrong=frozenset({("0", 1), ("3", 2)}),
    )
    return Results(out)


def page_of(results: Results, **state: Any) -> BatchPage:
    services = SimpleNamespace(
        results={"one": results}, problems=(), pool=ThreadPoolExecutor(1), backend=None
    )
    page = BatchPage(AppState(page="batch", **state), services)  # type: ignore[arg-type]
    asyncio.run(page._refresh())
    return page


@pytest.mark.parametrize("state", [{}, {"images": "all", "ties": "first", "region": "nose"}])
def test_every_mark_opens_exactly_the_images_counted(results: Results, state: dict[str, Any]):
    page = page_of(results, **state)
    rates = results.win_rates(
        region=state.get("region"),
        population=state.get("images", "correct"),
        tie_rule=state.get("ties", "split"),
    ).set_index(["split", "class", "method_id", "seed"])
    tables: dict[str, Any] = {}
    marks = dict(page.sections.taps.marks)
    assert len(marks) == 3 * 2 * 3  # classes and overall, competitors, seeds and their sum
    for identity, (split, group, method, seed, n, won, lost, _) in marks.items():
        cell = rates.loc[(split, group, method)]
        assert n == (cell["n"].sum() if seed is None else cell.loc[seed, "n"])
        assert n == won + lost
        for outcome, count in (("counted", n), ("won", won), ("lost", lost)):
            page.state.param.update(page="explore", split="", class_name="all", part_seed=None)
            page.sections.taps.marks = marks
            page.sections.taps._handle_msg({"open": identity, "outcome": outcome})
            assert page.state.page == "triage"
            found = asked(page.state, results)
            if method not in tables:
                chosen = {key: found[key] for key in ("metric", "region", "method")}
                tables[method] = open_triage(results, **chosen)
            assert len(tables[method].select(found["filters"])) == count, (identity, outcome)


def test_what_is_not_offered_opens_nothing(results: Results):
    page = page_of(results)
    for message in (None, {}, {"open": "nope", "outcome": "won"}, {"open": "test|x|gradcam"}):
        page.sections.taps._handle_msg(message)
    assert page.state.page == "batch"


def test_it_is_one_update(results: Results):
    page = page_of(results)
    seen: list[tuple[str, str, str]] = []

    def note(*_: Any) -> None:
        seen.append((page.state.page, page.state.outcome, page.state.class_name))

    page.state.param.watch(note, ["page", "outcome", "class_name"])
    identity = next(key for key in page.sections.taps.marks if key.startswith("test|x|"))
    page.sections.taps._handle_msg({"open": identity, "outcome": "lost"})
    method = identity.split("|")[2]
    assert seen == [("triage", f"lost:{method}", "x")]  # nobody sees half of it
