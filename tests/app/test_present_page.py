"""Present without a browser: pins, the page's edits, presenting, links that say what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.pages._explore_export import ExploreFiles
from app.pages.batch import BatchPage
from app.pages.present import PresentPage
from app.pins import Pins, stamp_now
from app.presenter import Presenter
from app.services import Services
from app.shell import Shell
from app.state import AppState, read_stamp, write_link
from app.warming import Warming
from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.digest import url_id
from xaieval.errors import Cancelled
from xaieval.journal import Journal
from xaieval.story import Stories
from xaieval.story.views import Link, batch_view
from xaieval.study import Results


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("maps")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder))
    yield backend
    backend.close()


@pytest.fixture
def services(demo_results: Results, backend: Backend, tmp_path: Path) -> Iterator[Services]:
    services = Services({"tiny": demo_results}, backend=backend)
    services.stories = Stories(Journal(tmp_path / "journal.sqlite3"), author="ada")
    yield services
    services.pool.shutdown()
    services.later.shutdown()


def image_of(results: Results, n: int = 0) -> str:
    found = results.predictions(split="test", class_name="hole")["sample_id"]
    return url_id(str(found.iloc[n]))


def explore_state(results: Results) -> AppState:
    return AppState(
        study="tiny", split="test", image=image_of(results), seed=43, methods=("gradcam", "random"),
        k=30,
    )  # fmt: skip


def pinned(services: Services, results: Results) -> Any:
    """Pin a view of Explore and one of Batch; return the story."""
    state = explore_state(results)
    pins = Pins(state, services)
    pins.pin()
    state.param.update(page="batch", ties="first")
    pins.pin()
    return services.stories.latest()


def test_a_pin_is_a_slide_with_its_link_and_stamp(services: Services, demo_results: Results):
    state = explore_state(demo_results)
    pins = Pins(state, services)
    pins._handle_msg({"type": "pin"})
    story = services.stories.latest()
    assert story is not None
    (slide,) = story.slides
    again = AppState()
    again.restore(slide.link)
    assert write_link(again) == write_link(state)
    assert slide.stamp == pins.stamp == str(stamp_now(state, services))
    assert slide.facts["sample"].startswith("hole")
    pins._handle_msg({"type": "caption", "value": "A hole"})
    assert services.stories.all()[story.id].slides[0].caption == "A hole"
    pins._handle_msg({"type": "undo"})
    assert services.stories.all()[story.id].slides == ()


def test_nothing_is_pinned_while_a_story_is_shown(services: Services, demo_results: Results):
    state = explore_state(demo_results)
    pins = Pins(state, services)
    state.presenting = True
    pins.pin()
    state.param.update(presenting=False, page="present")
    pins.pin()
    assert services.stories.all() == {}
    state.param.update(page="explore", image="own-1")
    pins.pin()
    assert services.stories.all() == {}
    assert "own image" in state.notices[0].lower()


def test_the_library_reads_links_as_the_page_does(services: Services, demo_results: Results):
    for values in (
        {},
        {"ties": "first", "images": "all"},
        {"split": "train", "class_name": "hole"},
    ):
        state = AppState(page="batch", study="tiny", **values)
        page = BatchPage(state, services)
        assert batch_view(demo_results, Link(write_link(state))) == page._current_view()


def page_of(services: Services, **values: Any) -> PresentPage:
    return PresentPage(AppState(page="present", **values), services)


def test_no_story_is_a_designed_state(services: Services):
    page = page_of(services)
    assert page.board.story == {}
    asyncio.run(page._refresh())
    page._on_message({"type": "create"})
    assert page.board.story["slides"] == []
    assert page.state.story == page.board.story["id"]


def test_slides_are_moved_doubled_removed_and_put_back(services: Services, demo_results: Results):
    story = pinned(services, demo_results)
    page = page_of(services)
    first, second = (slide.id for slide in story.slides)
    send = page._on_message

    def order() -> list[str]:
        return [slide["id"] for slide in page.board.story["slides"]]

    send({"type": "move", "slide": second, "to": 0})
    assert order() == [second, first]
    send({"type": "caption", "slide": first, "value": "Look here"})
    assert page.board.story["slides"][1]["caption"] == "Look here"
    send({"type": "delete", "slide": second})
    assert order() == [first]
    send({"type": "undo"})
    assert order() == [second, first]
    assert page.state.slide == second
    send({"type": "duplicate", "slide": first})
    assert len(order()) == 3
    send({"type": "rename", "value": "Defense"})
    assert services.stories.named("Defense").slides[1].caption == "Look here"
    send({"type": "drop"})
    assert page.board.story == {}
    send({"type": "undo"})
    assert page.board.story["title"] == "Defense"
    send({"type": "select", "slide": "nonsense"})
    send({"type": "move", "slide": first, "to": None})
    assert page.state.notices == []


def test_a_story_from_a_bad_file_is_a_notice(services: Services):
    page = page_of(services)
    page._on_message({"type": "import", "value": "{}", "name": "x.json"})
    assert "x.json" in page.state.notices[0]
    assert services.stories.all() == {}


def test_the_chosen_slide_is_drawn_as_it_is_exported(services: Services, demo_results: Results):
    pinned(services, demo_results)
    page = page_of(services)
    asyncio.run(page._refresh())
    assert page.board.preview["status"] == "ready"
    assert page.board.preview["src"].startswith("data:image/png")
    assert "xaieval sheet" in page.board.preview["commands"][0]
    name, data = page._file("json")
    assert name == "my-story.json"
    assert b"xaieval-story" in data


def test_a_slide_of_triage_is_warmed_with_its_table_and_the_chosen_image(
    services: Services, demo_results: Results
):
    state = explore_state(demo_results)
    state.param.update(page="triage", methods=(), k=None)
    Pins(state, services).pin()
    (slide,) = services.stories.latest().slides
    found = Warming(services).check(slide)
    assert (found.state, found.cached) == ("ready", False), found
    table = services.triage("tiny", "topk_overlap", demo_results.regions[0], None)
    assert services.triage("tiny", "topk_overlap", demo_results.regions[0], None) is table
    assert len(services._tables) == 1
    assert Warming(services).check(slide).cached


def test_the_check_warms_slides_and_says_what_is_missing(services: Services, demo_results: Results):
    story = pinned(services, demo_results)
    gone = story.slides[0].link.replace(image_of(demo_results), "s000000000000")
    services.stories.change(
        story.id,
        lambda known: known.plus(
            type(known.slides[0])(id="v0000dead", link=gone, facts={"study": "tiny"})
        ),
    )
    page = page_of(services)
    asyncio.run(page._check())
    checking = page.board.checking
    assert (checking["done"], checking["total"], checking["running"]) == (3, 3, False)
    (bad,) = checking["list"]
    assert (bad["slide"], bad["number"]) == ("v0000dead", 3)
    assert "not in the dataset" in bad["why"]
    states = [slide["state"] for slide in page.board.story["slides"]]
    assert states == ["ready", "ready", "missing"]
    found = Warming(services).check(story.slides[0])
    assert found.cached
    with pytest.raises(Cancelled):
        Warming(services).check(story.slides[0], stopped=lambda: True)


def test_presenting_restores_each_slide_exactly(services: Services, demo_results: Results):
    story = pinned(services, demo_results)
    state = AppState(page="present", story=story.id, slide=story.slides[0].id)
    presenter = Presenter(state, services)
    presenter._warming.ahead = lambda slide: None  # type: ignore[assignment,method-assign]
    state.presenting = True
    assert (presenter.active, presenter.index, presenter.total) == (True, 0, 2)
    assert (state.page, state.k, state.seed) == ("explore", 30, 43)
    state.k = 99  # somebody plays with the live page
    presenter._handle_msg({"type": "go", "index": 1})
    assert (state.page, state.ties) == ("batch", "first")
    presenter._handle_msg({"type": "go", "index": 0})
    assert (state.page, state.k) == ("explore", 30)
    assert state.slide == story.slides[0].id
    presenter._handle_msg({"type": "go", "index": 7})
    assert presenter.index == 1
    presenter._handle_msg({"type": "go", "index": True})
    presenter._handle_msg({"type": "leave"})
    assert (presenter.active, state.presenting, state.page) == (False, False, "present")


def test_an_empty_story_is_not_presented(services: Services):
    story = services.stories.create()
    state = AppState(page="present", story=story.id)
    presenter = Presenter(state, services)
    state.presenting = True
    assert not presenter.active
    assert not state.presenting
    assert "no slides" in state.notices[0]


def test_a_k_that_stays_the_same_is_said_with_its_image():
    state = AppState(image="s000000000001", k=30)
    heard: list[set[str]] = []
    state.param.watch(lambda *events: heard.append({e.name for e in events}), ["image", "k"])
    state.restore("?image=s000000000002&k=30px")
    assert state.k == 30
    assert heard == [{"image", "k"}]


def test_a_link_names_all_of_a_view():
    state = AppState(page="batch", ties="first", metric="iou", story="t00000001")
    state.restore("?image=s000000000002", keep=("story",))
    assert (state.page, state.ties, state.metric, state.story) == (
        "explore",
        "split",
        "topk_overlap",
        "t00000001",
    )


def test_a_stamp_in_a_link_says_what_has_changed(services: Services):
    state = AppState()
    now = str(stamp_now(state, services))

    def notices(search: str) -> list[str]:
        fresh = AppState()
        fresh.restore(search, stamp=lambda it: stamp_now(it, services))
        return list(fresh.notices)

    assert notices(f"?study=tiny&as={now}") == []
    assert notices("?study=tiny") == []
    (text,) = notices("?study=tiny&as=r00000000" + now[9:])
    assert "results were run again" in text
    assert "scoring rules" not in text
    (text,) = notices("?study=tiny&as=7")
    assert "not valid" in text
    assert read_stamp("?as=" + "x" * 99)[1].count("…")


def test_files_of_explore_hold_the_view(services: Services, demo_results: Results):
    state = explore_state(demo_results)
    files = ExploreFiles(state, services)
    assert files._figure("svg").startswith(b"<?xml")
    about = files._about()
    assert about["parameters"]["k"] == 30
    assert about["ids"]["methods"] == ["gradcam", "random"]
    assert "--k 30" in about["command"]
    state.image = "own-1"
    with pytest.raises(Exception, match="dataset"):
        files._figure("png")


def test_the_shell_has_a_pin_and_a_presenter(services: Services):
    shell = Shell(services)
    assert shell._pins.stamp
    assert not shell._presenter.active
