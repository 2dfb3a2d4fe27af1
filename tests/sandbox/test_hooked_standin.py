"""Hooked LMS, the invented vendor that sends webhooks: its API, its events, and every kind of proof."""

import base64
import hashlib
import hmac
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jwt
import pytest

from gateway.sandbox import hooked, hooked_state
from gateway.sandbox.control import Clock, StandIn
from gateway.sandbox.faults import Fault
from gateway.sandbox.hooked import JWKS, create_hooked
from gateway.sandbox.hooked_switches import (
    API_KEY,
    AUDIENCE,
    BASE64_SECRET,
    HEX_SECRET,
    ISSUER,
    SECRET,
    STANDARD_SECRET,
    USER,
    HookedSwitches,
)
from gateway.sandbox.serve import running
from tests.support.receiver import Receiver
from tests.support.waiting import until

START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
ROOT = Path(hooked.__file__).parents[2]


class Rig:
    """The stand-in beside a receiver on a real socket."""

    def __init__(self, receiver: Receiver, url: str) -> None:
        self.receiver = receiver
        self.app: StandIn = create_hooked(HookedSwitches(hook_url=f"{url}/hooks"), clock=Clock(START))

    def switch(self, **changes: Any) -> None:
        self.app.vendor.switches = replace(self.app.vendor.switches, **changes)

    def act(self, name: str, **arguments: Any) -> Any:
        return self.app.vendor.actions[name](**arguments)

    def settle(self) -> None:
        assert self.app.vendor.postman.idle()

    def told(self, *percents: Any) -> list[tuple[str, dict[str, str], bytes]]:
        """What arrives when the learner makes this progress."""
        for percent in percents or (60,):
            self.act("progress", enrolment_id="enr_1", percent=percent)
        self.settle()
        return self.receiver.got

    @property
    def journal(self) -> list[Any]:
        return list(self.app.vendor.postman.journal)


@pytest.fixture(scope="module")
def received() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    with running(receiver) as url:
        yield receiver, url


@pytest.fixture
def rig(received: tuple[Receiver, str]) -> Iterator[Rig]:
    receiver, url = received
    receiver.clear()
    rig = Rig(receiver, url)
    yield rig
    rig.settle()  # or the next test would receive it


@pytest.fixture
async def api(rig: Rig):
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rig.app), base_url="http://lms.test", headers=headers
    ) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# the API


@pytest.mark.parametrize("header", ["", "Bearer wrong", f"Basic {API_KEY}"])
async def test_a_wrong_key_is_401(api, header):
    assert code(await api.get("/v1/ping", headers={"Authorization": header})) == (401, "bad_key")


async def test_an_expired_token_by_fault_is_401(rig, api):
    rig.app.faults.arm(Fault(kind="expired_token"))
    assert (await api.get("/v1/ping")).status_code == 401
    assert (await api.get("/v1/ping")).json() == {"ok": True}


async def test_courses_are_listed_in_pages_and_shown(rig, api):
    rig.switch(page_size=2)
    first = (await api.get("/v1/courses")).json()
    second = (await api.get("/v1/courses?page=2")).json()
    assert ([each["id"] for each in first["data"]], first["next_page"]) == (["crs_1", "crs_2"], 2)
    assert ([each["id"] for each in second["data"]], second["next_page"]) == (["crs_3"], None)
    assert (await api.get("/v1/courses/crs_2")).json()["title"] == "Lines & Sinkers"
    assert code(await api.get("/v1/courses/crs_9")) == (404, "no_course")
    assert code(await api.get("/v1/courses?page=0")) == (400, "bad_request")


NEW = {"external_id": "stu-7", "first_name": "Ann", "last_name": "New", "email": "ann@example.org"}


