"""The mapping of Hooked LMS in all its variants, and webhooks of every kind through a whole gateway."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import ids
from gateway.mapping.load import load_mapping
from gateway.sandbox.rtopilot_office import Enrolment
from gateway.sandbox.rtopilot_progress import new_key
from tests.support.deployment import tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.hooked import HOOKED, VARIANTS, chunked, mapping, switches, tenant_changes, write_mapping
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess, vendor_running
from tests.support.waiting import soon

KEY = new_key()
NUMBERS = itertools.count(1)
NAMES = [name for name in VARIANTS if name != "none"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_the_mapping_is_without_problems(tmp_path: Path, name: str) -> None:
    for made in (mapping(VARIANTS[name]), chunked(VARIANTS[name])):
        assert load_mapping(write_mapping(tmp_path, made)).warnings == ()


@pytest.fixture(scope="module")
def lms() -> Iterator[VendorProcess]:
    with vendor_running(HOOKED.module) as process:
        yield process


@pytest.fixture(scope="module")
def rtopilot() -> Iterator[VendorProcess]:
    with vendor_running("gateway.sandbox.rtopilot_progress", ("--key", KEY)) as process:
        yield process


@pytest.fixture(scope="module")
def gateway(
    lms: VendorProcess, rtopilot: VendorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """One gateway with a tenant for each variant; its polls are too far apart to help."""
    folder = tmp_path_factory.mktemp("hooked")
    tenants: dict[str, Any] = {}
    for name, variant in VARIANTS.items():
        path = write_mapping(folder, mapping(variant, every="1d"), f"hooked-{name}.yaml")
        pushed = {"rtopilot": {"base_url": f"{rtopilot.url}/api", "api_key": KEY}}
        tenants[name] = tenant(HOOKED, lms.url, **tenant_changes(variant, path, lms.url), **pushed)
    usual = VARIANTS["hmac"]
    for name, made in {"delta": mapping(usual, every="1s"), "chunks": chunked(usual, every="1s")}.items():
        path = write_mapping(folder, made, f"hooked-{name}.yaml")
        tenants[name] = tenant(HOOKED, lms.url, **tenant_changes(usual, path, lms.url), **pushed)
    with gateway_running(write_config(folder, tenants)) as process:
        yield process


@asynccontextmanager
async def enrolled(
    name: str, gateway: GatewayProcess, lms: VendorProcess, rtopilot: VendorProcess
) -> AsyncIterator[tuple[Enrolment, str]]:
    """An enrolment of this tenant's in RTOPilot and its id in the LMS, which sends webhooks of this kind."""
    lms.switch(hook_url="")
    async with office_at(gateway.url, HOOKED, tenant=name) as office:
        student = f"stu-{next(NUMBERS)}"
        office.organisation.add_student(student, "Ana", "Citizen")
        made = await office.enrol(student, "crs_1")
    assert made.lms_enrolment_id is not None
    rtopilot.act("hold", organisation="sandbox", id=made.lms_enrolment_id)
    decoded = ids.decode(made.lms_enrolment_id)
    assert decoded is not None
    lms.switch(**{**DEFAULTS, **switches(VARIANTS.get(name, VARIANTS["hmac"]), gateway.url, name)})
    yield made, decoded.parts[0]


DEFAULTS: dict[str, Any] = {
    "verify": "hmac",
    "body": "object",
    "batch": 1,
    "hash": "sha256",
    "encoding": "hex",
    "key": "text",
    "signed": "timestamp.raw",
    "timestamp_header": "X-Hooked-Timestamp",
    "prefix": "",
    "second_signature": False,
    "values_in_events": True,
    "wrong_signature": False,
    "duplicates": 0,
    "reverse": False,
    "lost": False,
    "linger_s": 0.02,
    "retries": [0.05, 0.1, 0.2],
}


def heard(rtopilot: VendorProcess, id: str | None) -> list[str]:
    found = rtopilot.effects_of("progress")
    return [each.partition("=")[2] for each in found if each.startswith(f"{id}=")]


def statuses(lms: VendorProcess) -> list[int | None]:
    return [each["status"] for each in lms.state()["deliveries"]]


@pytest.mark.parametrize("name", NAMES)
async def test_a_webhook_of_every_kind_becomes_progress_and_a_forged_one_does_not(
    name: str, gateway: GatewayProcess, lms: VendorProcess, rtopilot: VendorProcess
) -> None:
    async with enrolled(name, gateway, lms, rtopilot) as (made, native):
        lms.act("clear_deliveries")
        lms.switch(wrong_signature=True, retries=[])
        lms.act("progress", enrolment_id=native, percent=70)
        await soon(lambda: statuses(lms) and lms.state()["waiting"] == 0)
        assert statuses(lms) in ([401], [404]), "404: a wrong secret in the path"
        lms.act("clear_deliveries")
        lms.switch(wrong_signature=False)
        lms.act("progress", enrolment_id=native, percent=61.7)
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id) == ["61"])
        lms.act("progress", enrolment_id=native, percent=100)
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id) == ["61", "99"])
        lms.act("complete", enrolment_id=native)
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id) == ["61", "99", "100"])
        assert set(statuses(lms)) == {200}


async def test_an_unsigned_webhook_is_taken_and_kept_aside(
    gateway: GatewayProcess, lms: VendorProcess, rtopilot: VendorProcess
) -> None:
    async with enrolled("none", gateway, lms, rtopilot) as (made, native):
        lms.act("clear_deliveries")
        lms.act("progress", enrolment_id=native, percent=61)
        await soon(lambda: statuses(lms))
        assert statuses(lms) == [200]
        assert heard(rtopilot, made.lms_enrolment_id) == []


@pytest.mark.parametrize("name", ["hmac", "value", "array"])
async def test_duplicates_and_events_out_of_order_leave_the_newest_value(
    name: str, gateway: GatewayProcess, lms: VendorProcess, rtopilot: VendorProcess
) -> None:
    async with enrolled(name, gateway, lms, rtopilot) as (made, native):
        lms.switch(duplicates=2, reverse=True, linger_s=0.2)
        lms.act("many", values=[[native, percent] for percent in range(10, 60, 5)])
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id)[-1:] == ["55"])
        await soon(lambda: lms.state()["waiting"] == 0)
        lms.switch(duplicates=0, reverse=False)
        lms.act("progress", enrolment_id=native, percent=71)
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id)[-1:] == ["71"])
        values = [int(value) for value in heard(rtopilot, made.lms_enrolment_id)]
        assert values == sorted(set(values))


@pytest.mark.parametrize("name", ["delta", "chunks"])
async def test_what_a_lost_webhook_left_out_comes_by_poll(
    name: str, gateway: GatewayProcess, lms: VendorProcess, rtopilot: VendorProcess
) -> None:
    async with enrolled(name, gateway, lms, rtopilot) as (made, native):
        lms.switch(lost=True)
        lms.act("progress", enrolment_id=native, percent=42)
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id) == ["42"], within_s=30)
        lms.act("complete", enrolment_id=native, percent=80)
        await soon(lambda: heard(rtopilot, made.lms_enrolment_id) == ["42", "100"], within_s=30)
