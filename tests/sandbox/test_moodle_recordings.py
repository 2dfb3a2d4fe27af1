"""The Moodle stand-in against recordings of a real Moodle 4.3: every request again, every answer compared.

The recordings build on one another, so they are replayed in order on one site, like the one they were made on.
What the stand-in has no function for is done to the site by an action at the same place.
"""

from __future__ import annotations

import asyncio
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sandbox.moodle_switches import CAPABILITIES, Switches
from tests.support.moodle_lab import laboratory

FOLDER = Path(__file__).parents[1] / "data" / "moodle-4.3.0"
RECORDINGS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("[0-9]*.json"))}
RACES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("race-*.json"))}
Action = tuple[str, dict[str, Any]]


def override(cmid: int, state: int = 1) -> Action:
    return "set_activity", {"user_id": 6, "course_id": 2, "cmid": cmid, "state": state, "by": 3}


# What was done to the site before a recording by functions, or by cron, that the stand-in does not have.
BEFORE: dict[str, list[Action]] = {
    "120-completion-in-progress": [override(1)],
    "122-completion-all-criteria-met-before-cron": [override(2)],
    "130-activities-after-override": [override(3), override(4)],
    "136-completion-self-before-cron": [("complete_self", {"user_id": 6, "course_id": 4})],
    "153-completion-activities-after-cron": [("cron", {})],
    "158-completion-activities-after-second-cron": [("cron", {})],
    "162-completion-after-revert": [override(1, 0)],
    "200-user-read-deleted": [("delete_user", {"user_id": 9})],
}
# What the token or the site was, for some recordings.
WEAK = tuple(name for name in CAPABILITIES if name != "webservice/rest:use")
BY_TOKEN: dict[str, dict[str, Any]] = {
    "TOKEN-WEAK": {"lacks": WEAK},
    "TOKEN-NOIDENTITY": {"hidden_fields": ("email",), "lacks": ("mod/assign:view", "mod/quiz:view")},
    "TOKEN-ADMIN": {"site_admin": True},
    "TOKEN-STUDENT": {"token_trouble": "suspended"},
    "TOKEN-STUDENT-2": {"token_trouble": "ip"},
}
BY_NAME: dict[str, dict[str, Any]] = {
    "202-proto-expired-token": {"token_trouble": "expired"},
    "203-proto-expired-token-again": {"token_trouble": "expired"},
    "205-site-maintenance-mode": {"maintenance": "page"},
    "206-site-rest-protocol-off": {"rest_enabled": False},
    "207-site-webservices-off": {"rest_enabled": False},
    "209-site-database-down": {"database_down": True},
}
# Values that time, the counter of the database or another token made.
MADE = {
    "181-proto-get-write": ("id",),
    "192-proto-token-of-suspended-user": ("message",),
    "200-user-read-deleted": ("username", "email"),
}
# Lists whose items are the site's own affair.
OWN_AFFAIR = ("functions", "advancedfeatures")
# Values that are the site's own, so that only their kind must agree.
OWN_VALUES = (
    "courseimage profileimageurl profileimageurlsmall userpictureurl userprivateaccesskey cacherev "
    "startdate timecreated timemodified timecompleted gradedategraded"
)


@pytest.fixture(scope="module")
def answers() -> dict[str, httpx.Response]:
    return asyncio.run(replayed())


