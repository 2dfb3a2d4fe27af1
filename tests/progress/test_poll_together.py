"""Several gateways on one store: each poll runs once an interval, whoever dies on the way."""

from __future__ import annotations

import asyncio

from gateway.progress.poll import Poller
from gateway.store import schedules
from gateway.store.database import Database
from tests.support.waiting import eventually, soon

PER_COURSE = """
poll:
  plan: per-course
  every: 10m
  spread: true
  call: GET /courses/${courseId}/users
  items: reply.body
  as: row
  find: {user: "${text(row.user)}", course: "${courseId}"}
  value: {"percent?": "${row.percent}", completed: "${row.done ?? false}"}
"""
AT_ONCE = PER_COURSE.replace("  spread: true\n", "")
TENANTS = ("acme", "blue", "cove")


def poller(gateway, **more) -> Poller:
    return Poller(database=gateway.database, tenants=gateway.tenants, owner=gateway.owner, **more)


async def together(world, pollers, *, for_s: float, step_s: float = 15.0) -> None:
    until = world.clock.now() + for_s
    while world.clock.now() < until:
        while any(await asyncio.gather(*(each.round() for each in pollers))):
            pass
        world.clock.move(step_s)


async def begun(world, polling, *, calls: int) -> asyncio.Task:
    """A round that is at work: it has made so many calls and waits for an answer."""
    while True:
        task = asyncio.create_task(polling.round())
        while not task.done() and world.lms.count() < calls:  # noqa: ASYNC110 (either may come first)
            await asyncio.sleep(0)
        if not task.done():
            return task
        world.clock.move(30)


async def test_three_gateways_poll_each_course_of_each_tenant_once_an_interval(world, text):
    mapping = text(PER_COURSE)
    pollers = [poller(world.start(mapping, tenants=TENANTS)) for _ in range(3)]
    for number, tenant in enumerate(TENANTS):
        courses = [(str(100 * number + course), "1") for course in range(100, 110)]
        await world.enrol_all(courses, tenant=tenant)
    await together(world, pollers, for_s=3600)
    assert len(world.lms.counts) == 30
    assert set(world.lms.counts.values()) <= {5, 6}
    assert all(each.counts.calls for each in pollers)
    assert sum(each.counts.sweeps for each in pollers) >= 15


async def in_the_middle(world, first):
    """`first` has made 21 calls of 50, the last of which waits for its answer; it may go on by itself."""
    while world.lms.count() < 20:
        world.clock.move(30)
        await first.round()
    world.lms.gate(".*")
    at_work = asyncio.create_task(first.round())
    await soon(lambda: world.lms.count() > 20)
    assert world.lms.count() == 21
    return at_work


async def enrolled_in_fifty_courses(world):
    for course in range(100, 150):
        world.lms.learner(str(course), "1", 30)
    return await world.enrol_all([(str(course), "1") for course in range(100, 150)])


async def finished_by(world, other, made):
    world.lms.gates.clear()
    while await other.round():
        pass
    assert len(await world.queued()) == len(made)
    assert sorted(world.lms.counts.values()) == [1] * 49 + [2]  # the one that was under way


async def killed(at_work, polling):
    """As by kill -9: nothing more is written."""
    working = list(polling._working.values())
    for task in (at_work, *working):
        task.cancel()
    await asyncio.gather(at_work, *working, return_exceptions=True)


async def test_when_one_is_killed_in_the_middle_another_goes_on_from_the_cursor(world, text):
    mapping = text(AT_ONCE)
    first, second = (poller(world.start(mapping)) for _ in range(2))
    made = await enrolled_in_fifty_courses(world)
    await killed(await in_the_middle(world, first), first)
    assert not await second.round()  # the lease still holds
    world.clock.move(61)
    await finished_by(world, second, made)


async def test_when_one_is_stopped_in_the_middle_another_goes_on_at_once(world, text):
    mapping = text(AT_ONCE)
    first, second = (poller(world.start(mapping)) for _ in range(2))
    made = await enrolled_in_fifty_courses(world)
    at_work = await in_the_middle(world, first)
    await first.stop()
    await asyncio.gather(at_work, return_exceptions=True)
    await finished_by(world, second, made)


async def test_each_poll_runs_once_an_interval_although_one_gateway_is_killed(world, text):
    mapping = text(PER_COURSE)
    pollers = [poller(world.start(mapping, tenants=TENANTS)) for _ in range(3)]
    for number, tenant in enumerate(TENANTS):
        courses = [(str(100 * number + course), "1") for course in range(100, 110)]
        await world.enrol_all(courses, tenant=tenant)
    await together(world, pollers, for_s=1200)
    world.lms.gate(".*")
    at_work: list[asyncio.Task] = []
    while not pollers[0]._working:  # until a turn is the first one's
        world.clock.move(15)
        at_work.append(asyncio.create_task(pollers[0].round()))
        await eventually(lambda at_work=at_work: looked(pollers[0], at_work[-1]))
    await killed(asyncio.gather(*at_work), pollers[0])
    world.lms.gates.clear()
    await together(world, pollers[1:], for_s=2400)
    assert len(world.lms.counts) == 30
    assert set(world.lms.counts.values()) <= {5, 6, 7}
    assert sum(count == 7 for count in world.lms.counts.values()) <= 1  # the one that was under way


