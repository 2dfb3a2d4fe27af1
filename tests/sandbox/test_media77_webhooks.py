"""The webhook of the 77media stand-in: bundles, tokens and what goes wrong on the way (vendors/77media.md 4 and 7)."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.sandbox.control import StandIn
from gateway.sandbox.media77 import create_media77
from gateway.sandbox.media77_hooks import OTHER_TOKEN
from gateway.sandbox.media77_rows import FIELDS
from gateway.sandbox.media77_seed import ANA, KIM, PORTAL
from gateway.sandbox.media77_switches import PRODUCTION_HOST, PRODUCTION_LMS_ID, TOKEN, Switches
from gateway.sandbox.serve import running
from tests.support.receiver import Receiver

START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
REG = "7d9f2c60-0a41-4c1e-b1a5-2f0e6d3b9a01"
LINK = (
    f"https://{PRODUCTION_HOST}/c/hygiene/#/?reg={REG}&em=mia.tan%40rto.example&fn=Mia%20Tan"
    f"&dom=learn.rto.example&lmsId={PRODUCTION_LMS_ID}"
)


class Rig:
    """The stand-in beside a receiver on a real socket."""

    def __init__(self, receiver: Receiver, url: str) -> None:
        self.receiver = receiver
        switches = Switches(hook_url=f"{url}/hooks", linger_s=0.02, retries=(0.01, 0.01, 0.01))
        self.app: StandIn = create_media77(switches=switches, start=START)

    def switch(self, **changes: Any) -> None:
        self.app.vendor.switches = replace(self.app.vendor.switches, **changes)

    def act(self, name: str, /, **arguments: Any) -> Any:
        return self.app.vendor.actions[name](**arguments)

    def settle(self) -> None:
        assert self.app.vendor.hooks.postman.idle()

    @property
    def came(self) -> list[tuple[str, dict[str, str], bytes]]:
        self.settle()
        return self.receiver.got

    @property
    def bodies(self) -> list[Any]:
        self.settle()
        return self.receiver.bodies

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of all deliveries that are objects with `rows`."""
        return [row for body in self.bodies for row in body["rows"]]

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        self.settle()
        return self.app.vendor.state()["deliveries"]


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


# when something is sent


def test_progress_is_told_with_the_fields_of_the_report_and_the_token(rig):
    rig.act("launch", url=LINK)
    rig.act("progress", reg=REG, progress=40)
    (body,) = rig.bodies
    assert list(body) == ["rows", "token"] and body["token"] == TOKEN
    (row,) = body["rows"]
    assert tuple(row) == FIELDS
    assert (row["registration"], row["firstName"], row["progress"]) == (REG, "Mia", "40")
    ((path, headers, _),) = rig.came
    assert (path, headers["content-type"]) == ("/hooks", "application/json")
    assert "authorization" not in headers


def test_a_launch_alone_tells_nothing(rig):
    rig.act("launch", url=LINK)
    assert rig.bodies == []


@pytest.mark.parametrize(
    ("name", "more", "progress", "completed"),
    [
        ("progress", {"progress": 80}, "80", "2026-03-02T02:00:00.000Z"),
        ("progress", {"progress": 60, "completed": True}, "60", "2026-03-04T01:00:00.000Z"),
        ("complete", {}, "100", "2026-03-04T01:00:00.000Z"),
        ("fall_back", {"progress": 5}, "5", None),
        ("tell", {}, "100", "2026-03-02T02:00:00.000Z"),
    ],
)
def test_what_a_learner_does_is_told_as_it_stands(rig, name, more, progress, completed):
    rig.act(name, reg=KIM, **more)
    (row,) = rig.rows
    assert (row["progress"], row["dateCompleted"]) == (progress, completed)


@pytest.mark.parametrize("name", ["progress", "complete", "fall_back"])
def test_a_quiet_change_tells_nothing(rig, name):
    more = {"progress": 5} if name == "progress" else {}
    assert rig.act(name, reg=ANA, quiet=True, **more)["event_id"] is None
    assert rig.act("many", values=[(ANA, 6)], quiet=True) == 1
    assert len(rig.act("strangers", quiet=True)) == 1
    assert rig.bodies == []


@pytest.mark.parametrize("changes", [{"lost": True}, {"hook_url": ""}])
def test_nothing_is_sent_without_an_address_or_when_all_is_lost(rig, changes):
    rig.switch(**changes)
    rig.act("progress", reg=ANA, progress=5)
    assert (rig.bodies, rig.deliveries) == ([], [])


