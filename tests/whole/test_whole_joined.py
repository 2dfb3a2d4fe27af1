"""Two LMSs behind one RTOPilot, in whole processes: every id finds its way home, and one may be down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import ids
from gateway.sandbox.demo_vendors import VENDORS
from gateway.sandbox.rtopilot_caller import Caller, ServerError
from gateway.sandbox.rtopilot_office import Office, Organisation
from gateway.sandbox.rtopilot_progress import new_key
from tests.support.deployment import (
    LEARNING_ASSISTANT,
    TALENTLMS,
    TOKEN,
    ended,
    enrolled,
    slots,
    tenant,
    write_config,
)
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.vendor_process import VendorProcess, vendor_running
from tests.support.waiting import soon

KEY = new_key()
WELDING, WHS = TALENTLMS.courses[0], LEARNING_ASSISTANT.courses[0]
ALIASES = {"talent": TALENTLMS, "la": LEARNING_ASSISTANT}
OF_ONE_LMS = ("mapping", "base_url", "settings", "secrets")


@pytest.fixture
def rtopilot() -> Iterator[VendorProcess]:
    with vendor_running("gateway.sandbox.rtopilot_progress", ("--key", KEY)) as process:
        yield process


@pytest.fixture
def gateway(
    vendors: Mapping[str, VendorProcess], rtopilot: VendorProcess, tmp_path: Path
) -> Iterator[GatewayProcess]:
    joined: dict[str, Any] = {}
    for alias, kind in ALIASES.items():
        whole = tenant(kind, vendors[kind.name].url)
        joined[alias] = {name: whole[name] for name in OF_ONE_LMS}
    acme = {
        "lms": joined,
        "inbound": {"auth": {"kind": "bearer", "token": TOKEN}},
        "grace": "0s",
        "rtopilot": {"base_url": f"{rtopilot.url}/api", "api_key": KEY},
        "progress": {"every": "1s"},
    }
    with gateway_running(write_config(tmp_path, {"acme": acme})) as process:
        yield process


@pytest.fixture
async def office(gateway: GatewayProcess) -> AsyncIterator[Office]:
    organisation = Organisation(name="Acme College")
    for alias, kind in ALIASES.items():
        course = kind.courses[0]
        organisation.link_course(course, course, ids.encode_course(course, alias=alias))
    for student in ("stu-1", "stu-2"):
        organisation.add_student(student, "Ana", "Citizen")
    async with Caller(slots(gateway.url, "acme")) as caller:
        yield Office(organisation, caller)


async def test_courses_stand_in_one_list_and_each_enrolment_goes_to_its_own_lms(
    office: Office, vendors: Mapping[str, VendorProcess]
) -> None:
    listed = await office.list_courses("")
    assert {ids.alias_of(course["id"]) for course in listed} == {"talent", "la"}
    for alias, course in (("talent", WELDING), ("la", WHS)):
        kind, vendor = ALIASES[alias], vendors[ALIASES[alias].name]
        assert (await office.read_course(course))["id"] == ids.encode_course(course, alias=alias)
        made = await office.enrol("stu-1", course)
        assert made.lms_enrolment_id is not None and made.lms_enrolment_id.startswith(f"{alias}__")
        shown = await office.read_enrolment(made.rto_id)
        assert (shown["studentId"], shown["courseId"]) == ("stu-1", ids.encode_course(course, alias=alias))
        await office.transfer(made.rto_id, "stu-2")
        await office.mark(made.rto_id, [{"quiz": "q", "score": 1}])
        await office.cancel(made.rto_id)
        effects, state = vendor.effects(), vendor.state()
        assert enrolled(kind, effects, state) == {("stu-1", course): 1, ("stu-2", course): 1}
        assert ("stu-2", course) in ended(kind, effects, state)


async def test_progress_of_both_comes_back_under_the_ids_rtopilot_holds(
    office: Office, vendors: Mapping[str, VendorProcess], rtopilot: VendorProcess
) -> None:
    for alias, course in (("talent", WELDING), ("la", WHS)):
        kind = ALIASES[alias]
        made = await office.enrol("stu-1", course)
        held = made.lms_enrolment_id
        assert held is not None
        rtopilot.act("hold", organisation="sandbox", id=held)
        name, values = VENDORS[kind.name].progressing(ids.decode(held).parts, 40)
        vendors[kind.name].act(name, **values)
        await soon(lambda held=held: f"{held}=40" in rtopilot.effects_of("progress"))


async def test_one_lms_that_is_down_leaves_the_other_working_and_is_named_in_the_log(
    office: Office, vendors: Mapping[str, VendorProcess], gateway: GatewayProcess
) -> None:
    vendors["talentlms"].arm({"kind": "error", "status": 500, "count": None})
    listed = await office.list_courses("")
    assert {ids.alias_of(course["id"]) for course in listed} == {"la"}
    made = await office.enrol("stu-1", WHS)
    assert (await office.read_enrolment(made.rto_id))["studentId"] == "stu-1"
    with pytest.raises(ServerError) as error:
        await office.enrol("stu-1", WELDING)
    assert error.value.status in (502, 503, 504)
    assert "the course list is without those of acme/talent" in gateway.output.read_text("utf-8")


async def test_an_id_of_one_lms_says_nothing_at_the_other(office: Office, gateway: GatewayProcess) -> None:
    made = await office.enrol("stu-1", WELDING)
    assert made.lms_enrolment_id is not None
    inner = made.lms_enrolment_id.removeprefix("talent__")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        for stranger in (inner, f"la__{inner}", f"other__{inner}"):
            answer = await client.get(f"{gateway.url}/t/acme/enrolments/{stranger}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_enrolment")
