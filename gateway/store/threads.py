"""Transactions on PostgreSQL: blocking, each on its own connection, in a bounded pool of threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreError
from gateway.futures import looked_at
from gateway.store.engines import POSTGRES_THREADS
from gateway.store.faults import is_repeatable, store_error

T = TypeVar("T")

TRIES = 3
MAX_WAITING = 10_000
WAIT_S = 10.0
"""How long a closure waits for a thread; longer, and the database does not keep up, or does not answer."""
_CLOSED = "The database is closed: the gateway is shutting down."
_OVERLOADED = "Too much is waiting for the database. It does not answer, or the gateway is overloaded."


class ThreadedTransactions:
    """Runs closures in threads, one transaction each; PostgreSQL groups commits by itself.

    A closure that met a deadlock is run again, so closures must do nothing but database work.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(POSTGRES_THREADS, thread_name_prefix="store")
        self._room = threading.Semaphore(MAX_WAITING)
        self._closed = False

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """The closure's result, committed; raises as `GroupCommit.run` does."""
        # Shielded: cancelling a future whose closure still waits for a thread would take it out of the queue
        future = asyncio.wrap_future(self._submit(fn))
        future.add_done_callback(looked_at)
        return await asyncio.shield(future)

    def _submit(self, fn: Callable[[Connection], T]) -> Future[T]:
        if self._closed:
            raise StoreError(_CLOSED)
        if not self._room.acquire(blocking=False):
            raise StoreError(_OVERLOADED)
        future = self._threads.submit(self._in_time, fn, time.monotonic() + WAIT_S)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _in_time(self, fn: Callable[[Connection], T], before: float) -> T:
        if time.monotonic() > before:
            raise StoreError(_OVERLOADED)
        return transact(self._engine, fn)

    def close(self) -> None:
        """Finish what was accepted, then stop. Blocks."""
        self._closed = True
        self._threads.shutdown(wait=True)


def transact(engine: Engine, fn: Callable[[Connection], T]) -> T:
    """Run one closure in one transaction, in this thread; raises as `GroupCommit.run` does."""
    for left in reversed(range(TRIES)):
        try:
            with engine.begin() as conn:
                return fn(conn)
        except SQLAlchemyError as exc:
            if left and is_repeatable(exc):
                continue
            error = store_error(exc)
            raise (error or exc) from exc
    raise AssertionError("every pass returns, raises or has a try left")
