"""Own images and masks: limits, the way of a file, what a session may see, what is kept."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import panel as pn
import pytest
from PIL import Image as PILImage

import app.own as own_module
from app.own import OWN_MASK, OwnImages, OwnMask, Picture
from app.pages.explore import ExplorePage
from app.services import Services
from app.state import AppState
from app.whatif import PART_BYTES
from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.datasets import open_dataset
from xaieval.study import Results

PIXELS = np.random.default_rng(5).integers(0, 256, (40, 50, 3)).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    PILImage.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def picture(value: int = 0) -> Picture:
    return Picture.read(encoded(PIXELS ^ value), "a.png")


class Visit:
    """An Explore page whose scheduled work runs when the test says so."""

    def __init__(self, services: Services) -> None:
        self.page = ExplorePage(AppState(), services)
        self.services = services
        QUEUE.clear()

    def send(self, data: bytes, name: str, kind: str = "image") -> None:
        """Send a file as the browser does: each part after the server asked for it."""
        told = {"id": name, "name": name, "size": len(data), "kind": kind}
        self.act("own-begin", told)
        while (upload := self.page.cards.whatif.get("upload")) and not self.scheduled:
            at = upload["got"]
            part = base64.b64encode(data[at : at + PART_BYTES]).decode()
            self.act("own-part", {"id": name, "at": at, "data": part})
        self.work()

    def act(self, action: str, value: Any) -> None:
        self.page._on_action(action, value if isinstance(value, str) else json.dumps(value))

    @property
    def scheduled(self) -> list[Callable[[], Any]]:
        return QUEUE

    def work(self) -> None:
        """Run what the panel scheduled; the page's own refreshes are not of interest here."""

        async def story() -> None:
            while QUEUE:
                work = QUEUE.pop(0)
                if getattr(work, "__name__", "") != "_refresh":
                    await work()

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, story()).result()

    @property
    def trouble(self) -> str:
        return str(self.page.cards.whatif.get("trouble", ""))


QUEUE: list[Callable[[], Any]] = []


@pytest.fixture
def services(demo_results: Results) -> Any:
    services = Services({"tiny": demo_results}, backend=object())  # type: ignore[arg-type]
    yield services
    services.pool.shutdown()
    services.later.shutdown()


@pytest.fixture
def visit(services: Services, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pn.state, "execute", lambda work, **_: QUEUE.append(work))
    return Visit(services)


# -------------------------------------------------------------------- the memory of a session


def test_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    store = OwnImages()
    for number in range(own_module.MOST_IMAGES):
        assert store.add(picture(number), f"{number}.png")[1] == ()
    store.set_mask("any", "own-1", OwnMask.of(np.ones((40, 50), bool)))
    assert store.mask("another study", "own-1") is not None
    assert store.add(picture(), "new.png")[1] == ("0.png",)
    assert store.mask("any", "own-1") is None
    assert [item.id for item in store.items][:2] == ["own-9", "own-8"]
    monkeypatch.setattr(own_module, "MOST_PIXEL_BYTES", 2 * PIXELS.nbytes)
    _, dropped = store.add(picture(), "more.png")
    assert len(dropped) == 7
    assert len(store.items) == 2
    monkeypatch.setattr(own_module, "MOST_PIXEL_BYTES", 1)
    store.add(picture(), "alone.png")
    assert [item.sample_id for item in store.items] == ["own/alone.png"]


def test_a_name_from_another_system_is_only_a_name() -> None:
    own, _ = OwnImages().add(picture(), "..\\..\\secret/../a b.png")
    assert own.item.sample_id == "own/a b.png"


def test_a_mask_is_one_more_region_and_keys_tell_pictures_and_masks_apart() -> None:
    store = OwnImages()
    own, _ = store.add(picture(), "a.png")
    bare = store.subject("s", own.item.id, None)
    assert bare is not None
    assert dict(bare.sample.regions) == {}
    mask = np.zeros((40, 50), bool)
    mask[3:9] = True
    store.set_mask("s", own.item.id, OwnMask.of(mask))
    masked = store.subject("s", own.item.id, None)
    assert masked is not None
    assert (masked.sample.regions[OWN_MASK] == mask).all()
    assert bare.picture == masked.picture != picture(3).key
    assert bare.mask != masked.mask != OwnMask.of(~mask).key
    assert store.subject("s", "s0123456789ab", None) is None
    store.clear()
    assert store.items == ()


# -------------------------------------------------------------------- the way of a file


