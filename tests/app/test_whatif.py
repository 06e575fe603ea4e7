"""Edits on Explore: the image as it was is asked for first, everything follows the edited one."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.comparing_edits import class_rows, edit_text, fill_rows, score_rows
from app.composing import Wish
from app.explaining import Explaining
from app.pages.explore import ExplorePage
from app.scene import make_scene
from app.services import Services
from app.state import LONGEST_EDIT, AppState, read_link, write_link
from xaieval.backend import Answer, Backend, Request
from xaieval.cache import HeatmapCache
from xaieval.edits import parse_edit
from xaieval.errors import Cancelled
from xaieval.geometry import Geometry
from xaieval.methods import resolve_methods
from xaieval.models import Preprocessing
from xaieval.study import Results
from xaieval.types import Heatmap, Sample, Score

SIZE = (12, 16)
CALLS = resolve_methods(["gradcam", "saliency"])
MASK = np.zeros(SIZE, bool)
MASK[2:5, 3:9] = True


def sample(name: str) -> Sample:
    image = np.random.default_rng(len(name)).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    regions = {"defect": MASK, "nut": np.ones(SIZE, bool), "leaf": np.zeros(SIZE, bool)}
    return Sample(name, 1, lambda: image, lambda: regions)


class Hand:
    """A backend worked by hand; the probability of "good" is the share of pixels left alone."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def classifier(self, checkpoint: Path) -> Any:
        return SimpleNamespace(preprocessing=Preprocessing(input_size=SIZE))

    def submit(self, request: Request, *, on_map: Any = None) -> Any:
        ticket: Any = SimpleNamespace(future=Future(), request=request, cancelled=False)

        def cancel() -> None:
            ticket.cancelled = True
            if not ticket.future.done():
                ticket.future.set_exception(Cancelled())

        ticket.cancel = cancel
        self.asked.append(ticket)
        return ticket

    def answer(self, index: int) -> None:
        ticket = self.asked[index]
        request = ticket.request
        image = request.sample.image
        kept = float((image == sample(request.sample.id).image).all(axis=2).mean())
        values = np.arange(SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
        if kept < 1:
            values = values[::-1].copy()
        odds = np.array([kept, 1 - kept])
        if not ticket.future.done():
            ticket.future.set_result(
                Answer(
                    sample_id=request.sample.id,
                    picture=image,
                    geometry=Geometry(SIZE, SIZE, (0, 0), SIZE),
                    logits=odds,
                    probabilities=odds,
                    predicted=int(kept < 0.5),
                    target=int(kept < 0.5),
                    label=1,
                    class_names=("good", "crack"),
                    maps={c.key: Heatmap(values, c.id, 0) for c in request.methods},
                    elapsed_s=0.1,
                    from_cache=frozenset(),
                )
            )


class Screen:
    def __init__(self) -> None:
        self.views: list[dict[str, Any]] = []
        self.fills: list[dict[str, Any]] = []

    def display(self, view: dict[str, Any]) -> None:
        self.views.append(view)

    def share(self, shares: dict[str, Any]) -> None: ...

    def cut(self, tables: Any) -> None: ...

    def send_fills(self, fills: dict[str, Any]) -> None:
        self.fills.append(fills)


class Desk:
    """One session: the hand-worked backend, its screen, and the flow between them."""

    def __init__(self) -> None:
        self.backend, self.screen = Hand(), Screen()
        explain = SimpleNamespace(upsampling="paper", exact=False, seed=0)
        results: Any = {"s": SimpleNamespace(study=SimpleNamespace(explain=explain), sanity={})}
        self.services = Services(results, backend=self.backend)  # type: ignore[arg-type]
        self.services.sample = lambda study, name: sample(name)  # type: ignore[method-assign]
        self.explaining = Explaining(self.services, self.screen)

    def wish(self, edit: str = "", *, k: int | None = None, name: str = "one") -> Wish:
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
            region="defect",
            regions=("defect", "nut", "leaf"),
            edit=parse_edit(edit) if edit else None,
        )

    async def see(self, wish: Wish) -> None:
        """Want a wish and answer whatever is asked for it, in order."""
        task = asyncio.ensure_future(self.explaining.want(wish))
        done = len(self.backend.asked)
        while not task.done():
            await asyncio.sleep(0.005)
            for index in range(done, len(self.backend.asked)):
                self.backend.answer(index)
                done = index + 1
        await task

    def run(self, *wishes: Wish) -> None:
        async def story() -> None:
            for wish in wishes:
                await self.see(wish)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, story()).result()


