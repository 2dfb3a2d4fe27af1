"""Webhooks of every kind through a running gateway: true ones end at RTOPilot, and nothing else does."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import ids
from gateway.sandbox.hooked_switches import BASE64_SECRET, HEX_SECRET, SECRET, STANDARD_SECRET, HookedSwitches
from gateway.sandbox.rtopilot_progress import new_key
from tests.support.deployment import tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.hooked import (
    HOOKED,
    VARIANTS,
    Variant,
    mapping,
    switches,
    tenant_changes,
    write_mapping,
)
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess, vendor_running
from tests.support.waiting import soon, until

pytestmark = pytest.mark.xdist_group("webhooks")

KEY = new_key()
USUAL = {name: value for name, value in asdict(HookedSwitches()).items() if name != "hook_url"}
REPLACING = {  # the secret that is being brought in while the LMS still has the other
    SECRET: "the-next-secret-of-hooked-0002",
    HEX_SECRET: "6e6578742d686f6f6b65642d7365637265742d30303032",
    BASE64_SECRET: "dGhlLW5leHQtc2VjcmV0LW9mLWhvb2tlZC0wMDAy",
    STANDARD_SECRET: "whsec_dGhlLW5leHQtc2VjcmV0LW9mLWhvb2tlZC0wMDAy",
}
FRESH = {"hmac", "standard-webhooks", "jwt"}
NOT_SIGNED = {"secret-path", "token-header", "basic", "bearer"}
"""Kinds whose proof says nothing about the body, so that half of one is kept aside instead of refused."""
EMAIL = "zwxmarker@learners.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One gateway with a tenant for each kind of webhook, all at the same LMS and the same RTOPilot."""

    gateway: GatewayProcess
    lms: VendorProcess
    rtopilot: VendorProcess
    folder: Path

    async def enrol(self, name: str, student: str = "") -> tuple[str, str]:
        """An enrolment of this tenant: RTOPilot's id of it, and the LMS's."""
        self.lms.switch(hook_url="")
        student = student or f"stu-{name}"
        async with office_at(self.gateway.url, HOOKED, tenant=name) as office:
            office.organisation.add_student(student, "Ana", "Citizen")
            made = await office.enrol(student, HOOKED.courses[0])
        assert made.lms_enrolment_id is not None
        self.rtopilot.act("hold", organisation="sandbox", id=made.lms_enrolment_id)
        decoded = ids.decode(made.lms_enrolment_id)
        assert decoded is not None
        return made.lms_enrolment_id, decoded.parts[0]

    def switch(self, name: str, **more: Any) -> None:
        """Let the LMS send to this tenant, in its way."""
        usual = {**USUAL, "retries": [], **switches(VARIANTS[name], self.gateway.url, name)}
        self.lms.switch(**{**usual, **more})

    def move(self, enrolment: str, percent: int, action: str = "progress") -> list[int | None]:
        """The learner moves on; how the deliveries of that were answered."""
        self.lms.act("clear_deliveries")
        self.lms.act(action, enrolment_id=enrolment, percent=percent)
        return self.answers()

    def answers(self) -> list[int | None]:
        state = until(lambda: found if not (found := self.lms.state())["waiting"] else None)
        return [each["status"] for each in state["deliveries"]]

    def last(self) -> Parcel:
        """The last delivery that left the LMS."""
        sent = self.lms.act("replay")
        headers = {name: value for name, value in sent["headers"]}
        return Parcel(url=sent["url"], headers=headers, body=base64.b64decode(sent["body_base64"]))

    def told(self, id: str) -> list[str]:
        """What RTOPilot took of an enrolment, in order."""
        of_all = [each.partition("=") for each in self.rtopilot.effects_of("progress")]
        return [value for what, _, value in of_all if what == id]

    def inbox(self, name: str) -> dict[str, int]:
        """How many deliveries of a tenant are in each state, once none is new."""

        def settled() -> list[dict[str, int]]:
            with contextlib.closing(sqlite3.connect(self.folder / "gateway.db")) as store:
                found = dict(
                    store.execute(
                        "select state, count(*) from inbox where tenant = ? group by state", (name,)
                    ).fetchall()
                )
            return [] if "new" in found else [found]

        return until(settled)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One request as it left the LMS."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def unproven(self, kind: str) -> Parcel:
        """The same with the proof left out."""
        kept = {"Content-Type": self.headers["Content-Type"]}
        if kind == "secret-path":
            return Parcel(url=self.url.rpartition("/")[0], headers=kept, body=self.body)
        if kind == "token-body":
            body = json.dumps({**json.loads(self.body), "token": None}).encode()
            return Parcel(url=self.url, headers=kept, body=body)
        if kind == "jwt":
            return Parcel(url=self.url, headers=kept, body=self.body.rpartition(b".")[0])
        return Parcel(url=self.url, headers=kept, body=self.body)

    def with_body(self, body: bytes) -> Parcel:
        return Parcel(url=self.url, headers=self.headers, body=body)


