"""Writes whose answer is lost: looked up, never sent blindly, and never forgotten."""

import asyncio

import pytest

from gateway.contract import Operation
from gateway.errors import AnswerLost
from tests.support.waiting import soon

ONE_STEP = """
    steps:
      - id: enrol
        call: PUT /courses/${{courseId}}/users/${{student.id}}
        {how}
    record: {{user: "${{student.id}}", course: "${{courseId}}"}}
    key: [user, course]"""


async def test_answer_that_is_lost_is_looked_up_and_what_is_left_is_done(gateway):
    gateway.lms.on("POST /users", "lost")
    assert (await gateway.create()).status == 200
    assert gateway.lms.effects == {"user": 1, "enrolled": 1}


async def test_write_that_did_not_happen_is_told_so_and_may_be_repeated(gateway):
    gateway.lms.on("PUT .*", AnswerLost("lost"))
    assert (await gateway.create()).code == "not_done"
    assert (await gateway.create()).status == 200
    assert gateway.lms.effects["enrolled"] == 1


async def test_run_in_doubt_is_looked_up_and_carried_on_by_a_repeat(world):
    gateway = world.start(work_s=0.4)
    world.lms.on("POST /users", "lost")
    world.lms.broken.add("GET /users/.*")
    assert (await gateway.create()).status == 504
    assert (await gateway.runs())[0].state == "in_doubt"
    world.lms.broken.clear()
    assert (await gateway.create()).status == 200
    assert world.lms.effects == {"user": 1, "enrolled": 1}


async def test_background_settles_a_run_in_doubt_and_does_the_steps_that_are_left(world):
    gateway = world.start(work_s=0.4)
    world.lms.on("POST /users", "lost")
    world.lms.broken.add("GET /users/.*")
    await gateway.create()
    world.lms.broken.clear()
    await gateway.background(after=60)
    assert (await gateway.runs())[0].state == "done"
    assert world.lms.effects == {"user": 1, "enrolled": 1}


async def test_background_never_sends_the_write_in_doubt(world):
    gateway = world.start(work_s=0.4)
    world.lms.on("POST /users", AnswerLost("lost"))
    world.lms.broken.add("GET /users/.*")
    await gateway.create()
    world.lms.broken.clear()
    await gateway.background(after=60)
    (run,) = await gateway.runs()
    assert (run.state, run.error["code"], world.lms.count("POST /users")) == ("failed", "not_done", 1)


async def test_done_although_rtopilot_was_told_an_error_goes_on_the_manual_list_after_a_day(world):
    gateway = world.start(work_s=0.4)
    world.lms.on("PUT .*", "lost")
    world.lms.broken.add("GET /courses/.*")
    await gateway.create()
    world.lms.broken.clear()
    await gateway.background(after=60)
    assert await gateway.todo() == []
    await gateway.background(after=86_400)
    await gateway.background()
    (item,) = await gateway.todo()
    assert (item.reason, item.enrolment_id) == ("not_told", "100-7")


async def test_repeat_in_time_keeps_it_off_the_manual_list(world):
    gateway = world.start(work_s=0.4)
    world.lms.on("PUT .*", "lost")
    world.lms.broken.add("GET /courses/.*")
    await gateway.create()
    world.lms.broken.clear()
    await gateway.background(after=60)
    assert (await gateway.create()).id == "100-7"
    await gateway.background(after=2 * 86_400)
    assert await gateway.todo() == []


@pytest.mark.parametrize(("how", "sent"), [("repeat: never", 1), ("repeat: safe", 2)])
async def test_doubt_nobody_can_look_up_is_a_persons_at_once(world, text, how, sent):
    gateway = world.start(text(createEnrolment=ONE_STEP.format(how=how)))
    world.lms.on("PUT .*", "lost", "lost")
    assert (await gateway.create()).status == 504
    (item,) = await gateway.todo()
    assert (item.reason, item.run_id, world.lms.count("PUT .*")) == (
        "in_doubt",
        (await gateway.runs())[0].id,
        sent,
    )
    await gateway.background(after=3600)
    assert world.lms.count("PUT .*") == sent


async def test_repeat_safe_is_sent_again_by_a_repeat_and_comes_off_the_manual_list(world, text):
    gateway = world.start(text(createEnrolment=ONE_STEP.format(how="repeat: safe")))
    world.lms.on("PUT .*", "lost", "lost")
    await gateway.create()
    assert (await gateway.create()).status == 200
    assert await gateway.todo() == []
    assert len(await gateway.runs()) == 1


