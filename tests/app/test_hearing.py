"""Changes reach a page that was delivered but is not drawn yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from bokeh.document.events import ModelChangedEvent
from bokeh.models import Div

from app.hearing import heard_once_delivered


def changed_after_delivery(session: type[Any]) -> list[str]:
    """Return what a browser hears of a change under hold, made before it has drawn the page."""
    document = Document()
    document._session_context = lambda: SimpleNamespace(session=None)  # type: ignore[assignment]
    text = Div(text="delivered")
    document.add_root(text)
    heard: list[str] = []

    def hear(event: Any) -> None:
        if isinstance(event, ModelChangedEvent):
            heard.append(event.new)

    document.on_change(hear)
    assert session(document)._handle_pull("request", "connection") == "page"
    with pn.io.hold(document):
        text.text = "changed"
    document.unhold()  # what waits for the next turn of the loop
    return heard


@pytest.fixture
def plain() -> type[Any]:
    class Session:
        def __init__(self, document: Document) -> None:
            self.document = document

        def _handle_pull(self, message: str, connection: str) -> str:
            return "page"

    return Session


def test_without_it_a_change_is_lost(plain: type[Any]) -> None:
    """When this fails, Panel has mended it and ``app/hearing.py`` can go."""
    assert changed_after_delivery(plain) == []


def test_a_delivered_page_hears_of_changes(plain: type[Any]) -> None:
    heard_once_delivered(plain)
    once = plain._handle_pull
    heard_once_delivered(plain)
    assert plain._handle_pull is once
    assert changed_after_delivery(plain) == ["changed"]


def test_bokeh_delivers_pages_where_it_is_expected() -> None:
    from bokeh.server.session import ServerSession

    assert ServerSession.pull.__func__.__code__.co_names == ("session", "_handle_pull")
