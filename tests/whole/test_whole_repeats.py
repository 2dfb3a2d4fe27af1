"""Staff repeat what failed, or seemed to: at most one effect at the vendor, never a lost id.

Every write of both mappings meets every mishap (with LMS_GATEWAY_LONG=1 in every operation); between two tries the student's first name is corrected.
Gateway and vendors are processes of their own. Waits inside the gateway are simulated: a look-up that would
wait 20 s for proof takes 0.6 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.rtopilot_caller import ServerError
from gateway.sandbox.rtopilot_office import Enrolment, Office
from tests.support.deployment import KINDS, Kind, ended, enrolled, sign_ups, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.offices import office_at, until_done
from tests.support.vendor_process import VendorProcess
from tests.support.waiting import eventually

MISHAPS: Mapping[str, dict[str, Any]] = {
    "500": {"kind": "error"},
    "500_but_done": {"kind": "error", "applied": True},
    "502_but_done": {"kind": "error", "status": 502, "applied": True},
    "never_arrived": {"kind": "lost_request"},
    "answer_lost": {"kind": "lost_answer"},
    "answer_lost_by_reset": {"kind": "lost_answer", "reset": True},
    "answer_broken_off": {"kind": "truncated"},
    "html": {"kind": "html"},
    "html_but_done": {"kind": "html", "applied": True},
    "half_a_body_but_done": {"kind": "malformed", "applied": True},
    "no_body_but_done": {"kind": "empty", "applied": True},
    "null_but_done": {"kind": "null", "applied": True},
    "timed_out_but_done": {"kind": "slow_answer", "seconds": 2.0},
    "timed_out_and_done_later": {"kind": "slow_request", "seconds": 1.8},
    "too_many_requests": {"kind": "too_many"},
}
MAKING = {"talentlms": ("usersignup", "addusertocourse"), "learning-assistant": ("enrolment.cfc",)}
ENDING = {"talentlms": ("removeuserfromcourse",), "learning-assistant": ("enrolment_update.cfc",)}

ANA, BO = "stu-1", "stu-2"

LONG = os.environ.get("LMS_GATEWAY_LONG") == "1"
TELLING = ("500_but_done", "never_arrived", "answer_lost", "html_but_done", "timed_out_but_done")

every_mishap = pytest.mark.parametrize("mishap", MISHAPS)
telling_mishaps = pytest.mark.parametrize("mishap", MISHAPS if LONG else TELLING)
making_writes = pytest.mark.parametrize(
    ("kind", "write"),
    [
        pytest.param(KINDS[name], write, id=f"{name}-{write}")
        for name, writes in MAKING.items()
        for write in writes
    ],
)


@pytest.fixture
def gateway(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Iterator[GatewayProcess]:
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url)}, answer="8s", call_timeout="1500ms")
    with gateway_running(config, simulated_waits=True) as process:
        yield process


@pytest.fixture
async def office(gateway: GatewayProcess, kind: Kind) -> AsyncIterator[Office]:
    async with office_at(gateway.url, kind) as office:
        office.organisation.add_student(ANA, "Ana", "Citizen")
        office.organisation.add_student(BO, "Bo", "Example")
        yield office


class Records:
    """What the vendor holds, counted; `course` is the only one these tests enrol in."""

    def __init__(self, kind: Kind, vendor: VendorProcess) -> None:
        self.course = kind.courses[0]
        effects, state = vendor.effects(), vendor.state()
        self._enrolled, self._ended = enrolled(kind, effects, state), ended(kind, effects, state)
        self._sign_ups = sign_ups(kind, effects, state)

    def of(self, student: str) -> tuple[int, int, int]:
        """Accounts, enrolments made, enrolments ended."""
        pair = (student, self.course)
        return self._sign_ups.get(student, 0), self._enrolled.get(pair, 0), self._ended.get(pair, 0)


def corrected(office: Office, student: str) -> None:
    """Staff correct the first name before they try again."""
    old = office.organisation.students[student]
    office.organisation.add_student(student, f"{old.first_name}x", old.last_name)


def arm(vendor: VendorProcess, write: str, mishap: str) -> None:
    vendor.arm({"path": write, **MISHAPS[mishap]})


async def enrolled_as_usual(office: Office, student: str, kind: Kind) -> Enrolment:
    """Before the mishap; on a busy machine a short time-out may pass here too."""
    made, _ = await until_done(lambda: office.enrol(student, kind.courses[0]))
    return made


async def expect_faithful(office: Office, *enrolments: Enrolment) -> None:
    """RTOPilot can read every id it holds, and holds none twice."""
    held = [each.lms_enrolment_id for each in enrolments]
    assert len(set(held)) == len(held)
    for each in enrolments:
        shown = await office.read_enrolment(each.rto_id)
        assert shown["id"] == each.lms_enrolment_id
        assert shown["studentId"] == each.student_id


@every_mishap
@making_writes
async def test_an_enrolment_repeated_after_a_mishap_is_made_once(
    kind: Kind, vendor: VendorProcess, office: Office, mishap: str, write: str
) -> None:
    arm(vendor, write, mishap)
    made, _ = await until_done(
        lambda: office.enrol(ANA, kind.courses[0]), after_failure=lambda: corrected(office, ANA)
    )
    assert Records(kind, vendor).of(ANA) == (1, 1, 0)
    await expect_faithful(office, made)


@telling_mishaps
@making_writes
async def test_a_transfer_repeated_after_a_mishap_is_made_once(
    kind: Kind, vendor: VendorProcess, office: Office, mishap: str, write: str
) -> None:
    made = await enrolled_as_usual(office, ANA, kind)
    arm(vendor, write, mishap)
    await until_done(lambda: office.transfer(made.rto_id, BO), after_failure=lambda: corrected(office, BO))

    async def old_one_ended() -> bool:
        return Records(kind, vendor).of(ANA) == (1, 1, 1)

    await eventually(old_one_ended, what="the end of the old enrolment")
    assert Records(kind, vendor).of(BO) == (1, 1, 0)
    await expect_faithful(office, made)


@telling_mishaps
async def test_a_transfer_whose_old_enrolment_is_hard_to_end_still_ends_it_once(
    kind: Kind, vendor: VendorProcess, office: Office, gateway: GatewayProcess, mishap: str
) -> None:
    made = await enrolled_as_usual(office, ANA, kind)
    arm(vendor, ENDING[kind.name][0], mishap)
    await office.transfer(made.rto_id, BO)

    async def old_one_ended() -> bool:
        gateway.move(20)  # what failed is tried again later
        return Records(kind, vendor).of(ANA) == (1, 1, 1)

    await eventually(old_one_ended, what="the end of the old enrolment")
    assert Records(kind, vendor).of(BO) == (1, 1, 0)
    await expect_faithful(office, made)


@telling_mishaps
async def test_a_cancel_repeated_after_a_mishap_ends_the_enrolment_once(
    kind: Kind, vendor: VendorProcess, office: Office, mishap: str
) -> None:
    made = await enrolled_as_usual(office, ANA, kind)
    other = await enrolled_as_usual(office, BO, kind)
    arm(vendor, ENDING[kind.name][0], mishap)
    await until_done(lambda: office.cancel(made.rto_id))
    records = Records(kind, vendor)
    assert records.of(ANA) == (1, 1, 1)
    assert records.of(BO) == (1, 1, 0)
    await expect_faithful(office, other)
    with pytest.raises(ServerError) as gone:
        await office.read_enrolment(made.rto_id)
    assert gone.value.status == 404


@telling_mishaps
async def test_create_cancel_create_with_a_mishap_gives_a_new_id(
    kind: Kind, vendor: VendorProcess, office: Office, mishap: str
) -> None:
    first = await enrolled_as_usual(office, ANA, kind)
    await office.cancel(first.rto_id)
    arm(vendor, MAKING[kind.name][-1], mishap)
    second, _ = await until_done(
        lambda: office.enrol(ANA, kind.courses[0]), after_failure=lambda: corrected(office, ANA)
    )
    assert second.lms_enrolment_id != first.lms_enrolment_id
    assert Records(kind, vendor).of(ANA) == (1, 2, 1)
    await expect_faithful(office, second)

    await office.cancel(first.rto_id)  # once more: must not end the new one
    assert Records(kind, vendor).of(ANA) == (1, 2, 1)
    await expect_faithful(office, second)


async def test_the_same_enrolment_sent_many_times_at_once_is_made_once(
    kind: Kind, vendor: VendorProcess, office: Office
) -> None:
    vendor.arm({"kind": "slow_answer", "seconds": 0.1, "count": None})
    made = await asyncio.gather(*(office.enrol(ANA, kind.courses[0]) for _ in range(5)))
    assert len({each.lms_enrolment_id for each in made}) == 1
    assert Records(kind, vendor).of(ANA) == (1, 1, 0)


async def test_one_student_enrolled_in_all_courses_at_once_has_one_account(
    kind: Kind, vendor: VendorProcess, office: Office
) -> None:
    vendor.arm({"kind": "slow_answer", "seconds": 0.1, "count": None})
    made = await asyncio.gather(*(office.enrol(ANA, course) for course in kind.courses))
    assert Records(kind, vendor).of(ANA) == (1, 1, 0)
    assert len(enrolled(kind, vendor.effects(), vendor.state())) == len(kind.courses)
    await expect_faithful(office, *made)


async def test_a_transfer_and_a_cancel_sent_twice_at_once_are_done_once(
    kind: Kind, vendor: VendorProcess, office: Office
) -> None:
    made = await enrolled_as_usual(office, ANA, kind)
    vendor.arm({"kind": "slow_answer", "seconds": 0.1, "count": None})
    await asyncio.gather(*(office.transfer(made.rto_id, BO) for _ in range(3)))
    await asyncio.gather(*(office.cancel(made.rto_id) for _ in range(3)))

    async def both_ended() -> bool:
        records = Records(kind, vendor)
        return (records.of(ANA), records.of(BO)) == ((1, 1, 1), (1, 1, 1))

    await eventually(both_ended, what="the end of both enrolments")


async def test_an_enrolment_whose_caller_has_gone_is_made_once_and_found_by_the_repeat(
    kind: Kind, vendor: VendorProcess, office: Office
) -> None:
    vendor.arm({"kind": "slow_answer", "seconds": 0.2, "count": None, "path": MAKING[kind.name][-1]})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await office.enrol(ANA, kind.courses[0])
    made, _ = await until_done(lambda: office.enrol(ANA, kind.courses[0]))
    assert Records(kind, vendor).of(ANA) == (1, 1, 0)
    await expect_faithful(office, made)
