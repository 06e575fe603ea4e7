"""From a question to the cards of several models: latest wins, cards fill as models answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from xaieval.backend import Answer, Request, Ticket
from xaieval.errors import Cancelled, XaievalError

from ..explaining import SKELETON_AFTER_S
from ..scene import Scene
from ..services import Services
from ._compare_cards import Answers, compose_models, model_shares
from ._compare_models import Question

Show = Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]
"""Takes the views of a question and, once all is there, the shares that go with each."""


class Comparing:
    """The questions of one session, one at a time; lives on the session's event loop."""

    def __init__(self, services: Services, show: Show) -> None:
        self.services = services
        self._show = show
        self._turn = 0
        self._tickets: list[Ticket] = []
        self._last: tuple[tuple[object, ...], Answers] | None = None

    def cancel(self) -> None:
        """Stop the work on the current question; its cards say so."""
        for ticket in self._tickets:
            ticket.cancel()

    def close(self) -> None:
        """Forget everything; nothing is shown any more."""
        self._turn += 1
        self.cancel()
        self._tickets, self._last = [], None

    async def ask(self, question: Question) -> None:
        """Show a question's views; returns early when a newer one came."""
        self._turn += 1
        turn, old = self._turn, self._tickets
        self._tickets = []
        loop = asyncio.get_running_loop()
        try:
            if self._last is not None and self._last[0] == question.asked:
                answers = self._last[1]
            else:
                self._last = None
                answers = await self._answers(turn, question)
            if turn != self._turn:
                return
            scenes = await self._scenes(question)
            views = await loop.run_in_executor(
                self.services.pool, compose_models, self.services, question, scenes, answers
            )
            if turn != self._turn:
                return
            if all(isinstance(answer, Answer) for answer in answers.values()):
                self._last = (question.asked, answers)
            self._show(views, [])
            shares = await loop.run_in_executor(
                self.services.pool, self._shares, question, scenes, views, answers
            )
            if turn == self._turn:
                self._show(views, shares)
        finally:
            for ticket in old:
                if not ticket.future.done():
                    ticket.cancel()

    def _shares(
        self,
        question: Question,
        scenes: dict[str, Scene],
        views: list[dict[str, Any]],
        answers: Answers,
    ) -> list[dict[str, Any]]:
        found = []
        for view in views:
            own = [card["key"] for card in view["cards"] if card["state"] == "ready"]
            if not own or not view.get("regions"):
                found.append({})
                continue
            some = {key: answers[key] for key in own}
            found.append(model_shares(self.services, question, scenes[own[0]], some))
        return found

    async def _answers(self, turn: int, question: Question) -> Answers:
        """Ask every model; show what is there as it comes."""
        answers: Answers = {}
        waiting: dict[asyncio.Future[Answer | BaseException], str] = {}
        loop = asyncio.get_running_loop()
        for seat in question.seats:
            if seat.checkpoint is None:
                continue
            ticket = self.services.backend.submit(self._request(question, seat))
            self._tickets.append(ticket)
            waiting[asyncio.ensure_future(_settled(ticket.future))] = seat.model.id
        began = time.perf_counter()
        scenes: dict[str, Scene] | None = None
        patience: float | None = SKELETON_AFTER_S
        while waiting and turn == self._turn:
            done, _ = await asyncio.wait(
                waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            for future in done:
                answers[waiting.pop(future)] = _said(future.result())
            quick = time.perf_counter() - began < SKELETON_AFTER_S
            if not waiting or quick or turn != self._turn:
                continue
            patience = None  # the cards stand there; only an answer is news
            if scenes is None:
                scenes = await self._scenes(question)
            elif not done:
                continue
            views = await loop.run_in_executor(
                self.services.pool, compose_models, self.services, question, scenes, dict(answers)
            )
            if turn == self._turn:
                self._show(views, [])
        return answers

    def _request(self, question: Question, seat: Any) -> Request:
        explain = self.services.results[seat.model.study].study.explain
        target: Any = question.target
        if target not in ("predicted", "label"):
            catalogue = self.services.catalogue(seat.model.study)
            names = catalogue.classes if catalogue else ()
            target = names.index(target) if target in names else "predicted"
        return Request(
            checkpoint=seat.checkpoint,
            sample=self.services.sample(seat.model.study, question.sample_id),
            methods=(question.method,),
            target=target,
            upsampling=explain.upsampling,
            exact=explain.exact,
            priority=0,
            seed=explain.seed,
        )

    async def _scenes(self, question: Question) -> dict[str, Scene]:
        """Return the image as each model sees it; a model that fails to load has none."""

        def look() -> dict[str, Scene]:
            scenes = {}
            for seat in question.seats:
                if seat.checkpoint is not None:
                    try:
                        scenes[seat.model.id] = self.services.scene(
                            seat.model.study,
                            question.sample_id,
                            seat.checkpoint,
                            region=question.region,
                        )
                    except XaievalError:
                        continue  # its answer says what is wrong
            return scenes

        return await asyncio.get_running_loop().run_in_executor(self.services.pool, look)


async def _settled(future: Future[Answer]) -> Answer | BaseException:
    """Wait for a future and return its error instead of raising it, so that none is lost."""
    try:
        return await asyncio.wrap_future(future)
    except (Exception, asyncio.CancelledError) as error:
        return error


def _said(answer: Answer | BaseException) -> Answer | BaseException:
    """Return an answer, or an error that reads as a sentence."""
    if isinstance(answer, (Cancelled, asyncio.CancelledError)):
        return XaievalError("Cancelled: choose something to ask again.")
    return answer
