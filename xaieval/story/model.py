"""A story: views worth showing, pinned one after the other, each with what to say about it."""

from __future__ import annotations

import datetime
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from xaieval.errors import StoryError

FORMAT = "xaieval-story"
VERSION = 1
TITLE_CHARS = 120
CAPTION_CHARS = 600
LINK_CHARS = 8_000
FACT_CHARS = 1_000
MOST_SLIDES = 200
_STORY_ID = re.compile(r"t[0-9a-f]{8}")
_SLIDE_ID = re.compile(r"v[0-9a-f]{8}")
_PAGE = re.compile(r"[a-z][a-z_-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Slide:
    """One pinned view.

    Attributes
    ----------
    id : str
        "v" and 8 hex digits.
    link : str
        The query that restores the view: "?page=batch&metric=iou".
    caption : str
        What to say about it; one line, at most 600 characters.
    page : str
        The page's id.
    facts : mapping of str to str
        What the view was of, for those who read it elsewhere: ``study`` and its ``title``,
        ``results`` (the folder), ``sample``.
    stamp : str
        Of the results when it was pinned (``story.stamps``); "" where there was none.
    added : str
        UTC, ISO 8601, to the second.

    Raises
    ------
    StoryError
        When a value is not as it must be.
    """

    id: str
    link: str
    caption: str = ""
    page: str = "explore"
    facts: Mapping[str, str] = field(default_factory=dict)
    stamp: str = ""
    added: str = ""

    def __post_init__(self) -> None:
        _check(self.id, _SLIDE_ID, "id of a slide", "v and 8 hex digits")
        _check(self.page, _PAGE, "page of a slide", "a page's id")
        _plain(self.link, LINK_CHARS, "link of a slide")
        _plain(self.caption, CAPTION_CHARS, "caption")
        _plain(self.stamp, FACT_CHARS, "stamp of a slide")
        _plain(self.added, 40, "time of a slide")
        if not isinstance(self.facts, Mapping) or len(self.facts) > 20:
            raise StoryError("not valid facts of a slide", expected="at most 20 texts by name")
        for name, text in self.facts.items():
            _plain(name, 40, "name of a fact")
            _plain(text, FACT_CHARS, f"fact {name}")


@dataclass(frozen=True, kw_only=True)
class Story:
    """Slides in the order in which they are shown.

    Attributes
    ----------
    id : str
        "t" and 8 hex digits.
    title : str
        One line, 1 to 120 characters.
    slides : tuple of Slide
        At most 200, each id once.

    Raises
    ------
    StoryError
        When a value is not as it must be.

    >>> slide = Slide(id="v00000001", link="?page=batch", page="batch")
    >>> story = Story(id="t00000001", title="Defense").plus(slide)
    >>> [s.link for s in story.slides], story.at("v00000001"), story.without("v00000001").slides
    (['?page=batch'], 0, ())
    """

    id: str
    title: str
    slides: tuple[Slide, ...] = ()

    def __post_init__(self) -> None:
        _check(self.id, _STORY_ID, "id of a story", "t and 8 hex digits")
        _plain(self.title, TITLE_CHARS, "title of a story")
        if not self.title.strip():
            raise StoryError("a story needs a title")
        if len(self.slides) > MOST_SLIDES:
            raise StoryError("too many slides", expected=f"at most {MOST_SLIDES}")
        ids = [slide.id for slide in self.slides]
        if len(set(ids)) < len(ids):
            raise StoryError("two slides of a story have one id", where=self.title)

    def at(self, slide: str) -> int | None:
        """Return the place of a slide, counted from 0; None when it is not here."""
        return next((i for i, known in enumerate(self.slides) if known.id == slide), None)

    def slide(self, slide: str) -> Slide | None:
        """Return the slide of an id; None when it is not here."""
        place = self.at(slide)
        return None if place is None else self.slides[place]

    def plus(self, slide: Slide, *, at: int | None = None) -> Story:
        """Return the story with one more slide: at a place, or at the end.

        A slide that is there already stays as it is.
        """
        if self.at(slide.id) is not None:
            return self
        place = len(self.slides) if at is None else min(max(at, 0), len(self.slides))
        return replace(self, slides=(*self.slides[:place], slide, *self.slides[place:]))

    def without(self, slide: str) -> Story:
        """Return the story without a slide."""
        return replace(self, slides=tuple(known for known in self.slides if known.id != slide))

    def moved(self, slide: str, to: int) -> Story:
        """Return the story with a slide at another place, counted from 0 without that slide."""
        found = self.slide(slide)
        return self if found is None else self.without(slide).plus(found, at=to)

    def captioned(self, slide: str, caption: str) -> Story:
        """Return the story with another caption under a slide."""
        text = one_line(caption, CAPTION_CHARS)
        return replace(
            self,
            slides=tuple(
                replace(known, caption=text) if known.id == slide else known
                for known in self.slides
            ),
        )

    def titled(self, title: str) -> Story:
        """Return the story under another title; the old one stays where the new one is empty."""
        return replace(self, title=one_line(title, TITLE_CHARS) or self.title)

    def doubled(self, slide: str) -> Story:
        """Return the story with a copy of a slide behind it."""
        place = self.at(slide)
        if place is None:
            return self
        return self.plus(replace(self.slides[place], id=new_slide_id()), at=place + 1)


def new_story_id() -> str:
    """Return an id that no other story has."""
    return f"t{secrets.token_hex(4)}"


def new_slide_id() -> str:
    """Return an id that no other slide has."""
    return f"v{secrets.token_hex(4)}"


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def one_line(text: str, chars: int) -> str:
    """Return a text on one line, cut where it is too long.

    >>> one_line("  two\\nlines ", 600)
    'two lines'
    """
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(printable.split())[:chars]


# ------------------------------------------------------------------------ JSON


def story_json(story: Story) -> str:
    """Return a story as the text of a JSON file."""
    return json.dumps({"format": FORMAT, "version": VERSION, **plain(story)}, indent=1) + "\n"


def plain(story: Story) -> dict[str, Any]:
    """Return a story as JSON types."""
    return asdict(story) | {
        "slides": [asdict(slide) | {"facts": dict(slide.facts)} for slide in story.slides]
    }


def read_story(path: str | Path) -> Story:
    """Read a story's JSON file.

    Raises
    ------
    StoryError
        When it cannot be read or is no story.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise StoryError(f"the story cannot be read ({why})", where=path) from None
    return parse_story(text, where=path)


def parse_story(text: str, *, where: str | Path | None = None) -> Story:
    """Return the story that the text of a JSON file holds.

    Raises
    ------
    StoryError
        When the text is no JSON, no story, or a story of another version.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoryError(f"no JSON: {error}", where=where) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoryError(
            "not a story", where=where, expected=f'a JSON object with "format": "{FORMAT}"'
        )
    if found.get("version") != VERSION:
        raise StoryError(
            "cannot read this version of a story",
            where=where,
            expected=VERSION,
            got=found.get("version"),
        )
    return story_of(found, where=where)


def story_of(found: Any, *, where: str | Path | None = None) -> Story:
    """Return the story that plain values stand for; unknown values are left out.

    Raises
    ------
    StoryError
        When something is missing or not as it must be.
    """
    if not isinstance(found, Mapping) or not isinstance(found.get("slides", []), list):
        raise StoryError("not a story", where=where, expected="an object with a list of slides")
    slides = []
    for number, one in enumerate(found.get("slides", []), start=1):
        if not isinstance(one, Mapping) or not {"id", "link"} <= one.keys():
            raise StoryError(
                f"slide {number} is no slide", where=where, expected="an object with id and link"
            )
        try:
            slides.append(Slide(**_known(one, (f.name for f in fields(Slide)))))
        except StoryError as error:
            raise StoryError(f"slide {number}: {error}", where=where) from None
    if not {"id", "title"} <= found.keys():
        raise StoryError("not a story", where=where, expected="an id and a title")
    try:
        return Story(id=found["id"], title=found["title"], slides=tuple(slides))
    except StoryError as error:
        raise StoryError(str(error), where=where) from None


def _known(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _check(text: Any, pattern: re.Pattern[str], what: str, expected: str) -> None:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise StoryError(f"not a valid {what}", expected=expected, got=_shown(text))


def _plain(text: Any, chars: int, what: str) -> None:
    if not isinstance(text, str) or len(text) > chars or not (text + "a").isprintable():
        raise StoryError(
            f"not a valid {what}",
            expected=f"one line of at most {chars:,} characters",
            got=_shown(text),
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
