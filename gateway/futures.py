"""Futures that go on when whoever waited for them has gone."""

from __future__ import annotations

import asyncio
from typing import Any


def looked_at(done: asyncio.Future[Any]) -> None:
    """A done-callback: the failure of what nobody may be waiting for any more is no news.

    Without it asyncio logs "exception was never retrieved"; its `shield` does not prevent that once its
    caller was cancelled (CPython 3.11).
    """
    if not done.cancelled():
        done.exception()
