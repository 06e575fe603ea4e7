"""Everything that a slide needs, computed before it is shown; and what is not there, in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xaieval.backend import BULK, PREFETCH, Answer, Request, Ticket
from xaieval.edits import parse_edit
from xaieval.errors import Cancelled, StoryError, XaievalError
from xaieval.story import Slide
from xaieval.story.views import Link, batch_view, changed_since, parts_view, results_of
from xaieval.study import Results

from .catalogue import Item
from .composing import Wish, compose, region_shares
from .services import Services
from .state import AppState

WARMER = ThreadPoolExecutor(1, thread_name_prefix="xaieval-warm")
"""One slide after the other: what is on screen has the processor first."""


@dataclass(frozen=True)
class Readiness:
    """What a check found out about a slide.

    Attributes
    ----------
    state : {"ready", "missing", "failed"}
    why : str
        A sentence where it is not ready.
    changed : tuple of str
        What has changed since it was pinned, a clause each.
    elapsed_s : float
        How long it took to make ready.
    cached : bool
        Every map was there already.
    """

    state: Literal["ready", "missing", "failed"]
    why: str = ""
    changed: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    cached: bool = False


class Warming:
    """Makes slides ready, off the event loop, until it is cancelled."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._turn = 0
        self._tickets: set[Ticket] = set()

    def cancel(self) -> None:
        """Stop whatever is under way."""
        with self._lock:
            self._turn += 1
            tickets = list(self._tickets)
        for ticket in tickets:
            ticket.cancel()

    def ahead(self, slide: Slide) -> Future[Readiness]:
        """Make a slide ready at the lowest priority; what was asked before is dropped."""
        self.cancel()
        turn = self._turn
        return WARMER.submit(self.check, slide, PREFETCH, lambda: turn != self._turn)

    def check(
        self, slide: Slide, priority: int = BULK, stopped: Callable[[], bool] = lambda: False
    ) -> Readiness:
        """Make a slide ready and return what came of it; blocks, for a worker thread.

        Raises
        ------
        Cancelled
            When it was stopped.
        """
        if stopped():
            raise Cancelled
        began = time.perf_counter()
        changed: tuple[str, ...] = ()
        try:
            results_of(slide, self._services.results)
            changed = changed_since(slide, self._services.results)
            cached = self._warm(slide, priority)
        except StoryError as error:
            return Readiness("missing", str(error), changed)
        except (XaievalError, OSError) as error:
            return Readiness("failed", str(error), changed)
        return Readiness("ready", "", changed, time.perf_counter() - began, cached)

    def _warm(self, slide: Slide, priority: int) -> bool:
        state = AppState()
        state.restore(slide.link, study=self._services.key_of)
        if slide.page == "explore":
            return self._explore(state, priority)
        if slide.page == "compare":
            return self._compare(state, priority)
        link, results = Link(slide.link), results_of(slide, self._services.results)
        if slide.page == "batch":
            from .pages._batch_content import compute

            compute(results, batch_view(results, link), "light")
        elif slide.page == "parts":
            from .pages._parts_content import compute_parts

            compute_parts(results, parts_view(results, link), "light")
        elif slide.page == "triage" and results.kind == "measured":
            return self._triage(state, results, priority)
        return True

    def _triage(self, state: AppState, results: Results, priority: int) -> bool:
        """Read the study's table, which all sessions share, and narrow it as the slide does."""
        from .pages._triage_asking import asked, settle
        from .pages._triage_view import Asked, compute

        settle(state, results)
        study = state.study or next(iter(self._services.results))
        compute(self._services, Asked(study=study, marks={}, **asked(state, results)))
        if not state.image:
            return True
        try:
            return self._explore(state, priority)  # the chosen image's maps and thumbnail
        except StoryError:  # its model is not here: the page shows the picture without a map
            return True

    # ---------------------------------------------------------------- images

    def _explore(self, state: AppState, priority: int) -> bool:
        wish, item = wish_of(state, self._services)
        answer = self._ask(self._request(wish, priority))
        services = self._services
        scene = services.scene(wish.study, wish.sample_id, wish.checkpoint, region=wish.region)
        compose(services, wish, scene, answer.maps, answer)
        region_shares(services, wish, scene, answer.maps)
        services.thumb(state.study, item.sample_id)
        return answer.from_cache >= {call.key for call in wish.methods if call.cost}

    def _compare(self, state: AppState, priority: int) -> bool:
        from .pages._compare_models import chosen, first_choice, offered, seat

        services = self._services
        study = state.study or next(iter(services.results))
        models, unknown = chosen(offered(services, study), state.models)
        if unknown:
            raise StoryError(f"there is no model {unknown[0]} of these images here")
        catalogue = services.catalogue(study)
        if catalogue is None:
            raise StoryError("published results hold no images")
        models = models or first_choice(offered(services, study))
        item = catalogue.find(state.image) if state.image else None
        item = item or next(iter(catalogue.items(state.split or catalogue.splits[0], "all")), None)
        if item is None or (state.image and item.id != state.image):
            raise StoryError("the image is not in the dataset any more")
        method = catalogue.methods.get(state.method or catalogue.own_methods[0])
        if method is None:
            raise StoryError(f"there is no method {state.method}")
        cached = True
        for model in models:
            place = seat(services, model, item.id, state.split or catalogue.splits[0])
            if place.checkpoint is None:
                raise StoryError(f"{model.label}: {place.why}")
            explain = services.results[model.study].study.explain
            target: str | int = state.target
            if target not in ("predicted", "label"):
                target = catalogue.classes.index(target) if target in catalogue.classes else 0
            answer = self._ask(
                Request(
                    checkpoint=place.checkpoint,
                    sample=services.sample(model.study, item.sample_id),
                    methods=(method,),
                    target=target,  # type: ignore[arg-type]  # one of the two words, or an index
                    upsampling=explain.upsampling,
                    exact=explain.exact,
                    priority=priority,
                    seed=explain.seed,
                )
            )
            if method.key in answer.maps:
                services.drawn(answer.maps[method.key])
            cached = cached and method.key in answer.from_cache
        services.thumb(study, item.sample_id)
        return cached

    def _request(self, wish: Wish, priority: int) -> Request:
        explain = self._services.results[wish.study].study.explain
        return Request(
            checkpoint=wish.checkpoint,
            sample=self._services.sample(wish.study, wish.sample_id),
            methods=wish.methods,
            target=wish.target,  # type: ignore[arg-type]  # one of the two words, or an index
            upsampling=explain.upsampling,
            exact=explain.exact,
            priority=priority,
            seed=explain.seed,
        )

    def _ask(self, request: Request) -> Answer:
        ticket = self._services.backend.submit(request)
        with self._lock:
            self._tickets.add(ticket)
        try:
            return ticket.future.result()
        finally:
            with self._lock:
                self._tickets.discard(ticket)


