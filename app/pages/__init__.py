"""The pages, in the order of the navigation. A page's body is built when it is first shown.

A page is a ``pn.viewable.Viewer`` with the class attributes ``id`` (as in the link) and ``title``,
a constructor ``(state, services)`` and ``__panel__``. It reads and sets ``AppState`` and asks
``Services`` for data; it neither knows the shell nor another page.

All of them are loaded before the first session. Panel tells a browser the properties of a
component's class when the browser loads the page or, if the class was made later, tells only the
first browser that is sent such a component: a page loaded at its first visit would be broken for
everybody who was there before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .batch import BatchPage
from .compare import ComparePage
from .explore import ExplorePage
from .parts import PartsPage
from .present import PresentPage
from .triage import TriagePage

if TYPE_CHECKING:
    import panel as pn

    from ..services import Services
    from ..state import AppState


@dataclass(frozen=True)
class PageSpec:
    """One entry of the navigation."""

    id: str
    title: str
    build: Callable[[AppState, Services], pn.viewable.Viewer]


PAGES = (
    PageSpec("explore", "Explore", ExplorePage),
    PageSpec("triage", "Triage", TriagePage),
    PageSpec("batch", "Batch", BatchPage),
    PageSpec("parts", "Parts", PartsPage),
    PageSpec("compare", "Compare", ComparePage),
    PageSpec("present", "Present", PresentPage),
)
