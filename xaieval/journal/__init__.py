"""Tags, notes, saved views and stories: events in one SQLite file that only grows.

Several people, pages and commands may write at once; nothing that was written is ever changed.
"""

from __future__ import annotations

from xaieval.journal.events import OPERATIONS, Event, author_name
from xaieval.journal.folding import (
    NO_MARKS,
    Ledger,
    Marks,
    Note,
    marks,
    saved_stories,
    saved_views,
)
from xaieval.journal.store import Journal, journal_path

__all__ = [
    "NO_MARKS",
    "OPERATIONS",
    "Event",
    "Journal",
    "Ledger",
    "Marks",
    "Note",
    "author_name",
    "journal_path",
    "marks",
    "saved_stories",
    "saved_views",
]
