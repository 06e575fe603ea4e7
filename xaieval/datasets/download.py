"""Fetching a dataset from its public source: resumed, checked, never half a file in place."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import requests

from xaieval.datasets.base import DatasetSpec, Download
from xaieval.datasets.catalogue import DATASETS, home
from xaieval.datasets.scan import FETCHING
from xaieval.digest import digest_file
from xaieval.errors import DataError
from xaieval.files import write_bytes
from xaieval.progress import Progress, Report, silent

CHUNK_BYTES = 1 << 16
TIMEOUT_S = (10, 60)
"""For the connection, and for the next bytes of an open one."""
ATTEMPTS = 3
"""For one file, while the connection breaks or the server fails; each resumes the one before."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a manifest: POSIX path inside the dataset, bytes, sha256 (64 hex digits)."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise DataError("a manifest may only name files inside its dataset", got=self.path)


def read_manifest(name: str) -> tuple[RemoteFile, ...]:
    """Return the files of a packaged manifest."""
    text = (resources.files("xaieval_assets") / "datasets" / name).read_text(encoding="utf-8")
    return tuple(RemoteFile(**row) for row in json.loads(text)["files"])


def fetch(
    name: str,
    target: str | Path | None = None,
    *,
    base_url: str | None = None,
    report: Report = silent,
) -> Path:
    """Fetch a dataset's files into a folder and return the folder.

    Files that are there with the right checksum stay; an interrupted one goes on where it stopped
    (HTTP Range, ``.part`` beside its place). Only a whole file with the right sha256 gets its name,
    and a folder that lacks files is refused by ``open_dataset`` until fetching has gone on.

    Parameters
    ----------
    name : str
        Id in ``DATASETS``.
    target : str or Path, optional
        Without it, the dataset's place in the user's data folder, where ``open_dataset`` looks.
    base_url : str, optional
        A mirror with the same files, instead of the dataset's own source.
    report : function
        Called with bytes done and in all. It may raise ``Cancelled``; what has come is kept.

    Raises
    ------
    ConfigError
        For an unknown id.
    DataError
        When the dataset cannot be fetched by a program, the server or the connection fails, a
        checksum is wrong (the file is deleted), or the folder cannot be written.
    """
    spec = DATASETS[name]
    download = _download(spec)
    folder = home(spec) if target is None else Path(target).expanduser()
    base = (base_url or download.base_url).rstrip("/")
    files = read_manifest(download.manifest)
    meter = _Meter(f"fetch {name}", sum(file.size for file in files), report)
    with requests.Session() as session, _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        session.headers["Accept-Encoding"] = "identity"  # ranges and sizes are of the bare bytes
        for file in files:
            place = folder / file.path
            if _is_whole(place, file):
                meter.at(file, file.size)
            else:
                (folder / FETCHING).touch()
                _fetch_file(session, f"{base}/{quote(file.path)}", place, file, meter)
            meter.whole(file)
        (folder / FETCHING).unlink(missing_ok=True)
    if not (note := folder / "ATTRIBUTION.txt").exists():
        write_bytes(note, (download.attribution + "\n").encode())
    return folder


class _Meter:
    """Reports bytes done over all files; bytes of a file that come twice count once."""

    def __init__(self, stage: str, total: int, report: Report) -> None:
        self._stage, self._total, self._report = stage, total, report
        self._before, self._here, self._began = 0, 0, time.monotonic()

    def at(self, file: RemoteFile, position: int) -> None:
        """Note that ``position`` bytes of a file are there."""
        if position > self._here or position == file.size:
            self._here = min(max(position, self._here), file.size)
            elapsed_s = time.monotonic() - self._began
            done = self._before + self._here
            self._report(Progress(self._stage, done, self._total, elapsed_s, file.path))

    def whole(self, file: RemoteFile) -> None:
        """Note that a file is done."""
        self._before, self._here = self._before + file.size, 0


def _download(spec: DatasetSpec) -> Download:
    if spec.download is not None:
        return spec.download
    if spec.builtin:
        raise DataError(f"{spec.id} is built in", fix="use it as it is, nothing to fetch")
    raise DataError(
        f"{spec.id} is not fetched by this program",
        fix=f"get it from its source ({spec.source}) and name its folder with --data PATH",
    )


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except requests.RequestException:
        raise  # an OSError too, but not of the folder's
    except OSError as error:
        raise DataError(
            "cannot write here",
            where=error.filename or folder,
            got=error.strerror,
            fix="choose another folder, change its permissions or free some space",
        ) from error


def _is_whole(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and digest_file(path) == file.sha256


def _fetch_file(
    session: requests.Session, url: str, place: Path, file: RemoteFile, meter: _Meter
) -> None:
    part = place.with_name(place.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    if part.stat().st_size > file.size:
        part.write_bytes(b"")
    meter.at(file, part.stat().st_size)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            while (have := part.stat().st_size) < file.size:
                _receive(session, url, part, file, meter)
                if part.stat().st_size <= have:
                    raise _TryAgain("the server sent no more bytes")
            break
        except _PASSING as error:
            if attempt == ATTEMPTS:
                raise _failed(url, error) from error
            time.sleep(0.2 * attempt)
        except requests.RequestException as error:
            raise _failed(url, error) from error
    got = digest_file(part)
    if got != file.sha256:
        part.unlink()
        raise DataError(
            "wrong checksum, the file was deleted",
            where=url,
            expected=f"sha256 {file.sha256}",
            got=got,
            fix="fetch again; if it comes again, the source has changed",
        )
    os.replace(part, place)


class _TryAgain(requests.RequestException):
    """What may pass when asked again: a failing server, an answer that cannot be used."""


def _receive(
    session: requests.Session, url: str, part: Path, file: RemoteFile, meter: _Meter
) -> None:
    """Take the bytes that ``part`` lacks, or all of them where the server knows no ranges."""
    have = part.stat().st_size
    asked = {"Range": f"bytes={have}-"} if have else {}
    with session.get(url, headers=asked, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _TryAgain(_status(answer))
        resumed = answer.status_code == 206 and _starts_at(answer.headers, have)
        if answer.status_code == 416 or (answer.status_code == 206 and not resumed):
            part.write_bytes(b"")  # what we have fits no range of this file
            raise _TryAgain(f"the server would not go on from byte {have}")
        if answer.status_code not in (200, 206):
            raise DataError(
                "cannot be fetched",
                where=url,
                got=_status(answer),
                fix="check the address; the source may have moved",
            )
        position = have if resumed else 0
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in answer.iter_content(CHUNK_BYTES):
                stream.write(chunk)
                position += len(chunk)
                if position > file.size:
                    break  # the checksum tells
                meter.at(file, position)


def _starts_at(headers: Mapping[str, Any], have: int) -> bool:
    return str(headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _status(answer: requests.Response) -> str:
    return f"HTTP {answer.status_code} {answer.reason}"


def _failed(url: str, error: requests.RequestException) -> DataError:
    if isinstance(error, requests.Timeout):
        got = f"no answer within {TIMEOUT_S[1]} s"
    elif isinstance(error, requests.ConnectionError):
        got = "no connection"
    else:
        got = str(error) or type(error).__name__
    return DataError(
        "fetching failed",
        where=url,
        got=got,
        fix="check the network and run it again: it goes on where it stopped",
    )


_PASSING = (
    _TryAgain,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