async def replayed() -> dict[str, httpx.Response]:
    lab = laboratory()
    found = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lab), base_url="http://moodle.test") as client:
        for name, recording in RECORDINGS.items():
            for action, arguments in BEFORE.get(name, []):
                lab.vendor.actions[action](**arguments)
            asked = recording["request"]
            tokens = [token for token in BY_TOKEN if f"wstoken={token}&" in f"{asked['body']}"]
            changes = BY_NAME.get(name) or (BY_TOKEN[tokens[0]] if tokens else {})
            debug = "on" if "-debug-" in name else "off"
            lab.vendor.switches = Switches(debug=debug, **changes)
            body = re.sub("wstoken=TOKEN-[A-Z0-9-]+", "wstoken=TOKEN", asked["body"] or "")
            found[name] = await client.request(
                asked["method"], asked["url"], content=body.encode(), headers=asked["headers"]
            )
    return found


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_request_has_an_answer_of_the_recorded_shape(answers, name):
    recorded, answer = RECORDINGS[name]["response"], answers[name]
    content_type = next(value for key, value in recorded["headers"] if key.lower() == "content-type")
    assert answer.status_code == recorded["status"]
    assert answer.headers["content-type"].lower() == content_type.lower()
    if "json" in content_type:
        found = differences(json.loads(recorded["body"]), answer.json())
        made = [f"/{member}:" for member in MADE.get(name, ())]
        assert [each for each in found if not any(member in each for member in made)] == []
    elif "xml" in content_type:
        assert xml_shape(answer.text) <= xml_shape(recorded["body"])
        assert xml_shape(answer.text)
    else:
        assert ("<html" in answer.text) == ("<html" in recorded["body"])


def differences(recorded: Any, answered: Any, at: str = "") -> list[str]:
    """Where two JSON values differ in shape, or in a value that must agree."""
    if kind(recorded) != kind(answered):
        return [f"{at}: {kind(recorded)} was recorded, not {answered!r}"]
    if isinstance(recorded, dict):
        if recorded.keys() != answered.keys():
            return [f"{at}: {sorted(recorded.keys() ^ answered.keys())}"]
        return [
            each
            for key in recorded
            if key not in OWN_AFFAIR
            for each in differences(recorded[key], answered[key], f"{at}/{key}")
        ]
    if isinstance(recorded, list):
        if len(recorded) != len(answered):
            return [f"{at}: {len(recorded)} were recorded, not {len(answered)}"]
        pairs = enumerate(zip(recorded, answered, strict=True))
        return [each for place, (one, two) in pairs for each in differences(one, two, f"{at}/{place}")]
    name = at.rpartition("/")[2]
    own = name in OWN_VALUES.split() or (name == "id" and "/gradeitems/" in at)
    differ = not own and recorded != answered
    return [f"{at}: {recorded!r} was recorded, not {answered!r}"] if differ else []


def kind(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return names.get(type(value), "null")


def xml_shape(text: str) -> set[str | None]:
    """An error's class, code and message; or the elements of an answer without their values.

    A recorded answer has more of them: there, members without a value stand in XML, empty.
    """
    root = ET.fromstring(text)
    if root.tag == "EXCEPTION":
        return {root.get("class"), root.findtext("ERRORCODE"), root.findtext("MESSAGE")}
    return {f"{each.tag} {each.get('name', '')}" for each in root.iter()}


@pytest.mark.parametrize(
    ("name", "function", "fields", "effect"),
    [
        (
            "race-same-username",
            "core_user_create_users",
            {
                "users[0][username]": "race.user",
                "users[0][firstname]": "Race",
                "users[0][lastname]": "User",
                "users[0][email]": "race.user@example.org",
                "users[0][createpassword]": "1",
            },
            "user_created",
        ),
        (
            "race-same-enrolment",
            "enrol_manual_enrol_users",
            {"enrolments[0][roleid]": "5", "enrolments[0][userid]": "4", "enrolments[0][courseid]": "2"},
            "enrolled",
        ),
    ],
)
async def test_four_calls_at_a_time_end_in_recorded_ways_and_write_once(name, function, fields, effect):
    lab = laboratory()
    lab.vendor.switches = Switches(race_window_s=0.02)
    form = {"wstoken": "TOKEN", "wsfunction": function, "moodlewsrestformat": "json", **fields}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lab), base_url="http://moodle.test") as client:
        found = await asyncio.gather(
            *(client.post("/webservice/rest/server.php", data=form) for _ in range(4))
        )
    recorded = {outcome(text) for text in RACES[name]["responses"]}
    ends = [outcome(answer.text) for answer in found]
    assert set(ends) <= recorded and ("dml_write_exception", "dmlwriteexception") in ends
    assert dict(lab.journal.effect_counts) == {effect: 1}


def outcome(text: str) -> tuple[str, str]:
    value = json.loads(text)
    return (value["exception"], value["errorcode"]) if isinstance(value, dict) else (kind(value), "")
