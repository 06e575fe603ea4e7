"""The journal's file: SQLite in WAL mode, written by several processes and threads at once."""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from xaieval.errors import JournalError, unknown
from xaieval.journal.events import OPERATIONS, Event, checked
from xaieval.journal.folding import Ledger

SCHEMA_VERSION = 1
APPLICATION_ID = 0x7861696A
"""Tells our file from other SQLite files: "xaij"."""
WAIT_S = 20.0
"""How long a writer waits for another one; an append takes some milliseconds."""

_TABLE = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    author TEXT NOT NULL,
    study TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX events_by_study ON events (study, id);
CREATE TRIGGER events_stay BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_last BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
"""

_ELSEWHERE = "set XAIEVAL_STATE to a folder that you may write"

T = TypeVar("T")


def journal_path() -> Path:
    """Return where the journal is kept: XAIEVAL_STATE, else the user's state folder."""
    folder = os.environ.get("XAIEVAL_STATE", "").strip()
    if not folder:
        import platformdirs

        folder = platformdirs.user_state_dir("xaieval")
    return Path(folder).expanduser() / "journal.sqlite3"


class _Connection(sqlite3.Connection):
    """A connection that a WeakSet can hold."""


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
        self._local = threading.local()
        self._opened: weakref.WeakSet[_Connection] = weakref.WeakSet()

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

        def work(connection: _Connection) -> list[Event]:
            connection.execute("BEGIN IMMEDIATE")
            try:
                written = [_insert(connection, *row) for row in rows]
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return written

        return self._guarded(work, self._connect(make=True))

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
        connection = self._connect(make=False)
        if connection is None:
            return []
        sql = (
            "SELECT id, time, author, study, sample_id, operation, value FROM events "
            f"WHERE {' AND '.join(wanted)} ORDER BY id"
        )
        rows = self._guarded(lambda c: c.execute(sql, [*values, *more]).fetchall(), connection)
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
        connection = self._connect(make=False)
        if connection is None:
            return 0
        sql = "SELECT coalesce(max(id), 0) FROM events"
        return int(self._guarded(lambda c: c.execute(sql).fetchone()[0], connection))

    def close(self) -> None:
        """Close all connections of this journal; it may be used again."""
        for connection in list(self._opened):
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    # ---------------------------------------------------------------- connections

    def _connect(self, *, make: bool) -> Any:
        """Return this thread's connection to the file at ``path``; None where there is no file."""
        held = getattr(self._local, "held", None)
        if held is not None:
            connection, file = held
            if file == self._file():
                return connection
            # Another process (after a fork), or the file was moved away: what is written to the
            # old one would be lost.
            if file[0] == os.getpid():
                connection.close()
            self._local.held = None
        if not make and not self._exists():
            return None
        connection = self._open()
        self._opened.add(connection)
        self._local.held = (connection, self._file())
        return connection

    def _exists(self) -> bool:
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise JournalError(
                f"the journal cannot be read ({error.strerror})", where=self.path, fix=_ELSEWHERE
            ) from None
        return True

    def _file(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return os.getpid(), -1, -1
        return os.getpid(), found.st_dev, found.st_ino

    def _open(self) -> _Connection:
        if self._exists() and self.path.is_dir():
            raise JournalError("this is a folder, not a journal", where=self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(
                f"the journal's folder cannot be made ({error.strerror})",
                where=self.path.parent,
                fix=_ELSEWHERE,
            ) from None
        return self._guarded(self._prepared, None)

    def _prepared(self, _: object) -> _Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=WAIT_S,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        try:
            # Looking comes first: a file that is not ours, or of a later version, stays as it is.
            if not self._looked_at(connection):
                _retried(lambda: connection.execute("PRAGMA journal_mode = WAL"))
                self._make_table(connection)
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _looked_at(self, connection: sqlite3.Connection) -> bool:
        # In one transaction: between two, another process may make the table.
        connection.execute("BEGIN")
        try:
            return self._ours(connection)
        finally:
            connection.execute("ROLLBACK")

    def _ours(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the file is a journal of this version; False when it is still empty."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        kind = connection.execute("PRAGMA application_id").fetchone()[0]
        if kind == 0 and version == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise JournalError(
                    "an SQLite file, but not a journal",
                    where=self.path,
                    fix="set XAIEVAL_STATE to another folder",
                )
            return False
        if kind != APPLICATION_ID:
            raise JournalError(
                "an SQLite file, but not a journal",
                where=self.path,
                fix="set XAIEVAL_STATE to another folder",
            )
        if version != SCHEMA_VERSION:
            raise JournalError(
                "cannot read this version of the journal",
                where=self.path,
                expected=SCHEMA_VERSION,
                got=version,
                fix="use the version of xaieval that wrote it, or a newer one",
            )
        return True

    def _make_table(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not self._ours(connection):  # else another process was faster
                for statement in _statements(_TABLE):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _guarded(self, work: Callable[[Any], T], connection: object) -> T:
        """Do some work; SQLite's errors become ours."""
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _error(self, error: sqlite3.Error) -> JournalError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return JournalError(
                f"the journal is damaged ({error})",
                where=self.path,
                fix="nothing was changed: move the file away and put back a copy, or rescue its "
                "events with 'sqlite3 FILE .recover'",
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return JournalError(
                f"the journal cannot be written here ({error})",
                where=self.path,
                fix=_ELSEWHERE,
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return JournalError(
                f"another program kept the journal locked for {WAIT_S:.0f} s",
                where=self.path,
                fix="close what holds it, and try again",
            )
        if code == sqlite3.SQLITE_FULL:
            return JournalError("the disk is full", where=self.path, fix="free some disk space")
        return JournalError(f"the journal cannot be used ({error})", where=self.path)


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


def _statements(script: str) -> list[str]:
    """Return the statements of a script; ``executescript`` would end our transaction."""
    found, text = [], ""
    for line in script.strip().splitlines():
        text += line + "\n"
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found


def _retried(work: Callable[[], object]) -> None:
    """Do what SQLite refuses at once, without waiting, while another process is at it."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            work()
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
