"""Pinning: the view on screen becomes a slide of a story; a toast takes its caption or undoes it.

Also what a view rests on: its stamp, for pins and copied links.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.custom import JSComponent

from xaieval.errors import XaievalError
from xaieval.story import Slide, Stamp, Stories, Story, new_slide_id, now, stamp_of
from xaieval.study import Results
from xaieval.study.regional import regional_metrics

from .services import Services
from .state import AppState, write_link
from .theme import TOKENS

log = logging.getLogger("xaieval.app")
_HERE = Path(__file__).parent


def study_shown(state: AppState, services: Services) -> str:
    """Return the key of the study that a page shows: the state's, else the page's own choice."""
    opened = services.results
    if state.study in opened or not opened:
        return state.study
    if state.page == "parts":
        able = (k for k, r in opened.items() if len(r.regions) > 1 and regional_metrics(r))
    elif state.page == "compare":
        able = (k for k, r in opened.items() if r.checkpoints())
    else:
        able = iter(())
    return next(able, next(iter(opened)))


def results_shown(state: AppState, services: Services) -> list[Results]:
    """Return the results that a view rests on: of its study, and of the models beside it."""
    keys = [study_shown(state, services)]
    if state.page == "compare":
        keys += [model.rpartition("/seed-")[0] for model in state.models]
    return [services.results[key] for key in dict.fromkeys(keys) if key in services.results]


def stamp_now(state: AppState, services: Services) -> Stamp | None:
    """Return the stamp of what the state shows; None where nothing is opened."""
    shown = results_shown(state, services)
    return stamp_of(shown) if shown else None


def pinned(state: AppState, services: Services) -> Slide:
    """Return the view on screen as a slide."""
    stamp = stamp_now(state, services)
    study = study_shown(state, services)
    scratch = AppState()
    scratch.restore(write_link(state))
    scratch.param.update(study=study, story="", slide="")
    facts = {"study": study}
    if study in services.results:
        results = services.results[study]
        facts |= {"title": results.title, "results": str(results.path.resolve())}
    sample = _sample(state, services, study)
    if sample:
        facts["sample"] = sample
    return Slide(
        id=new_slide_id(),
        link=write_link(scratch),
        page=state.page,
        facts=facts,
        stamp="" if stamp is None else str(stamp),
        added=now(),
    )


def _sample(state: AppState, services: Services, study: str) -> str:
    """Return the id of the image on screen; "" where the page shows none."""
    if state.page not in ("explore", "compare", "triage") or study not in services.results:
        return ""
    try:
        catalogue = services.catalogue(study)
    except (XaievalError, OSError):
        return ""
    item = None if catalogue is None else catalogue.find(state.image)
    return "" if item is None else item.sample_id


def current_story(state: AppState, stories: Stories) -> Story | None:
    """Return the story that is worked on: the state's, else the one changed last."""
    return stories.all().get(state.story) or stories.latest()


class Pins(JSComponent):
    """The toast after a pin, and the key ``p``; nothing to see until something is pinned.

    ``stamp`` is what "Copy link" adds.
    """

    toast = param.Dict(default={}, doc="n, story, number, caption; {} shows nothing")
    stamp = param.String(default="")
    quiet = param.Boolean(default=False, doc="the key does nothing: a story is shown or edited")

    _esm = _HERE / "pins.js"
    _stylesheets = [TOKENS, (_HERE / "pins.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__(width=0, height=0, margin=0)
        self._state, self._services = state, services
        self._last: tuple[str, str] | None = None
        self._count = 0
        state.param.watch(self._follow, ["study", "models", "page", "presenting"])
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        stamp = stamp_now(self._state, self._services)
        self.param.update(
            stamp="" if stamp is None else str(stamp),
            quiet=self._state.page == "present" or self._state.presenting,
        )

    def pin(self) -> None:
        """Pin the view on screen to the current story; make one where there is none."""
        if self.quiet or not self._services.results:
            return
        if self._state.image.startswith("own-") and self._state.page == "explore":
            self._state.notify("An own image is kept in this session only: it cannot be pinned.")
            return
        stories = self._services.stories
        try:
            story = current_story(self._state, stories) or stories.create()
            slide = pinned(self._state, self._services)
            story = stories.change(story.id, lambda known: known.plus(slide))
        except (XaievalError, OSError) as error:
            self._state.notify(f"The view could not be pinned: {error}")
            return
        self._last = (story.id, slide.id)
        self._count += 1
        number = (story.at(slide.id) or 0) + 1
        self.toast = {"n": self._count, "story": story.title, "number": number, "caption": ""}

    def _handle_msg(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "pin":
            self.pin()
        elif self._last is not None and kind in ("caption", "undo", "open"):
            story, slide = self._last
            try:
                if kind == "caption":
                    text = str(message.get("value", ""))
                    self._services.stories.change(story, lambda s: s.captioned(slide, text))
                elif kind == "undo":
                    self._services.stories.change(story, lambda s: s.without(slide))
                else:
                    pn.state.execute(
                        lambda: self._state.param.update(page="present", story=story, slide=slide)
                    )
            except (XaievalError, OSError) as error:
                self._state.notify(f"The slide could not be changed: {error}")
