"""Polling: what each plan asks, what is learnt from the answers, and how a poll goes on after trouble."""

from __future__ import annotations

import asyncio

import pytest

from gateway import ids
from gateway.errors import AnswerLost, NotSent, StoreError, VendorFault, VendorUnavailable
from gateway.perform import reads
from gateway.progress.plans import Cursor
from gateway.progress.poll import Poller
from gateway.progress.refresh import refresh
from gateway.progress.timing import Override
from gateway.store import enrolments, manual, schedules, units
from gateway.store.budgets import Rate
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace
from tests.support.waiting import eventually, soon

ROWS = """
  items: reply.body
  as: row
  find: {user: "${text(row.user)}", course: "${COURSE}"}
  value: {"percent?": "${row.percent}", completed: "${row.done ?? false}"}
"""
PER_COURSE = "poll:\n  plan: per-course\n  every: 10m\n  call: GET /courses/${courseId}/users" + ROWS.replace(
    "COURSE", "courseId"
)
SPREAD = PER_COURSE + "  spread: true\n"
ALERT = PER_COURSE + "  missing: alert\n"
PER_ENROLMENT = "poll: {plan: per-enrolment, every: 1h}"
ALERT_EACH = "poll: {plan: per-enrolment, every: 1h, missing: alert}"
ONE_CALL = (
    "poll:\n  plan: per-enrolment\n  every: 1h\n  call: GET /courses/${enrolment.course}/users"
    + ROWS.replace("COURSE", "enrolment.course")
)
CHUNKS = (
    "poll:\n  plan: chunks\n  of: 3\n  every: 1h\n  missing: alert\n  call: POST /many\n  effect: read\n"
    '  json: {$each: enrolments, $as: e, $give: {user: "${e.user}", course: "${e.course}"}}'
) + ROWS.replace("COURSE", "row.course")
DELTA = (
    "poll:\n  plan: delta\n  every: 10m\n  window: {overlap: 1h, first: 30d}\n"
    '  audit: {at: ["02:00"], overlap: 90d}\n  call: GET /changes\n'
    '  query: {from: "${window.from}", to: "${window.to}"}'
) + ROWS.replace("COURSE", "row.course")


def poller(gateway, **more) -> Poller:
    return Poller(database=gateway.database, tenants=gateway.tenants, owner=gateway.owner, **more)


async def work(world, polling, *, for_s: float = 0.0, step_s: float = 30.0) -> None:
    """Let time pass in steps, and do all that is due at each."""
    until = world.clock.now() + for_s
    while True:
        while await polling.round():
            pass
        if world.clock.now() >= until:
            return
        world.clock.move(step_s)


# -- what is learnt


async def test_a_poll_reads_a_course_and_queues_what_is_new(world, text):
    gateway = world.start(text(PER_COURSE))
    one, two = await world.enrol("7", "1"), await world.enrol("7", "2")
    world.lms.learner("7", "1", 42.9)
    world.lms.learner("7", "2", 12, done=True)
    heard = []
    polling = poller(gateway, deliver=lambda: heard.append(1))
    await work(world, polling, for_s=300)
    assert world.lms.sent == ["GET /courses/7/users"]
    assert await world.queued() == {one.id: 42, two.id: 100}
    assert heard == [1]
    assert (polling.counts.sweeps, polling.counts.calls, polling.counts.rows, polling.counts.news) == (
        1,
        1,
        2,
        2,
    )


async def test_a_reading_is_as_old_as_the_request_that_brought_it(world, text):
    gateway = world.start(text(PER_COURSE))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    await work(world, poller(gateway), for_s=300)
    stored = await world.database.read(lambda conn: enrolments.by_id(conn, "acme", one.id))
    assert stored.read_at == world.lms.sent_at[0]


async def test_what_has_not_changed_is_not_written(world, text, monkeypatch):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    heard = []
    polling = poller(gateway, deliver=lambda: heard.append(1))
    await work(world, polling, for_s=3600)
    assert polling.counts.sweeps >= 5
    assert polling.counts.news == 1
    assert heard == [1]


async def test_a_fall_that_is_held_is_no_news(world, text):
    gateway = world.start(text(PER_COURSE))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    world.lms.learner("7", "1", 10)
    await work(world, polling, for_s=1200)
    assert polling.counts.news == 1
    assert await world.percent(one.id) == 42


async def test_a_tenant_may_push_falls(world, text):
    gateway = world.start(text(PER_COURSE), fall="push")
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    await work(world, poller(gateway), for_s=300)
    world.lms.learner("7", "1", 10)
    await work(world, poller(gateway), for_s=1200)
    assert await world.queued() == {one.id: 10}