def test_a_large_file_arrives_in_parts(visit: Visit) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3)).astype(np.uint8)
    data = encoded(noise, compress_level=0)
    assert len(data) > 3 * PART_BYTES
    visit.send(data, "noise.png")
    state = visit.page.state
    assert state.image == "own-1"
    own = visit.page.own.get("own-1")
    assert own is not None
    assert (own.picture.image == noise).all()
    assert visit.page.strip.items[0].id == "own-1"
    assert visit.page.cards.whatif["own"] == "noise.png"
    assert "upload" not in visit.page.cards.whatif


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"only words", "file: not an image"),
        (encoded(PIXELS)[:3000], "file: damaged image"),
        (encoded(PIXELS, "GIF"), "file: not a format that is read here"),
    ],
)
def test_a_file_that_is_no_picture_is_one_sentence(visit: Visit, data: bytes, told: str) -> None:
    before = visit.page.state.image
    visit.send(data, "file")
    assert told in visit.trouble
    assert visit.page.state.image == before
    assert visit.page.own.items == ()
    visit.send(encoded(PIXELS), "good.png")
    assert visit.trouble == ""
    assert visit.page.state.image == "own-1"


def test_sizes_are_checked_before_anything_is_sent_and_while_it_is(visit: Visit) -> None:
    visit.act("own-begin", {"id": "a", "name": "big", "size": 20_000_001, "kind": "image"})
    assert "20 MB" in visit.trouble
    visit.act("own-begin", {"id": "a", "name": "none", "size": 0, "kind": "image"})
    assert "empty file" in visit.trouble
    visit.act("own-begin", {"id": "a", "name": "x", "size": 9, "kind": "image"})
    for part in (
        {"id": "b", "at": 0, "data": "AAAA"},  # of another file
        {"id": "a", "at": 3, "data": "AAAA"},  # not the next
    ):
        visit.act("own-part", part)
        assert visit.page.cards.whatif.get("upload", {"got": 0})["got"] == 0
    visit.act("own-begin", {"id": "a", "name": "x", "size": 9, "kind": "image"})
    visit.act("own-part", {"id": "a", "at": 0, "data": "not base64!"})
    assert "did not arrive whole" in visit.trouble
    visit.act("own-begin", "not json")
    assert "not understood" in visit.trouble
    assert not QUEUE


# -------------------------------------------------------------------- masks


def drawn(visit: Visit) -> OwnMask | None:
    return visit.page.own.mask(visit.page.state.study, visit.page.state.image)


