"""RTOPilot's own webhooks at a running gateway: what it answers, and what later creates make of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import yaml
from typer.testing import CliRunner

from gateway.cli import hooks
from gateway.cli.commands import Commands
from gateway.sandbox.rtopilot_events import EVENTS, FIFTH_EVENT, UNKNOWN_EVENT, Envelope, merged, student
from gateway.sandbox.rtopilot_slots import Auth
from gateway.sandbox.rtopilot_webhooks import Attempt, Scheme, WebhookSender, WebhookSwitches
from tests.support.deployment import AUTH, TALENTLMS, enrolled, sign_ups, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess
from tests.support.waiting import until

SECRETS = {event: f"zwx-secret-of-{event}" for event in EVENTS if event != UNKNOWN_EVENT}
STAMPED = Scheme(header="X-Hook", prefix="sha256=", signed="timestamp.raw", timestamp_header="X-Hook-Time")
SIGNATURE = {
    "header": "X-Hook",
    "prefix": "sha256=",
    "signed": "timestamp.raw",
    "timestamp_header": "X-Hook-Time",
}
ODD = Scheme(header="X-Proof", algorithm="hmac-sha512", encoding="base64", prefix="v1=", signed="raw")
RECEIVED = b'{"received":true}'
ADDRESS = "zwx.ana@learners-of-acme.com.au"


@pytest.fixture
def vendor(vendors: Mapping[str, VendorProcess]) -> VendorProcess:
    return vendors["talentlms"]


def configured(folder: Path, vendor: VendorProcess, **hooking: Any) -> Path:
    """config.yaml with one tenant that takes RTOPilot's webhooks."""
    events = {event: {"secret": secret} for event, secret in SECRETS.items()}
    joined = tenant(TALENTLMS, vendor.url, rtopilot={"hooks": {"events": events, **hooking}})
    return write_config(folder, {"acme": joined})


@pytest.fixture
def config(tmp_path: Path, vendor: VendorProcess) -> Path:
    return configured(tmp_path, vendor, signature=SIGNATURE)


@pytest.fixture
def gateway(config: Path) -> Iterator[GatewayProcess]:
    with gateway_running(config) as process:
        yield process


def sender(url: str, *, auth: Auth = AUTH, **switches: Any) -> WebhookSender:
    """RTOPilot with a webhook for each event there is."""
    made = WebhookSender(switches=WebhookSwitches(**{"signature": STAMPED, **switches}))
    for event in EVENTS:
        secret = SECRETS.get(event, "zwx-secret-nobody-wrote-down")
        made.subscribe(event, f"{url}/t/acme/hooks/{event}", auth=auth, secret=secret)
    return made


def query(folder: Path, text: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(folder / "gateway.db")) as store:
        return store.execute(text).fetchall()


def inbox(folder: Path) -> dict[str, int]:
    """How many deliveries are in each state, once none is new."""

    def settled() -> list[dict[str, int]]:
        found = dict(query(folder, "select state, count(*) from inbox group by state"))
        return [] if "new" in found else [found]

    return until(settled)[0]


async def send(rtopilot: WebhookSender, event: str, data: Any = None, **more: Any) -> Attempt:
    return (await rtopilot.emit(event, data, **more))[0]


# -- what is answered


async def test_every_event_known_or_not_is_taken(gateway: GatewayProcess, tmp_path: Path) -> None:
    async with sender(gateway.url) as rtopilot:
        for event in EVENTS:
            sent = await send(rtopilot, event)
            assert (sent.status, sent.reply, sent.number) == (200, RECEIVED, 1), event
    assert inbox(tmp_path) == {"done": 5, "quarantined": 1}
    reasons = query(tmp_path, "select source, reason from inbox where state = 'quarantined'")
    assert reasons == [(f"rtopilot:{UNKNOWN_EVENT}", "no-secret")]
    assert FIFTH_EVENT in SECRETS


