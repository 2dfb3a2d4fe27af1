"""The clock: one time for all gateways, measured again now and then, and never going back."""

import logging

import pytest
from sqlalchemy import text

from gateway.store.clock import Clock
from gateway.store.database import MEASURE_EVERY_S, Database, Timed
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)

THEIR_TIME = text("SELECT extract(epoch FROM clock_timestamp())")


class Machine:
    """Clocks of this machine: `now` cannot be set, `date` can."""

    def __init__(self):
        self.now, self.date = 1000.0, 1_800_000_000.0

    def passes(self, seconds):
        self.now += seconds
        self.date += seconds

    def monotonic(self):
        return self.now

    def wall(self):
        return self.date


class Server:
    """A database whose clock is `ahead` of the machine's; counts how often it is asked."""

    def __init__(self, machine, ahead):
        self.machine, self.ahead, self.asked = machine, ahead, 0

    def execute(self, statement):
        self.asked += 1
        return self

    def scalar_one(self):
        return self.machine.now + self.ahead


class Direct:
    """Transactions on a fake connection."""

    def __init__(self, conn):
        self.conn, self.closed = conn, False

    async def run(self, fn):
        return fn(self.conn)

    def close(self):
        self.closed = True


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def server(machine):
    return Server(machine, 500.0)


@pytest.fixture
def clock(machine):
    return Clock(500.0, machine=machine.monotonic)


@pytest.fixture
def timed(server, clock, machine):
    return Timed(Direct(server), clock, machine=machine.monotonic, date=machine.wall)


async def test_clock_is_measured_again_after_ten_minutes_by_the_next_transaction(
    timed, server, clock, machine
):
    server.ahead = 502.0
    machine.passes(MEASURE_EVERY_S - 1)
    assert await timed.run(lambda conn: "done") == "done"
    assert server.asked == 0
    machine.passes(1)
    seen = await timed.run(lambda conn: clock.now())
    assert seen == machine.now + 502.0
    asked = server.asked
    await timed.run(lambda conn: None)
    assert server.asked == asked > 0


@pytest.mark.parametrize("by", [3600.0, -3600.0])
async def test_date_that_is_set_is_noticed_at_once_and_moves_nothing(timed, server, clock, machine, by):
    machine.date += by
    before = clock.now()
    await timed.run(lambda conn: None)
    assert server.asked > 0
    assert clock.now() == before


async def test_machine_that_slept_is_put_right_at_once(timed, server, clock, machine):
    machine.date += 8 * 3600.0  # and its other clock stood still
    server.ahead += 8 * 3600.0
    assert await timed.run(lambda conn: clock.now()) == machine.now + 500.0 + 8 * 3600.0


async def test_clock_of_the_database_that_is_off_is_followed_and_told(timed, server, machine, caplog):
    server.ahead += 90.0
    machine.passes(MEASURE_EVERY_S)
    with caplog.at_level(logging.WARNING):
        await timed.run(lambda conn: None)
    assert "90.0 s off" in caplog.text


async def test_measurement_that_fails_fails_the_transaction_and_is_made_by_the_next(timed, server, machine):
    machine.passes(MEASURE_EVERY_S)
    server.scalar_one = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        await timed.run(lambda conn: None)
    del server.scalar_one
    asked = server.asked
    await timed.run(lambda conn: None)
    assert server.asked > asked


def test_timed_transactions_are_closed(timed):
    timed.close()
    assert timed._inner.closed


def test_now_goes_on_at_half_speed_until_a_clock_that_was_ahead_is_right(clock, machine):
    before = clock.now()
    assert clock.adjust(490.0) == -10.0
    assert clock.now() == before
    machine.passes(10)
    assert clock.now() == before + 5
    machine.passes(10)
    assert clock.now() == before + 10 == machine.now + 490.0
    machine.passes(10)
    assert clock.now() == machine.now + 490.0


def test_clock_adjusted_again_meanwhile_still_never_goes_back(clock, machine):
    seen = [clock.now()]
    for offset in (490.0, 480.0, 495.0, 470.0, 470.0, 600.0, 599.0):
        clock.adjust(offset)
        seen.append(clock.now())
        machine.passes(3)
        seen.append(clock.now())
    assert seen == sorted(seen)
    machine.passes(3600)
    assert clock.now() == machine.now + 599.0


def test_clock_that_was_behind_is_right_at_once(clock, machine):
    assert clock.adjust(510.0) == 10.0
    assert clock.now() == machine.now + 510.0


def test_moved_time_stays_moved(clock, machine):
    clock.move(86_400.0)
    clock.adjust(501.0)
    assert clock.now() == machine.now + 501.0 + 86_400.0


async def test_clock_of_an_opened_postgresql_is_measured_again(postgres_url, monkeypatch):  # noqa: F811
    opened = Database.open(postgres_url)
    opened.clock.adjust(opened.clock._course.offset_s - 100.0)
    monkeypatch.setattr("gateway.store.database.MEASURE_EVERY_S", 0.0)
    theirs = await opened.read(lambda conn: float(conn.execute(THEIR_TIME).scalar_one()))
    assert opened.clock._course.ahead_s < 1.0
    assert abs(opened.clock.now() - theirs) < 1.0
    await opened.close()
