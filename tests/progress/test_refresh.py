"""Reading one enrolment: per cent and units in one go, never twice for the same news, never for what has ended."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import NotFound, Refused
from gateway.progress import refresh as refreshing
from gateway.progress.refresh import AT_ONCE, Refresher, refresh
from gateway.store import enrolments, units
from tests.support.waiting import soon

UNITS = 'units?: {$each: "reply.body.units", $as: u, $give: {id: "${u.id}", name: "${u.name}", completed: "${u.done}"}}'


@pytest.fixture
def store_url(sqlite_url):
    return sqlite_url


@pytest.fixture
def with_units(text):
    done = 'completed: "${reply.body.done ?? false}"'
    return text().replace(done, f"{done}, {UNITS}")


def finish(world, course: str, user: str, *names: str) -> None:
    listed = [{"id": name, "name": name, "done": True} for name in names]
    world.lms.learners[course][user]["units"] = listed


async def kept(world) -> list[str]:
    return [each.code for each in await world.database.read(lambda conn: units.of_tenant(conn, "acme"))]


async def test_news_are_kept_and_queued_once(world, text):
    gateway = world.start(text())
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    assert await refresh(gateway.tenant, one)
    assert await world.queued() == {one.id: 42}
    assert not await refresh(gateway.tenant, one)  # `one` is as it was before; the store is what counts
    assert world.lms.count() == 2


async def test_units_are_kept_although_the_per_cent_is_no_news(world, with_units):
    gateway = world.start(with_units)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    assert await refresh(gateway.tenant, one)
    finish(world, "7", "1", "TSTABC301")
    assert not await refresh(gateway.tenant, one)
    assert await kept(world) == ["TSTABC301"]


async def test_units_are_not_asked_for_where_the_tenant_wants_none(world, with_units):
    gateway = world.start(with_units, units="off")
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    finish(world, "7", "1", "TSTABC301")
    assert await refresh(gateway.tenant, one)
    assert await kept(world) == []


async def test_of_what_ended_during_the_reading_nothing_is_kept(world, with_units):
    gateway = world.start(with_units)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    finish(world, "7", "1", "TSTABC301")
    gate = world.lms.gate(".*")
    reading = asyncio.create_task(refresh(gateway.tenant, one))
    await soon(lambda: world.lms.count() == 1)
    await world.database.write(lambda conn: enrolments.cancel(conn, "acme", one.id, world.clock.now()))
    gate.set()
    assert not await reading
    assert await kept(world) == [] and await world.queued() == {}


async def test_a_newer_value_that_came_during_the_reading_stays(world, text):
    gateway = world.start(text(), fall="push")
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    gate = world.lms.gate(".*")
    reading = asyncio.create_task(refresh(gateway.tenant, one))
    await soon(lambda: world.lms.count() == 1)
    world.clock.move(1)
    now = world.clock.now()
    await world.database.write(
        lambda conn: enrolments.keep_reading(conn, "acme", one.id, 80, False, now, None)
    )
    gate.set()
    assert not await reading
    assert await world.percent(one.id) == 80


# -- readings after hints


async def test_a_hint_from_before_a_reading_needs_no_other(world, text):
    gateway, refresher = world.start(text()), Refresher()
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    hinted_at = world.clock.now()
    assert await refresher.since(gateway.tenant, one.id, hinted_at)
    assert not await refresher.since(gateway.tenant, one.id, hinted_at)
    assert world.lms.count() == 1
    world.clock.move(1)
    await refresher.since(gateway.tenant, one.id, world.clock.now())
    assert world.lms.count() == 2


async def test_a_reading_that_failed_does_not_count(world, text):
    gateway, refresher = world.start(text()), Refresher()
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    world.lms.on(".*", 422)
    with pytest.raises(Refused):
        await refresher.since(gateway.tenant, one.id, world.clock.now())
    assert await refresher.since(gateway.tenant, one.id, world.clock.now())


async def test_that_a_learner_is_gone_is_said_once(world, text):
    gateway, refresher = world.start(text()), Refresher()
    one, hinted_at = await world.enrol("7", "1"), world.clock.now()
    with pytest.raises(NotFound):
        await refresher.since(gateway.tenant, one.id, hinted_at)
    assert not await refresher.since(gateway.tenant, one.id, hinted_at)
    assert world.lms.count() == 1


async def test_an_enrolment_nobody_knows_is_not_read(world, text):
    gateway = world.start(text())
    assert not await Refresher().since(gateway.tenant, "7-1", world.clock.now())
    assert world.lms.count() == 0


async def test_few_readings_of_a_tenant_are_under_way_at_once(world, text):
    gateway, refresher = world.start(text(), tenants=("acme", "other")), Refresher()
    made = await world.enrol_all([("7", str(user)) for user in range(3 * AT_ONCE)])
    theirs = await world.enrol("8", "1", tenant="other")
    world.lms.learner("8", "1", 42)
    for user in range(3 * AT_ONCE):
        world.lms.learner("7", str(user), 42)
    gate, now = world.lms.gate("GET /courses/7/.*"), world.clock.now()
    readings = [asyncio.create_task(refresher.since(gateway.tenant, one.id, now)) for one in made]
    await soon(lambda: world.lms.count() == AT_ONCE)
    assert await refresher.since(gateway.tenants["other"], theirs.id, now)
    assert world.lms.count("GET /courses/7/.*") == AT_ONCE
    gate.set()
    assert await asyncio.gather(*readings) == [True] * len(made)


async def test_what_is_remembered_is_bounded(world, text, monkeypatch):
    monkeypatch.setattr(refreshing, "MAX_REMEMBERED", 2)
    gateway, refresher, now = world.start(text()), Refresher(), world.clock.now()
    for user in ("1", "2", "3"):
        one = await world.enrol("7", user)
        world.lms.learner("7", user, 42)
        await refresher.since(gateway.tenant, one.id, now)
    assert len(refresher._read_at) == 2
