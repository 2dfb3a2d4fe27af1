"""The one thread that writes to SQLite: up to 64 closures to a commit, a SAVEPOINT each."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreError
from gateway.store.faults import store_error

T = TypeVar("T")

BATCH = 64
MAX_WAITING = 10_000
_CLOSED = "The database is closed: the gateway is shutting down."


@dataclass(slots=True, eq=False, kw_only=True)
class _Job:
    fn: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        if self.future.done():  # the caller was cancelled; the closure ran all the same
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class GroupCommit:
    """Runs closures one after the other and answers each once the commit that holds it is on disk.

    A closure that raises undoes only its own work. When COMMIT fails, everybody in it gets StoreError.
    """

    def __init__(self, engine: Engine) -> None:
        self._conn = engine.connect()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """The closure's result, committed. A cancelled caller does not stop its closure.

        Raises what the closure raised; StoreError when the database failed, is closed or is overloaded.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Job(fn=fn, loop=loop, future=future))
        return await future

    def close(self) -> None:
        """Write everything accepted so far, then stop. Blocks; may be called twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()
        self._conn.close()

    def _put(self, job: _Job) -> None:
        with self._gate:
            if self._closed:
                raise StoreError(_CLOSED)
            if self._jobs.qsize() >= MAX_WAITING:
                raise StoreError("Too many writes are waiting for the disk. The gateway is overloaded.")
            self._jobs.put(job)

    def _serve(self) -> None:
        going = True
        while going:
            jobs, going = self._next()
            if jobs:
                _commit(self._conn, jobs)
                _answer(jobs)

    def _next(self) -> tuple[list[_Job], bool]:
        """What is waiting, at most BATCH, and whether to go on: close() puts None behind the last job."""
        jobs: list[_Job] = []
        item = self._jobs.get()
        while item is not None:
            jobs.append(item)
            if len(jobs) == BATCH:
                return jobs, True
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, True
        return jobs, False


def _commit(conn: Connection, jobs: list[_Job]) -> None:
    """All closures in one transaction; when one of them fails, all again, each in its own savepoint.

    Failures are rare and savepoints are not cheap, so the first attempt goes without.
    """
    try:
        with conn.begin():
            for job in jobs:
                job.result = job.fn(conn)
    except BaseException as exc:  # noqa: BLE001 - whatever it is, the thread lives and each caller hears it
        _clear(conn)
        if len(jobs) == 1:
            jobs[0].error = _error(exc, alone=True)
        else:
            _commit_apart(conn, jobs)


def _commit_apart(conn: Connection, jobs: list[_Job]) -> None:
    try:
        with conn.begin():
            for job in jobs:
                _in_savepoint(conn, job)
    except BaseException as exc:  # noqa: BLE001 - as above
        for job in jobs:
            job.error = job.error or _error(exc, alone=False)
        _clear(conn)


def _clear(conn: Connection) -> None:
    """Make the connection fit for the next commit; a broken one is replaced when that begins."""
    try:
        conn.rollback()
        if _in_transaction(conn):  # a COMMIT that failed leaves it open, though SQLAlchemy calls it over
            conn.connection.rollback()
    except (SQLAlchemyError, sqlite3.Error):
        conn.invalidate()
        conn.rollback()


def _in_savepoint(conn: Connection, job: _Job) -> None:
    conn.exec_driver_sql("SAVEPOINT closure")
    try:
        job.result = job.fn(conn)
    except BaseException as exc:
        job.error = _error(exc, alone=True)
        if not _in_transaction(conn):
            raise  # SQLite gave up the whole transaction (disk full, I/O error): nobody's work was kept
        conn.exec_driver_sql("ROLLBACK TO closure")
    conn.exec_driver_sql("RELEASE closure")


def _error(exc: BaseException, alone: bool) -> BaseException:
    """What one caller hears: its own exception, or StoreError when the commit failed under it."""
    known = store_error(exc)
    if known is not None or alone:
        return known or exc
    error = StoreError("The database could not keep this write. Please try again.")
    error.__cause__ = exc
    return error


def _in_transaction(conn: Connection) -> bool:
    return bool(conn.connection.dbapi_connection.in_transaction)  # type: ignore[union-attr]


def _answer(jobs: list[_Job]) -> None:
    """One wake-up for each event loop, not for each closure."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, mine in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:  # the loop was closed meanwhile: nobody is waiting
            continue


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        job.resolve()
