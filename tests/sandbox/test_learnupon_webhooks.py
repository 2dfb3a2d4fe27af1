"""The webhooks of the LearnUpon stand-in, versions 1 and 2 (vendors/learnupon.md 5 and 7)."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from gateway.sandbox import learnupon_hooks
from gateway.sandbox.learnupon import PASSWORD, USERNAME, create_learnupon
from gateway.sandbox.learnupon_hooks import seal_v1, seal_v2
from gateway.sandbox.learnupon_payloads import TYPES
from gateway.sandbox.learnupon_switches import SECRET, Switches
from gateway.sandbox.serve import running
from tests.support.receiver import Receiver
from tests.support.waiting import until

START = datetime(2026, 3, 4, 1, 2, 3, tzinfo=UTC)
MIA, ZOE, CARL = 880231, 880232, 880233

# The sheet's vectors: 5.1 and 5.2.
VECTOR_SECRET = "otter-lamp-42"
SIGNED_V1 = '{"header":{"source":"LearnUpon","version":1,"webhookId":90017,"attempt":1,"lastAttemptAt":"2026-03-04T01:02:03Z","webHookType":"course_completion"},"user":{"userId":5501,"email":"mia.tan@example.org"},"enrollmentId":880231,"courseId":3310,"percentage":100,"enrollmentStatus":"passed","modules":[{"id":71,"percentage":100.0}]}'
MD5_V1, MD5_OF_100 = "b0e0142ac6380a9ab8873804f92a8cf3", "64d49424e88e0b369f62bd5aece03821"
BODY_V2 = b'{"data":[{"webhookType":"course_completion","eventCreated":"2026-03-04T01:02:03.000Z","enrollmentId":880231,"courseId":3310,"enrollmentStatus":"passed"}]}'
HMAC_V2 = "fa80c9b12d7bec796d97f370ba3768b6fca857135616388ab3ed5a7b4467f604"


class Rig:
    """The stand-in beside a receiver on a real socket: version 1 goes to /one, version 2 to /two."""

    def __init__(self, receiver: Receiver, url: str) -> None:
        self.receiver, self.url = receiver, url
        self.app = create_learnupon(
            Switches(hook_v1_url=f"{url}/one", hook_v2_url=f"{url}/two", hook_linger_s=0.1), start=START
        )

    def switch(self, **changes: Any) -> None:
        self.app.vendor.switches = replace(self.app.vendor.switches, **changes)

    def only(self, version: int) -> None:
        self.switch(**{"hook_v2_url" if version == 1 else "hook_v1_url": ""})

    def act(self, name: str, **arguments: Any) -> Any:
        return self.app.vendor.actions[name](**arguments)

    def settle(self) -> None:
        assert self.app.vendor.hooks.idle()

    def came(self, version: int) -> list[tuple[dict[str, str], bytes]]:
        """Headers and bodies that came for this version."""
        self.settle()
        path = {1: "/one", 2: "/two"}[version]
        return [(headers, body) for where, headers, body in self.receiver.got if where == path]

    def bodies(self, version: int) -> list[Any]:
        return [json.loads(body) for _, body in self.came(version)]

    def events(self) -> list[Any]:
        """The events of all batches of version 2."""
        return [event for body in self.bodies(2) for event in body["data"]]

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        return self.app.vendor.hooks.deliveries


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
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rig.app), base_url="http://lms.test/api/v1/", auth=(USERNAME, PASSWORD)
    ) as client:
        yield client


def right_v1(body: bytes, secret: str = SECRET) -> bool:
    """The sheet's rule, on the raw bytes: cut the member and one comma, then MD5 of it, a colon, the secret."""
    found = re.search(rb',"signature":"([0-9a-f]{32})"|"signature":"([0-9a-f]{32})",', body)
    assert found is not None
    cut = body[: found.start()] + body[found.end() :]
    digest = hashlib.md5(cut + b":" + secret.encode(), usedforsecurity=False).hexdigest()
    return digest.encode() == (found[1] or found[2])