async def test_a_user_is_made_once_and_found(rig, api):
    made = await api.post("/v1/users", json=NEW)
    assert made.status_code == 201
    again = await api.post("/v1/users", json=NEW)
    assert code(again) == (409, "user_exists") and again.json()["error"]["user_id"] == made.json()["id"]
    found = (await api.get("/v1/users?external_id=stu-7")).json()["data"]
    assert found == [made.json()]
    assert rig.app.journal.effect_counts == {"user_created": 1}


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"external_id": ""}', b"{}"])
async def test_a_user_without_its_fields_is_refused(api, body):
    assert (await api.post("/v1/users", content=body)).status_code in (400, 422)


async def test_an_enrolment_is_made_once_read_and_ended(rig, api):
    user = (await api.post("/v1/users", json=NEW)).json()["id"]
    made = await api.post("/v1/enrolments", json={"user_id": user, "course_id": "crs_1"})
    assert (made.status_code, made.json()["percent"]) == (201, 0)
    id = made.json()["id"]
    again = await api.post("/v1/enrolments", json={"user_id": user, "course_id": "crs_1"})
    assert code(again) == (409, "already_enrolled") and again.json()["error"]["enrolment_id"] == id
    shown = (await api.get(f"/v1/enrolments/{id}")).json()
    assert [each["name"] for each in shown["modules"]][:1] == ["TSTHOK201 Tie a hook"]
    assert (await api.delete(f"/v1/enrolments/{id}")).status_code == 204
    assert code(await api.get(f"/v1/enrolments/{id}")) == (404, "no_enrolment")
    assert code(await api.delete(f"/v1/enrolments/{id}")) == (404, "no_enrolment")
    assert dict(rig.app.journal.effect_counts) == {"user_created": 1, "enrolled": 1, "unenrolled": 1}
    rig.settle()
    assert [each["type"] for each in rig.receiver.bodies] == ["enrolment.created", "enrolment.cancelled"]


@pytest.mark.parametrize(
    ("user", "course", "answer"),
    [
        ("usr_9", "crs_1", (404, "no_user")),
        ("usr_1", "crs_9", (404, "no_course")),
        ("usr_1", "crs_3", (422, "course_closed")),
    ],
)
async def test_an_enrolment_that_cannot_be_is_refused(api, user, course, answer):
    given = {"user_id": user, "course_id": course}
    assert code(await api.post("/v1/enrolments", json=given)) == answer


async def test_changes_are_listed_by_time_with_the_cancelled(rig, api):
    rig.act("add_learners", course_id="crs_2", count=2)
    rig.app.clock.advance(60)
    first = (await api.get("/v1/enrolments?course_id=crs_2")).json()["data"][0]["id"]
    rig.act("progress", enrolment_id="enr_1", percent=70)
    rig.act("cancel", enrolment_id=first)
    since = {"changed_since": "2026-03-04T01:00:30Z"}
    found = (await api.get("/v1/enrolments", params=since)).json()["data"]
    assert {each["id"]: each["status"] for each in found} == {"enr_1": "active", first: "cancelled"}
    before = {"changed_since": "2026-03-01T00:00:00+08:00", "changed_before": "2026-03-04T01:00:30Z"}
    assert len((await api.get("/v1/enrolments", params=before)).json()["data"]) == 1
    for odd in ("yesterday", "2026-03-04T01:00:30"):
        assert code(await api.get("/v1/enrolments", params={"changed_since": odd})) == (400, "bad_request")


async def test_statuses_come_in_chunks_without_unknown_ids(rig, api):
    answer = await api.post("/v1/enrolments/status", json={"ids": ["enr_1", "enr_9"]})
    assert [each["percent"] for each in answer.json()["data"]] == [50]
    assert code(await api.post("/v1/enrolments/status", json={"ids": ["x"] * 26})) == (400, "too_many")
    assert code(await api.post("/v1/enrolments/status", json={"ids": "x"})) == (400, "bad_request")


async def test_percentages_may_be_fractions(rig, api):
    rig.switch(fraction=True)
    assert (await api.get("/v1/enrolments/enr_1")).json()["percent"] == 0.5
    rig.act("progress", enrolment_id="enr_1", percent="abc")
    assert (await api.get("/v1/enrolments/enr_1")).json()["percent"] == "abc"


