"""Runs once when the server starts: imports what pages need, so that the first one is quick."""


def on_server_loaded(server_context: object) -> None:
    """Load the pages and, through them, the numeric libraries."""
    from . import shell
    from .pages import explore

    assert shell
    assert explore
