"""The help overlay: keys, signs and colours, and the few sentences that everybody needs."""

from __future__ import annotations

from pathlib import Path

import param
from panel.custom import JSComponent

from xaieval.sanity import MARK

from .pages import PAGES
from .shortcuts import LEADERS, SHORTCUTS
from .theme import TOKENS

_HERE = Path(__file__).parent

SIGNS = (
    ("swatch hit", "", "hit: among the K strongest pixels and in the mask"),
    ("swatch miss", "", "miss: in the mask, not among the K strongest"),
    ("swatch false-alarm", "", "false alarm: among the K strongest, outside the mask"),
    ("swatch edge", "", "white line with a black edge: outline of the mask"),
    ("tick", "", "upright tick: what a map that is the same everywhere would score"),
    ("tick best", "", "dotted tick: the best that a map on the method's own grid can score"),
    ("pill first", "★ 1st", "the winner on the ranking score; “=” before a place: tied"),
    ("pill dashed", "baseline", "a reference line: it never wins"),
    ("pill flag", f"{MARK} sanity", "the method failed the sanity gate on this model"),
    ("pill dashed", "few", "a small group: some seed has fewer than ten images"),
    ("text", "–", "undefined: pointing at it, or the sentence on top, says why"),
)
"""(look, sign, meaning) of every mark that has the same meaning on several pages."""

TOPICS = (
    (
        "What a score says",
        "Each score compares one heatmap with the mask of what should matter. Beside it stands "
        "what chance would get: the mask's share of the image. A score near that line says that "
        "the map knows nothing of the place. A name with a dotted line under it opens the "
        "definition: formula, rules, source.",
    ),
    (
        "What it does not say",
        "A map that lies on the mask shows where the method points, not why the model decides. "
        "The sanity gate and the faithfulness scores ask the model itself. Images that were left "
        "out are counted, with the reason.",
    ),
    (
        "Links",
        "The address is the view: Copy link gives exactly what is on the screen to somebody else. "
        "What cannot be restored is said on top. Nothing leaves this machine.",
    ),
)
"""(title, text): short enough to be read during a talk; the documentation holds the rest."""


class Help(JSComponent):
    """A “?” button with its overlay; also the keys ``?`` and ``g`` + letter on every page.

    ``page`` is the page shown; the browser sets it when the person goes to another one.
    """

    page = param.String(default="")
    titles = param.Dict(default={})
    leaders = param.Dict(default={})
    shortcuts = param.List(default=[])
    signs = param.List(default=[])
    topics = param.List(default=[])

    _esm = _HERE / "help.js"
    _stylesheets = [TOKENS, (_HERE / "help.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, page: str) -> None:
        super().__init__(
            page=page,
            titles={spec.id: spec.title for spec in PAGES},
            leaders=LEADERS,
            shortcuts=[{"page": s.page, "keys": list(s.keys), "what": s.text} for s in SHORTCUTS],
            signs=[list(sign) for sign in SIGNS],
            topics=[list(topic) for topic in TOPICS],
            margin=(10, 4),
            width=32,
            height=32,
        )

    def _handle_msg(self, message: dict[str, str]) -> None:
        if message.get("type") == "go" and message.get("page") in self.titles:
            self.page = message["page"]
