"""Tags, notes and views between one session's desk and the journal, off the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from xaieval.errors import XaievalError

from ..services import Services
from ..triage.desk import Desk
from ._triage_journal import Diary

log = logging.getLogger("xaieval.app")

OF_IMAGE = ("tag", "untag", "note")
OPERATIONS = (*OF_IMAGE, "save-view", "drop-view", "undo")
"""What the desk may ask to be written."""


class Writing:
    """One session's hand in the journal.

    Parameters
    ----------
    author : str
    changed : callable
        Hears of new tags and notes, after the desk: the images concerned.
    """

    def __init__(
        self,
        services: Services,
        desk: Desk,
        author: str,
        changed: Callable[[Diary, set[str]], None],
    ) -> None:
        self.services, self.desk, self.author = services, desk, author
        self._changed = changed
        self._diary: Diary | None = None
        self._lock = asyncio.Lock()
        self.turn = 0
        """Of the marks sent last."""

    def diary(self, study: str) -> Diary:
        """Return what is known of a study (its id, as the journal names it)."""
        if self._diary is None or self._diary.study != study:
            self._diary = Diary(self.services.journal, study, self.author)
        return self._diary

    def send(self, samples: set[str] | None = None) -> None:
        """Send what was written about some images to the desk, or all of it."""
        if self._diary is not None:
            self.turn += 1  # equal values are sent, too
            self.desk.marked = {**self._diary.shown(samples), "turn": self.turn}

    async def follow(self, study: str) -> bool:
        """Show what was written since, here or elsewhere; return whether anything was.

        Raises
        ------
        JournalError
            When the journal cannot be read.
        """
        diary = self.diary(study)
        async with self._lock:
            touched = await asyncio.get_running_loop().run_in_executor(
                self.services.later, diary.follow
            )
        if touched is None or diary is not self._diary:
            return False
        self.send(touched if self.desk.marked else None)
        self._changed(diary, touched)
        return True

    async def write(self, study: str, message: Mapping[str, Any], *, link: str) -> None:
        """Write what the desk asks for; say what came of it, success or not."""
        diary, operation = self.diary(study), str(message["type"])
        value = message.get("value")
        sample = str(message.get("sample", "")) if operation in OF_IMAGE else ""
        if operation == "save-view":
            value = {"name": value, "link": link}

        def work() -> str:
            if operation == "undo":
                return diary.undo()
            diary.write(operation, sample_id=sample, value=value)
            return {"save-view": "View saved.", "note": "Note kept."}.get(operation, "")

        text = trouble = ""
        try:
            async with self._lock:
                loop = asyncio.get_running_loop()
                text = await loop.run_in_executor(self.services.pool, work)
        except (XaievalError, OSError) as error:
            trouble = f"Not written: {error}"
        except Exception as error:
            log.exception("writing to the journal failed")
            trouble = f"Not written: {type(error).__name__}: {error}"
        self.desk.said = {"request": message.get("request", 0), "text": text, "trouble": trouble}
