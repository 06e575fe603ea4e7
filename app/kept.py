"""The values used last, bounded by how many they are and by what they weigh."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import TypeVar

import numpy as np

V = TypeVar("V")
MIB = 1024**2


class Kept:
    """The values used last, by key; thread-safe.

    At most ``size`` of them, and where ``limit`` is given at most so many bytes; the value asked
    for last always stays.
    """

    def __init__(self, size: int, limit: int | None = None) -> None:
        self._size, self._limit = size, limit
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: Hashable) -> object | None:
        """Return the value of a key, None when it is not there."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def clear(self) -> None:
        """Forget every value."""
        with self._lock:
            self._values.clear()
            self.weight = 0

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, made when it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]  # type: ignore[return-value]
        value = make()
        weight = 0 if self._limit is None else weigh(value)
        with self._lock:
            if key in self._values:
                self.weight -= self._values.pop(key)[1]
            self._values[key] = (value, weight)
            self.weight += weight
            while len(self._values) > 1 and self._full():
                self.weight -= self._values.popitem(last=False)[1][1]
        return value

    def _full(self) -> bool:
        too_heavy = self._limit is not None and self.weight > self._limit
        return len(self._values) > self._size or too_heavy


def weigh(value: object) -> int:
    """Return about how many bytes a value's texts and arrays take.

    >>> weigh({"a": b"1234", "b": [np.zeros(3), "five"]})
    34
    """
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(weigh(key) + weigh(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(map(weigh, value))
    if is_dataclass(value):
        return sum(weigh(getattr(value, field.name)) for field in fields(value))
    return 0
