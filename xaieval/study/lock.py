"""One writer at a time in a results folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xaieval.errors import ResultsError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock is gone with its process."""
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
    except OSError as error:
        raise ResultsError(
            f"cannot write here ({error.strerror})", where=folder, fix="choose another --out"
        ) from None
    with stream:
        try:
            import fcntl
        except ImportError:  # Windows: no advisory locks there; parts stay whole all the same
            yield
            return
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(stream.fileno()).st_ino != path.stat().st_ino:
                raise OSError  # another process removed this file and made its own
        except OSError:
            raise ResultsError(
                "another run is writing to this folder", where=folder, fix="wait for it to end"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
