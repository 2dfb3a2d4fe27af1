"""A learner moves on at the vendor, and RTOPilot knows: whole processes, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway import ids
from gateway.cli.commands import app
from gateway.sandbox.demo_vendors import VENDORS
from gateway.sandbox.rtopilot_progress import new_key
from gateway.store import units
from gateway.store.database import Database
from tests.support.deployment import TALENTLMS, Kind, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.kinds import ALL_KINDS
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess, vendor_running
from tests.support.waiting import eventually, soon

KEY = new_key()


@pytest.fixture
def rtopilot() -> Iterator[VendorProcess]:
    """RTOPilot's progress endpoint, where one organisation has the key."""
    with vendor_running("gateway.sandbox.rtopilot_progress", ("--key", KEY)) as process:
        yield process


@pytest.fixture
def config(kind: Kind, vendor: VendorProcess, rtopilot: VendorProcess, tmp_path: Path) -> Path:
    joined = tenant(
        kind,
        vendor.url,
        rtopilot={"base_url": f"{rtopilot.url}/api", "api_key": KEY},
        progress={"every": "1s"},
    )
    return write_config(tmp_path, {"acme": joined})


@pytest.fixture
def gateway(config: Path) -> Iterator[GatewayProcess]:
    with gateway_running(config) as process:
        yield process


def told(rtopilot: VendorProcess) -> list[str]:
    """What RTOPilot took, in order: `id=percent`."""
    return rtopilot.effects_of("progress")


def act(vendor: VendorProcess, kind: Kind, parts: tuple[str, ...], percent: int | None) -> None:
    play = VENDORS[kind.name]
    if percent is None:
        assert play.completing is not None
        name, values = play.completing(parts)
    else:
        name, values = play.progressing(parts, percent)
    vendor.act(name, **values)


async def test_progress_comes_back_by_poll_and_100_only_with_completion(
    vendor: VendorProcess, rtopilot: VendorProcess, gateway: GatewayProcess, kind: Kind, config: Path
) -> None:
    async with office_at(gateway.url, kind) as office:
        office.organisation.add_student("stu-1", "Ana", "Citizen")
        made = await office.enrol("stu-1", kind.courses[0])
    assert made.lms_enrolment_id is not None
    rtopilot.act("hold", organisation="sandbox", id=made.lms_enrolment_id)
    decoded = ids.decode(made.lms_enrolment_id)
    assert decoded is not None
    for percent, heard in ((40, 40), (100, 99)):
        act(vendor, kind, decoded.parts, percent)
        await soon(lambda heard=heard: told(rtopilot)[-1:] == [f"{made.lms_enrolment_id}={heard}"])
    if VENDORS[kind.name].completing is not None:
        act(vendor, kind, decoded.parts, None)
        await soon(lambda: told(rtopilot)[-1:] == [f"{made.lms_enrolment_id}=100"])
    assert len(told(rtopilot)) == len(set(told(rtopilot)))


async def test_unit_results_come_with_the_progress(
    vendors: dict[str, VendorProcess], rtopilot: VendorProcess, tmp_path: Path
) -> None:
    kind, vendor = TALENTLMS, vendors["talentlms"]
    joined = tenant(
        kind,
        vendor.url,
        rtopilot={"base_url": f"{rtopilot.url}/api", "api_key": KEY},
        progress={"every": "1s"},
    )
    config = write_config(tmp_path, {"acme": joined})
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office:
            office.organisation.add_student("stu-1", "Ana", "Citizen")
            made = await office.enrol("stu-1", kind.courses[0])
        assert made.lms_enrolment_id is not None
        rtopilot.act("hold", organisation="sandbox", id=made.lms_enrolment_id)
        user, course = made.lms_enrolment_id.split("-")
        vendor.act("complete_units", user_id=user, course_id=course, unit_ids=["901", "907"])
        database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
        try:
            found = []

            async def has_units() -> bool:
                found[:] = await database.read(lambda conn: units.of_tenant(conn, "acme"))
                return bool(found)

            await eventually(has_units)
        finally:
            await database.close()
    assert [(each.code, each.outcome) for each in found] == [("TSTABC301", "20 - Competency achieved/pass")]


@pytest.mark.parametrize("name", ["moodle", "learnupon"])
async def test_who_was_taken_out_of_a_course_at_the_lms_is_on_the_manual_list(
    name: str, vendors: dict[str, VendorProcess], tmp_path: Path
) -> None:
    kind, vendor = ALL_KINDS[name], vendors[name]
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url, progress={"every": "1s"})})
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, kind) as office:
            for student in ("stu-1", "stu-2"):
                office.organisation.add_student(student, "Ana", "Citizen")
            stays = await office.enrol("stu-1", kind.courses[0])
            leaves = await office.enrol("stu-2", kind.courses[0])
        gateway.move(120.0)  # a new enrolment is not missed yet
        assert stays.lms_enrolment_id is not None
        assert leaves.lms_enrolment_id is not None
        decoded = ids.decode(leaves.lms_enrolment_id)
        assert decoded is not None
        match name:
            case "moodle":
                vendor.act("unenrol", user_id=decoded.parts[0], course_id=decoded.parts[1])
            case "learnupon":
                vendor.act("unenrol", enrolment_id=decoded.parts[0])
        await eventually(lambda: listed(config), what="the item on the manual list")
        (item,) = await listed(config)
    assert item["enrolment_id"] == leaves.lms_enrolment_id
    assert "no longer shows the student" in item["sentence"]


async def listed(config: Path) -> list[dict[str, Any]]:
    """The manual list, as an operator reads it."""
    words = ["runs", "manual", "list", "--json", "--config", str(config)]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = orjson.loads(done.stdout)
    return found