async def test_the_test_button_is_answered_and_changes_nothing(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    async with sender(gateway.url) as rtopilot:
        for subscription in rtopilot.subscriptions:
            assert (await rtopilot.test(subscription)).status == 200
    inbox(tmp_path)
    assert query(tmp_path, "select * from merged_student") == []


@pytest.mark.parametrize("wrong", ["secret", "credential", "no signature"])
async def test_what_rtopilot_did_not_send_is_refused_each_time(
    gateway: GatewayProcess, tmp_path: Path, wrong: str
) -> None:
    auth = Auth(kind="BEARER", token="zwx-guess") if wrong == "credential" else AUTH
    switches: dict[str, Any] = {"signature": None} if wrong == "no signature" else {}
    async with sender(gateway.url, auth=auth, **switches) as rtopilot:
        if wrong == "secret":
            for each in rtopilot.subscriptions:
                each.secret = "zwx-guess"
        sent = await send(rtopilot, "student.merged")
        assert [each.status for each in rtopilot.attempts()] == [401] * 4
    assert sent.reply.startswith(b'{"error":') and b"mismatch" not in sent.reply
    assert inbox(tmp_path) == {}


async def test_what_is_not_json_is_refused(gateway: GatewayProcess, tmp_path: Path) -> None:
    async with sender(gateway.url) as rtopilot, httpx.AsyncClient(trust_env=False) as client:
        subscription = rtopilot.subscriptions[0]
        for body in (b"{", b"event=student.created", b""):
            at = int(rtopilot.clock.now().timestamp())
            proof = [*subscription.auth.headers(), *STAMPED.headers(body, subscription.secret, at)]
            answer = await client.post(subscription.url, headers=proof, content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_json")
    assert inbox(tmp_path) == {}


async def test_until_the_scheme_is_known_all_is_kept_aside(tmp_path: Path, vendor: VendorProcess) -> None:
    config = configured(tmp_path, vendor)
    with gateway_running(config) as gateway:
        async with office_at(gateway.url, TALENTLMS) as office:
            office.organisation.add_student("stu-99", "Ana", "Citizen")
            await office.enrol("stu-99", "126")
        for scheme in (None, STAMPED):
            async with sender(gateway.url, signature=scheme) as rtopilot:
                sent = await send(rtopilot, "student.merged", merged(student("stu-104"), "stu-99"))
                assert (sent.status, sent.reply) == (200, RECEIVED)
        assert inbox(tmp_path) == {"quarantined": 2}
    assert query(tmp_path, "select * from merged_student") == []


# -- what comes of it


@pytest.mark.parametrize("new_timestamp", [False, True], ids=["same bytes", "new timestamp"])
async def test_retries_and_copies_have_one_effect(
    gateway: GatewayProcess, tmp_path: Path, new_timestamp: bool
) -> None:
    async with office_at(gateway.url, TALENTLMS) as office:
        office.organisation.add_student("stu-99", "Ana", "Citizen")
        await office.enrol("stu-99", "126")
    data = merged(student("stu-104", email=ADDRESS), "stu-99")
    envelope = Envelope(timestamp="timestamp") if new_timestamp else Envelope()
    async with sender(gateway.url, envelope=envelope) as rtopilot:
        first = await send(rtopilot, "student.merged", data, copies=3)
        assert first.status == 200
        inbox(tmp_path)
        if new_timestamp:
            assert (await send(rtopilot, "student.merged", data)).status == 200
        else:
            assert (await rtopilot.again(first)).status == 200
    assert set(inbox(tmp_path)) == {"done"}
    assert query(tmp_path, "select from_id, to_id from merged_student") == [("stu-99", "stu-104")]


async def test_after_a_merge_both_ids_are_the_same_user_at_the_lms(
    gateway: GatewayProcess, vendor: VendorProcess, tmp_path: Path
) -> None:
    async with office_at(gateway.url, TALENTLMS) as office, sender(gateway.url) as rtopilot:
        for id in ("stu-99", "stu-104"):
            office.organisation.add_student(id, "Ana", "Citizen")
        await office.enrol("stu-99", "126")
        data = merged(student("stu-104"), "stu-99", rtopilot.switches.merged_key)
        assert (await send(rtopilot, "student.merged", data)).status == 200
        assert inbox(tmp_path) == {"done": 1}
        await office.enrol("stu-104", "127")
        await office.enrol("stu-99", "128")
    effects, state = vendor.effects(), vendor.state()
    assert sign_ups(TALENTLMS, effects, state) == {"stu-99": 1}
    assert enrolled(TALENTLMS, effects, state) == {("stu-99", course): 1 for course in ("126", "127", "128")}


async def test_an_address_that_turned_up_is_that_of_a_later_sign_up(
    gateway: GatewayProcess, vendor: VendorProcess, tmp_path: Path
) -> None:
    async with office_at(gateway.url, TALENTLMS) as office, sender(gateway.url) as rtopilot:
        for id in ("stu-1", "stu-2"):
            office.organisation.add_student(id, "Ana", "Citizen")
        told = student("stu-1", first="Zwxana", email=ADDRESS)
        assert (await send(rtopilot, "student.created", told)).status == 200
        assert inbox(tmp_path) == {"done": 1}
        await office.enrol("stu-1", "126")
        await office.enrol("stu-2", "126")
    addresses = {each["login"]: each["email"] for each in vendor.state()["users"]}
    assert addresses["rto-stu-1"] == ADDRESS and addresses["rto-stu-2"] == "stu-2@learners.invalid"
    log = (tmp_path / "gateway.log").read_text(encoding="utf-8", errors="replace")
    assert "webhook student.created: " in log and "zwx" not in log.lower()


# -- finding out how RTOPilot signs


async def test_match_finds_the_scheme_from_what_a_running_gateway_kept_aside(
    tmp_path: Path, vendor: VendorProcess
) -> None:
    config = configured(tmp_path, vendor)
    with gateway_running(config) as gateway:
        async with sender(gateway.url, signature=ODD) as rtopilot:
            assert (await send(rtopilot, "student.created", student("stu-1", email=ADDRESS))).status == 200
        [(kept,)] = query(tmp_path, "select id from inbox where state = 'quarantined'")
        said = await command("match", "--delivery", kept, "--config", str(config))
    found = yaml.safe_load(said.partition("\n\n")[2])["rtopilot"]["hooks"]["signature"]
    assert (found["header"], found["algorithm"], found["encoding"]) == ("X-Proof", "hmac-sha512", "base64")
    configured(tmp_path, vendor, signature=found)
    with gateway_running(config) as gateway:
        async with sender(gateway.url, signature=ODD) as rtopilot:
            assert (await send(rtopilot, "student.created")).status == 200
        await command("release", kept, "--config", str(config))
        assert inbox(tmp_path) == {"done": 2}
    people = json.dumps(query(tmp_path, "select * from known"))
    assert ADDRESS in people


async def command(*words: str) -> str:
    app = typer.Typer(cls=Commands)
    hooks.add_to(app)
    ran = await asyncio.to_thread(CliRunner().invoke, app, ["hooks", *words])
    assert ran.exit_code == 0, ran.output
    return ran.stdout
