"""The database: group commit, neighbours, cancelling, closing, and errors that say what to do."""

import asyncio
import sqlite3
import threading
import time

import pytest
from sqlalchemy import create_engine, event, func, inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from gateway.errors import StoreError
from gateway.store import database as database_module
from gateway.store import leases, writer
from gateway.store.clock import Clock
from gateway.store.database import Database, measured_offset
from gateway.store.engines import parse_url, sqlite_engine
from gateway.store.faults import is_repeatable, store_error
from gateway.store.tables import lease
from gateway.store.threads import TRIES, ThreadedTransactions
from gateway.store.writer import BATCH, GroupCommit


@pytest.fixture
def store_url(tmp_path):
    """SQLite always: what is tested here is its writer."""
    return f"sqlite:///{tmp_path}/gateway.db"


def put(name):
    return lambda conn: leases.acquire(conn, "acme", name, "me", 0.0, 60.0)


def count(conn):
    return conn.execute(select(func.count()).select_from(lease)).scalar_one()


class Held:
    """Holds the writer thread until `free`, so that everything asked meanwhile shares one commit."""

    def __init__(self):
        self._go, self._held = threading.Event(), threading.Event()

    def __call__(self, conn):
        self._held.set()
        assert self._go.wait(10)

    async def all(self, database, *closures):
        """The outcome of each closure, all in one batch."""
        first = asyncio.create_task(database.write(self))
        await asyncio.to_thread(self._held.wait, 10)
        rest = [asyncio.create_task(database.write(fn)) for fn in closures]
        await asyncio.sleep(0)
        self._go.set()
        return (await asyncio.gather(first, *rest, return_exceptions=True))[1:]


@pytest.fixture
def commits(database):
    """How many commits the writer made."""
    made = []
    engine = database._engines[0]
    event.listen(engine, "commit", lambda conn: made.append(conn))
    return made


async def test_written_value_is_returned_and_read_back(database):
    assert await database.write(put("a")) is True
    assert await database.read(count) == 1


async def test_closures_that_wait_share_a_commit_of_at_most_sixty_four(database, commits):
    await Held().all(database, *(put(str(n)) for n in range(BATCH + 1)))
    assert len(commits) == 3
    assert await database.read(count) == BATCH + 1


async def test_failing_closure_undoes_its_own_work_and_not_its_neighbours(database, commits):
    def half(conn):
        put("half")(conn)
        raise ValueError("mine")

    def clash(conn):
        conn.execute(lease.insert(), {"tenant": "acme", "name": None, "owner": "", "lease_until": 0})

    outcomes = await Held().all(database, put("a"), half, put("b"), clash, put("c"))
    assert [type(outcome) for outcome in outcomes] == [bool, ValueError, bool, IntegrityError, bool]
    assert await database.read(count) == 3
    assert len(commits) == 2


async def test_failing_closure_alone_keeps_nothing_and_the_writer_goes_on(database):
    def half(conn):
        put("half")(conn)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await database.write(half)
    assert await database.write(count) == 0


class Odd(BaseException):
    pass


async def test_closure_that_raises_no_mere_exception_does_not_end_the_writer(database):
    def leave(conn):
        raise Odd

    outcomes = await Held().all(database, leave, put("a"))
    assert [type(outcome) for outcome in outcomes] == [Odd, bool]
    assert await database.read(count) == 1


async def test_disk_full_fails_the_whole_commit_with_what_to_do_and_work_resumes(database):
    def fill(conn):
        conn.execute(lease.insert(), {"tenant": "x" * 500_000, "name": "", "owner": "", "lease_until": 0})

    async def limit(pages):
        await database.write(lambda conn: conn.exec_driver_sql(f"PRAGMA max_page_count={pages}").close())

    await limit(60)
    with pytest.raises(StoreError, match="disk .* is full"):
        await database.write(fill)
    outcomes = await Held().all(database, put("a"), fill, put("b"))
    assert isinstance(outcomes[1], StoreError)
    await limit(100_000)
    await database.write(fill)
    kept = sum(outcome is True for outcome in outcomes)
    assert await database.read(count) == kept + 1  # whoever was told yes is there, nobody else


async def test_transaction_that_sqlite_gave_up_fails_everybody_in_it(database):
    def give_up(conn):
        conn.connection.dbapi_connection.execute("ROLLBACK").close()  # what SQLite does on an I/O error
        raise ValueError("and then")

    outcomes = await Held().all(database, put("a"), give_up, put("b"))
    assert [type(outcome) for outcome in outcomes] == [StoreError, ValueError, StoreError]
    assert await database.read(count) == 0
    assert await database.write(put("a"))


