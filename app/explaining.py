"""From what a person wants to see to the view on screen: latest wins, cards fill one by one.

Everything slow happens in the backend's worker or the services' pool; this object lives on the
session's event loop and never blocks it. A newer wish cancels the older one, and whatever still
arrives of that one is dropped.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xaieval.backend import PREFETCH, Answer, Request, Ticket
from xaieval.errors import Cancelled, XaievalError
from xaieval.methods import METHODS, MethodCall
from xaieval.metrics import parse_metric
from xaieval.types import Heatmap

from .scene import Scene, source_rows
from .scorecard import at_k, card, rank, shown_metrics, verdict
from .services import Services

SKELETON_AFTER_S = 0.08
"""Maps that come sooner are shown at once; a skeleton would only flicker."""

PREFETCH_AFTER_S = 0.15
"""Leaves the processor to the browser until the view is painted."""


class Screen(Protocol):
    """Whatever shows a view."""

    def display(self, view: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Wish:
    """One view: which image, which model, which methods, and how it is scored."""

    study: str
    sample_id: str
    label: str
    class_names: tuple[str, ...]
    checkpoint: Path
    methods: tuple[MethodCall, ...]
    target: str | int
    seed: int
    compete: frozenset[str]
    metric: str = "topk_overlap"
    k: int | None = None

    @property
    def asked(self) -> tuple[object, ...]:
        """What the backend is asked for; metric and K are not part of it."""
        keys = tuple(call.key for call in self.methods)
        return (self.study, self.sample_id, self.checkpoint, keys, self.target)


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
                scene: Scene | None = self.scene
                await self._fill(turn, wish, self.scene, self._answer[1])
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
        if turn == self._turn and scene is not None and ahead:
            await asyncio.sleep(PREFETCH_AFTER_S)
        if turn == self._turn and scene is not None:
            self._ahead = [self._prepare(next_wish) for next_wish in ahead]
        return scene if turn == self._turn else None

    def _prepare(self, wish: Wish) -> Ticket:
        """Compute and draw what may be wanted next; its failure shows when it is wanted."""
        ticket = self._submit(wish, PREFETCH)

        def draw(future: Future[Answer]) -> None:
            if not future.exception():
                answer = future.result()
                self.services.later.submit(
                    lambda: self._view(wish, self._scene(wish), answer.maps, answer)
                )

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
                seed=wish.seed,
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
            scene = await loop.run_in_executor(self.services.pool, self._scene, wish)
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
                self.services.pool, self._view, wish, scene, dict(maps), None
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
            self.services.pool, self._view, wish, scene, answer.maps, answer
        )
        if turn == self._turn:
            self.screen.display(view)

    def _scene(self, wish: Wish) -> Scene:
        return self.services.scene(wish.study, wish.sample_id, wish.checkpoint)

    def _view(
        self, wish: Wish, scene: Scene, maps: dict[str, Heatmap], answer: Answer | None
    ) -> dict[str, Any]:
        """Compose the whole view; runs in the pool."""
        height, width = scene.picture.shape[:2]
        chosen = None if wish.k is None else min(wish.k, height * width)
        k = scene.default_k if chosen is None else chosen
        metrics = shown_metrics(wish.metric, chosen)
        ranking = at_k(wish.metric, chosen)
        scores = self.services.rate(maps, scene, metrics)
        calls = sorted(wish.methods, key=lambda call: METHODS[call.id].baseline)
        labels = method_labels(wish.methods)
        competing = {
            c.key: scores[c.key][ranking]
            for c in calls
            if c.key in scores and c.key in wish.compete
        }
        complete = answer is not None
        places = (
            rank(
                {key: found.value for key, found in competing.items()},
                higher_is_better=parse_metric(ranking).spec.higher_is_better,
            )
            if complete and len(competing) > 1
            else {}
        )
        cards = []
        for call in calls:
            spec = METHODS[call.id]
            if call.key not in maps:
                cards.append(
                    {
                        "key": call.key,
                        "label": labels[call.key],
                        "state": "loading",
                        "baseline": spec.baseline,
                        "rows": [],
                        "badges": [],
                    }
                )
                continue
            drawn = self.services.drawn(maps[call.key])
            cards.append(
                card(
                    key=call.key,
                    label=labels[call.key],
                    title=f"{call.key}: {spec.summary}",
                    baseline=spec.baseline,
                    drawn=drawn,
                    topk=self.services.topk(maps[call.key], scene, k),
                    identity=f"{scene.key}-{id(drawn)}",
                    scores=scores[call.key],
                    place=places.get(call.key),
                    competes=call.key in wish.compete,
                    mask_note=scene.mask_note,
                    share=scene.share,
                )
            )
        ready = [shown for shown in cards if shown["state"] == "ready"]
        return {
            "status": "ready" if complete else "loading",
            "sample": wish.sample_id,
            "k": k,
            "width": width,
            "height": height,
            "outline": scene.outline,
            "picture": {
                "id": f"picture-{scene.key}",
                "src": scene.src,
                "alt": f"Image {wish.sample_id}"
                + (", mask outlined" if scene.mask is not None else ""),
            },
            "source_rows": source_rows(scene),
            "source_note": scene.mask_note,
            "facts": facts(wish, scene, answer, k),
            "verdict": verdict(competing, labels, metric=ranking) if complete else None,
            "low": min((shown["low"] for shown in ready), default=0),
            "high": max((shown["high"] for shown in ready), default=0),
            "cards": cards,
        }

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


def method_labels(calls: tuple[MethodCall, ...]) -> dict[str, str]:
    """Return each call's label, with its options where a method appears twice."""
    ids = [call.id for call in calls]
    return {
        call.key: METHODS[call.id].label
        + (call.key[len(call.id) :] if ids.count(call.id) > 1 else "")
        for call in calls
    }


def facts(wish: Wish, scene: Scene, answer: Answer | None, k: int) -> list[dict[str, str]]:
    """Return prediction, label and K for the line on top."""
    names = wish.class_names
    if answer is None:
        found = [{"name": "Predicted", "value": "…"}]
    else:
        correct = names[answer.predicted] == wish.label
        found = [
            {
                "name": "Predicted",
                "value": names[answer.predicted],
                "mark": "✓ correct" if correct else "✗ wrong",
                "kind": "right" if correct else "wrong",
                "note": f"confidence {answer.probabilities[answer.predicted]:.2f}",
            }
        ]
    found.append({"name": "Labelled", "value": wish.label})
    if answer is not None and answer.target != answer.predicted:
        share = answer.probabilities[answer.target]
        found.append(
            {"name": "Explained", "value": names[answer.target], "note": f"confidence {share:.2f}"}
        )
    area = scene.picture.shape[0] * scene.picture.shape[1]
    origin = "chosen" if wish.k is not None else "the mask’s size" if scene.mask_px else "no mask"
    found.append(
        {
            "name": "K",
            "value": f"{k:,} px".replace(",", "\u2009"),
            "note": f"{k / area:.1%} of the image · {origin}",
        }
    )
    return found
