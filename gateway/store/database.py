"""The open database: `write` and `read` take closures; only this file knows which engine is behind them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreError
from gateway.store import migrate
from gateway.store.clock import Clock
from gateway.store.engines import is_sqlite, parse_url, postgres_engine, sqlite_engine
from gateway.store.faults import store_error
from gateway.store.threads import ThreadedTransactions
from gateway.store.writer import GroupCommit

log = logging.getLogger("gateway.store")

T = TypeVar("T")

MEASURE_EVERY_S = 600.0
STEP_S = 1.0
"""A machine's clock that is set by more than this, or a machine that slept, is measured against at once."""


class Transactions(Protocol):
    """Runs closures, each all or nothing; the way in of one engine."""

    async def run(self, fn: Callable[[Connection], T], /) -> T: ...

    def close(self) -> None: ...


class Database:
    """One store: `await write(fn)`, `await read(fn)`, `clock`.

    Closures take a Connection and do database work only: they may run in another thread, after their
    caller was cancelled, and more than once (after a neighbour's failure; on PostgreSQL after a deadlock).
    """

    def __init__(
        self, *, writes: Transactions, reads: Transactions, engines: list[Engine], clock: Clock
    ) -> None:
        self.clock = clock
        self._writes = writes
        self._reads = reads
        self._engines = engines

    @classmethod
    def open(cls, url: str) -> Database:
        """Open the store; SQLite is created and migrated, PostgreSQL must have been (`upgrade`).

        Raises StoreError with a sentence that says what to do.
        """
        parsed = parse_url(url)
        try:
            if is_sqlite(parsed):
                migrate.upgrade(url)
                return cls._sqlite(sqlite_engine(parsed, writes=True), sqlite_engine(parsed, writes=False))
            return cls._postgres(postgres_engine(parsed))
        except SQLAlchemyError as exc:
            raise (store_error(exc) or exc) from exc

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """The closure's result once it is durable. Cancelling the caller does not stop the closure.

        Raises what the closure raised (then nothing of it was kept), or StoreError.
        """
        return await self._writes.run(fn)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """The closure's result, from one consistent snapshot on SQLite. Raises as `write` does."""
        return await self._reads.run(fn)

    async def close(self) -> None:
        """Write all that was accepted, then let go of the database. May be called twice."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writes.close()
        self._reads.close()
        for engine in self._engines:
            engine.dispose()

    @classmethod
    def _sqlite(cls, writer: Engine, reader: Engine) -> Database:
        return cls(
            writes=GroupCommit(writer), reads=InlineReads(reader), engines=[writer, reader], clock=Clock()
        )

    @classmethod
    def _postgres(cls, engine: Engine) -> Database:
        try:
            with engine.connect() as conn:
                migrate.require_current(conn)
                # not the machine's date, which somebody may set
                clock = Clock(measured_offset(conn, machine=time.monotonic), machine=time.monotonic)
        except BaseException:
            engine.dispose()
            raise
        threads = Timed(ThreadedTransactions(engine), clock)
        return cls(writes=threads, reads=threads, engines=[engine], clock=clock)


class InlineReads:
    """SQLite reads, run at once on the caller's thread through one read-only connection.

    Measured: a lookup by key costs about 60 µs inline, and 180 µs of CPU when a thread has to be woken
    for it. In WAL mode a read never waits for the writer. Closures must therefore stay small: list pages.
    """

    def __init__(self, engine: Engine) -> None:
        self._conn = engine.connect()
        self._lock = threading.Lock()  # for a second event loop in another thread; otherwise never waited for

    async def run(self, fn: Callable[[Connection], T]) -> T:
        with self._lock:
            if self._conn.closed:
                raise StoreError("The database is closed: the gateway is shutting down.")
            try:
                with self._conn.begin():
                    return fn(self._conn)
            except SQLAlchemyError as exc:
                raise (store_error(exc) or exc) from exc

    def close(self) -> None:
        with self._lock:
            self._conn.close()


class Timed:
    """PostgreSQL: the clock is measured again now and then, inside whatever transaction comes next."""

    def __init__(
        self,
        inner: Transactions,
        clock: Clock,
        *,
        machine: Callable[[], float] = time.monotonic,
        date: Callable[[], float] = time.time,
    ) -> None:
        self._inner, self._clock = inner, clock
        self._machine, self._date = machine, date
        self._measured = self._both()
        self._lock = threading.Lock()

    async def run(self, fn: Callable[[Connection], T], /) -> T:
        return await self._inner.run(lambda conn: self._timed(conn, fn))

    def close(self) -> None:
        self._inner.close()

    def _timed(self, conn: Connection, fn: Callable[[Connection], T]) -> T:
        if self._is_due() and self._lock.acquire(blocking=False):
            try:
                self._measure(conn)
            finally:
                self._lock.release()
        return fn(conn)

    def _is_due(self) -> bool:
        (before, date_before), (now, date) = self._measured, self._both()
        passed = now - before
        return passed >= MEASURE_EVERY_S or abs(date - date_before - passed) > STEP_S

    def _measure(self, conn: Connection) -> None:
        both = self._both()
        changed = self._clock.adjust(measured_offset(conn, machine=self._machine))
        self._measured = both
        if abs(changed) > STEP_S:
            log.warning("the database's clock is %.1f s off from what it was, and is followed", changed)

    def _both(self) -> tuple[float, float]:
        return self._machine(), self._date()


def upgrade(url: str) -> None:
    """Bring the tables up to this version: `lms-gateway db upgrade`. Raises StoreError."""
    migrate.upgrade(url)


def measured_offset(
    conn: Connection, samples: int = 3, *, machine: Callable[[], float] | None = None
) -> float:
    """Seconds the database's clock is ahead of this machine's, from the quickest of a few round trips.

    `machine` is another clock to compare it with than the machine's date.
    """
    ours = time.time if machine is None else machine

    def sample() -> tuple[float, float]:
        before = ours()
        theirs = float(conn.execute(_THEIR_TIME).scalar_one())
        after = ours()
        return after - before, theirs - (before + after) / 2

    return min(sample() for _ in range(samples))[1]


_THEIR_TIME = text("SELECT extract(epoch FROM clock_timestamp())")