async def test_rows_about_nobody_we_know_are_counted_and_change_nothing(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    world.lms.learner("7", "99", 50)
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    assert polling.counts.unmatched == 1
    assert await world.queued() == {}


async def test_a_row_of_one_course_never_tells_of_another(world, text):
    """Without the course in `find`, the sweep of one course may still only speak of that course."""
    gateway = world.start(text(PER_COURSE.replace(', course: "${courseId}"', "")))
    one, two = await world.enrol("7", "1"), await world.enrol("8", "1")
    world.lms.learner("7", "1", 70)
    world.lms.learner("8", "1", 80)
    await work(world, poller(gateway), for_s=300)
    assert await world.queued() == {one.id: 70, two.id: 80}


async def test_two_ids_on_one_vendor_enrolment_are_both_told(world, text):
    gateway = world.start(text(PER_COURSE))
    both = [await world.enrol("7", "1"), await world.enrol("7", "1")]
    world.lms.learner("7", "1", 30)
    await work(world, poller(gateway), for_s=300)
    assert await world.queued() == {one.id: 30 for one in both}


async def test_what_is_cancelled_while_the_list_is_read_is_not_told(world, text):
    gateway = world.start(text(PER_COURSE))
    one, two = await world.enrol("7", "1"), await world.enrol("7", "2")
    world.lms.learner("7", "1", 30)
    world.lms.learner("7", "2", 30)
    await gateway.database.write(lambda conn: enrolments.cancel(conn, "acme", two.id, 1.0))
    await work(world, poller(gateway), for_s=300)
    assert await world.queued() == {one.id: 30}


async def test_of_two_rows_about_one_enrolment_the_one_further_on_counts(world, text):
    gateway = world.start(text(PER_COURSE))
    one = await world.enrol("7", "1")
    rows = [
        {"user": "1", "percent": 30},
        {"user": "1", "percent": 50},
        {"user": "1"},
        {"user": "1", "percent": 40},
    ]
    world.lms.on("GET /courses/7/users", rows)
    await work(world, poller(gateway), for_s=300)
    assert await world.queued() == {one.id: 50}


@pytest.mark.parametrize(
    ("percent", "faults"),
    [
        pytest.param(None, 0, id="none"),
        pytest.param("half", 1, id="text"),
        pytest.param(140, 1, id="above 100"),
        pytest.param(-1, 1, id="below 0"),
    ],
)
async def test_a_percentage_that_is_none_is_never_told(world, text, percent, faults):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    world.lms.learner("7", "1", percent)
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    assert await world.queued() == {}
    assert polling.counts.faults == faults == gateway.tenant.vendor_faults


async def test_rows_that_cannot_be_used_are_counted_and_the_others_told(world, text):
    gateway = world.start(text(PER_COURSE))
    one = await world.enrol("7", "1")
    world.lms.on("GET /courses/7/users", [{"percent": 9}, {"user": "1", "percent": 30}])
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    assert polling.counts.dropped == 1
    assert await world.queued() == {one.id: 30}


async def test_a_large_course_is_told_in_several_commits(world, text):
    gateway = world.start(text(PER_COURSE))
    made = await world.enrol_all([("7", str(number)) for number in range(700)])
    for number in range(700):
        world.lms.learner("7", str(number), 5)
    await work(world, poller(gateway), for_s=300)
    assert len([one for one in made if await world.percent(one.id) == 5]) == 700


# -- the plans


async def test_each_course_with_active_enrolments_is_asked_once_an_interval(world, text):
    gateway = world.start(text(SPREAD, budget='{rates: ["2000/hour"], reserve: 20%}'))
    await world.enrol_all([(str(course), str(user)) for course in range(100, 140) for user in range(25)])
    for course in range(100, 140):
        for user in range(25):
            world.lms.learner(str(course), str(user), user)
    polling = poller(gateway)
    await work(world, polling, for_s=3600, step_s=15)
    assert len(world.lms.counts) == 40
    assert set(world.lms.counts.values()) <= {5, 6}
    assert polling.counts.calls <= 240
    assert polling.counts.rows == polling.counts.calls * 25
    assert len(await world.queued()) == 1000 - 40  # a 0 % is nothing to tell


async def test_spread_calls_leave_all_through_the_interval(world, text):
    gateway = world.start(text(SPREAD))
    await world.enrol_all([(str(course), "1") for course in range(100, 140)])
    await work(world, poller(gateway), for_s=900, step_s=5)
    first = world.lms.sent_at[:40]
    span = first[-1] - first[0]
    assert 200 < span < 960
    assert max(later - earlier for earlier, later in zip(first, first[1:], strict=False)) < span / 6


async def test_without_spread_a_sweep_is_done_at_once(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol_all([(str(course), "1") for course in range(100, 190)])
    await work(world, poller(gateway), for_s=300, step_s=1)
    assert len(world.lms.sent_at) == 90
    assert world.lms.sent_at[-1] == world.lms.sent_at[0]


async def test_a_plan_without_a_call_reads_each_enrolment(world, text):
    gateway = world.start(text(PER_ENROLMENT))
    one, two = await world.enrol("7", "1"), await world.enrol("8", "2")
    world.lms.learner("7", "1", 42)
    world.lms.learner("8", "2", 50, done=True)
    await work(world, poller(gateway), for_s=300)
    assert sorted(world.lms.sent) == ["GET /courses/7/users/1", "GET /courses/8/users/2"]
    assert await world.queued() == {one.id: 42, two.id: 100}
    stored = await world.database.read(lambda conn: enrolments.by_id(conn, "acme", one.id))
    assert stored.read_at in world.lms.sent_at


NO_COURSE_IN_KEY = ("key: [user, course]", "key: [user]")


async def test_whose_course_is_not_known_is_read_one_by_one_beside_the_polls_of_courses(world, text):
    gateway = world.start(text(SPREAD).replace(*NO_COURSE_IN_KEY))
    known = await world.enrol("7", "1")
    adopted = [await world.enrol("8", str(user), course_id=None) for user in range(2, 5)]
    gone = await world.enrol("8", "9", course_id=None)
    await gateway.database.write(lambda conn: enrolments.cancel(conn, "acme", gone.id, 1.0))
    world.lms.learner("7", "1", 20)
    for user in range(2, 5):
        world.lms.learner("8", str(user), 30)
    polling = poller(gateway)
    await work(world, polling, for_s=3600)
    assert set(await world.plans()) == {"poll", "poll.courseless"}
    assert await world.queued() == {known.id: 20} | {one.id: 30 for one in adopted}
    assert set(world.lms.counts) == {
        "GET /courses/7/users",
        *(f"GET /courses/8/users/{user}" for user in range(2, 5)),
    }
    assert set(world.lms.counts.values()) <= {5, 6}


@pytest.mark.parametrize(
    ("mapping", "plans"),
    [
        pytest.param(PER_COURSE, {"poll"}, id="the key says the course"),
        pytest.param((PER_ENROLMENT, *NO_COURSE_IN_KEY), {"poll"}, id="a poll of all enrolments"),
        pytest.param((PER_COURSE, *NO_COURSE_IN_KEY), {"poll", "poll.courseless"}, id="it does not"),
        pytest.param(
            (
                PER_COURSE,
                'createEnrolment: {steps: [{id: go, call: PUT /go, repeat: safe}], record: {user: "${student.id}", course: "${courseId}"}, key: [user, course]}',
                'createEnrolment: {choose: "true", of: {true: {steps: [{id: go, call: PUT /go, repeat: safe}], record: {user: "${student.id}", course: "${courseId}"}, key: [user]}}}',
            ),
            {"poll", "poll.courseless"},
            id="a form that does not",
        ),
    ],
)
async def test_courses_can_only_be_unknown_where_no_key_says_them(world, text, mapping, plans):
    poll, *replaced = (mapping,) if isinstance(mapping, str) else mapping
    whole = text(poll)
    gateway = world.start(whole.replace(*replaced) if replaced else whole)
    await poller(gateway).round()
    assert set(await world.plans()) == plans


async def test_a_plan_with_a_call_for_each_enrolment_tells_of_that_one_only(world, text):
    gateway = world.start(text(ONE_CALL))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    world.lms.learner("7", "2", 50)
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    assert await world.queued() == {one.id: 42}
    assert polling.counts.unmatched == 1


async def test_enrolments_are_asked_about_in_chunks(world, text):
    gateway = world.start(text(CHUNKS))
    made = await world.enrol_all([("7", str(user)) for user in range(7)])
    for user in range(7):
        world.lms.learner("7", str(user), 10 + user)
    await work(world, poller(gateway), for_s=300)
    assert [len(body) for body in world.lms.bodies] == [3, 3, 1]
    assert set((await world.queued()).values()) == set(range(10, 17))
    assert len(await world.queued()) == len(made)


async def test_whoever_a_chunk_leaves_out_is_missing(world, text):
    gateway = world.start(text(CHUNKS))
    await world.enrol_all([("7", str(user)) for user in range(4)])
    world.lms.learner("7", "0", 10)
    await work(world, poller(gateway), for_s=300)
    assert len(await world.todo()) == 3


async def test_nothing_is_asked_where_nobody_is_enrolled(world, text):
    gateway = world.start(text(DELTA))
    await work(world, poller(gateway), for_s=1200)
    assert world.lms.sent == []
    assert (await world.plans())["poll"].last_ok_at is not None


async def test_a_delta_list_covers_the_time_since_the_last_success(world, text):
    gateway = world.start(text(DELTA))
    one = await world.enrol("7", "1")
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    world.lms.learner("7", "1", 42)
    await work(world, polling, for_s=900)
    assert await world.queued() == {one.id: 42}
    ok = (await world.plans())["poll"].last_ok_at
    assert world.clock.now() - 1200 < ok <= world.clock.now()


async def windows(world, polling, for_s, **more):
    """(from, to) of each list asked for, in seconds before it was asked."""
    asked = []
    tenant = polling.tenants["acme"]
    send = world.lms.send

    async def watched(method, base, target, **given):
        if "changes" in target:
            now = world.clock.now()
            edges = dict(given["query"])
            asked.append((round(now - float(edges["from"])), round(now - float(edges["to"]))))
        return await send(method, base, target, **given)

    world.lms.send = watched
    assert tenant.pool is world.lms
    await work(world, polling, for_s=for_s, **more)
    world.lms.send = send
    return asked


DAY = 86_400


async def test_the_first_delta_list_goes_far_back_and_the_next_ones_overlap(world, text):
    gateway = world.start(text(DELTA))
    await world.enrol("7", "1")
    asked = await windows(world, poller(gateway), 1500)
    assert asked[0] == (30 * DAY, 0)
    assert all(3600 + 400 < since < 3600 + 1000 for since, _ in asked[1:3])


async def test_a_list_that_failed_is_covered_by_the_next(world, text):
    gateway = world.start(text(DELTA))
    one = await world.enrol("7", "1")
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    ok = (await world.plans())["poll"].last_ok_at
    world.lms.broken.add("GET /changes")
    world.lms.learner("7", "1", 42)
    await work(world, polling, for_s=7200)
    assert (await world.plans())["poll"].last_ok_at == ok
    assert await world.queued() == {}
    world.lms.broken.clear()
    await work(world, polling, for_s=1200)
    assert await world.queued() == {one.id: 42}


async def test_after_a_long_outage_the_list_goes_far_back_again(world, text):
    gateway = world.start(text(DELTA))
    await world.enrol("7", "1")
    await work(world, poller(gateway), for_s=300)
    world.clock.move(40 * DAY)
    asked = await windows(world, poller(gateway), 0)
    assert (30 * DAY, 0) in asked


async def test_a_delta_list_with_a_page_missing_saves_nothing(world, text):
    paged = DELTA + "  pages: {kind: page, number: query.p, per: 1, stop: short}\n"
    gateway = world.start(text(paged))
    await world.enrol("7", "1")
    world.lms.on("GET /changes", [{"user": "1", "course": "7", "percent": 9}], 422)
    await work(world, poller(gateway), for_s=300)
    assert await world.queued() == {}
    turn = (await world.plans())["poll"]
    assert turn.last_ok_at is None
    assert turn.last_error == "vendor_fault" or turn.last_error == "vendor_refused"


async def test_an_audit_looks_further_back_at_its_own_times(world, text):
    gateway = world.start(text(DELTA), zone="UTC")
    await world.enrol("7", "1")
    asked = await windows(world, poller(gateway), 2 * DAY, step_s=300)
    assert len([since for since, _ in asked if since == 90 * DAY]) == 2
    assert set(await world.plans()) == {"poll", "poll.audit"}


# -- when


async def test_a_tenant_may_poll_once_a_night(world, text):
    gateway = world.start(text(PER_COURSE), zone="Australia/Sydney")
    await world.enrol("7", "1")
    await work(world, poller(gateway, overrides={"acme": Override(at=("02:00",))}), for_s=7 * DAY, step_s=600)
    assert world.lms.count() == 7


async def test_a_shorter_interval_holds_at_once(world, text):
    gateway = world.start(text(PER_COURSE), zone="UTC")
    await world.enrol("7", "1")
    await work(world, poller(gateway, overrides={"acme": Override(every_s=7 * DAY)}), for_s=600)
    assert world.lms.count() == 1
    await work(world, poller(gateway, overrides={"acme": Override(every_s=60.0)}), for_s=600)
    assert world.lms.count() >= 7


async def test_a_restart_does_not_poll_anew(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    await work(world, poller(gateway), for_s=300)
    for _ in range(5):
        await work(world, poller(gateway), for_s=10)
    assert world.lms.count() == 1


async def test_a_plan_the_mapping_no_longer_has_is_forgotten(world, text):
    await work(world, poller(world.start(text(DELTA))))
    assert set(await world.plans()) == {"poll", "poll.audit"}
    await work(world, poller(world.start(text(PER_COURSE))))
    assert set(await world.plans()) == {"poll"}


async def test_a_mapping_without_polls_has_no_plans(world, text):
    gateway = world.start(text())
    assert not await poller(gateway).round()
    assert await world.plans() == {}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"plan": "per-enrolment"}, id="another plan"),
        pytest.param({"new": 1}, id="another version"),
    ],
)
async def test_a_cursor_that_is_not_of_this_plan_begins_anew(world, text, more):
    gateway = world.start(text(PER_COURSE))
    await world.enrol_all([("7", "1"), ("9", "2")])
    await work(world, poller(gateway))
    kept = {"plan": "per-course", "due": 0.0, "after": "9999", "done": 1, **more}

    def interrupted(conn):
        turn = schedules.claim(conn, "x", world.clock.now() + 999, 60, 5)[0]
        late = {"next_due": 0.0, "started_at": 1.0, "last_ok_at": None, "failures": 0}
        schedules.finish(conn, "acme", turn.name, "x", cursor=kept, **late)

    await world.database.write(interrupted)
    await work(world, poller(gateway))
    assert world.lms.count() == 2


