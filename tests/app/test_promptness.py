"""Small messages are not held back."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from app.promptness import send_at_once


def options_of_connections(handler: type[Any]) -> int:
    """Return TCP_NODELAY of the server's side of a websocket."""
    found: list[int] = []

    class Watched(handler):  # type: ignore[misc, valid-type]
        def on_message(self, message: str | bytes) -> None:
            connection = self.ws_connection.stream.socket
            found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            self.close()

    async def talk() -> None:
        server = HTTPServer(Application([("/ws", Watched)]))
        listening, port = bind_unused_port()
        server.add_socket(listening)
        client = await websocket_connect(f"ws://127.0.0.1:{port}/ws")
        await client.write_message("hello")
        await client.read_message()
        server.stop()

    asyncio.run(talk())
    return found[0]


def test_a_handler_sends_at_once_and_still_opens() -> None:
    opened = []

    class Plain(WebSocketHandler):
        def open(self, *arguments: str, **named: str) -> None:
            opened.append(self)

    assert options_of_connections(Plain) == 0
    send_at_once(Plain)
    once = Plain.open
    send_at_once(Plain)
    assert Plain.open is once
    assert options_of_connections(Plain) != 0
    assert len(opened) == 2
