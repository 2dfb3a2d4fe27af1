"""What cases cannot say of the mapping `77media`: whole launch links, catalogues refused, crashes before a
registration is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Inputs, Operation, Person
from gateway.errors import ProblemsFound
from gateway.launch.links import link_of as our_link_of
from gateway.mapping.settings import parse_settings
from gateway.sandbox.media77_links import Link, link_of
from gateway.sandbox.media77_switches import Switches
from gateway.store import enrolments, people
from gateway.vendor.retry import Deadline
from gateway.workbench.cases import Case
from gateway.workbench.cases_hard import LATER_S, REPEAT_WINDOW_S
from gateway.workbench.cases_play import read
from gateway.workbench.cases_stage import NAME, Bench, Heard, Stage, inputs_of
from gateway.workbench.cases_vendor import Died, Mishap

CASES, MAPPING = read(Path(__file__).with_name("77media.yaml"))
ENROL = next(case for case in CASES if case.name == "a registration is made up and kept, and nothing is sent")
TRANSFER = next(case for case in CASES if case.name.startswith("the new student gets a new registration"))
ANA = Person(id="205", first_name="Ana", last_name="Diaz")
LIVE = {**ENROL.settings, "environment": "live"}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as opened:
        yield opened


def enrolling(*, settings: dict[str, Any] | None = None, course: str = "ws1", **student: str) -> Case:
    person = {"id": "204", "firstName": "Kim", "lastName": "Tran", **student}
    return replace(
        ENROL,
        given={"courseId": course, "student": person},
        settings={**ENROL.settings, **(settings or {})},
    )


async def link(stage: Stage, heard: Heard) -> str:
    stored = await stage.stored(heard)
    assert stored is not None
    return await our_link_of(stage.process.tenant, stored, Deadline(5.0))


async def enrolled(bench: Bench, case: Case) -> tuple[Stage, Heard]:
    stage = await Stage.set_up(bench, case, MAPPING)
    heard = await stage.ask()
    assert heard.ok, heard
    return stage, heard


async def read_link(bench: Bench, case: Case) -> Link:
    """The link as the vendor's page reads it."""
    return link_of(await link(*await enrolled(bench, case)), Switches())


# -- the link -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "bytes_sent"),
    [
        pytest.param("Tran", "Kim%20Tran", id="space"),
        pytest.param("Tran & Co", "Kim%20Tran%20%26%20Co", id="ampersand"),
        pytest.param("a+b", "Kim%20a%2Bb", id="plus"),
        pytest.param("no #1", "Kim%20no%20%231", id="hash"),
        pytest.param("100% %20", "Kim%20100%25%20%2520", id="percent"),
        pytest.param("""O'Neil "K\"""", "Kim%20O%27Neil%20%22K%22", id="quotes"),
        pytest.param("a=b?c/d", "Kim%20a%3Db%3Fc%2Fd", id="signs of an address"),
        pytest.param("Zoë 李", "Kim%20Zo%C3%AB%20%E6%9D%8E", id="beyond ASCII"),
        pytest.param("😀", "Kim%20%F0%9F%98%80", id="emoji"),
    ],
)
async def test_a_link_holds_the_name_byte_for_byte(bench: Bench, last: str, bytes_sent: str) -> None:
    made = await link(*await enrolled(bench, enrolling(lastName=last)))
    assert made == (
        "https://staging.media.example/c1/#/?reg=cd613e30-d8f1-4adf-91b7-584a2265b1f5"
        f"&em=s-204%40learners.rto.example&fn={bytes_sent}&dom=learn.rto.example&lmsId=RTO-STG-01"
    )
    assert link_of(made, Switches()).name == f"Kim {last}"


@pytest.mark.parametrize(
    ("address", "begins"),
    [
        ("https://x.example/c1/#/", "https://x.example/c1/#/?reg="),
        ("https://x.example/c1", "https://x.example/c1/#/?reg="),
        ("https://x.example/c1/", "https://x.example/c1/#/?reg="),
        ("https://x.example/c1/#/?lang=en", "https://x.example/c1/#/?lang=en&reg="),
        ("https://x.example/c1/?v=2#/", "https://x.example/c1/?v=2#/?reg="),
        ("https://x.example/c1/#/lesson/1", "https://x.example/c1/#/lesson/1?reg="),
    ],
)
async def test_the_query_stands_behind_the_hash_of_every_kind_of_address(
    bench: Bench, address: str, begins: str
) -> None:
    courses = [{"id": "ws1", "name": "Working safely", "staging": address}]
    made = await link(*await enrolled(bench, enrolling(settings={"courses": courses})))
    assert made.startswith(begins)


