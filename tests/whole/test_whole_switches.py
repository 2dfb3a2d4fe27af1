"""RTOPilot in every mood, with every difficult input, at every vendor: all its validators take all replies.

The office raises ServerError when any validator rejects a reply, so an action that returns has passed them all.
Source: vendors/rtopilot.md 7.1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import ids
from gateway.contract import Operation
from gateway.sandbox.rtopilot_caller import ServerError
from gateway.sandbox.rtopilot_inputs import NAMES, QUIZ_RESULTS, SEARCH_TERMS
from gateway.sandbox.rtopilot_office import Office
from gateway.sandbox.rtopilot_switches import Switches, Unknown, all_switch_combinations, switch_id
from gateway.sandbox.rtopilot_templates import TemplateError
from tests.support.deployment import LEARNING_ASSISTANT, TALENTLMS, Kind, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.kinds import ALL_KINDS
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess

COMBINATIONS = all_switch_combinations()
all_switches = pytest.mark.parametrize("switches", COMBINATIONS, ids=switch_id)
SETTINGS: dict[str, dict[str, Any]] = {
    TALENTLMS.name: {"groupKeys": {"128": "WHS-2026"}},
    LEARNING_ASSISTANT.name: {"cancel": "list"},
}

MISTYPED = (
    '{"courseId":"${courseId}","student":{"id":"${student.id}","firstName":"${student.firstName}",'
    '"lastName":"${student.surname}"}}'
)


@pytest.fixture(params=ALL_KINDS.values(), ids=ALL_KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every vendor there is."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def gateway(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Iterator[GatewayProcess]:
    tenants = {"acme": tenant(kind, vendor.url, settings=SETTINGS.get(kind.name, {}))}
    with gateway_running(write_config(tmp_path, tenants)) as process:
        yield process


@all_switches
async def test_every_validator_takes_every_reply(
    kind: Kind, vendor: VendorProcess, gateway: GatewayProcess, switches: Switches
) -> None:
    async with office_at(gateway.url, kind, switches=switches) as office:
        await difficult_names_go_through_a_whole_enrolment(names_for(kind, switches), kind, office)
        await every_search_term_course_and_quiz_result_is_answered(kind, office)
        await a_failure_at_the_vendor_is_looked_up(kind, vendor, office)


def names_for(kind: Kind, switches: Switches) -> dict[str, tuple[str, str]]:
    """A third of them in turn: every name meets each vendor and each combination of switches."""
    if os.environ.get("LMS_GATEWAY_LONG") == "1":
        return dict(NAMES)
    turn = list(ALL_KINDS).index(kind.name) + COMBINATIONS.index(switches)
    return {case: name for number, (case, name) in enumerate(NAMES.items()) if (number + turn) % 3 == 0}


def test_every_name_meets_each_vendor_and_each_combination_of_switches() -> None:
    for kind in ALL_KINDS.values():
        assert {case for switches in COMBINATIONS for case in names_for(kind, switches)} == set(NAMES)
    for switches in COMBINATIONS:
        assert {case for kind in ALL_KINDS.values() for case in names_for(kind, switches)} == set(NAMES)


async def difficult_names_go_through_a_whole_enrolment(
    names: dict[str, tuple[str, str]], kind: Kind, office: Office
) -> None:
    for number, (case, (first, last)) in enumerate(names.items()):
        one = office.organisation.add_student(7000 + number, first, last)  # ids may be numbers
        two = office.organisation.add_student(f"b-{number}", first, last)
        course = kind.courses[number % 3]
        if case == "placeholder":
            await expect_refused(office, one.id, course)
            continue
        made = await office.enrol(one.id, course)
        await expect_readable(office, made.rto_id, str(one.id), course)
        await office.transfer(made.rto_id, two.id)
        await expect_readable(office, made.rto_id, str(two.id), course)
        await office.mark(made.rto_id, [{"quiz": "q", "score": number}])
        await office.cancel(made.rto_id)


async def every_search_term_course_and_quiz_result_is_answered(kind: Kind, office: Office) -> None:
    for term in SEARCH_TERMS.values():
        await office.list_courses(term)
    await office.list_courses(None)
    for course in kind.courses:
        assert (await office.read_course(course))["id"] == ids.encode_course(course)
    office.organisation.add_student("stu-1", "Ana", None)
    made = await office.enrol("stu-1", kind.courses[0])
    for results in QUIZ_RESULTS.values():
        await office.mark(made.rto_id, results)
    assert len(made.markings) == len(QUIZ_RESULTS)


@pytest.mark.parametrize("unknown", ["error", "literal", "empty"])
async def test_a_mistyped_variable_is_explained_and_enrols_nobody_under_its_name(
    kind: Kind, vendor: VendorProcess, gateway: GatewayProcess, unknown: Unknown
) -> None:
    switches = Switches(unknown=unknown)
    async with office_at(gateway.url, kind, switches=switches) as office:
        office.organisation.add_student("stu-1", "Ana", "Citizen")
        office.caller.slots = office.caller.slots.changed(Operation.CREATE_ENROLMENT, body=MISTYPED)
        match switches.unknown:
            case "error":
                with pytest.raises(TemplateError):
                    await office.enrol("stu-1", kind.courses[0])
            case "literal":
                with pytest.raises(ServerError) as error:
                    await office.enrol("stu-1", kind.courses[0])
                assert error.value.status == 400
            case "empty":
                await office.enrol("stu-1", kind.courses[0])
    assert bool(vendor.effects()) == (switches.unknown == "empty" and kind.write is not None)


async def a_failure_at_the_vendor_is_looked_up(kind: Kind, vendor: VendorProcess, office: Office) -> None:
    office.organisation.add_student("stu-2", "Ana", "Citizen")
    if kind.write is not None:
        vendor.arm({"kind": "error", "status": 500, "applied": True, **kind.write})
    made = await office.enrol("stu-2", kind.courses[0])  # looked up, and found
    office.caller.slots = office.caller.slots.without(Operation.CANCEL_ENROLMENT)
    await office.cancel(made.rto_id)
    await expect_readable(office, made.rto_id, "stu-2", kind.courses[0])


async def expect_refused(office: Office, student: str | int, course: str) -> None:
    """Going on would make a learner called `${student.id}`."""
    with pytest.raises(ServerError) as error:
        await office.enrol(student, course)
    assert error.value.status == 400


async def expect_readable(office: Office, rto_id: str, student: str, course: str) -> None:
    shown = await office.read_enrolment(rto_id)
    assert (shown["studentId"], shown["courseId"]) == (student, ids.encode_course(course))
