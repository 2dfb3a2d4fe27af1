"""The same request again: one enrolment for one action, whoever asks, however often, through any gateway."""

import asyncio
import contextlib

import pytest

from gateway.contract import Operation, Person
from gateway.errors import NotSent, StoreError
from gateway.store import enrolments, runs
from tests.support.waiting import eventually, soon


async def test_create_asked_twice_gives_one_id_and_one_enrolment(gateway):
    first, again = await gateway.create(), await gateway.create()
    assert first.id == again.id
    assert gateway.lms.effects == {"user": 1, "enrolled": 1}


@pytest.mark.parametrize(
    ("seen", "after", "same"),
    [
        pytest.param(False, 60, True, id="within the window"),
        pytest.param(True, 60, True, id="within the window, seen"),
        pytest.param(False, 86_400, True, id="later, never seen again"),
        pytest.param(True, 86_400, False, id="later, seen: a second enrolment"),
    ],
)
async def test_create_again_is_the_same_request_only_for_a_while_or_until_it_was_seen(
    gateway, seen, after, same
):
    first = await gateway.create()
    if seen:
        await gateway.get(first.id)
    gateway.clock.move(after)
    again = await gateway.create()
    assert (again.id == first.id) is same
    assert again.id in (first.id, f"{first.id}_2")


async def test_create_after_a_cancel_is_a_new_enrolment(gateway):
    first = await gateway.create()
    await gateway.cancel(first.id)
    again = await gateway.create()
    assert again.id == f"{first.id}_2"
    assert gateway.lms.effects["enrolled"] == 2


async def test_name_is_no_part_of_the_request(gateway):
    first = await gateway.create()
    renamed = await gateway.create(Person(id="204", first_name="Anna", last_name="Diaz-Lee"))
    assert renamed.id == first.id


async def test_ten_requests_at_once_in_one_process_are_one_run(gateway):
    heard = await asyncio.gather(*(gateway.create() for _ in range(10)))
    assert len({one.id for one in heard}) == 1
    assert gateway.lms.effects == {"user": 1, "enrolled": 1}


async def test_requests_at_once_through_two_gateways_are_one_run(world):
    one, two = world.start(real_pause=True), world.start(real_pause=True)
    heard = await asyncio.gather(*(gateway.create() for gateway in (one, two, one, two)))
    assert len({answer.id for answer in heard}) == 1
    assert world.lms.effects == {"user": 1, "enrolled": 1}


async def test_joined_request_on_another_gateway_hears_why_the_run_failed(world):
    one, two = world.start(real_pause=True), world.start(real_pause=True)
    gate = world.lms.gate("PUT .*")
    world.lms.on("PUT .*", 400)
    first = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("PUT .*") == 1)
    second = asyncio.create_task(two.create())
    await soon(lambda: world.paused > 0, what="the second gateway waiting for the first")
    gate.set()
    assert [(await task).status for task in (first, second)] == [422, 422]


async def test_error_of_a_run_is_not_replayed_to_the_next_request(gateway):
    gateway.lms.on("PUT .*", 400)
    assert (await gateway.create()).status == 422
    assert (await gateway.create()).status == 200


async def test_request_on_another_gateway_gets_504_when_the_run_is_left_in_doubt(world):
    one, two = world.start(work_s=0.3), world.start(real_pause=True)
    gate = world.lms.gate("PUT .*")
    world.lms.on("PUT .*", "lost")
    first = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("PUT .*") == 1)
    second = asyncio.create_task(two.create())
    await soon(lambda: world.paused > 0, what="the second gateway waiting for the first")
    world.lms.broken.add("GET .*")
    gate.set()
    assert [(await task).code for task in (first, second)] == ["outcome_unknown"] * 2


async def test_answer_deadline_ends_the_wait_and_not_the_run(world):
    gateway = world.start(answer_s=0.5)
    gate = world.lms.gate("PUT .*")
    heard = await gateway.create()
    assert (heard.status, heard.code) == (504, "outcome_unknown")
    gate.set()

    async def told() -> bool:
        return (await gateway.create()).status == 200

    await eventually(told, what="the answer, on repeating")
    assert world.lms.effects == {"user": 1, "enrolled": 1}


