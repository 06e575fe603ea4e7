"""Progress for people: a bar with the time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from xaieval.progress import Progress, Report, duration

_LINE_EVERY_S = 20.0


@contextmanager
def shown() -> Iterator[Report]:
    """Yield what long work reports to; the bar is closed whatever happens."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    bars = _Bars()
    try:
        yield bars
    finally:
        bars.close()


class _Bars:
    """One bar per stage at a time; a stage that goes on in the background keeps its line."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __call__(self, progress: Progress) -> None:
        from tqdm import tqdm

        bar = self._bars.get(progress.stage)
        if bar is None:
            if len(self._bars) > 1:  # the stage before this one, inside the outermost
                self._bars.popitem()[1].close()
            bar = self._bars[progress.stage] = tqdm(
                total=progress.total,
                initial=progress.done,  # what was there before says nothing about the pace
                desc=progress.stage,
                leave=not self._bars,
                unit_scale=progress.total >= 100_000,
            )
        bar.total = progress.total
        bar.set_postfix_str(progress.note, refresh=False)
        bar.update(progress.done - bar.n)
        bar.refresh()

    def close(self) -> None:
        for bar in reversed(self._bars.values()):
            bar.close()
        self._bars.clear()


class _Lines:
    """A line when a stage begins, every twenty seconds, and when it ends."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        ended = progress.done >= progress.total
        last = self._said.get(progress.stage)
        if last is not None and now - last < _LINE_EVERY_S and not ended:
            return
        self._said[progress.stage] = now
        click.echo(line(progress), err=True)


def line(progress: Progress) -> str:
    """Return one report as a line of text.

    >>> line(Progress("train seed 42", 10, 40, 30.0, "epoch 2 of 5"))
    'train seed 42: 10 of 40, 1 min 30 s left, epoch 2 of 5'
    """
    text = f"{progress.stage}: {progress.done} of {progress.total}"
    if progress.done < progress.total and progress.left_s is not None:
        text += f", {duration(progress.left_s)} left"
    return text + (f", {progress.note}" if progress.note else "")
