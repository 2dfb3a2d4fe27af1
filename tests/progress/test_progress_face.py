"""The workers together: what was learnt before RTOPilot was joined is told once it is."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from gateway.engine.shape import Progress as Said
from gateway.errors import StoreError
from gateway.perform.reading import Reading, note
from gateway.progress import progress as face
from gateway.progress.progress import open_progress
from gateway.progress.push import open_target
from gateway.progress.rtopilot_key import KeySource
from gateway.progress.timing import Override
from gateway.secret import Secret
from gateway.store import enrolments, outbox
from tests.support.waiting import eventually, soon

POLL = "poll: {plan: per-enrolment, every: 1d, spread: true}"


@pytest.fixture
def store_url(sqlite_url):
    return sqlite_url


@pytest.fixture
async def target():
    made = open_target("http://127.0.0.1:9/api", KeySource(Secret("rtop_" + "0" * 64)), production=False)
    yield made
    await made.pool.aclose()


def opened(gateway, targets):
    return open_progress(
        gateway.database,
        gateway.tenants,
        targets,
        gateway.owner,
        overrides={"acme": Override()},
        merged_rules={},
    )


@contextlib.asynccontextmanager
async def at_work(progress):
    task = asyncio.create_task(progress.work())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def learn(world, one, percent: int, *, completed: bool = False) -> None:
    """Known of an enrolment, and never queued."""
    now = world.clock.now() - 60
    await world.database.write(
        lambda conn: enrolments.keep_reading(conn, "acme", one.id, percent, completed, now, None)
    )


async def test_what_was_learnt_before_rtopilot_was_joined_is_queued(world, text, target):
    gateway = world.start(text(POLL))
    far = world.clock.now() + 1e6  # nothing is pushed in this test
    made = await world.enrol_all([("7", str(user)) for user in range(3)], push_from=far)
    for one, percent in zip(made, (40, 0, 100), strict=True):
        await learn(world, one, percent, completed=percent == 100)
    wanted = {made[0].id: 40, made[2].id: 100}

    async def is_queued() -> bool:
        return await world.queued() == wanted

    async with at_work(opened(gateway, {"acme": target})):
        await eventually(is_queued)


async def test_more_than_a_page_of_it_is_queued(world, text, target, monkeypatch):
    monkeypatch.setattr(face, "PAGE", 2)
    gateway = world.start(text(POLL))
    far = world.clock.now() + 1e6
    made = await world.enrol_all([("7", str(user)) for user in range(5)], push_from=far)
    for one in made:
        await learn(world, one, 40)

    async def is_queued() -> bool:
        return await world.queued() == {one.id: 40 for one in made}

    async with at_work(opened(gateway, {"acme": target})):
        await eventually(is_queued)


async def test_a_completion_that_is_held_is_queued_as_99(world, text, target):
    gateway = world.start(text(POLL))
    one = await world.enrol("7", "1", push_from=world.clock.now() + 1e6)
    await learn(world, one, 100, completed=True)
    await world.database.write(lambda conn: conn.exec_driver_sql("UPDATE enrolment SET adopted = true"))

    async def is_queued() -> bool:
        return await world.queued() == {one.id: 99}

    async with at_work(opened(gateway, {"acme": target})):
        await eventually(is_queued)


async def test_nothing_is_queued_for_a_tenant_that_is_not_joined(world, text):
    gateway = world.start(text(POLL), pushes=False)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 40)
    made = opened(gateway, {})
    async with at_work(made):
        await soon(lambda: made.poller.kick() or world.clock.move(3600) or world.lms.count() > 0)

        async def is_known() -> bool:
            return await world.percent(one.id) == 40

        await eventually(is_known)
    assert await world.queued() == {}


async def test_of_what_rtopilot_heard_once_it_hears_the_rest_when_it_is_joined_again(world, text):
    gateway = world.start(text(POLL))
    one, now = await world.enrol("7", "1"), world.clock.now()
    await noted(gateway.tenant, one, 40, now)
    [item] = await world.database.write(lambda conn: outbox.claim(conn, "acme", "me", now, 30, 1))
    await world.database.write(
        lambda conn: outbox.sent(
            conn, "acme", one.id, "me", version=item.version, value=40, status=200, now=now
        )
    )
    gateway.tenant.spec = replace(gateway.tenant.spec, pushes=False)
    await noted(gateway.tenant, one, 60, now + 1)
    waiting = await world.database.read(lambda conn: outbox.get(conn, "acme", one.id))
    assert (waiting.state, waiting.value, waiting.sent_value) == ("pending", 60, 40)


async def noted(tenant, one, percent: int, at: float) -> None:
    reading = Reading(progress=Said(percent=percent, completed=False), read_at=at)
    await tenant.database.write(lambda conn: note(conn, tenant, one.id, reading, at))


async def test_a_store_that_fails_at_first_is_asked_again(world, text, target, monkeypatch, caplog):
    monkeypatch.setattr(face, "AGAIN_S", 0.01)
    gateway = world.start(text(POLL))
    one = await world.enrol("7", "1", push_from=world.clock.now() + 1e6)
    await learn(world, one, 40)
    made = opened(gateway, {"acme": target})

    async def is_queued() -> bool:
        return await world.queued() == {one.id: 40}

    async with at_work(replace(made, database=_Failing(gateway.database))) as work:
        await eventually(is_queued)
        assert not work.done()
    assert "the store cannot be used: locked" in caplog.text


class _Failing:
    """A database whose first write fails."""

    def __init__(self, inner) -> None:
        self._inner, self._failed = inner, False

    async def write(self, fn):
        if not self._failed:
            self._failed = True
            raise StoreError("locked")
        return await self._inner.write(fn)
