"""How runs end: nothing done at the LMS is forgotten, whatever goes wrong afterwards."""

import asyncio

import pytest

from gateway.errors import AnswerLost, StoreError
from gateway.operator.settle import settle
from gateway.perform import writes
from gateway.store import tasks
from tests.support.waiting import soon

UNRECORDED = """
    steps:
      - {id: enrol, call: "PUT /courses/${courseId}/users/${student.id}", repeat: safe, value: {place?: "${reply.body.place}"}}
    record: {user: "${student.id}", place: "${steps.enrol.place}"}
    key: [user, place]"""
TWO_UNDOS = """
    steps:
      - {id: a, call: POST /a, repeat: safe, undo: {call: DELETE /a, effect: write, repeat: safe}}
      - {id: b, call: POST /b, repeat: safe, undo: {call: DELETE /b, effect: write, repeat: safe}}
      - {id: c, call: PUT /c, repeat: safe}
    record: {user: "${student.id}"}
    key: [user]"""
OPTIONAL = """
    steps:
      - {id: enrol, call: PUT /enrol, repeat: safe}
      - {id: group, call: POST /group, repeat: safe, optional: true}
    record: {user: "${student.id}"}
    key: [user]"""
SERIAL = """
    serialise: ["${student.id}"]
    steps: [{id: enrol, call: PUT /enrol, repeat: safe}]
    record: {user: "${student.id}", course: "${courseId}"}
    key: [user, course]"""


async def test_enrolment_of_which_no_record_can_be_made_is_kept_in_doubt_and_never_made_again(world, text):
    gateway = world.start(text(createEnrolment=UNRECORDED, cancelEnrolment='{refuse: "no"}', progress=""))
    assert (await gateway.create()).status == 502
    assert (await gateway.create()).status == 502
    (run,) = await gateway.runs()
    (item,) = await gateway.todo()
    assert (run.state, item.reason, world.lms.effects["enrolled"]) == ("in_doubt", "in_doubt", 1)
    assert "could not make a record" in item.sentence


async def test_enrolment_without_a_record_is_made_whole_by_a_repeat_once_the_mapping_is_right(world, text):
    broken = world.start(text(createEnrolment=UNRECORDED, cancelEnrolment='{refuse: "no"}', progress=""))
    await broken.create()
    right = UNRECORDED.replace("${steps.enrol.place}", "${courseId}")
    mended = world.start(text(createEnrolment=right, cancelEnrolment='{refuse: "no"}', progress=""))
    assert (await mended.create()).id == "204-7"
    assert (world.lms.effects["enrolled"], await mended.todo()) == (1, [])


@pytest.mark.parametrize(("done", "state"), [(True, "done"), (False, "failed")])
async def test_enrolment_without_a_record_can_be_settled_by_hand(world, text, done, state):
    broken = world.start(text(createEnrolment=UNRECORDED, cancelEnrolment='{refuse: "no"}', progress=""))
    await broken.create()
    right = UNRECORDED.replace("${steps.enrol.place}", "${courseId}")
    mended = world.start(text(createEnrolment=right, cancelEnrolment='{refuse: "no"}', progress=""))
    (run,) = await mended.runs()
    tenants = {mended.tenant.name: mended.tenant}
    settled = await settle(mended.database, tenants, mended.perform.runs, run.id, done=done, values={})
    assert (settled.state, await mended.todo(), world.lms.effects["enrolled"]) == (state, [], 1)


async def test_mistake_of_ours_after_a_write_leaves_the_run_in_doubt(gateway, monkeypatch):
    def broken(*_, **__):
        raise KeyError("Ana Diaz")

    monkeypatch.setattr(writes, "_add_enrolment", broken)
    assert (await gateway.create()).code == "internal_error"
    (run,) = await gateway.runs()
    assert (run.state, run.due_at is not None) == ("in_doubt", True)
    monkeypatch.undo()
    await gateway.background(after=60)
    assert [run.state for run in await gateway.runs()] == ["done"]
    assert gateway.lms.effects["enrolled"] == 1


async def test_mistake_of_ours_before_any_write_fails_the_run(gateway, monkeypatch, caplog):
    from gateway.perform import attempt

    def broken(frame, *_):
        raise KeyError(frame.root["student"]["lastName"])

    monkeypatch.setattr(attempt.operations, "perform", broken)
    assert (await gateway.create()).code == "internal_error"
    assert [run.state for run in await gateway.runs()] == ["failed"]
    assert "KeyError" in caplog.text
    assert "Diaz" not in caplog.text


