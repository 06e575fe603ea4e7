"""The card behind every number: what it means, and what this very map scores elsewhere.

Any element with ``data-define="KEY"`` (a metric key or a key of ``xaieval.glossary``) opens it;
with ``data-of="METHOD"`` the page that is shown says which map is meant, through ``provide``.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.custom import JSComponent

from xaieval.defining import Definition
from xaieval.errors import Cancelled, XaievalError
from xaieval.glossary import define
from xaieval.metrics import parse_metric

from .defined_maps import Found, MapAsked, other_poolings, own_values
from .services import Services
from .state import AppState
from .theme import TOKENS

log = logging.getLogger("xaieval.app")

_HERE = Path(__file__).parent
Provider = Callable[[str, str], MapAsked | None]
"""``provider(metric key, method key)``: the map that a page means; None: it shows none."""

_PROVIDERS = "_definition_providers"
"""Attribute of a state. A provider holds its page, which holds the state: a table of our own would
keep all three for ever."""

ROWS = {
    "pooling": "Channels",
    "tie_rule": "Equal values",
    "resize": "Mask",
    "left_out": "Left out",
    "range": "Range",
    "better": "Better",
    "chance": "By chance",
    "source": "Source",
}


def provide(state: AppState, page: str, provider: Provider) -> None:
    """Let a page of a session say which map its numbers are of."""
    vars(state).setdefault(_PROVIDERS, {})[page] = provider


def card_of(definition: Definition) -> dict[str, Any]:
    """Return a definition as ``definitions.js`` takes it."""
    rules = [[name, getattr(definition, key)] for key, name in ROWS.items()]
    return {
        "key": definition.key,
        "label": definition.label,
        "words": definition.words,
        "mathml": definition.mathml if definition.formula else "",
        "plain": definition.plain,
        "symbols": definition.symbols,
        "rules": [[name, text] for name, text in rules if text],
    }


class Definitions(JSComponent):
    """One dialog per session; the shell mounts it."""

    card = param.Dict(default={})

    _esm = _HERE / "definitions.js"
    _stylesheets = [TOKENS, (_HERE / "definitions.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, state: AppState, services: Services, **params: Any) -> None:
        super().__init__(width=0, height=0, margin=0, **params)
        self._state, self._services = state, services
        self._asked = 0

    def _handle_msg(self, message: dict[str, Any]) -> None:
        self._asked += 1
        if message.get("type") != "open":
            return
        key, of = str(message.get("key", ""))[:200], str(message.get("of", ""))[:400]
        asked = int(message.get("asked", 0))
        try:
            card = {**card_of(define(key)), "asked": asked}
        except XaievalError as error:
            self.card = {"asked": asked, "key": key, "label": key, "error": str(error)}
            return
        meant = self._meant(key, of) if of else None
        if meant is None:
            self.card = card
            return
        card["subject"] = {"what": meant.what}
        self.card = {**card, "pending": "Scoring the map …"}
        pn.state.execute(functools.partial(self._score, card, meant))

    def _meant(self, key: str, of: str) -> MapAsked | None:
        provider = vars(self._state).get(_PROVIDERS, {}).get(self._state.page)
        try:
            parse_metric(key)
        except XaievalError:
            return None
        return provider(key, of) if provider else None

    async def _score(self, card: dict[str, Any], meant: MapAsked) -> None:
        """Show the values as they come: first of the map itself, then of its other poolings."""
        asked, loop = self._asked, asyncio.get_running_loop()

        async def found_by(work: Callable[[Services, MapAsked], Found]) -> Found:
            return await loop.run_in_executor(self._services.pool, work, self._services, meant)

        try:
            found = await found_by(own_values)
            if asked != self._asked:
                return
            more = found.more
            self.card = {**card, **found.shown, "pending": more}
            if more:
                found = await found_by(other_poolings)
                if asked == self._asked:
                    self.card = {**card, **found.shown}
        except Cancelled:
            return
        except Exception as error:
            known = isinstance(error, XaievalError)
            if not known:
                log.exception("no values for a definition")
            if asked == self._asked:
                text = str(error) if known else f"{type(error).__name__}: {error}"
                self.card = {**card, "problem": f"The variants could not be computed: {text}"}
