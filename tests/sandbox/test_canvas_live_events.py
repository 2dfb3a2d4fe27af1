"""The live events of the Canvas stand-in: signed tokens as bodies (vendors/canvas.md 3.5 and 5.9)."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest

from gateway.sandbox.canvas import JWKS_PATH, create_canvas
from gateway.sandbox.canvas_keys import UNKNOWN_KID, Keys
from gateway.sandbox.canvas_login import TOKEN
from gateway.sandbox.canvas_seed import LIAM, MIA, SHARED, ZOE
from gateway.sandbox.canvas_switches import CHOICES, Switches
from gateway.sandbox.serve import running
from tests.support.receiver import Receiver
from tests.support.waiting import until

START = datetime(2026, 3, 2, 1, 10, tzinfo=UTC)
KEYS = Keys()  # one pair for all tests that do not change it: keys take long to make


class Rig:
    """The stand-in beside a receiver on a real socket."""

    def __init__(self, receiver: Receiver, url: str) -> None:
        self.receiver = receiver
        switches = Switches(hook_url=f"{url}/events", linger_s=0.03)
        self.app = create_canvas(switches, keys=KEYS, start=START)

    def switch(self, **changes: Any) -> None:
        self.app.vendor.switches = replace(self.app.vendor.switches, **changes)

    def act(self, action: str, /, **arguments: Any) -> Any:
        return self.app.vendor.actions[action](**arguments)

    def tell(self, **more: Any) -> Any:
        return self.act("tell", **{"course_id": 3571, "user_id": MIA, **more})

    def settle(self) -> None:
        assert self.app.vendor.hooks.idle()

    @property
    def tokens(self) -> list[str]:
        self.settle()
        return [body.decode() for _, _, body in self.receiver.got]

    @property
    def claims(self) -> list[dict[str, Any]]:
        return [jwt.decode(token, options={"verify_signature": False}) for token in self.tokens]

    @property
    def names(self) -> list[str]:
        return [each["metadata"]["event_name"] for each in self.claims]

    def key_for(self, token: str) -> jwt.PyJWK:
        """The published key with the token's kid, as a receiver would pick it. Raises KeyError."""
        keys = {each["kid"]: each for each in self.app.vendor.hooks.keys.jwks()["keys"]}
        return jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]])

    def verified(self, token: str, at: datetime = START) -> dict[str, Any]:
        """The claims of a token whose signature is right and whose time holds at `at`."""
        claims = jwt.decode(token, self.key_for(token), algorithms=["RS256"], options={"verify_exp": False})
        if at.timestamp() >= claims["exp"]:
            raise jwt.ExpiredSignatureError
        return claims


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
        transport=httpx.ASGITransport(rig.app),
        base_url="http://lms.test/api/v1/",
        headers={"Authorization": f"Bearer {TOKEN}"},
    ) as client:
        yield client


# the token and its keys


def test_the_body_is_a_token_that_a_published_key_verifies(rig):
    rig.tell()
    (token,) = rig.tokens
    assert rig.verified(token)["metadata"]["event_name"] == "course_progress"
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")


@pytest.mark.parametrize("content_type", CHOICES["hook_content_type"])
def test_the_content_type_varies_and_the_body_is_the_bare_token(rig, content_type):
    rig.switch(hook_content_type=content_type)
    rig.tell()
    (token,) = rig.tokens
    (path, headers, _), *_ = rig.receiver.got
    assert (path, headers["content-type"]) == ("/events", content_type)
    assert rig.verified(token)


async def test_two_public_keys_are_published_without_a_credential(rig):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rig.app), base_url="http://lms.test"
    ) as client:
        keys = (await client.get(JWKS_PATH)).json()["keys"]
    assert len({key["kid"] for key in keys}) == 2
    assert all(set(key) == {"kty", "use", "alg", "kid", "n", "e"} for key in keys)


def test_either_published_key_may_sign(rig):
    rig.tell()
    rig.settle()
    rig.switch(hook_older_key=True)
    rig.tell()
    first, second = rig.tokens
    assert jwt.get_unverified_header(first)["kid"] != jwt.get_unverified_header(second)["kid"]
    assert rig.verified(first) and rig.verified(second)


@pytest.mark.parametrize("way", ["argument", "switch"])
def test_a_token_of_another_key_names_a_published_one(rig, way):
    forge(rig, way, "other_key")
    (token,) = rig.tokens
    with pytest.raises(jwt.InvalidSignatureError):
        rig.verified(token)


@pytest.mark.parametrize("way", ["argument", "switch"])
def test_a_token_may_name_a_key_that_is_not_published(rig, way):
    forge(rig, way, "unknown_kid")
    (token,) = rig.tokens
    assert jwt.get_unverified_header(token)["kid"] == UNKNOWN_KID
    with pytest.raises(KeyError):
        rig.verified(token)


def test_a_token_may_be_unsigned(rig):
    forge(rig, "argument", "unsigned")
    (token,) = rig.tokens
    assert jwt.get_unverified_header(token)["alg"] == "none"
    with pytest.raises(jwt.InvalidAlgorithmError):
        rig.verified(token)


