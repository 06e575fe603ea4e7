"""One entry of the journal, and which values an entry may hold."""

from __future__ import annotations

import getpass
import json
import os
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xaieval.errors import JournalError, unknown

NAME_CHARS = 64
"""Longest tag, name of a view or story, and author."""
NOTE_CHARS = 10_000
LINK_CHARS = 8_000
STORY_CHARS = 1_000_000
ID_CHARS = 1_000
"""Longest study and sample id."""


@dataclass(frozen=True)
class Event:
    """What one person did to one image of one study, or to a saved view or story.

    Attributes
    ----------
    id : int
        Later events have greater ids, across all who write. Ids are never used twice.
    time : str
        UTC, ISO 8601, to the millisecond: "2026-11-22T20:15:00.123+00:00".
    author : str
    study : str
        A study's id; '' for what belongs to no study (stories).
    sample_id : str
        '' for what belongs to no image.
    operation : str
        A key of ``OPERATIONS``.
    value : JSON value
        What the operation says it is.
    """

    id: int
    time: str
    author: str
    study: str
    sample_id: str
    operation: str
    value: Any


def author_name() -> str:
    """Return who writes here: the environment's XAIEVAL_AUTHOR, else the login name."""
    named = os.environ.get("XAIEVAL_AUTHOR", "").strip()
    if named:
        return name_of(named, "author (XAIEVAL_AUTHOR)")
    try:
        return name_of(getpass.getuser(), "author")
    except (OSError, KeyError, ImportError, JournalError):
        return "unknown"


def name_of(value: Any, what: str) -> str:
    """Return a short printable name without space around it, in NFC.

    Raises
    ------
    JournalError
        When it is empty, too long, or holds a sign that cannot be printed or a ";" (which parts
        tags in a table).

    >>> name_of(" check again ", "tag")
    'check again'
    """
    text = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    if not text or len(text) > NAME_CHARS or not text.isprintable() or ";" in text:
        raise JournalError(
            f"not a valid {what}",
            expected=f"1 to {NAME_CHARS} printable characters without ';'",
            got=_shown(value),
        )
    return text


def _note(value: Any) -> str:
    text = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    readable = all(sign.isprintable() or sign in "\n\t" for sign in text.replace("\r\n", "\n"))
    if not text or len(text) > NOTE_CHARS or not readable:
        raise JournalError(
            "not a valid note",
            expected=f"1 to {NOTE_CHARS:,} characters of text",
            got=f"{len(text):,} characters" if len(text) > NOTE_CHARS else _shown(value),
        )
    return text.replace("\r\n", "\n")


def _undone(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise JournalError("not the id of an event", expected="a whole number", got=_shown(value))
    return value


def _view(value: Any) -> dict[str, str]:
    link = value.get("link") if isinstance(value, Mapping) else None
    if not isinstance(link, str) or len(link) > LINK_CHARS or not (link + "a").isprintable():
        raise JournalError(
            "not a valid saved view",
            expected=f"{{'name': …, 'link': text of at most {LINK_CHARS:,} characters}}",
            got=_shown(value),
        )
    return {"name": name_of(value.get("name"), "name of a view"), "link": link}


def _story(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or "story" not in value:
        raise JournalError(
            "not a valid saved story", expected="{'name': …, 'story': …}", got=_shown(value)
        )
    return {"name": name_of(value.get("name"), "name of a story"), "story": value["story"]}


def _name(value: Any) -> str:
    return name_of(value, "name")


def _tag(value: Any) -> str:
    return name_of(value, "tag")


@dataclass(frozen=True)
class Operation:
    """What an operation does, how its value is checked, and whether it is about an image."""

    summary: str
    check: Callable[[Any], Any]
    of_image: bool = False


OPERATIONS: dict[str, Operation] = {
    "tag": Operation("value: the tag given to the image", _tag, of_image=True),
    "untag": Operation("value: the tag taken from the image", _tag, of_image=True),
    "note": Operation("value: text about the image", _note, of_image=True),
    "undo": Operation("value: id of an own event that shall not count", _undone),
    "save-view": Operation("value: {'name', 'link'}; replaces a view of this name", _view),
    "drop-view": Operation("value: name of the view", _name),
    "save-story": Operation("value: {'name', 'story'}; replaces a story of this name", _story),
    "drop-story": Operation("value: name of the story", _name),
}
"""Operation -> what it is."""


def checked(
    *, author: str, study: str, operation: str, sample_id: str, value: Any
) -> tuple[str, str, str, str, str]:
    """Return author, study, sample id, operation and the value's JSON text, all checked.

    Raises
    ------
    JournalError
        When one of them is not as it must be.
    ConfigError
        For an unknown operation.
    """
    if operation not in OPERATIONS:
        raise unknown("operation of the journal", operation, OPERATIONS)
    what = OPERATIONS[operation]
    for name, text in (("study", study), ("sample id", sample_id)):
        if not isinstance(text, str) or len(text) > ID_CHARS or not (text + "a").isprintable():
            raise JournalError(f"not a valid {name}", got=_shown(text))
    if what.of_image and not (sample_id and study):
        raise JournalError(f"a {operation} needs a study and an image", got=_shown(sample_id))
    try:
        text = json.dumps(what.check(value), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise JournalError(f"the value has no JSON form: {error}", where=operation) from None
    if len(text) > STORY_CHARS:
        raise JournalError(
            "the value is too long",
            where=operation,
            expected=f"at most {STORY_CHARS:,} characters of JSON",
            got=f"{len(text):,}",
        )
    return name_of(author, "author"), study, sample_id, operation, text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