# -- trouble


async def test_a_vendor_that_fails_is_left_alone_for_longer_and_longer(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol_all([(str(course), "1") for course in range(100, 120)])
    world.lms.broken.add(".*")
    polling = poller(gateway)
    await work(world, polling, for_s=4 * 3600, step_s=30)
    turn = (await world.plans())["poll"]
    assert turn.failures >= 12
    assert turn.last_error in ("vendor_fault", "breaker_open")
    assert turn.next_due - world.clock.now() <= 900
    assert world.lms.count() < 100
    assert polling.counts.outages >= 10
    assert polling.counts.failed == 0


async def test_a_poll_goes_on_where_the_vendor_failed(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol_all([(str(course), "1") for course in range(100, 140)])
    courses = await world.database.read(lambda conn: enrolments.courses(conn, "acme"))
    broken = [f"GET /courses/{ids.decode_course(each)}/users" for each in courses[30:]]
    world.lms.broken.update(broken)
    polling = poller(gateway)
    await work(world, polling, for_s=300, step_s=60)
    world.lms.broken.clear()
    await work(world, polling, for_s=1200, step_s=15)
    first = [world.lms.count(f"GET /courses/{ids.decode_course(each)}/users") for each in courses[:30]]
    rest = [world.lms.count(each) for each in broken]
    assert polling.counts.sweeps >= 1
    assert max(first) - min(first) <= 1
    assert min(rest) >= 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(404, "unknown_enrolment", id="404"),
        pytest.param(422, "vendor_refused", id="refused"),
        pytest.param({"not": "a list"}, "vendor_fault", id="nonsense"),
        pytest.param(500, "vendor_fault", id="500"),
        pytest.param(AnswerLost("lost"), "vendor_timeout", id="no answer"),
    ],
)
@pytest.mark.parametrize("at", [0, 3, 5])
async def test_one_course_that_fails_by_itself_does_not_stop_the_others(world, text, answer, code, at):
    gateway = world.start(text(PER_COURSE))
    made = await world.enrol_all([(str(course), "1") for course in range(100, 106)])
    courses = await world.database.read(lambda conn: enrolments.courses(conn, "acme"))
    bad = ids.decode_course(courses[at])
    for course in range(100, 106):
        world.lms.learner(str(course), "1", 30)
    world.lms.on(f"GET /courses/{bad}/users", *[answer] * 100)
    polling = poller(gateway)
    await work(world, polling, for_s=900, step_s=15)
    assert len(await world.queued()) == len(made) - 1
    assert polling.counts.sweeps >= 1
    assert polling.counts.failed >= 1
    assert (await world.plans())["poll"].last_ok_at is None


