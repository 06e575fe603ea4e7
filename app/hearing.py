"""What changes between a page's delivery and its last brush stroke is not lost."""

from __future__ import annotations

from functools import wraps
from typing import Any

import panel as pn


def heard_once_delivered(session: type[Any]) -> None:
    """Let changes reach a browser from the moment on in which it was handed its page.

    Panel (1.9, ``io/document.py``) throws away what changes under ``hold`` until the browser says
    that everything is drawn, for the page "is serialised in full once the session connects". It is
    serialised earlier, when the browser pulls it: what a person did in the second between was lost,
    and later changes of lost parts ended in an error. The browser itself hears everything from its
    page's arrival on. ``session``, Bokeh's ``ServerSession``, is changed in place, once.
    """
    pull = session._handle_pull
    if getattr(pull, "hears", False):
        return

    @wraps(pull)
    def hear(self: Any, *arguments: Any) -> Any:
        # Both: a change of what is "connected" is not put off until it holds the document's lock,
        # and only a "loaded" page may hear of changes made without that lock.
        pn.state._connected[self.document] = pn.state._loaded[self.document] = True
        return pull(self, *arguments)

    hear.hears = True  # type: ignore[attr-defined]
    session._handle_pull = hear