async def test_live_has_the_live_address_and_the_live_lmsid(bench: Bench) -> None:
    made = await read_link(bench, enrolling(settings={"environment": "live"}))
    assert (made.host, made.lms_id) == ("courses.media.example", "RTO-PRD-01")


async def test_the_last_name_goes_by_itself_only_where_the_tenant_says_so(bench: Bench) -> None:
    assert (await read_link(bench, enrolling())).extra == {}
    asked = await read_link(bench, enrolling(settings={"lastName": True}))
    assert (asked.name, asked.extra) == ("Kim Tran", {"ln": "Tran"})
    nobody = await read_link(bench, enrolling(settings={"lastName": True}, lastName=""))
    assert (nobody.name, nobody.extra) == ("Kim", {})


async def test_a_name_at_the_limit_passes_the_vendors_limit(bench: Bench) -> None:
    made = await read_link(bench, enrolling(firstName="😀" * 300, lastName="n" * 300))
    assert made.name == "😀" * 255


async def test_an_enrolment_keeps_its_world_when_the_setting_changes(bench: Bench) -> None:
    stage, heard = await enrolled(bench, enrolling())
    before = await link(stage, heard)
    stage.case = replace(stage.case, settings=LIVE)
    stage.start()
    assert await link(stage, heard) == before
    new = await stage.ask(replace(inputs_of(stage.case), person=ANA))
    made = link_of(await link(stage, new), Switches())
    assert (made.host, made.lms_id) == ("courses.media.example", "RTO-PRD-01")


async def test_long_after_the_link_is_the_same_and_after_a_cancel_it_has_another_registration(
    bench: Bench,
) -> None:
    stage, first = await enrolled(bench, enrolling())
    stage.clock.move(90 * 86_400.0)
    again = await stage.ask()
    assert await link(stage, again) == await link(stage, first)
    for heard in (first, again):
        await stage.ask(Inputs(enrolment_id=heard.result.id), operation=Operation.CANCEL_ENROLMENT)  # type: ignore[union-attr]
    renewed = link_of(await link(stage, await stage.ask()), Switches())
    old = link_of(await link(stage, first), Switches())
    assert renewed.reg != old.reg
    assert (renewed.email, renewed.name) == (old.email, old.name)


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *(f"https://x.example/c1/#/?lang=en&{name}=1" for name in ("reg", "em", "fn", "dom", "lmsId")),
        "https://x.example/c1/#/?reg=1",
        "https://x.example/c1/#/?reg",
        "https://x.example/c1/?em=1#/",
        "https://x.example/c1/?em#/",
        "http://x.example/c1/#/",
        "https://x.example/c 1/",
    ],
)
@pytest.mark.parametrize("world", ["live", "staging"])
def test_a_catalogue_with_such_an_address_is_not_loaded(address: str, world: str) -> None:
    with pytest.raises(ProblemsFound, match=rf"courses\.c\.{world}"):
        catalogue({world: address})


@pytest.mark.parametrize("address", ["https://x.example/c1/#/?region=1&them=2", "https://x.example/reg=1/#/"])
def test_names_that_only_look_like_the_five_are_loaded(address: str) -> None:
    assert catalogue({"live": address}).constants["courses"][0]["live"] == address


@pytest.mark.parametrize(
    "setting",
    [
        {"stagingLmsId": "x" * 256},
        {"stagingLmsId": ""},
        {"launchedFrom": "https://learn.rto.example"},
        {"launchedFrom": "learn.rto.example:8080"},
    ],
)
def test_a_setting_that_no_link_can_hold_is_not_loaded(setting: dict[str, str]) -> None:
    with pytest.raises(ProblemsFound):
        parse_settings(MAPPING, json.dumps({**ENROL.settings, **setting}))