def wish_of(state: AppState, services: Services) -> tuple[Wish, Item]:
    """Return what Explore would ask for, of an image of the data set, and that image.

    Raises
    ------
    StoryError
        When study, image, model or a method is not there.
    """
    study = state.study or next(iter(services.results))
    if study not in services.results:
        raise StoryError(f"the study {study} is not opened")
    catalogue = services.catalogue(study)
    if catalogue is None:
        raise StoryError("published results hold no images")
    item = catalogue.find(state.image)
    if item is None:
        raise StoryError("the image is not in the dataset any more")
    seed = state.seed if state.seed is not None else next(iter(catalogue.seeds), -1)
    split = state.split or catalogue.splits[0]
    checkpoint = catalogue.checkpoint(seed, split, item.sample_id)
    if checkpoint is None or not Path(checkpoint).exists():
        raise StoryError(f"the model of seed {seed} is not there for {item.sample_id}")
    unknown = [key for key in state.methods if key not in catalogue.methods]
    if unknown:
        raise StoryError(f"there is no method {unknown[0]}")
    target: str | int = state.target
    if target in catalogue.classes and target not in ("predicted", "label"):
        target = catalogue.classes.index(target)
    wish = Wish(
        study=study,
        sample_id=item.sample_id,
        label=item.class_name,
        class_names=catalogue.classes,
        checkpoint=checkpoint,
        methods=tuple(catalogue.methods[k] for k in state.methods or catalogue.first_methods),
        target=target,
        compete=catalogue.compete,
        metric=state.metric,
        k=state.k,
        region=state.region or catalogue.default_region,
        regions=catalogue.regions,
        edit=parse_edit(state.edit) if state.edit else None,
    )
    return wish.unedited, item
