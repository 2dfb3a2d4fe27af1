"""What a student has in a course already: values made once stay the same while the enrolment is active."""

from __future__ import annotations

import asyncio

import pytest

from gateway.perform import writes
from gateway.vendor.retry import Deadline
from tests.perform.conftest import World
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.waiting import soon

CREATE = """
    steps:
      - {id: ids, mint: {reg: uuid}}
      - {id: enrol, call: "PUT /courses/${courseId}/users/${steps.ids.reg}", repeat: safe}
    record: {reg: "${steps.ids.reg}", course: "${courseId}", before: "${known.enrolment.reg ?? 'nothing'}"}
    key: [reg]"""
TRANSFER = f"""{CREATE.rpartition("record:")[0].rstrip()}
    record: {{reg: "${{steps.ids.reg}}", course: "${{enrolment.course}}", before: "${{known.enrolment.reg ?? 'nothing'}}"}}
    key: [reg]""".replace("${courseId}", "${enrolment.course}")
CANCEL = '{steps: [{id: end, call: "DELETE /courses/${enrolment.course}/users/${enrolment.reg}", effect: write, repeat: safe}]}'


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture(params=["sqlite", "postgresql"])
async def world(request):
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    made = World(request.getfixturevalue(fixture))
    yield made
    await made.close()


@pytest.fixture
def minting(text):
    """A mapping whose enrolments are told apart by a value of our own."""
    return text(createEnrolment=CREATE, cancelEnrolment=CANCEL, progress="", updateMarking=None)


async def record(process, heard):
    return (await process.stored(heard.id)).record


async def seen_long_ago(process, *args, **more):
    """An enrolment that RTOPilot has used since: the same request again is another one."""
    made = await process.create(*args, **more)
    await process.mark(made.id, [])
    process.clock.move(86_400)
    return made


async def test_a_new_enrolment_takes_over_what_the_active_one_holds(world, minting):
    gateway = world.start(minting)
    first = await seen_long_ago(gateway)
    again = await gateway.create()
    kept, now = await record(gateway, first), await record(gateway, again)
    assert again.id == f"{first.id}_2"
    assert (kept["before"], now["before"], now["reg"]) == ("nothing", kept["reg"], kept["reg"])


@pytest.mark.parametrize("other", ["course", "student"])
async def test_another_course_or_student_gets_values_of_its_own(world, minting, people, other):
    gateway, (_, bo) = world.start(minting), people
    first = await gateway.create()
    second = await (gateway.create(bo) if other == "student" else gateway.create(course="8"))
    assert (await record(gateway, first))["reg"] != (await record(gateway, second))["reg"]


async def test_after_a_cancel_everything_is_made_anew(world, minting):
    gateway = world.start(minting)
    first = await gateway.create()
    await gateway.cancel(first.id)
    second = await record(gateway, await gateway.create())
    assert second["before"] == "nothing"
    assert second["reg"] != (await record(gateway, first))["reg"]


async def test_a_transfer_gives_what_the_new_student_holds_and_never_the_old_ones(world, minting, people):
    gateway, (_, bo) = world.start(minting), people
    hers, his = await gateway.create(), await gateway.create(bo)
    moved = await record(gateway, await gateway.transfer(hers.id, bo))
    assert moved["reg"] == moved["before"] == (await record(gateway, his))["reg"]


async def test_what_was_moved_away_is_not_looked_at(world, minting, people):
    gateway, (_, bo) = world.start(minting), people
    first = await gateway.create()
    assert (await gateway.transfer(first.id, bo)).status == 200
    again = await record(gateway, await gateway.create())
    assert again["before"] == "nothing"


async def test_a_transfer_with_steps_of_its_own_knows_it_too(world, text, people):
    mapping = text(
        createEnrolment=CREATE,
        transferEnrolment=TRANSFER,
        cancelEnrolment=CANCEL,
        progress="",
        updateMarking=None,
    )
    gateway, (_, bo) = world.start(mapping), people
    hers, his = await gateway.create(), await gateway.create(bo)
    moved = await record(gateway, await gateway.transfer(hers.id, bo))
    assert moved["reg"] == (await record(gateway, his))["reg"]


