"""Call budgets: never over the limit, one count for several gateways, a bounded share unused."""

import asyncio

import pytest

from gateway.store import budgets
from gateway.store.allowance import Allowance, block
from gateway.store.budgets import Rate
from gateway.store.clock import Clock
from gateway.store.database import Database

DAY = Rate(500, 86_400.0)
BURST = Rate(3, 5.0)


def take(conn, now=0.0, rates=(BURST,), **more):
    return budgets.take(conn, tenant="acme", rates=rates, now=now, **more)


def test_calls_are_granted_up_to_the_limit_then_wait_for_the_window_to_end(conn):
    assert [take(conn, 1.0).granted for _ in range(4)] == [1, 1, 1, 0]
    assert take(conn, 1.0).wait_s == 4.0
    assert take(conn, 5.0).granted == 1


def test_every_rate_must_have_room_and_none_is_charged_when_one_has_not(conn):
    assert [take(conn, 1.0, (BURST, DAY)).granted for _ in range(4)] == [1, 1, 1, 0]
    assert take(conn, 1.0, (DAY,), most=1000).granted == 497


def test_reserve_is_kept_for_staff(conn):
    rates = (Rate(10, 60.0),)
    assert take(conn, rates=rates, reserve=0.2, staff=False, most=99).granted == 8
    assert take(conn, rates=rates, reserve=0.2, staff=False).wait_s == 60.0
    assert take(conn, rates=rates, reserve=0.2, staff=True, most=99).granted == 2


def test_call_that_costs_more_is_granted_whole_or_not_at_all(conn):
    assert take(conn, least=2).granted == 2
    assert take(conn, least=2).granted == 0
    assert take(conn, least=1).granted == 1


def test_call_dearer_than_the_whole_window_has_a_window_to_itself(conn):
    assert take(conn, least=9).granted == 9
    assert take(conn).granted == 0


def test_tenants_do_not_share(conn):
    take(conn, most=3)
    assert budgets.take(conn, tenant="beta", rates=[BURST], now=0.0).granted == 1


def test_what_is_given_back_may_be_taken_again_in_the_same_window_only(conn):
    take(conn, most=3)
    budgets.give_back(conn, tenant="acme", rates=[BURST], drawn_at=0.0, count=2)
    assert take(conn, most=3).granted == 2
    take(conn, 5.0, most=3)
    budgets.give_back(conn, tenant="acme", rates=[BURST], drawn_at=0.0, count=2)
    assert take(conn, 5.0).granted == 0


def test_vendor_that_says_fewer_remain_is_believed(conn):
    budgets.observe(conn, tenant="acme", rate=DAY, remaining=2, now=0.0)
    budgets.observe(conn, tenant="acme", rate=DAY, remaining=400, now=0.0)
    assert take(conn, rates=(DAY,), most=9).granted == 2


def test_gateway_whose_clock_runs_behind_still_counts(conn):
    assert take(conn, 5.0, most=3).granted == 3
    assert take(conn, 4.9).granted == 0


@pytest.mark.parametrize(
    ("limits", "calls"),
    [((10,), 1), ((500,), 10), ((2000,), 40), ((2000, 200), 4), ((100_000,), 2000)],
)
def test_block_is_two_per_cent_of_the_smallest_limit(limits, calls):
    assert block([Rate(limit, 60.0) for limit in limits]) == calls


class StillClock(Clock):
    def __init__(self):
        super().__init__(machine=lambda: 1_000_000.0)


def allowance(database, *rates, **more):
    database.clock = StillClock()
    return Allowance(database=database, tenant="acme", rates=rates, **more)


async def spend(allowed, tries, **more):
    answers = await asyncio.gather(*(allowed.take(**{"staff": True} | more) for _ in range(tries)))
    return sum(wait == 0 for wait in answers)


async def test_two_gateways_on_one_store_never_pass_the_limit_together(database, store_url):
    other = Database.open(store_url)
    try:
        both = [allowance(each, DAY) for each in (database, other)]
        made = await asyncio.gather(*(spend(each, 400) for each in both))
        assert sum(made) == 500
        assert min(made) > 0
    finally:
        await other.close()


async def test_limit_is_used_up_but_for_the_block_of_a_gateway_that_stopped(database):
    stopped, living = allowance(database, DAY), allowance(database, DAY)
    assert await stopped.take(staff=True) == 0
    assert await spend(living, 600) == 500 - block([DAY])


async def test_gateway_that_closes_gives_its_block_back(database):
    closing, living = allowance(database, DAY), allowance(database, DAY)
    assert await closing.take(staff=True) == 0
    await closing.close()
    assert await spend(living, 600) == 499


async def test_a_block_is_drawn_once_for_all_who_wait(database):
    writes = 0
    inner = database.write

    async def counted(fn):
        nonlocal writes
        writes += 1
        return await inner(fn)

    database.write = counted
    assert await spend(allowance(database, Rate(1000, 60.0)), 40) == 40
    assert writes == 2


async def test_block_ends_with_its_window(database):
    allowed = allowance(database, Rate(100, 60.0))
    assert await allowed.take(staff=True) == 0
    database.clock.move(60.0)
    assert await spend(allowed, 150) == 100


async def test_background_work_leaves_the_reserve_even_when_staff_drew_a_block(database):
    allowed = allowance(database, Rate(100, 60.0), reserve=0.2)
    assert await allowed.take(staff=True) == 0
    assert await spend(allowed, 150, staff=False) == 78  # 80 less the block of 2 that staff drew
    assert await spend(allowed, 150, staff=True) == 21


async def test_cost_is_counted_and_no_rates_mean_no_limit(database):
    allowed = allowance(database, Rate(100, 60.0))
    assert await spend(allowed, 50, cost=7) == 14
    assert await spend(allowance(database), 1000) == 1000
