"""A vendor that is slow, busy or broken: RTOPilot has its answer in time, and nothing is done twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.rtopilot_caller import ServerError
from gateway.sandbox.rtopilot_office import Office
from tests.support.deployment import LEARNING_ASSISTANT, Kind, enrolled, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess
from tests.support.waiting import eventually

ANSWER_S = 2.5
ANSWER = f"{ANSWER_S * 1000:.0f}ms"
LATE_S = 2.0
"""How much later than its deadline an answer may come on a busy machine."""

READ = {"talentlms": "/courses", "learning-assistant": "course.cfc"}
WRITE = {"talentlms": "addusertocourse", "learning-assistant": "enrolment.cfc"}
FIRST_READ = {"talentlms": "users/username", "learning-assistant": "course.cfc"}
LOOK = {"talentlms": "getuserstatusincourse", "learning-assistant": "user.cfc"}

Vendors = Mapping[str, VendorProcess]


@pytest.fixture
def gateway(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Iterator[GatewayProcess]:
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url)}, answer=ANSWER)
    with gateway_running(config) as process:
        yield process


@pytest.fixture
def patient_gateway(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Iterator[GatewayProcess]:
    """With the deadlines as they are shipped."""
    with gateway_running(write_config(tmp_path, {"acme": tenant(kind, vendor.url)})) as process:
        yield process


async def failing(action: Callable[[], Awaitable[Any]]) -> tuple[int | None, float]:
    """The status of an action that must fail, and how many seconds it took."""
    started = time.monotonic()
    with pytest.raises(ServerError) as error:
        await action()
    return error.value.status, time.monotonic() - started


def with_students(office: Office) -> Office:
    office.organisation.add_student("stu-1", "Ana", "Citizen")
    return office


def calls(vendor: VendorProcess, part: str) -> int:
    return sum(part in each["raw_path"] for each in vendor.requests())


async def test_a_slow_write_is_504_in_time_goes_on_and_gives_every_repeat_the_same_id(
    kind: Kind, vendor: VendorProcess, gateway: GatewayProcess
) -> None:
    course = kind.courses[0]
    vendor.arm({"kind": "slow_answer", "seconds": 4.0, "path": WRITE[kind.name]})
    async with office_at(gateway.url, kind) as office:
        with_students(office)
        status, took = await failing(lambda: office.enrol("stu-1", course))
        assert status == 504
        assert took < ANSWER_S + LATE_S

        async def repeated() -> Any:
            try:
                return await office.enrol("stu-1", course)
            except ServerError as error:
                assert error.status == 504
                return None

        made = await eventually(repeated, what="the end of the slow run")
        again = await office.enrol("stu-1", course)
    assert again.lms_enrolment_id == made.lms_enrolment_id
    assert enrolled(kind, vendor.effects(), vendor.state()) == {("stu-1", course): 1}
    assert calls(vendor, WRITE[kind.name]) == 1


async def test_a_slow_read_is_504_in_time_and_not_asked_again(
    kind: Kind, vendor: VendorProcess, gateway: GatewayProcess
) -> None:
    vendor.arm({"kind": "slow_answer", "seconds": 4.5, "path": READ[kind.name]})
    async with office_at(gateway.url, kind) as office:
        status, took = await failing(office.list_courses)
        assert status == 504
        assert took < ANSWER_S + LATE_S
        assert calls(vendor, READ[kind.name]) == 1
        assert await office.list_courses()


async def test_a_call_may_take_as_long_as_its_mapping_says(vendors: Vendors, tmp_path: Path) -> None:
    vendor = vendors[LEARNING_ASSISTANT.name]
    vendor.arm({"kind": "slow_answer", "seconds": 5.5, "path": "course.cfc"})  # its list may take 7 s
    config = write_config(tmp_path, {"acme": tenant(LEARNING_ASSISTANT, vendor.url)})
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, LEARNING_ASSISTANT) as office:
            assert await office.list_courses()
    assert calls(vendor, "course.cfc") == 1


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_a_busy_vendor_is_asked_again_when_it_said(
    kind: Kind, vendor: VendorProcess, patient_gateway: GatewayProcess, as_date: bool
) -> None:
    vendor.arm({"kind": "too_many", "path": READ[kind.name], "retry_after": 2, "retry_after_date": as_date})
    async with office_at(patient_gateway.url, kind) as office:
        started = time.monotonic()
        assert await office.list_courses()
        took = time.monotonic() - started
    assert took >= (1.0 if as_date else 2.0)  # a date has whole seconds
    assert calls(vendor, READ[kind.name]) == 2


async def test_a_busy_vendor_that_wants_a_minute_is_503_at_once(
    kind: Kind, vendor: VendorProcess, patient_gateway: GatewayProcess
) -> None:
    vendor.arm({"kind": "too_many", "path": READ[kind.name], "retry_after": 60})
    async with office_at(patient_gateway.url, kind) as office:
        status, took = await failing(office.list_courses)
    assert status == 503
    assert took < 5.0
    assert calls(vendor, READ[kind.name]) == 1


async def test_a_write_the_vendor_was_too_busy_for_is_sent_again_and_done_once(
    kind: Kind, vendor: VendorProcess, patient_gateway: GatewayProcess
) -> None:
    vendor.arm({"kind": "too_many", "path": WRITE[kind.name], "retry_after": 1})
    async with office_at(patient_gateway.url, kind) as office:
        await with_students(office).enrol("stu-1", kind.courses[0])
    assert enrolled(kind, vendor.effects(), vendor.state()) == {("stu-1", kind.courses[0]): 1}
    assert calls(vendor, WRITE[kind.name]) == 2


async def test_after_five_faults_the_vendor_is_left_alone_until_it_has_rested(
    kind: Kind, vendor: VendorProcess, patient_gateway: GatewayProcess
) -> None:
    vendor.arm({"kind": "error", "status": 502, "path": READ[kind.name], "count": None})
    async with office_at(patient_gateway.url, kind) as office:
        for _ in range(2):  # each read is tried three times
            await failing(office.list_courses)
        assert calls(vendor, READ[kind.name]) == 5
        vendor.disarm()
        status, _took = await failing(office.list_courses)
        assert status == 503
        assert calls(vendor, READ[kind.name]) == 5
        patient_gateway.move(16)
        assert await office.list_courses()


async def test_refusals_never_open_the_breaker(
    kind: Kind, vendor: VendorProcess, patient_gateway: GatewayProcess
) -> None:
    body, content_type = REFUSALS[kind.name]
    vendor.arm(
        {
            "kind": "answer",
            "status": 200 if kind.name == "learning-assistant" else 400,
            "body": body,
            "content_type": content_type,
            "path": WRITE[kind.name],
            "count": 8,
        }
    )
    async with office_at(patient_gateway.url, kind) as office:
        with_students(office)
        for _ in range(8):
            status, _took = await failing(lambda: office.enrol("stu-1", kind.courses[0]))
            assert status == 422
        await office.enrol("stu-1", kind.courses[0])
    assert enrolled(kind, vendor.effects(), vendor.state()) == {("stu-1", kind.courses[0]): 1}


REFUSALS = {
    "talentlms": ('{"error": {"type": "invalid_request_error", "message": "No."}}', "application/json"),
    "learning-assistant": (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><GroupEnrolmentResponse>'
        "<GroupEnrolmentReturn><MessageList><m>No.</m></MessageList></GroupEnrolmentReturn>"
        "</GroupEnrolmentResponse></e:Body></e:Envelope>",
        "text/xml",
    ),
}


async def test_a_run_in_doubt_is_settled_in_the_background_without_a_repeat(
    kind: Kind, vendor: VendorProcess, tmp_path: Path
) -> None:
    course = kind.courses[0]
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url)}, answer=ANSWER, work="4s")
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office:
            with_students(office)
            await office.list_courses()
            vendor.arm(
                {"kind": "lost_answer", "path": WRITE[kind.name]},
                {"kind": "error", "path": LOOK[kind.name], "count": None},
            )
            status, _ = await failing(lambda: office.enrol("stu-1", course))
            assert status == 504
            await eventually(lambda: in_doubt(config), what="a run that waits for its look-up")
            vendor.disarm()
            looked = calls(vendor, LOOK[kind.name])
            gateway.move(60)

            async def settled() -> bool:
                return calls(vendor, LOOK[kind.name]) > looked

            await eventually(settled, what="a look-up in the background")
            made = await office.enrol("stu-1", course)
            assert (await office.read_enrolment(made.rto_id))["id"] == made.lms_enrolment_id
    assert enrolled(kind, vendor.effects(), vendor.state()) == {("stu-1", course): 1}
    assert calls(vendor, WRITE[kind.name]) == 1


async def in_doubt(config: Path) -> bool:
    from gateway.store import runs
    from gateway.store.database import Database

    database = Database.open(f"sqlite:///{config.parent / 'gateway.db'}")
    try:
        return bool(await database.read(lambda conn: runs.list_runs(conn, state="in_doubt")))
    finally:
        await database.close()


async def test_a_run_still_at_work_is_left_alone_when_its_lease_runs_out(
    kind: Kind, vendor: VendorProcess, tmp_path: Path
) -> None:
    course = kind.courses[0]
    vendor.arm(
        {"kind": "slow_answer", "seconds": 2.0, "path": FIRST_READ[kind.name]},
        {"kind": "slow_request", "seconds": 4.2, "path": WRITE[kind.name]},
    )
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url)}, answer="9s")
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office, asyncio.TaskGroup() as staff:
            enrolling = staff.create_task(with_students(office).enrol("stu-1", course))

            async def under_way() -> bool:
                return calls(vendor, WRITE[kind.name]) == 1

            await eventually(under_way, what="the write at the vendor")
            gateway.move(200)  # a clock put right, say; the background looks 5 s after its start
            made = await enrolling
            assert (await office.read_enrolment(made.rto_id))["id"] == made.lms_enrolment_id
    assert enrolled(kind, vendor.effects(), vendor.state()) == {("stu-1", course): 1}
    assert calls(vendor, WRITE[kind.name]) == 1
