"""RTOPilot's webhook sender: what it sends, how it signs and retries, and what its administrators see."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from gateway.sandbox.control import Clock
from gateway.sandbox.rtopilot_events import (
    EVENTS,
    FIFTH_EVENT,
    KNOWN_EVENTS,
    MERGED_ID,
    MERGED_KEYS,
    UNKNOWN_EVENT,
    Envelope,
    enrolment,
    example,
    merged,
    student,
)
from gateway.sandbox.rtopilot_slots import Auth
from gateway.sandbox.rtopilot_webhooks import Scheme, TestTooSoon, WebhookSender, WebhookSwitches
from gateway.sandbox.signing import key_bytes, sign, standard_headers

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = int(START.timestamp())
SECRET = "tst-secret-0001"
VECTOR = b'{"event":"student.created","data":{"id":"stu-104"}}'
URL = "https://gw.example.net/t/acme/hooks/student.created"


class Rig:
    """A sender and the requests that arrive; `answers` are statuses or errors to come, then 200."""

    def __init__(self, *answers: Any, **switches: Any) -> None:
        self.answers = list(answers)
        self.got: list[httpx.Request] = []
        self.clock = Clock(START)
        self.sender = WebhookSender(
            switches=WebhookSwitches(**{"retries": (0.0, 0.0, 0.0), **switches}),
            clock=self.clock,
            client=httpx.AsyncClient(transport=httpx.MockTransport(self.receive)),
        )
        self.hook = self.sender.subscribe("student.created", URL, secret=SECRET)

    def receive(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        self.clock.advance(1)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={"received": True})

    async def emit(self, event: str = "student.created", *args: Any, **more: Any) -> list[Any]:
        return await self.sender.emit(event, *args, **more)

    def header(self, name: str) -> str:
        return self.got[-1].headers[name]


# signatures


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        (Scheme(), "5027b44f04cd6a3627a958771b201ca5584cf1b9fdd20f1c4a39f429d0579f2c"),
        (Scheme(encoding="base64"), "UCe0TwTNajYnqVh3GyAcpVhM8bn90g8cSjn0KdBXnyw="),
        (
            Scheme(signed="timestamp.raw"),
            "f5cf1e1d7589d8f81f3b6babb9994c28037052f1895ac6be4fc55d66dd774a49",
        ),
    ],
    ids=["hex", "base64", "timestamp"],
)
def test_the_vectors_of_the_sheet_come_out(scheme, value):
    assert scheme.headers(VECTOR, SECRET, AT) == [("X-Signature", value)]


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha512", "hmac-sha1"])
@pytest.mark.parametrize("key", ["text", "hex", "base64"])
async def test_every_algorithm_and_key_form_can_be_checked(algorithm, key):
    rig = Rig(signature=Scheme(algorithm=algorithm, key=key, encoding="base64url", header="X-Sig"))
    hook = rig.sender.subscribe("enrolment.created", URL)
    await rig.emit("enrolment.created")
    raw = {"text": str.encode, "hex": bytes.fromhex, "base64": base64.b64decode}[key](hook.secret)
    digest = hmac.new(raw, rig.got[0].content, getattr(hashlib, algorithm.removeprefix("hmac-"))).digest()
    assert rig.header("X-Sig") == base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def test_a_signature_may_stand_in_a_list_with_its_time():
    rig = Rig(signature=Scheme(prefix="t={t},v1=", signed="timestamp.raw"))
    await rig.emit()
    digest = hmac.new(SECRET.encode(), f"{AT}.".encode() + rig.got[0].content, "sha256").hexdigest()
    assert rig.header("X-Signature") == f"t={AT},v1={digest}"


async def test_a_time_may_stand_in_a_header_of_its_own():
    rig = Rig(signature=Scheme(prefix="sha256=", timestamp_header="X-Time"))
    await rig.emit()
    assert rig.header("X-Time") == str(AT) and rig.header("X-Signature").startswith("sha256=")


async def test_a_delivery_may_be_unsigned():
    rig = Rig(signature=None)
    await rig.emit()
    assert "x-signature" not in rig.got[0].headers


@pytest.mark.parametrize(("secret", "form"), [("xyz", "hex"), ("%%%", "base64")])
def test_a_secret_of_another_form_is_refused(secret, form):
    with pytest.raises(ValueError):
        key_bytes(secret, form)


def test_standard_webhooks_agree_with_the_specification():
    # the example of the specification's own reference libraries
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    headers = dict(standard_headers(message, 1614265330, b'{"test": 2432232314}', secret))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_base64url_has_no_padding():
    assert not sign(b"x", b"k", encoding="base64url").endswith("=")


# what is sent


async def test_an_event_goes_to_its_active_subscriptions_only():
    rig = Rig()
    rig.sender.subscribe("student.created", URL + "2")
    rig.sender.subscribe("student.created", URL + "3").active = False
    rig.sender.subscribe("student.merged", URL + "4")
    attempts = await rig.emit()
    assert [str(each.url) for each in rig.got] == [URL, URL + "2"]
    assert {each.delivery for each in attempts} == {"whd_1", "whd_2"}
    assert len({each.secret for each in rig.sender.subscriptions}) == 4


async def test_every_event_has_a_subscription_at_its_own_path():
    rig = Rig()
    made = rig.sender.subscribe_all("https://gw.example.net/", "acme", EVENTS)
    assert made["student.merged"].url == "https://gw.example.net/t/acme/hooks/student.merged"
    for event in EVENTS[1:]:
        await rig.emit(event)
    sent = [json.loads(each.content) for each in rig.got]
    assert [each["event"] for each in sent] == [*KNOWN_EVENTS[1:], FIFTH_EVENT, UNKNOWN_EVENT]
    assert all(each["data"] for each in sent)


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        (Envelope(), {"event": "student.created", "data": {"id": "a"}}),
        (Envelope(event="type", data="payload"), {"type": "student.created", "payload": {"id": "a"}}),
        (Envelope(event="", id="id", timestamp="at"), {"id": "whd_1", "at": AT, "data": {"id": "a"}}),
        (Envelope(event="", timestamp="at", timestamp_as_text=True), {"at": str(AT), "data": {"id": "a"}}),
    ],
    ids=["default", "other names", "id and time", "time as text"],
)
async def test_the_envelope_is_named_as_switched(envelope, expected):
    rig = Rig(envelope=envelope)
    await rig.emit("student.created", {"id": "a"})
    assert json.loads(rig.got[0].content) == expected


@pytest.mark.parametrize("key", MERGED_KEYS)
async def test_the_merged_away_id_stands_where_switched(key):
    rig = Rig(merged_key=key)
    rig.sender.subscribe("student.merged", URL)
    await rig.emit("student.merged")
    value = json.loads(rig.got[0].content)["data"]
    assert value["id"] != MERGED_ID
    for name in key.split("."):
        value = value[name]
    assert value == MERGED_ID


def test_events_can_be_about_anybody():
    survivor = student("s1", first="Zoë", last="Brown", email="zoe@example.org")
    assert merged(survivor, 99, "mergedId") == {**survivor, "mergedId": 99}
    assert enrolment("e1", "s1", status="enrolled")["studentId"] == "s1"
    assert "email" not in example("student.created")


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (Auth(kind="BASIC", username="rtopilot", password="s3cret"), "authorization", "Basic cnRvcGlsb3Q6czNjcmV0"),
        (Auth(kind="BEARER", token="tok"), "authorization", "Bearer tok"),
        (Auth(kind="CUSTOM_HEADER", header="X-Key", value="v"), "x-key", "v"),
    ],
    ids=["basic", "bearer", "header"],
)  # fmt: skip
async def test_a_subscription_authenticates_as_it_is_set(auth, header, value):
    rig = Rig()
    rig.hook.auth = auth
    await rig.emit()
    assert rig.header(header) == value and rig.header("content-type") == "application/json"


# retries, the Test button, the journal


async def test_what_fails_is_tried_again_with_the_same_bytes():
    rig = Rig(500, httpx.ConnectError("gone"), 302, envelope=Envelope(timestamp="at"))
    (last,) = await rig.emit()
    assert (last.number, last.status, last.delivered) == (4, 200, True)
    assert (
        len({each.content for each in rig.got}) == len({each.headers["x-signature"] for each in rig.got}) == 1
    )
    shown = [(each.number, each.status, each.error, each.delivered) for each in rig.sender.attempts()]
    assert shown == [
        (1, 500, "", False),
        (2, None, "ConnectError: gone", False),
        (3, 302, "", False),
        (4, 200, "", True),
    ]
    assert len({each.delivery for each in rig.sender.journal}) == 1
    assert rig.sender.journal[-1].reply == b'{"received":true}'


async def test_a_retry_may_carry_a_new_time():
    rig = Rig(500, 500, new_timestamp=True, envelope=Envelope(timestamp="at"))
    await rig.emit()
    assert [json.loads(each.content)["at"] - AT for each in rig.got] == [0, 1, 2]
    assert all(a.headers["x-signature"] != b.headers["x-signature"] for a, b in pairwise(rig.got))


async def test_it_gives_up_after_the_last_retry():
    rig = Rig(*[503] * 9, retries=(0.0,))
    (last,) = await rig.emit()
    assert (last.number, last.delivered, len(rig.got)) == (2, False, 2)


async def test_copies_and_late_repeats_are_the_very_same_bytes():
    rig = Rig()
    first, *_ = await rig.emit(copies=3)
    again = await rig.sender.again(first)
    assert (len(rig.got), again.number) == (4, 2)
    assert len({(each.content, each.headers["x-signature"]) for each in rig.got}) == 1


async def test_the_test_button_sends_an_example_once():
    rig = Rig(500)
    attempt = await rig.sender.test(rig.hook)
    assert (attempt.test, attempt.status, len(rig.got)) == (True, 500, 1)
    assert json.loads(attempt.body)["data"] == example("student.created")


async def test_the_test_button_is_refused_within_ten_seconds():
    rig = Rig()
    other = rig.sender.subscribe("student.merged", URL)
    await rig.sender.test(rig.hook)
    with pytest.raises(TestTooSoon):
        await rig.sender.test(rig.hook)
    await rig.sender.test(other)
    rig.clock.advance(10)
    await rig.sender.test(rig.hook)
    assert [each.event for each in rig.sender.journal] == [
        "student.created",
        "student.merged",
        "student.created",
    ]


async def test_the_journal_can_be_read_by_event():
    rig = Rig()
    rig.sender.subscribe("student.merged", URL)
    await rig.emit()
    await rig.emit("student.merged")
    assert [each.event for each in rig.sender.attempts("student.merged")] == ["student.merged"]


async def test_switches_can_change_between_events():
    rig = Rig()
    rig.sender.switches = replace(rig.sender.switches, content_type="text/json")
    await rig.emit()
    assert rig.header("content-type") == "text/json"


async def test_a_sender_with_its_own_client_closes_it():
    async with WebhookSender(switches=WebhookSwitches(retries=(), timeout_s=1.0)) as sender:
        sender.subscribe("student.created", "http://127.0.0.1:9/")
        (attempt,) = await sender.emit("student.created")
    assert attempt.error.startswith("ConnectError")
    assert sender._client.is_closed
