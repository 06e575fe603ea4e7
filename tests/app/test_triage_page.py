"""The Triage page without a browser: what it asks for, shows, writes and opens."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from by_hand import write_results

from app.pages._triage_asking import asked, settle
from app.pages._triage_files import GROUPS, make_file
from app.pages._triage_journal import Diary
from app.pages._triage_view import Asked, Content, compute, facts
from app.pages.triage import TriagePage
from app.services import Services
from app.state import ANY, AppState
from xaieval.errors import ConfigError
from xaieval.journal import Journal
from xaieval.study import Results

METRICS = ("topk_overlap", "iou", "gt_coverage", "saliency_coverage")
SAMPLES = {f"crack/{i}": "crack" for i in range(4)} | {f"hole/{i}": "hole" for i in range(4)}
WRONG = frozenset({("crack/1", 1), ("hole/3", 2)})


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    """Grad-CAM's IoU is 0, 0.3, 0.6, 0.9 with the image's number; saliency's Top-K its reverse."""
    number = int(sample[-1])
    if sample == "hole/0":
        return "empty-mask"
    if metric == "topk_overlap":
        return {"gradcam": number / 4, "saliency": 1 - number / 4}.get(method, 0.1)
    return number * 0.3 if metric == "iou" else 0.2


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    home = tmp_path_factory.mktemp("triage")
    write_results(
        home / "a", value, samples=SAMPLES, seeds=(1, 2), regions=("mask",), metrics=METRICS,
        wrong=WRONG, title="By hand",
    )  # fmt: skip
    return Services({"a": Results(home / "a")})


def shown(services: Services, **values: Any) -> Content:
    state = AppState(split=ANY, **values)
    results = services.results["a"]
    settle(state, results)
    return compute(services, Asked(study="a", **asked(state, results)))


def names(content: Content) -> list[tuple[str, int]]:
    return [(row["name"], row["seed"]) for row in content.page(0)]


def test_wrong_answers_and_their_counts(services: Services) -> None:
    content = shown(services, answers="wrong")
    assert sorted(names(content)) == [("crack/1", 1), ("hole/3", 2)]
    assert content.view["total"] == 2
    assert content.view["all"] == 16
    counts = {i["key"]: i["count"] for g in content.patterns["groups"] for i in g["items"]}
    # IoU 0.3 is neither high nor low; 0.9 is high
    assert counts["unassigned"] == 1
    assert counts["confuser"] == 1
    assert sum(counts.values()) == 2


def test_moved_lines_move_the_counts(services: Services) -> None:
    content = shown(services, lines=(0.25, 0.8, 0.1))
    counts = {i["key"]: i["count"] for g in content.patterns["groups"] for i in g["items"]}
    assert counts["confuser"] == 2  # now 0.3 is high, too
    assert counts["undefined"] == 2
    assert not content.patterns["usual"]


def test_ranges_narrow_the_queue_but_not_the_plots(services: Services) -> None:
    content = shown(services, method="gradcam", span=(0.5, 1.0))
    assert {name[-1] for name, _ in names(content)} == {"2", "3"}
    assert len(content.drawn) == 16
    assert sum(content.view["plots"]["scores"]["right"]) == 12  # 14 with a score, 2 wrong
    assert {chip["id"] for chip in content.view["chips"]} == {"span"}


def test_rows_of_an_outcome_are_those_of_the_win_rate(services: Services) -> None:
    lost = shown(services, outcome="lost:gradcam")
    won = shown(services, outcome="won:gradcam")
    counted = shown(services, outcome="counted:gradcam")
    # correct ones with a mask: Grad-CAM wins by 3, ties at 2 (each gets half), loses at 0 and 1
    assert {name[-1] for name, _ in names(won)} == {"2", "3"}
    assert {name[-1] for name, _ in names(lost)} == {"0", "1"}
    assert len(counted.rows) == len(won.rows) + len(lost.rows) == 12
    rates = services.results["a"].win_rates("topk_overlap")
    own = rates[(rates["method_id"] == "gradcam") & (rates["class"] == "overall")]
    assert own["n"].sum() == len(counted.rows)
    assert [o["value"] for o in won.view["outcome"]["options"]][1] == "won:gradcam"
    everyone = shown(services, outcome="counted:gradcam", images="all")
    assert len(everyone.rows) == 14
    first = shown(services, outcome="lost:saliency", ties="first")
    assert {name[-1] for name, _ in names(first)} == {"2", "3"}


