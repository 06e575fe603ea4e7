"""What the Present page shows of stories: the component, and slides as it takes them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent
from PIL import Image

from xaieval.errors import XaievalError
from xaieval.story import Slide, Story, changes_text
from xaieval.story.plates import PAGE_TITLES, Studio, make_plate
from xaieval.story.render import plate_png
from xaieval.story.views import changed_since, troubles

from ..services import Services
from ..theme import TOKENS
from ..warming import Readiness

_HERE = Path(__file__).parents[1] / "present"
PREVIEW_PX = 1280
_THUMB_PX = 112


class Board(JSComponent):
    """Stories and slides on the left, the chosen slide on the right; ``board.js`` draws it.

    What the person does arrives at ``on_message``.
    """

    stories = param.List(default=[], doc="{id, title, n} of each story")
    story = param.Dict(default={}, doc="id, title, slides; {} without one")
    selected = param.String(default="")
    preview = param.Dict(default={}, doc="slide, status, src, alt, text, facts, commands")
    checking = param.Dict(default={}, doc="running, done, total, text, list")
    busy = param.String(default="", doc="the slide that is made ready at the moment")
    toast = param.Dict(default={}, doc="n, text, undo")

    _esm = _HERE / "board.js"
    _stylesheets = [TOKENS, (_HERE / "board.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, on_message: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(sizing_mode="stretch_both", margin=0)
        self._on_message = on_message

    def _handle_msg(self, message: dict[str, Any]) -> None:
        self._on_message(message)


@dataclass(frozen=True)
class Drawn:
    """The page of a slide as the browser takes it, and its thumbnail."""

    view: dict[str, Any]
    thumb: str


def described(
    slide: Slide, found: Readiness | None, *, thumb: str, image_thumb: str = ""
) -> dict[str, Any]:
    """Return a slide as ``board.js`` takes it."""
    what = slide.facts.get("sample") or slide.facts.get("title") or slide.facts.get("study", "")
    changed = found.changed if found is not None else ()
    why = found.why if found is not None else ""
    if changed and not why:
        why = changes_text(changed, what="this was pinned")
    ready = found is not None and found.state == "ready" and found.elapsed_s > 0
    title = PAGE_TITLES.get(slide.page, slide.page)
    return {
        "id": slide.id,
        "page": slide.page,
        "pageTitle": title,
        "what": f"{title}: {what}" if what else title,
        "caption": slide.caption,
        "state": "unknown"
        if found is None or (found.state == "ready" and not ready)
        else found.state,
        "changed": bool(changed),
        "why": why,
        "time": f"Opens in {found.elapsed_s:.1f} s or less." if found is not None and ready else "",
        "thumb": thumb or image_thumb,
    }


def looked_at(story: Story, services: Services) -> dict[str, Readiness]:
    """Return what can be said of each slide without computing anything."""
    found = {}
    for slide in story.slides:
        why = troubles(slide, services.results)
        if why:
            found[slide.id] = Readiness("missing", " ".join(why))
            continue
        try:
            changed = changed_since(slide, services.results)
        except XaievalError:
            changed = ()
        found[slide.id] = Readiness("ready", "", changed)
    return found


def draw_slide(slide: Slide, services: Services, *, number: int, total: int) -> Drawn:
    """Draw a slide's page; blocks, for a worker thread."""
    studio = Studio(services.results, backend=services.backend)
    plate = make_plate(slide, studio, number=number, total=total)
    if plate.trouble:
        view = {"slide": slide.id, "status": "error", "text": plate.trouble}
        return Drawn(view | {"facts": list(map(list, plate.facts))}, "")
    png = plate_png(plate, width_px=PREVIEW_PX)
    view = {
        "slide": slide.id,
        "status": "ready",
        "src": _uri(png),
        "alt": f"{plate.title}, as it is exported",
        "facts": list(map(list, plate.facts)),
        "commands": list(plate.commands),
    }
    return Drawn(view, _uri(_small(png)))


def _small(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as page:
        width, height = page.size
        # The title stands in the list already.
        middle = page.convert("RGB").crop((0, height // 7, width, height - height // 10))
        middle.thumbnail((_THUMB_PX, _THUMB_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    middle.save(stream, "PNG")
    return stream.getvalue()


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def image_thumbs(story: Story, services: Services) -> Mapping[str, str]:
    """Return slide id -> thumbnail of the image it shows, where it shows one."""
    found = {}
    for slide in story.slides:
        study, sample = slide.facts.get("study", ""), slide.facts.get("sample", "")
        if sample and study in services.results:
            try:
                found[slide.id] = services.thumb(study, sample)
            except (XaievalError, OSError, KeyError):
                continue
    return found