async def test_a_mistake_about_one_course_does_not_stop_the_others(world, text, monkeypatch):
    gateway = world.start(text(PER_COURSE))
    await world.enrol_all([("7", "1"), ("8", "1")])
    world.lms.learner("7", "1", 30)
    world.lms.learner("8", "1", 30)
    real = ids.decode_course
    seven = ids.encode_course("7")

    def decode(course, **more):
        return 1 / 0 if course == seven else real(course, **more)

    monkeypatch.setattr(ids, "decode_course", decode)
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    assert len(await world.queued()) == 1
    assert polling.counts.failed == 1


async def test_an_lms_that_cannot_be_reached_stops_the_slice_at_once(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol_all([(str(course), "1") for course in range(100, 120)])
    world.lms.on(".*", *[NotSent("no connection")] * 1000)
    polling = poller(gateway)
    while not polling.counts.calls:
        world.clock.move(30)
        await polling.round()
    assert len(world.lms.counts) == 1


async def test_enrolments_that_are_gone_do_not_stop_the_others(world, text):
    gateway = world.start(text(PER_ENROLMENT))
    await world.enrol_all([("7", str(user)) for user in range(30)])
    for user in range(0, 30, 2):
        world.lms.learner("7", str(user), 30)
    polling = poller(gateway)
    await work(world, polling, for_s=300)
    assert len(await world.queued()) == 15
    assert (polling.counts.failed, polling.counts.sweeps) == (15, 1)


# -- the budget


async def test_polls_leave_the_staff_share_of_the_budget_and_go_on_in_the_next_hour(world, text):
    gateway = world.start(text(PER_ENROLMENT, budget='{rates: ["200/hour"], reserve: 20%}'))
    await world.enrol_all([("7", str(user)) for user in range(250)])
    for user in range(250):
        world.lms.learner("7", str(user), 30)
    start = world.clock.now()
    world.clock.move(3600 - start % 3600)
    polling = poller(gateway)
    await work(world, polling, for_s=3000, step_s=60)
    assert world.lms.count() == 160
    turn = (await world.plans())["poll"]
    assert (turn.last_error, turn.failures) == ("budget_spent", 0)
    assert gateway.tenant.allowance.rates == (Rate(limit=200, per_s=3600),)
    assert [await gateway.tenant.allowance.take(staff=True) for _ in range(40)] == [0.0] * 40
    await work(world, polling, for_s=1500, step_s=60)
    assert world.lms.count() >= 250
    assert max(world.lms.counts.values()) <= 2
    assert len(await world.queued()) == 250


# -- who is missing


async def test_an_enrolment_the_course_does_not_show_is_for_a_person_to_look_at(world, text):
    gateway = world.start(text(ALERT))
    one, two = await world.enrol("7", "1"), await world.enrol("7", "2")
    world.lms.learner("7", "2", 50)
    polling = poller(gateway)
    await work(world, polling, for_s=3600)
    assert [(item.enrolment_id, item.reason) for item in await world.todo()] == [(one.id, "missing_at_lms")]
    assert await world.queued() == {two.id: 50}
    world.lms.learner("7", "1", 5)
    await work(world, polling, for_s=900)
    assert await world.todo() == []


@pytest.mark.parametrize("plan", [ALERT, ALERT_EACH.replace("1h", "10m")], ids=["a list", "a reading"])
async def test_who_was_enrolled_a_moment_before_is_not_missing(world, text, plan):
    gateway = world.start(text(plan))
    await world.enrol("7", "1", now=world.clock.now() + 290)
    polling = poller(gateway)
    while not polling.counts.sweeps:
        world.clock.move(10)
        await polling.round()
    assert await world.todo() == []


async def test_without_the_alert_nobody_is_missed(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    await work(world, poller(gateway), for_s=300)
    assert await world.todo() == []


async def test_a_list_with_a_row_that_cannot_be_read_misses_nobody(world, text):
    gateway = world.start(text(ALERT))
    await world.enrol("7", "1")
    world.lms.on("GET /courses/7/users", *[[{"percent": 5}]] * 10)
    await work(world, poller(gateway), for_s=300)
    assert await world.todo() == []


async def test_of_many_missing_ones_twenty_are_listed_and_one_line_for_the_rest(world, text):
    gateway = world.start(text(ALERT))
    await world.enrol_all([("7", str(user)) for user in range(50)])
    polling = poller(gateway)
    await work(world, polling, for_s=2400)
    items = await world.todo()
    assert len(items) == 21
    assert len([item for item in items if not item.enrolment_id]) == 1
    for user in range(25):
        world.lms.learner("7", str(user), 5)
    await work(world, polling, for_s=900)
    assert len([item for item in await world.todo() if item.enrolment_id]) == 20
    for user in range(50):
        world.lms.learner("7", str(user), 5)
    await work(world, polling, for_s=900)
    assert await world.todo() == []


async def mark_done(world):
    now = world.clock.now()
    for item in await world.todo():
        await world.database.write(lambda conn, item=item: manual.done(conn, item.id, now))


async def test_a_missing_one_that_a_person_has_dealt_with_is_listed_again_after_a_month(world, text):
    gateway = world.start(text(ALERT))
    one = await world.enrol("7", "1")
    polling = poller(gateway)
    await work(world, polling, for_s=600)
    await mark_done(world)
    await work(world, polling, for_s=3600, step_s=60)
    assert await world.todo() == []
    world.clock.move(30 * DAY)
    await work(world, polling, for_s=1200, step_s=60)
    assert [item.enrolment_id for item in await world.todo()] == [one.id]


async def test_a_missing_one_that_was_dealt_with_and_came_back_may_be_missed_anew(world, text):
    gateway = world.start(text(ALERT))
    one = await world.enrol("7", "1")
    polling = poller(gateway)
    await work(world, polling, for_s=600)
    await mark_done(world)
    world.lms.learner("7", "1", 5)
    await work(world, polling, for_s=900)
    assert await world.todo() == []
    del world.lms.learners["7"]["1"]
    await work(world, polling, for_s=900)
    assert [item.enrolment_id for item in await world.todo()] == [one.id]


async def test_missing_ones_that_were_dealt_with_make_room_for_the_rest(world, text):
    gateway = world.start(text(ALERT))
    await world.enrol_all([("7", str(user)) for user in range(30)])
    polling = poller(gateway)
    await work(world, polling, for_s=600)
    first = {item.enrolment_id for item in await world.todo()}
    await mark_done(world)
    await work(world, polling, for_s=900)
    second = {item.enrolment_id for item in await world.todo()}
    assert (len(first), len(second)) == (21, 10)
    assert not first & second


async def test_missing_ones_are_known_as_listed_beside_a_thousand_other_things(world, text):
    gateway = world.start(text(ALERT))
    await world.enrol("7", "1")

    def others(conn):
        for number in range(1001):
            manual.add(conn, tenant="acme", enrolment_id=str(number), reason="x", sentence="x", now=1.0)

    await world.database.write(others)
    polling = poller(gateway)
    await work(world, polling, for_s=600)
    world.lms.learner("7", "1", 5)
    await work(world, polling, for_s=900)
    listed = await world.database.read(
        lambda conn: manual.of_reason(conn, "acme", "missing_at_lms", done_since=0.0)
    )
    assert listed == []


async def test_a_course_that_is_gone_is_one_line_until_it_is_back(world, text):
    gateway = world.start(text(ALERT))
    await world.enrol_all([("7", str(user)) for user in range(3)])
    world.lms.on("GET /courses/7/users", 404, 404)
    polling = poller(gateway)
    await work(world, polling, for_s=600)
    assert ["7" in item.sentence for item in await world.todo()] == [True]
    for user in range(3):
        world.lms.learner("7", str(user), 5)
    await work(world, polling, for_s=1800)
    assert await world.todo() == []


async def test_a_missing_enrolment_that_is_cancelled_is_no_longer_listed(world, text):
    gateway = world.start(text(ALERT))
    one = await world.enrol("7", "1")
    await world.enrol("8", "1")
    world.lms.learner("8", "1", 5)
    polling = poller(gateway)
    await work(world, polling, for_s=600)
    assert len(await world.todo()) == 1
    await gateway.database.write(lambda conn: enrolments.cancel(conn, "acme", one.id, world.clock.now()))
    await work(world, polling, for_s=900)
    assert await world.todo() == []


ONE_CALL_ALERT = ONE_CALL + "  missing: alert\n"


@pytest.mark.parametrize("plan", [ALERT_EACH, ONE_CALL_ALERT], ids=["read", "a call"])
async def test_an_enrolment_that_is_asked_about_by_itself_is_missed_until_it_is_back(world, text, plan):
    gateway = world.start(text(plan))
    one, two = await world.enrol("7", "1"), await world.enrol("7", "2")
    world.lms.learner("7", "2", 50)
    polling = poller(gateway)
    await work(world, polling, for_s=3 * 3600, step_s=300)
    assert [(item.enrolment_id, item.reason) for item in await world.todo()] == [(one.id, "missing_at_lms")]
    assert "in course 7." in (await world.todo())[0].sentence
    assert await world.queued() == {two.id: 50}
    world.lms.learner("7", "1", 5)
    await work(world, polling, for_s=2 * 3600, step_s=300)
    assert await world.todo() == []


async def test_a_call_of_one_enrolment_that_is_answered_with_404_misses_it(world, text):
    gateway = world.start(text(ONE_CALL_ALERT))
    one = await world.enrol("7", "1")
    world.lms.on("GET /courses/7/users", 404)
    polling = poller(gateway)
    while not polling.counts.sweeps:
        world.clock.move(300)
        await polling.round()
    assert [item.enrolment_id for item in await world.todo()] == [one.id]


@pytest.mark.parametrize("code", [500, 403, 422])
async def test_a_reading_that_fails_otherwise_misses_nobody(world, text, code):
    gateway = world.start(text(ALERT_EACH))
    await world.enrol("7", "1")
    await world.enrol("7", "2")
    world.lms.learner("7", "2", 5)
    world.lms.on("GET /courses/7/users/1", *[code] * 50)
    polling = poller(gateway)
    await work(world, polling, for_s=2 * 3600, step_s=300)
    assert world.lms.counts["GET /courses/7/users/1"] >= 1
    assert await world.todo() == []


@pytest.mark.parametrize("plan", [ALERT_EACH, CHUNKS], ids=["read", "chunks"])
async def test_of_many_that_are_missed_one_by_one_twenty_are_listed_too(world, text, plan):
    gateway = world.start(text(plan))
    await world.enrol_all([("7", str(user)) for user in range(50)])
    polling = poller(gateway)
    await work(world, polling, for_s=3 * 3600, step_s=300)
    items = await world.todo()
    assert (len(items), len([item for item in items if not item.enrolment_id])) == (21, 1)
    await work(world, polling, for_s=2 * 3600, step_s=300)
    assert await world.todo() == items, "listed anew"
    for user in range(25):
        world.lms.learner("7", str(user), 5)
    await work(world, polling, for_s=3 * 3600, step_s=300)
    items = await world.todo()
    assert (len(items), len([item for item in items if not item.enrolment_id])) == (21, 1)
    for user in range(25, 40):
        world.lms.learner("7", str(user), 5)
    await work(world, polling, for_s=3 * 3600, step_s=300)
    items = await world.todo()
    assert (len(items), len([item for item in items if not item.enrolment_id])) == (10, 0)
    for user in range(40, 50):
        world.lms.learner("7", str(user), 5)
    await work(world, polling, for_s=3 * 3600, step_s=300)
    assert await world.todo() == []


@pytest.mark.parametrize(
    "plan", [ALERT.replace("every: 10m", "every: 1h"), CHUNKS, ALERT_EACH], ids=["courses", "chunks", "each"]
)
async def test_missing_ones_in_a_course_nobody_knows_are_listed_too(world, text, plan):
    gateway = world.start(text(plan).replace(*NO_COURSE_IN_KEY))
    one = await world.enrol("8", "1", course_id=None)
    polling = poller(gateway)
    await work(world, polling, for_s=2 * 3600, step_s=300)
    assert [item.enrolment_id for item in await world.todo()] == [one.id]
    assert "in its course." in (await world.todo())[0].sentence
    world.lms.learner("8", "1", 5)
    await work(world, polling, for_s=2 * 3600, step_s=300)
    assert await world.todo() == []


# -- units

UNITS = 'units?: {$each: "reply.body.units", $as: u, $give: {name: "${u.name}", completed: "${u.done}"}}'


@pytest.fixture
def with_units(text):
    done = 'completed: "${reply.body.done ?? false}"'
    return lambda *parts: text(*parts).replace(done, f"{done}, {UNITS}")


async def test_units_are_read_by_the_next_sweep_when_somebody_else_has_read_the_per_cent(world, with_units):
    gateway = world.start(with_units(PER_COURSE))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 20)
    await reads.refreshed(gateway.tenant, one, Deadline(5.0), Trace())
    world.lms.learners["7"]["1"]["units"] = [{"name": "TSTABC301 Prepare", "done": True}]
    await work(world, poller(gateway, units=refresh), for_s=1200)
    kept = await world.database.read(lambda conn: units.of_tenant(conn, "acme"))
    assert [each.code for each in kept] == ["TSTABC301"]
    assert not (
        await gateway.tenant.database.read(lambda conn: enrolments.by_id(conn, "acme", one.id))
    ).units_due


async def test_units_are_not_read_where_the_mapping_gives_none(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 20)
    read = []

    async def units(tenant, stored):
        read.append(stored.id)

    await work(world, poller(gateway, units=units), for_s=1200)
    assert read == []


async def test_the_units_of_those_that_moved_on_are_read_once(world, with_units):
    gateway = world.start(with_units(PER_COURSE))
    made = await world.enrol_all([("7", str(user)) for user in range(30)])
    for user in range(30):
        world.lms.learner("7", str(user), 0 if user == 0 else 20)
    read = []

    async def units(tenant, stored):
        read.append((stored.id, stored.last_progress))
        await tenant.database.write(lambda conn: enrolments.units_read(conn, "acme", stored.id))

    polling = poller(gateway, units=units)
    await work(world, polling, for_s=3600)
    not_begun = next(one.id for one in made if one.record["user"] == "0")
    assert sorted(read) == sorted((one.id, 20) for one in made if one.id != not_begun)


async def test_units_are_not_read_where_a_tenant_wants_none(world, with_units):
    gateway = world.start(with_units(PER_COURSE), units="off")
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 20)
    read = []

    async def units(tenant, stored):
        read.append(stored.id)

    await work(world, poller(gateway, units=units), for_s=600)
    assert read == []


