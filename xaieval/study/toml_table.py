"""Read one TOML table into a frozen dataclass: every key known, every value of its type."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from xaieval.errors import ConfigError

T = TypeVar("T")


class _WrongType(Exception):
    """A value that does not fit; the argument says in words what would."""


def read_table(cls: type[T], table: Mapping[str, Any], *, where: str) -> T:
    """Return ``cls`` made from the keys of a TOML table.

    Parameters
    ----------
    cls : a dataclass
        Its field annotations are the schema: str, int, float, bool, ``X | None``,
        ``tuple[X, ...]``, ``tuple[X, Y]`` and ``Mapping[str, Any]`` in any nesting, and another
        dataclass for a table inside the table.
    table : mapping
        As ``tomllib`` returns it.
    where : str
        File and table, for messages: ``"study.toml: [train]"``.

    Raises
    ------
    ConfigError
        For an unknown key (with the nearest known one), a missing key, a wrong type, and for what
        the class itself refuses.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    refuse_unknown(table, fields, where=where)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            try:
                if dataclasses.is_dataclass(hints[name]) and isinstance(table[name], Mapping):
                    inner = f"{where} {name}"
                    values[name] = read_table(hints[name], table[name], where=inner)
                    continue
                values[name] = _fit(table[name], hints[name])
            except _WrongType as error:
                raise ConfigError(
                    "wrong type of value",
                    where=f"{where} {name}",
                    expected=error.args[0],
                    got=repr(table[name]),
                ) from None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError("a required key is missing", where=f"{where} {name}")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(
            error.what,
            where=f"{where} {error.where}" if error.where else where,
            expected=error.expected,
            got=error.got,
            fix=error.fix,
        ) from None


def refuse_unknown(
    table: Mapping[str, Any], known: typing.Iterable[str], *, where: str | Path
) -> None:
    """Raise a ConfigError for the first key that is not among the known ones."""
    names = list(known)
    for key in table:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            raise ConfigError(
                f"unknown key {key!r}",
                where=where,
                expected="one of " + ", ".join(names),
                fix=f"did you mean {close[0]!r}?" if close else None,
            )


def _fit(value: Any, hint: Any) -> Any:
    """Return the value as the hint wants it (lists become tuples, ints become floats)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        for option in arguments:
            try:
                return _fit(value, option)
            except _WrongType:
                continue
        raise _WrongType(in_words(hint))
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise _WrongType(in_words(hint))
    if origin is tuple:
        return _fit_tuple(value, hint, arguments)
    if origin in (Mapping, dict):
        if isinstance(value, Mapping):
            return dict(value)
        raise _WrongType(in_words(hint))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is type(None):
        raise _WrongType(in_words(hint))  # TOML has no null: a key is absent instead
    if type(value) is hint:
        return value
    raise _WrongType(in_words(hint))


def _fit_tuple(value: Any, hint: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _WrongType(in_words(hint))
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise _WrongType(in_words(hint))
    try:
        return tuple(_fit(v, a) for v, a in zip(value, arguments, strict=True))
    except _WrongType:
        raise _WrongType(in_words(hint)) from None


_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def in_words(hint: Any) -> str:
    """Return a type annotation as a person would say it.

    >>> in_words(tuple[int, ...]), in_words(float | None)
    ('a list, each item a whole number', 'a number')
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(in_words(a) for a in arguments if a is not type(None))
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return f"a list, each item {in_words(arguments[0])}"
        return "a list of " + ", ".join(in_words(a) for a in arguments)
    if origin in (Mapping, dict) or dataclasses.is_dataclass(hint):
        return "a table {key = value, …}"
    return _WORDS.get(hint, str(hint))