async def test_calls_are_counted_by_endpoint(rig, api):
    for path in ("/v1/enrolments/enr_1", "/v1/enrolments/enr_1", "/v1/enrolments", "/v1/courses/crs_1"):
        await api.get(path)
    await api.post("/v1/enrolments/status", json={"ids": []})
    assert (await api.get("/_control/calls")).json() == {
        "GET /v1/enrolments/ID": 2,
        "GET /v1/enrolments": 1,
        "GET /v1/courses/ID": 1,
        "POST /v1/enrolments/status": 1,
    }


# what happens in the LMS


def test_progress_and_completion_are_told_apart(rig):
    rig.act("progress", enrolment_id="enr_1", percent=100)
    rig.act("complete", enrolment_id="enr_1", at="2026-03-04T08:00:00+08:00")
    rig.settle()
    events = rig.receiver.bodies
    assert [each["type"] for each in events] == ["enrolment.progressed", "enrolment.completed"]
    assert [each["enrolment"]["completed_at"] for each in events] == [None, "2026-03-04T00:00:00.000Z"]
    assert [each["enrolment"]["status"] for each in events] == ["active", "completed"]
    assert events[0]["id"] != events[1]["id"]


async def test_a_module_is_finished_on_its_day(rig, api):
    done = rig.act("complete_module", enrolment_id="enr_1", module_id="mod_1", at="2026-03-03T23:30:00+08:00")
    assert (int(done["percent"]), done["status"]) == (33, "active")
    modules = (await api.get("/v1/enrolments/enr_1")).json()["modules"]
    assert [each["completed_at"] for each in modules] == ["2026-03-03T15:30:00.000Z", None, None]
    assert rig.act("reset", enrolment_id="enr_1", quiet=True)["event_id"] is None
    modules = (await api.get("/v1/enrolments/enr_1")).json()["modules"]
    assert [each["completed_at"] for each in modules] == [None] * 3


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("progress", {"enrolment_id": "enr_9", "percent": 1}),
        ("complete_module", {"enrolment_id": "enr_1", "module_id": "mod_4"}),
        ("complete", {"enrolment_id": "enr_1", "at": "2026-03-04T08:00:00"}),
        ("resend", {"event_id": "evt_9"}),
        ("replay", {}),
        ("add_learners", {"course_id": "crs_1", "count": 0}),
    ],
)
async def test_an_action_that_makes_no_sense_is_refused(api, name, arguments):
    assert (await api.post(f"/_control/act/{name}", json=arguments)).status_code == 400


def test_an_event_is_sent_again_under_its_own_id_and_announced_under_a_new_one(rig):
    first = rig.act("progress", enrolment_id="enr_1", percent=60)["event_id"]
    rig.act("progress", enrolment_id="enr_1", percent=70)
    rig.act("resend", event_id=first)
    rig.act("announce", enrolment_id="enr_1")
    rig.act("noise")
    rig.settle()
    events = rig.receiver.bodies
    assert (events[2]["id"], events[2]["enrolment"]["percent"]) == (first, 60)
    assert len({each["id"] for each in events}) == 4
    assert (events[4]["type"], events[4]["enrolment"]) == ("course.published", None)


def test_only_the_newest_events_are_kept(rig, monkeypatch):
    monkeypatch.setattr(hooked_state, "MAX_EVENTS", 2)
    first, *_ = [rig.act("noise")["id"] for _ in range(3)]
    with pytest.raises(ValueError, match="there is no event"):
        rig.act("resend", event_id=first)


def test_a_storm_takes_every_learner_through_every_step(rig):
    rig.switch(at_once=8)
    ids = rig.act("add_learners", course_id="crs_1", count=10)
    assert rig.act("storm", enrolment_ids=ids, steps=[10, 20]) == 20
    rig.settle()
    assert len({each["enrolment"]["id"] for each in rig.receiver.bodies}) == 10
    assert len(rig.receiver.got) == 20


