"""One reading, however it was learnt: what is kept of it and what RTOPilot is told."""

import pytest

from gateway.engine.shape import Progress
from gateway.perform.reading import Reading, note
from gateway.store import outbox
from tests.perform.conftest import ANA, START


def reading(percent, *, at=0.0, completed=False, event_at=None):
    progress = Progress(percent=percent, completed=completed)
    return Reading(progress=progress, read_at=START + at, event_at=event_at)


async def noted(gateway, enrolment_id, one):
    now = gateway.clock.now()
    return await gateway.database.write(lambda conn: note(conn, gateway.tenant, enrolment_id, one, now))


async def queued(gateway, enrolment_id):
    item = await gateway.database.read(lambda conn: outbox.get(conn, "acme", enrolment_id))
    return None if item is None else item.value


TOLD = [
    ("a rise", [reading(10), reading(40, at=1)], 40),
    ("a fall is held", [reading(40), reading(10, at=1)], 40),
    ("an older reading after a newer one", [reading(40, at=5), reading(60, at=1)], 40),
    ("an older event after a newer one", [reading(40, event_at=9.0), reading(60, at=1, event_at=8.0)], 40),
    ("nothing to tell", [reading(None)], None),
    ("null after a value", [reading(40), reading(None, at=1)], 40),
    ("nought is what RTOPilot begins with", [reading(0)], None),
    ("completed", [reading(99), reading(100, at=1, completed=True)], 100),
]


@pytest.mark.parametrize(("readings", "told"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
async def test_newest_reading_is_what_rtopilot_is_told(gateway, readings, told):
    made = await gateway.create()
    for one in readings:
        await noted(gateway, made.id, one)
    assert await queued(gateway, made.id) == told


async def test_fall_is_told_where_the_tenant_allows_it(world):
    gateway = world.start(fall="push")
    made = await gateway.create()
    for one in (reading(40), reading(10, at=1)):
        assert await noted(gateway, made.id, one)
    assert await queued(gateway, made.id) == 10


async def test_same_reading_again_is_no_news(gateway):
    made = await gateway.create()
    assert await noted(gateway, made.id, reading(40))
    assert not await noted(gateway, made.id, reading(40, at=1))


async def test_cancelled_enrolment_is_not_told_about(gateway):
    made = await gateway.create()
    await gateway.cancel(made.id)
    assert not await noted(gateway, made.id, reading(40))
    assert await queued(gateway, made.id) is None


async def test_enrolment_read_by_rtopilot_is_also_pushed(gateway):
    made = await gateway.create()
    gateway.lms.enrolled["7", "100"]["percent"] = 55
    assert (await gateway.get(made.id)).result.progress == 55
    assert await queued(gateway, made.id) == 55


async def test_tenant_without_rtopilots_address_queues_nothing(world):
    gateway = world.start(pushes=False)
    made = await gateway.create()
    assert not await noted(gateway, made.id, reading(40))
    assert (await gateway.stored(made.id)).last_progress == 40


@pytest.mark.parametrize(("choice", "told"), [("hold", 99), ("push", 100)])
async def test_enrolment_adopted_when_it_was_completed_is_held_at_99(world, choice, told):
    gateway = world.start(adopted_completed=choice)
    gateway.lms.enrolled["7", "100"] = {"percent": 100, "done": True}
    await gateway.get("100-7")
    await noted(gateway, "100-7", reading(100, at=1, completed=True))
    assert await queued(gateway, "100-7") == told


async def test_progress_waits_for_the_grace_after_rtopilot_was_told_the_id(world):
    gateway = world.start(grace_s=45.0)
    made = await gateway.create()
    assert (await gateway.stored(made.id)).push_from == START + 45


async def test_id_that_rtopilot_was_not_told_is_not_pushed_until_it_is(world):
    gateway = world.start(grace_s=45.0, answer_s=1.0)
    gate = gateway.lms.gate("PUT /courses/7/users/100")
    assert (await gateway.create()).status == 504
    gate.set()
    await gateway.perform.runs.drained()
    assert (await gateway.stored("100-7")).push_from is None
    assert (await gateway.create(ANA)).id == "100-7"
    assert (await gateway.stored("100-7")).push_from == START + 45


async def test_value_refused_as_unknown_is_sent_again_when_rtopilot_is_told_the_id_again(world):
    gateway = world.start(grace_s=0.0)
    made = await gateway.create()
    await noted(gateway, made.id, reading(40))

    def refused(conn):
        [item] = outbox.claim(conn, "acme", "w", START, 60.0, 1)
        outbox.dead(conn, "acme", item.id, "w", status=404, error="no such id", cause="not_found", now=START)

    await gateway.database.write(refused)
    assert (await gateway.create()).id == made.id
    item = await gateway.database.read(lambda conn: outbox.get(conn, "acme", made.id))
    assert (item.state, item.value) == ("pending", 40)
