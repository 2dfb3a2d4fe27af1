"""What only PostgreSQL can do wrong: restarts, locks, refused connections, text it will not take, clocks."""

import asyncio
import gc
import threading
import time

import psycopg
import pytest
from sqlalchemy import text

from gateway.errors import StoreError
from gateway.store import leases, manual, people, threads
from gateway.store.clock import Clock
from gateway.store.database import Database, measured_offset
from gateway.store.engines import POSTGRES_THREADS, dumps, loads
from tests.support.postgres import new_database, order, running
from tests.support.waiting import soon

WRITERS = 32
HANGS_S = 20.0
"""Nothing may take as long as this."""


@pytest.fixture
def store_url(postgres_url):
    """PostgreSQL only."""
    return postgres_url


def note(name):
    return lambda conn: manual.add(conn, tenant="t", enrolment_id=name, reason="r", sentence="s", now=0.0)


async def noted(database):
    return {
        item.enrolment_id for item in await database.read(lambda conn: manual.list_items(conn, limit=1000))
    }


# -- a server that is stopped or restarted ------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of this file's own, as it is going to be mistreated."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


async def test_writes_under_way_fail_when_the_server_is_restarted_and_the_next_ones_work(server):
    with new_database(server) as url:
        database = Database.open(url)
        kept, lost, over = set(), set(), asyncio.Event()

        async def work(worker):
            number = 0
            while not over.is_set():
                number += 1
                name = f"{worker}-{number}"
                try:
                    await database.write(note(name))
                    kept.add(name)
                except StoreError:
                    lost.add(name)
                    await asyncio.sleep(0.01)

        async def more():
            before = len(kept)
            await soon(lambda: len(kept) > before + 100, what="more writes")

        async with asyncio.timeout(HANGS_S), asyncio.TaskGroup() as group:
            for worker in range(WRITERS):
                group.create_task(work(worker))
            for _ in range(2):
                await more()
                await asyncio.to_thread(server.restart)
            await more()
            over.set()
        assert lost, "the restarts hit nothing"
        stored = await database.read(
            lambda conn: set(conn.execute(text("SELECT enrolment_id FROM manual")).scalars())
        )
        assert kept <= stored <= kept | lost  # an answer that was lost may have been kept all the same
        await database.close()


async def test_stopped_server_is_a_store_error_at_once_and_forgiven_when_it_is_back(server):
    with new_database(server) as url:
        database = Database.open(url)
        await database.write(note("before"))
        await asyncio.to_thread(server.stop)
        async with asyncio.timeout(HANGS_S):
            outcomes = await asyncio.gather(
                *(database.write(note(str(n))) for n in range(WRITERS)), return_exceptions=True
            )
        assert {type(outcome) for outcome in outcomes} == {StoreError}
        await asyncio.to_thread(server.control, "start")
        await database.write(note("after"))
        assert await noted(database) == {"before", "after"}
        await database.close()


async def test_idle_connections_that_a_restart_has_ended_are_replaced_unnoticed(server):
    with new_database(server) as url:
        database = Database.open(url)
        await asyncio.gather(*(database.write(note(f"before {n}")) for n in range(WRITERS)))
        await asyncio.to_thread(server.restart)
        assert all(await asyncio.gather(*(database.write(note(f"after {n}")) for n in range(WRITERS))))
        await database.close()


async def test_closing_while_the_server_is_away_does_not_hang(server):
    with new_database(server) as url:
        database = Database.open(url)
        await asyncio.to_thread(server.stop)
        writes = [asyncio.create_task(database.write(note(str(n)))) for n in range(WRITERS)]
        await asyncio.sleep(0)
        async with asyncio.timeout(HANGS_S):
            await database.close()
            assert {type(each) for each in await asyncio.gather(*writes, return_exceptions=True)} == {
                StoreError
            }
        await asyncio.to_thread(server.control, "start")


# -- the pool of threads ------------------------------------------------------------------------------


class Held:
    """Keeps every thread busy until `free`."""

    def __init__(self, database):
        self._go, self._held = threading.Event(), threading.Semaphore(0)
        self._tasks = [asyncio.create_task(database.write(self)) for _ in range(POSTGRES_THREADS)]

    def __call__(self, conn):
        self._held.release()
        assert self._go.wait(HANGS_S)

    async def until_all_are_busy(self):
        for _ in self._tasks:
            assert await asyncio.to_thread(self._held.acquire, timeout=HANGS_S)

    async def free(self):
        self._go.set()
        await asyncio.gather(*self._tasks)