async def test_step_refused_for_good_has_what_was_done_before_taken_back(gateway):
    gateway.lms.on("PUT .*", 400)
    assert (await gateway.create()).status == 422
    assert gateway.perform.background._kicked.is_set()
    await gateway.background()
    assert gateway.lms.effects["user gone"] == 1


async def test_steps_are_taken_back_newest_first_one_after_the_other(world, text):
    gateway = world.start(text(createEnrolment=TWO_UNDOS, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("PUT /c", 400)
    await gateway.create()
    await gateway.background()
    assert world.lms.sent[-2:] == ["DELETE /b", "DELETE /a"]


async def test_older_step_waits_while_a_newer_one_cannot_be_taken_back(world, text):
    gateway = world.start(text(createEnrolment=TWO_UNDOS, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("PUT /c", 400)
    world.lms.on("DELETE /b", AnswerLost("x"), AnswerLost("x"))
    await gateway.create()
    await gateway.background()
    assert "DELETE /a" not in world.lms.sent
    await gateway.background(after=10)
    assert world.lms.sent[-2:] == ["DELETE /b", "DELETE /a"]


async def test_step_that_cannot_be_taken_back_goes_on_the_manual_list(world, text):
    gateway = world.start(text(createEnrolment=TWO_UNDOS, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("PUT /c", 400)
    world.lms.on("DELETE /b", 400)
    await gateway.create()
    await gateway.background()
    (item,) = await gateway.todo()
    assert item.reason == "undo_failed"
    assert "b, a" in item.sentence


async def test_step_done_before_a_restart_is_taken_back_as_it_is_noted_who_did_it(world, text):
    one = world.start(text(createEnrolment=TWO_UNDOS, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.gate("POST /b")
    asking = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("POST /b") == 1)
    await one.die()
    await asyncio.gather(asking, return_exceptions=True)
    world.lms.gates.clear()
    world.clock.move(100)
    two = world.start(text(createEnrolment=TWO_UNDOS, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("PUT /c", 400)
    assert (await two.create()).status == 422
    await two.background()
    undone = [sent for sent in world.lms.sent if sent.startswith("DELETE")]
    assert undone == ["DELETE /b", "DELETE /a"]
    assert await two.todo() == []


async def test_step_found_done_before_a_restart_is_neither_taken_back_nor_listed(world, text):
    mapping = text(createEnrolment=TWO_UNDOS, cancelEnrolment='{refuse: "no"}', progress="")
    one = world.start(mapping)
    world.lms.on("POST /a", 409)
    world.lms.gate("POST /b")
    asking = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("POST /b") == 1)
    await one.die()
    await asyncio.gather(asking, return_exceptions=True)
    world.lms.gates.clear()
    world.clock.move(100)
    two = world.start(mapping)
    world.lms.on("PUT /c", 400)
    assert (await two.create()).status == 422
    await two.background()
    assert [sent for sent in world.lms.sent if sent.startswith("DELETE")] == ["DELETE /b"]
    assert await two.todo() == []


async def test_optional_step_in_doubt_is_tried_again_later(world, text):
    gateway = world.start(text(createEnrolment=OPTIONAL, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("POST /group", AnswerLost("x"), AnswerLost("x"))
    made = await gateway.create()
    assert made.status == 200
    assert (await gateway.runs())[0].output["warnings"]
    await gateway.background()
    assert world.lms.effects["POST group"] == 1


async def test_what_an_optional_step_gives_at_last_goes_on_the_record(world, text):
    form = OPTIONAL.replace(
        "optional: true}", 'optional: true, value: {place: "${reply.body.place}"}}'
    ).replace(
        'record: {user: "${student.id}"}', 'record: {user: "${student.id}", place?: "${steps.group.place}"}'
    )
    gateway = world.start(text(createEnrolment=form, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("POST /group", AnswerLost("x"), AnswerLost("x"), {"place": "G9"})
    made = await gateway.create()
    assert (await gateway.stored(made.id)).record == {"user": "204"}
    await gateway.background()
    assert (await gateway.stored(made.id)).record == {"user": "204", "place": "G9"}


async def test_optional_step_is_not_tried_again_for_an_enrolment_that_was_cancelled_meanwhile(world, text):
    gateway = world.start(text(createEnrolment=OPTIONAL, cancelEnrolment='{manual: "x"}', progress=""))
    world.lms.on("POST /group", AnswerLost("x"), AnswerLost("x"))
    made = await gateway.create()
    assert (await gateway.cancel(made.id)).status == 200
    await gateway.background()
    assert world.lms.effects["POST group"] == 0


async def test_optional_step_that_fails_again_is_tried_later_still(world, text):
    gateway = world.start(text(createEnrolment=OPTIONAL, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("POST /group", AnswerLost("x"), AnswerLost("x"), 400)
    await gateway.create()
    await gateway.background()
    assert world.lms.effects["POST group"] == 0
    await gateway.background(after=10)
    assert world.lms.effects["POST group"] == 1


async def test_task_about_steps_the_mapping_no_longer_has_is_a_persons(world, text):
    one = world.start(text(createEnrolment=OPTIONAL, cancelEnrolment='{refuse: "no"}', progress=""))
    world.lms.on("POST /group", AnswerLost("x"), AnswerLost("x"))
    await one.create()
    two = world.start(text(createEnrolment=SERIAL, cancelEnrolment='{refuse: "no"}', progress=""))
    await two.background()
    (item,) = await two.todo()
    assert item.reason == "retry_step_failed"


async def test_old_enrolment_that_cannot_be_ended_is_tried_again_and_then_a_persons(gateway):
    old = await gateway.create()
    gateway.lms.on("DELETE .*", 400)
    await gateway.transfer(old.id)
    await gateway.background()
    (item,) = await gateway.todo()
    assert (item.reason, item.enrolment_id) == ("end_old_failed", old.id)


async def test_old_enrolment_of_a_transfer_is_ended_when_the_vendor_is_back(gateway):
    old = await gateway.create()
    gateway.lms.broken.add("DELETE .*")
    await gateway.transfer(old.id)
    await gateway.background()
    assert gateway.lms.effects["ended"] == 0
    gateway.lms.broken.clear()
    await gateway.background(after=400)
    assert gateway.lms.effects["ended"] == 1


async def test_gateway_killed_while_it_ends_the_old_enrolment_costs_no_try(world):
    one = world.start()
    old = await one.create()
    await one.transfer(old.id)
    world.lms.gate("DELETE .*")
    ending = asyncio.create_task(one.background())
    await soon(lambda: world.lms.count("DELETE .*") == 1)
    ending.cancel()
    await one.die()
    await asyncio.gather(ending, return_exceptions=True)
    world.lms.gates.clear()
    world.clock.move(100)
    await world.start().background()
    assert world.lms.effects["ended"] == 1


async def test_transfer_where_the_lms_cannot_cancel_lists_the_old_enrolment(world, text):
    gateway = world.start(text(cancelEnrolment='{refuse: "Please withdraw them there."}'))
    old = await gateway.create()
    assert (await gateway.transfer(old.id)).status == 200
    await gateway.background()
    assert [item.reason for item in await gateway.todo()] == ["end_old_failed"]


async def test_cancel_a_person_does_is_listed_and_the_id_is_ended(world, text):
    gateway = world.start(text(cancelEnrolment='{manual: "Withdraw ${enrolment.user} there."}'))
    made = await gateway.create()
    assert (await gateway.cancel(made.id)).status == 200
    assert [item.sentence for item in await gateway.todo()] == ["Withdraw 100 there."]
    assert (await gateway.stored(made.id)).state == "cancelled"


async def test_marks_a_person_enters_are_listed(world, text):
    gateway = world.start(text(updateMarking='{manual: "Enter the marks of ${enrolment.user}."}'))
    made = await gateway.create()
    assert (await gateway.mark(made.id)).status == 200
    assert [item.reason for item in await gateway.todo()] == ["marking"]


@pytest.mark.parametrize(
    ("operation", "form", "status"),
    [
        pytest.param("cancelEnrolment", '{refuse: "no"}', 422, id="cancel refused"),
        pytest.param("cancelEnrolment", '{acknowledge: "ok"}', 200, id="cancel acknowledged"),
        pytest.param("updateMarking", '{refuse: "no ${enrolment.user}"}', 422, id="marking refused"),
        pytest.param(
            "updateMarking", '{refuse: "no ${sum(enrolment.user)}"}', 500, id="a sentence that cannot be made"
        ),
        pytest.param("updateMarking", '{acknowledge: "ok"}', 200, id="marking acknowledged"),
        pytest.param("updateMarking", None, 200, id="no marking"),
        pytest.param("transferEnrolment", '{refuse: "no"}', 422, id="transfer refused"),
    ],
)
async def test_short_forms_need_no_vendor_and_no_run(world, text, operation, form, status):
    gateway = world.start(text(**{operation: form}))
    made = await gateway.create()
    sent = len(world.lms.sent)
    ask = {
        "cancelEnrolment": gateway.cancel,
        "updateMarking": gateway.mark,
        "transferEnrolment": gateway.transfer,
    }
    assert (await ask[operation](made.id)).status == status
    assert (len(world.lms.sent), len(await gateway.runs())) == (sent, 1)


# -- one after the other ------------------------------------------------------------------------------


async def test_runs_of_one_student_are_done_one_after_the_other_across_gateways(world, text):
    mapping = text(createEnrolment=SERIAL, cancelEnrolment='{refuse: "no"}', progress="")
    one, two = (world.start(mapping, real_pause=True) for _ in range(2))
    gate = world.lms.gate("PUT /enrol")
    asked = [asyncio.create_task(one.create()), asyncio.create_task(two.create(course="8"))]
    await soon(lambda: world.lms.sent)
    await soon(lambda: world.paused > 0, what="the second gateway waiting for its turn")
    assert len(world.lms.sent) == 1
    gate.set()
    assert [(await task).status for task in asked] == [200, 200]


async def test_run_that_never_gets_its_turn_has_failed_and_may_be_repeated(world, text):
    mapping = text(createEnrolment=SERIAL, cancelEnrolment='{refuse: "no"}', progress="")
    gateway = world.start(mapping, work_s=0.3, real_pause=True)
    gate = world.lms.gate("PUT /enrol")
    first = asyncio.create_task(gateway.create())
    await soon(lambda: world.lms.sent)
    assert (await gateway.create(course="8")).code == "busy"
    gate.set()
    await first
    assert (await gateway.create(course="8")).status == 200


async def test_turn_that_cannot_be_named_is_a_mistake_of_the_mapping(world, text):
    form = SERIAL.replace('${student.id}"]', '${sum(courseId)}"]')
    gateway = world.start(text(createEnrolment=form, cancelEnrolment='{refuse: "no"}', progress=""))
    heard = await gateway.create()
    assert (heard.status, heard.code, await gateway.runs()) == (500, "mapping_failed", [])


# -- the worker ---------------------------------------------------------------------------------------


async def test_worker_goes_on_after_a_mistake_and_after_a_failing_store(gateway, monkeypatch, caplog):
    left = [ValueError("Ana"), StoreError("full"), None]

    async def round(self):
        error = left.pop(0)
        if error is not None:
            raise error
        return False

    background = gateway.perform.background
    monkeypatch.setattr(type(background), "round", round)
    background.every_s = 0.001
    worker = asyncio.create_task(background.forever())
    await soon(lambda: not left)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert "ValueError" in caplog.text
    assert "Ana" not in caplog.text


async def test_one_broken_task_does_not_stop_the_others(gateway, caplog):
    old = await gateway.create()

    def broken(conn):
        now = gateway.clock.now()
        tasks.add(conn, tenant="acme", kind="undo", payload={}, sentence="s", now=now - 1)
        tasks.add(conn, tenant="gone", kind="undo", payload={}, sentence="s", now=now - 1)

    await gateway.database.write(broken)
    await gateway.transfer(old.id)
    await gateway.background()
    assert gateway.lms.effects["ended"] == 1
    assert "KeyError" in caplog.text


async def test_run_that_is_live_here_is_not_settled_by_its_own_worker(world):
    gateway = world.start()
    gate = world.lms.gate("PUT .*")
    asking = asyncio.create_task(gateway.create())
    await soon(lambda: world.lms.count("PUT .*") == 1)
    await gateway.background(after=100)
    gate.set()
    assert (await asking).status == 200


async def test_drain_gives_up_on_runs_that_take_too_long_and_the_next_process_settles_them(world):
    one = world.start(answer_s=1.0)
    gate = world.lms.gate("PUT .*")
    await one.create()
    await one.perform.runs.drained(0.01)
    assert one.perform.runs.live == {}
    gate.set()
    two = world.start()
    world.lms.enrolled["7", "100"] = {"percent": 0, "done": False}
    await two.background(after=100)
    assert [run.state for run in await two.runs()] == ["done"]
