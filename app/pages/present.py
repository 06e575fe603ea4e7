"""Present: stories of pinned views, put in order, checked, shown live and exported."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.errors import Cancelled, XaievalError
from xaieval.story import Slide, Story, parse_story, story_json
from xaieval.story.plates import Studio, make_plates
from xaieval.story.render import story_html, story_pdf

from ..downloads import DRAWING, download
from ..kept import Kept
from ..latest import Latest, Superseded
from ..presenter import change_text, show_slide
from ..services import Services
from ..state import AppState
from ..warming import WARMER, Readiness, Warming
from ._present_board import Board, Drawn, described, draw_slide, image_thumbs, looked_at

log = logging.getLogger("xaieval.app")
LOOK_EVERY_MS = 4000
"""How soon a story that another session changes is seen here."""

_PAGES = Kept(64)


class PresentPage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "present"
    title = "Present"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self.board = Board(self._on_message)
        self._story: Story | None = None
        self._found: dict[str, Readiness] = {}
        self._thumbs: dict[str, str] = {}
        self._image_thumbs: dict[str, str] = {}
        self._undo: Callable[[], None] | None = None
        self._toasts = 0
        self._stopped = True
        self._warming = Warming(services)
        self._latest, self._looking = Latest(DRAWING), Latest(services.pool)
        state.param.watch(self._on_state, ["page", "story", "slide"])
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: self._stop())
            pn.state.add_periodic_callback(self._look_again, LOOK_EVERY_MS)
        self._root = pn.Column(
            self.board,
            self._tools(),
            sizing_mode="stretch_both",
            margin=0,
            styles={"position": "relative"},
        )
        self._look()
        pn.state.onload(self._refresh)

    def _tools(self) -> pn.viewable.Viewable:
        files = [
            download(
                lambda kind=kind: self._file(kind),
                stem=f"story.{kind}",
                label=label,
                on_error=self.state.notify,
            )
            for kind, label in (("html", "HTML"), ("pdf", "PDF"), ("json", "JSON"))
        ]
        self._files = pmui.Row(*files, margin=0, sx={"gap": "4px"})
        words = pmui.Typography(
            "Save this story", variant="body2", margin=(8, 4, 0, 0), sx={"opacity": 0.8}
        )
        above = {"position": "absolute", "right": "16px", "top": "12px", "z-index": "2"}
        return pn.Row(words, self._files, margin=0, styles=above)

    # ---------------------------------------------------------------- state to page

    def _on_state(self, *events: param.parameterized.Event) -> None:
        if self.state.page != self.id:
            return
        self._look()
        pn.state.execute(self._refresh)

    def _look_again(self) -> None:
        if self.state.page == self.id:
            before = self._story
            self._look()
            if self._story != before:
                pn.state.execute(self._refresh)

    def _look(self) -> None:
        """Take over the stories as they are now, and choose one where the state names none."""
        try:
            there = self.services.stories.all()
            latest = self.services.stories.latest()
        except XaievalError as error:
            self.state.notify(str(error))
            return
        if self.state.story and self.state.story not in there:
            self.state.notify("The link's story is not here; another one is shown.")
        story = there.get(self.state.story) or latest
        self._story = story
        stories = [{"id": s.id, "title": s.title, "n": len(s.slides)} for s in there.values()]
        if stories != self.board.stories:
            self.board.stories = stories
        if story is None:
            self.state.param.update(story="", slide="")
            self.board.param.update(story={}, selected="")
            return
        slide = self._slide(self.state.slide)
        self.state.param.update(story=story.id, slide="" if slide is None else slide.id)
        self._fill()

    def _slide(self, slide: str) -> Slide | None:
        if self._story is None or not self._story.slides:
            return None
        return self._story.slide(slide) or self._story.slides[0]

    def _fill(self) -> None:
        story = self._story
        if story is None:
            return
        slides = [
            described(
                slide,
                self._found.get(slide.id),
                thumb=self._thumbs.get(slide.id, ""),
                image_thumb=self._image_thumbs.get(slide.id, ""),
            )
            for slide in story.slides
        ]
        wanted = {"id": story.id, "title": story.title, "slides": slides}
        if wanted != self.board.story:
            self.board.story = wanted
        self.board.selected = self.state.slide

    async def _refresh(self) -> None:
        """Look at every slide, and draw the chosen one; the newest call wins."""
        story, slide = self._story, self._slide(self.state.slide)
        if story is None or slide is None or self.state.page != self.id:
            return
        try:
            await self._look_at(story)
            await self._draw(story, slide)
        except Superseded:
            return

    async def _look_at(self, story: Story) -> None:
        def look() -> tuple[dict[str, Readiness], dict[str, str]]:
            return looked_at(story, self.services), dict(image_thumbs(story, self.services))

        found, thumbs = await self._looking.run(look)
        self._image_thumbs = thumbs
        for slide, now in found.items():
            known = self._found.get(slide)
            if known is None or known.state != now.state or known.changed != now.changed:
                self._found[slide] = now
        self._fill()

    async def _draw(self, story: Story, slide: Slide) -> None:
        number, total = (story.at(slide.id) or 0) + 1, len(story.slides)
        if self.board.preview.get("slide") != slide.id:
            self.board.preview = {"slide": slide.id, "status": "loading"}

        def work() -> Drawn:
            return _PAGES.get(_key(slide, number, total), lambda: self._drawn(slide, number, total))

        try:
            drawn = await self._latest.run(work)
        except Superseded:
            raise
        except Exception as error:
            log.exception("slide %s could not be drawn", slide.id)
            text = f"{type(error).__name__}: {error}"
            self.board.preview = {"slide": slide.id, "status": "error", "text": text}
            return
        self.board.preview = drawn.view | {"slide": slide.id}
        if drawn.thumb:
            self._thumbs[slide.id] = drawn.thumb
            self._fill()

    def _drawn(self, slide: Slide, number: int, total: int) -> Drawn:
        return draw_slide(slide, self.services, number=number, total=total)

    # ---------------------------------------------------------------- page to stories

    def _on_message(self, message: dict[str, Any]) -> None:
        kind, slide = str(message.get("type")), str(message.get("slide") or "")
        value = str(message.get("value") or "")
        try:
            self._do(kind, slide, value, message)
        except (XaievalError, OSError) as error:
            self.state.notify(str(error))

    def _do(self, kind: str, slide: str, value: str, message: dict[str, Any]) -> None:
        stories, story = self.services.stories, self._story
        if kind == "choose":
            self.state.param.update(story=str(message.get("story")), slide="")
        elif kind == "create":
            self.state.param.update(story=stories.create("New story").id, slide="")
        elif kind == "import":
            made = stories.take(parse_story(value, where=str(message.get("name") or "the file")))
            self.state.param.update(story=made.id, slide="")
        elif kind == "too-large":
            self.state.notify(f"{value[:80]} is too large to be a story.")
        elif kind == "undo":
            undo, self._undo = self._undo, None
            if undo is not None:
                undo()
                self._changed()
        elif story is None:
            return
        elif kind == "rename":
            self._edit(lambda known: known.titled(value))
        elif kind == "drop":
            stories.drop(story.id)
            self.state.param.update(story="", slide="")
            self._say(f"“{story.title}” was deleted", lambda: stories.save(story))
            self._changed()
        elif kind == "check":
            pn.state.execute(self._check)
        elif kind == "cancel":
            self._stop()
        else:
            self._do_slide(story, kind, slide, value, message.get("to"))

    def _do_slide(self, story: Story, kind: str, slide: str, value: str, to: Any) -> None:
        found = story.slide(slide)
        if found is None:
            return
        if kind == "select":
            self.state.slide = slide
        elif kind == "caption":
            self._edit(lambda known: known.captioned(slide, value))
        elif kind == "move" and isinstance(to, int):
            self._edit(lambda known: known.moved(slide, to))
        elif kind == "duplicate":
            self._edit(lambda known: known.doubled(slide))
        elif kind == "delete":
            place = story.at(slide) or 0
            near = story.without(slide).slides
            if self.state.slide == slide:
                self.state.slide = near[min(place, len(near) - 1)].id if near else ""
            self._edit(lambda known: known.without(slide))
            self._say(
                f"Slide {place + 1} was removed",
                lambda: self._put_back(story.id, found, place),
            )
        elif kind == "present":
            self.state.param.update(story=story.id, slide=slide, presenting=True)
        elif kind == "open":
            show_slide(self.state, self.services, found)
            text = change_text(self.state, self.services, found)
            if text:
                self.state.notify(text)

    def _put_back(self, story: str, slide: Slide, place: int) -> None:
        self.services.stories.change(story, lambda known: known.plus(slide, at=place))
        self.state.slide = slide.id

    def _edit(self, edit: Callable[[Story], Story]) -> None:
        assert self._story is not None
        self.services.stories.change(self._story.id, edit)
        self._changed()

    def _changed(self) -> None:
        self._look()
        pn.state.execute(self._refresh)

    def _say(self, text: str, undo: Callable[[], None]) -> None:
        self._undo = undo
        self._toasts += 1
        self.board.toast = {"n": self._toasts, "text": text, "undo": True}

    # ---------------------------------------------------------------- check

    def _stop(self) -> None:
        self._stopped = True
        self._warming.cancel()

    async def _check(self) -> None:
        """Make every slide ready, one after the other; say of each what came of it."""
        story = self._story
        if story is None or not self._stopped:
            return
        self._stopped = False
        loop, total, bad = asyncio.get_running_loop(), len(story.slides), []
        try:
            for done, slide in enumerate(story.slides):
                self._tell(done, total, bad, running=True)
                self.board.busy = slide.id
                found = await loop.run_in_executor(WARMER, self._checked, slide)
                if found is None:
                    break
                self._found[slide.id] = found
                if found.state != "ready":
                    name = slide.caption or described(slide, found, thumb="")["what"]
                    bad.append(
                        {"slide": slide.id, "number": done + 1, "name": name, "why": found.why}
                    )
                self._fill()
            else:
                done = total
        finally:
            stopped, self._stopped = self._stopped, True
            self.board.busy = ""
            self._fill()
        self._tell(done, total, bad, running=False, stopped=stopped)

    def _checked(self, slide: Slide) -> Readiness | None:
        try:
            found = self._warming.check(slide, stopped=lambda: self._stopped)
        except Cancelled:
            return None
        except Exception as error:
            log.exception("slide %s could not be made ready", slide.id)
            return Readiness("failed", f"{type(error).__name__}: {error}")
        return None if self._stopped else found

    def _tell(
        self, done: int, total: int, bad: list[Any], *, running: bool, stopped: bool = False
    ) -> None:
        if running:
            text = f"Making slides ready: {done} of {total}"
        elif stopped:
            text = f"Cancelled after {done} of {total}"
        elif bad:
            text = f"{total - len(bad)} of {total} slides are ready"
        else:
            text = f"All {total} slides are ready" if total > 1 else "The slide is ready"
        self.board.checking = {
            "running": running,
            "done": done,
            "total": total,
            "text": text,
            "list": list(bad),
        }

    # ---------------------------------------------------------------- files

    def _file(self, kind: str) -> tuple[str, bytes]:
        """Return name and bytes of the story as a file; blocks, for a worker thread."""
        story = self._story
        if story is None:
            raise XaievalError("there is no story to save", fix="pin a view first")
        plain = "".join(c if c.isalnum() else "-" for c in story.title.lower()).strip("-")
        name = f"{plain or 'story'}.{kind}"
        if kind == "json":
            return name, story_json(story).encode()
        plates = make_plates(story, Studio(self.services.results, backend=self.services.backend))
        if kind == "html":
            return name, story_html(story, plates).encode()
        return name, story_pdf(story, plates)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def _key(slide: Slide, number: int, total: int) -> tuple[Any, ...]:
    """Return what the drawing of a slide depends on."""
    facts = tuple(sorted(slide.facts.items()))
    return (slide.link, slide.caption, slide.page, slide.stamp, facts, number, total)
