"""What a message of the desk changes in the state: ranges, filters, order, lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xaieval.errors import XaievalError
from xaieval.stats.patterns import Thresholds

from ..state import ANY, LISTED

Message = Mapping[str, Any]
Changes = dict[str, Any]

CLEAR: Changes = {
    "split": ANY,
    "class_name": ANY,
    "part_seed": None,
    "answers": "all",
    "pattern": "",
    "confidence": (),
    "span": (),
    "outcome": "",
    "tag": "",
    "find": "",
}
"""What lets every row through."""


def _brush(message: Message) -> Changes:
    def ends(name: str) -> tuple[float, ...]:
        found = tuple(round(float(value), 4) for value in message.get(name) or ())
        return found if len(found) == 2 and found[0] <= found[1] else ()

    return {"confidence": ends("confidence"), "span": ends("span")}


def _find(message: Message) -> Changes:
    text = "".join(sign for sign in str(message.get("value", ""))[:200] if sign.isprintable())
    return {"find": text.strip()}


def _lines(message: Message) -> Changes:
    values = tuple(round(float(value), 4) for value in message.get("value") or ())
    usual = Thresholds()
    if not values or values == (usual.high, usual.covered, usual.low):
        return {"lines": ()}
    try:
        Thresholds(*values)
    except (XaievalError, TypeError):
        return {}
    return {"lines": values}


def _listed(message: Message) -> Changes:
    return {"listed": message["value"]} if message.get("value") in LISTED else {}


def _remove(message: Message) -> Changes:
    name = str(message.get("value"))
    return {name: CLEAR[name]} if name in CLEAR else {}


def _text(name: str) -> Callable[[Message], Changes]:
    return lambda message: {name: str(message.get("value", ""))}


CHANGES: dict[str, Callable[[Message], Changes]] = {
    "brush": _brush,
    "clear": lambda _: dict(CLEAR),
    "find": _find,
    "lines": _lines,
    "listed": _listed,
    "order": _text("order"),
    "outcome": _text("outcome"),
    "pattern": _text("pattern"),
    "remove": _remove,
}
"""Type of a message -> what it changes, by the state's names."""
