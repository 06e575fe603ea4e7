"""One writer at a time in a results folder, and what others can see of the work in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from xaieval.errors import ResultsError
from xaieval.files import write_json
from xaieval.progress import Progress, Report

RUN, TRAINING = ".lock", ".training"
PROGRESS = ".progress.json"
RECORD_EVERY_S = 1.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock is gone with its process."""
    with _held(folder, RUN, shared=False):
        yield


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """Show others that models are trained here; several may be, under different seeds."""
    with _held(folder, TRAINING, shared=True):
        yield


@contextmanager
def _held(folder: Path, name: str, *, shared: bool) -> Iterator[None]:
    path = folder / name
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
            _take(stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if not shared and os.fstat(stream.fileno()).st_ino != path.stat().st_ino:
                raise OSError  # another process removed this file and made its own
        except OSError:
            if shared:  # training needs no lock; it only cannot be seen from outside
                yield
                return
            raise ResultsError(
                "another run is writing to this folder", where=folder, fix="wait for it to end"
            ) from None
        try:
            yield
        finally:
            if not shared or _is_last(stream):
                path.unlink(missing_ok=True)
                (folder / PROGRESS).unlink(missing_ok=True)


def _take(stream: IO[bytes], kind: int) -> None:
    """Take a lock; one that is held for a moment only, by somebody who looks, is waited for."""
    import fcntl

    for pause_s in (0.01, 0.03, 0.1, None):
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except OSError:
            if pause_s is None:
                raise
            time.sleep(pause_s)
        else:
            return


def _is_last(stream: IO[bytes]) -> bool:
    """Say whether nobody else holds the shared lock of a stream."""
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Work:
    """What is done in a results folder at the moment, by whatever process.

    Attributes
    ----------
    kind : {"run", "training"}
    progress : Progress or None
        What it told last, when that is known.
    age_s : float
        Seconds since then; 0 without a record.
    """

    kind: str
    progress: Progress | None
    age_s: float


def work_in(folder: Path) -> Work | None:
    """Return what is done in a folder, or None when nobody trains or runs there.

    Where there are no advisory locks (Windows) it is always None.
    """
    for kind, name in (("run", RUN), ("training", TRAINING)):
        if _is_held(folder / name):
            progress, age_s = _read(folder)
            return Work(kind, progress, age_s)
    return None


def _is_held(path: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        stream: IO[bytes] = path.open("rb")
    except OSError:
        return False
    with stream:
        # Two that only look at a run's lock do not disturb each other.
        wanted = fcntl.LOCK_SH if path.name == RUN else fcntl.LOCK_EX
        try:
            fcntl.flock(stream, wanted | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _read(folder: Path) -> tuple[Progress | None, float]:
    try:
        path = folder / PROGRESS
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Progress(**kept), max(time.time() - path.stat().st_mtime, 0.0)
    except (OSError, ValueError, TypeError):
        return None, 0.0


def recorded(folder: Path, report: Report) -> Report:
    """Return a report that also leaves a record for ``work_in``, at most once a second."""
    last = -RECORD_EVERY_S

    def told(progress: Progress) -> None:
        nonlocal last
        report(progress)
        if time.monotonic() - last >= RECORD_EVERY_S:
            last = time.monotonic()
            try:
                write_json(folder / PROGRESS, asdict(progress))
            except (OSError, ResultsError):
                return  # a record is a courtesy; the work does not depend on it

    return told
