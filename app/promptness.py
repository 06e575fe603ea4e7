"""Small messages leave at once."""

from __future__ import annotations

from functools import wraps
from typing import Any


def send_at_once(handler: type[Any]) -> None:
    """Make a websocket handler's connections send small messages without waiting.

    Bokeh sends each change as three small messages. By default TCP holds the second one back until
    the browser has confirmed the first (Nagle's algorithm, RFC 896), which browsers put off by
    40 ms: almost half of what a click may take. ``handler`` is changed in place, once.
    """
    opens = handler.open
    if getattr(opens, "sends_at_once", False):
        return

    @wraps(opens)
    def open_at_once(self: Any, *arguments: str, **named: str) -> Any:
        self.set_nodelay(True)
        return opens(self, *arguments, **named)

    open_at_once.sends_at_once = True  # type: ignore[attr-defined]
    handler.open = open_at_once