def test_an_event_may_name_only_its_enrolment(rig):
    rig.switch(values_in_events=False)
    rig.told()
    assert rig.receiver.bodies[0]["enrolment"] == {"id": "enr_1"}


# the body


def event_ids(value: Any) -> list[str]:
    return [each["id"] for each in value]


@pytest.mark.parametrize(("body", "batch", "sizes"), [("array", 3, [3, 2]), ("array", 1, [1] * 5)])
def test_an_array_carries_as_many_events_as_switched(rig, body, batch, sizes):
    rig.switch(body=body, batch=batch, linger_s=0.2)
    rig.told(1, 2, 3, 4, 5)
    assert [len(each) for each in rig.receiver.bodies] == sizes


def test_a_list_stands_under_a_key(rig):
    rig.switch(body="list", batch=10, linger_s=0.2, verify="token-body")
    rig.told(1, 2)
    (only,) = rig.receiver.bodies
    assert (only["count"], len(only["events"]), only["token"]) == (2, 2, SECRET)


def test_a_form_is_flat_and_what_is_null_is_empty(rig):
    rig.switch(body="form", batch=10)
    ((_, headers, body),) = rig.told()
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert (fields["type"], fields["enrolment_id"]) == ("enrolment.progressed", "enr_1")
    assert (fields["enrolment_percent"], fields["enrolment_completed_at"]) == ("60", "")


# the proof


def test_a_secret_may_be_the_end_of_the_path(rig):
    rig.switch(verify="secret-path")
    assert rig.told()[0][0] == f"/hooks/{SECRET}"


@pytest.mark.parametrize(
    ("verify", "header", "value"),
    [
        ("token-header", "x-hooked-token", SECRET),
        ("bearer", "authorization", f"Bearer {SECRET}"),
        ("basic", "authorization", "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()),
    ],
)
def test_a_credential_stands_in_a_header(rig, verify, header, value):
    rig.switch(verify=verify)
    assert rig.told()[0][1][header] == value


def test_a_token_stands_in_the_body(rig):
    rig.switch(verify="token-body", token_key="secret")
    rig.told()
    assert rig.receiver.bodies[0]["secret"] == SECRET


def test_an_unsigned_delivery_has_no_proof_at_all(rig):
    rig.switch(verify="none")
    ((path, headers, _),) = rig.told()
    assert path == "/hooks" and not {"authorization", "x-hooked-signature", "x-hooked-token"} & headers.keys()


@pytest.mark.parametrize("hash", ["sha256", "sha512", "sha1"])
@pytest.mark.parametrize(("key", "secret", "raw"), [("text", SECRET, SECRET.encode()), ("hex", HEX_SECRET, bytes.fromhex(HEX_SECRET)), ("base64", BASE64_SECRET, base64.b64decode(BASE64_SECRET))], ids=["text", "hex", "base64"])  # fmt: skip
def test_an_hmac_is_over_the_raw_body(rig, hash, key, secret, raw):
    rig.switch(hash=hash, key=key, secret=secret, signed="raw", prefix=f"{hash}=")
    ((_, headers, body),) = rig.told()
    expected = hmac.new(raw, body, getattr(hashlib, hash)).hexdigest()
    assert headers["x-hooked-signature"] == f"{hash}={expected}"


@pytest.mark.parametrize(
    ("encoding", "write"),
    [
        ("base64", lambda digest: base64.b64encode(digest).decode()),
        ("base64url", lambda digest: base64.urlsafe_b64encode(digest).decode().rstrip("=")),
    ],
    ids=["base64", "base64url"],
)
def test_an_hmac_may_cover_a_timestamp(rig, encoding, write):
    rig.switch(encoding=encoding, clock_skew_s=-600.0)
    ((_, headers, body),) = rig.told()
    at = int(START.timestamp()) - 600
    assert headers["x-hooked-timestamp"] == str(at)
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, "sha256").digest()
    assert headers["x-hooked-signature"] == write(digest)


