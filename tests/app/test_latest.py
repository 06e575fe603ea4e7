"""Only the newest request gets its answer."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.latest import Latest, Superseded


def test_an_older_answer_or_error_is_void() -> None:
    gate = threading.Event()

    def slow() -> int:
        gate.wait(10)
        return 1

    def failing() -> int:
        gate.wait(10)
        raise ValueError

    async def both() -> list[object]:
        latest = Latest(pool)
        old = [asyncio.ensure_future(latest.run(work)) for work in (slow, failing)]
        await asyncio.sleep(0)
        new = asyncio.ensure_future(latest.run(lambda: 2))
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*old, new, return_exceptions=True)

    with ThreadPoolExecutor(3) as pool:
        first, second, third = asyncio.run(both())
    assert isinstance(first, Superseded)
    assert isinstance(second, Superseded)
    assert third == 2


def test_the_newest_error_is_raised_and_forget_voids_it() -> None:
    def failing() -> int:
        raise ValueError("told")

    async def forgotten() -> object:
        latest = Latest(pool)
        task = asyncio.ensure_future(latest.run(lambda: 1))
        await asyncio.sleep(0)
        latest.forget()
        return await asyncio.gather(task, return_exceptions=True)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="told"):
            asyncio.run(Latest(pool).run(failing))
        found = asyncio.run(forgotten())
    assert isinstance(found[0], Superseded)  # type: ignore[index]