@pytest.fixture
def desk() -> Any:
    desk = Desk()
    yield desk
    desk.services.pool.shutdown()
    desk.services.later.shutdown()


def test_an_edit_is_explained_beside_what_it_was(desk: Desk) -> None:
    desk.run(desk.wish("erase:mean:region=nut"))
    before, after, *fills = (ticket.request for ticket in desk.backend.asked)
    assert (before.sample.image == sample("one").image).all()
    assert len(np.unique(after.sample.image.reshape(-1, 3), axis=0)) == 1
    assert [len(request.methods) for request in (before, after, *fills)] == [2, 2, 0, 0]
    view = desk.screen.views[-1]
    assert view["status"] == "ready"
    fact = view["facts"][0]
    assert (fact["value"], fact["mark"]) == ("good → crack", "✓ correct")
    assert fact["note"] == "1.00 → 1.00 · good −1.00"
    assert view["whatif"]["said"] == "nut erased (mean)"
    assert view["whatif"]["share"] == "100.0% of the image replaced"
    assert view["original"]["src"] != view["picture"]["src"]
    good, crack = view["whatif"]["rows"][:2]
    assert (good["name"], good["before"], good["after"], good["change"]) == (
        "good",
        "1.000",
        "0.000",
        "−1.000",
    )
    assert (crack["note"], crack["change"]) == ("explained", "+1.000")
    scores = {row["name"]: row for row in view["whatif"]["rows"] if row["kind"] == "score"}
    assert set(scores) == {"Grad-CAM", "Saliency"}
    # K = 18 of a map that grows by rows: none in the mask; upside down: its rows 0 and 1, none too
    assert scores["Grad-CAM"]["note"] == "Top-K overlap"
    sent = desk.screen.fills[-1]
    assert [row["fill"] for row in sent["rows"]] == ["mean", "blur", "noise"]
    assert (sent["of_class"], sent["before"]) == ("good", "1.00")
    assert sent["of"] == view["whatif"]["key"]


def test_the_scores_before_are_those_of_the_plain_view(desk: Desk) -> None:
    desk.run(desk.wish(k=40), desk.wish("erase:noise:region=defect", k=40))
    plain, edited = desk.screen.views[0], desk.screen.views[-1]
    rows = {row["name"]: row for row in edited["whatif"]["rows"] if row["kind"] == "score"}
    for card, old in zip(edited["cards"], plain["cards"], strict=True):
        assert rows[card["label"]]["after"] == card["rows"][0]["text"]
        assert rows[card["label"]]["before"] == old["rows"][0]["text"]


def test_back_to_the_original_and_a_new_k_ask_nothing(desk: Desk) -> None:
    edit = "keep:blur:region=defect"
    desk.run(desk.wish(), desk.wish(edit), desk.wish(edit, k=5), desk.wish())
    assert len(desk.backend.asked) == 4  # plain, edited, two fills
    first, edited, with_k, last = desk.screen.views
    assert edited["picture"]["id"] == with_k["picture"]["id"] != first["picture"]["id"]
    assert with_k["k"] == 5
    assert with_k["whatif"]["rows"]
    assert last["whatif"] is None
    assert last["original"] is None
    assert last["picture"]["id"] == first["picture"]["id"]


def test_keeping_a_part_changes_the_rest(desk: Desk) -> None:
    desk.run(desk.wish("keep:mean:region=defect"))
    image, plain = desk.backend.asked[1].request.sample.image, sample("one").image
    assert (image[MASK] == plain[MASK]).all()
    assert (image[~MASK] == np.round(plain.mean((0, 1))).astype(np.uint8)).all()
    assert desk.screen.views[-1]["outline"]  # the mask is scored as before


