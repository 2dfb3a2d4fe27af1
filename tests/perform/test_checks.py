"""Checks in whole requests: refused before anything leaves, and simply done again after a crash."""

from __future__ import annotations

import pytest

from gateway.contract import Person

CREATE = """
    steps:
      - id: fit
        check: [{if: "length(student.lastName) > 10", say: "The surname has more than 10 characters."}]
        value: {login: "rto-${student.id}"}
        remember: {student: {login: "${value.login}"}}
      - {id: enrol, call: "PUT /courses/${courseId}/users/${steps.fit.login}", confirm: {call: "GET /courses/${courseId}/users/${steps.fit.login}", done: "reply.body.percent != null"}}
    record: {user: "${steps.fit.login}", course: "${courseId}"}
    key: [user, course]"""
CANCEL = """
    steps:
      - {id: gone, check: [{if: enrolment.course == '8', is: absent}]}
      - {id: end, when: enrolment.course != '8', call: "DELETE /courses/${enrolment.course}/users/${enrolment.user}", effect: write, repeat: safe}"""
LONG = Person(id="204", first_name="Ana", last_name="Featherstonehaugh")


@pytest.fixture
def checking(world, text):
    return world.start(text(createEnrolment=CREATE, cancelEnrolment=CANCEL))


async def test_what_a_check_refuses_never_leaves_and_may_be_asked_again(checking):
    heard = await checking.create(LONG)
    assert (heard.status, heard.code, checking.lms.sent) == (422, "check_refused", [])
    assert (await checking.create()).status == 200
    assert {run.state for run in await checking.runs()} == {"done", "failed"}


async def test_a_value_that_is_worked_out_is_sent_kept_and_remembered(checking):
    stored = await checking.stored((await checking.create()).id)
    assert stored.record == {"user": "rto-204", "course": "7"}
    assert checking.lms.sent == ["PUT /courses/7/users/rto-204"]


async def test_after_a_crash_values_are_worked_out_again_to_look_the_write_up(world, text):
    mapping = text(createEnrolment=CREATE, cancelEnrolment=CANCEL)
    one = world.start(mapping, work_s=0.4)
    world.lms.on("PUT .*", "lost")
    world.lms.broken.add("GET .*")
    assert (await one.create()).status == 504
    world.lms.broken.clear()
    await one.die()
    assert (await world.start(mapping).create()).status == 200
    assert world.lms.sent[-1] == "GET /courses/7/users/rto-204"
    assert world.lms.effects["enrolled"] == 1


async def test_absent_in_a_cancel_is_done_without_a_call(checking):
    made = (await checking.create(course="8")).id
    sent = len(checking.lms.sent)
    assert (await checking.cancel(made)).status == 200
    assert len(checking.lms.sent) == sent
    assert (await checking.stored(made)).state == "cancelled"
