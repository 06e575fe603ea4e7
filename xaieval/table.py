"""Explicit tables of specs: the one mechanism behind datasets, models, methods and metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

from xaieval.errors import unknown


class Spec(Protocol):
    """What every row of a table has."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...


S = TypeVar("S", bound=Spec)


class Table(Mapping[str, S]):
    """An ordered, read-only mapping id -> spec.

    Rows that other packages offer through the entry-point group are added after the built-in
    ones on first use; each entry point names a spec or a function that returns one. A plugin that
    fails to load is reported as a warning and left out, never hidden.

    Raises
    ------
    ConfigError
        On look-up of an unknown id, with the nearest known id as suggestion.
    ValueError
        When two built-in rows share an id.
    """

    def __init__(self, kind: str, rows: Iterable[S], *, group: str | None = None) -> None:
        self.kind, self.group = kind, group
        self._rows: dict[str, S] = {}
        self._plugins_loaded = group is None
        for row in rows:
            if row.id in self._rows:
                raise ValueError(f"two {kind}s share the id {row.id!r}")
            self._rows[row.id] = row

    def _load_plugins(self) -> None:
        self._plugins_loaded = True
        for point in entry_points(group=self.group or ""):
            try:
                loaded = point.load()
                row: S = loaded if hasattr(loaded, "id") else _call(loaded)
            except Exception as error:
                warnings.warn(f"{self.kind} plugin {point.value} left out: {error}", stacklevel=3)
                continue
            if row.id in self._rows:
                warnings.warn(
                    f"{self.kind} plugin {point.value} left out: id {row.id!r} is taken",
                    stacklevel=3,
                )
            else:
                self._rows[row.id] = row

    def __getitem__(self, key: str) -> S:
        if key not in self._rows and not self._plugins_loaded:
            self._load_plugins()
        try:
            return self._rows[key]
        except KeyError:
            raise unknown(self.kind, key, self._rows) from None

    def __contains__(self, key: object) -> bool:
        return key in set(self)

    def __iter__(self) -> Iterator[str]:
        if not self._plugins_loaded:
            self._load_plugins()
        return iter(self._rows)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _call(factory: Callable[[], S]) -> S:
    return factory()