async def test_repeat_never_stays_in_doubt_however_often_it_is_repeated(world, text):
    gateway = world.start(text(createEnrolment=ONE_STEP.format(how="repeat: never")))
    world.lms.on("PUT .*", "lost")
    assert [(await gateway.create()).status for _ in range(3)] == [504] * 3
    assert world.lms.count("PUT .*") == 1
    assert len(await gateway.todo()) == 1


async def test_two_creates_in_doubt_are_two_things_to_do(world, text, people):
    gateway = world.start(text(createEnrolment=ONE_STEP.format(how="repeat: never")))
    world.lms.on("PUT .*", "lost", "lost")
    for person in people:
        await gateway.create(person)
    assert len(await gateway.todo()) == 2


READ_FIRST = """
    steps:
      - {id: check, call: "GET /check"}
      - id: enrol
        call: PUT /courses/${courseId}/users/${student.id}
        confirm: {call: "GET /courses/${courseId}/users/${student.id}", done: "reply.body.percent != null"}
    record: {user: "${student.id}", course: "${courseId}"}
    key: [user, course]"""


async def test_read_that_fails_before_the_write_in_doubt_does_not_forget_it(world, text):
    gateway = world.start(text(createEnrolment=READ_FIRST), work_s=2.0)
    world.lms.on("PUT .*", "lost")
    world.lms.on("GET /check", {}, 400)
    world.lms.broken.add("GET /courses/.*")
    assert (await gateway.create()).status == 504
    world.lms.broken.clear()
    (run,) = await gateway.runs()
    assert run.state == "in_doubt"
    assert (await gateway.create()).status == 200
    assert world.lms.effects["enrolled"] == 1


async def test_gateway_killed_after_a_write_left_is_settled_by_another(world):
    one = world.start()
    gate = world.lms.gate("PUT .*")
    asking = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("PUT .*") == 1)
    await one.die()
    await asyncio.gather(asking, return_exceptions=True)
    gate.set()
    world.lms.enrolled["7", "100"] = {"percent": 0, "done": False}
    world.clock.move(100)
    two = world.start()
    await two.background()
    (run,) = await two.runs()
    assert (run.state, run.owner, run.told_error_at is not None) == ("done", None, True)
    assert world.lms.count("PUT .*") == 1


async def test_gateway_killed_before_anything_was_sent_has_done_nothing(world):
    one = world.start()
    await _killed_over(one, "POST /users")
    two = world.start()
    (run,) = await two.runs()
    await two.database.write(lambda conn: _forget_steps(conn))
    world.clock.move(100)
    await two.background()
    (run,) = await two.runs()
    assert (run.state, run.error["code"]) == ("failed", "interrupted")


async def test_repeat_takes_over_the_run_of_a_gateway_that_is_gone(world):
    one = world.start()
    await _killed_over(one, "PUT .*")
    world.clock.move(100)
    two = world.start()
    assert (await two.create()).status == 200
    assert world.lms.effects == {"user": 1, "enrolled": 1}


async def test_run_of_a_mapping_whose_steps_have_changed_is_a_persons(world, text):
    one = world.start()
    await _killed_over(one, "PUT .*")
    world.clock.move(100)
    two = world.start(text(createEnrolment=ONE_STEP.format(how="repeat: safe")))
    assert (await two.create()).status == 504
    await two.background()
    (run,) = await two.runs()
    (item,) = await two.todo()
    assert (run.state, run.due_at, item.run_id) == ("in_doubt", None, run.id)
    assert world.lms.effects["enrolled"] == 0


async def test_run_of_a_tenant_that_is_gone_waits_and_is_listed_after_a_day(world):
    one = world.start()
    await _killed_over(one, "PUT .*")
    two = world.start()
    two.perform.tenants.clear()
    await two.background(after=100)
    assert await two.todo() == []
    await two.background(after=86_400)
    (run,) = await two.runs()
    assert (run.state, [item.reason for item in await two.todo()]) == ("in_doubt", ["in_doubt"])


async def test_run_taken_over_by_another_gateway_is_left_to_it(world):
    one = world.start(real_pause=True)
    gate = world.lms.gate("PUT .*")
    asking = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("PUT .*") == 1)
    world.clock.move(100)
    two = world.start(real_pause=True)
    second = asyncio.create_task(two.create())
    await soon(lambda: world.lms.count("GET /courses/.*") == 1)
    gate.set()
    assert {(await asking).status, (await second).status} <= {200, 504}
    assert world.lms.effects["enrolled"] <= 2  # the same PUT, which the vendor takes as one
    assert len(await two.runs()) == 1


