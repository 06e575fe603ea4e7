"""Stories that last: kept in the journal, shared by all pages, sessions and commands."""

from __future__ import annotations

import threading
from collections.abc import Callable

from xaieval.errors import StoryError, unknown
from xaieval.journal import Event, Journal, author_name, saved_stories
from xaieval.story.model import Story, new_story_id, one_line, plain, story_of

FIRST_TITLE = "My story"
_OPERATIONS = ("save-story", "drop-story")


class Stories:
    """The stories of a journal. Every change is one more event: nothing is ever overwritten.

    May be used by several threads; what another process saved is seen at the next look.

    Parameters
    ----------
    journal : Journal, optional
        Default: the user's.
    author : str, optional
        Who changes them; default: ``journal.author_name()``.
    """

    def __init__(self, journal: Journal | None = None, *, author: str | None = None) -> None:
        self.journal = journal if journal is not None else Journal()
        self._author = author
        self._lock = threading.RLock()
        self._events: list[Event] = []
        self._last = 0

    def all(self) -> dict[str, Story]:
        """Return id -> story, the one saved first comes first; what cannot be read is left out.

        Raises
        ------
        JournalError
            When the journal cannot be read.
        """
        found = {}
        for name, value in saved_stories(self._look()).items():
            try:
                story = story_of(value)
            except StoryError:
                continue
            if story.id == name:
                found[name] = story
        return found

    def _look(self) -> list[Event]:
        """Return the events of stories; only those that came since are read."""
        with self._lock:
            last = self.journal.last_id()
            if last < self._last:  # another file
                self._events, self._last = [], 0
            if last > self._last:
                self._events += self.journal.events(
                    study="", after=self._last, operations=_OPERATIONS
                )
                self._last = last
            return list(self._events)

    def latest(self) -> Story | None:
        """Return the story that was changed last; None without one."""
        there = self.all()
        for event in reversed(self._look()):
            name = event.value.get("name") if isinstance(event.value, dict) else event.value
            if name in there:
                return there[name]
        return None

    def named(self, name: str) -> Story:
        """Return the story of an id or, where only one has it, of a title.

        Raises
        ------
        ConfigError
            When there is none, or several have the title.
        """
        there = self.all()
        if name in there:
            return there[name]
        titled = [story for story in there.values() if story.title == name]
        if len(titled) == 1:
            return titled[0]
        raise unknown("story", name, [*there, *(story.title for story in there.values())])

    def create(self, title: str = FIRST_TITLE) -> Story:
        """Save a new, empty story and return it."""
        story = Story(id=new_story_id(), title=one_line(title, 120) or FIRST_TITLE)
        self.save(story)
        return story

    def save(self, story: Story) -> None:
        """Save a story as it is."""
        self.journal.append(
            author=self._author or author_name(),
            study="",
            operation="save-story",
            value={"name": story.id, "story": plain(story)},
        )

    def change(self, story: str, edit: Callable[[Story], Story]) -> Story:
        """Save what ``edit`` makes of the story as it is now, and return that.

        Raises
        ------
        ConfigError
            When there is no such story any more.
        """
        with self._lock:
            there = self.all()
            if story not in there:
                raise unknown("story", story, there)
            changed = edit(there[story])
            if changed != there[story]:
                self.save(changed)
        return changed

    def drop(self, story: str) -> None:
        """Leave a story out; saving it again brings it back."""
        self.journal.append(
            author=self._author or author_name(), study="", operation="drop-story", value=story
        )

    def take(self, story: Story) -> Story:
        """Save a story that came from a file; where its id is taken it gets another one."""
        if story.id in self.all():
            story = Story(id=new_story_id(), title=story.title, slides=story.slides)
        self.save(story)
        return story
