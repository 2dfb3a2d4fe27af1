"""Courses and enrolments as RTOPilot reads them, and ids the store has lost."""

import asyncio

import pytest

from gateway import ids
from gateway.contract import Operation
from gateway.errors import VendorUnavailable
from gateway.perform import reads
from gateway.perform.courses import FRESH_S, Catalogue
from gateway.store.tables import known
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

ID = ids.encode(("100", "7"))
REMEMBER = """
    cache: 5m
    steps: [{id: all, call: GET /courses, items: reply.body}]
    each: steps.all.items
    as: course
    give: {id: "${text(course.id)}", name: "${course.name}"}
    remember: {course: {code: "c${text(course.id)}"}}"""


async def courses(gateway, term=""):
    heard = await gateway.ask(Operation.GET_COURSES, search_term=term)
    return [one.name for one in heard.result] if heard.status == 200 else heard.status


async def course(gateway, vendor_id):
    return await gateway.ask(Operation.GET_COURSE, course_id=ids.encode_course(vendor_id))


async def test_courses_are_read_once_and_searched_here(gateway):
    assert [await courses(gateway, term) for term in ("", "AID", "zz")] == [
        ["Safety", "First Aid"],
        ["First Aid"],
        [],
    ]
    assert (await course(gateway, "7")).result.name == "Safety"
    assert gateway.lms.sent == ["GET /courses"]


async def test_courses_asked_for_at_once_are_read_once(gateway):
    await asyncio.gather(*(courses(gateway) for _ in range(5)))
    assert gateway.lms.sent == ["GET /courses"]


async def test_list_of_which_no_course_can_be_given_is_a_fault_and_not_empty(gateway, caplog):
    gateway.lms.courses = [{"id": 1}, {"id": 2, "name": None}]
    assert await courses(gateway) == 502
    assert "not one of 2 courses" in caplog.text


async def test_empty_list_is_an_empty_list(gateway):
    gateway.lms.courses = []
    assert await courses(gateway) == []


async def test_course_that_cannot_be_given_is_dropped_and_the_others_stay(gateway):
    gateway.lms.courses += [{"id": 9}, {"id": "x" * 99, "name": "too long"}, {"id": 7, "name": "again"}]
    assert await courses(gateway) == ["Safety", "First Aid"]


async def test_old_list_is_served_while_the_vendor_fails_and_it_is_not_asked_each_time(gateway):
    await courses(gateway)
    gateway.clock.move(600)
    gateway.lms.broken.add("GET /courses")
    assert await courses(gateway) == ["Safety", "First Aid"]
    asked = len(gateway.lms.sent)
    assert await courses(gateway) == ["Safety", "First Aid"]
    assert len(gateway.lms.sent) == asked
    gateway.lms.broken.clear()
    gateway.lms.courses.pop()
    gateway.clock.move(11)
    assert await courses(gateway) == ["Safety"]


async def test_old_list_is_served_when_the_vendor_is_slow_and_the_new_one_when_it_has_come(
    gateway, monkeypatch
):
    monkeypatch.setattr("gateway.perform.courses.PATIENCE_S", 0.05)
    await courses(gateway)
    gateway.clock.move(600)
    gateway.lms.courses.pop()
    gate = gateway.lms.gate("GET /courses")
    assert [await courses(gateway), await courses(gateway)] == [["Safety", "First Aid"]] * 2
    gate.set()
    await asyncio.gather(*gateway.tenant.catalogue._reading.values())
    assert await courses(gateway) == ["Safety"]
    assert len(gateway.lms.sent) == 2


async def test_list_that_was_never_read_is_an_error_while_the_vendor_fails(gateway):
    gateway.lms.broken.add("GET /courses")
    assert await courses(gateway) == 502


async def test_new_course_is_found_by_a_fresh_list_at_most_every_half_minute(gateway):
    await courses(gateway)
    gateway.lms.courses.append({"id": 9, "name": "New"})
    assert (await course(gateway, "9")).code == "unknown_course"
    gateway.clock.move(31)
    assert (await course(gateway, "9")).result.name == "New"


async def test_unknown_course_is_an_error_and_not_unknown_while_the_vendor_fails(gateway):
    await courses(gateway)
    gateway.clock.move(31)
    gateway.lms.broken.add("GET /courses")
    assert [(await course(gateway, "9")).status for _ in range(2)] == [502, 502]
    assert (await course(gateway, "7")).status == 200


