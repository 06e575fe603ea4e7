"""The flow behind Explore: latest wins, stale results are dropped, errors are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.composing import Wish
from app.explaining import Explaining
from app.scene import Scene
from app.services import Services
from xaieval.backend import Answer, Request, Ticket
from xaieval.errors import Cancelled, DataError
from xaieval.geometry import Geometry
from xaieval.methods import resolve_methods
from xaieval.models import Preprocessing
from xaieval.types import Heatmap, Sample

SIZE = (12, 16)


def run(story: Coroutine[Any, Any, Any]) -> None:
    """Run a story on a loop and thread of its own: a browser test may keep a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, story).result()


CALLS = resolve_methods(["gradcam", "saliency", "random"])
PICTURES = Preprocessing(input_size=SIZE)


def sample(name: str) -> Sample:
    def image() -> np.ndarray:
        if name == "damaged":
            raise DataError("truncated PNG", where="damaged.png", fix="download it again")
        return np.full((*SIZE, 3), len(name) * 9, np.uint8)

    mask = np.zeros(SIZE, bool)
    mask[2:5, 3:9] = True
    regions = {} if name == "bare" else {"defect": mask}
    if name == "parts":
        regions["nut"] = np.ones(SIZE, bool)
    return Sample(name, 1, image, lambda: regions)


