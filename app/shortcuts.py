"""Every key of the dashboard, in one table; the help overlay shows it. Pages add their lines here.

A way to press is written as it is pressed: ``"Shift+Tab"`` at once, ``"g e"`` one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from .pages import PAGES


@dataclass(frozen=True)
class Shortcut:
    """One line of the help overlay.

    ``page`` is the id of the page where the keys work, "" for everywhere; ``keys`` are ways to do
    the same, or a pair such as previous and next; ``what`` says what they do; ``on`` what must
    have the focus, "" for anything.
    """

    page: str
    keys: tuple[str, ...]
    what: str
    on: str = ""

    @property
    def text(self) -> str:
        """What the overlay says of the keys."""
        return f"{self.what}, {self.on}" if self.on else self.what


def _leaders() -> dict[str, str]:
    """Return key -> page id: the first letter of each title that no earlier page has taken."""
    found: dict[str, str] = {}
    for spec in PAGES:
        key = next(letter for letter in spec.title.lower() if letter not in found)
        found[key] = spec.id
    return found


LEADERS = _leaders()
"""After ``g``: the key that goes to a page."""

_THUMBNAIL = "when a thumbnail has the focus"
_TALK = "presenting"

SHORTCUTS = (
    Shortcut("", ("?",), "open this help"),
    Shortcut("", ("Escape",), "close what is open: help, menu, card, full screen"),
    *(
        Shortcut("", (f"g {key}",), f"go to {spec.title}")
        for key, page in LEADERS.items()
        for spec in PAGES
        if spec.id == page
    ),
    Shortcut("", ("p",), "pin this view to the current story"),
    Shortcut(
        "", ("Tab", "Shift+Tab"), "next and previous control; the first Tab skips to the page"
    ),
    Shortcut("", ("Enter", "Space"), "press a button, open a menu or the card behind a number"),
    Shortcut("", ("↑", "↓"), "open a menu, move inside it"),
    Shortcut("explore", ("←", "→"), "previous and next image"),
    Shortcut("explore", ("Home", "End"), "first and last image", _THUMBNAIL),
    Shortcut("explore", ("↑", "↓"), "an image a row up or down", _THUMBNAIL),
    Shortcut("explore", ("PageUp", "PageDown"), "a screen of thumbnails", _THUMBNAIL),
    Shortcut("explore", ("PageUp", "PageDown"), "large steps", "on a slider"),
    Shortcut("explore", ("+", "-"), "zoom in and out, all images together"),
    Shortcut("explore", ("0",), "the whole image again"),
    Shortcut("explore", ("Shift+←", "Shift+→", "Shift+↑", "Shift+↓"), "pan the zoomed images"),
    Shortcut("explore", ("←", "→", "↑", "↓"), "move the cross", "on its button above the cards"),
    Shortcut("explore", ("←", "→"), "move the divider of two methods", "on the divider"),
    Shortcut("explore", ("Escape",), "what if: back to the original image"),
    Shortcut("explore", ("Space", "Shift+↑"), "what if: paint, paint a line", "with the brush"),
    Shortcut("explore", ("[", "]"), "what if: smaller and larger", "with the brush"),
    Shortcut("explore", ("Backspace",), "what if: take the last stroke back", "with the brush"),
    Shortcut("triage", ("j", "k"), "next and previous image of the queue; arrows do the same"),
    Shortcut("triage", ("o", "Enter"), "open the image in Explore"),
    Shortcut("triage", ("t",), "tag the image; 1 to 9 give or take the latest tags at once"),
    Shortcut("triage", ("n",), "write a note on the image; Ctrl+Enter keeps it"),
    Shortcut("triage", ("u",), "undo your last tag, note or saved view"),
    Shortcut("triage", ("h",), "heatmap on or off"),
    Shortcut("triage", ("/",), "search names, tags and notes"),
    Shortcut("triage", ("s",), "save this view, open a saved one"),
    Shortcut("triage", ("e",), "files: rows and figures"),
    Shortcut("triage", ("Home", "End"), "first and last image, when the queue has the focus"),
    Shortcut("triage", ("PageUp", "PageDown"), "a screenful, when the queue has the focus"),
    Shortcut("compare", ("←", "→"), "previous and next image"),
    Shortcut("compare", ("Home", "End"), "first and last image", _THUMBNAIL),
    Shortcut("present", ("↑", "↓"), "choose a slide, in the list"),
    Shortcut("present", ("Alt+↑", "Alt+↓"), "move the chosen slide"),
    Shortcut("present", ("d", "Delete"), "double, remove the chosen slide"),
    Shortcut("present", ("Enter",), "present from the chosen slide"),
    Shortcut("present", ("→", "Space", "PageDown"), "next slide", _TALK),
    Shortcut("present", ("←", "PageUp"), "previous slide", _TALK),
    Shortcut("present", ("Home", "End"), "first and last slide", _TALK),
    Shortcut("present", ("7 Enter",), "slide 7, or any other number", _TALK),
    Shortcut("present", ("b", "f", "t"), "black screen, whole screen, clock", _TALK),
    Shortcut("present", ("Escape",), "leave", _TALK),
)