async def test_course_has_its_own_call_where_the_mapping_has_one(world, text):
    form = '{steps: [{id: one, call: "GET /courses/${courseId}/users/1", value: {name: "${reply.body.name}"}}], each: "[steps.one]", as: c, give: {id: "${courseId}", name: "${c.name}"}}'
    gateway = world.start(text(getCourse=form))
    world.lms.on("GET /courses/7.*", {"name": "Safety"}, {})
    assert (await course(gateway, "7")).result.name == "Safety"
    assert (await course(gateway, "7")).status == 502


async def test_search_the_vendor_does_is_kept_by_its_term(world, text):
    form = """
    cache: 5m
    steps: [{id: all, call: GET /courses, query: {"q?": "${searchTerm}"}, items: reply.body}]
    each: steps.all.items
    as: course
    give: {id: "${text(course.id)}", name: "${course.name}"}
    search: {mode: sent, min: 3}"""
    gateway = world.start(text(getCourses=form))
    for term in ("saf", "saf", "ai", ""):
        await courses(gateway, term)
    assert len(world.lms.sent) == 2


async def test_course_list_is_read_first_where_create_needs_what_it_remembers(world, text):
    gateway = world.start(text(getCourses=REMEMBER))
    assert (await gateway.create()).status == 200
    assert (await gateway.create(course="8")).status == 200
    assert world.lms.count("GET /courses") == 1


async def test_course_no_list_remembers_does_not_read_the_list_for_each_create(world, text):
    gateway = world.start(text(getCourses=REMEMBER))
    for person_course in ("98", "99"):
        await gateway.create(course=person_course)
    assert world.lms.count("GET /courses") == 1


KNOWING = """
progress:
  policy: {fall: push}
  read:
    steps: [{id: read, call: "GET /courses/${enrolment.course}/users/${enrolment.user}", query: {"code?": "${known.course.code}"}, value: {percent?: "${reply.body.percent}", completed: "${reply.body.done ?? false}"}}]
"""


async def test_progress_that_needs_the_course_list_goes_on_without_it(world, text):
    gateway = world.start(text(getCourses=REMEMBER, progress=KNOWING))
    made = await gateway.create()
    assert (await gateway.get(made.id)).status == 200
    other = world.start(text(getCourses=REMEMBER, progress=KNOWING))
    world.lms.broken.add("GET /courses")
    world.lms.enrolled["9", "100"] = {"percent": 5, "done": False}
    assert (await other.get(ids.encode(("100", "9")))).result.progress == 5
    assert (await other.get(ids.encode(("100", "9")))).result.progress == 5


@pytest.fixture
async def only_for_staff(world, text):
    """A gateway that must read the course list to read progress, with no calls left for polls."""
    mapping = text(getCourses=REMEMBER, progress=KNOWING).replace(
        "  replies:", '  budget: {rates: ["100/hour"], reserve: 50%}\n  replies:'
    )
    gateway = world.start(mapping)
    world.lms.enrolled["9", "100"] = {"percent": 5, "done": False}
    await gateway.get(ids.encode(("100", "9")))
    await gateway.database.write(lambda conn: conn.execute(known.delete()))
    while await gateway.tenant.allowance.take(staff=False) == 0:
        pass
    gateway.clock.move(FRESH_S)
    world.lms.sent.clear()
    return gateway


async def read_by_a_poll(gateway, enrolment_id):
    stored = await gateway.stored(enrolment_id)
    return await reads.read_known(gateway.tenant, stored, Deadline(5.0), Trace(), staff=False)


async def test_course_list_a_poll_needs_is_not_read_from_the_share_of_staff(only_for_staff):
    with pytest.raises(VendorUnavailable) as refused:
        await read_by_a_poll(only_for_staff, ids.encode(("100", "9")))
    assert refused.value.code == "budget_spent"
    assert only_for_staff.lms.sent == []
    assert (await only_for_staff.get(ids.encode(("100", "9")))).status == 200
    assert only_for_staff.lms.count("GET /courses") == 1