async def test_units_that_cannot_be_read_now_are_read_later_and_do_not_hold_up_the_sweeps(world, with_units):
    gateway = world.start(with_units(PER_COURSE))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 20)
    read, spent = [], [True]

    async def units(tenant, stored):
        if spent:
            raise VendorUnavailable(code="budget_spent")
        read.append(stored.id)
        await tenant.database.write(lambda conn: enrolments.units_read(conn, "acme", stored.id))

    polling = poller(gateway, units=units)
    await work(world, polling, for_s=3600)
    assert polling.counts.sweeps >= 5
    spent.clear()
    await work(world, polling, for_s=300)
    assert read == [one.id]


async def test_units_of_what_is_cancelled_meanwhile_are_not_read(world, with_units):
    gateway = world.start(with_units(PER_COURSE))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 20)
    tried = []

    async def units(tenant, stored):
        tried.append(stored.id)
        raise VendorUnavailable(code="budget_spent")

    polling = poller(gateway, units=units)
    await work(world, polling, for_s=300)
    await gateway.database.write(lambda conn: enrolments.cancel(conn, "acme", one.id, 1.0))
    before = len(tried)
    await work(world, polling, for_s=300)
    assert len(tried) == before > 0
    assert (await world.plans())["poll"].cursor is None


async def test_units_that_fail_again_and_again_are_left(world, with_units):
    gateway = world.start(with_units(PER_COURSE))
    await world.enrol("7", "1")
    world.lms.learner("7", "1", 20)

    async def units(tenant, stored):
        raise VendorFault

    polling = poller(gateway, units=units)
    await work(world, polling, for_s=3600)
    assert (await world.plans())["poll"].cursor is None
    assert polling.counts.sweeps >= 5


