"""A two-tier cache of small arrays: memory, then disk, both bounded by bytes.

Keys are digests of everything a value depends on (``backend.py`` builds them), so an entry never
goes stale and many processes may share one folder. A disk entry is written under a temporary name
and renamed; its checksum is verified on read, and a damaged one is removed, reported through
``warnings`` and computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from xaieval.errors import ConfigError, ResultsError
from xaieval.files import write_bytes

Arrays = Mapping[str, np.ndarray]
MIB = 1024**2
_MAGIC = b"XAIC1\n"


def default_folder() -> Path:
    """Return the folder named by ``XAIEVAL_CACHE``, else the user's cache folder for heatmaps."""
    named = os.environ.get("XAIEVAL_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("xaieval")) / "heatmaps"


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds (entries, bytes) and what became of its look-ups since it was made."""

    memory_entries: int
    memory_bytes: int
    disk_bytes: int
    memory_hits: int
    disk_hits: int
    misses: int
    damaged: int


class HeatmapCache:
    """Least-recently-used arrays by key.

    Parameters
    ----------
    memory_bytes, disk_bytes : int
        Bounds in bytes; ``disk_bytes=0`` keeps everything in memory only.
    folder : Path, optional
        Folder of the disk tier; the user's cache folder when None.

    Notes
    -----
    Thread-safe. A folder that cannot be written turns the disk tier off with one warning: a
    read-only machine still explains.
    """

    def __init__(
        self,
        memory_bytes: int = 256 * MIB,
        disk_bytes: int = 2048 * MIB,
        folder: Path | None = None,
    ) -> None:
        if memory_bytes < 0 or disk_bytes < 0:
            raise ConfigError(
                "bad cache size", expected="bytes >= 0", got=(memory_bytes, disk_bytes)
            )
        self.memory_limit, self.disk_limit = memory_bytes, disk_bytes
        self.folder = folder or default_folder()
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, Arrays] = OrderedDict()
        self._memory_bytes = 0
        self._disk_bytes: int | None = None
        self._disk_on = disk_bytes > 0
        self._memory_hits = self._disk_hits = self._misses = self._damaged = 0

    def get(self, key: str) -> Arrays | None:
        """Return the arrays of a key, or None when they must be computed."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                self._memory_hits += 1
                return self._memory[key]
        arrays = self._read(key) if self._disk_on else None
        with self._lock:
            if arrays is None:
                self._misses += 1
                return None
            self._disk_hits += 1
            self._keep(key, arrays)
        return arrays

    def put(self, key: str, arrays: Arrays, *, disk: bool = True) -> None:
        """Keep arrays under a key, in memory and, unless told otherwise, on disk."""
        frozen = {name: _read_only(array) for name, array in arrays.items()}
        with self._lock:
            self._keep(key, frozen)
        if self._disk_on and disk:
            self._write(key, frozen)

    def clear(self) -> None:
        """Forget everything, on disk too."""
        with self._lock:
            self._memory.clear()
            self._memory_bytes = 0
            for path in self._entries():
                path.unlink(missing_ok=True)
            self._disk_bytes = 0

    def info(self) -> CacheInfo:
        """Return what the cache holds and how it has served."""
        with self._lock:
            return CacheInfo(
                memory_entries=len(self._memory),
                memory_bytes=self._memory_bytes,
                disk_bytes=self._measure_disk(),
                memory_hits=self._memory_hits,
                disk_hits=self._disk_hits,
                misses=self._misses,
                damaged=self._damaged,
            )

    def _keep(self, key: str, arrays: Arrays) -> None:
        """Put into the memory tier and drop the oldest entries; the lock is held."""
        old = self._memory.pop(key, None)
        if old is not None:
            self._memory_bytes -= _size(old)
        size = _size(arrays)
        if size > self.memory_limit:
            return
        self._memory[key] = arrays
        self._memory_bytes += size
        while self._memory_bytes > self.memory_limit:
            _, dropped = self._memory.popitem(last=False)
            self._memory_bytes -= _size(dropped)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.xac"

    def _entries(self) -> list[Path]:
        return list(self.folder.glob("*/*.xac")) if self._disk_on else []

    def _read(self, key: str) -> Arrays | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + 32
        payload = data[start:]
        try:
            if data[:start] != _MAGIC + hashlib.sha256(payload).digest():
                raise ValueError("checksum differs")
            arrays = {name: _read_only(array) for name, array in load_arrays(payload).items()}
        except (ValueError, SafetensorError) as error:
            path.unlink(missing_ok=True)
            with self._lock:
                self._damaged += 1
            warnings.warn(
                f"damaged cache entry removed, computing it again: {path} ({error})", stacklevel=3
            )
            return None
        with contextlib.suppress(OSError):  # evicted meanwhile; what was read is whole
            os.utime(path)
        return arrays

    def _write(self, key: str, arrays: Arrays) -> None:
        payload = dump_arrays({name: np.ascontiguousarray(a) for name, a in arrays.items()})
        data = _MAGIC + hashlib.sha256(payload).digest() + payload
        try:
            write_bytes(self._path(key), data)
        except ResultsError as error:
            self._disk_on = False
            warnings.warn(f"heatmaps are kept in memory only: {error}", stacklevel=3)
            return
        with self._lock:
            self._disk_bytes = self._measure_disk() + len(data)
            if self._disk_bytes > self.disk_limit:
                self._evict()

    def _measure_disk(self) -> int:
        if self._disk_bytes is None:
            self._disk_bytes = sum(size for _, size, _ in self._stats())
        return self._disk_bytes

    def _stats(self) -> list[tuple[float, int, Path]]:
        """Return (last use, bytes, path) of each entry; one evicted meanwhile is passed over."""
        found = []
        for path in self._entries():
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((stat.st_mtime, stat.st_size, path))
        return found

    def _evict(self) -> None:
        """Remove the entries used longest ago until a tenth of the bound is free."""
        entries = sorted(self._stats(), key=lambda entry: entry[0])
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= 0.9 * self.disk_limit:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._disk_bytes = total


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a view nobody can write through: a cached value is shared by all sessions."""
    view = array.view()
    view.flags.writeable = False
    return view