async def test_broken_connection_is_replaced(database):
    def break_it(conn):
        conn.connection.dbapi_connection.close()
        return count(conn)

    with pytest.raises(Exception, match="closed database"):
        await database.write(break_it)
    assert await database.write(put("a"))
    outcomes = await Held().all(database, put("b"), break_it, put("c"))
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [True, True, True]
    assert await database.write(put("d"))
    assert await database.read(count) == 2


class Stubborn(sqlite3.Connection):
    """A connection that cannot roll back, as after an I/O error; the next one can."""

    made = 0

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        Stubborn.made += 1
        self._broken = Stubborn.made == 1

    def rollback(self):
        if self._broken and self.in_transaction:
            raise sqlite3.OperationalError("disk I/O error")
        super().rollback()


async def test_connection_that_cannot_roll_back_is_replaced(tmp_path):
    engine = create_engine(
        f"sqlite:///{tmp_path}/gateway.db",
        poolclass=NullPool,
        connect_args={"isolation_level": None, "check_same_thread": False, "factory": Stubborn},
    )
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    Stubborn.made = 0
    group = GroupCommit(engine)

    def half(conn):
        conn.exec_driver_sql("CREATE TABLE half (a INTEGER)")
        raise ValueError("mine")

    with pytest.raises((ValueError, StoreError)):
        await group.run(half)
    assert await group.run(lambda conn: inspect(conn).get_table_names()) == []
    assert Stubborn.made == 2
    await asyncio.to_thread(group.close)


@pytest.fixture
async def deferred(tmp_path):
    """A writer on a table whose constraint is only checked by COMMIT."""
    engine = sqlite_engine(parse_url(f"sqlite:///{tmp_path}/deferred.db"), writes=True)
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON").close())
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE a (id INTEGER PRIMARY KEY)")
        conn.exec_driver_sql("CREATE TABLE b (a INTEGER REFERENCES a DEFERRABLE INITIALLY DEFERRED)")
    made = Database(writes=GroupCommit(engine), reads=GroupCommit(engine), engines=[engine], clock=Clock())
    yield made
    await made.close()


async def test_failed_commit_is_a_store_error_for_everybody_in_it(deferred):
    def orphan(conn):
        conn.exec_driver_sql("INSERT INTO b VALUES (1)")

    def good(conn):
        conn.exec_driver_sql("INSERT INTO a VALUES (2)")

    outcomes = await Held().all(deferred, good, orphan)
    assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
    await deferred.write(good)