def test_the_strongest_pixels_of_a_method_that_is_not_shown(desk: Desk) -> None:
    desk.run(desk.wish("erase:mean:topk=16px,sobel"))
    before, after = (ticket.request for ticket in desk.backend.asked[:2])
    assert [call.key for call in before.methods] == ["gradcam", "saliency", "sobel"]
    assert [call.key for call in after.methods] == ["gradcam", "saliency"]
    changed = (after.sample.image != before.sample.image).any(axis=2)
    assert not changed[:-1].any()
    assert changed[-1].sum() >= 15  # the last row is the strongest
    assert "16 strongest pixels of Sobel" in desk.screen.views[-1]["whatif"]["said"]


def test_an_absent_region_changes_nothing_and_says_so(desk: Desk) -> None:
    desk.run(desk.wish("keep:mean:region=leaf"))
    assert (desk.backend.asked[1].request.sample.image == sample("one").image).all()
    view = desk.screen.views[-1]
    assert view["whatif"]["note"] == "leaf is not in this image: nothing was changed."
    assert not desk.screen.fills


def test_a_newer_edit_wins(desk: Desk) -> None:
    async def story() -> None:
        await desk.see(desk.wish())
        first = asyncio.ensure_future(desk.explaining.want(desk.wish("erase:mean:region=nut")))
        while len(desk.backend.asked) < 2:
            await asyncio.sleep(0.005)
        await desk.see(desk.wish("erase:blur:region=defect"))
        desk.backend.answer(1)
        assert await first is None

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, story()).result()
    assert desk.backend.asked[1].cancelled
    ready = [view["whatif"] for view in desk.screen.views if view["status"] == "ready"]
    assert [told and told["text"] for told in ready] == [None, "erase:blur:region=defect"]


def test_edited_pictures_stay_out_of_the_memory_that_sessions_share(desk: Desk) -> None:
    desk.run(desk.wish("erase:mean:region=nut"))
    shared = [len(kept._values) for kept in (desk.services._scenes, desk.services._drawn)]
    desk.run(desk.wish("erase:blur:region=nut"), desk.wish("erase:noise:region=defect"))
    assert [len(k._values) for k in (desk.services._scenes, desk.services._drawn)] == shared
    desk.explaining.close()
    assert not desk.explaining.subjects.private._scenes._values


def test_a_real_model_follows(demo_results: Results, tmp_path: Path) -> None:
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=tmp_path))
    services = Services({"tiny": demo_results}, backend=backend)
    page = ExplorePage(AppState(), services)
    item = next(item for item in page.settling.items if item.has_mask)
    wish = page._wish(item, k=None, edit="erase:blur:region=defect")
    assert wish is not None
    screen = Screen()
    try:

        async def story() -> None:
            explaining = Explaining(services, screen)
            await explaining.want(wish)
            await explaining.want(replace(wish, edit=None))

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, story()).result()
    finally:
        backend.close()
        services.pool.shutdown()
        services.later.shutdown()
    edited, plain = [view for view in screen.views if view["status"] == "ready"]
    assert edited["whatif"]["rows"][0]["before"] != edited["whatif"]["rows"][0]["after"]
    assert plain["facts"][0]["note"].removeprefix("confidence ") in edited["facts"][0]["note"]
    assert len(screen.fills[0]["rows"]) == 3


# -------------------------------------------------------------------- texts and tables


def answer(*probabilities: float, target: int | None = None) -> Any:
    odds = np.array(probabilities)
    best = int(odds.argmax())
    return SimpleNamespace(
        probabilities=odds,
        predicted=best,
        target=best if target is None else target,
        confidence=float(odds.max()),
        predicted_name="abcdef"[best],
    )


def test_classes_are_those_that_matter_then_those_that_moved() -> None:
    before = answer(0.5, 0.1, 0.05, 0.3, 0.05)
    after = answer(0.1, 0.1, 0.6, 0.2, 0.0)
    rows = class_rows(before, after, "abcde")
    assert [row["name"] for row in rows] == ["a", "c", "d", "e"]
    assert [row["change"] for row in rows] == ["−0.400", "+0.550", "−0.100", "−0.050"]
    assert [row["note"] for row in rows] == ["", "explained", "", ""]


def test_fills_are_compared_by_the_class_of_before() -> None:
    told = fill_rows(answer(0.9, 0.1), {"mean": answer(0.2, 0.8), "blur": answer(0.95, 0.05)})
    assert told["of_class"] == "a"
    assert [(r["fill"], r["after"], r["change"], r["predicted"]) for r in told["rows"]] == [
        ("mean", "0.20", "−0.70", "b"),
        ("blur", "0.95", "+0.05", "a"),
    ]