def right_v2(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    return headers["x-webhook-signature"] == hmac.new(secret.encode(), body, "sha256").hexdigest()


# the vectors


def test_version_1_is_sealed_as_the_vector_says():
    rest = json.loads(SIGNED_V1)
    sealed = seal_v1(rest.pop("header"), rest, VECTOR_SECRET)
    assert sealed == SIGNED_V1.replace('_completion"}', f'_completion","signature":"{MD5_V1}"}}', 1)
    assert right_v1(sealed.encode(), VECTOR_SECRET)


def test_version_1_is_sealed_over_the_figures_as_they_are_written():
    rest = json.loads(SIGNED_V1.replace("100.0", "100"))
    assert f'"signature":"{MD5_OF_100}"' in seal_v1(rest.pop("header"), rest, VECTOR_SECRET)


def test_a_signature_in_front_leaves_its_own_comma():
    rest = json.loads(SIGNED_V1)
    sealed = seal_v1(rest.pop("header"), rest, VECTOR_SECRET, first=True)
    assert sealed == SIGNED_V1.replace('{"source"', f'{{"signature":"{MD5_V1}","source"', 1)


def test_version_1_without_anything_but_its_header_is_json():
    assert list(json.loads(seal_v1({"version": 1}, {}, VECTOR_SECRET))) == ["header"]


def test_version_2_is_sealed_as_the_vector_says():
    assert seal_v2(BODY_V2, VECTOR_SECRET) == HMAC_V2


# version 1


def test_version_1_says_what_the_sheet_shows(rig):
    rig.act("complete", enrolment_id=MIA, status="passed", score=100)
    ((headers, raw),) = rig.came(1)
    body = json.loads(raw)
    header = body.pop("header")
    assert headers["content-type"] == "application/json" and right_v1(raw)
    assert len(header.pop("signature")) == 32
    assert header == {
        "source": "LearnUpon",
        "version": 1,
        "webhookId": 90017,
        "attempt": 1,
        "lastAttemptAt": "2026-03-04T01:02:03Z",
        "webHookType": "course_completion",
    }
    assert list(body) == [
        "user", "enrollmentId", "courseId", "courseName", "courseReferenceCode", "courseMetaData", "modules",
        "credits", "courseAccessExpiresAt", "certification", "certificationName", "certExpiresAt",
        "wasRecertified", "dateEnrolled", "dateStarted", "dateCompleted", "percentage", "enrollmentStatus",
        "hasAttemptsRemaining",
    ]  # fmt: skip
    assert (body["enrollmentId"], body["courseId"], body["enrollmentStatus"]) == (MIA, 3310, "passed")
    assert (body["dateCompleted"], body["user"]["username"]) == ("2026-03-04T01:02:03Z", None)


def test_version_1_writes_figures_with_a_point_and_escapes(rig):
    rig.act("complete_module", enrolment_id=ZOE, module_id=81)
    ((_, raw),) = rig.came(1)
    assert b'"percentage":100.0' in raw and b"R\\u0026D Methods" in raw
    assert [module["dateCompleted"] for module in json.loads(raw)["modules"]] == [None, None]
    again = json.dumps(json.loads(raw), separators=(",", ":"), ensure_ascii=False).encode()
    assert right_v1(raw) and not right_v1(again)


def test_the_signature_may_be_the_first_member(rig):
    rig.switch(hook_v1_signature_first=True)
    rig.act("tell", enrolment_id=MIA)
    ((_, raw),) = rig.came(1)
    assert raw.startswith(b'{"header":{"signature":"') and right_v1(raw)


@pytest.mark.parametrize("kind", ["form", "query"])
def test_version_1_may_come_in_a_field_named_payload(rig, kind):
    rig.switch(hook_v1_as=kind, hook_v2_url="")
    rig.act("tell", enrolment_id=ZOE)
    ((headers, raw),) = rig.came(1)
    field = raw.decode() if kind == "form" else rig.receiver.queries[0]
    payload = parse_qs(field)["payload"][0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert right_v1(payload.encode()) and json.loads(payload)["enrollmentId"] == ZOE
    assert (raw == b"") is (kind == "query")


def test_a_query_field_joins_those_of_the_address(rig):
    rig.switch(hook_v1_as="query", hook_v1_url=f"{rig.url}/one?tenant=7", hook_v2_url="")
    rig.act("tell", enrolment_id=ZOE)
    rig.settle()
    assert list(parse_qs(rig.receiver.queries[0])) == ["tenant", "payload"]


# version 2


def test_version_2_carries_its_proof_type_and_id_in_headers(rig):
    rig.act("complete", enrolment_id=MIA, status="failed", score=20)
    ((headers, raw),) = rig.came(2)
    assert right_v2(headers, raw)
    assert (headers["x-webhook-type"], headers["x-webhook-id"]) == ("course_completion", "410001")
    (event,) = json.loads(raw)["data"]
    assert (event["webhookType"], event["eventCreated"]) == ("course_completion", "2026-03-04T01:02:03.000Z")
    assert (event["enrollmentId"], event["enrollmentStatus"]) == (MIA, "failed")
    assert event["dateCompleted"] == "2026-03-04T01:02:03.000Z"
    assert not [name for name in headers if "learnupon" in name]


@pytest.mark.parametrize(
    ("wish", "flat"), [("by_type", [False, True]), ("object", [False, False]), ("flat", [True, True])]
)
def test_the_learner_is_an_object_or_flat(rig, wish, flat):
    rig.switch(hook_v2_user=wish)
    rig.act("tell", enrolment_id=MIA)
    rig.act("tell", enrolment_id=MIA, type="module_complete", module_id=71)
    events = rig.events()
    assert [event.get("userId") == 5501 and "user" not in event for event in events] == flat
    assert [event.get("user", {}).get("userId") == 5501 for event in events] == [not each for each in flat]


def test_an_event_may_not_name_its_type(rig):
    rig.switch(hook_v2_type_key="")
    rig.act("tell", enrolment_id=MIA)
    assert list(rig.events()[0])[:2] == ["eventCreated", "user"]


def test_events_of_one_type_share_a_post_up_to_ten(rig):
    many = rig.act("add_learners", course_id=3320, count=12)
    for id in many:
        rig.act("complete_module", enrolment_id=id, module_id=81)
        rig.act("complete", enrolment_id=id)
    sizes = [(headers["x-webhook-type"], len(json.loads(body)["data"])) for headers, body in rig.came(2)]
    assert sizes == [
        ("module_complete", 10),
        ("module_complete", 2),
        ("course_completion", 10),
        ("course_completion", 2),
    ]
    assert len(rig.came(1)) == 24


def test_batches_may_be_smaller(rig):
    rig.switch(hook_v2_batch=2)
    for _ in range(3):
        rig.act("tell", enrolment_id=MIA)
    assert [len(body["data"]) for body in rig.bodies(2)] == [2, 1]


def test_an_administrator_may_choose_types_for_version_2_only(rig):
    rig.switch(hook_v2_types=("course_completion",))
    rig.act("complete_module", enrolment_id=MIA, module_id=73)
    rig.act("complete", enrolment_id=MIA)
    assert [headers["x-webhook-type"] for headers, _ in rig.came(2)] == ["course_completion"]
    assert [body["header"]["webHookType"] for body in rig.bodies(1)] == [
        "module_complete",
        "course_completion",
    ]


# which events there are


def types(rig: Rig) -> list[str]:
    return [body["header"]["webHookType"] for body in rig.bodies(1)]


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("complete", {}, ["course_completion"]),
        ("complete", {"status": "failed"}, ["course_completion"]),
        ("complete", {"status": "pending_review"}, []),
        ("complete", {"quiet": True}, []),
        ("complete_module", {"module_id": 71}, ["module_complete"]),
        ("complete_module", {"module_id": 72}, ["module_complete", "exam_completion"]),
        ("complete_module", {"module_id": 71, "status": "in_progress"}, []),
        ("complete_module", {"module_id": 72, "quiet": True}, []),
        ("mark_complete", {}, ["course_completion"]),
        ("set_progress", {"percent": 50}, []),
        ("relaunch", {}, []),
        ("unenrol", {}, []),
    ],
    ids=str,
)
def test_which_events_a_change_sends(rig, name, arguments, told):
    rig.act(name, enrolment_id=MIA, **arguments)
    assert types(rig) == told
    assert [event["webhookType"] for event in rig.events()] == told


