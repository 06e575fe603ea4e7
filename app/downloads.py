"""Download buttons of every page: a file is made when its button is pressed.

They carry no tooltip: it would lie over the next button.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import panel_material_ui as pmui

from xaieval.errors import XaievalError
from xaieval.export import FIGURE_FORMATS, TABLE_FORMATS

log = logging.getLogger("xaieval.app")

NAMES = {
    "png": "PNG",
    "svg": "SVG",
    "pdf": "PDF",
    "html": "HTML",
    "csv": "CSV",
    "tex": "LaTeX",
    "json": "JSON",
}

DRAWING = ThreadPoolExecutor(1, thread_name_prefix="xaieval-file")
"""Where files are drawn: off the event loop, one at a time (matplotlib's settings are global)."""


class Buttons:
    """Buttons for one figure (with its sidecar) and one table.

    ``figure``, ``table`` and ``about`` make the bytes of a format when its button is pressed, in a
    worker thread; ``name`` the file's name. ``on_error`` hears a sentence when a file could not be
    made.

    Attributes
    ----------
    figure, table : pmui.Row
        The buttons of the figure and its sidecar, those of the table.
    """

    def __init__(
        self,
        stem: str,
        *,
        figure: Callable[[str], bytes],
        table: Callable[[str], bytes] | None = None,
        about: Callable[[], dict[str, Any]],
        name: Callable[[str], str],
        figures: Iterable[str] = tuple(FIGURE_FORMATS),
        tables: Iterable[str] = tuple(TABLE_FORMATS),
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        self._stem, self._file_name, self._sidecar = stem, name, about
        self._on_error = on_error
        drawn = [self._button(kind, figure) for kind in figures]
        drawn.append(self._button("json", self._about, label="About"))
        written = [] if table is None else [self._button(kind, table) for kind in tables]
        row = {"margin": 0, "sx": {"gap": "4px"}}
        self.figure = pmui.Row(*drawn, **row)
        self.table = pmui.Row(*written, **row)

    def _button(
        self,
        kind: str,
        make: Callable[[str], bytes],
        *,
        label: str | None = None,
    ) -> pmui.FileDownload:
        def file() -> tuple[str, bytes]:
            data = make(kind)
            name = self._file_name(kind)
            return name.replace(".json", "-about.json") if label else name, data

        return download(
            file, stem=f"{self._stem}.{kind}", label=label or NAMES[kind], on_error=self._on_error
        )

    def _about(self, kind: str) -> bytes:
        return json.dumps(self._sidecar(), indent=1, ensure_ascii=False).encode()


def download(
    make: Callable[[], tuple[str, bytes]],
    *,
    stem: str,
    label: str,
    on_error: Callable[[str], None] | None = None,
    **look: Any,
) -> pmui.FileDownload:
    """Return a button that sends a file; ``make`` returns its name and bytes, in a worker."""
    button = pmui.FileDownload(
        callback=_off_the_loop(make, on_error, lambda name: setattr(button, "filename", name)),
        filename=stem,
        label=label,
        **{
            "variant": "text",
            "color": "default",
            "size": "small",
            "icon": "download",
            "margin": 0,
            **look,
        },
    )
    return button


def _off_the_loop(
    make: Callable[[], tuple[str, bytes]],
    on_error: Callable[[str], None] | None,
    put_name: Callable[[str], None],
) -> Callable[[], Awaitable[io.BytesIO]]:
    async def callback() -> io.BytesIO:
        try:
            name, data = await asyncio.get_running_loop().run_in_executor(DRAWING, make)
        except (XaievalError, OSError) as error:
            if on_error is None:
                raise
            on_error(f"The file could not be made: {error}")
            raise
        put_name(name)
        return io.BytesIO(data)

    return callback