def test_a_drawn_mask_is_what_is_scored(visit: Visit) -> None:
    state = visit.page.state
    visit.act("mask-strokes", "r0.25,0.5,0.5")
    visit.work()
    mask = drawn(visit)
    assert mask is not None
    side = mask.mask.shape[0]
    assert mask.mask.mean() == pytest.approx(np.pi / 16, rel=0.05)
    assert mask.mask[side // 2, side // 2]
    assert state.region == OWN_MASK
    assert OWN_MASK in visit.page.controls.region.values
    item = next(it for it in visit.page.settling.items if it.id == state.image)
    wish = visit.page._wish(item, k=None)
    assert wish is not None
    assert (wish.region, wish.regions) == (OWN_MASK, ("defect", OWN_MASK))
    assert wish.subject is not None
    assert set(wish.subject.sample.regions) == {"defect", OWN_MASK}
    first = state.image
    state.image = visit.page.settling.items[1].id
    assert state.region == ""  # the next image has none
    state.image = first
    visit.act("mask-score", "own")
    assert state.region == OWN_MASK
    visit.act("mask-score", "")
    assert state.region == ""
    visit.act("mask-score", "own")
    visit.act("mask-remove", "")
    assert drawn(visit) is None
    assert state.region == ""
    assert OWN_MASK not in visit.page.controls.region.values
    assert not state.notices


def test_only_the_last_strokes_count(visit: Visit) -> None:
    visit.act("mask-strokes", "r0.25,0.5,0.5")
    visit.act("mask-strokes", "r0.1,0.2,0.2")
    visit.work()
    mask = drawn(visit)
    assert mask is not None
    assert mask.mask.mean() < 0.05
    visit.act("mask-strokes", "rubbish")
    assert "stroke" in visit.trouble
    visit.act("mask-strokes", "r0.0001,0.5,0.5")
    visit.work()
    assert "too thin" in visit.trouble
    assert drawn(visit) is mask


def test_a_mask_file_must_fit_its_image(visit: Visit) -> None:
    visit.send(encoded(PIXELS), "a.png")
    mask = np.zeros((40, 50), np.uint8)
    mask[4:9] = 255
    visit.send(encoded(mask[:, :-1]), "m.png", "mask")
    assert "another size" in visit.trouble
    visit.send(encoded(mask, "JPEG"), "m.jpg", "mask")
    assert "lossy" in visit.trouble
    visit.send(encoded(mask), "m.png", "mask")
    found = drawn(visit)
    assert found is not None
    assert (found.mask == (mask > 0)).all()


# -------------------------------------------------------------------- links and sessions


def test_a_link_does_not_hold_what_is_ones_own(visit: Visit) -> None:
    visit.page.state.param.update(image="own-3", region=OWN_MASK)
    told = " ".join(visit.page.state.notices)
    assert "own image stays in the session" in told
    assert "own mask is not in the link" in told
    assert visit.page.state.image in {item.id for item in visit.page.settling.items}


def test_two_sessions_do_not_see_each_other(visit: Visit, services: Services) -> None:
    other = Visit(services).page
    visit.send(encoded(PIXELS), "mine.png")
    visit.act("mask-strokes", "r0.25,0.5,0.5")
    visit.work()
    assert other.own.items == ()
    other.state.image = "own-1"
    other.settling.settle()
    assert not other.state.image.startswith("own-")
    assert [len(kept._values) for kept in (services._scenes, services._drawn)] == [0, 0]


def test_a_session_that_ends_frees_the_pixels(visit: Visit) -> None:
    visit.send(encoded(PIXELS), "mine.png")
    own = visit.page.own.get("own-1")
    assert own is not None
    pixels = weakref.ref(own.picture)
    del own
    visit.page._close()
    gc.collect()
    assert pixels() is None


def test_forgetting_an_image_goes_back_to_the_data_set(visit: Visit) -> None:
    visit.send(encoded(PIXELS), "mine.png")
    visit.act("own-forget", "")
    assert visit.page.own.items == ()
    assert visit.page.state.image.startswith("s")
    assert not visit.page.state.notices


# -------------------------------------------------------------------- explaining and keeping


def test_an_own_image_is_explained_like_any_and_never_kept(
    demo_results: Results, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=tmp_path))
    services = Services({"tiny": demo_results}, backend=backend)
    monkeypatch.setattr(pn.state, "execute", lambda work, **_: QUEUE.append(work))
    visit = Visit(services)
    views: list[dict[str, Any]] = []
    asked: list[Any] = []
    submit = backend.submit
    monkeypatch.setattr(
        backend,
        "submit",
        lambda request, **more: (asked.append(request), submit(request, **more))[1],
    )
    try:
        visit.send(encoded(PIXELS), "mine.png")
        visit.page.state.target = "label"
        item = visit.page.settling.items[0]
        monkeypatch.setattr(visit.page.cards, "display", views.append)
        for edit in ("", "erase:mean:region=own mask"):
            wish = visit.page._wish(item, k=None, edit=edit)
            assert wish is not None
            assert wish.target == "predicted"
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, visit.page.explaining.want(wish)).result()
            if not edit:
                visit.act("mask-strokes", "r0.3,0.5,0.5")
                visit.work()
    finally:
        backend.close()
        services.pool.shutdown()
        services.later.shutdown()
    plain, edited = (view for view in views if view["status"] == "ready")
    facts = {fact["name"]: fact for fact in plain["facts"]}
    assert facts["Labelled"]["value"] == "–"
    assert "mark" not in facts["Predicted"]
    assert "scores need a mask" in plain["source_note"]
    assert edited["outline"]
    assert edited["cards"][0]["rows"]
    assert edited["whatif"]["said"] == "own mask erased (mean)"
    assert all(request.cacheable is False for request in asked)
    assert backend.cache.info().memory_entries == 0
    assert [len(kept._values) for kept in (services._scenes, services._drawn)] == [0, 0]


def test_keeping_writes_a_data_set_that_opens(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / name))
    visit.send(encoded(PIXELS), "my shoe.png")
    visit.act("mask-strokes", "r0.2,0.5,0.5")
    visit.work()
    visit.act("own-keep", {"folder": " ", "class": ""})
    assert "name a data set" in visit.trouble
    for _ in range(2):
        visit.act("own-keep", {"folder": "../shoes", "class": "boot"})
        visit.work()
    root = tmp_path / "xaieval" / "own" / "shoes"
    assert str(root) in visit.page.cards.whatif["kept"]
    assert 'name = "folder"' in visit.page.cards.whatif["kept"]
    dataset = open_dataset("folder", root)
    assert [record.id.rsplit("/", 1)[-1] for record in dataset.records] == ["my-shoe", "my-shoe-2"]
    assert not dataset.problems
    found = dataset[dataset.records[0].id]
    assert (found.image == PIXELS).all()
    mask = drawn(visit)
    assert mask is not None
    assert (found.regions["mask"] == mask.mask).all()