async def test_locked_database_is_reported_and_the_writer_recovers(database, tmp_path):
    await database.write(lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout=1").close())
    holder = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"):
        await database.write(put("a"))
    assert await database.read(count) == 0  # reads do not wait for writers
    holder.execute("ROLLBACK")
    holder.close()
    assert await database.write(put("a"))


async def test_cancelled_caller_does_not_stop_its_closure_or_the_writer(database):
    started, go = threading.Event(), threading.Event()

    def slow(conn):
        started.set()
        assert go.wait(10)
        return put("slow")(conn)

    task = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await database.write(count) == 1


async def test_close_writes_everything_that_was_accepted_then_refuses(store_url):
    database = Database.open(store_url)
    tasks = [asyncio.create_task(database.write(put(str(n)))) for n in range(200)]
    await asyncio.sleep(0)
    await database.close()
    assert all(await asyncio.gather(*tasks))
    for use in (database.write, database.read):
        with pytest.raises(StoreError, match="shutting down"):
            await use(count)
    await database.close()
    again = Database.open(store_url)
    assert await again.read(count) == 200
    await again.close()


async def test_too_many_waiting_writes_are_refused(database, monkeypatch):
    monkeypatch.setattr(writer, "MAX_WAITING", 3)
    outcomes = await Held().all(database, *(put(str(n)) for n in range(5)))
    assert [type(outcome) for outcome in outcomes] == [bool] * 3 + [StoreError] * 2


async def test_answer_to_a_loop_that_is_gone_does_not_stop_the_writer(database):
    started, go = threading.Event(), threading.Event()

    def slow(conn):
        started.set()
        assert go.wait(10)

    def elsewhere():
        loop = asyncio.new_event_loop()
        task = loop.create_task(database.write(slow))
        loop.run_until_complete(asyncio.sleep(0))
        assert started.wait(10)
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    await asyncio.to_thread(elsewhere)
    go.set()
    assert await database.write(put("a"))


async def test_reads_cannot_write_and_see_one_snapshot(database):
    with pytest.raises(StoreError, match="may not be written"):
        await database.read(put("a"))
    other = threading.Event()

    def twice(conn):
        before = count(conn)
        other.set()
        written.wait(10)
        return before, count(conn)

    written = threading.Event()
    reading = asyncio.create_task(asyncio.to_thread(asyncio.run, database.read(twice)))
    await asyncio.to_thread(other.wait, 10)
    await database.write(put("a"))
    written.set()
    assert await reading == (0, 0)
    assert await database.read(count) == 1


async def test_two_databases_on_one_file_see_each_other(database, store_url):
    other = Database.open(store_url)
    await asyncio.gather(*(each.write(put(f"{n}")) for n in range(50) for each in (database, other)))
    assert await other.read(count) == await database.read(count) == 50
    await other.close()


async def test_synchronous_is_full_and_journal_is_wal(database):
    def pragmas(conn):
        names = ("synchronous", "journal_mode")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await database.write(pragmas) == [2, "wal"]


# --- the pool of threads, which PostgreSQL uses; any engine shows how it behaves


@pytest.fixture
async def threaded(database, store_url):
    engine = sqlite_engine(parse_url(store_url), writes=True)
    transactions = ThreadedTransactions(engine)
    yield transactions
    transactions.close()
    engine.dispose()


async def test_threaded_transactions_keep_all_or_nothing(threaded, database):
    def half(conn):
        put("half")(conn)
        raise ValueError("mine")

    await asyncio.gather(*(threaded.run(put(str(n))) for n in range(20)))
    with pytest.raises(ValueError, match="mine"):
        await threaded.run(half)
    assert await threaded.run(count) == 20


class Deadlock(Exception):
    sqlstate = "40P01"


async def test_deadlocked_transaction_is_run_again_a_few_times(threaded):
    tries = []

    def unlucky(conn):
        put(f"try {len(tries)}")(conn)
        tries.append(1)
        if len(tries) < TRIES:
            raise OperationalError("", {}, Deadlock())

    await threaded.run(unlucky)
    assert len(tries) == TRIES
    assert await threaded.run(count) == 1
    tries[:] = [-99] * -99

    def hopeless(conn):
        tries.append(1)
        raise OperationalError("", {}, Deadlock())

    with pytest.raises(StoreError):
        await threaded.run(hopeless)
    assert len(tries) == TRIES


async def test_threaded_transactions_refuse_once_closed(threaded):
    threaded.close()
    with pytest.raises(StoreError, match="shutting down"):
        await threaded.run(count)


# --- what errors say, and the clock


def postgres_error(sqlstate):
    orig = Exception("secret detail")
    orig.sqlstate = sqlstate
    return OperationalError("SELECT 'Joana'", {}, orig)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (postgres_error("53100"), "disk of the database server is full"),
        (postgres_error("25006"), "read-only"),
        (postgres_error("XX000"), "cannot be used just now"),
        (StoreError("as it is"), "as it is"),
        (database_module.SQLAlchemyError("x"), None),
        (IntegrityError("", {}, Exception()), None),
        (ValueError("x"), None),
    ],
)
def test_store_errors_say_what_to_do_and_nothing_private(error, sentence):
    found = store_error(error)
    assert (None if found is None else str(found)) == sentence or sentence in str(found)
    assert found is None or "Joana" not in str(found)


def test_pool_that_is_used_up_is_a_store_error():
    from sqlalchemy.exc import PendingRollbackError, TimeoutError

    assert "overloaded" in str(store_error(TimeoutError()))
    assert store_error(PendingRollbackError()) is not None
    assert not is_repeatable(ValueError())


def test_clock_runs_with_the_machine_plus_offset_and_moves():
    clock = Clock(5.0, machine=lambda: 100.0)
    clock.move(3600.0)
    assert clock.now() == 3705.0
    assert abs(Clock().now() - time.time()) < 1


class FakeServer:
    """A database whose clock is `ahead` seconds ahead and whose answers take the times given."""

    def __init__(self, ahead):
        self._ahead = ahead

    def execute(self, statement):
        return self

    def scalar_one(self):
        return time.time() + self._ahead


@pytest.mark.parametrize("ahead", [-120.0, 0.0, 7.5])
def test_offset_of_the_database_clock_is_measured(ahead):
    assert measured_offset(FakeServer(ahead)) == pytest.approx(ahead, abs=0.05)


async def test_values_do_not_show_in_database_errors(database):
    def wrong(conn):
        conn.execute(text("SELECT nothing WHERE :name = 1"), {"name": "Joana"})

    with pytest.raises(StoreError) as caught:
        await database.write(wrong)
    assert "Joana" not in str(caught.value) + repr(caught.value.__cause__)
