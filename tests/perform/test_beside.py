"""A cancel beside a create of the same student and course: no answer may stand on what is being ended."""

import asyncio
import contextlib

import pytest

from gateway.errors import AnswerLost, OutcomeUnknown
from gateway.perform import writes
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace
from tests.perform.conftest import World
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.waiting import soon


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture(params=["sqlite", "postgresql"])
async def world(request):
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    made = World(request.getfixturevalue(fixture))
    yield made
    await made.close()


async def enrolled_long_ago(process):
    """An enrolment RTOPilot has used since: a create for the same student and course makes another id."""
    made = await process.create()
    await process.get(made.id)
    process.clock.move(86_400)
    return made.id


@contextlib.asynccontextmanager
async def at_the_vendor(lms, request, asking):
    """The request of `asking` has left and is not answered; its own answer is given out at the end."""
    gate, before = lms.gate(request), lms.count(request)
    task = asyncio.create_task(asking)
    await soon(lambda: lms.count(request) > before)
    yield task
    gate.set()
    await task
    lms.gates.clear()


async def test_cancel_waits_for_a_create_that_is_at_work_and_then_leaves_it_what_it_stands_on(world):
    one, two = world.start(), world.start()
    first = await enrolled_long_ago(one)
    async with at_the_vendor(world.lms, "PUT .*", one.create()) as creating:
        assert (await two.cancel(first)).code == "busy"
    second = creating.result().id
    assert second != first
    assert (await two.cancel(first)).status == 200
    assert world.lms.effects["ended"] == 0
    assert (await two.get(second)).status == 200


async def test_create_for_another_student_or_course_holds_nobody_up(world, people):
    gateway, (_, bo) = world.start(), people
    first = await enrolled_long_ago(gateway)
    async with (
        at_the_vendor(world.lms, "PUT /courses/7/.*", gateway.create(bo)),
        at_the_vendor(world.lms, "PUT /courses/8/.*", gateway.create(course="8")),
    ):
        assert (await gateway.cancel(first)).status == 200
    assert world.lms.effects["ended"] == 1


async def test_create_that_lies_in_doubt_does_not_hold_up_a_cancel(world):
    gateway = world.start(work_s=0.4)
    first = await enrolled_long_ago(gateway)
    world.lms.on("PUT .*", AnswerLost("lost"))
    world.lms.broken.add("GET /courses/7/users/.*")
    assert (await gateway.create()).status == 504
    assert {run.state for run in await gateway.runs()} == {"done", "in_doubt"}
    world.lms.broken.clear()
    assert (await gateway.cancel(first)).status == 200


async def test_create_in_doubt_is_neither_looked_up_nor_repeated_while_a_cancel_is_at_work(world):
    gateway = world.start(work_s=0.4)
    first = await enrolled_long_ago(gateway)
    world.lms.on("PUT .*", AnswerLost("lost"))
    world.lms.broken.add("GET /courses/7/users/.*")
    assert (await gateway.create()).status == 504
    world.lms.broken.clear()
    looks = world.lms.count("GET /courses/7/users/.*")
    other = world.start()
    async with at_the_vendor(world.lms, "DELETE .*", other.cancel(first)):
        await gateway.background(after=60)
        assert (await gateway.create()).code == "busy"
        assert world.lms.count("GET /courses/7/users/.*") == looks
        assert (await gateway.runs(state="in_doubt"))[0].due_at > gateway.clock.now()
    await gateway.background(after=3600)
    assert {run.state for run in await gateway.runs(operation="createEnrolment")} == {"done", "failed"}
    assert [one.state for one in [await gateway.stored(first)]] == ["cancelled"]


async def test_create_of_a_killed_gateway_holds_up_a_cancel_only_until_its_lease_is_over(world):
    one, two = world.start(), world.start()
    first = await enrolled_long_ago(one)
    world.lms.gate("PUT .*")
    before = world.lms.count("PUT .*")
    dying = asyncio.create_task(one.create())
    await soon(lambda: world.lms.count("PUT .*") > before)
    await one.die()
    await asyncio.gather(dying, return_exceptions=True)
    world.lms.gates.clear()
    assert (await two.cancel(first)).code == "busy"
    world.clock.move(one.perform.runs.lease_s + 1)
    assert (await two.cancel(first)).status == 200


async def test_cancel_that_was_prepared_before_another_id_stood_on_the_enrolment_does_not_end_it(world):
    gateway = world.start()
    first = await gateway.create()
    stored = await gateway.stored(first.id)
    work = await writes.ending(gateway.tenant, stored, Deadline(5.0), Trace())
    await gateway.get(first.id)
    gateway.clock.move(86_400)
    second = await gateway.create()
    with pytest.raises(OutcomeUnknown) as refused:
        await gateway.perform.runs.perform(work, Deadline(5.0), reference="late")
    assert refused.value.code == "busy"
    assert world.lms.effects["ended"] == 0
    assert (await gateway.get(second.id)).status == 200


# -- transfers make one enrolment and end another


async def test_cancel_waits_for_a_transfer_to_that_student(world, people):
    gateway, (_, bo) = world.start(), people
    of_ana, of_bo = (await gateway.create()).id, (await gateway.create(bo)).id
    async with at_the_vendor(world.lms, "PUT .*", gateway.transfer(of_ana)) as transferring:
        assert (await gateway.cancel(of_bo)).code == "busy"
    assert (await gateway.cancel(of_bo)).status == 200
    assert world.lms.effects["ended"] == 0
    assert (await gateway.get(transferring.result().id)).status == 200


async def test_transfer_waits_for_a_cancel_of_what_that_student_has(world, people):
    gateway, (_, bo) = world.start(), people
    of_ana, of_bo = (await gateway.create()).id, (await gateway.create(bo)).id
    async with at_the_vendor(world.lms, "DELETE .*", gateway.cancel(of_bo)):
        assert (await gateway.transfer(of_ana)).code == "busy"
    assert (await gateway.transfer(of_ana)).status == 200


async def test_transfer_waits_for_a_create_of_the_student_it_takes_it_from(world):
    gateway = world.start()
    first = await enrolled_long_ago(gateway)
    async with at_the_vendor(world.lms, "PUT .*", gateway.create()):
        assert (await gateway.transfer(first)).code == "busy"
    assert (await gateway.transfer(first)).status == 200