async def test_staff_who_wait_for_a_list_that_a_poll_may_not_read_get_it(world, text, only_for_staff):
    only_for_staff.tenant.catalogue = Catalogue(only_for_staff.clock.now)  # as after a start
    polling = asyncio.create_task(read_by_a_poll(only_for_staff, ids.encode(("100", "9"))))
    while not only_for_staff.tenant.catalogue._reading:  # noqa: ASYNC110 (a moment)
        await asyncio.sleep(0)
    heard = await asyncio.gather(
        courses(only_for_staff),
        course(only_for_staff, "7"),
        only_for_staff.create(),
    )
    assert heard[0] == ["Safety", "First Aid"]
    assert [one.status for one in heard[1:]] == [200, 200]
    with pytest.raises(VendorUnavailable):
        await polling


# -- progress -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        pytest.param([(0, False)], [0], id="none yet"),
        pytest.param([(40.9, False)], [40], id="rounded down"),
        pytest.param([(100, False)], [99], id="100 nobody declared"),
        pytest.param([(100, True)], [100], id="completed"),
        pytest.param([(60, False), (20, False), (70, False)], [60, 60, 70], id="never falls"),
        pytest.param([(60, False), (None, False)], [60, 60], id="the last known"),
        pytest.param([(None, False)], [0], id="nothing known"),
        pytest.param([(130, False)], [0], id="not a per cent"),
    ],
)
async def test_progress_is_told_as_the_policy_says(gateway, readings, told):
    made = await gateway.create()
    heard = []
    for percent, done in readings:
        gateway.lms.enrolled["7", "100"] = {"percent": percent, "done": done}
        heard.append((await gateway.get(made.id)).result.progress)
    assert heard == told


async def test_progress_falls_where_the_policy_lets_it(world, text):
    gateway = world.start(text(getCourses=REMEMBER, progress=KNOWING))
    made = await gateway.create()
    for percent in (60, 20):
        world.lms.enrolled["7", "100"] = {"percent": percent, "done": False}
        assert (await gateway.get(made.id)).result.progress == percent


async def test_progress_is_the_last_known_where_the_mapping_reads_none(world, text):
    gateway = world.start(text(progress=""))
    made = await gateway.create()
    assert (await gateway.get(made.id)).result.progress == 0


async def test_enrolment_the_vendor_no_longer_has_is_not_found(gateway):
    made = await gateway.create()
    gateway.lms.enrolled.clear()
    assert (await gateway.get(made.id)).code == "unknown_enrolment"


# -- ids the store has lost ---------------------------------------------------------------------------


async def test_id_the_vendor_confirms_is_adopted(gateway):
    gateway.lms.enrolled["7", "100"] = {"percent": 30, "done": False}
    heard = await gateway.get(ID)
    assert (heard.result.progress, heard.result.course_id) == (30, "7")
    stored = await gateway.stored(ID)
    assert (stored.adopted, stored.record) == (True, {"user": "100", "course": "7"})


@pytest.mark.parametrize(
    "made_up", ["100-7", "100-7_3", "not an id", "1-2-3", "main__100-7", "r" + "a" * 26, "x"]
)
async def test_made_up_id_changes_nothing(gateway, made_up):
    for ask in (gateway.get, gateway.cancel, gateway.transfer, gateway.mark):
        assert (await ask(made_up)).status == 404
    assert await gateway.stored(made_up) is None
    assert set(gateway.lms.sent) <= {"GET /courses/7/users/100"}


async def test_id_nothing_was_asked_about_is_not_adopted(world, text):
    skipped = """
progress:
  read:
    steps: [{id: read, when: "enrolment.user == 'x'", call: "GET /courses/${enrolment.course}", value: {percent?: "${reply.body.p}", completed: "${reply.body.done}"}}]
"""
    gateway = world.start(text(progress=skipped))
    assert (await gateway.get(ID)).status == 404
    assert await gateway.stored(ID) is None


async def test_id_is_not_adopted_where_the_tenant_forbids_it_or_nothing_can_be_read(world, text):
    world.lms.enrolled["7", "100"] = {"percent": 30, "done": False}
    assert (await world.start(adopt_unknown_ids=False).get(ID)).status == 404
    assert (await world.start(text(progress="")).get(ID)).status == 404
    assert world.lms.sent == []