def test_facts_beside_the_image(services: Services) -> None:
    content = shown(services)
    row = content.table.find("crack/1", 1)
    assert row is not None
    found = facts(content, row, method="saliency")
    assert not found["correct"]
    assert "labelled crack" in found["answer"]
    scores = {it["key"]: it for it in found["scores"]}
    assert scores["saliency"]["best"]
    assert scores["saliency"]["shown"]
    assert scores["gradcam"]["value"] == 0.25
    assert not scores["random"]["competes"]
    assert scores["random"]["baseline"]
    missing = facts(content, content.table.find("hole/0", 1) or 0, method="gradcam")
    assert "the mask is empty" in missing["facts"][-1]["value"]
    # 0.9 confidence × (1 − 0.5) × |0.75 − 0.25|
    assert found["facts"][-1]["value"].startswith("0.225 = 0.90 × 0.50 × 0.50")


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("split", "nowhere"),
        ("class_name", "none"),
        ("part_seed", 99),
        ("method", "gradcamera"),
        ("region", "ear"),
        ("order", "sideways"),
        ("outcome", "lost:nobody"),
        ("metric", "auroc"),
    ],
)
def test_what_is_not_there_is_said_and_left(services: Services, field: str, bad: Any) -> None:
    state = AppState(answers="wrong", **{field: bad})
    settle(state, services.results["a"])
    assert len(state.notices) == 1
    assert (str(bad).partition(":")[2] or str(bad)) in state.notices[0]
    assert getattr(state, field) != bad
    assert state.answers == "wrong"
    asked(state, services.results["a"])


def test_results_without_patterns_say_so(tmp_path: Path) -> None:
    write_results(tmp_path, value, samples=SAMPLES, regions=("mask",), metrics=METRICS[:1])
    lean = Services({"a": Results(tmp_path)})
    content = shown(lean, pattern="confuser")  # a pattern that cannot be asked for narrows nothing
    assert len(content.rows) == 8
    assert "iou" in content.patterns["note"]
    assert "pattern" not in [column["key"] for column in content.view["columns"]]


def test_tables_are_read_once_until_the_results_have_grown(services: Services) -> None:
    first = services.triage("a", "topk_overlap", "mask", None)
    assert services.triage("a", "topk_overlap", "mask", None) is first
    assert services.triage("a", "topk_overlap", "mask", "gradcam").rows is first.rows
    assert services.triage("a", "iou", "mask", None).rows is first.rows
    services.grown(Results(services.results["a"].path))
    assert services.triage("a", "topk_overlap", "mask", None) is not first


KINDS = [item["kind"] for group in GROUPS for item in group["items"]]


@pytest.mark.parametrize("kind", [k for k in KINDS if "fiftyone" not in k])
def test_files(services: Services, kind: str) -> None:
    content = shown(services, answers="wrong")
    row = content.table.find("crack/1", 1)
    file = make_file(content, kind, row, {})
    data = base64.b64decode(file["data"])
    if kind.endswith("-csv"):
        lines = data.decode().splitlines()
        assert len(lines) == (3 if kind == "queue-csv" else 2)
        assert "crack/1" in data.decode()
    elif kind.endswith("about"):
        assert "--answers wrong" in json.loads(data)["command"]
    else:
        assert data[:4] in (b"\x89PNG", b"%PDF", b"<?xm")
    assert file["name"].endswith((".csv", ".json", ".png", ".svg", ".pdf"))


def test_an_unknown_file_is_refused(services: Services) -> None:
    with pytest.raises(ConfigError):
        make_file(shown(services), "queue-exe", None, {})


