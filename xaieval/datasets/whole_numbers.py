"""A dataset's options that are whole numbers."""

from __future__ import annotations

from xaieval.errors import ConfigError


def whole(value: object, key: str, low: int, high: int, *, dataset: str) -> int:
    """Return an option's value.

    Raises
    ------
    ConfigError
        When it is no whole number from ``low`` to ``high``.

    >>> whole(3, "size", 1, 9, dataset="mine")
    3
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(
            f"bad {key}",
            where=f"{dataset}, option {key}",
            expected=f"a whole number from {low} to {high}",
            got=value,
        )
    return value