def test_a_signature_may_be_one_of_a_list_with_its_time(rig):
    rig.switch(prefix="t={t},v1=", timestamp_header="")
    ((_, headers, body),) = rig.told()
    at = int(START.timestamp())
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, "sha256").hexdigest()
    assert headers["x-hooked-signature"] == f"t={at},v1={digest}" and "x-hooked-timestamp" not in headers


def test_a_second_signature_stands_before_the_right_one(rig):
    rig.switch(second_signature=True, signed="raw")
    ((_, headers, body),) = rig.told()
    first, right = headers["x-hooked-signature"].split(",")
    expected = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    assert right == expected != first


@pytest.mark.parametrize("wrong", [False, True])
def test_standard_webhooks_are_signed_with_id_time_and_body(rig, wrong):
    rig.switch(verify="standard-webhooks", secret=STANDARD_SECRET, wrong_signature=wrong)
    ((_, headers, body),) = rig.told()
    message, at = headers["webhook-id"], headers["webhook-timestamp"]
    key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{at}.".encode() + body, "sha256").digest()
    assert (headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}") is not wrong


async def key_of(api: httpx.AsyncClient, token: str) -> Any:
    found = (await api.get(JWKS, headers={"Authorization": ""})).json()
    return jwt.PyJWKSet.from_dict(found)[jwt.get_unverified_header(token)["kid"]]


def checked(token: str, key: Any) -> dict[str, Any]:
    options = {"verify_exp": False}  # the clock stands
    return jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER, options=options)


async def test_a_token_as_the_body_is_checked_with_the_published_key(rig, api):
    rig.switch(verify="jwt", body="jwt", batch=5, linger_s=0.2)
    ((_, headers, body),) = rig.told(1, 2)
    token = body.decode()
    claims = checked(token, await key_of(api, token))
    assert headers["content-type"] == "application/jwt"
    assert [each["enrolment"]["percent"] for each in claims["events"]] == [1, 2]
    assert claims["exp"] - claims["iat"] == 300


async def test_a_token_in_a_header_names_the_digest_of_the_body(rig, api):
    rig.switch(verify="jwt")
    ((_, headers, body),) = rig.told()
    token = headers["x-hooked-token"]
    assert checked(token, await key_of(api, token))["sha256"] == hashlib.sha256(body).hexdigest()


async def test_a_forged_token_does_not_fit_the_published_key(rig, api):
    rig.switch(verify="jwt", body="jwt", wrong_signature=True)
    ((_, _, body),) = rig.told()
    with pytest.raises(jwt.InvalidSignatureError):
        checked(body.decode(), await key_of(api, body.decode()))


async def test_keys_are_rotated_with_or_without_the_old_ones(rig, api):
    assert rig.act("rotate_keys") == "hooked-2"
    assert len((await api.get(JWKS)).json()["keys"]) == 2
    assert rig.act("rotate_keys", keep=False) == "hooked-3"
    assert len((await api.get(JWKS)).json()["keys"]) == 1


@pytest.mark.parametrize("verify", ["hmac", "token-header", "bearer", "basic", "secret-path", "token-body"])
def test_a_forgery_has_another_secret(rig, verify):
    rig.switch(verify=verify, signed="raw", wrong_signature=True)
    ((path, headers, body),) = rig.told()
    right = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    shown = f"{path} {headers} {body!r}"
    assert SECRET not in shown and right not in shown


# the way there


def test_nothing_is_sent_without_an_address_or_when_it_is_lost(rig):
    rig.switch(lost=True)
    rig.told()
    rig.switch(lost=False, hook_url="")
    rig.told()
    assert rig.receiver.got == []


def test_duplicates_are_the_same_event_again(rig):
    rig.switch(duplicates=2)
    rig.told(60, 70)
    assert [each["enrolment"]["percent"] for each in rig.receiver.bodies] == [60] * 3 + [70] * 3
    assert len({each["id"] for each in rig.receiver.bodies}) == 2