# -- at work


@pytest.mark.parametrize(
    ("poll", "calls"),
    [
        pytest.param("poll: {plan: per-enrolment, every: 10m, spread: true}", 30, id="per enrolment"),
        pytest.param(CHUNKS.replace("every: 1h", "every: 10m\n  spread: true"), 10, id="chunks"),
        pytest.param(DELTA.replace("every: 10m", "every: 10m\n  spread: true"), 1, id="delta"),
    ],
)
async def test_every_plan_can_be_spread(world, text, poll, calls):
    gateway = world.start(text(poll), zone="UTC")
    await world.enrol_all([("7", str(user)) for user in range(30)])
    for user in range(30):
        world.lms.learner("7", str(user), 10)
    polling = poller(gateway)
    while not polling.counts.sweeps:
        world.clock.move(5)
        await polling.round()
    assert polling.counts.calls == calls
    assert calls == 1 or 200 < world.lms.sent_at[-1] - world.lms.sent_at[0] < 960
    assert len(await world.queued()) == 30


async def test_a_mistake_in_one_plan_does_not_end_the_others(world, text, monkeypatch):
    gateway = world.start(text(DELTA), zone="UTC")
    await world.enrol("7", "1")
    real = Cursor.read

    def read(kept, plan, due):
        return 1 / 0 if not failed and not failed.append(1) else real(kept, plan, due)

    failed = []
    monkeypatch.setattr(Cursor, "read", read)
    await work(world, poller(gateway), for_s=DAY, step_s=600)
    assert failed
    assert all(turn.last_ok_at for turn in (await world.plans()).values())


@pytest.mark.parametrize("trouble", [StoreError("away"), ZeroDivisionError()])
async def test_trouble_with_the_store_does_not_end_the_worker(world, text, monkeypatch, trouble):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    polling = poller(gateway, every_s=0.01)
    real, failed = schedules.claim, []

    def claim(*given):
        if len(failed) < 3:
            failed.append(1)
            raise trouble
        return real(*given)

    monkeypatch.setattr(schedules, "claim", claim)
    running = asyncio.create_task(polling.forever())
    await soon(lambda: len(failed) == 3)
    world.clock.move(600)
    await soon(lambda: polling.counts.sweeps)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert world.lms.sent == ["GET /courses/7/users"]


async def test_forever_works_when_kicked_and_stops_when_cancelled(world, text):
    gateway = world.start(text(PER_COURSE))
    await world.enrol("7", "1")
    world.lms.gate(".*")
    polling = poller(gateway, every_s=60.0)
    running = asyncio.create_task(polling.forever())
    await eventually(world.plans)
    world.clock.move(600)
    polling.kick()
    await soon(lambda: world.lms.sent)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await world.plans())["poll"].owner is None
