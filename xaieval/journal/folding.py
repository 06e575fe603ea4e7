"""From events to what holds now: tags and notes of images, saved views and stories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xaieval.journal.events import Event


@dataclass(frozen=True)
class Note:
    """A text about an image: who wrote it, when, and the event that holds it."""

    id: int
    time: str
    author: str
    text: str


@dataclass(frozen=True)
class Marks:
    """What people wrote about one image, in the order of the events.

    ``taggers`` are those who gave the tags, one for each.
    """

    tags: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    taggers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tags or self.notes)


NO_MARKS = Marks()
"""Of an image that nobody wrote about."""


class Ledger:
    """Events taken in as they come, and what holds after them.

    The result depends on the events alone, neither on how they are parted into batches nor on
    their order of arrival; an event that comes twice counts once.

    Rules: an image has a tag when the last event about this image and tag that still counts, of
    whomever, gives it. An event no longer counts when an undo of the same author that counts
    itself, and came later, names it; so an undone undo brings it back. Undoing one's tag leaves
    the same tag of another person where it is.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.last = 0
        self._events: dict[int, Event] = {}
        self._undos: list[Event] = []
        self._undone: set[int] = set()
        self._of: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._marks: dict[tuple[str, str], Marks] = {}
        self.add(events)

    def add(self, events: Iterable[Event]) -> set[tuple[str, str]]:
        """Take in events; return the (study, sample id) whose tags or notes may have changed."""
        touched: set[tuple[str, str]] = set()
        for event in events:
            if event.id in self._events:
                continue
            self._events[event.id] = event
            self.last = max(self.last, event.id)
            if event.operation == "undo":
                self._undos.append(event)
                touched |= self._reach(event.value)
            elif event.operation in ("tag", "untag", "note"):
                self._of[event.study, event.sample_id].append(event.id)
                touched.add((event.study, event.sample_id))
        self._undone = self._cancelled()
        for key in touched:
            self._marks[key] = self._fold(key)
        return touched

    def _reach(self, named: int) -> set[tuple[str, str]]:
        """Return the image that an undo is about, through any chain of undos."""
        seen: set[int] = set()
        while named in self._events and named not in seen:
            seen.add(named)
            event = self._events[named]
            if event.operation != "undo":
                return {(event.study, event.sample_id)}
            named = event.value
        return set()

    def _cancelled(self) -> set[int]:
        """Return the ids that an undo takes away: the latest undo speaks first."""
        found: set[int] = set()
        for undo in sorted(self._undos, key=lambda event: -event.id):
            named = self._events.get(undo.value)
            own = named is not None and named.author == undo.author and named.id < undo.id
            if own and undo.id not in found:
                found.add(undo.value)
        return found

    def counts(self, number: int) -> bool:
        """Tell whether an event of this id is there and not undone."""
        return number in self._events and number not in self._undone

    def events(self) -> list[Event]:
        """Return the events that count and are no undos, in order."""
        numbers = sorted(self._events)
        return [
            self._events[number]
            for number in numbers
            if self._events[number].operation != "undo" and self.counts(number)
        ]

    def undone_last(self, author: str, study: str | None = None) -> Event | None:
        """Return the event an author would undo next: his last that counts and is no undo."""
        own = (e for e in reversed(self.events()) if e.author == author)
        return next((e for e in own if study is None or e.study == study), None)

    def redone_next(self, author: str, study: str | None = None) -> Event | None:
        """Return the undo an author would undo next; None once he has done something since."""
        for number in sorted(self._events, reverse=True):
            event = self._events[number]
            if event.author != author or (study is not None and event.study != study):
                continue
            if event.operation != "undo":
                return None
            target = self._events.get(event.value)
            if target is not None and target.operation != "undo" and self.counts(number):
                return event
        return None

    def marks(self) -> dict[tuple[str, str], Marks]:
        """Return (study, sample id) -> marks of every image that has any."""
        return {key: found for key, found in self._marks.items() if found}

    def of(self, study: str, sample_id: str) -> Marks:
        """Return the marks of one image."""
        return self._marks.get((study, sample_id), NO_MARKS)

    def _fold(self, key: tuple[str, str]) -> Marks:
        tags: dict[str, str] = {}
        notes = []
        for number in sorted(self._of[key]):
            if not self.counts(number):
                continue
            event = self._events[number]
            if event.operation == "tag":
                tags.setdefault(event.value, event.author)
            elif event.operation == "untag":
                tags.pop(event.value, None)
            else:
                notes.append(Note(event.id, event.time, event.author, event.value))
        return Marks(tuple(tags), tuple(notes), tuple(tags.values()))


def marks(events: Iterable[Event]) -> dict[str, Marks]:
    """Return sample id -> marks, of every image with any; see ``Ledger`` for the rules.

    Give the events of one study: images of different studies may share an id.

    >>> one = Event(1, "", "ada", "s", "a/1", "tag", "odd")
    >>> marks([one, Event(2, "", "bob", "s", "a/1", "note", "the mask is late")])["a/1"].tags
    ('odd',)
    >>> marks([one, Event(2, "", "ada", "s", "", "undo", 1)])
    {}
    """
    found = Ledger(events).marks()
    return {sample_id: held for (_, sample_id), held in found.items()}


def saved_views(events: Iterable[Event]) -> dict[str, str]:
    """Return name -> link of the saved views, by the time each name was first saved."""
    return {
        name: value["link"]
        for name, value in _saved(events, keep="save-view", drop="drop-view").items()
    }


def saved_stories(events: Iterable[Event]) -> dict[str, Any]:
    """Return name -> story of the saved stories, by the time each name was first saved."""
    return {
        name: value["story"]
        for name, value in _saved(events, keep="save-story", drop="drop-story").items()
    }


def _saved(events: Iterable[Event], *, keep: str, drop: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for event in Ledger(events).events():
        if event.operation == keep:
            found[event.value["name"]] = event.value
        elif event.operation == drop:
            found.pop(event.value, None)
    return found
