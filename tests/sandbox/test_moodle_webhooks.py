"""The events that the Moodle stand-in sends as the plugin local_webhooks does (vendors/moodle.md 5)."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.sandbox.moodle import create_moodle
from gateway.sandbox.moodle_switches import HOOK_TOKEN, SUBSCRIBED, Switches
from gateway.sandbox.serve import running
from tests.support.moodle_client import GRADE, START, Moodle, talking
from tests.support.receiver import Receiver

CORE = "\\core\\event\\"


class Rig:
    """The stand-in beside a receiver on a real socket."""

    def __init__(self, receiver: Receiver, url: str) -> None:
        self.receiver = receiver
        self.app = create_moodle(Switches(hook_url=f"{url}/hooks"), start=START)

    def switch(self, **changes: Any) -> None:
        self.app.vendor.switches = replace(self.app.vendor.switches, **changes)

    def act(self, name: str, **arguments: Any) -> Any:
        return self.app.vendor.actions[name](**arguments)

    def settle(self) -> None:
        assert self.app.vendor.hooks.idle()

    @property
    def bodies(self) -> list[Any]:
        self.settle()
        return self.receiver.bodies

    @property
    def names(self) -> list[str]:
        return [each["eventname"].removeprefix(CORE) for each in self.bodies]


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
async def moodle(rig: Rig) -> AsyncIterator[Moodle]:
    async with talking(rig.app) as found:
        yield found


def one_done(rig: Rig, **more: Any) -> None:
    rig.act("set_activity", user_id=5, course_id=9, cmid=32, **more)


def test_event_carries_the_secret_and_ids_and_no_percentage(rig):
    rig.switch(hook_extra="tenant-1")
    one_done(rig)
    (body,) = rig.bodies
    assert body["eventname"] == f"{CORE}course_module_completion_updated"
    assert (body["token"], body["extra"], body["timecreated"]) == (HOOK_TOKEN, "tenant-1", 1772586000)
    assert (body["courseid"], body["relateduserid"], body["userid"]) == ("9", "5", 5)
    assert body["host"].startswith("http://") and not {"progress", "completed", "state"} & set(body)
    ((path, headers, _),) = rig.receiver.got
    assert (path, headers["content-type"]) == ("/hooks", "application/json")


@pytest.mark.parametrize(
    ("form", "types"), [("numbers", (int, int, int)), ("text", (str, str, str)), ("mixed", (str, str, int))]
)
def test_ids_are_numbers_or_text_or_some_of_each(rig, form, types):
    rig.switch(hook_ids=form)
    one_done(rig)
    (body,) = rig.bodies
    assert tuple(type(body[name]) for name in ("courseid", "relateduserid", "userid")) == types


def test_completing_a_course_tells_of_activity_and_course(rig):
    rig.act("set_progress", user_id=5, course_id=9, done=3)
    updated = "course_module_completion_updated"
    assert sorted(rig.names) == ["course_completed", updated, updated]
    rig.act("complete", user_id=5, course_id=9)  # it is complete already
    assert len(rig.names) == 3


def test_cron_tells_of_courses_with_another_actor(rig):
    rig.switch(hook_ids="numbers", completion_by_cron=True)
    rig.act("set_progress", user_id=5, course_id=9, done=3, quiet=True)
    rig.act("cron")
    (body,) = rig.bodies
    assert (body["eventname"], body["userid"], body["relateduserid"]) == (f"{CORE}course_completed", 2, 5)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_activity", {"cmid": 32}),
        ("set_grade", {"cmid": 33, "grade": 5}),
        ("complete", {}),
        ("set_progress", {"done": 3}),
    ],
)
def test_quiet_action_sends_nothing(rig, name, arguments):
    rig.act(name, user_id=5, course_id=9, **arguments, quiet=True)
    assert rig.bodies == []


async def test_grading_and_enrolling_by_the_api_tell_what_was_chosen(rig, moodle):
    await moodle.enrol(6, 3)
    fields = {"source": "x", "courseid": 3, "component": "mod_quiz", "activityid": 6, "itemnumber": 0}
    await moodle.call(GRADE, **fields, grades=[{"studentid": 6, "grade": 5}])
    assert sorted(rig.names) == ["course_module_completion_updated", "user_graded"]
    assert {each["host"] for each in rig.bodies} == {"http://lms.test"}


async def test_every_event_is_sent_when_all_are_chosen_and_repeats_tell_nothing(rig, moodle):
    rig.switch(hook_events=())
    for suspend in (0, 0, 1):
        await moodle.enrol(6, 2, suspend=suspend)
    await moodle.unenrol(6, 2)
    await moodle.unenrol(6, 2)
    kinds = ["created", "deleted", "updated"]
    assert sorted(rig.names) == [f"user_enrolment_{kind}" for kind in kinds]


@pytest.mark.parametrize("changes", [{"hook_url": ""}, {"hook_lost": True}, {"hook_events": SUBSCRIBED[:1]}])
def test_nothing_is_sent_without_address_or_choice_or_when_it_is_lost(rig, changes):
    rig.switch(**changes)
    one_done(rig)
    assert rig.bodies == []


def test_failed_delivery_is_not_tried_again(rig):
    rig.receiver.statuses = [500]
    one_done(rig)
    assert len(rig.bodies) == 1
    assert [each["status"] for each in rig.app.vendor.state()["deliveries"]] == [500]


def test_forgery_has_another_secret(rig):
    told = {"user_id": 5, "course_id": 9}
    rig.act("tell", **told, forged=True)
    rig.act("tell", **told)
    rig.settle()
    rig.switch(hook_forged=True)
    rig.act("tell", **told)
    assert [each["token"] == HOOK_TOKEN for each in rig.bodies] == [False, True, False]


def test_duplicates_come_as_often_as_asked_and_in_any_type(rig):
    rig.switch(hook_duplicates=2, hook_content_type="application/x-www-form-urlencoded")
    one_done(rig)
    bodies = rig.bodies
    assert len(bodies) == 3 and bodies[0] == bodies[1] == bodies[2]
    assert rig.receiver.got[0][1]["content-type"] == "application/x-www-form-urlencoded"


def test_order_can_be_reversed(rig):
    rig.switch(hook_reverse=True, hook_linger_s=0.2)
    rig.act("set_progress", user_id=5, course_id=9, done=3)
    assert rig.names[0] == "course_completed"


def test_event_by_hand_may_be_of_any_name_and_about_anybody(rig):
    rig.switch(hook_events=())
    rig.act("tell", event="user_loggedin", user_id=404, course_id="0", actor=7)
    rig.act("tell", event="\\mod_quiz\\event\\attempt_submitted", user_id=5, course_id=3, object_id=12)
    first, second = sorted(rig.bodies, key=lambda body: int(body["objectid"]))
    assert (first["eventname"], first["relateduserid"], first["userid"]) == (f"{CORE}user_loggedin", "404", 7)
    assert (second["eventname"], second["objectid"]) == ("\\mod_quiz\\event\\attempt_submitted", "12")


def test_event_is_sent_again_and_its_request_shown(rig):
    event = rig.act("tell", user_id=5, course_id=9)
    rig.settle()
    rig.act("resend", event_id=event["id"])
    one, two = rig.bodies
    assert one == two
    shown = rig.act("replay", back=2)
    assert json.loads(base64.b64decode(shown["body_base64"])) == one
    assert shown["headers"] == [["Content-Type", "application/json"]]
    rig.act("clear_deliveries")
    for name, arguments in (("replay", {}), ("resend", {"event_id": event["id"]})):
        with pytest.raises(ValueError, match="kept|no event"):
            rig.act(name, **arguments)