def test_a_score_that_is_undefined_has_no_change() -> None:
    rows = score_rows(
        {"a": Score(0.5)},
        {"a": Score(float("nan"), "zero-map"), "b": Score(0.25)},
        {"a": "A", "b": "B"},
        "iou",
    )
    assert [(r["before"], r["after"], r["change"]) for r in rows] == [
        ("0.500", "–", ""),
        ("–", "0.250", ""),
    ]


def test_edits_in_words() -> None:
    assert edit_text(parse_edit("keep:noise:brush=r0.1,0.5,0.5"), {}) == (
        "the brushed part kept alone (noise)"
    )


# -------------------------------------------------------------------- state and settling


def test_the_link_holds_an_edit_unless_it_is_long() -> None:
    state = AppState(edit="erase:blur:brush=r0.04,0.31,0.52;r0.1,0,1")
    values, problems = read_link(write_link(state))
    assert (values["edit"], problems) == (state.edit, [])
    dots = ";".join(f"r0.04,0.{i:03},0.5" for i in range(200))
    state.edit = parse_edit(f"erase:blur:brush={dots}").text
    assert len(state.edit) > LONGEST_EDIT
    assert write_link(state) == ""
    values, problems = read_link("?edit=erase:blurr:region=a&k=4px")
    assert values == {"k": 4}
    assert "erase:blur:region=mouth" in problems[0]


@pytest.fixture
def page(demo_results: Results, monkeypatch: pytest.MonkeyPatch) -> Any:
    import panel as pn

    services = Services({"tiny": demo_results}, backend=object())  # type: ignore[arg-type]
    asked: list[Any] = []
    page = ExplorePage(AppState(), services)
    monkeypatch.setattr(pn.state, "execute", asked.append)
    page.asked = asked  # type: ignore[attr-defined]
    yield page
    services.pool.shutdown()
    services.later.shutdown()


def test_the_panel_asks_and_the_page_shows_it_once(page: Any) -> None:
    count = len(page.asked)
    page._on_action("edit", "erase:blur:region=defect")
    assert page.state.edit == "erase:blur:region=defect"
    assert len(page.asked) == count + 1
    assert page.cards.whatif["edit"] == "erase:blur:region=defect"
    page._on_action("edit", "erase:smear:region=defect")
    assert "'smear'" in page.cards.whatif["trouble"]
    assert page.state.edit == "erase:blur:region=defect"
    page._on_action("edit", "")
    assert page.state.edit == ""
    assert "trouble" not in page.cards.whatif


def test_a_region_goes_with_the_next_image_a_brush_does_not(page: Any) -> None:
    first, second, third = (item.id for item in page.settling.items[:3])
    page.state.image = first
    page._on_action("edit", "erase:blur:region=defect")
    page.state.image = second
    assert page.state.edit == "erase:blur:region=defect"
    page._on_action("edit", "erase:blur:brush=r0.1,0.5,0.5")
    page.state.image = third
    assert page.state.edit == ""
    page.state.param.update(image=first, edit="erase:mean:brush=r0.1,0.5,0.5")  # as a link does
    assert page.state.edit == "erase:mean:brush=r0.1,0.5,0.5"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ("erase:blur:region=mouth", "no region “mouth”"),
        ("erase:blur:topk=5px,gradcamm", "no method “gradcamm”"),
        ("erase:blur:region=own mask", "own mask is not in the link"),
    ],
)
def test_an_edit_of_something_unknown_is_dropped_with_a_word(
    page: Any, edit: str, told: str
) -> None:
    page.state.edit = edit
    assert page.state.edit == ""
    assert told in " ".join(page.state.notices)


def test_the_brush_knows_what_the_crop_left_out() -> None:
    scene = make_scene(sample("one"), Preprocessing(input_size=SIZE))
    cropped = replace(scene, geometry=Geometry((8, 16), (4, 8), (0, 2), (4, 4)))
    assert cropped.frame == {"x": 0.25, "y": 0, "w": 0.5, "h": 1, "width": 16, "height": 8}
