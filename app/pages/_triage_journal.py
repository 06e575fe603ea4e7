"""What people wrote about the images of a study, as one session sees it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xaieval.journal import NO_MARKS, Event, Journal, Ledger, Marks, saved_views


class Diary:
    """Tags, notes and saved views of one study, kept in step with the journal.

    Everything here may wait for the disk: for the pool, one call at a time.
    """

    def __init__(self, journal: Journal, study: str, author: str) -> None:
        self.journal, self.study, self.author = journal, study, author
        self._seen = -1
        self._events: list[Event] = []
        self._ledger = Ledger()

    def follow(self) -> set[str] | None:
        """Read what came since; return the images it is about, None when nothing came."""
        last = self.journal.last_id()
        if last == self._seen:
            return None
        events = self.journal.events(study=self.study, after=max(self._seen, 0))
        self._seen = last
        if not events:
            return None
        self._events += events
        return {sample for _, sample in self._ledger.add(events) if sample}

    def write(self, operation: str, *, sample_id: str = "", value: Any = None) -> Event:
        """Write one event.

        Raises
        ------
        JournalError
            When it cannot be written.
        """
        return self.journal.append(
            author=self.author,
            study=self.study,
            operation=operation,
            sample_id=sample_id,
            value=value,
        )

    def undo(self) -> str:
        """Take back the author's last entry; return what that was, in words."""
        last = self._ledger.undone_last(self.author, self.study)
        if self.journal.undo(author=self.author, study=self.study) is None:
            return "There is nothing of yours to undo."
        return "Undone." if last is None else f"Undone: {_said(last)}."

    def of(self, sample_id: str) -> Marks:
        """Return the marks of one image."""
        return self._ledger.of(self.study, sample_id)

    def marks(self) -> dict[str, Marks]:
        """Return image -> marks, of every image with any."""
        return {sample: found for (_, sample), found in self._ledger.marks().items()}

    def tags(self) -> list[str]:
        """Return the tags in use, the one given last first."""
        held = {tag for found in self.marks().values() for tag in found.tags}
        given = [e.value for e in reversed(self._ledger.events()) if e.operation == "tag"]
        return [tag for tag in dict.fromkeys(given) if tag in held]

    def views(self) -> dict[str, str]:
        """Return name -> link of the saved views."""
        return saved_views(self._events)

    def shown(self, samples: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the marks of some images, or of all, as the desk takes them."""
        held = self.marks()
        wanted = held if samples is None else samples
        return {
            "whole": samples is None,
            "samples": {sample: _plain(held.get(sample, NO_MARKS)) for sample in wanted},
            "tags": self.tags(),
            "views": [{"name": name, "link": link} for name, link in self.views().items()],
        }


def _plain(marks: Marks) -> dict[str, Any]:
    return {
        "tags": list(marks.tags),
        "taggers": list(marks.taggers),
        "notes": [
            {"text": note.text, "author": note.author, "time": _minute(note.time)}
            for note in marks.notes
        ],
    }


def _minute(time: str) -> str:
    """Return a time to the minute: "2026-11-22 20:15 UTC"."""
    return f"{time[:10]} {time[11:16]} UTC"


def _said(event: Event) -> str:
    names = {
        "tag": f"tag “{event.value}” of {event.sample_id}",
        "untag": f"tag “{event.value}” taken from {event.sample_id}",
        "note": f"note on {event.sample_id}",
        "drop-view": f"view “{event.value}” deleted",
    }
    if event.operation == "save-view":
        return f"view “{event.value['name']}” saved"
    return names.get(event.operation, event.operation)
