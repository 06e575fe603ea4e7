"""From what a person wants to see to the view on screen: latest wins, cards fill one by one.

Everything slow happens in the backend's worker or the services' pool; this object lives on the
session's event loop and never blocks it. A newer wish cancels the older one, and whatever still
arrives of that one is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Future
from typing import Any, Protocol

from xaieval.backend import PREFETCH, Answer, Request, Ticket
from xaieval.errors import Cancelled, XaievalError
from xaieval.types import Heatmap

from .composing import Wish, compose, region_shares
from .scene import Scene
from .services import Services

log = logging.getLogger("xaieval.app")

SKELETON_AFTER_S = 0.08
"""Maps that come sooner are shown at once; a skeleton would only flicker."""

PREFETCH_AFTER_S = 0.15
"""Leaves the processor to the browser until the view is painted."""


class Screen(Protocol):
    """Whatever shows a view."""

    def display(self, view: dict[str, Any]) -> None: ...

    def share(self, shares: dict[str, Any]) -> None: ...


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

    def cancel(self) -> None:
        """Stop the work on the current wish; its cards say so."""
        if self._ticket is not None:
            self._ticket.cancel()

    def close(self) -> None:
        """Forget everything; nothing is shown any more."""
        self._turn += 1
        for ticket in (self._ticket, *self._ahead):
            if ticket is not None:
                ticket.cancel()
        self._ticket, self._ahead, self._answer, self.scene = None, [], None, None

    async def want(self, wish: Wish, *, ahead: tuple[Wish, ...] = ()) -> Scene | None:
        """Show a wish; return its scene, or None when a newer wish came or it failed.

        ``ahead`` is computed afterwards, at the lowest priority.
        """
        self._turn += 1
        turn = self._turn
        old, self._ticket = self._ticket, None
        stale, self._ahead = self._ahead, []
        try:
            if self._answer is not None and self._answer[0] == wish.asked and self.scene:
                scene: Scene | None = await self._look(wish)
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
            for ticket in (old, *stale):
                if ticket is not None and not ticket.future.done():
                    ticket.cancel()
        if turn == self._turn and scene is not None:
            await self._share(turn, wish, scene)
        if turn == self._turn and scene is not None and ahead:
            await asyncio.sleep(PREFETCH_AFTER_S)
        if turn == self._turn and scene is not None:
            self._ahead = [self._prepare(next_wish) for next_wish in ahead]
        return scene if turn == self._turn else None

    def _prepare(self, wish: Wish) -> Ticket:
        """Compute and draw what may be wanted next; its failure shows when it is wanted."""
        ticket = self._submit(wish, PREFETCH)

        def look(answer: Answer) -> None:
            scene = self._scene(wish)
            compose(self.services, wish, scene, answer.maps, answer)
            region_shares(self.services, wish, scene, answer.maps)

        def draw(future: Future[Answer]) -> None:
            if not future.exception():
                self.services.later.submit(look, future.result())

        ticket.future.add_done_callback(draw)
        return ticket

    def _submit(self, wish: Wish, priority: int, on_map: Any = None) -> Ticket:
        sample = self.services.sample(wish.study, wish.sample_id)
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
        await asyncio.wait({answer}, timeout=SKELETON_AFTER_S)
        while not answer.done():
            while not arrived.empty():
                key, heatmap = arrived.get_nowait()
                maps[key] = heatmap
            if turn != self._turn:
                return None
            view = await loop.run_in_executor(
                self.services.pool, compose, self.services, wish, scene, dict(maps), None
            )
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
        loop = asyncio.get_running_loop()
        view = await loop.run_in_executor(
            self.services.pool, compose, self.services, wish, scene, answer.maps, answer
        )
        if turn == self._turn:
            self.screen.display(view)

    async def _share(self, turn: int, wish: Wish, scene: Scene) -> None:
        """Send the shares in the regions; they follow the view, nobody waits for them."""
        if self._answer is None or len(wish.regions) < 2:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self.services.pool, region_shares, self.services, wish, scene, self._answer[1].maps
            )
        except XaievalError:
            log.exception("no shares of regions for %s", wish.sample_id)
            return
        if turn == self._turn:
            self.screen.share(found)

    async def _look(self, wish: Wish) -> Scene:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.services.pool, self._scene, wish)

    def _scene(self, wish: Wish) -> Scene:
        return self.services.scene(wish.study, wish.sample_id, wish.checkpoint, region=wish.region)

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


async def _settled(future: Future[Answer]) -> Answer | BaseException:
    """Wait for a future and return its error instead of raising it, so that none is lost."""
    try:
        return await asyncio.wrap_future(future)
    except (Exception, asyncio.CancelledError) as error:
        return error
