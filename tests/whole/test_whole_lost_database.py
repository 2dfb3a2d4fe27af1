"""The database is deleted: ids that RTOPilot holds go on working, and nobody gets in by making one up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import ids
from gateway.sandbox.rtopilot_caller import ServerError
from gateway.sandbox.rtopilot_office import Office
from tests.support.deployment import LEARNING_ASSISTANT, Kind, ended, enrolled, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess

NOBODY = {
    "talentlms": ("99999", "126"),
    "learning-assistant": ("00000000-0000-0000-0000000000000001", "E2A94C08-77F1-4D63-90BD1C5568AE3F12"),
}
"""Keys in the vendor's own form that the vendor does not have."""


@pytest.fixture
def config(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Path:
    """Two organisations joined to one account at the vendor, and a third that adopts nothing."""
    one = tenant(kind, vendor.url)
    return write_config(tmp_path, {"acme": one, "beta": one, "strict": {**one, "adopt_unknown_ids": "off"}})


@pytest.fixture
def gateway(config: Path) -> Iterator[GatewayProcess]:
    with gateway_running(config) as process:
        yield process


def lose_database(config: Path) -> None:
    lost = list(config.parent.glob("gateway.db*"))
    assert lost
    for each in lost:
        each.unlink()


async def status_of(office: Office, enrolment_id: str) -> int | None:
    """What reading this id is answered with."""
    enrolment = office.organisation.keep(office.organisation.new_enrolment("stu-x", "any"))
    enrolment.lms_enrolment_id = enrolment_id
    try:
        await office.read_enrolment(enrolment.rto_id)
    except ServerError as error:
        return error.status
    return 200


async def test_an_old_id_can_be_read_and_cancelled_after_the_database_was_lost(
    kind: Kind, vendor: VendorProcess, config: Path
) -> None:
    course = kind.courses[0]
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office:
            office.organisation.add_student("stu-1", "Ana", "Citizen")
            made = await office.enrol("stu-1", course)
    lose_database(config)
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as again:
            again.organisation.keep(made)
            shown = await again.read_enrolment(made.rto_id)
            assert (shown["id"], shown["progress"]) == (made.lms_enrolment_id, 0)
            assert shown["courseId"] == ids.encode_course(course)
            await again.cancel(made.rto_id)
            assert ended(kind, vendor.effects(), vendor.state()) == {("stu-1", course): 1}
            assert await status_of(again, made.lms_enrolment_id or "") == 404


async def test_an_old_id_can_be_cancelled_unread_after_the_database_was_lost(
    kind: Kind, vendor: VendorProcess, config: Path
) -> None:
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office:
            office.organisation.add_student("stu-1", "Ana", "Citizen")
            made = await office.enrol("stu-1", kind.courses[0])
    lose_database(config)
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as again:
            again.organisation.keep(made)
            await again.cancel(made.rto_id)
    assert ended(kind, vendor.effects(), vendor.state()) == {("stu-1", kind.courses[0]): 1}


async def test_an_old_id_is_transferred_after_the_database_was_lost(
    kind: Kind, vendor: VendorProcess, config: Path
) -> None:
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office:
            office.organisation.add_student("stu-1", "Ana", "Citizen")
            made = await office.enrol("stu-1", kind.courses[0])
    lose_database(config)
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as again:
            again.organisation.keep(made)
            again.organisation.add_student("stu-2", "Bo", "Example")
            await again.transfer(made.rto_id, "stu-2")
            assert (await again.read_enrolment(made.rto_id))["studentId"] == "stu-2"
    made_pairs = enrolled(kind, vendor.effects(), vendor.state())
    assert made_pairs == {("stu-1", kind.courses[0]): 1, ("stu-2", kind.courses[0]): 1}


@pytest.mark.parametrize("unknown_progress", ["fault", "nil"])
async def test_a_made_up_id_is_404_and_changes_nothing(
    kind: Kind, vendor: VendorProcess, gateway: GatewayProcess, unknown_progress: str
) -> None:
    if kind is LEARNING_ASSISTANT:  # how it tells that somebody is not there is not documented
        vendor.switch(unknown_progress=unknown_progress)
    made_up = ids.encode(NOBODY[kind.name])
    async with office_at(gateway.url, kind) as office:
        enrolment = office.organisation.keep(office.organisation.new_enrolment("stu-x", "any"))
        enrolment.lms_enrolment_id = made_up
        office.organisation.add_student("stu-2", "Bo", "Example")
        for action in (
            lambda: office.read_enrolment(enrolment.rto_id),
            lambda: office.cancel(enrolment.rto_id),
            lambda: office.transfer(enrolment.rto_id, "stu-2"),
            lambda: office.mark(enrolment.rto_id, []),
            lambda: office.read_enrolment(enrolment.rto_id),
        ):
            with pytest.raises(ServerError) as error:
                await action()
            assert error.value.status == 404
    assert not {name for name, _ in vendor.effects()} - {"logged_in"}


async def test_the_enrolment_of_another_tenant_is_not_adopted(
    kind: Kind, vendor: VendorProcess, gateway: GatewayProcess
) -> None:
    async with (
        office_at(gateway.url, kind, tenant="acme") as acme,
        office_at(gateway.url, kind, tenant="beta") as beta,
    ):
        acme.organisation.add_student("stu-1", "Ana", "Citizen")
        made = await acme.enrol("stu-1", kind.courses[0])
        assert await status_of(beta, made.lms_enrolment_id or "") == 404
        beta.organisation.keep(made)
        with pytest.raises(ServerError) as error:
            await beta.cancel(made.rto_id)
        assert error.value.status == 404
        assert await status_of(acme, made.lms_enrolment_id or "") == 200
    assert not ended(kind, vendor.effects(), vendor.state())


async def test_nothing_is_adopted_where_the_tenant_forbids_it(
    kind: Kind, vendor: VendorProcess, config: Path
) -> None:
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind, tenant="strict") as office:
            office.organisation.add_student("stu-1", "Ana", "Citizen")
            made = await office.enrol("stu-1", kind.courses[0])
    lose_database(config)
    before = len(vendor.asked())
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind, tenant="strict") as again:
            assert await status_of(again, made.lms_enrolment_id or "") == 404
    assert len(vendor.asked()) == before