def joined(folder: Path, name: str, variant: Variant, lms: VendorProcess, rtopilot: VendorProcess) -> Any:
    """A tenant with this kind of webhook, whose polls are half a day away."""
    far = (datetime.now(UTC) + timedelta(hours=12)).strftime("%H:%M")
    made = mapping(variant)
    made["progress"]["poll"]["audit"]["at"] = [far]
    changes = tenant_changes(variant, write_mapping(folder, made, f"hooked-{name}.yaml"), lms.url)
    if "webhook" in changes["secrets"]:
        pair = {"webhook": REPLACING[variant.secret], "webhookOld": variant.secret}
        changes["secrets"] = {**changes["secrets"], **pair}
    pushing = {"base_url": f"{rtopilot.url}/api", "api_key": KEY}
    return tenant(HOOKED, lms.url, rtopilot=pushing, progress={"at": [far]}, **changes)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("webhooks")
    with (
        vendor_running(HOOKED.module) as lms,
        vendor_running("gateway.sandbox.rtopilot_progress", ("--key", KEY)) as rtopilot,
    ):
        tenants = {name: joined(folder, name, variant, lms, rtopilot) for name, variant in VARIANTS.items()}
        with gateway_running(write_config(folder, tenants)) as gateway:
            yield House(gateway=gateway, lms=lms, rtopilot=rtopilot, folder=folder)


def post(parcel: Parcel) -> int:
    """Its status; whatever it is, the answer says nothing of what is inside."""
    answer = httpx.post(parcel.url, headers=parcel.headers, content=parcel.body, trust_env=False)
    if answer.status_code == 200:
        assert answer.content == b'{"received":true}'
        return 200
    said = answer.json()
    assert said.keys() == {"error"} and said["error"].keys() == {"code", "message", "reference"}
    inside = ("mismatch", "stale", "signature", "secret", "hmac", "hooked", "inbox", "quarantine")
    assert not [word for word in inside if word in answer.text.lower()]
    return answer.status_code


# -- who sent it


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "none"])
async def test_of_each_kind_only_true_deliveries_reach_rtopilot(house: House, name: str) -> None:
    kind = VARIANTS[name].switches.get("verify", "hmac")
    id, enrolment = await house.enrol(name)
    house.switch(name)
    assert house.move(enrolment, 10) == [200]
    await soon(lambda: house.told(id) == ["10"])
    true = house.last()

    assert post(true.unproven(kind)) == 401
    assert post(true.with_body(true.body[:-3])) == (200 if name in NOT_SIGNED else 401)
    assert post(true.with_body(true.body + b" " * (1_000_001 - len(true.body)))) == 413
    assert post(true) == 200  # somebody who listened sends it again: nothing new comes of it
    house.switch(name, wrong_signature=True)
    assert house.move(enrolment, 77) == [401]
    if name in FRESH:
        for skew_s in (-600.0, 600.0):
            house.switch(name, clock_skew_s=skew_s)
            assert house.move(enrolment, 78) == [401]

    half = {"quarantined": 1} if name in NOT_SIGNED else {}
    assert house.inbox(name) == {"done": 2, **half}
    house.switch(name)
    assert house.move(enrolment, 80) == [200]
    await soon(lambda: house.told(id) == ["10", "80"])
    assert house.inbox(name) == {"done": 3, **half}


@pytest.mark.parametrize("name", ["hmac", "standard-webhooks", "secret-path", "token-body"])
async def test_both_secrets_are_good_while_one_is_replaced(house: House, name: str) -> None:
    id, enrolment = await house.enrol(name, f"stu-both-{name}")
    for percent, secret in ((10, VARIANTS[name].secret), (20, REPLACING[VARIANTS[name].secret])):
        house.switch(name, secret=secret)
        assert house.move(enrolment, percent) == [200]
        await soon(lambda percent=percent: house.told(id)[-1:] == [str(percent)])


