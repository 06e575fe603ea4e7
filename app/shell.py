"""The frame around the pages: title, navigation, link button, notices; pages built when shown."""

from __future__ import annotations

import logging
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from .access import Access
from .connection import Connection
from .definitions import Definitions
from .help import Help
from .keys import Keys
from .pages import PAGES
from .pins import Pins, stamp_now
from .presenter import Presenter
from .services import Services
from .state import AppState, write_link
from .theme import FRAME, HEADER, HIDE_LABEL, LOADING, THEME

log = logging.getLogger("xaieval.app")

_COPY = """
const stamp = document.documentElement.dataset.stamp;
const link = window.location.href.split("#")[0];
const text = link + (stamp ? (link.includes("?") ? "&" : "?") + "as=" + stamp : "");
const fallback = () => {
  const area = document.createElement("textarea");
  area.value = text; document.body.appendChild(area); area.select();
  document.execCommand("copy"); area.remove();
};
if (navigator.clipboard && window.isSecureContext) {
  navigator.clipboard.writeText(text).catch(fallback);
} else { fallback(); }
"""


class Shell(pn.viewable.Viewer):
    """One session: its state, the navigation, and the page shown."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.state = AppState()
        location = pn.state.location
        if location is not None:
            self._restore(location.search)
        for problem in services.problems:
            if services.results:
                self.state.notify(f"{problem.argument} could not be opened: {problem.text}")
        self._bodies: dict[str, pn.viewable.Viewable] = {}
        # Not a pmui.Column: a figure entering one later is measured before it is laid out.
        # The page scrolls here: the frame around it is as high as the window and cuts off the rest.
        self._main = pn.Column(
            sizing_mode="stretch_both", margin=0, styles={"overflow-y": "auto", "min-height": "0"}
        )
        self._notices = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._pins = Pins(self.state, services)
        self._presenter = Presenter(self.state, services)
        self._access = Access(width=0, height=0, margin=0)
        self.state.param.watch(self._show_page, "page")
        self.state.param.watch(self._show_notices, "notices")
        self._show_page()
        self._show_notices()
        if location is not None:
            self.state.param.watch(self._write_link, [n for n in self.state.param if n != "name"])
            location.param.watch(self._follow_link, "search")

    def _write_link(self, *_: param.parameterized.Event) -> None:
        location = pn.state.location
        link = write_link(self.state)
        if location is not None and location.search != link:
            location.search = link

    def _follow_link(self, event: param.parameterized.Event) -> None:
        """Follow the browser's back and forward buttons."""
        if event.new != write_link(self.state):
            self._restore(event.new)

    def _restore(self, search: str) -> None:
        services = self.services
        self.state.restore(
            search, study=services.key_of, stamp=lambda state: stamp_now(state, services)
        )

    def _show_page(self, *_: param.parameterized.Event) -> None:
        self._main[:] = [self._body(self.state.page)]
        self._access.page = next(s.title for s in PAGES if s.id == self.state.page)

    def _body(self, page: str) -> pn.viewable.Viewable:
        """Build a page's body when it is first shown; a page that fails says so in its place."""
        if not self.services.results:
            return nothing_opened(self.services)
        if page not in self._bodies:
            spec = next(spec for spec in PAGES if spec.id == page)
            try:
                self._bodies[page] = pn.panel(spec.build(self.state, self.services))
            except Exception as error:
                log.exception("page %s failed", page)
                return message(
                    f"The page {spec.title} could not be built",
                    f"{type(error).__name__}: {error}",
                    "The other pages still work. The server's log holds the details.",
                )
        return self._bodies[page]

    def _show_notices(self, *_: param.parameterized.Event) -> None:
        notices = self.state.notices
        if not notices:
            self._notices[:] = []
            return
        alert = pmui.Alert(
            object=" ".join(notices),
            severity="warning",
            variant="outlined",
            closeable=True,
            sizing_mode="stretch_width",
            margin=(8, 16, 0, 16),
        )
        alert.param.watch(lambda _: setattr(self.state, "notices", []), "closed")
        self._notices[:] = [alert]

    def _header(self) -> list[pn.viewable.Viewable]:
        navigation = pmui.RadioButtonGroup(
            options={spec.title: spec.id for spec in PAGES},
            value=self.state.page,
            size="small",
            color="primary",
            label="Page",
            stylesheets=[HIDE_LABEL, HEADER],
            margin=(8, 24),
        )
        navigation.link(self.state, value="page", bidirectional=True)
        share = pmui.Button(
            label="Copy link",
            icon="link",
            size="small",
            variant="text",
            color="primary",
            margin=(11, 8),
            stylesheets=[HEADER],
            description="Copy a link to exactly this view",
        )
        share.js_on_click(code=_COPY)
        aid = Help(self.state.page)
        aid.link(self.state, page="page", bidirectional=True)
        pin = pmui.Button(
            label="Pin",
            icon="push_pin",
            size="small",
            variant="text",
            color="primary",
            margin=(11, 0),
            stylesheets=[HEADER],
            description="Pin this view to a story (p)",
        )
        pin.on_click(lambda _: self._pins.pin())
        return [navigation, pn.layout.HSpacer(), pin, share, aid]

    def __panel__(self) -> pn.viewable.Viewable:
        return _quiet_page(
            title="xaieval",
            header=self._header(),
            main=[
                pmui.Column(
                    self._notices,
                    self._main,
                    Keys(width=0, height=0, margin=0),
                    self._pins,
                    self._presenter,
                    self._access,
                    Connection(width=0, height=0, margin=0),
                    Definitions(self.state, self.services),
                    sizing_mode="stretch_both",
                    margin=0,
                ),
            ],
            theme_config=THEME,
            sx=FRAME,
            busy_indicator=None,
            raw_css=[LOADING],
            sizing_mode="stretch_both",
        )

    def server_doc(self) -> None:
        """Serve this session's page."""
        page = self.__panel__()
        assert isinstance(page, pmui.Page)
        page.server_doc(title="xaieval")


def _quiet_page(**params: Any) -> pmui.Page:
    """Return a frame that does not follow how busy the server is.

    Panel has one sign of it for all sessions: each event of anybody would change every frame, twice
    (panel-material-ui 0.16 walks the whole page for that, some 0.1 s), and keep it for ever.
    """

    def followers() -> list[Any]:
        return list(pn.state.param.watchers.get("busy", {}).get("value", []))

    before = followers()
    page = pmui.Page(**params)
    for watcher in followers():
        if watcher not in before:
            pn.state.param.unwatch(watcher)
    return page


def message(title: str, *lines: str) -> pn.viewable.Viewable:
    """Return a quiet panel that says what is missing and what to do."""
    return pmui.Column(
        pmui.Typography(title, variant="h6", margin=(0, 0, 8, 0)),
        *(pmui.Typography(line, variant="body2", margin=(0, 0, 8, 0)) for line in lines),
        margin=(48, 48),
        max_width=720,
    )


def nothing_opened(services: Services) -> pn.viewable.Viewable:
    """Return the page shown when no argument of the command line could be opened."""
    return message(
        "Nothing could be opened",
        *(f"{problem.argument}: {problem.text}" for problem in services.problems),
        "Name a results folder or a study: panel serve app --args results/my-study. "
        "Without arguments the built-in study opens.",
    )
