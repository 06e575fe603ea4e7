"""The frame: pages are built when shown, failures stay in their place, sessions leave nothing."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

import panel as pn
import pytest
from panel.util import edit_readonly

from app import shell as shell_module
from app.pages import PAGES, PageSpec
from app.services import Problem, Services, open_services
from app.shell import Shell
from app.state import PAGES as PAGE_IDS
from xaieval.study import Results


@pytest.fixture
def services(demo_results: Results) -> Any:
    services = Services({"tiny": demo_results}, backend=object())  # type: ignore[arg-type]
    yield services
    services.pool.shutdown()
    services.later.shutdown()


def texts(view: Any) -> str:
    found = [str(getattr(it, "object", "")) for it in view.select(pn.viewable.Viewable)]
    return " ".join(found)


def test_pages_and_links_agree() -> None:
    assert tuple(spec.id for spec in PAGES) == PAGE_IDS


def test_only_the_shown_page_is_built(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def build(name: str) -> Any:
        def make(state: Any, services: Any) -> Any:
            built.append(name)
            return pn.Column(name)

        return make

    specs = tuple(PageSpec(spec.id, spec.title, build(spec.id)) for spec in PAGES)
    monkeypatch.setattr(shell_module, "PAGES", specs)
    shell = Shell(services)
    assert built == ["explore"]
    shell.state.page = "batch"
    shell.state.page = "explore"
    assert built == ["explore", "batch"]


def test_a_page_that_fails_says_so_in_its_place(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(state: Any, services: Any) -> Any:
        raise RuntimeError("no luck today")

    specs = (PageSpec("explore", "Explore", fail), *PAGES[1:])
    monkeypatch.setattr(shell_module, "PAGES", specs)
    shell = Shell(services)
    assert "no luck today" in texts(shell._main)


def test_nothing_opened_is_a_page_too() -> None:
    shell = Shell(Services({}, (Problem("there", "there: not a results folder"),)))
    assert "not a results folder" in texts(shell._main)


def test_arguments_are_opened_one_by_one(demo_results: Results, tmp_path: Path) -> None:
    folder = str(demo_results.path)
    services = open_services((folder, str(tmp_path / "none"), folder))
    assert list(services.results) == ["tiny", "tiny~2"]
    assert [problem.argument for problem in services.problems] == [str(tmp_path / "none")]
    assert open_services((folder, str(tmp_path / "none"), folder)) is services


def test_notices_are_shown_and_dismissed(services: Services) -> None:
    shell = Shell(services)
    shell.state.notify("One thing.", "Another.")
    assert "One thing. Another." in texts(shell._notices)
    shell._notices[0].closed = True
    assert shell.state.notices == []
    assert len(shell._notices) == 0


def test_a_session_leaves_nothing_behind(services: Services) -> None:
    shell = Shell(services)
    page, frame = shell._bodies["explore"], shell.__panel__()
    gone = [weakref.ref(it) for it in (shell, shell.state, page, frame)]
    del shell, page, frame
    end = time.monotonic() + 20  # drawing that was under way may hold the session until it ends
    while any(it() is not None for it in gone) and time.monotonic() < end:
        time.sleep(0.05)
        gc.collect()
    assert [it() for it in gone] == [None] * 4


def test_what_others_do_changes_nothing_in_the_frame(services: Services) -> None:
    shell = Shell(services)
    frame: Any = shell.__panel__()
    changed: list[Any] = []
    frame.param.watch(changed.append, "busy")
    for busy in (False, True, False):  # an event of any session, as Panel tells all of them
        with edit_readonly(pn.state):
            pn.state.busy = busy
    assert not changed


def test_grown_results_are_seen_by_new_views(services: Services) -> None:
    before = services.catalogue("tiny")
    opened = Results(services.results["tiny"].path)
    services.grown(opened)
    after = services.catalogue("tiny")
    assert services.results["tiny"] is opened
    assert after is not None
    assert after is not before
    assert after.results is opened
