"""Waiting for a condition, with an end to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

EVERY_S = 0.02


def until(condition: Callable[[], T], *, within_s: float = 30.0, what: str = "the condition") -> T:
    """The condition's first true value. Raises AssertionError when there is none in time."""
    end = time.monotonic() + within_s
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"{what} did not come about within {within_s:g} s"
        time.sleep(EVERY_S)


async def eventually(
    condition: Callable[[], Awaitable[T]], *, within_s: float = 30.0, what: str = "the condition"
) -> T:
    """The same for a condition that is awaited."""
    end = time.monotonic() + within_s
    while True:
        if found := await condition():
            return found
        assert time.monotonic() < end, f"{what} did not come about within {within_s:g} s"
        await asyncio.sleep(EVERY_S)


async def soon(condition: Callable[[], T], *, within_s: float = 30.0, what: str = "the condition") -> T:
    """The same for a plain condition that other tasks of this loop bring about."""

    async def looked_at() -> T:
        return condition()

    return await eventually(looked_at, within_s=within_s, what=what)