def test_what_was_gathered_may_be_sent_in_reverse(rig):
    rig.switch(reverse=True, linger_s=0.2)
    rig.told(1, 2, 3)
    assert [each["enrolment"]["percent"] for each in rig.receiver.bodies] == [3, 2, 1]


def test_a_late_delivery_is_overtaken(rig):
    rig.switch(delay_s=1.0, linger_s=0.0)
    rig.act("progress", enrolment_id="enr_1", percent=1)
    until(lambda: rig.app.vendor.postman._tasks, what="the delivery that waits")
    rig.switch(delay_s=0.0)
    rig.told(2)
    assert [each["enrolment"]["percent"] for each in rig.receiver.bodies] == [2, 1]


def test_what_is_refused_is_tried_again_signed_anew(rig):
    rig.receiver.statuses = [503, 302]
    rig.told()
    assert [(each.attempt, each.status) for each in rig.journal] == [(1, 503), (2, 302), (3, 200)]
    assert len({each.message for each in rig.journal}) == 1
    assert '"received"' in rig.journal[-1].reply


def test_what_stays_refused_is_given_up(rig):
    rig.receiver.statuses = [500] * 10
    rig.told()
    assert [each.attempt for each in rig.journal] == [1, 2, 3, 4]


def test_a_receiver_that_is_not_there_is_an_error_in_the_journal(rig):
    rig.switch(hook_url="http://127.0.0.1:9/hooks", retries=())
    rig.told()
    assert (rig.journal[0].status, rig.journal[0].error.partition(":")[0]) == (None, "ConnectError")


def test_a_request_is_replayed_as_it_was(rig):
    (sent,) = rig.told()
    replay = rig.act("replay")
    assert base64.b64decode(replay["body_base64"]) == sent[2]
    assert dict(map(tuple, replay["headers"]))["X-Hooked-Signature"] == sent[1]["x-hooked-signature"]
    rig.act("clear_deliveries")
    assert rig.journal == []


async def test_the_control_surface_shows_deliveries_and_takes_switches(rig, api):
    await api.post("/_control/switches", json={"duplicates": 1, "retries": [0.01]})
    await api.post("/_control/act/progress", json={"enrolment_id": "enr_1", "percent": 61})
    rig.settle()
    state = (await api.get("/_control/state")).json()
    assert (state["waiting"], [each["status"] for each in state["deliveries"]]) == (0, [200, 200])
    assert state["enrolments"][0]["percent"] == 61
    await api.post("/_control/reset", json={})
    state = (await api.get("/_control/state")).json()
    assert (state["deliveries"], state["enrolments"][0]["percent"]) == ([], 50)


@pytest.mark.parametrize(
    "odd",
    [
        {"verify": "hope"},
        {"body": "xml"},
        {"batch": 0},
        {"at_once": 0},
        {"verify": "standard-webhooks"},
        {"key": "hex"},
    ],
    ids=str,
)
def test_a_switch_with_an_odd_value_is_refused(odd):
    with pytest.raises(ValueError):
        HookedSwitches(**odd)


async def test_errors_by_fault_look_as_the_vendors_own(rig, api):
    rig.app.faults.arm(Fault(kind="error", status=500))
    assert code(await api.get("/v1/ping")) == (500, "trouble")


def test_it_runs_as_a_process():
    command = [sys.executable, "-m", "gateway.sandbox.hooked", "--port", "0", "--api-key", "k"]
    with subprocess.Popen(
        [*command, "--switches", '{"verify": "none"}'], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            answer = httpx.get(f"{url}/v1/ping", headers={"Authorization": "Bearer k"}, trust_env=False)
            assert answer.json() == {"ok": True}
            assert httpx.get(f"{url}/_control/switches", trust_env=False).json()["verify"] == "none"
        finally:
            process.terminate()
