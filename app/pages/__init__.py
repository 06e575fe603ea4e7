"""The pages, in the order of the navigation. A page's body is built when it is first shown.

A page is a ``pn.viewable.Viewer`` with the class attributes ``id`` (as in the link) and ``title``,
a constructor ``(state, services)`` and ``__panel__``. It reads and sets ``AppState`` and asks
``Services`` for data; it neither knows the shell nor another page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def _explore(state: AppState, services: Services) -> pn.viewable.Viewer:
    from .explore import ExplorePage

    return ExplorePage(state, services)


def _triage(state: AppState, services: Services) -> pn.viewable.Viewer:
    from .triage import TriagePage

    return TriagePage(state, services)


def _batch(state: AppState, services: Services) -> pn.viewable.Viewer:
    from .batch import BatchPage

    return BatchPage(state, services)


def _parts(state: AppState, services: Services) -> pn.viewable.Viewer:
    from .parts import PartsPage

    return PartsPage(state, services)


def _compare(state: AppState, services: Services) -> pn.viewable.Viewer:
    from .compare import ComparePage

    return ComparePage(state, services)


def _present(state: AppState, services: Services) -> pn.viewable.Viewer:
    from .present import PresentPage

    return PresentPage(state, services)


PAGES = (
    PageSpec("explore", "Explore", _explore),
    PageSpec("triage", "Triage", _triage),
    PageSpec("batch", "Batch", _batch),
    PageSpec("parts", "Parts", _parts),
    PageSpec("compare", "Compare", _compare),
    PageSpec("present", "Present", _present),
)
