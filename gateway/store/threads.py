"""Transactions on PostgreSQL: blocking, each on its own connection, in a bounded pool of threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreError
from gateway.store.engines import POSTGRES_THREADS
from gateway.store.faults import is_repeatable, store_error

T = TypeVar("T")

TRIES = 3


class ThreadedTransactions:
    """Runs closures in threads, one transaction each; PostgreSQL groups commits by itself.

    A closure that met a deadlock is run again, so closures must do nothing but database work.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(POSTGRES_THREADS, thread_name_prefix="store")
        self._closed = False

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """The closure's result, committed; raises as `GroupCommit.run` does."""
        if self._closed:
            raise StoreError("The database is closed: the gateway is shutting down.")
        return await asyncio.get_running_loop().run_in_executor(self._threads, transact, self._engine, fn)

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