# the forms


def test_many_updates_come_in_bundles_of_25(rig):
    assert rig.act("many", values=[(ANA, number) for number in range(60)]) == 60
    assert [len(body["rows"]) for body in rig.bodies] == [25, 25, 10]
    assert [int(row["progress"]) for row in rig.rows] == list(range(60))
    assert [len(each["events"]) for each in rig.deliveries] == [25, 25, 10]


def test_a_bundle_of_one_lists_one_row(rig):
    rig.switch(hook_bundle=1)
    rig.act("many", values=[(ANA, 1), (KIM, 2)])
    assert [len(body["rows"]) for body in rig.bodies] == [1, 1]


@pytest.mark.parametrize("key", ["rows", "data", "records", "updates", "activities"])
def test_the_list_stands_under_the_switched_name(rig, key):
    rig.switch(hook_key=key)
    rig.act("many", values=[(ANA, 1), (KIM, 2)])
    (body,) = rig.bodies
    assert [row["registration"] for row in body[key]] == [ANA, KIM]


def test_an_array_of_rows_has_the_token_in_each(rig):
    rig.switch(hook_body="array", hook_proof="rows")
    rig.act("many", values=[(ANA, 1), (KIM, 2)])
    (body,) = rig.bodies
    assert [(row["registration"], row["token"]) for row in body] == [(ANA, TOKEN), (KIM, TOKEN)]


def test_the_flat_form_of_2017_is_one_row_with_the_token(rig):
    rig.switch(hook_body="row")
    rig.act("many", values=[(ANA, 1), (KIM, 2)])
    assert [(body["registration"], body["token"]) for body in rig.bodies] == [(ANA, TOKEN), (KIM, TOKEN)]
    assert tuple(rig.bodies[0]) == (*FIELDS, "token")


@pytest.mark.parametrize("body", ["list", "array", "row"])
@pytest.mark.parametrize(
    ("proof", "name", "value"),
    [
        ("bearer", "authorization", "Bearer ours"),
        ("header", "x-our-token", "ours"),
        ("none", "authorization", None),
    ],
)
def test_a_token_of_ours_may_come_in_a_header_and_nowhere_else(rig, body, proof, name, value):
    rig.switch(hook_body=body, hook_proof=proof, hook_token="ours", hook_header="X-Our-Token")
    rig.act("progress", reg=ANA, progress=1)
    ((_, headers, content),) = rig.came
    assert headers.get(name) == value
    assert b"token" not in content and TOKEN.encode() not in content


def test_the_rows_of_a_list_may_carry_the_token_alone(rig):
    rig.switch(hook_proof="rows")
    rig.act("progress", reg=ANA, progress=1)
    (body,) = rig.bodies
    assert list(body) == ["rows"] and body["rows"][0]["token"] == TOKEN


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"registration_upper": True}, "registration", KIM.upper()),
        ({"progress_as": "number"}, "progress", 7),
        ({"transaction_id_as": "number"}, "transactionId", 50412),
    ],
)
def test_rows_follow_the_switches_of_the_report(rig, changes, field, value):
    rig.switch(**changes)
    rig.act("progress", reg=KIM, progress=7)
    assert rig.rows[0][field] == value


# what goes wrong


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"hook_body": "row"}, lambda headers, body: body["token"]),
        ({}, lambda headers, body: body["token"]),
        ({"hook_proof": "rows"}, lambda headers, body: body["rows"][0]["token"]),
        ({"hook_proof": "bearer"}, lambda headers, body: headers["authorization"].removeprefix("Bearer ")),
        ({"hook_proof": "header"}, lambda headers, body: headers["x-access-token"]),
    ],
)
def test_a_forged_delivery_has_another_token_wherever_it_stands(rig, changes, sent):
    rig.switch(**changes)
    rig.act("tell", reg=ANA, forged=True)
    ((_, headers, content),) = rig.came
    assert sent(headers, json.loads(content)) == OTHER_TOKEN


def test_everything_is_forged_if_switched_so(rig):
    rig.switch(hook_wrong_token=True)
    rig.act("progress", reg=ANA, progress=1)
    assert rig.bodies[0]["token"] == OTHER_TOKEN


