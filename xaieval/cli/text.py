"""Tables in plain characters."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in plain characters, columns two spaces apart.

    >>> print(text_table(["id", "n"], [["a", "10"], ["long", "2"]]))
    id    n
    ----  --
    a     10
    long  2
    """
    lines = [list(head), ["-" * len(name) for name in head], *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines[1] = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