# -- at once ------------------------------------------------------------------------------------------


async def one_after_the_other(world, first, second):
    """Begin `second` while the request of `first` is at the vendor; both answers."""
    gate = world.lms.gate("PUT .*")
    ahead = asyncio.create_task(first)
    await soon(lambda: world.lms.count("PUT .*") == 1)
    behind, paused = asyncio.create_task(second), world.paused
    await soon(lambda: world.paused > paused + 1 or world.lms.count("PUT .*") > 1)
    assert world.lms.count("PUT .*") == 1, "both are at work"
    gate.set()
    return await asyncio.gather(ahead, behind)


async def test_a_create_beside_a_transfer_to_the_same_student_waits_and_mints_nothing(world, minting, people):
    one, two = (world.start(minting, real_pause=True) for _ in range(2))
    _, bo = people
    hers = await seen_long_ago(one)
    world.lms.sent.clear()
    heard = await one_after_the_other(world, one.create(bo), two.transfer(hers.id, bo))
    regs = {(await record(one, each))["reg"] for each in heard}
    assert len(regs) == 1
    assert len({each.id for each in heard}) == 2


async def test_a_transfer_beside_a_create_for_the_same_student_waits_and_mints_nothing(
    world, minting, people
):
    one, two = (world.start(minting, real_pause=True) for _ in range(2))
    _, bo = people
    hers = await seen_long_ago(one)
    world.lms.sent.clear()
    heard = await one_after_the_other(world, one.transfer(hers.id, bo), two.create(bo))
    assert len({(await record(one, each))["reg"] for each in heard}) == 1


async def test_two_creates_at_once_are_one_run_and_mint_once(world, minting):
    one, two = (world.start(minting, real_pause=True) for _ in range(2))
    heard = await asyncio.gather(*(process.create() for process in (one, two, one, two)))
    assert len({each.id for each in heard}) == 1
    assert world.lms.effects["enrolled"] == 1


async def test_a_request_prepared_before_another_ended_sees_what_it_made(world, minting, people):
    gateway, (ana, _) = world.start(minting), people
    work = writes.creating(gateway.tenant, "7", ana, {"student": None, "course": None})
    first = await seen_long_ago(gateway)
    second = await gateway.perform.runs.perform(work, Deadline(5.0), reference="prepared-early")
    assert second == f"{first.id}_2"


async def test_others_are_not_held_up(world, minting, people):
    gateway, (_, bo) = world.start(minting, real_pause=True), people
    gate = world.lms.gate("PUT /courses/7/.*")
    waiting = asyncio.create_task(gateway.create())
    await soon(lambda: world.lms.count("PUT /courses/7/.*") == 1)
    assert (await gateway.create(course="8")).status == 200
    other = asyncio.create_task(gateway.create(bo))
    await soon(lambda: world.lms.count("PUT /courses/7/.*") == 2)
    gate.set()
    assert {each.status for each in await asyncio.gather(waiting, other)} == {200}


# -- where it is looked up ----------------------------------------------------------------------------

FORM = """
    steps: [{id: enrol, call: "PUT /courses/${courseId}/users/${student.id}", repeat: safe}]
    record: {user: "${%s}", course: "${courseId}"}
    key: [user, course]"""


@pytest.mark.parametrize(
    ("create", "asks"),
    [
        pytest.param(CREATE, True, id="it mints"),
        pytest.param(FORM % "known.enrolment.user ?? student.id", True, id="it is read"),
        pytest.param(FORM % "known == null ? 'a' : student.id", True, id="all that is known is read"),
        pytest.param(FORM % "known.course == null ? 'a' : student.id", False, id="something else is read"),
    ],
)
async def test_it_is_looked_up_only_where_the_mapping_asks(tmp_path, text, create, asks):
    world = World(f"sqlite:///{tmp_path}/gateway.db")
    no = "{refuse: 'No.'}"
    mapping = text(
        createEnrolment=create, transferEnrolment=no, cancelEnrolment=no, updateMarking=None, progress=""
    )
    assert world.start(mapping).tenant.asks_standing is asks
    await world.close()
