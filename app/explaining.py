"""From what a person wants to see to the view on screen: latest wins, cards fill one by one.

Everything slow happens in the backend's worker or the services' pool; this object lives on the
session's event loop and never blocks it. A newer wish cancels the older one, and whatever still
arrives of that one is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from xaieval.backend import BULK, PREFETCH, Answer, Request, Ticket
from xaieval.edits import FILLS
from xaieval.errors import Cancelled, XaievalError
from xaieval.types import Heatmap, Sample

from .comparing_edits import edit_key, fill_rows
from .composing import Wish, compose, cut_tables, region_shares
from .scene import Scene
from .services import Services
from .subjects import Subjects

log = logging.getLogger("xaieval.app")

SKELETON_AFTER_S = 0.2
"""Maps that come sooner are shown at once; drawing a skeleton would only hold them up."""

TOGETHER_S = 0.015
"""Maps that come as soon and as close together are kept ones: all are drawn at once."""

SAME_PASS_S = 0.003
"""So close together come the maps that are read off one pass."""

FOLLOW_AFTER_S = 0.12
"""Until the browser has painted a view it is not bothered with what only follows it."""

PREFETCH_AFTER_S = 0.15
"""Leaves the processor to the browser until the view is painted."""

TABLES_AFTER_S = 0.35
"""Who only walks through the images needs no tables of every K; until then the server answers."""


class Screen(Protocol):
    """Whatever shows a view."""

    def display(self, view: dict[str, Any]) -> None: ...

    def share(self, shares: dict[str, Any]) -> None: ...

    def cut(self, tables: dict[str, Any]) -> None: ...

    def keep(self, view: dict[str, Any]) -> None: ...

    def send_fills(self, fills: dict[str, Any]) -> None: ...


@dataclass(frozen=True, eq=False)
class Composed:
    """A whole view and what it was made of."""

    answer: Answer
    scene: Scene
    view: dict[str, Any]


class Explaining:
    """The wishes of one session, one at a time."""

    def __init__(self, services: Services, screen: Screen) -> None:
        self.services = services
        self.screen = screen
        self.scene: Scene | None = None
        self._turn = 0
        self._ticket: Ticket | None = None
        self._ahead: list[Ticket] = []
        self._answer: tuple[tuple[object, ...], Answer] | None = None
        self.subjects = Subjects(services)
        self._plain: tuple[tuple[object, ...], Answer] | None = None  # before an edit
        self._filled: tuple[object, ...] = ()  # whose fills were compared last
        self._on_screen: Wish | None = None  # shown at once, not asked for yet

    def cancel(self) -> None:
        """Stop the work on the current wish; its cards say so."""
        if self._ticket is not None:
            self._ticket.cancel()

    def close(self) -> None:
        """Forget everything; nothing is shown any more."""
        _give_up(self._begin()[1])
        self._answer = self.scene = self._plain = None
        self.subjects.close()

    def start(self, wish: Wish) -> None:
        """Let the passes of a wish begin; ``want`` will ask for it as soon as the page follows."""
        if wish.private or self.services.composed.find(wish) is not None:
            return
        with suppress(XaievalError):  # ``want`` will say it
            self._ahead.append(self._submit(wish, 0))

    async def want(
        self,
        wish: Wish,
        *,
        ahead: tuple[Wish, ...] = (),
        on_shown: Callable[[Scene], None] = lambda _: None,
    ) -> Scene | None:
        """Show a wish; return its scene, or None when a newer wish came or it failed.

        ``on_shown`` hears of the scene as soon as its view is shown. What is wanted later comes
        after that: ``ahead``, at the lowest priority, then the tables of every K.
        """
        if self._on_screen == wish or self.at_once(wish):
            self._on_screen, turn, scene = None, self._turn, self.scene
        else:
            turn, scene = await self._anew(wish)
        if turn == self._turn and scene is not None:
            on_shown(scene)
            await asyncio.sleep(FOLLOW_AFTER_S)
        if turn == self._turn and scene is not None:
            await self._share(turn, wish, scene)
            await self._fills(turn, wish)
        if turn == self._turn and scene is not None:
            await asyncio.sleep(PREFETCH_AFTER_S)
        if turn == self._turn and scene is not None:
            known = self.services.composed
            self._ahead = [self._prepare(it) for it in ahead if known.find(it) is None]
            await asyncio.sleep(TABLES_AFTER_S)
        if turn == self._turn and scene is not None:
            await self._cut(turn, wish, scene)
        return scene if turn == self._turn else None

    def at_once(self, wish: Wish) -> bool:
        """Show a wish that was composed before; ``want`` then does what follows."""
        found = self.services.composed.find(wish) if not wish.private else None
        if not isinstance(found, Composed):
            return False
        _, given_up = self._begin()
        self._answer, self.scene, self._on_screen = (wish.asked, found.answer), found.scene, wish
        self.screen.display(found.view)
        _give_up(given_up)
        return True

    def _begin(self) -> tuple[int, list[Ticket | None]]:
        """Start a turn; return its number and what is wanted no longer."""
        self._turn += 1
        given_up = [self._ticket, *self._ahead]
        self._ticket, self._ahead, self._on_screen = None, [], None
        return self._turn, given_up

    async def _anew(self, wish: Wish) -> tuple[int, Scene | None]:
        """Compute and show a wish; return its turn and its scene, or None where it failed."""
        turn, given_up = self._begin()
        scene: Scene | None = None
        try:
            known = next(
                (
                    it
                    for it in (self._answer, self._plain)
                    if it is not None and it[0] == wish.asked
                ),
                None,
            )
            if known is not None and self.scene and self.subjects.ready(wish):
                self._answer = known
                scene = await self._look(wish)
                await self._fill(turn, wish, scene, self._answer[1])
            else:
                scene = await self._explain(turn, wish)
        except Cancelled:
            if turn == self._turn:
                self._say(wish, "Cancelled", ["The heatmaps were not computed."], ["retry"])
            scene = None
        except Exception as error:
            if turn == self._turn:
                self._fail(wish, error)
            scene = None
        finally:
            _give_up(given_up)
        return turn, scene

    def _prepare(self, wish: Wish) -> Ticket:
        """Compute and draw what may be wanted next; its failure shows when it is wanted."""
        ticket = self._submit(wish, PREFETCH)

        def look(answer: Answer) -> None:
            scene, services = self.subjects.scene(wish), self.subjects.services_of(wish)
            self._keep(wish, scene, answer, compose(services, wish, scene, answer.maps, answer))
            region_shares(services, wish, scene, answer.maps)

        def draw(future: Future[Answer]) -> None:
            if not future.exception():
                self.services.later.submit(look, future.result())

        ticket.future.add_done_callback(draw)
        return ticket

    def _submit(self, wish: Wish, priority: int, on_map: Any = None) -> Ticket:
        return self._ask(wish, self.subjects.sample(wish), priority, on_map)

    def _ask(self, wish: Wish, sample: Sample, priority: int, on_map: Any = None) -> Ticket:
        target: Any = wish.target
        explain = self.services.results[wish.study].study.explain
        return self.services.backend.submit(
            Request(
                checkpoint=wish.checkpoint,
                sample=sample,
                methods=wish.methods,
                target=target,
                upsampling=explain.upsampling,
                exact=explain.exact,
                priority=priority,
                seed=explain.seed,
                cacheable=wish.subject is None or not wish.subject.own_image,
            ),
            on_map=on_map,
        )

    async def _explain(self, turn: int, wish: Wish) -> Scene | None:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        arrived: asyncio.Queue[tuple[str, Heatmap]] = asyncio.Queue()
        maps: dict[str, Heatmap] = {}

        def on_map(key: str, heatmap: Heatmap) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, (key, heatmap))

        if wish.edit is not None:
            plain = await self._unedited(turn, wish.unedited)
            if plain is None:
                return None
            await loop.run_in_executor(self.services.pool, self.subjects.prepare, wish, plain)
            if turn != self._turn:
                return None
        self._ticket = ticket = self._submit(wish, 0, on_map)
        answer = asyncio.ensure_future(_settled(ticket.future))
        try:
            scene = await self._look(wish)
        except BaseException:
            ticket.cancel()
            raise
        if turn != self._turn:
            return None
        self.scene = scene
        news = asyncio.ensure_future(arrived.get())
        await asyncio.wait(
            {answer, news}, timeout=SKELETON_AFTER_S, return_when=asyncio.FIRST_COMPLETED
        )
        if news.done():
            key, heatmap = news.result()
            maps[key] = heatmap
            kept = time.perf_counter() - began < TOGETHER_S
            await asyncio.wait({answer}, timeout=TOGETHER_S if kept else SAME_PASS_S)
        else:
            news.cancel()
        while not answer.done():
            while not arrived.empty():
                key, heatmap = arrived.get_nowait()
                maps[key] = heatmap
            if turn != self._turn:
                return None
            view = await self._compose(wish, scene, dict(maps), None)
            if turn != self._turn:
                return None
            if not answer.done():
                elapsed = time.perf_counter() - began
                view["progress"] = {
                    "done": len(maps),
                    "total": len(wish.methods),
                    "text": f"{len(maps)} of {len(wish.methods)} methods · {elapsed:.0f} s",
                }
                self.screen.display(view)
            news = asyncio.ensure_future(arrived.get())
            done, _ = await asyncio.wait(
                {answer, news}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED
            )
            if news in done:
                key, heatmap = news.result()
                maps[key] = heatmap
                await asyncio.wait({answer}, timeout=SAME_PASS_S)
            else:
                news.cancel()
        found = answer.result()
        if turn != self._turn:
            return None
        if isinstance(found, BaseException):
            raise found
        self._answer = (wish.asked, found)
        await self._fill(turn, wish, scene, found)
        return scene

    async def _fill(self, turn: int, wish: Wish, scene: Scene, answer: Answer) -> None:
        view = await self._compose(wish, scene, answer.maps, answer)
        self._keep(wish, scene, answer, view)
        if turn == self._turn:
            self.screen.display(view)

    def _keep(self, wish: Wish, scene: Scene, answer: Answer, view: dict[str, Any]) -> None:
        if not wish.private:
            self.services.composed.get(wish, lambda: Composed(answer, scene, view))

    async def _compose(
        self, wish: Wish, scene: Scene, maps: dict[str, Heatmap], answer: Answer | None
    ) -> dict[str, Any]:
        services, plain = self.subjects.services_of(wish), self._plain

        def work() -> dict[str, Any]:
            before = None
            if wish.edit is not None and plain is not None:
                before = self.subjects.before(wish, plain[1])
            return compose(services, wish, scene, maps, answer, before)

        return await asyncio.get_running_loop().run_in_executor(self.services.pool, work)

    async def _unedited(self, turn: int, wish: Wish) -> Answer | None:
        """Return the answer for an image as it is; its cards are shown while they take time."""
        for known in (self._plain, self._answer):
            if known is not None and known[0] == wish.asked:
                self._plain = known
                return known[1]
        self._ticket = ticket = self._submit(wish, 0)
        answer = asyncio.ensure_future(_settled(ticket.future))
        try:
            await asyncio.wait({answer}, timeout=SKELETON_AFTER_S)
            if not answer.done() and turn == self._turn:
                view = await self._compose(wish, await self._look(wish), {}, None)
                total = len(wish.methods)
                text = "the image as it is, before the edit"
                view["progress"] = {"done": 0, "total": total, "text": text}
                if turn == self._turn and not answer.done():
                    self.screen.display(view)
        except BaseException:
            ticket.cancel()
            raise
        found = await answer
        if turn != self._turn:
            return None
        if isinstance(found, BaseException):
            raise found
        self._plain = (wish.asked, found)
        return found

    async def _fills(self, turn: int, wish: Wish) -> None:
        """Send what the other fills make of the prediction: one pass each, after the view."""
        if wish.edit is None or self._plain is None or self._answer is None:
            return
        if self._filled == wish.asked:
            return  # another K or region: sent already
        before, shown = self._plain[1], self._answer[1]
        if turn != self._turn or self.subjects.edited(wish).note:
            return
        edited = self.subjects.edited(wish)
        loop = asyncio.get_running_loop()
        found = {wish.edit.fill: shown}
        try:
            bare = replace(wish, methods=())
            for fill in (fill for fill in FILLS if fill != wish.edit.fill):
                sample = await loop.run_in_executor(
                    self.services.pool, self.subjects.with_fill, wish, edited, fill
                )
                if turn != self._turn:
                    return
                ticket = self._ask(bare, sample, BULK)
                self._ahead.append(ticket)
                found[fill] = await asyncio.wrap_future(ticket.future)
        except Cancelled:
            return
        except XaievalError:
            log.exception("no comparison of fills for %s", wish.sample_id)
            return
        if turn == self._turn:
            self._filled = wish.asked
            ordered = {fill: found[fill] for fill in FILLS}
            self.screen.send_fills({"of": edit_key(wish), **fill_rows(before, ordered)})

    async def _share(self, turn: int, wish: Wish, scene: Scene) -> None:
        """Send the shares in the regions; they follow the view, nobody waits for them."""
        if self._answer is None or len(wish.regions) < 2:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self.services.pool,
                region_shares,
                self.subjects.services_of(wish),
                wish,
                scene,
                self._answer[1].maps,
            )
        except XaievalError:
            log.exception("no shares of regions for %s", wish.sample_id)
            return
        if turn == self._turn:
            self.screen.share(found)

    async def _cut(self, turn: int, wish: Wish, scene: Scene) -> None:
        """Send the tables of every K and threshold; they follow the view, nobody waits for them."""
        if self._answer is None or wish.edit is not None:
            return
        services, maps = self.subjects.services_of(wish), self._answer[1].maps
        found = await asyncio.get_running_loop().run_in_executor(
            self.services.pool, cut_tables, services, wish, scene, maps
        )
        if turn == self._turn:
            self.screen.cut(found)

    def values_at(self, row: int, column: int) -> dict[str, float]:
        """Return each shown map's attribution at a pixel; nothing outside the maps."""
        if self._answer is None or row < 0 or column < 0:
            return {}
        return {
            key: float(heatmap.values[row, column])
            for key, heatmap in self._answer[1].maps.items()
            if row < heatmap.values.shape[0] and column < heatmap.values.shape[1]
        }

    async def keep_up(self, wish: Wish) -> Scene | None:
        """Compose what the browser shows by itself already: another K or threshold of a view."""
        turn = self._turn
        if self._answer is None or self._answer[0] != wish.asked:
            return None
        scene = await self._look(wish)
        view = await self._compose(wish, scene, self._answer[1].maps, self._answer[1])
        if turn != self._turn:
            return None
        self.screen.keep(view)
        return scene

    async def _look(self, wish: Wish) -> Scene:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.services.pool, self.subjects.scene, wish)

    def _fail(self, wish: Wish, error: Exception) -> None:
        known = isinstance(error, XaievalError)
        lines = [str(error) if known else f"{type(error).__name__}: {error}"]
        title = "This view could not be computed"
        self._say(wish, title, lines, ["retry", "next"])

    def _say(self, wish: Wish, title: str, lines: list[str], actions: list[str]) -> None:
        names = {"retry": "Try again", "next": "Next image"}
        self.screen.display(
            {
                "status": "error",
                "sample": wish.sample_id,
                "message": {
                    "title": title,
                    "lines": [f"{wish.sample_id}", *lines],
                    "actions": [{"id": action, "label": names[action]} for action in actions],
                },
                "cards": [],
            }
        )


def _give_up(tickets: list[Ticket | None]) -> None:
    for ticket in tickets:
        if ticket is not None and not ticket.future.done():
            ticket.cancel()


async def _settled(future: Future[Answer]) -> Answer | BaseException:
    """Wait for a future and return its error instead of raising it, so that none is lost."""
    try:
        return await asyncio.wrap_future(future)
    except (Exception, asyncio.CancelledError) as error:
        return error