def catalogue(course: dict[str, str]) -> Any:
    courses = [{"id": "c", "name": "Course", **course}]
    return parse_settings(MAPPING, json.dumps({**ENROL.settings, "courses": courses}))


@pytest.mark.parametrize(
    "email",
    ["${student.email ?? ''}", "s-${student.id}", f"{'a' * 244}@rto.example"],
    ids=["none", "none that is one", "too long"],
)
async def test_where_the_address_is_refused_nothing_is_stored(bench: Bench, email: str) -> None:
    stage = await Stage.set_up(bench, enrolling(settings={"email": email}), MAPPING)
    heard = await stage.ask()
    assert (heard.status, heard.code) == (422, "check_refused")
    assert await bench.reads.run(lambda conn: people.recall(conn, NAME, "student", "204")) is None
    assert await active(bench) == []


async def test_whatever_is_kept_of_a_learner_counts_as_personal(bench: Bench) -> None:
    stage, heard = await enrolled(bench, enrolling())
    stored = await stage.stored(heard)
    assert stored is not None
    personal = MAPPING.operations[Operation.CREATE_ENROLMENT].personal
    assert set(stored.record) - set(personal) == {"reg", "place"}


def test_polls_leave_a_tenth_of_the_calls_of_a_day() -> None:
    assert MAPPING.server.budget is not None
    assert MAPPING.server.budget.reserve == 0.1


# -- crashes and repeats --------------------------------------------------------------------------------
# The hard cases compare with an undisturbed run, whose registration another process cannot guess.

fresh = pytest.mark.parametrize("case", [ENROL, TRANSFER], ids=["create", "transfer"])


@fresh
@pytest.mark.parametrize("commit", range(1, 4))
def test_stopped_after_any_commit_there_is_one_registration_in_the_end(
    bench: Bench, case: Case, commit: int
) -> None:
    asyncio.run(_stopped_after(bench, case, commit))  # a loop of its own: a restart cancels all that is in it


async def _stopped_after(bench: Bench, case: Case, commit: int) -> None:
    stage = await Stage.set_up(bench, case, MAPPING, mishap=Mishap(kind="die_commit", at=commit))
    with pytest.raises(Died):
        await stage.ask()
        await stage.settle()
        stage.process.life.check()
    await stage.restart()
    await _one_in_the_end(bench, stage, await stage.ask_until_answered(), await stage.ask_until_answered())


@fresh
async def test_asked_of_two_gateways_at_once_both_hear_of_one_registration(bench: Bench, case: Case) -> None:
    stage = await Stage.set_up(bench, case, MAPPING)
    begun, perform = asyncio.Event(), stage.process.perform

    async def told(*asked: Any, **more: Any) -> Any:
        begun.set()
        return await perform(*asked, **more)

    stage.process = replace(stage.process, perform=told)  # type: ignore[arg-type]
    first = asyncio.create_task(stage.ask())
    await begun.wait()  # in the first gateway
    stage.start()
    both = await asyncio.gather(first, stage.ask())
    later = [heard if heard.ok else await stage.ask_until_answered() for heard in both]
    await _one_in_the_end(bench, stage, *later)


@fresh
@pytest.mark.parametrize("seconds", [0.0, REPEAT_WINDOW_S, 90 * 86_400.0])
async def test_asked_again_after_any_time_it_is_the_same_registration(
    bench: Bench, case: Case, seconds: float
) -> None:
    stage = await Stage.set_up(bench, case, MAPPING)
    first = await stage.ask()
    stage.clock.move(seconds)
    await _one_in_the_end(bench, stage, first, await stage.ask())


async def _one_in_the_end(bench: Bench, stage: Stage, *heard: Heard) -> None:
    for wait_s in LATER_S:
        await stage.settle(wait_s=wait_s)
    results = {one.result for one in heard}
    assert len(results) == 1 and all(one.ok for one in heard), heard
    assert [one.id for one in await active(bench)] == [one.id for one in results]  # type: ignore[union-attr]


async def active(bench: Bench) -> list[enrolments.StoredEnrolment]:
    return list(await bench.reads.run(lambda conn: enrolments.active(conn, NAME, limit=10)))