async def looked(polling, task) -> bool:
    return bool(polling._working) or task.done()


async def test_a_claim_that_is_under_way_at_the_stop_is_given_back(world, text, monkeypatch):
    first, second = (poller(world.start(text(AT_ONCE))) for _ in range(2))
    await world.enrol("7", "1")
    await first.round()
    world.clock.move(600)
    running = asyncio.create_task(first.forever())
    while first._claiming is None or first._claiming.done():  # noqa: ASYNC110 (it lasts one commit)
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await second.round()


async def test_a_stop_that_cannot_reach_the_store_leaves_the_leases_to_run_out(world, text):
    polling = poller(world.start(text(AT_ONCE)))
    await world.enrol("7", "1")
    gate = world.lms.gate(".*")
    at_work = await begun(world, polling, calls=1)
    real = polling.database
    broken = polling.database = Database.open(world.url)
    await broken.close()
    await polling.stop()
    await asyncio.gather(at_work, return_exceptions=True)
    polling.database = real
    gate.set()
    assert (await world.plans())["poll"].owner == polling.owner


async def test_a_plan_of_another_version_of_the_mapping_is_left_to_those_who_know_it(world, text):
    older = poller(world.start(text(AT_ONCE)))
    await world.enrol("7", "1")
    await older.round()
    await world.database.write(lambda conn: schedules.ensure(conn, "acme", "poll-2", 0.0))
    world.clock.move(600)
    assert await older.round()
    assert (await world.plans())["poll-2"].owner is None


async def test_a_gateway_that_stalls_learns_that_another_has_gone_on(world, text):
    mapping = text(AT_ONCE)
    first, second = poller(world.start(mapping), lease_s=0.3), poller(world.start(mapping))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 30)
    gate = world.lms.gate(".*")
    stalled = await begun(world, first, calls=1)
    world.clock.move(10)
    other = asyncio.create_task(second.round())
    await soon(lambda: world.lms.count() == 2)
    await stalled  # ended by its own heartbeat, though its call still hangs
    assert first.counts.rows == 0
    gate.set()
    await other
    assert await world.queued() == {one.id: 30}
    assert (await world.plans())["poll"].owner is None


async def test_a_lease_is_renewed_while_a_slow_vendor_answers(world, text):
    mapping = text(AT_ONCE)
    first, second = poller(world.start(mapping), lease_s=0.3), poller(world.start(mapping))
    await world.enrol("7", "1")
    gate = world.lms.gate(".*")
    working = await begun(world, first, calls=1)

    async def renewed() -> bool:
        return (await world.plans())["poll"].lease_until == world.clock.now() + 0.3

    for _ in range(3):
        world.clock.move(0.2)
        await eventually(renewed)
    assert not await second.round()
    gate.set()
    await working
    assert world.lms.count() == 1


async def test_what_a_gateway_learnt_after_it_lost_the_lease_is_not_kept(world, text):
    first = poller(world.start(text(AT_ONCE)))
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 30)
    gate = world.lms.gate(".*")
    working = await begun(world, first, calls=1)
    world.clock.move(61)
    await world.database.write(lambda conn: schedules.claim(conn, "other", world.clock.now(), 60, 1))
    gate.set()
    await working
    assert await world.queued() == {}
    assert (await world.plans())["poll"].owner == "other"


async def test_a_plan_at_work_is_not_begun_twice_in_one_process(world, text):
    polling = poller(world.start(text(AT_ONCE)))
    await world.enrol("7", "1")
    gate = world.lms.gate(".*")
    working = await begun(world, polling, calls=1)
    world.clock.move(61)
    assert not await polling.round()
    gate.set()
    await working
    assert world.lms.count() == 1


async def test_no_more_plans_than_allowed_are_worked_on_at_once(world, text):
    polling = poller(world.start(text(AT_ONCE), tenants=TENANTS), at_once=2)
    for tenant in TENANTS:
        await world.enrol("7", "1", tenant=tenant)
    await polling.round()
    world.clock.move(600)
    gate = world.lms.gate(".*")
    working = asyncio.create_task(polling.round())
    await soon(lambda: world.lms.count() == 2)
    assert not await polling.round()
    gate.set()
    await working
    await polling.round()
    assert world.lms.count() == 3


async def test_a_store_that_fails_while_a_plan_is_worked_on_ends_only_its_turn(world, text, tmp_path):
    gateway = world.start(text(AT_ONCE))
    polling = poller(gateway)
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 30)
    gate = world.lms.gate(".*")
    working = await begun(world, polling, calls=1)
    real, broken = gateway.tenant.database, Database.open(f"sqlite:///{tmp_path}/other.db")
    broken.clock = world.clock
    await broken.close()
    gateway.tenant.database = broken
    gate.set()
    await working
    gateway.tenant.database = real
    world.clock.move(61)
    await polling.round()
    assert polling.counts.sweeps == 1
    assert len(await world.queued()) == 1
