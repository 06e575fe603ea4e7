"""The journal: events of all studies, written by several processes and threads at once."""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xaieval.errors import JournalError, unknown
from xaieval.journal.events import OPERATIONS, Event, checked
from xaieval.journal.file import Connection, JournalFile
from xaieval.journal.folding import Ledger


def journal_path() -> Path:
    """Return where the journal is kept: XAIEVAL_STATE, else the user's state folder."""
    folder = os.environ.get("XAIEVAL_STATE", "").strip()
    if not folder:
        import platformdirs

        folder = platformdirs.user_state_dir("xaieval")
    return Path(folder).expanduser() / "journal.sqlite3"


class Journal:
    """Append-only events of all studies in one file.

    May be used by several threads and, each with its own, several processes. Nothing is opened
    or made before it is needed; reading a journal that does not exist finds no events.

    Parameters
    ----------
    path : Path, optional
        Default: ``journal_path()``.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = journal_path() if path is None else Path(path)
        self._file = JournalFile(self.path)

    # ---------------------------------------------------------------- writing

    def append(
        self,
        *,
        author: str,
        study: str,
        operation: str,
        sample_id: str = "",
        value: Any = None,
    ) -> Event:
        """Write one event, durably, and return it with its id and time.

        An undo takes over study and image of the event that it names.

        Raises
        ------
        JournalError
            When a value is not as it must be, an undo names no own event, or the file cannot be
            written. Nothing is written then.
        ConfigError
            For an unknown operation.
        """
        return self._write(
            [
                checked(
                    author=author,
                    study=study,
                    operation=operation,
                    sample_id=sample_id,
                    value=value,
                )
            ]
        )[0]

    def append_many(self, events: Iterable[Mapping[str, Any]]) -> list[Event]:
        """Write some events, all or none: mappings of the arguments of ``append``."""
        return self._write(
            [checked(**{"sample_id": "", "value": None, **event}) for event in events]
        )

    def undo(self, *, author: str, study: str | None = None) -> Event | None:
        """Undo an author's last event that still counts; None when there is none.

        Called again it goes further back; see ``redo``.
        """
        found = self._folded(study).undone_last(author, study)
        return None if found is None else self._cancel(found, author)

    def redo(self, *, author: str, study: str | None = None) -> Event | None:
        """Undo an author's last undo; None when there is none or he has written since."""
        found = self._folded(study).redone_next(author, study)
        return None if found is None else self._cancel(found, author)

    def _folded(self, study: str | None) -> Ledger:
        return Ledger(self.events(study=study))

    def _cancel(self, event: Event, author: str) -> Event:
        return self.append(author=author, study=event.study, operation="undo", value=event.id)

    def _write(self, rows: Sequence[tuple[str, str, str, str, str]]) -> list[Event]:
        if not rows:
            return []

        def work(connection: Connection) -> list[Event]:
            connection.execute("BEGIN IMMEDIATE")
            try:
                written = [_insert(connection, *row) for row in rows]
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return written

        return self._file.guarded(work, self._file.connect(make=True))

    # ---------------------------------------------------------------- reading

    def events(
        self,
        *,
        study: str | None = None,
        after: int = 0,
        operations: Sequence[str] | None = None,
    ) -> list[Event]:
        """Return events in order of their ids.

        Parameters
        ----------
        study : str, optional
            Only those of one study.
        after : int
            Only those with a greater id: what came since.
        operations : sequence of str, optional
            Only these, and the undos, without which the rest would say too much.

        Raises
        ------
        JournalError
            When the file cannot be read.
        ConfigError
            For an unknown operation.
        """
        wanted, values = ["id > ?"], [after]
        more: list[Any] = []
        if study is not None:
            wanted.append("study = ?")
            more.append(study)
        if operations is not None:
            names = [*operations, "undo"]
            for name in names:
                if name not in OPERATIONS:
                    raise unknown("operation of the journal", name, OPERATIONS)
            wanted.append(f"operation IN ({', '.join('?' * len(names))})")
            more += names
        connection = self._file.connect(make=False)
        if connection is None:
            return []
        sql = (
            "SELECT id, time, author, study, sample_id, operation, value FROM events "
            f"WHERE {' AND '.join(wanted)} ORDER BY id"
        )
        rows = self._file.guarded(lambda c: c.execute(sql, [*values, *more]).fetchall(), connection)
        return [
            Event(number, when, who, of, sample_id, operation, self._value(number, text))
            for number, when, who, of, sample_id, operation, text in rows
        ]

    def _value(self, number: int, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise JournalError("damaged event", where=self.path, got=f"event {number}") from None

    def last_id(self) -> int:
        """Return the greatest id of an event; 0 where there is none."""
        connection = self._file.connect(make=False)
        if connection is None:
            return 0
        sql = "SELECT coalesce(max(id), 0) FROM events"
        return int(self._file.guarded(lambda c: c.execute(sql).fetchone()[0], connection))

    def close(self) -> None:
        """Close all connections of this journal; it may be used again."""
        self._file.close()


def _insert(
    connection: sqlite3.Connection,
    author: str,
    study: str,
    sample_id: str,
    operation: str,
    text: str,
) -> Event:
    value = json.loads(text)
    if operation == "undo":
        study, sample_id = _undoable(connection, author, value)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    cursor = connection.execute(
        "INSERT INTO events (time, author, study, sample_id, operation, value) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (now, author, study, sample_id, operation, text),
    )
    number = int(cursor.lastrowid or 0)
    return Event(number, now, author, study, sample_id, operation, value)


def _undoable(connection: sqlite3.Connection, author: str, number: int) -> tuple[str, str]:
    """Return study and image of the event that an undo names."""
    row = connection.execute(
        "SELECT author, study, sample_id FROM events WHERE id = ?", (number,)
    ).fetchone()
    if row is None:
        raise JournalError("no event of this id to undo", got=number)
    if row[0] != author:
        raise JournalError(
            "only one's own events can be undone",
            expected=f"an event of {author}",
            got=f"event {number} of {row[0]}",
            fix="take the tag away instead",
        )
    return row[1], row[2]