@pytest.mark.parametrize(("switched", "told"), [(True, ["course_completion"]), (False, [])])
async def test_a_result_over_the_api_sends_a_completion_if_switched_so(rig, api, switched, told):
    rig.switch(hook_on_mark_complete=switched)
    given = {"enrollment_id": MIA, "status": "completed"}
    assert (await api.post("markcompletes", json={"Markcomplete": given})).status_code == 200
    assert types(rig) == told


async def test_calls_that_enrol_or_end_send_nothing(rig, api):
    await api.post("enrollments", json={"Enrollment": {"username": "rto-204", "course_id": 3310}})
    await api.delete(f"enrollments/{MIA}")
    assert rig.came(1) == rig.came(2) == []


def test_an_exam_says_its_name_and_result(rig):
    rig.act("complete_module", enrolment_id=MIA, module_id=72, status="failed", score=40.0)
    _, exam = rig.bodies(1)
    assert (exam["examName"], exam["status"], exam["attemptsTaken"]) == ("TSTABC302 Run a test", "failed", 1)
    assert (exam["passPercentage"], exam["modules"][1]["percentage"]) == (80, 40.0)


@pytest.mark.parametrize("type", [*TYPES, "something_new"])
def test_every_type_is_sent_by_hand_in_both_versions(rig, type):
    rig.act("tell", type=type, enrolment_id=CARL)
    (first,), (second,) = rig.bodies(1), rig.events()
    assert (first["header"]["webHookType"], second["webhookType"]) == (type, type)
    assert first["enrollmentId"] == second["enrollmentId"] == CARL


@pytest.mark.parametrize(
    ("about", "course"), [({"course_id": 3320}, 3320), ({}, None)], ids=["course", "nothing"]
)
def test_an_event_may_be_about_no_learner(rig, about, course):
    rig.act("tell", type="course_updated", **about)
    (first,), (second,) = rig.bodies(1), rig.events()
    assert first.get("courseId") == second.get("courseId") == course
    assert "enrollmentId" not in first and "user" not in second