def forge(rig: Rig, way: str, forgery: str) -> None:
    if way == "switch":
        rig.switch(hook_forgery=forgery)
    rig.tell(**({"forgery": forgery} if way == "argument" else {}))


def test_a_token_ends_after_its_life_and_may_be_expired_when_it_comes(rig):
    rig.tell()
    rig.tell(expired=True)
    rig.settle()
    rig.switch(hook_clock_skew_s=-600.0)
    rig.tell()
    good, old, skewed = rig.tokens
    assert rig.verified(good)["exp"] - rig.verified(good)["iat"] == 300
    for token in (old, skewed):
        with pytest.raises(jwt.ExpiredSignatureError):
            rig.verified(token)


def test_a_token_may_have_no_times_at_all(rig):
    rig.switch(hook_life_s=0)
    rig.tell()
    assert set(rig.claims[0]) == {"metadata", "body"}


def test_the_event_may_lie_one_level_down(rig):
    rig.switch(hook_layout="data")
    rig.tell()
    assert set(rig.claims[0]) == {"data", "iat", "exp"}
    assert set(rig.claims[0]["data"]) == {"metadata", "body"}


def test_keys_are_rotated_with_or_without_the_one_before():
    keys = Keys()
    first, second = [key["kid"] for key in keys.jwks()["keys"]]
    third = keys.rotate()
    assert [key["kid"] for key in keys.jwks()["keys"]] == [second, third]
    fourth = keys.rotate(keep=False)
    assert [key["kid"] for key in keys.jwks()["keys"]] == [fourth]
    assert jwt.get_unverified_header(keys.token({}))["kid"] == fourth
    assert first not in (second, third, fourth)


# what an event says


def test_a_progress_event_has_local_ids_as_texts_in_its_body_and_global_ones_beside(rig):
    rig.act("set_progress", course_id=3571, user_id=MIA, completed=5)
    (event,) = rig.claims
    assert event["body"] == {
        "course": {
            "account_id": "1",
            "id": "3571",
            "name": "Certificate III in Business",
            "sis_source_id": "BSB30120-2026",
        },
        "progress": {
            "requirement_count": 10,
            "requirement_completed_count": 5,
            "next_requirement_url": "https://sandbox.canvas.example/courses/3571/modules/items/60005",
            "completed_at": None,
        },
        "user": {"id": "8121", "name": "Mia Tan", "email": "mia.tan@example.org"},
    }
    metadata = event["metadata"]
    assert (metadata["event_name"], metadata["event_time"]) == ("course_progress", "2026-03-02T01:10:00Z")
    assert (metadata["root_account_id"], metadata["user_id"]) == ("10000000000001", "10000000008121")
    assert metadata["root_account_uuid"]


def test_ids_in_the_body_may_be_global_too(rig):
    rig.switch(hook_global_ids=True)
    rig.tell()
    body = rig.claims[0]["body"]
    assert (body["course"]["id"], body["user"]["id"]) == ("10000000003571", "10000000008121")


async def test_an_id_of_another_shard_is_the_same_everywhere(rig, api):
    rig.act("add_learners", course_id=SHARED, count=1, prefix="far")
    rig.tell(course_id=SHARED, user_id="sis_user_id:far-0")
    event = rig.claims[0]
    assert event["body"]["course"]["id"] == event["metadata"]["context_id"] == str(SHARED)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("set_progress", {"completed": 5}, ["course_progress"]),
        ("set_progress", {"completed": 10}, ["course_completed"]),
        ("set_progress", {"completed": 4}, []),
        ("set_progress", {"completed": 3}, []),
        ("set_progress", {"completed": 5, "quiet": True}, []),
        ("complete", {}, ["course_completed"]),
        ("complete", {"quiet": True}, []),
        ("fall_back", {"completed": 1}, []),
    ],
    ids=str,
)
def test_which_events_a_learner_sends(rig, name, arguments, told):
    rig.act(name, course_id=3571, user_id=MIA, **arguments)
    assert rig.names == told


def test_the_last_requirement_may_send_both_events(rig):
    rig.switch(hook_last_is_both=True)
    rig.act("complete", course_id=3571, user_id=MIA)
    assert rig.names == ["course_progress", "course_completed"]
    assert all(each["body"]["progress"]["completed_at"] for each in rig.claims)


def test_a_completion_may_fire_again_and_still_name_a_next_requirement(rig):
    rig.switch(hook_next_url_when_complete=True)
    rig.tell(name="course_completed", user_id=LIAM)
    rig.tell(name="course_completed", user_id=LIAM)
    assert rig.names == ["course_completed"] * 2
    found = rig.claims[0]["body"]["progress"]
    assert found["requirement_count"] == found["requirement_completed_count"] == 10
    assert found["next_requirement_url"]


def test_a_completion_told_too_early_has_its_true_counts(rig):
    rig.tell(name="course_completed")
    found = rig.claims[0]["body"]["progress"]
    assert (found["requirement_completed_count"], found["completed_at"]) == (4, None)


