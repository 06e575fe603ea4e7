"""What long work tells whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report: ``done`` of ``total`` units of a stage; times in seconds."""

    stage: str
    done: int
    total: int
    elapsed_s: float
    note: str = ""

    @property
    def left_s(self) -> float | None:
        """Seconds left at the present pace; None before the first unit is done."""
        if not self.done:
            return None
        return self.elapsed_s / self.done * max(self.total - self.done, 0)


Report = Callable[[Progress], None]
"""Called after each unit of work. It may raise ``Cancelled`` to stop the work cleanly."""


def silent(progress: Progress) -> None:
    """Ignore a report."""


def duration(seconds: float) -> str:
    """Return a span of time as people say it.

    >>> duration(59.6), duration(90), duration(7260)
    ('1 min 0 s', '1 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
