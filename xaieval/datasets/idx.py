"""IDX files, the format of MNIST: a header of sizes, then the values, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xaieval.errors import DataError

UNSIGNED_BYTE = 0x08
"""The type code of MNIST's files; other types do not occur there."""
_INTACT = "replace it by an intact copy"


def find_idx(folder: Path, name: str) -> Path | None:
    """Return ``name`` or ``name.gz`` in a folder, or None; a hyphen may be a full stop.

    The archive has ``train-images-idx3-ubyte``; some programs unpack it as
    ``train-images.idx3-ubyte``.
    """
    for stem in (name, name.replace("-idx", ".idx")):
        for path in (folder / stem, folder / f"{stem}.gz"):
            if path.is_file():
                return path
    return None


def read_idx(path: Path, *, axes: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, uint8 with ``axes`` axes; read-only, kept in memory.

    Byte 3 of the file is the type, byte 4 the number of axes; then comes each size as a big-endian
    32-bit number, then the values, last axis fastest.
    Source: LeCun, Cortes, Burges, The MNIST database, "File formats".

    Raises
    ------
    DataError
        When the file is missing, not of this format, or shorter or longer than its header says.
    """
    try:
        stamp = path.stat()
    except OSError as error:
        raise DataError("cannot be read", where=path, got=error.strerror) from error
    return _read(path, axes, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=8)  # the four files of MNIST are 55 MB; a file that changes is read anew
def _read(path: Path, axes: int, mtime_ns: int, size: int) -> npt.NDArray[np.uint8]:
    data = _bytes(path)
    what = f"an IDX file of bytes with {axes} axes (magic {_magic(axes).hex()})"
    if data[:4] != _magic(axes):
        got = f"magic {data[:4].hex()}" if data else "0 bytes"
        raise DataError("wrong kind of file", where=path, expected=what, got=got, fix=_INTACT)
    start = 4 + 4 * axes
    if len(data) < start:
        raise DataError("truncated header", where=path, expected=what, fix=_INTACT)
    shape = tuple(int(n) for n in np.frombuffer(data[4:start], ">u4"))
    count = math.prod(shape)
    if len(data) - start != count:
        short = len(data) - start < count
        raise DataError(
            "truncated file" if short else "more bytes than its header says",
            where=path,
            expected=f"{count} values ({' x '.join(map(str, shape))})",
            got=str(len(data) - start),
            fix=_INTACT,
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:  # BadGzipFile is an OSError
        raise DataError("cannot be read", where=path, got=error, fix=_INTACT) from error


def _magic(axes: int) -> bytes:
    return bytes((0, 0, UNSIGNED_BYTE, axes))