async def test_enrolling_and_ending_over_the_api_send_events(rig, api):
    made = (await api.post("courses/3578/enrollments", json={"enrollment": {"user_id": ZOE}})).json()
    await api.delete(f"courses/3578/enrollments/{made['id']}?task=deactivate")
    assert rig.names == ["enrollment_created", "enrollment_updated"]
    bodies = [each["body"] for each in rig.claims]
    assert [each["workflow_state"] for each in bodies] == ["invited", "inactive"]
    assert {(each["enrollment_id"], each["course_id"], each["user_id"]) for each in bodies} == {
        (str(made["id"]), "3578", str(ZOE))
    }


def test_an_administrator_who_ends_an_enrolment_sends_an_event_unless_quiet(rig):
    rig.act("end_enrolment", enrolment_id=91240)
    rig.act("end_enrolment", enrolment_id=91243, quiet=True)
    assert [each["body"]["workflow_state"] for each in rig.claims] == ["deleted"]


async def test_a_new_grade_sends_an_event_and_the_same_again_none(rig, api):
    path = f"courses/3571/assignments/7710/submissions/{MIA}"
    for _ in "12":
        await api.put(path, json={"submission": {"posted_grade": "18"}})
    (event,) = rig.claims
    assert (event["metadata"]["event_name"], event["body"]["score"]) == ("grade_change", 18.0)


def test_other_events_are_sent_by_hand(rig):
    rig.act("noise")
    rig.act("noise", name="something_new")
    assert rig.names == ["course_updated", "something_new"]


def test_a_stream_may_have_chosen_types(rig):
    rig.switch(hook_types=("course_completed",))
    rig.tell()
    rig.tell(name="course_completed")
    assert rig.names == ["course_completed"]


# the way there


def test_nothing_is_sent_without_an_address_or_when_it_is_lost(rig):
    rig.switch(lost=True)
    rig.tell()
    rig.switch(lost=False, hook_url="")
    rig.tell()
    assert rig.tokens == []


def test_duplicates_come_as_often_as_asked_and_a_resent_event_as_it_was(rig):
    rig.switch(duplicates=2)
    event = rig.tell()
    rig.settle()
    rig.switch(duplicates=0)
    rig.act("set_progress", course_id=3571, user_id=MIA, completed=9, quiet=True)
    rig.act("resend", event_id=event["id"])
    bodies = [json.dumps(each["body"]) for each in rig.claims]
    assert len(bodies) == 4 and len(set(bodies)) == 1


def test_what_was_gathered_may_come_in_reverse(rig):
    rig.switch(reverse=True)
    for completed in (5, 6, 7):
        rig.act("set_progress", course_id=3571, user_id=MIA, completed=completed)
    counts = [each["body"]["progress"]["requirement_completed_count"] for each in rig.claims]
    assert counts == [7, 6, 5]


def test_a_late_delivery_is_overtaken(rig):
    rig.switch(delay_s=0.5, linger_s=0.0)
    rig.tell(name="course_completed")
    until(lambda: rig.app.vendor.hooks.postman._tasks, what="the delivery that waits")
    rig.switch(delay_s=0.0)
    rig.tell()
    assert rig.names == ["course_progress", "course_completed"]


def test_a_held_event_comes_later_signed_anew(rig):
    rig.receiver.statuses = [503, 500]
    rig.tell()
    assert len(rig.tokens) == 3 and all(rig.verified(token) for token in rig.tokens)
    sent = rig.app.vendor.state()["deliveries"]
    assert [(each["attempt"], each["status"]) for each in sent] == [(1, 503), (2, 500), (3, 200)]


def test_repeated_failures_deactivate_the_stream_until_it_is_switched_on_again(rig):
    rig.switch(hook_failures_allowed=2, retries=(0.01,))
    rig.receiver.statuses = [500, 500]
    rig.tell()
    rig.settle()
    assert rig.app.vendor.state()["stream_deactivated"] is True
    rig.tell(name="course_completed")
    assert rig.names == ["course_progress"] * 2
    rig.act("reactivate_stream")
    rig.tell(name="course_completed")
    assert rig.names[2:] == ["course_completed"]


def test_a_request_is_replayed_as_it_was(rig):
    rig.tell()
    (token,) = rig.tokens
    replay = rig.act("replay")
    assert base64.b64decode(replay["body_base64"]).decode() == token
    assert dict(replay["headers"]) == {"Content-Type": "application/jwt"}


def test_deliveries_are_forgotten_on_demand(rig):
    event = rig.tell()
    rig.settle()
    rig.act("clear_deliveries")
    assert rig.app.vendor.state()["deliveries"] == []
    with pytest.raises(ValueError, match="no event"):
        rig.act("resend", event_id=event["id"])


async def test_an_event_is_sent_over_the_control_surface(rig, api):
    given = {"course_id": "3571", "user_id": "sis_user_id:rtop-204", "name": "course_completed"}
    assert (await api.post("http://lms.test/_control/act/tell", json=given)).status_code == 200
    assert rig.names == ["course_completed"]
