"""What computed pages share: nothing while hidden, the newest wins, loading, words for trouble."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from html import escape
from typing import Any, Generic, TypeVar

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.errors import XaievalError

from ..latest import Latest, Superseded
from ..state import AppState
from ..theme import TOKENS

log = logging.getLogger("xaieval.app")
C = TypeVar("C")

AS_HIGH_AS_NEEDED = {"max-height": "none"}
"""Styles of a page that scrolls. Panel's ``max-height: 100%`` goes down to every part of it, and
one that is higher than the window would lie under the next."""

_STYLE = (
    TOKENS
    + """
h2 { font-size: var(--t-title); font-weight: 600; margin: 0; }
.quiet { color: var(--quiet); }
"""
)


class Computed(Generic[C]):
    """Computes what a page shows of the state: in the pool, and only while somebody looks.

    Parameters
    ----------
    page : str
        The id of the page; while ``state.page`` is another one nothing is computed, and what
        changed meanwhile is caught up with when the page is shown again.
    fields : sequence of str
        The state's values that the page depends on.
    settle : callable
        Brings the widgets into line with the state, before anything is computed.
    plan : callable
        Returns the work of the view asked for, or None when it has shown already that there is
        none. Runs on the event loop; may raise.
    show, fail : callable
        Take the answer, or a sentence that says what went wrong.
    """

    def __init__(
        self,
        state: AppState,
        pool: Executor,
        *,
        page: str,
        fields: Sequence[str],
        settle: Callable[[], None],
        plan: Callable[[], Callable[[], C] | None],
        show: Callable[[C], None],
        fail: Callable[[str], None],
    ) -> None:
        self._state, self._page = state, page
        self._latest = Latest(pool)
        self._settle, self._plan, self._show, self._fail = settle, plan, show, fail
        self._stale = False
        state.param.watch(self.ask, list(fields))
        state.param.watch(self._on_page, "page")

    def ask(self, *_: param.parameterized.Event) -> None:
        """Show what the state asks for, now or when the page is looked at again."""
        if self._state.page != self._page:
            self._stale = True
            return
        self._stale = False
        self._settle()
        if pn.state.curdoc is not None and not pn.state.loaded:
            pn.state.onload(self.refresh)  # before, Panel drops what changes in the browser
        else:
            pn.state.execute(self.refresh)

    def _on_page(self, event: param.parameterized.Event) -> None:
        if event.new == self._page and self._stale:
            self.ask()

    async def refresh(self) -> None:
        """Compute the view; a newer request makes an older one's answer or error void."""
        self._latest.forget()  # of what was asked before nobody wants to hear, whatever comes now
        try:
            work = self._plan()
            if work is None:
                return
            answer = await self._latest.run(work)
        except Superseded:
            return
        except (XaievalError, OSError) as error:
            self._fail(str(error))
            return
        except Exception as error:
            log.exception("page %s failed", self._page)
            self._fail(f"{type(error).__name__}: {error}")
            return
        self._show(answer)


def html_pane(text: str, *, style: str = _STYLE) -> pn.pane.HTML:
    """Return a pane of HTML as wide as its place."""
    return pn.pane.HTML(text, sizing_mode="stretch_width", margin=0, stylesheets=[style])


def loading(text: str, *heights_px: int) -> pn.Column:
    """Return what stands on a page until its numbers are there."""
    bars = [
        pmui.Skeleton(height=height, sizing_mode="stretch_width", margin=(0, 0, 16, 0))
        for height in heights_px
    ]
    words = html_pane(f'<p class="quiet" role="status">{escape(text)}</p>')
    return pn.Column(words, *bars, sizing_mode="stretch_width", margin=0)


def said(title: str, text: str, *actions: Any, name: str) -> pn.Column:
    """Return an empty or failed page: what is missing, and the ways on.

    ``name`` is "empty" or "error"; an error is read out at once.
    """
    role = "alert" if name == "error" else "status"
    pane = html_pane(
        f'<div role="{role}" data-state="{escape(name)}"><h2>{escape(title)}</h2>'
        f'<p class="quiet">{escape(text)}</p></div>'
    )
    row = pmui.Row(*actions, margin=(12, 0, 0, 0), sx={"gap": "8px"})
    return pn.Column(pane, row, margin=(48, 0), max_width=760)


def action(label: str, do: Callable[[], object], *, outlined: bool = True) -> pmui.Button:
    """Return a small button that does something."""
    button = pmui.Button(label=label, size="small", variant="outlined" if outlined else "text")
    button.on_click(lambda _: do())
    return button
