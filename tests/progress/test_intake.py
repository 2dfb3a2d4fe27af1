"""Working off what came in: once is enough, twice does no harm, and nobody waits for somebody else's trouble."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import SimpleNamespace

import pytest

from gateway.errors import NotSent, StoreError
from gateway.progress.intake import BACK_OFF_S, LEASE_S, TENANT_AT_ONCE, TRIES, Intake
from gateway.store import enrolments, inbox, units
from tests.support.waiting import eventually, soon

HINT = """
poll: {plan: per-enrolment, every: 1d, spread: true}
webhook:
  verify: {kind: none-quarantine}
  events: body.events
  id: "${event.id}"
  keep: type == 'moved'
  find: {user: "${text(event.user)}", course: "${text(event.course)}"}
  trust: hint
"""
VALUE = HINT.replace("trust: hint", "trust: value") + (
    '  value: {"percent?": "${event.percent}", completed: "${event.done ?? false}", "at?": "${event.at}"}\n'
)


@pytest.fixture
def hinting(text):
    return text(HINT)


@pytest.fixture
def valuing(text):
    return text(VALUE)


def intake(gateway, **more) -> Intake:
    heard = more.pop("heard", [])
    return Intake(gateway.database, gateway.tenants, gateway.owner, lambda: heard.append(1), **more)


def moved(user: str, course: str = "7", *, id: str | None = None, **more):
    return {"type": "moved", "user": user, "course": course, "id": id, **more}


async def arrive(world, *events, tenant="acme", source="lms", raw=None, at=None) -> str:
    """A delivery with these events, as the receiver stores it."""
    body = json.dumps({"events": list(events)}).encode() if raw is None else raw
    now = world.clock.now() if at is None else at
    stored = await world.database.write(
        lambda conn: inbox.store(conn, tenant=tenant, source=source, raw=body, headers={}, now=now)
    )
    assert stored is not None
    return stored


async def delivery(world, id: str) -> inbox.Delivery:
    found = await world.database.read(lambda conn: inbox.get(conn, id))
    assert found is not None
    return found


async def states(world, *ids: str) -> list[str]:
    return [(await delivery(world, id)).state for id in ids]


async def drain(working) -> None:
    while await working.round():
        pass


# -- hints


async def test_a_hint_is_read_and_what_is_new_is_queued(world, hinting):
    gateway, heard = world.start(hinting), []
    one, two = await world.enrol("7", "1"), await world.enrol("7", "2")
    world.lms.learner("7", "1", 42.9)
    world.lms.learner("7", "2", 50)
    came = await arrive(world, moved("1", id="e-1"), {"type": "published"})
    await drain(intake(gateway, heard=heard))
    assert world.lms.sent == ["GET /courses/7/users/1"]
    assert await world.queued() == {one.id: 42}
    assert two.id not in await world.queued() and heard == [1]
    assert await states(world, came) == ["done"]


async def test_an_event_that_came_before_is_not_read_again(world, hinting):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    working = intake(gateway)
    await arrive(world, moved("1", id="e-1"))
    await drain(working)
    world.clock.move(5)
    again = await arrive(world, moved("1", id="e-1"))
    await drain(working)
    assert world.lms.count() == 1 and working.counts.repeated == 1
    assert await states(world, again) == ["done"]


async def test_an_event_without_an_id_is_read_each_time(world, hinting):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    working = intake(gateway)
    for _ in range(2):
        await arrive(world, moved("1"))
        await drain(working)
        world.clock.move(5)
    assert world.lms.count() == 2


async def test_many_hints_about_one_enrolment_share_a_reading(world, hinting):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    ids = [await arrive(world, moved("1"), moved("1", id=f"e-{number}")) for number in range(12)]
    await drain(intake(gateway))
    assert world.lms.count() == 1
    assert set(await states(world, *ids)) == {"done"}


async def test_a_hint_that_comes_during_a_reading_causes_another(world, hinting):
    gateway, working = world.start(hinting), None
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    gate, working = world.lms.gate(".*"), intake(gateway)
    await arrive(world, moved("1"))
    first = asyncio.create_task(working.round())
    await soon(lambda: world.lms.count() == 1)
    world.clock.move(1)
    await arrive(world, moved("1"))
    second = asyncio.create_task(working.round())
    await soon(lambda: len(working._working) == 2, what="both deliveries at work")
    assert world.lms.count() == 1
    world.lms.learner("7", "1", 60)
    gate.set()
    await asyncio.gather(first, second)
    assert world.lms.count() == 2
    assert await world.queued() == {one.id: 60}


async def test_what_ended_before_its_reading_is_not_read(world, hinting):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    came = await arrive(world, moved("1"))
    await world.database.write(lambda conn: enrolments.cancel(conn, "acme", one.id, world.clock.now()))
    working = intake(gateway)
    await drain(working)
    assert world.lms.count() == 0 and working.counts.unmatched == 1
    assert await states(world, came) == ["done"]


async def test_what_ended_during_its_reading_is_not_told(world, hinting):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    gate = world.lms.gate(".*")
    came = await arrive(world, moved("1"))
    working = asyncio.create_task(intake(gateway).round())
    await soon(lambda: world.lms.count() == 1)
    await world.database.write(lambda conn: enrolments.cancel(conn, "acme", one.id, world.clock.now()))
    gate.set()
    await working
    assert await world.queued() == {} and await world.percent(one.id) is None
    assert await states(world, came) == ["done"]


async def test_a_learner_who_is_gone_at_the_vendor_is_logged_and_nothing_is_told(world, hinting, caplog):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    came = await arrive(world, moved("1"))
    await drain(intake(gateway))
    assert f"tenant acme: enrolment {one.id} is gone at the LMS" in caplog.text
    assert await world.queued() == {}
    assert await states(world, came) == ["done"]


async def test_a_completion_that_was_there_when_the_id_was_taken_over_is_held_below_100(world, hinting):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 100, done=True)

    def adopted(conn):
        conn.exec_driver_sql("UPDATE enrolment SET adopted = true, completed = true")

    await world.database.write(adopted)
    await arrive(world, moved("1"))
    await drain(intake(gateway))
    assert await world.queued() == {one.id: 99}


async def test_units_come_with_a_hint(world, text):
    reading = 'completed: "${reply.body.done ?? false}"'
    listed = 'units?: {$each: "reply.body.units", $as: u, $give: {id: "${u.id}", name: "${u.name}", completed: "${u.done}"}}'
    gateway = world.start(text(HINT).replace(reading, f"{reading}, {listed}"))
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 0)
    unit = {"id": "u1", "name": "TSTABC301 Prepare", "done": True}
    world.lms.learners["7"]["1"]["units"] = [unit]
    await arrive(world, moved("1"))
    await drain(intake(gateway))
    kept = await world.database.read(lambda conn: units.of_tenant(conn, "acme"))
    assert [each.code for each in kept] == ["TSTABC301"]


# -- the vendor fails


async def test_hints_wait_while_the_vendor_is_away_and_are_read_when_it_is_back(world, hinting):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    world.lms.broken.add(".*")
    came, working = await arrive(world, moved("1", id="e-1")), intake(gateway)
    await drain(working)
    waiting = await delivery(world, came)
    assert (waiting.state, waiting.tries, waiting.owner) == ("new", 1, None)
    assert waiting.due_at == pytest.approx(world.clock.now() + BACK_OFF_S[0], abs=0.1)
    for wait in BACK_OFF_S[:4]:
        world.clock.move(wait)
        await drain(working)
    world.lms.broken.clear()
    world.clock.move(BACK_OFF_S[4])
    await drain(working)
    assert await world.queued() == {one.id: 42}
    assert await states(world, came) == ["done"]


async def test_a_hint_nobody_can_answer_for_a_day_is_kept_aside_and_said(world, hinting, caplog):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    world.lms.broken.add(".*")
    began, working = world.clock.now(), intake(gateway)
    came = await arrive(world, moved("1"))
    for _ in range(TRIES + 1):
        await drain(working)
        world.clock.move(BACK_OFF_S[-1])
    kept = await delivery(world, came)
    assert kept.state == "quarantined" and kept.reason is not None
    assert kept.reason.startswith("it could not be worked off for a day: ")
    assert "polls go on" in caplog.text and working.counts.given_up == 1
    assert 20 * 3600 < (kept.finished_at or 0) - began < 40 * 3600


async def test_after_an_outage_only_what_was_not_read_is_read(world, hinting):
    gateway = world.start(hinting)
    await world.enrol_all([("7", str(user)) for user in range(6)])
    for user in range(6):
        world.lms.learner("7", str(user), 10 + user)
    world.lms.broken.add("GET /courses/7/users/5")
    came, working = await arrive(world, *(moved(str(user)) for user in range(6))), intake(gateway)
    await drain(working)
    assert len(await world.queued()) == 5
    before = world.lms.count("GET /courses/7/users/[0-4]")
    world.lms.broken.clear()
    world.clock.move(BACK_OFF_S[0])
    await drain(working)
    assert len(await world.queued()) == 6
    assert world.lms.count("GET /courses/7/users/[0-4]") == before
    assert await states(world, came) == ["done"]


async def test_one_enrolment_that_fails_by_itself_keeps_no_other_waiting(world, hinting):
    gateway = world.start(hinting)
    await world.enrol_all([("7", str(user)) for user in range(20)])
    for user in range(20):
        world.lms.learner("7", str(user), 10)
    world.lms.on("GET /courses/7/users/[0-5]", *[422] * 6)
    came = await arrive(world, *(moved(str(user)) for user in range(20)))
    await drain(intake(gateway))
    assert len(await world.queued()) == 14
    assert (await delivery(world, came)).last_error == "vendor_refused"


async def test_while_the_vendor_is_away_thousands_of_hints_do_not_call_it(world, hinting):
    gateway = world.start(hinting)
    await world.enrol_all([("7", str(user)) for user in range(300)])
    world.lms.on(".*", *[NotSent("no")] * 1000)
    await arrive(world, *(moved(str(user)) for user in range(300)))
    await drain(intake(gateway))
    assert world.lms.count() < 20


async def test_a_mistake_about_one_enrolment_is_tried_again_and_its_text_is_not_logged(
    world, hinting, caplog
):
    gateway = world.start(hinting)
    await world.enrol_all([("7", "1"), ("7", "2")])
    world.lms.learner("7", "2", 42)
    world.lms.on("GET /courses/7/users/1", RuntimeError("Zwxmarker"))
    came = await arrive(world, moved("1"), moved("2"))
    await drain(intake(gateway))
    assert len(await world.queued()) == 1
    assert (await delivery(world, came)).last_error == "internal_error"
    assert "RuntimeError" in caplog.text and "Zwxmarker" not in caplog.text


# -- values


async def test_a_value_is_told_without_reading(world, valuing):
    gateway = world.start(valuing)
    one = await world.enrol("7", "1")
    heard = []
    await arrive(world, moved("1", percent=42.9))
    await drain(intake(gateway, heard=heard))
    assert world.lms.count() == 0 and heard == [1]
    assert await world.queued() == {one.id: 42}


@pytest.mark.parametrize("together", [True, False], ids=["in one delivery", "in two"])
async def test_of_values_out_of_order_the_newest_stays(world, valuing, together):
    gateway = world.start(valuing, fall="push")
    one, now = await world.enrol("7", "1"), world.clock.now()
    newer, older = moved("1", percent=30, at=now - 1), moved("1", percent=60, at=now - 2)
    deliveries = [(newer, older)] if together else [(newer,), (older,)]
    for events in deliveries:
        await arrive(world, *events)
        await drain(intake(gateway))
    assert await world.queued() == {one.id: 30}


async def test_of_two_values_of_one_second_the_further_stays(world, valuing):
    gateway = world.start(valuing, fall="push")
    one, at = await world.enrol("7", "1"), world.clock.now() - 1
    for percent in (60, 40):
        await arrive(world, moved("1", percent=percent, at=at))
        await drain(intake(gateway))
    assert await world.queued() == {one.id: 60}


async def test_a_value_that_is_older_than_a_reading_changes_nothing(world, valuing):
    gateway = world.start(valuing, fall="push")
    one, now = await world.enrol("7", "1"), world.clock.now()
    await world.database.write(
        lambda conn: enrolments.keep_reading(conn, "acme", one.id, 50, False, now - 10, None)
    )
    await arrive(world, moved("1", percent=70, at=now - 20))
    await drain(intake(gateway))
    assert await world.percent(one.id) == 50 and await world.queued() == {}


async def test_a_stamp_from_far_in_the_future_outranks_nothing(world, valuing):
    gateway = world.start(valuing)
    one, now = await world.enrol("7", "1"), world.clock.now()
    for percent, at in ((40, now * 1000), (60, now)):
        await arrive(world, moved("1", percent=percent, at=at))
        await drain(intake(gateway))
    assert await world.queued() == {one.id: 60}


async def test_nonsense_is_no_value(world, valuing, caplog):
    gateway = world.start(valuing)
    one = await world.enrol("7", "1")
    came = await arrive(world, moved("1", percent=140), moved("1", percent="Zwxmarker"), moved("1"))
    await drain(intake(gateway))
    assert await world.percent(one.id) is None and await states(world, came) == ["done"]
    assert gateway.tenant.vendor_faults == 2
    assert "vendor fault" in caplog.text and "Zwxmarker" not in caplog.text


async def test_thousands_of_events_in_one_delivery_are_all_worked_off(world, valuing):
    gateway = world.start(valuing)
    made = await world.enrol_all([("7", str(user)) for user in range(300)])
    now, working = world.clock.now(), intake(gateway)
    events = [
        moved(str(user), percent=step, at=now - 100 + step, id=f"{user}-{step}")
        for step in (3, 2, 1)
        for user in range(300)
    ]
    came = await arrive(world, *events)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    beating = asyncio.create_task(beat())
    await drain(working)
    beating.cancel()
    assert await world.queued() == {one.id: 3 for one in made}
    assert await states(world, came) == ["done"] and beats > 20
    again = await arrive(world, *events)
    await drain(working)
    assert await states(world, again) == ["done"] and working.counts.repeated == 900


# -- what cannot be used


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "its body cannot be read"),
        (b"", "its body cannot be read"),
        (b"null", "no event of it can be used"),
        (b'{"other": 1}', "no event of it can be used"),
        (
            b'{"events": [{"type": "moved", "user": ["Zwxmarker"], "course": 7}]}',
            "no event of it can be used",
        ),
    ],
    ids=["not JSON", "empty", "null", "no events", "no event that names anybody"],
)
async def test_a_delivery_that_cannot_be_used_is_kept_aside_beside_one_that_can(
    world, hinting, raw, reason, caplog
):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    bad, good = await arrive(world, raw=raw), await arrive(world, moved("1"))
    await drain(intake(gateway))
    kept = await delivery(world, bad)
    assert kept.state == "quarantined" and (kept.reason or "").startswith(reason)
    assert "Zwxmarker" not in caplog.text + str(kept.reason)
    assert await states(world, good) == ["done"] and await world.queued() == {one.id: 42}


async def test_one_event_that_cannot_be_used_is_dropped_and_its_neighbours_are_not(world, hinting, caplog):
    gateway = world.start(hinting)
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    came, working = await arrive(world, {"type": "moved"}, moved("1")), intake(gateway)
    await drain(working)
    assert await states(world, came) == ["done"] and await world.queued() == {one.id: 42}
    assert working.counts.dropped == 1 and "1 events of a webhook were dropped" in caplog.text


async def test_a_delivery_without_events_that_matter_is_done(world, hinting):
    gateway = world.start(hinting)
    came = await arrive(world, {"type": "published"})
    await drain(intake(gateway))
    assert await states(world, came) == ["done"]


async def test_an_event_about_somebody_elses_enrolment_touches_nobody(world, hinting):
    gateway = world.start(hinting, tenants=("acme", "other"))
    theirs = await world.enrol("7", "1", tenant="other")
    world.lms.learner("7", "1", 42)
    came, working = await arrive(world, moved("1"), moved("2")), intake(gateway)
    await drain(working)
    assert working.counts.unmatched == 2 and world.lms.count() == 0
    assert await world.percent(theirs.id, "other") is None
    assert await states(world, came) == ["done"]


async def test_a_mapping_that_has_no_webhook_any_more_keeps_it_aside(world, text):
    gateway = world.start(text())
    came = await arrive(world, moved("1"))
    await drain(intake(gateway))
    assert (await delivery(world, came)).reason == "the webhook that took it is not in the mapping any more"


async def test_a_tenant_that_is_gone_waits_a_day_for_its_return(world, hinting):
    gateway = world.start(hinting)
    came, working = await arrive(world, moved("1"), tenant="gone"), intake(gateway)
    await drain(working)
    assert (await delivery(world, came)).last_error == "tenant_gone"
    for _ in range(TRIES):
        world.clock.move(BACK_OFF_S[-1])
        await drain(working)
    assert await states(world, came) == ["quarantined"]


# -- RTOPilot's events


@pytest.mark.parametrize(
    ("event", "raw", "state"),
    [
        ("widget.polished", b'{"data":{}}', "done"),
        ("student.created", b'{"data":{"id":"stu-1"}}', "done"),
        ("student.created", b'{"event":"student.merged","data":{"id":"stu-1"}}', "quarantined"),
        ("student.merged", b"{", "quarantined"),
    ],
    ids=["unknown", "known", "another event than its address says", "not JSON"],
)
async def test_an_event_of_rtopilots_is_recorded_or_kept_aside(world, hinting, event, raw, state):
    gateway = world.start(hinting)
    came = await arrive(world, source=f"rtopilot:{event}", raw=raw)
    await drain(intake(gateway))
    assert await states(world, came) == [state]


# -- several deliveries, several gateways


async def test_a_tenant_with_a_slow_vendor_keeps_no_other_waiting(world, hinting):
    gateway = world.start(hinting, tenants=("acme", "quick"))
    backlog = 3 * TENANT_AT_ONCE
    await world.enrol_all([("7", str(user)) for user in range(backlog)])
    one = await world.enrol("8", "1", tenant="quick")
    world.lms.learner("8", "1", 42)
    gate, working = world.lms.gate("GET /courses/7/.*"), intake(gateway)
    for user in range(backlog):
        await arrive(world, moved(str(user)))
    world.clock.move(1)
    await arrive(world, moved("1", "8"), tenant="quick")
    round = asyncio.create_task(working.round())

    async def quick_is_told() -> bool:
        return await world.queued("quick") == {one.id: 42}

    await eventually(quick_is_told)
    assert not round.done()
    gate.set()
    await round
    await drain(working)


async def test_two_gateways_share_the_work(world, hinting):
    first, second = world.start(hinting), world.start(hinting)
    made = await world.enrol_all([("7", str(user)) for user in range(40)])
    for user in range(40):
        world.lms.learner("7", str(user), 42)
    ids = [await arrive(world, moved(str(user))) for user in range(40)]
    await asyncio.gather(drain(intake(first)), drain(intake(second)))
    assert set(world.lms.counts.values()) == {1}
    assert await world.queued() == {one.id: 42 for one in made}
    assert set(await states(world, *ids)) == {"done"}


async def test_what_a_killed_gateway_had_begun_is_worked_off_by_another(world, hinting):
    gateway = world.start(hinting)
    one, now = await world.enrol("7", "1"), world.clock.now()
    world.lms.learner("7", "1", 42)
    came, working = await arrive(world, moved("1")), intake(gateway)
    await world.database.write(lambda conn: inbox.claim(conn, "killed", now, LEASE_S))
    assert not await working.round()
    world.clock.move(LEASE_S)
    await drain(working)
    assert await world.queued() == {one.id: 42} and await states(world, came) == ["done"]


@pytest.mark.parametrize("kind", ["hint", "value"])
async def test_whoever_lost_the_lease_finishes_nothing(world, text, kind, caplog):
    gateway = world.start(text(HINT if kind == "hint" else VALUE))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    came = await arrive(world, moved("1", percent=42, id="e-1"))
    slow = intake(
        SimpleNamespace(database=_Taken(gateway.database, world), tenants=gateway.tenants, owner="slow")
    )
    with caplog.at_level("INFO"):
        await slow.round()
    assert "another gateway is at it" in caplog.text
    assert (await delivery(world, came)).owner == "other"
    world.clock.move(LEASE_S)
    await drain(intake(gateway))
    assert await states(world, came) == ["done"]
    assert await world.queued() == {one.id: 42}


class _Taken:
    """A database in which another gateway takes every delivery as soon as it has been claimed."""

    def __init__(self, inner, world) -> None:
        self._inner, self.clock, self._world, self._done = inner, inner.clock, world, False

    async def read(self, fn):
        return await self._inner.read(fn)

    async def write(self, fn):
        result = await self._inner.write(fn)
        if not self._done:
            self._done = True
            self.clock.move(LEASE_S)
            now = self.clock.now()
            assert await self._inner.write(lambda conn: inbox.claim(conn, "other", now, LEASE_S))
        return result


async def test_a_lease_is_renewed_as_long_as_the_work_lasts(world, hinting):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    gate, working = world.lms.gate(".*"), intake(gateway)
    came = await arrive(world, moved("1"))
    async with running(working):
        await soon(lambda: world.lms.count() == 1)
        for _ in range(5):
            world.clock.move(LEASE_S / 2)
            working.kick()

            async def is_renewed() -> bool:
                return ((await delivery(world, came)).lease_until or 0) > world.clock.now() + LEASE_S / 2

            await eventually(is_renewed)
        gate.set()

        async def is_done() -> bool:
            return await states(world, came) == ["done"]

        await eventually(is_done)
    assert world.lms.count() == 1


# -- as a worker


@contextlib.asynccontextmanager
async def running(working):
    task = asyncio.create_task(working.forever())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_kick_wakes_it(world, hinting):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    working = intake(gateway, every_s=60)
    async with running(working):
        came = await arrive(world, moved("9"))
        working.kick()

        async def is_done() -> bool:
            return await states(world, came) == ["done"]

        await eventually(is_done)


async def test_a_long_queue_is_worked_off_without_another_kick(world, hinting):
    gateway = world.start(hinting)
    ids = [await arrive(world, moved("9")) for _ in range(5 * TENANT_AT_ONCE)]
    async with running(intake(gateway, every_s=60)):

        async def all_done() -> bool:
            return set(await states(world, *ids)) == {"done"}

        await eventually(all_done)


async def test_cancelled_it_leaves_the_rest_for_later(world, hinting):
    gateway = world.start(hinting)
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    gate, came = world.lms.gate(".*"), await arrive(world, moved("1"))
    async with running(intake(gateway)):
        await soon(lambda: world.lms.count() == 1)
    gate.set()
    assert await states(world, came) == ["new"] and await world.queued() == {}
    world.clock.move(LEASE_S)
    await drain(intake(gateway))
    assert await states(world, came) == ["done"]


async def test_a_store_that_fails_is_tried_again(world, hinting, caplog):
    gateway = world.start(hinting)
    came = await arrive(world, moved("9"))
    failing = _Failing(gateway.database, [StoreError("full"), RuntimeError("odd")])
    broken = SimpleNamespace(database=failing, tenants=gateway.tenants, owner=gateway.owner)
    async with running(intake(broken, every_s=0.01)):

        async def is_done() -> bool:
            return await states(world, came) == ["done"]

        await eventually(is_done)
    assert "the store cannot be used: full" in caplog.text and "webhooks: RuntimeError" in caplog.text


@pytest.mark.parametrize("error", [StoreError("full"), RuntimeError("odd")], ids=["store", "bug"])
async def test_a_store_that_fails_at_the_end_of_a_delivery_has_it_worked_off_again(
    world, hinting, caplog, error
):
    gateway = world.start(hinting)
    came = await arrive(world, moved("9"))
    failing = _Failing(gateway.database, [None, error, error])  # claims, and then
    await intake(SimpleNamespace(database=failing, tenants=gateway.tenants, owner="one")).round()
    assert f"webhook {came}: " in caplog.text
    world.clock.move(LEASE_S)
    await drain(intake(gateway))
    assert await states(world, came) == ["done"]


class _Failing:
    """A database whose first writes fail with these, where they are not None."""

    def __init__(self, inner, errors) -> None:
        self._inner, self.clock, self._errors = inner, inner.clock, errors

    async def read(self, fn):
        return await self._inner.read(fn)

    async def write(self, fn):
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error
        return await self._inner.write(fn)