def test_a_forged_row_travels_apart_from_honest_ones(rig):
    rig.act("tell", reg=ANA)
    rig.act("tell", reg=KIM, forged=True)
    rig.act("tell", reg=PORTAL)
    assert [(body["rows"][0]["registration"], body["token"]) for body in rig.bodies] == [
        (ANA, TOKEN),
        (KIM, OTHER_TOKEN),
        (PORTAL, TOKEN),
    ]


def test_deliveries_may_be_duplicated(rig):
    rig.switch(duplicates=2)
    rig.act("many", values=[(ANA, 1), (KIM, 2)])
    bodies = rig.bodies
    assert len(bodies) == 3 and bodies[0] == bodies[1] == bodies[2]


def test_rows_may_stand_twice_in_one_bundle(rig):
    rig.switch(hook_rows_twice=True)
    rig.act("many", values=[(ANA, 1), (KIM, 2)])
    assert [row["registration"] for row in rig.rows] == [ANA, ANA, KIM, KIM]


def test_bundles_and_their_rows_may_come_in_reverse(rig):
    rig.switch(reverse=True, hook_bundle=2)
    rig.act("many", values=[(ANA, number) for number in range(5)])
    assert [[int(row["progress"]) for row in body["rows"]] for body in rig.bodies] == [[4], [3, 2], [1, 0]]


def test_an_old_row_may_come_again_after_newer_ones(rig):
    old = rig.act("progress", reg=ANA, progress=10)["event_id"]
    rig.act("progress", reg=ANA, progress=90)
    assert rig.act("resend", event_id=old)["progress"] == 10
    assert [row["progress"] for row in rig.rows] == [10, 90, 10]


def test_rows_of_other_systems_come_with_the_same_token(rig):
    (reg,) = rig.act("strangers", count=1)
    (body,) = rig.bodies
    assert (body["rows"][0]["registration"], body["token"]) == (reg, TOKEN)


@pytest.mark.parametrize("row", [None, [], {"registration": "no-uuid", "progress": "soon"}], ids=repr)
@pytest.mark.parametrize(("changes", "whole"), [({}, False), ({"hook_body": "row"}, True)])
def test_an_odd_row_stands_among_good_ones(rig, row, changes, whole):
    rig.switch(**changes)
    rig.act("tell", reg=ANA)
    rig.act("tell_odd", row=row)
    expected = {**row, "token": TOKEN} if whole and isinstance(row, dict) else row
    assert (rig.bodies[1] if whole else rig.rows[1]) == expected


@pytest.mark.parametrize("status", [401, 500, 302])
def test_anything_but_2xx_is_tried_again(rig, status):
    rig.receiver.statuses = [status, status]
    rig.act("progress", reg=ANA, progress=1)
    assert [each["status"] for each in rig.deliveries] == [status, status, 200]
    assert [each["attempt"] for each in rig.deliveries] == [1, 2, 3]
    assert len({each["message"] for each in rig.deliveries}) == 1


def test_after_three_retries_a_delivery_is_lost_and_later_ones_arrive(rig):
    rig.receiver.statuses = [500] * 4
    rig.act("progress", reg=ANA, progress=10)
    assert [each["status"] for each in rig.deliveries] == [500] * 4
    rig.act("progress", reg=ANA, progress=20)
    assert [row["progress"] for row in rig.rows] == [10, 10, 10, 10, 20]
    assert rig.app.vendor.state()["waiting"] == 0


def test_202_is_as_good_as_200(rig):
    rig.receiver.statuses = [202]
    rig.act("progress", reg=ANA, progress=10)
    assert [each["status"] for each in rig.deliveries] == [202]


def test_a_receiver_that_is_not_there_is_an_error_of_each_attempt(rig):
    rig.switch(hook_url="http://127.0.0.1:1/")
    rig.act("progress", reg=ANA, progress=10)
    assert [each["status"] for each in rig.deliveries] == [None] * 4
    assert all("ConnectError" in each["error"] for each in rig.deliveries)


def test_a_request_can_be_replayed_as_it_left(rig):
    rig.act("progress", reg=ANA, progress=10)
    ((_, _, content),) = rig.came
    replay = rig.act("replay")
    assert replay["url"].endswith("/hooks")
    assert replay["headers"] == [["Content-Type", "application/json"]]
    assert base64.b64decode(replay["body_base64"]) == content
    rig.act("clear_deliveries")
    assert rig.deliveries == []
    with pytest.raises(ValueError, match="only 0 requests"):
        rig.act("replay")