async def test_id_another_tenant_of_the_same_account_holds_is_not_adopted(world):
    from gateway.store import enrolments

    gateway = world.start()
    account = gateway.tenant.vendor_account
    world.lms.enrolled["7", "100"] = {"percent": 30, "done": False}
    await gateway.database.write(
        lambda conn: enrolments.add(
            conn,
            tenant="beta",
            vendor_account=account,
            key='["100","7"]',
            make_id=lambda _: ID,
            record={},
            now=1.0,
        )
    )
    assert (await gateway.get(ID)).status == 404


@pytest.mark.parametrize(("rule", "told"), [("hold", 99), ("push", 100)])
async def test_enrolment_completed_before_it_was_adopted_is_held_unless_the_tenant_says_push(
    world, rule, told
):
    gateway = world.start(adopted_completed=rule)
    world.lms.enrolled["7", "100"] = {"percent": 100, "done": True}
    assert [(await gateway.get(ID)).result.progress for _ in range(3)] == [told] * 3


async def test_enrolment_completed_after_it_was_adopted_is_told_as_completed(gateway):
    gateway.lms.enrolled["7", "100"] = {"percent": 50, "done": False}
    await gateway.get(ID)
    gateway.lms.enrolled["7", "100"] = {"percent": 100, "done": True}
    assert [(await gateway.get(ID)).result.progress for _ in range(3)] == [100] * 3


async def test_transfer_of_an_adopted_id_knows_its_course(gateway):
    gateway.lms.enrolled["7", "100"] = {"percent": 50, "done": False}
    assert (await gateway.transfer(ID)).status == 200


async def test_transfer_whose_course_is_lost_is_refused(world, text):
    form = """
    steps: [{id: enrol, call: "PUT /courses/${courseId}/users/${student.id}", repeat: safe, value: {seat: "s1"}}]
    record: {seat: "${steps.enrol.seat}"}
    key: [seat]"""
    read = 'progress: {read: {steps: [{id: r, call: "GET /seats", value: {percent?: "${reply.body.p}", completed: "${reply.body.x != null}"}}]}}'
    gateway = world.start(
        text(
            createEnrolment=form,
            progress=read,
            cancelEnrolment='{refuse: "no"}',
            updateMarking='{acknowledge: "x"}',
        )
    )
    assert (await gateway.transfer(ids.encode(("s1",)))).code == "course_lost"


async def test_native_transfer_of_an_id_whose_course_is_lost_still_gets_its_id(world, text):
    form = """
    steps: [{id: enrol, call: "PUT /courses/${courseId}/users/${student.id}", repeat: safe, value: {seat: "s1"}}]
    record: {seat: "${steps.enrol.seat}"}
    key: [seat]"""
    move = '{steps: [{id: move, call: "POST /move/${enrolment.seat}", repeat: safe, value: {seat: "s2"}}], record: {seat: "${steps.move.seat}"}, key: [seat]}'
    read = 'progress: {read: {steps: [{id: r, call: "GET /seats", value: {percent?: "${reply.body.p}", completed: "${reply.body.x != null}"}}]}}'
    gateway = world.start(
        text(
            createEnrolment=form,
            transferEnrolment=move,
            progress=read,
            cancelEnrolment='{refuse: "no"}',
            updateMarking='{acknowledge: "x"}',
        )
    )
    moved = await gateway.transfer(ids.encode(("s1",)))
    assert moved.id == ids.encode(("s2",))
    assert (await gateway.stored(moved.id)).course_id is None


async def test_key_too_long_for_an_id_gets_a_stored_random_one(world, text):
    form = """
    steps: [{id: enrol, call: "PUT /courses/${courseId}/users/${student.id}", repeat: safe}]
    record: {user: "${student.id}", long: "this is a key that is much too long to be told in sixty-four characters"}
    key: [user, long]"""
    gateway = world.start(
        text(
            createEnrolment=form,
            cancelEnrolment='{refuse: "no"}',
            progress="",
            updateMarking='{acknowledge: "x"}',
        )
    )
    made = await gateway.create()
    assert ids.is_random(made.id)
    assert (await gateway.get(made.id)).status == 200


@pytest.mark.parametrize("operation", [Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT])
async def test_request_that_lacks_what_it_is_about_is_a_bad_request(gateway, operation):
    assert (await gateway.ask(operation)).status == 400
    assert (await gateway.ask(operation, course_id="7", enrolment_id="100-7")).status == 400