def test_a_diary_follows_what_others_write(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    mine, other = Diary(journal, "s", "ada"), Diary(journal, "s", "bob")
    assert mine.follow() is None
    other.write("tag", sample_id="a/1", value="odd")
    other.write("note", sample_id="a/2", value="late")
    assert mine.follow() == {"a/1", "a/2"}
    assert mine.follow() is None
    assert mine.tags() == ["odd"]
    assert mine.shown(["a/1"])["samples"]["a/1"]["tags"] == ["odd"]
    assert mine.undo() == "There is nothing of yours to undo."
    mine.write("tag", sample_id="a/1", value="seen")
    mine.write("save-view", value={"name": "wrong", "link": "?answers=wrong"})
    mine.follow()
    assert mine.tags() == ["seen", "odd"]
    assert mine.views() == {"wrong": "?answers=wrong"}
    assert mine.undo() == "Undone: view “wrong” saved."
    mine.follow()
    assert mine.views() == {}
    other.write("tag", sample_id="a/1", value="done")
    other.follow()
    assert other.undo() == "Undone: tag “done” of a/1."


# ------------------------------------------------------------ the page


async def settled() -> None:
    """Wait until all that was set off has come to its end."""
    for _ in range(200):
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        if not others:
            return
        await asyncio.wait(others, timeout=0.1)


def made(state: AppState, services: Services) -> TriagePage:
    """Return a page, shown."""

    async def go() -> TriagePage:
        page = TriagePage(state, services)
        await settled()
        return page

    return asyncio.run(go())


def run(page: TriagePage, work: Callable[[], object] = lambda: None) -> None:
    """Do something and let everything that follows from it come to its end."""

    async def go() -> None:
        work()
        await page.computed.refresh()
        await settled()

    asyncio.run(go())


@pytest.fixture
def page(services: Services, tmp_path: Path) -> TriagePage:
    services.journal = Journal(tmp_path / "journal.sqlite3")
    return made(AppState(page="triage", split=ANY), services)


def test_the_first_row_is_chosen_and_keys_go_on(page: TriagePage) -> None:
    view = page.desk.view
    assert view["status"] == "ready"
    assert view["selected"] == 0
    assert page.state.image == view["first"]["rows"][0]["id"]
    second = view["first"]["rows"][1]
    message = {"type": "select", "at": 1, "version": view["version"]}
    run(page, lambda: page._on_message(message))
    assert (page.state.image, page.state.seed) == (second["id"], second["seed"])
    stale = {"type": "select", "at": 3, "version": view["version"] - 1}
    page._on_message(stale)
    assert page.state.image == second["id"]


def test_a_tag_is_written_shown_and_undone(page: TriagePage) -> None:
    name = page.desk.view["first"]["rows"][0]["name"]
    run(
        page,
        lambda: page._on_message({"type": "tag", "value": "odd", "sample": name, "request": 7}),
    )
    assert page.desk.said == {"request": 7, "text": "", "trouble": ""}
    assert page.desk.marked["samples"][name]["tags"] == ["odd"]
    assert page.controls.tag.options == {"any": "", "odd": "odd"}
    run(page, lambda: setattr(page.state, "tag", "odd"))
    assert {row["name"] for row in page.desk.view["first"]["rows"]} == {name}
    run(page, lambda: page._on_message({"type": "undo", "request": 8}))
    assert page.desk.said["text"] == f"Undone: tag “odd” of {name}."
    assert page.desk.view["status"] == "empty"
    assert page.desk.view["message"]["actions"][0]["label"] == "Clear the filters"


def test_a_lost_write_says_so(page: TriagePage, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file, not a folder")
    page.services.journal = Journal(tmp_path / "no" / "journal.sqlite3")
    page.writing._diary = None
    name = page.desk.view["first"]["rows"][0]["name"]
    run(
        page, lambda: page._on_message({"type": "note", "value": "x", "sample": name, "request": 9})
    )
    assert page.desk.said["request"] == 9
    assert page.desk.said["trouble"].startswith("Not written: ")


def test_a_saved_view_opens_as_it_was(page: TriagePage) -> None:
    run(page, lambda: page.state.param.update(answers="wrong", confidence=(0.5, 1.0)))
    run(page, lambda: page._on_message({"type": "save-view", "value": "sure", "request": 1}))
    (view,) = page.desk.marked["views"]
    assert view["name"] == "sure"
    run(page, lambda: page._on_message({"type": "clear"}))
    assert page.state.answers == "all"
    run(page, lambda: page._on_message({"type": "open-view", "value": view["link"]}))
    assert page.state.answers == "wrong"
    assert page.state.confidence == (0.5, 1.0)
    assert page.state.page == "triage"


def test_a_hidden_page_computes_nothing(page: TriagePage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("computed while hidden")

    run(page, lambda: setattr(page.state, "page", "explore"))
    with monkeypatch.context() as patch:
        patch.setattr("app.pages.triage.compute", fail)
        page.state.answers = "wrong"
        asyncio.run(page._follow())
    assert page.desk.view["total"] == 16
    run(page, lambda: setattr(page.state, "page", "triage"))
    assert page.desk.view["total"] == 2


def test_explore_opens_the_same_and_batch_gets_its_view_back(page: TriagePage) -> None:
    state = page.state
    batch = {"metric": "topk_overlap", "images": "all", "ties": "first", "split": "test"}
    run(page, lambda: state.param.update(outcome="won:gradcam", came=batch, **batch))
    run(page, lambda: state.param.update(split=ANY, images="correct"))
    row = page._row()
    assert row is not None
    run(page, lambda: page._on_message({"type": "open"}))
    assert state.page == "explore"
    assert page.services.triage("a", "topk_overlap", "mask", None).find(state.image) is not None
    run(page, lambda: setattr(state, "page", "triage"))
    page._on_message({"type": "back"})
    assert state.page == "batch"
    assert {name: getattr(state, name) for name in batch} == batch


def test_what_the_browser_did_not_hear_is_said_again(page: TriagePage) -> None:
    name = page.desk.view["first"]["rows"][0]["name"]
    run(page, lambda: page._on_message({"type": "tag", "value": "odd", "sample": name}))
    run(page, lambda: asyncio.ensure_future(page._follow()))
    turn, version = page.desk.marked["turn"], page.desk.view["version"]
    page._on_message({"type": "heard", "turn": turn, "version": version})
    run_polls(page)
    assert (page.desk.marked["turn"], page.desk.view["version"]) == (turn, version)
    page._on_message({"type": "heard", "turn": turn - 1, "version": version - 1})
    run_polls(page)
    assert page.desk.marked["turn"] > turn
    assert page.desk.view["version"] > version


def run_polls(page: TriagePage) -> None:
    async def go() -> None:
        for _ in range(3):
            await page._follow()
        await settled()

    asyncio.run(go())


def test_an_error_leaves_ways_forward(page: TriagePage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ConfigError("it broke")

    monkeypatch.setattr("app.pages.triage.compute", fail)
    run(page)
    assert page.desk.view["status"] == "error"
    assert [a["id"] for a in page.desk.view["message"]["actions"]] == ["retry", "clear"]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "brush", "confidence": [0.9, 0.1], "span": [1]},
        {"type": "lines", "value": [0.1, 0.5, 0.9]},
        {"type": "order", "value": "sideways"},
        {"type": "rows", "start": -5, "version": 1},
        {"type": "point", "value": 10**9, "plot": 1},
        {"type": "remove", "value": "page"},
        {"type": "nothing"},
    ],
)
def test_odd_messages_do_no_harm(page: TriagePage, message: dict[str, Any]) -> None:
    run(page, lambda: page._on_message(message))
    assert page.desk.view["status"] == "ready"
    assert page.state.page == "triage"
    assert page.state.lines == ()


def test_published_results_offer_a_measured_study(services: Services) -> None:
    class Published:
        kind, title, path = "published", "Published", Path("p")
        study = services.results["a"].study
        seeds, splits, classes, regions, metric_keys = (), (), (), (), ()

    both = Services({"p": Published(), "a": services.results["a"]})  # type: ignore[dict-item]
    page = made(AppState(page="triage", study="p"), both)
    assert page.desk.view["message"]["actions"] == [{"id": "study:a", "label": "Show By hand"}]
    run(page, lambda: page._on_message({"type": "study:a"}))
    assert page.state.study == "a"
    assert page.desk.view["status"] == "ready"


def test_a_session_leaves_no_page_behind(services: Services) -> None:
    page = made(AppState(page="triage", split=ANY), services)
    page.close()
    gone = [weakref.ref(page), weakref.ref(page.state)]
    del page
    gc.collect()
    assert [it() for it in gone] == [None, None]
