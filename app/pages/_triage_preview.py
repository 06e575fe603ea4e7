"""The chosen image, large: its picture, mask and one heatmap, from the backend; latest wins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from xaieval.backend import PREFETCH, Answer, Request, Ticket
from xaieval.errors import Cancelled, XaievalError
from xaieval.render import data_uri, outline_path, overlay

from ..scene import Scene
from ..services import Services

log = logging.getLogger("xaieval.app")


@dataclass(frozen=True)
class Look:
    """Which heatmap of which image by which model is to be seen, and how it is coloured."""

    study: str
    sample_id: str
    seed: int
    split: str
    method: str
    region: str
    opacity: float
    colormap: str


class Previews:
    """The looks of one session, one at a time; ``send`` shows what there is of the newest."""

    def __init__(self, services: Services, send: Callable[[dict[str, Any]], None]) -> None:
        self.services, self._send = services, send
        self._turn = 0
        self._tickets: list[Ticket] = []

    def close(self) -> None:
        """Forget everything; nothing is shown any more."""
        self._turn += 1
        self._drop()

    def _drop(self) -> None:
        stale, self._tickets = self._tickets, []
        for ticket in stale:
            if not ticket.future.done():
                ticket.cancel()

    async def show(
        self, look: Look, facts: dict[str, Any], *, ahead: tuple[Look, ...] = ()
    ) -> None:
        """Show a look beside its facts; then compute what may be looked at next."""
        self._turn += 1
        turn = self._turn
        self._drop()
        loop, pool = asyncio.get_running_loop(), self.services.pool
        self._send({**facts, "state": "loading"})
        try:
            ticket = await loop.run_in_executor(pool, self._submit, look, 0)
            if turn != self._turn:
                ticket.cancel()
                return
            self._tickets = [ticket]
            waiting = asyncio.ensure_future(asyncio.wrap_future(ticket.future))
            try:
                scene = await loop.run_in_executor(pool, self._scene, look)
                if turn == self._turn and not waiting.done():
                    self._send({**facts, **_picture(scene), "state": "loading"})
                answer = await waiting
            finally:
                waiting.add_done_callback(_heard)
            view = await loop.run_in_executor(pool, self._finished, look, facts, scene, answer)
        except (Cancelled, asyncio.CancelledError):
            return
        except Exception as error:
            view = _failed(facts, error)
            bare = await loop.run_in_executor(pool, self._bare, look)
            if turn == self._turn:
                self._send({**view, **bare})
            return
        if turn == self._turn:
            self._send(view)
            await self._prefetch(turn, ahead)

    async def _prefetch(self, turn: int, ahead: tuple[Look, ...]) -> None:
        await asyncio.sleep(0.15)  # leaves the processor to the browser until this one is painted
        loop = asyncio.get_running_loop()
        for look in ahead:
            if turn != self._turn:
                return
            try:
                ticket = await loop.run_in_executor(
                    self.services.later, self._submit, look, PREFETCH
                )
            except (XaievalError, OSError, KeyError):
                continue  # it shows when it is looked at
            if turn != self._turn:
                ticket.cancel()
                return
            ticket.future.add_done_callback(_heard)
            self._tickets.append(ticket)

    def _submit(self, look: Look, priority: int) -> Ticket:
        catalogue = self.services.catalogue(look.study)
        if catalogue is None or not catalogue.checkpoints:
            raise XaievalError(
                "the trained models of this study are not here",
                where=self.services.results[look.study].path,
                fix="train them again for heatmaps; scores and tags work without",
            )
        path = catalogue.checkpoint(look.seed, look.split, look.sample_id)
        if path is None:
            raise XaievalError(
                "no trained model of this seed is here for this image", where=look.sample_id
            )
        explain = self.services.results[look.study].study.explain
        target: Any = explain.target
        return self.services.backend.submit(
            Request(
                checkpoint=path,
                sample=self.services.sample(look.study, look.sample_id),
                methods=(catalogue.methods[look.method],),
                target=target,
                upsampling=explain.upsampling,
                exact=explain.exact,
                priority=priority,
                seed=explain.seed,
            )
        )

    def _scene(self, look: Look) -> Scene:
        catalogue = self.services.catalogue(look.study)
        assert catalogue is not None  # as _submit found
        path = catalogue.checkpoint(look.seed, look.split, look.sample_id)
        assert path is not None
        return self.services.scene(look.study, look.sample_id, path, region=look.region)

    def _finished(
        self, look: Look, facts: dict[str, Any], scene: Scene, answer: Answer
    ) -> dict[str, Any]:
        view = {**facts, **_picture(scene), "state": "ready"}
        if look.method not in answer.maps:
            why = answer.undefined.get(look.method) or "The method gives no map here."
            return {**view, "state": "undefined", "note": why}
        heatmap = answer.maps[look.method]
        drawn = overlay(scene.picture, heatmap.values, opacity=look.opacity, colormap=look.colormap)
        view["heat"] = data_uri(drawn, format="jpeg")
        if heatmap.flags:
            view["note"] = f"The map is {', '.join(sorted(heatmap.flags))}."
        elif scene.mask_note:
            view["note"] = scene.mask_note
        return view

    def _bare(self, look: Look) -> dict[str, Any]:
        """Return the image and its mask as the dataset has them; nothing where it is damaged."""
        try:
            sample = self.services.sample(look.study, look.sample_id)
            image, mask = sample.image, sample.regions.get(look.region)
        except (XaievalError, OSError, KeyError):
            return {}
        return {
            "picture": data_uri(image, format="jpeg"),
            "outline": "" if mask is None else outline_path(mask),
            "width": image.shape[1],
            "height": image.shape[0],
            "alt": f"image {look.sample_id}",
        }


def _picture(scene: Scene) -> dict[str, Any]:
    height, width = scene.picture.shape[:2]
    return {
        "picture": scene.src,
        "outline": scene.outline,
        "width": width,
        "height": height,
        "alt": f"image {scene.sample_id}",
    }


def _failed(facts: dict[str, Any], error: Exception) -> dict[str, Any]:
    known = isinstance(error, (XaievalError, OSError))
    if not known:
        log.error("no preview", exc_info=error)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    return {**facts, "state": "error", "note": text, "retry": True}


def _heard(future: Future[Any] | asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody waits for."""
    if not future.cancelled():
        future.exception()