async def test_look_up_that_keeps_failing_is_put_off_longer_and_longer(world):
    gateway = world.start(work_s=0.4)
    world.lms.on("PUT .*", "lost")
    world.lms.broken.add("GET /courses/.*")
    await gateway.create()
    waits = []
    for _ in range(4):
        (run,) = await gateway.runs()
        waits.append(run.due_at - world.clock.now())
        await gateway.background(after=waits[-1] + 301)
    assert waits == sorted(waits)
    assert waits[-1] >= 2 * waits[0]


async def test_cancel_in_doubt_with_repeat_safe_is_sent_again_by_a_repeat(gateway):
    made = await gateway.create()
    gateway.lms.on("DELETE .*", AnswerLost("x"), AnswerLost("x"))
    assert (await gateway.cancel(made.id)).status == 504
    (run,) = await gateway.runs(operation=Operation.CANCEL_ENROLMENT)
    assert (run.state, run.due_at) == ("in_doubt", None)
    assert (await gateway.cancel(made.id)).status == 200
    assert (await gateway.stored(made.id)).state == "cancelled"


async def _killed_over(process, request):
    """The process dies while its request is on the way, which never arrives."""
    process.lms.gate(request)
    asking = asyncio.create_task(process.create())
    await soon(lambda: process.lms.count(request) == 1)
    await process.die()
    await asyncio.gather(asking, return_exceptions=True)
    process.lms.gates.clear()


def _forget_steps(conn):
    from gateway.store.tables import step

    conn.execute(step.delete())


async def test_transfer_cancel_and_marking_in_doubt_are_settled_from_what_is_stored(world, text):
    cancel = """
    steps: [{id: end, call: "DELETE /courses/${enrolment.course}/users/${enrolment.user}", effect: write, confirm: {call: "GET /courses/${enrolment.course}/users/${enrolment.user}", done: "reply.body.percent == null"}}]"""
    marking = """
    steps: [{id: mark, call: "POST /marks/${enrolment.user}", confirm: {call: "GET /marks", done: "true"}}]"""
    gateway = world.start(text(cancelEnrolment=cancel, updateMarking=marking), work_s=0.4)
    made = await gateway.create()
    for request, ask in (
        ("POST /marks/.*", gateway.mark),
        ("PUT .*", gateway.transfer),
        ("DELETE .*", gateway.cancel),
    ):
        current = made.id
        world.lms.on(request, "lost")
        world.lms.broken.add("GET .*")
        assert (await ask(current)).status == 504
        world.lms.broken.clear()
        world.lms.on("GET /courses/.*", {"percent": None}) if ask == gateway.cancel else None
        await gateway.background(after=400)
        runs = await gateway.runs()
        assert runs[0].state == "done", runs[0]
        if ask == gateway.transfer:
            made = await gateway.transfer(current)


async def test_run_whose_enrolment_is_gone_from_the_store_waits_for_a_person(world):
    gateway = world.start()
    made = await gateway.create()
    world.lms.on("DELETE .*", AnswerLost("x"), AnswerLost("x"))
    await gateway.cancel(made.id)
    await gateway.database.write(_forget_the_enrolment)
    await gateway.background(after=86_500)
    (run,) = await gateway.runs(operation=Operation.CANCEL_ENROLMENT)
    assert run.state == "in_doubt"


async def test_marking_in_doubt_of_an_enrolment_that_was_ended_since_is_over(world, text):
    marking = """
    steps: [{id: mark, call: "POST /marks/${enrolment.user}", confirm: {call: "GET /marks", done: "true"}}]"""
    gateway = world.start(text(updateMarking=marking), work_s=0.4)
    made = await gateway.create()
    world.lms.on("POST /marks/.*", "lost")
    world.lms.broken.add("GET .*")
    await gateway.mark(made.id)
    world.lms.broken.clear()
    await gateway.cancel(made.id)
    await gateway.background(after=400)
    (run,) = await gateway.runs(operation=Operation.UPDATE_MARKING)
    assert (run.state, run.output) == ("done", {"id": made.id})


def _forget_the_enrolment(conn):
    from gateway.store.tables import enrolment, run

    conn.execute(enrolment.delete())
    conn.execute(run.update().where(run.c.state == "in_doubt").values(due_at=1.0))
