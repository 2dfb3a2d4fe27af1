"""Many callers, one session: fifty at once with an expired Learning Assistant token need one login."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sandbox.rtopilot_caller import ServerError
from tests.support.deployment import LEARNING_ASSISTANT, Kind, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess

CALLERS = 50


@pytest.fixture
def kind() -> Kind:
    return LEARNING_ASSISTANT


@pytest.fixture
def config(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Path:
    return write_config(tmp_path, {"acme": tenant(kind, vendor.url)})


@pytest.fixture
def gateway(config: Path) -> Iterator[GatewayProcess]:
    with gateway_running(config) as process:
        yield process


def logins(vendor: VendorProcess) -> tuple[int, int]:
    """How many logins were accepted, and how many refused."""
    counts = vendor.counts()
    return counts["logged_in"], counts["login_failed"]


@pytest.mark.parametrize("expiry", ["loggedin_no", "fault"])
@pytest.mark.parametrize("new_login_ends_old", [False, True], ids=["old_tokens_live", "old_tokens_die"])
async def test_fifty_calls_with_an_expired_token_make_one_login_and_all_succeed(
    vendor: VendorProcess, gateway: GatewayProcess, kind: Kind, expiry: str, new_login_ends_old: bool
) -> None:
    vendor.switch(expiry=expiry, new_login_ends_old=new_login_ends_old)
    async with office_at(gateway.url, kind) as office:
        office.organisation.add_student("stu-1", "Ana", "Citizen")
        made = await office.enrol("stu-1", kind.courses[0])
        assert logins(vendor) == (1, 0)
        vendor.act("expire_tokens")
        vendor.arm({"kind": "slow_answer", "seconds": 0.05, "count": None})
        shown = await asyncio.gather(*(office.read_enrolment(made.rto_id) for _ in range(CALLERS)))
    assert {each["id"] for each in shown} == {made.lms_enrolment_id}
    assert logins(vendor) == (2, 0)


async def test_fifty_writes_with_an_expired_token_make_one_login_and_one_enrolment_each(
    vendor: VendorProcess, gateway: GatewayProcess, kind: Kind
) -> None:
    async with office_at(gateway.url, kind) as office:
        await office.list_courses()
        for number in range(CALLERS):
            office.organisation.add_student(f"stu-{number}", "Ana", "Citizen")
        vendor.act("expire_tokens")
        made = await asyncio.gather(
            *(office.enrol(f"stu-{number}", kind.courses[0]) for number in range(CALLERS))
        )
    assert len({each.lms_enrolment_id for each in made}) == CALLERS
    assert vendor.counts()["enrolled"] == CALLERS
    assert logins(vendor) == (2, 0)


async def test_fifty_first_calls_after_a_cold_start_make_one_login(
    vendor: VendorProcess, gateway: GatewayProcess, kind: Kind
) -> None:
    vendor.arm({"kind": "slow_answer", "seconds": 0.05, "count": None})
    async with office_at(gateway.url, kind) as office:
        for number in range(CALLERS):
            office.organisation.add_student(f"stu-{number}", "Ana", "Citizen")
        await asyncio.gather(*(office.enrol(f"stu-{number}", kind.courses[0]) for number in range(CALLERS)))
    assert logins(vendor) == (1, 0)


async def test_a_restarted_gateway_goes_on_with_the_session_it_had(
    vendor: VendorProcess, config: Path, kind: Kind
) -> None:
    for _ in range(2):
        with gateway_running(config) as gateway:
            async with office_at(gateway.url, kind) as office:
                await office.list_courses()
    assert logins(vendor) == (1, 0)


async def test_two_gateways_on_one_store_share_a_login_that_ends_older_sessions(
    vendor: VendorProcess, config: Path, kind: Kind
) -> None:
    vendor.switch(new_login_ends_old=True)
    log = config.parent / "second.log"
    with gateway_running(config) as one, gateway_running(config, output=log) as two:
        async with office_at(one.url, kind) as first, office_at(two.url, kind) as second:
            first.organisation.add_student("stu-1", "Ana", "Citizen")
            made = await first.enrol("stu-1", kind.courses[0])
            second.organisation.keep(made)
            await second.read_enrolment(made.rto_id)
            vendor.act("expire_tokens")
            reads = [
                office.read_enrolment(made.rto_id) for _ in range(CALLERS // 2) for office in (first, second)
            ]
            await asyncio.gather(*reads)
    assert logins(vendor) == (2, 0)


async def test_a_refused_password_is_tried_once_and_then_left_alone(
    vendor: VendorProcess, gateway: GatewayProcess, kind: Kind
) -> None:
    vendor.switch(password="changed-at-the-vendor", lockout_after=3)
    async with office_at(gateway.url, kind) as office:
        calls = await asyncio.gather(
            *(office.list_courses(str(number)) for number in range(CALLERS)), return_exceptions=True
        )
        calls += await asyncio.gather(
            *(office.list_courses(str(number)) for number in range(CALLERS)), return_exceptions=True
        )
    assert all(isinstance(each, ServerError) and each.status in (502, 503) for each in calls)
    assert logins(vendor) == (0, 1)
    assert vendor.state()["locked"] is False