async def test_what_nobody_can_verify_is_kept_aside_and_acted_on_by_nobody(house: House) -> None:
    id, enrolment = await house.enrol("none")
    house.switch("none")
    assert house.move(enrolment, 10) == [200]
    assert house.move(enrolment, 20, "complete") == [200]
    assert house.inbox("none") == {"quarantined": 2}
    assert house.told(id) == []


async def test_a_token_that_names_no_algorithm_or_another_is_refused(house: House) -> None:
    id, enrolment = await house.enrol("jwt", "stu-algorithm")
    house.switch("jwt")
    assert house.move(enrolment, 10) == [200]
    await soon(lambda: house.told(id) == ["10"])
    true, before = house.last(), house.inbox("jwt")
    _, claims, signature = true.body.split(b".")
    for header in ({"alg": "none"}, {"alg": "HS256", "kid": "hooked-1"}, {}):
        named = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
        for proof in (b"", signature):
            assert post(true.with_body(b".".join([named, claims, proof]))) == 401
    assert house.inbox("jwt") == before


# -- what is made of it


@pytest.mark.parametrize("name", ["value", "hmac", "list"])
async def test_twice_and_out_of_order_the_newest_value_stays(house: House, name: str) -> None:
    id, enrolment = await house.enrol(name, f"stu-order-{name}")
    house.switch(name, duplicates=2, reverse=True, at_once=4, linger_s=0.2, batch=1)
    house.lms.act("clear_deliveries")
    house.lms.act("storm", enrolment_ids=[enrolment], steps=[10, 30, 20, 40, 60])
    assert set(house.answers()) == {200}
    await soon(lambda: house.told(id)[-1:] == ["60"])
    house.inbox(name)
    told = [int(each) for each in house.told(id)]
    assert told == sorted(set(told))


@pytest.mark.parametrize("name", ["value", "hmac", "form"])
async def test_only_the_vendors_completion_makes_100(house: House, name: str) -> None:
    id, enrolment = await house.enrol(name, f"stu-done-{name}")
    house.switch(name)
    house.move(enrolment, 100)
    await soon(lambda: house.told(id) == ["99"])
    house.move(enrolment, 100, "complete")
    await soon(lambda: house.told(id) == ["99", "100"])


@pytest.mark.parametrize("name", ["array", "list", "jwt"])
async def test_many_events_of_one_delivery_are_all_told(house: House, name: str) -> None:
    made = [await house.enrol(name, f"stu-many-{name}-{number}") for number in range(3)]
    house.switch(name, linger_s=0.2)
    house.lms.act("clear_deliveries")
    house.lms.act("many", values=[(enrolment, 40) for _, enrolment in made])
    house.lms.act("noise")
    assert house.answers() == [200]
    for id, _ in made:
        await soon(lambda id=id: house.told(id) == ["40"])


async def test_what_came_while_the_lms_fails_is_told_when_it_is_back(house: House) -> None:
    id, enrolment = await house.enrol("ids-only", "stu-away")
    house.switch("ids-only")
    house.lms.arm({"kind": "error", "status": 503, "path": enrolment, "count": 3})
    assert house.move(enrolment, 50) == [200]
    await soon(lambda: house.gateway.move(0.2) or house.told(id) == ["50"])


# -- what is seen of it


async def test_no_secret_and_no_address_stands_in_the_log(house: House) -> None:
    event = {"id": EMAIL, "type": "enrolment.progressed", "enrolment": {"id": [EMAIL], "email": EMAIL}}
    odd = json.dumps(event).encode()
    for name in ("secret-path", "token-header", "basic", "bearer", "token-body", "standard-webhooks"):
        _, enrolment = await house.enrol(name, f"stu-log-{name}")
        house.switch(name)
        assert house.move(enrolment, 10) == [200]
        true, before = house.last(), house.inbox(name).get("quarantined", 0)
        post(true.with_body(odd[:-1]))
        if name in NOT_SIGNED:
            assert post(true.with_body(odd)) == 200
            assert house.inbox(name).get("quarantined", 0) == before + 2
        wrong = Parcel(url=f"{true.url}-not", headers=true.headers, body=odd)
        assert post(wrong) in (401, 404)
    log = (house.folder / "gateway.log").read_text(encoding="utf-8", errors="replace")
    assert "webhook from lms tenant=secret-path 200" in log and "is kept aside" in log
    known = [*REPLACING, *REPLACING.values()]
    encoded = [base64.b64encode(f"hooked:{secret}".encode()).decode() for secret in known]
    assert [each for each in [*known, *encoded, KEY, EMAIL, "zwxmarker"] if each in log] == []
