"""The newest request wins: work for a pool whose older answers nobody wants any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

V = TypeVar("V")


class Superseded(Exception):
    """A newer request came while this one was worked on; its answer or error is void."""


class Latest:
    """Runs work in a pool, off the event loop; only the newest request gets its answer.

    >>> import asyncio
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> asyncio.run(Latest(ThreadPoolExecutor(1)).run(lambda: 3))
    3
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._asked = 0

    def forget(self) -> None:
        """Make the answer of whatever is under way void."""
        self._asked += 1

    async def run(self, work: Callable[[], V]) -> V:
        """Return what ``work`` returns, or raise what it raises.

        Raises
        ------
        Superseded
            When ``run`` or ``forget`` was called meanwhile.
        """
        self._asked += 1
        asked = self._asked
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._pool, work)
        except Exception as error:
            if asked != self._asked:
                raise Superseded from error
            raise
        if asked != self._asked:
            raise Superseded
        return answer