# what can go wrong on the way


def test_nothing_is_sent_without_an_address_or_when_it_is_lost(rig):
    rig.only(2)
    rig.act("tell", enrolment_id=MIA)
    assert (len(rig.came(1)), len(rig.came(2))) == (0, 1)
    rig.switch(hook_lost=True)
    rig.act("tell", enrolment_id=MIA)
    assert len(rig.came(2)) == 1


def test_a_forgery_is_signed_with_another_secret(rig):
    rig.act("tell", enrolment_id=MIA, forged=True)
    ((_, first),), ((headers, second),) = rig.came(1), rig.came(2)
    assert not right_v1(first) and not right_v2(headers, second)
    assert right_v1(first, learnupon_hooks.OTHER_SECRET)
    rig.act("tell", enrolment_id=MIA)
    assert right_v1(rig.came(1)[1][1]) and right_v2(*rig.came(2)[1])


def test_everything_may_be_forged(rig):
    rig.switch(hook_wrong_signature=True)
    rig.act("tell", enrolment_id=MIA)
    assert not right_v1(rig.came(1)[0][1]) and not right_v2(*rig.came(2)[0])


def test_duplicates_share_their_id_and_a_resent_event_has_a_new_one(rig):
    rig.switch(hook_duplicates=1)
    event = rig.act("tell", enrolment_id=MIA)
    rig.settle()
    rig.switch(hook_duplicates=0)
    rig.act("resend", event_id=event["id"])
    assert [body["header"]["webhookId"] for body in rig.bodies(1)] == [90017, 90017, 90018]
    assert [headers["x-webhook-id"] for headers, _ in rig.came(2)] == ["410001", "410001", "410002"]
    assert len({json.dumps(event) for event in rig.events()}) == 1


def test_what_was_gathered_may_be_sent_in_reverse(rig):
    rig.switch(hook_reverse=True)
    for id in (MIA, ZOE, CARL):
        rig.act("tell", enrolment_id=id)
    assert [body["enrollmentId"] for body in rig.bodies(1)] == [CARL, ZOE, MIA]


def test_a_late_delivery_is_overtaken(rig):
    rig.only(1)
    rig.switch(hook_delay_s=1.0, hook_linger_s=0.0)
    rig.act("tell", enrolment_id=MIA)
    until(lambda: rig.app.vendor.hooks.postmen[1]._tasks, what="the delivery that waits")
    rig.switch(hook_delay_s=0.0)
    rig.act("tell", enrolment_id=ZOE)
    assert [body["enrollmentId"] for body in rig.bodies(1)] == [ZOE, MIA]


def test_what_is_refused_is_tried_again_and_the_attempts_are_counted(rig):
    rig.only(1)
    rig.receiver.statuses = [503, 404]
    rig.act("tell", enrolment_id=MIA)
    headers = [body["header"] for body in rig.bodies(1)]
    assert [(each["attempt"], each["webhookId"]) for each in headers] == [(1, 90017), (2, 90017), (3, 90017)]
    assert all(right_v1(raw) for _, raw in rig.came(1))
    assert [(each["attempt"], each["status"]) for each in rig.deliveries] == [(1, 503), (2, 404), (3, 200)]


def test_a_refused_batch_is_sent_again_as_it_was(rig):
    rig.only(2)
    rig.receiver.statuses = [500]
    rig.act("tell", enrolment_id=MIA)
    rig.act("tell", enrolment_id=ZOE)
    (first, first_body), (second, second_body) = rig.came(2)
    assert first_body == second_body and first["x-webhook-id"] == second["x-webhook-id"]


def test_a_request_is_replayed_as_it_was(rig):
    rig.act("tell", enrolment_id=MIA)
    (headers, raw), *_ = rig.came(2)
    replay = rig.act("replay", version=2)
    assert base64.b64decode(replay["body_base64"]) == raw
    assert dict(replay["headers"])["X-Webhook-Signature"] == headers["x-webhook-signature"]
    rig.act("clear_deliveries")
    assert rig.deliveries == []


def test_only_the_newest_events_are_kept(rig, monkeypatch):
    monkeypatch.setattr(learnupon_hooks, "MAX_EVENTS", 2)
    first, *_ = [rig.act("tell", enrolment_id=MIA)["id"] for _ in range(3)]
    with pytest.raises(ValueError, match="there is no event"):
        rig.act("resend", event_id=first)


async def test_the_state_shows_deliveries_of_both_versions(rig, api):
    await api.post("http://lms.test/_control/act/complete", json={"enrolment_id": MIA})
    rig.settle()
    state = (await api.get("http://lms.test/_control/state")).json()
    assert [(each["version"], each["status"]) for each in state["deliveries"]] == [(1, 200), (2, 200)]
    assert state["waiting"] == 0
