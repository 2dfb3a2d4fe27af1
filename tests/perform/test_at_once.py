"""Two gateways on one PostgreSQL begin at the same moment what must not be done side by side."""

import asyncio
import contextlib

import pytest
from sqlalchemy import create_engine, text

from gateway.store.engines import parse_url
from tests.perform.conftest import BO, World
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.waiting import eventually

REASONS = ("busy", "enrolment_cancelled")
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
async def shared(postgres_url):  # noqa: F811
    made = World(postgres_url)
    yield made
    await made.close()


@pytest.fixture
def starting_gun(postgres_url):  # noqa: F811
    """Holds back every run until two wait, then lets them go at once."""
    engine = create_engine(parse_url(postgres_url))

    @contextlib.asynccontextmanager
    async def fired():
        with engine.connect() as conn, engine.connect() as watch:
            conn.execute(text("LOCK TABLE run IN SHARE MODE"))

            async def both_wait():
                count = watch.execute(_WAITING).scalar_one()
                watch.rollback()  # pg_stat_activity is a snapshot of the transaction's
                return count == 2

            yield
            await eventually(both_wait, what="both to wait")
            conn.rollback()

    yield fired
    engine.dispose()


async def refused(starting_gun, *actions):
    """Why the one that came second was refused: the first was at work still, or had just finished."""
    async with starting_gun():
        tasks = [asyncio.ensure_future(action) for action in actions]
    codes = [heard.code for heard in await asyncio.gather(*tasks)]
    codes.remove("ok")
    return codes[0]


@pytest.mark.parametrize("round_", range(5))
async def test_transfer_and_cancel_of_one_enrolment_are_not_both_begun(shared, starting_gun, round_):
    one, two = shared.start(), shared.start()
    made = (await one.create()).id
    assert await refused(starting_gun, one.transfer(made), two.cancel(made)) in REASONS


@pytest.mark.parametrize("round_", range(5))
async def test_transfers_of_one_enrolment_to_two_students_are_not_both_begun(shared, starting_gun, round_):
    one, two = shared.start(), shared.start()
    made, somebody = (await one.create()).id, type(BO)(id="206", first_name="Cy", last_name="Poe")
    assert await refused(starting_gun, one.transfer(made), two.transfer(made, somebody)) in REASONS


@pytest.mark.parametrize("round_", range(5))
async def test_a_second_create_and_a_cancel_of_the_first_are_not_both_begun(shared, starting_gun, round_):
    one, two = shared.start(), shared.start()
    made = (await one.create()).id
    await one.get(made)
    shared.clock.move(86_400)
    assert await refused(starting_gun, one.create(), two.cancel(made)) == "busy"