class HandBackend:
    """A backend worked by hand: maps and answers come when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Any, Any]] = []

    def classifier(self, checkpoint: Path) -> Any:
        return SimpleNamespace(preprocessing=PICTURES)

    def submit(self, request: Request, *, on_map: Any = None) -> Ticket:
        from concurrent.futures import Future

        ticket: Any = SimpleNamespace(future=Future(), cancelled=False)

        def cancel() -> None:
            ticket.cancelled = True
            if not ticket.future.done():
                ticket.future.set_exception(Cancelled())

        ticket.cancel = cancel
        self.asked.append((request, ticket, on_map))
        return ticket

    def maps(self, request: Request) -> dict[str, Heatmap]:
        values = np.arange(SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
        return {call.key: Heatmap(np.roll(values, i), call.id, 0) for i, call in enumerate(CALLS)}

    def answer(self, index: int) -> None:
        request, ticket, _ = self.asked[index]
        if ticket.future.done():
            return
        ticket.future.set_result(
            Answer(
                sample_id=request.sample.id,
                picture=np.zeros((*SIZE, 3), np.uint8),
                geometry=Geometry(SIZE, SIZE, (0, 0), SIZE),
                logits=np.array([2.0, 1.0]),
                probabilities=np.array([0.73, 0.27]),
                predicted=0,
                target=0,
                label=1,
                class_names=("good", "crack"),
                maps=self.maps(request),
                elapsed_s=0.1,
                from_cache=frozenset(),
            )
        )


class Screen:
    def __init__(self) -> None:
        self.views: list[dict[str, Any]] = []

        self.shares: list[dict[str, Any]] = []
        self.cuts: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []

    def display(self, view: dict[str, Any]) -> None:
        self.views.append(view)

    def share(self, shares: dict[str, Any]) -> None:
        self.shares.append(shares)

    def cut(self, tables: dict[str, Any]) -> None:
        self.cuts.append(tables)

    def keep(self, view: dict[str, Any]) -> None:
        self.kept.append(view)

    def send_fills(self, fills: dict[str, Any]) -> None:
        raise AssertionError("nothing was edited")


class Stage:
    def __init__(self) -> None:
        self.backend = HandBackend()
        self.screen = Screen()
        explain = SimpleNamespace(upsampling="paper", exact=False, seed=0)
        study = SimpleNamespace(explain=explain)
        results: Any = {"s": SimpleNamespace(study=study, sanity={})}
        self.services = Services(results, backend=self.backend)  # type: ignore[arg-type]
        self.services.sample = lambda study, name: sample(name)  # type: ignore[method-assign]
        self.explaining = Explaining(self.services, self.screen)

    def wish(self, name: str, *, k: int | None = None, region: str = "") -> Wish:
        return Wish(
            study="s",
            sample_id=name,
            label="crack",
            class_names=("good", "crack"),
            checkpoint=Path("none"),
            methods=CALLS,
            target="predicted",
            compete=frozenset({"gradcam", "saliency"}),
            k=k,
            region=region,
            regions=("defect", "nut", "leaf") if region else (),
        )

    async def until(self, condition: Any) -> None:
        for _ in range(500):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it never happened")


@pytest.fixture
def stage() -> Any:
    stage = Stage()
    yield stage
    for pool in (stage.services.pool, stage.services.later):
        assert isinstance(pool, ThreadPoolExecutor)
        pool.shutdown()


def test_cards_fill_one_by_one_then_the_verdict(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        views = stage.screen.views
        await stage.until(lambda: views)
        assert {card["state"] for card in views[0]["cards"]} == {"loading"}
        request, _, on_map = stage.backend.asked[0]
        maps = stage.backend.maps(request)
        on_map("saliency", maps["saliency"])
        await stage.until(lambda: views[-1]["progress"]["done"] == 1)
        states = {card["key"]: card["state"] for card in views[-1]["cards"]}
        assert states == {"gradcam": "loading", "saliency": "ready", "random": "loading"}
        assert views[-1]["verdict"] is None
        stage.backend.answer(0)
        scene = await task
        assert scene is not None
        assert scene.mask_px == 18

    run(story())
    view = stage.screen.views[-1]
    assert view["status"] == "ready"
    assert [card["key"] for card in view["cards"]] == ["gradcam", "saliency", "random"]
    assert "wins" in view["verdict"]["title"] or "tie" in view["verdict"]["title"]
    baseline = view["cards"][2]
    assert baseline["baseline"] is True
    assert baseline["winner"] is False
    predicted = view["facts"][0]
    assert (predicted["value"], predicted["mark"]) == ("good", "✗ wrong")


def test_a_quick_answer_is_one_message(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task

    run(story())
    assert [view["status"] for view in stage.screen.views] == ["ready"]


def test_the_latest_wish_wins_and_the_older_is_cancelled(stage: Stage) -> None:
    async def story() -> None:
        first = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: stage.backend.asked)
        second = asyncio.ensure_future(stage.explaining.want(stage.wish("second")))
        await stage.until(lambda: len(stage.backend.asked) == 2)
        stage.backend.answer(1)
        assert await second is not None
        assert await first is None

    run(story())
    assert stage.backend.asked[0][1].cancelled
    done = [view for view in stage.screen.views if view["status"] == "ready"]
    assert [view["sample"] for view in done] == ["second"]
    assert not [view for view in stage.screen.views if view["status"] == "error"]


def test_a_new_k_asks_the_backend_nothing(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task
        await stage.explaining.want(stage.wish("one", k=5))

    run(story())
    assert len(stage.backend.asked) == 1
    before, after = stage.screen.views
    assert (before["k"], after["k"]) == (18, 5)
    assert before["cards"][0]["heat"]["id"] == after["cards"][0]["heat"]["id"]
    assert before["cards"][0]["topk"] != after["cards"][0]["topk"]
    assert after["cards"][0]["rows"][0]["metric"] == "precision@K=5"


def test_another_region_asks_the_backend_nothing(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("parts", region="defect")))
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task
        for region in ("nut", "leaf"):
            await stage.explaining.want(stage.wish("parts", region=region))

    run(story())
    assert len(stage.backend.asked) == 1
    defect, nut, leaf = stage.screen.views
    assert (defect["k"], nut["k"]) == (18, SIZE[0] * SIZE[1])
    assert [view["regions"]["picked"] for view in stage.screen.views] == ["defect", "nut", "leaf"]
    heats = {view["cards"][0]["heat"]["id"] for view in stage.screen.views}
    assert len(heats) == 1  # drawn and sent once
    assert defect["cards"][0]["topk"]["id"] != nut["cards"][0]["topk"]["id"]
    assert "the part is not in this image" in leaf["verdict"]["text"]
    assert "leaf is not in this image" in leaf["source_note"]


def test_shares_of_regions_follow_the_view(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("parts", region="defect")))
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task
        plain = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: len(stage.backend.asked) == 2)
        stage.backend.answer(1)
        await plain

    run(story())
    assert len(stage.screen.shares) == 1  # one region needs no panel
    sent = stage.screen.shares[0]
    assert sent["key"] == stage.screen.views[0]["regions"]["index"]["id"]
    assert set(sent["maps"]) == {"gradcam", "saliency", "random"}
    inside = sum(16 * row + column for row in range(2, 5) for column in range(3, 9))
    assert sent["maps"]["gradcam"]["defect"] == pytest.approx(inside / sum(range(192)))
    assert sent["maps"]["gradcam"]["nut"] == pytest.approx(1)


def test_cancel_says_so_and_offers_to_try_again(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: stage.screen.views)
        stage.explaining.cancel()
        assert await task is None

    run(story())
    message = stage.screen.views[-1]["message"]
    assert message["title"] == "Cancelled"
    assert [action["id"] for action in message["actions"]] == ["retry"]


def test_a_damaged_image_is_an_error_with_a_way_forward(stage: Stage) -> None:
    run(stage.explaining.want(stage.wish("damaged")))
    view = stage.screen.views[-1]
    assert view["status"] == "error"
    text = " ".join(view["message"]["lines"])
    assert "damaged.png" in text
    assert "Download it again" in text
    assert [action["id"] for action in view["message"]["actions"]] == ["retry", "next"]


def test_without_a_mask_there_are_maps_but_no_scores(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("bare")))
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task

    run(story())
    view = stage.screen.views[-1]
    assert view["verdict"]["title"] == "No ranking"
    assert "no ground truth" in view["verdict"]["text"]
    assert all(card["rows"] == [] and card["heat"] for card in view["cards"])
    assert "scores need a mask" in view["cards"][0]["note"]


def test_neighbours_are_computed_afterwards_and_given_up(stage: Stage) -> None:
    async def story() -> None:
        ahead = (stage.wish("two"), stage.wish("three"))
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one"), ahead=ahead))
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task
        assert [asked[0].priority for asked in stage.backend.asked] == [0, 10, 10]
        stage.backend.answer(1)
        await stage.until(lambda: stage.services.composed.find(stage.wish("two")))
        await stage.explaining.want(stage.wish("two"))
        assert stage.screen.views[-1]["sample"] == "two"
        assert len(stage.backend.asked) == 3  # it was there
        assert stage.backend.asked[2][1].cancelled

    run(story())


def test_passes_begin_before_the_page_follows(stage: Stage) -> None:
    async def story() -> None:
        stage.explaining.start(stage.wish("one"))
        (early,) = stage.backend.asked
        assert early[0].priority == 0
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: len(stage.backend.asked) == 2)  # the backend joins them
        assert not early[1].cancelled
        assert early[0].sample.id == stage.backend.asked[1][0].sample.id
        stage.backend.answer(1)
        await task
        assert early[1].cancelled  # nobody waits for it any more
        stage.explaining.start(stage.wish("one"))
        assert len(stage.backend.asked) == 2  # shown before: nothing to begin

    run(story())


def test_an_image_that_cannot_be_read_is_said_once(stage: Stage) -> None:
    def broken(study: str, name: str) -> Any:
        raise DataError("the image cannot be read", where=name)

    stage.services.sample = broken  # type: ignore[method-assign]
    stage.explaining.start(stage.wish("one"))
    assert not stage.screen.views
    run(stage.explaining.want(stage.wish("one")))
    assert [view["status"] for view in stage.screen.views] == ["error"]


def test_nothing_is_shown_after_the_session_ended(stage: Stage) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(stage.explaining.want(stage.wish("one")))
        await stage.until(lambda: stage.backend.asked)
        stage.explaining.close()
        assert await task is None

    run(story())
    assert not stage.screen.views


def test_a_shown_view_is_told_of_before_what_follows_it(stage: Stage) -> None:
    told: list[tuple[str, int, int]] = []

    def on_shown(scene: Scene) -> None:
        told.append((scene.sample_id, len(stage.screen.views), len(stage.screen.cuts)))

    async def story() -> None:
        task = asyncio.ensure_future(
            stage.explaining.want(stage.wish("one"), ahead=(stage.wish("two"),), on_shown=on_shown)
        )
        await stage.until(lambda: stage.backend.asked)
        stage.backend.answer(0)
        await task

    run(story())
    assert told == [("one", 1, 0)]
    assert len(stage.screen.cuts) == 1
