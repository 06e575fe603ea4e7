"""The journal's file itself: made, checked and opened, one connection per thread."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from xaieval.errors import JournalError

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


class Connection(sqlite3.Connection):
    """A connection that a WeakSet can hold."""


class JournalFile:
    """An SQLite file of events: connections to it, and its errors as ours.

    Nothing is opened or made before it is needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._opened: weakref.WeakSet[Connection] = weakref.WeakSet()

    def close(self) -> None:
        """Close all connections; the file may be used again."""
        for connection in list(self._opened):
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def connect(self, *, make: bool) -> Connection | None:
        """Return this thread's connection to the file at ``path``; None where there is no file."""
        held = getattr(self._local, "held", None)
        if held is not None:
            connection: Connection = held[0]
            file = held[1]
            if file == self._file():
                return connection
            # Another process (after a fork), or the file was moved away: what is written to the
            # old one would be lost.
            if file[0] == os.getpid():
                connection.close()
            self._local.held = None
        if not make and not self._exists():
            return None
        opened = self._open()
        self._opened.add(opened)
        self._local.held = (opened, self._file())
        return opened

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

    def _open(self) -> Connection:
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
        return self.guarded(self._prepared, None)

    def _prepared(self, _: object) -> Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=WAIT_S,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
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

    def guarded(self, work: Callable[[Any], T], connection: object) -> T:
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