async def test_handler_that_is_cancelled_leaves_the_run_and_the_error_is_noted(world):
    gateway = world.start()
    gate = world.lms.gate("PUT .*")
    task = asyncio.create_task(gateway.create())
    await soon(lambda: world.lms.count("PUT .*") == 1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    gate.set()
    await gateway.perform.runs.drained()
    (run,) = await gateway.runs()
    assert (run.state, run.told_error_at is not None) == ("done", True)


async def test_handler_that_is_cancelled_while_the_run_begins_leaves_no_orphan(gateway):
    task = asyncio.create_task(gateway.create())
    await asyncio.sleep(0)
    assert gateway.perform.runs._beside
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await soon(lambda: gateway.lms.effects["enrolled"] == 1)
    await gateway.perform.runs.drained()
    assert [run.state for run in await gateway.runs()] == ["done"]


async def test_cancel_twice_and_cancel_of_an_ended_id_are_both_fine(gateway):
    made = await gateway.create()
    assert [(await gateway.cancel(made.id)).status for _ in range(2)] == [200, 200]
    assert gateway.lms.effects["ended"] == 1


async def test_cancelled_id_gets_404_and_its_marks_are_taken_and_a_transfer_is_a_conflict(gateway):
    made = await gateway.create()
    await gateway.cancel(made.id)
    heard = [await gateway.get(made.id), await gateway.mark(made.id), await gateway.transfer(made.id)]
    assert [one.status for one in heard] == [404, 200, 409]


async def test_transfer_again_gives_the_same_id_while_it_stands(gateway, people):
    _, bo = people
    old = await gateway.create()
    new = await gateway.transfer(old.id, bo)
    gateway.clock.move(86_400 * 40)
    assert (await gateway.transfer(old.id, bo)).id == new.id
    somebody = Person(id="999", first_name="Cy", last_name="")
    assert (await gateway.transfer(old.id, somebody)).status == 409
    await gateway.cancel(new.id)
    assert (await gateway.transfer(old.id, bo)).status == 409


async def test_transfer_ends_the_old_enrolment_in_the_background(gateway):
    old = await gateway.create()
    new = await gateway.transfer(old.id)
    assert gateway.lms.effects["ended"] == 0
    await gateway.background()
    assert gateway.lms.effects["ended"] == 1
    assert (await gateway.stored(old.id)).moved_to == new.id
    assert (await gateway.stored(new.id)).student_id == "205"


async def test_marks_are_sent_each_time_even_the_same_ones(gateway):
    made = await gateway.create()
    for results in ([1], [2], [1]):
        assert (await gateway.mark(made.id, results)).status == 200
    assert gateway.lms.effects["POST marks"] == 3


async def test_two_ids_on_one_vendor_enrolment_end_it_with_the_last(gateway):
    first = await gateway.create()
    await gateway.get(first.id)
    gateway.clock.move(86_400)
    second = await gateway.create()
    assert (await gateway.cancel(first.id)).status == 200
    assert gateway.lms.effects["ended"] == 0
    assert (await gateway.get(second.id)).status == 200
    assert (await gateway.cancel(second.id)).status == 200
    assert gateway.lms.effects["ended"] == 1


async def test_two_ids_on_one_vendor_enrolment_cancelled_at_once_still_end_it(gateway):
    first = await gateway.create()
    await gateway.get(first.id)
    gateway.clock.move(86_400)
    second = await gateway.create()
    heard = await asyncio.gather(gateway.cancel(first.id), gateway.cancel(second.id))
    assert [one.status for one in heard] == [200, 200]
    assert gateway.lms.effects["ended"] == 1


async def test_create_is_not_answered_with_an_enrolment_that_is_being_ended(world):
    gateway = world.start(answer_s=1.2)
    made = await gateway.create()
    gate = world.lms.gate("DELETE .*")
    assert (await gateway.cancel(made.id)).status == 504
    assert (await gateway.create()).code == "busy"
    assert (await gateway.transfer(made.id)).code == "busy"
    gate.set()
    await gateway.perform.runs.drained()
    assert (await gateway.create()).id == f"{made.id}_2"


async def test_cancel_waits_for_a_transfer_of_the_same_enrolment(world):
    gateway = world.start(answer_s=1.2)
    made = await gateway.create()
    gate = world.lms.gate("PUT .*")
    assert (await gateway.transfer(made.id)).status == 504
    assert (await gateway.cancel(made.id)).code == "busy"
    gate.set()
    await gateway.perform.runs.drained()
    assert (await gateway.cancel(made.id)).status == 200


async def test_transfer_of_what_was_cancelled_since_it_was_looked_at_is_a_conflict(gateway):
    made = await gateway.create()

    async def cancelled_meanwhile(*_):
        await gateway.database.write(lambda conn: enrolments.cancel(conn, "acme", made.id, 1.0))
        return {"student": None, "course": None}

    stored = await gateway.stored(made.id)
    await cancelled_meanwhile()
    from gateway.perform import writes

    work = writes.transferring(gateway.tenant, stored, Person(id="205", first_name="Bo", last_name=""), {})
    with pytest.raises(Exception, match="ended just now"):
        await gateway.perform.runs.perform(work, _deadline(), reference="late")
    assert await gateway.runs(operation=Operation.TRANSFER_ENROLMENT) == []


async def test_disk_that_is_full_before_anything_was_sent_is_told_so(gateway):
    await gateway.database.close()
    heard = await gateway.create()
    assert (heard.status, heard.code) == (500, "store_error")
    assert gateway.lms.sent == []


async def test_store_that_fails_after_a_write_leaves_the_outcome_unknown(gateway):
    gate = gateway.lms.gate("PUT .*")
    task = asyncio.create_task(gateway.create())
    await soon(lambda: gateway.lms.count("PUT .*") == 1)
    await gateway.database.close()
    gate.set()
    heard = await task
    assert (heard.status, heard.code) == (504, "outcome_unknown")


async def test_run_in_the_way_that_keeps_ending_is_told_as_unknown(gateway, monkeypatch):
    from gateway.store.claims import LostLease

    def lost(*_, **__):
        raise LostLease("kept ending")

    monkeypatch.setattr(runs, "begin", lost)
    assert (await gateway.create()).code == "outcome_unknown"


async def test_connection_that_was_never_made_may_be_tried_again_at_once(gateway):
    gateway.lms.on("POST .*", NotSent("no"), NotSent("no"))
    assert (await gateway.create()).status == 200


async def test_told_error_that_cannot_be_noted_changes_no_answer(gateway, monkeypatch):
    def full(*_):
        raise StoreError("full")

    gateway.lms.on("PUT .*", 400)
    monkeypatch.setattr(runs, "told_error", full)
    assert (await gateway.create()).status == 422


def _deadline():
    from gateway.vendor.retry import Deadline

    return Deadline(5.0)