async def test_cancelled_caller_does_not_take_its_closure_out_of_the_queue(database):
    held = Held(database)
    await held.until_all_are_busy()
    waiting = asyncio.create_task(database.write(note("cancelled")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    last = asyncio.create_task(database.write(note("last")))
    await held.free()
    await last
    await database.close()  # finishes what was accepted
    again = Database.open(str(database._engines[0].url.render_as_string(hide_password=False)))
    assert await noted(again) == {"cancelled", "last"}
    await again.close()


async def test_failure_that_its_cancelled_caller_never_hears_of_is_not_reported_as_lost(
    database, monkeypatch
):
    lost, begun, go = [], threading.Event(), threading.Event()
    monkeypatch.setattr(asyncio.get_running_loop(), "call_exception_handler", lost.append)

    def fail(conn):
        begun.set()
        assert go.wait(HANGS_S)
        raise ValueError

    waiting = asyncio.create_task(database.write(fail))
    assert await asyncio.to_thread(begun.wait, HANGS_S)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    go.set()
    await database.close()
    del waiting  # its traceback holds the future, which complains when it is gone
    gc.collect()
    assert lost == []


async def test_closure_that_waits_too_long_for_a_thread_is_refused(database, monkeypatch):
    held = Held(database)
    await held.until_all_are_busy()
    monkeypatch.setattr(threads, "WAIT_S", -1.0)
    late = asyncio.create_task(database.write(note("late")))
    await asyncio.sleep(0)
    await held.free()
    with pytest.raises(StoreError, match="overloaded"):
        await late
    monkeypatch.undo()
    assert await noted(database) == set()


async def test_too_many_waiting_closures_are_refused(monkeypatch, postgres_url):
    monkeypatch.setattr(threads, "MAX_WAITING", POSTGRES_THREADS + 1)
    database = Database.open(postgres_url)
    held = Held(database)
    await held.until_all_are_busy()
    outcomes = [asyncio.create_task(database.write(note(str(n)))) for n in range(3)]
    await asyncio.sleep(0)
    await held.free()
    kinds = [type(each) for each in await asyncio.gather(*outcomes, return_exceptions=True)]
    assert kinds == [bool, StoreError, StoreError]
    assert await database.write(note("room again"))
    await database.close()


# -- locks and refusals -------------------------------------------------------------------------------


async def test_lock_that_is_never_released_is_reported(postgres_url, postgres):
    database = Database.open(f"{postgres_url}&options=-c lock_timeout=50ms")
    name = postgres_url.partition("@/")[2].partition("?")[0]
    await database.write(lambda conn: leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0))
    with psycopg.connect(host=str(postgres.home), user="gateway", dbname=name) as shell:
        shell.execute("LOCK TABLE lease")
        with pytest.raises(StoreError, match="locks the database"):
            await database.write(lambda conn: leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0))
    assert await database.write(lambda conn: leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0))
    await database.close()


async def test_every_connection_lets_go_of_what_a_vanished_gateway_has_locked(database):
    def settings(conn):
        names = ("lock_timeout", "idle_in_transaction_session_timeout", "application_name")
        return [conn.execute(text(f"SHOW {name}")).scalar_one() for name in names]

    assert await database.read(settings) == ["10s", "30s", "lms-gateway"]


def test_refused_connections_say_what_to_do(server):
    order(server, "CREATE ROLE few LOGIN PASSWORD 'right' CONNECTION LIMIT 0")
    with pytest.raises(StoreError, match="does not exist"):
        Database.open(server.url("nowhere"))
    with pytest.raises(StoreError, match="no more connections"):
        Database.open(server.url("gateway", user="few"))
    (server.data / "pg_hba.conf").write_text("local all few password\nlocal all all trust\n")
    server.control("reload")
    with pytest.raises(StoreError, match="refused the password") as caught:
        Database.open(server.url("gateway", user="few:WRONG"))
    assert "WRONG" not in str(caught.value)


# -- text that PostgreSQL refuses ---------------------------------------------------------------------


async def test_nul_in_text_is_replaced_the_same_way_wherever_it_is_written_or_looked_for(database):
    await database.write(
        lambda conn: people.remember(conn, "acme", "course", "a\0b", {"na\0me": "x\0"}, now=1.0)
    )
    assert await database.read(lambda conn: people.recall(conn, "acme", "course", "a\0b")) == {"na�me": "x�"}


async def test_json_with_nul_and_half_characters_can_be_looked_into(database):
    def keep(conn):
        people.remember(conn, "acme", "student", "S1", {"name": "x\0", "half": "a\ud800", "id": "7"}, now=1.0)
        return conn.execute(text("SELECT fields->>'id' FROM known")).scalar_one()

    assert await database.write(keep) == "7"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param("a\0b", "a�b", id="NUL"),
        pytest.param("\\\0", "\\�", id="NUL after a backslash"),
        pytest.param(r"C:\u0000", r"C:\u0000", id="a backslash and letters, no NUL"),
        pytest.param("\\\\\0\0", "\\\\��", id="two of each"),
        pytest.param("a\ud800b", "a�b", id="half a character"),
        pytest.param("😀", "😀", id="a whole one"),
        pytest.param({"\0": [2**70, "\udc00"]}, {"�": [2**70, "�"]}, id="deep inside"),
    ],
)
def test_json_is_stored_as_both_databases_can_read_it(value, stored):
    assert loads(dumps(value)) == stored


# -- clocks -------------------------------------------------------------------------------------------


class SlowServer:
    """A database whose clock is `ahead`, and whose answers are late by the seconds given, one by one."""

    def __init__(self, machine, late, ahead=100.0):
        self._machine, self._late, self._ahead = machine, iter(late), ahead

    def execute(self, statement):
        return self

    def scalar_one(self):
        answered = self._machine.now + self._ahead
        self._machine.now += next(self._late)
        return answered


class Machine:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("late", [(0.0, 4.0, 4.0), (4.0, 0.0, 4.0), (4.0, 4.0, 0.0)])
def test_offset_is_that_of_the_quickest_answer(monkeypatch, late):
    machine = Machine()
    monkeypatch.setattr(time, "time", machine)
    assert measured_offset(SlowServer(machine, late)) == 100.0


def test_gateways_whose_machines_disagree_agree_about_now(monkeypatch):
    clocks = []
    for skew in (-400.0, 0.0, 500.0):
        machine = Machine()
        machine.now += skew
        monkeypatch.setattr(time, "time", machine)
        ahead = SlowServer(machine, (0.0, 0.0, 0.0), ahead=100.0 - skew)
        clocks.append(Clock(measured_offset(ahead), machine=machine))
    assert [clock.now() for clock in clocks] == [1100.0] * 3


async def test_clock_of_an_opened_store_is_the_servers(database):
    theirs = await database.read(
        lambda conn: float(conn.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    )
    assert database.clock.now() == pytest.approx(theirs, abs=1.0)
