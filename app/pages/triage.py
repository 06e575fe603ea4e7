"""Triage: a queue of images worth a look, to be narrowed, looked through, tagged and noted."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.errors import XaievalError
from xaieval.journal import author_name
from xaieval.study import Results

from ..defined_maps import MapAsked, map_of
from ..definitions import provide
from ..downloads import DRAWING
from ..services import Services
from ..state import ANY, AppState, write_link
from ..triage.desk import Desk, Patterns
from ._computed import Computed
from ._triage_asking import FILTERS, asked, settle
from ._triage_changes import CHANGES, CLEAR
from ._triage_controls import TriageControls
from ._triage_files import GROUPS, make_file
from ._triage_journal import Diary
from ._triage_preview import Look, Previews
from ._triage_view import PAGE, Asked, Content, compute, facts
from ._triage_writing import OPERATIONS, Writing

log = logging.getLogger("xaieval.app")

POLL_MS = 1500
"""How often the journal is asked whether something new was written, while the page is shown."""
THUMB_PX = 112
COLOURING = ("opacity", "colormap")


class TriagePage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "triage"
    title = "Triage"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self._content: Content | None = None
        self._version = self._selecting = self._thumbing = 0
        self._heard = self._sent = (0, 0)  # turns of the marks, versions of the view
        self._settling = False
        self._look_method = ""  # chosen beside the image; '' is the state's
        self._top = state.page == self.id and not state.image
        self.desk = Desk(self._on_message)
        self.patterns = Patterns(self._on_message)
        self.controls = TriageControls(self.patterns)
        author = pn.state.user or author_name()
        self.writing = Writing(services, self.desk, author, self._marked)
        self.previews = Previews(services, self._show_preview)
        self._root = pmui.Row(self.controls.rail(), self.desk, sizing_mode="stretch_both", margin=0)
        self._connect()
        self.computed = Computed[Content](
            state,
            services.pool,
            page=self.id,
            fields=FILTERS,
            settle=self._settle,
            plan=self._plan,
            show=self._show,
            fail=self._fail,
        )
        state.param.watch(self._on_selected, ["image", "seed"])
        provide(state, self.id, self._defined)
        state.param.watch(lambda *_: self._preview(), list(COLOURING))
        state.param.watch(self._on_page, "page")
        self._polling: Any = None
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: self.close())
            self._polling = pn.state.add_periodic_callback(self._follow, period=POLL_MS)
        self._settle()
        pn.state.onload(self._begin)

    def close(self) -> None:
        """Stop what still runs for this session."""
        self.previews.close()
        if self._polling is not None:
            self._polling.stop()
            self._polling = None

    # ------------------------------------------------------------ parts

    @property
    def results(self) -> Results:
        """The opened results that the state names, else the first measured ones."""
        opened = self.services.results
        if self.state.study in opened:
            return opened[self.state.study]
        measured = (r for r in opened.values() if r.kind == "measured")
        return next(measured, next(iter(opened.values())))

    @property
    def _study(self) -> str:
        return next(key for key, r in self.services.results.items() if r is self.results)

    @property
    def diary(self) -> Diary:
        """Tags, notes and views of the study shown."""
        return self.writing.diary(self.results.study.id)

    # ------------------------------------------------------------ choices

    def _connect(self) -> None:
        panel = self.controls

        def heed(widget: Any, change: Callable[[Any], object]) -> None:
            widget.param.watch(lambda e: None if self._settling else change(e.new), "value")

        def put(name: str) -> Callable[[Any], object]:
            return lambda value: self.state.param.update(**{name: value})

        for widget, name in (
            (panel.split, "split"),
            (panel.class_name, "class_name"),
            (panel.answers, "answers"),
            (panel.images, "images"),
            (panel.metric, "metric"),
            (panel.method, "method"),
            (panel.region, "region"),
            (panel.tag, "tag"),
        ):
            heed(widget, put(name))
        heed(panel.study, lambda key: key and self.state.param.update(study=key))
        heed(panel.seed, lambda v: self.state.param.update(part_seed=int(v) if v else None))
        panel.clear.on_click(lambda _: self.state.param.update(**CLEAR))

    def _settle(self) -> None:
        """Bring the state's values into what there is, and the widgets after them."""
        if self._settling:
            return
        self._settling = True
        try:
            results = self.results
            if results.kind == "measured":
                settle(self.state, results)
                self.controls.offer(self.services, results, self.state)
                self.controls.offer_tags(self.diary.tags(), self.state.tag)
            else:
                self.controls.offer_none(self.services, results)
        finally:
            self._settling = False

    # ------------------------------------------------------------ showing the queue

    async def _begin(self) -> None:
        await self._follow()
        await self.computed.refresh()

    def _plan(self) -> Callable[[], Content] | None:
        results, state = self.results, self.state
        if results.kind == "published":
            self._show_published(results)
            return None
        wanted = Asked(study=self._study, marks=self.diary.marks(), **asked(state, results))
        if self._content is None or self._content.asked.study != wanted.study:
            self.desk.view = {"status": "loading"}
        return functools.partial(compute, self.services, wanted)

    def _show(self, content: Content) -> None:
        before, self._content = self._content, content
        state = self.state
        at = content.place(state.image, state.seed)
        if self._top and before is None:
            at = -1
        first = at < 0 and len(content.rows) > 0
        self._version += 1
        status = "ready" if len(content.rows) else "empty"
        view = {
            **content.view,
            "status": status,
            "version": self._version,
            "selected": 0 if first else at,
            "find": state.find,
            "listed": state.listed,
            "files": GROUPS,
            "back": bool(state.outcome),
        }
        if view["plots"] is not None:
            view["plots"] = {**view["plots"], "id": self._version}
        if status == "empty":
            view["message"] = _nothing(content)
        self.desk.view = view
        self.patterns.view = content.patterns
        if before is None:
            self.writing.send()
        if first:
            self._choose(0)
        elif at >= 0:
            self._preview()
        else:
            self.previews.close()
            self.desk.preview = {"state": "none"}

    def _fail(self, text: str) -> None:
        self._content = None
        self.previews.close()
        actions = [{"id": "retry", "label": "Try again"}]
        actions.append({"id": "clear", "label": "Clear the filters"})
        self.desk.view = {
            "status": "error",
            "message": {
                "title": "These rows cannot be shown",
                "lines": [text],
                "actions": actions,
            },
        }

    def _show_published(self, results: Results) -> None:
        self._content = None
        self.previews.close()
        others = [
            {"id": f"study:{key}", "label": f"Show {other.title}"}
            for key, other in self.services.results.items()
            if other.kind == "measured"
        ]
        self.patterns.view = {"groups": [], "note": ""}
        self.desk.view = {
            "status": "empty",
            "message": {
                "title": "Published results hold no single images",
                "lines": [
                    f"{results.title} was re-aggregated from published runs: there is no row to "
                    "look at. Run the study yourself, or look at a measured one."
                ],
                "actions": others[:3],
            },
        }

    # ------------------------------------------------------------ the chosen row

    def _choose(self, at: int) -> None:
        content = self._content
        if content is None or not 0 <= at < len(content.rows):
            return
        row = int(content.rows[at])
        held = content.table.rows
        self._selecting += 1
        try:
            self.state.param.update(image=held.urls[held.sample[row]], seed=int(held.seed[row]))
        finally:
            self._selecting -= 1
        self._preview()

    def _on_selected(self, *_: param.parameterized.Event) -> None:
        """Follow a choice made elsewhere: a link, the browser's back button, Explore."""
        if self._selecting or self.state.page != self.id or self._content is None:
            return
        at = self._content.place(self.state.image, self.state.seed)
        if at >= 0:
            self.desk.chosen = {"at": at, "version": self._version}
            self._preview()

    def _row(self) -> int | None:
        if self._content is None:
            return None
        return self._content.table.find(self.state.image, self.state.seed)

    @property
    def _method(self) -> str:
        """The method whose heatmap is shown."""
        table = self._content.table if self._content else None
        if table is None:
            return ""
        for key in (self._look_method, self.state.method, *table.compete, *table.methods):
            if key in table.methods:
                return key
        return ""

    def _preview(self) -> None:
        if self.state.page == self.id and self._content is not None:
            pn.state.execute(self._look)

    async def _look(self) -> None:
        content, row = self._content, self._row()
        if content is None or row is None or content.place(self.state.image, self.state.seed) < 0:
            return
        at = content.place(self.state.image, self.state.seed)
        near = [content.rows[i] for i in (at + 1, at + 2) if i < len(content.rows)]
        ahead = tuple(self._look_at(content, int(other)) for other in near)
        shown = facts(content, row, method=self._method)
        await self.previews.show(self._look_at(content, row), shown, ahead=ahead)

    def _look_at(self, content: Content, row: int) -> Look:
        held, table = content.table.rows, content.table
        region = table.region if table.region in table.results.regions else self.state.region
        return Look(
            study=content.asked.study,
            sample_id=held.samples[held.sample[row]],
            seed=int(held.seed[row]),
            split=held.splits[held.split[row]],
            method=self._method,
            region=region,
            opacity=self.state.opacity,
            colormap=self.state.colormap,
        )

    def _defined(self, metric: str, of: str) -> MapAsked | None:
        """Return the map that a number beside the chosen image is of."""
        content, row = self._content, self._row()
        if content is None or row is None:
            return None
        look = self._look_at(content, row)
        return map_of(
            self.services,
            look.study,
            look.sample_id,
            seed=look.seed,
            split=look.split,
            metric=metric,
            of=of,
            region=look.region,
        )

    def _show_preview(self, view: dict[str, Any]) -> None:
        self.desk.preview = view

    # ------------------------------------------------------------ what the person does

    def _on_message(self, message: dict[str, Any]) -> None:
        kind, _, value = str(message.get("type")).partition(":")
        if value:
            message = {**message, "value": value}
        if kind in CHANGES:
            self.state.param.update(**CHANGES[kind](message))
            return
        if kind in OPERATIONS:
            self._write(message)
            return
        handler = getattr(self, f"_do_{kind.replace('-', '_')}", None)
        if handler is None:
            log.warning("the desk sent %s", kind)
            return
        handler(message)

    def _do_heard(self, message: dict[str, Any]) -> None:
        self._heard = int(message.get("turn", 0)), int(message.get("version", 0))

    def _say_again(self) -> None:
        """Send once more what the browser did not hear, as happens while a page is being made."""
        turn, version = self._heard
        sent, self._sent = self._sent, (self.writing.turn, self._version)
        if self._sent != sent:
            return  # it may be on its way
        if turn < self.writing.turn:
            self.writing.send()
        if version < self._version and self._content is not None:
            self._show(self._content)

    def _do_select(self, message: dict[str, Any]) -> None:
        if message.get("version") == self._version:
            self._choose(int(message["at"]))

    def _do_rows(self, message: dict[str, Any]) -> None:
        content, start = self._content, int(message["start"])
        if content is None or message.get("version") != self._version or start < 0:
            return

        async def send() -> None:
            loop = asyncio.get_running_loop()
            version = self._version
            rows = await loop.run_in_executor(self.services.pool, content.page, start, PAGE)
            if version == self._version:
                self.desk.rows = {"version": version, "start": start, "rows": rows}

        pn.state.execute(send)

    def _do_thumbs(self, message: dict[str, Any]) -> None:
        wanted = [str(image) for image in message.get("ids", ())][:200]
        self._thumbing += 1
        pn.state.execute(functools.partial(self._send_thumbs, wanted, self._thumbing))

    async def _send_thumbs(self, wanted: list[str], turn: int) -> None:
        """Send the thumbnails in sight, a few at a time, while they are still in sight."""
        content = self._content
        loop = asyncio.get_running_loop()
        for start in range(0, len(wanted), 8):
            if content is None or turn != self._thumbing:
                return
            some = wanted[start : start + 8]
            found = await loop.run_in_executor(self.services.later, self._thumbs, content, some)
            self.desk.thumbs = found

    def _thumbs(self, content: Content, images: list[str]) -> dict[str, str]:
        found = {}
        held = content.table.rows
        for image in images:
            rows = held.of_sample(image)
            try:
                found[image] = (
                    self.services.thumb(
                        content.asked.study,
                        held.samples[held.sample[rows[0]]],
                        side_px=THUMB_PX,
                    )
                    if len(rows)
                    else ""
                )
            except (XaievalError, OSError, KeyError):
                found[image] = ""
        return found

    def _do_point(self, message: dict[str, Any]) -> None:
        content = self._content
        at = int(message.get("value", -1))
        if content is None or message.get("plot") != self._version:
            return
        if 0 <= at < len(content.points):
            held, row = content.table.rows, int(content.points[at])
            place = content.place(held.urls[held.sample[row]], int(held.seed[row]))
            if place >= 0:
                self.desk.chosen = {"at": place, "version": self._version}
                self._choose(place)

    def _do_study(self, message: dict[str, Any]) -> None:
        if message.get("value") in self.services.results:
            self.state.study = message["value"]

    def _do_retry(self, _: dict[str, Any]) -> None:
        if self._content is None:
            pn.state.execute(self.computed.refresh)
        else:
            self._preview()

    def _do_method(self, message: dict[str, Any]) -> None:
        self._look_method = str(message.get("value", ""))
        self._preview()

    def _do_back(self, _: dict[str, Any]) -> None:
        """Show Batch as it was when it opened this queue."""
        self.state.param.update(page="batch", **self.state.came)

    def _do_open(self, message: dict[str, Any]) -> None:
        """Open the chosen image in Explore: the same image, model, method and score."""
        row, content = self._row(), self._content
        if content is None or row is None:
            return
        held = content.table.rows
        split = held.splits[held.split[row]]
        changes: dict[str, Any] = {
            "page": "explore",
            "study": self._study,
            "image": held.urls[held.sample[row]],
            "seed": int(held.seed[row]),
            "split": self.state.split if self.state.split == ANY else split,
        }
        method = self._method
        try:
            catalogue = self.services.catalogue(self._study)
        except (XaievalError, OSError):
            catalogue = None  # Explore says what is missing
        if catalogue is not None:
            if (
                self.state.split == ANY
                and catalogue.split_of(held.samples[held.sample[row]]) != split
            ):
                changes["split"] = split  # without a split Explore takes the other one's model
            keys = self.state.methods or catalogue.first_methods
            if method in catalogue.methods and method not in keys:
                chosen = {*keys, method}
                changes["methods"] = tuple(key for key in catalogue.methods if key in chosen)
        self.state.param.update(**changes)

    # ------------------------------------------------------------ the journal

    async def _follow(self) -> None:
        """Show what others wrote since; a hidden page asks nothing."""
        if self.state.page != self.id or self.results.kind == "published":
            return
        try:
            news = await self.writing.follow(self.results.study.id)
        except (XaievalError, OSError) as error:
            self.state.notify(f"Tags and notes cannot be read: {error}")
            return
        if not news:
            self._say_again()

    def _marked(self, diary: Diary, touched: set[str]) -> None:
        """Take over new tags and notes."""
        self._settling = True
        try:
            self.controls.offer_tags(diary.tags(), self.state.tag)
        finally:
            self._settling = False
        if self._content is not None and touched:
            self._content.take(diary.marks())  # rows sent later know them too
            if self.state.tag or self.state.find:
                self.computed.ask()

    def _write(self, message: dict[str, Any]) -> None:
        async def run() -> None:
            link = write_link(self.state)
            await self.writing.write(self.results.study.id, message, link=link)
            await self._follow()

        pn.state.execute(run)

    def _do_open_view(self, message: dict[str, Any]) -> None:
        link = str(message.get("value", ""))
        self.state.restore(link, study=self.services.key_of, keep=("page",))

    def _on_page(self, event: param.parameterized.Event) -> None:
        if event.new != self.id:
            if event.old == self.id:
                self.previews.close()
            return
        self.writing.send()
        pn.state.execute(self._follow)
        if self._content is not None:  # the component is built anew: everything once more
            self._show(self._content)

    # ------------------------------------------------------------ files

    def _do_export(self, message: dict[str, Any]) -> None:
        content, kind = self._content, str(message.get("value"))
        if content is None:
            return
        row, marks = self._row(), self.diary.marks()

        async def run() -> None:
            trouble = ""
            try:
                found = await asyncio.get_running_loop().run_in_executor(
                    DRAWING, make_file, content, kind, row, marks
                )
                self.desk.file = {**found, "request": message.get("request", 0)}
            except (XaievalError, OSError) as error:
                trouble = f"No file: {error}"
            except Exception as error:
                log.exception("an export failed")
                trouble = f"No file: {type(error).__name__}: {error}"
            self.desk.said = {
                "request": message.get("request", 0),
                "text": "" if trouble else f"{self.desk.file['name']} is made.",
                "trouble": trouble,
            }

        pn.state.execute(run)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def _nothing(content: Content) -> dict[str, Any]:
    lines = ["No image-model pair passes all filters."]
    if len(content.drawn):
        lines = ["Nothing lies in the marked ranges: mark others, or clear them."]
    return {
        "title": "Nothing here",
        "lines": lines,
        "actions": [{"id": "clear", "label": "Clear the filters"}],
    }
