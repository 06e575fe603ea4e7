"""Runs once when the server starts: what every session needs, so that the first one is quick."""


def on_server_loaded(server_context: object) -> None:
    """Load all pages and the numeric libraries with them; let small messages leave at once.

    What is loaded here stays: the garbage collector need not go through it in the midst of a click.
    """
    import gc

    from bokeh.server.session import ServerSession
    from bokeh.server.views.ws import WSHandler

    from . import shell
    from .hearing import heard_once_delivered
    from .promptness import send_at_once

    assert shell
    send_at_once(WSHandler)
    heard_once_delivered(ServerSession)
    gc.collect()
    gc.freeze()
