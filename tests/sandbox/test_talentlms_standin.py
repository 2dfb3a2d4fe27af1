"""The TalentLMS stand-in against its fact sheet (vendors/talentlms.md, behaviour list of section 7)."""

import base64
import http.client
import json
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.sandbox import talentlms
from gateway.sandbox.faults import Fault
from gateway.sandbox.serve import running
from gateway.sandbox.talentlms import API_KEY, create_talentlms
from gateway.sandbox.talentlms_show import _time
from gateway.sandbox.talentlms_switches import Switches

ROOT = Path(talentlms.__file__).parents[2]
START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)  # 09:00 in Perth
NEW = {
    "first_name": "Ann",
    "last_name": "New",
    "email": "ann.new@example.org",
    "login": "rtop-300",
    "password": "Passw0rd",
}


@pytest.fixture
def portal():
    return create_talentlms(start=START, switches=Switches(burst_limit=0))


@pytest.fixture
async def api(portal):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(portal), base_url="http://lms.test/api/v1/", auth=(API_KEY, "")
    ) as client:
        yield client


def switch(portal, **changes):
    portal.vendor.switches = replace(portal.vendor.switches, **changes)


def act(portal, action, /, **arguments):
    return portal.vendor.actions[action](**arguments)


def refusal(answer):
    return answer.status_code, answer.json()["error"]["message"]


def is_page(answer):
    return answer.headers["content-type"].startswith("text/html") and b"<html" in answer.content


def effects(portal):
    return [(effect.kind, effect.what) for effect in portal.journal.effects]


async def enrol(api, user_id, course_id, **more):
    return await api.post("addusertocourse", data={"user_id": user_id, "course_id": course_id, **more})


# 1: authentication


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("Basic " + base64.b64encode(b"wrong:").decode(), id="wrong key"),
        pytest.param("Basic " + base64.b64encode(API_KEY.encode()).decode(), id="no colon"),
        pytest.param("Basic " + base64.b64encode(f"{API_KEY}:x".encode()).decode(), id="with a password"),
        pytest.param("Basic %%%", id="not base64"),
        pytest.param("Bearer " + base64.b64encode(f"{API_KEY}:".encode()).decode(), id="other scheme"),
    ],
)
async def test_wrong_credentials_are_401(portal, header):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(portal), base_url="http://lms.test") as client:
        answer = await client.get("/api/v1/courses", headers={"authorization": header} if header else {})
    assert refusal(answer) == (401, "Invalid API Key provided")
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_key_made_up_in_the_sheet_is_accepted_as_user_name_without_password():
    portal = create_talentlms(api_key="k3yMadeUp", start=START)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(portal), base_url="http://lms.test") as client:
        answer = await client.get("/api/v1/siteinfo", headers={"authorization": "Basic azN5TWFkZVVwOg=="})
    assert answer.status_code == 200


async def test_api_switched_off_is_403_to_everything(portal, api):
    switch(portal, api_enabled=False)
    assert (await api.get("ratelimit")).status_code == 403


async def test_expired_credentials_by_fault_are_401_and_change_nothing(portal, api):
    portal.faults.arm(Fault(kind="expired_token"))
    assert refusal(await enrol(api, 8, 126)) == (401, "Invalid API Key provided")
    assert effects(portal) == []


# 2, 3: routing


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("users/id:7", 200, id="id"),
        pytest.param("USERS/id:7", 200, id="endpoint in any case"),
        pytest.param("users/email:mia.tan@example.org", 200, id="email, @ literal"),
        pytest.param("users/email:zoe%2Blms@example.org", 200, id="plus encoded"),
        pytest.param("users/email:zoe+lms@example.org", 404, id="literal plus is a space"),
        pytest.param("users/email:o%27neil@example.org", 200, id="apostrophe encoded"),
        pytest.param("users/email:LIAM.NGUYEN@example.org", 200, id="email by case"),
        pytest.param("users/username:zo%C3%AB", 200, id="utf-8"),
        pytest.param("users/username:rtop-204", 200, id="username"),
        pytest.param("users/id:x", 400, id="id of the wrong type"),
        pytest.param("users/id", 400, id="no colon"),
        pytest.param("users/colour:1", 400, id="unknown argument"),
        pytest.param("users/page_size:0", 400, id="page size"),
        pytest.param("courses/colour:1", 400, id="unknown argument of courses"),
        pytest.param("getuserstatusincourse/course_id:126,user_id:7", 200, id="pairs"),
        pytest.param("getuserstatusincourse/user_id:7,course_id:126", 200, id="pairs in any order"),
        pytest.param("getuserstatusincourse/user_id:7", 400, id="argument missing"),
        pytest.param("nosuchthing", 404, id="unknown action"),
    ],
)
async def test_path_is_answered_with_json(api, path, status):
    answer = await api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/api/v1/users/id%3A7", id="encoded colon"),
        pytest.param(
            "/api/v1/getuserstatusincourse/course_id:126%2cuser_id:7", id="encoded comma, lower case"
        ),
        pytest.param("/api/v1/users/email:mia.tan%40example.org", id="encoded at"),
        pytest.param("/api/v1/users//id:7", id="doubled slash"),
        pytest.param("/api/v1/users/id:7/more", id="a third segment"),
        pytest.param("/api/v2/users", id="another version"),
        pytest.param("/", id="no api"),
    ],
)
def test_path_the_api_never_sees_is_an_html_404_on_the_wire(portal, path):
    status, content_type, body = wire(portal, path)
    assert (status, content_type) == (404, "text/html; charset=utf-8")
    assert b"404" in body or b"not found" in body


def wire(portal, path):
    """GET with exactly these bytes as the path."""
    key = base64.b64encode(f"{API_KEY}:".encode()).decode()
    with running(portal) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request("GET", path, headers={"Authorization": f"Basic {key}"})
        answer = connection.getresponse()
        try:
            return answer.status, answer.headers["content-type"], answer.read()
        finally:
            connection.close()


def test_path_with_literal_marks_is_answered_on_the_wire(portal):
    status, _, body = wire(portal, "/api/v1/users/email:mia.tan@example.org")
    assert (status, json.loads(body)["id"]) == (200, "7")


async def test_web_servers_404_differs_from_the_web_applications(api):
    doubled, encoded = await api.get("users//id:7"), await api.get("users/id%3A7")
    assert is_page(doubled)
    assert is_page(encoded)
    assert doubled.content != encoded.content


async def test_encoded_at_works_when_switched_on(portal, api):
    switch(portal, encoded_at_accepted=True)
    assert (await api.get("users/email:mia.tan%40example.org")).json()["id"] == "7"


async def test_query_string_is_ignored_unless_switched_on(portal, api):
    assert isinstance((await api.get("users/?email=mia.tan@example.org")).json(), list)
    switch(portal, query_arguments=True)
    assert (await api.get("users/?email=mia.tan@example.org")).json()["id"] == "7"
    assert (await api.get("users/?" + "&".join(["a=1"] * 101))).status_code == 400


async def test_unknown_action_is_a_404_of_its_own(api):
    assert refusal(await api.get("nosuchthing")) == (404, "The requested API action does not exist")


@pytest.mark.parametrize(("method", "path"), [("POST", "users"), ("GET", "usersignup"), ("PUT", "courses")])
async def test_wrong_method_is_invalid_arguments(api, method, path):
    assert refusal(await api.request(method, path)) == (400, "Invalid arguments provided")


# 4: bodies


async def test_json_body_is_read_as_no_fields_at_all(portal, api):
    answer = await api.post("usersignup", json=NEW)
    assert refusal(answer) == (400, "Invalid arguments provided")
    assert effects(portal) == []


# 5: missing things


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("users/id:99", (404, "The requested user does not exist"), id="user"),
        pytest.param("users/email:no@example.org", (404, "The requested user does not exist"), id="email"),
        pytest.param("users/username:no", (404, "The requested user does not exist"), id="login"),
        pytest.param("users/id:14", (404, "The requested user is no longer available"), id="deleted"),
        pytest.param(
            "users/email:dee.leted@example.org",
            (404, "The requested user does not exist"),
            id="deleted, email",
        ),
        pytest.param("courses/id:99", (404, "The requested course does not exist"), id="course"),
        pytest.param("groups/id:99", (404, "The requested group does not exist"), id="group"),
        pytest.param(
            "removeuserfromgroup/user_id:7,group_id:99",
            (404, "The requested group does not exist"),
            id="group to leave",
        ),
        pytest.param(
            "addusertogroup/user_id:7,group_key:NO", (400, "There is no group with such key"), id="group key"
        ),
        pytest.param(
            "getusersprogressinunits/unit_id:99", (404, "The requested unit does not exist"), id="unit"
        ),
        pytest.param(
            "getusersprogressinunits/unit_id:902", (404, "The requested unit does not exist"), id="heading"
        ),
    ],
)
async def test_missing_thing_is_refused_with_the_vendors_words(api, path, expected):
    assert refusal(await api.get(path)) == expected


# 6: enrolling


async def test_enrolling_answers_an_array_of_one(portal, api):
    answer = await enrol(api, 8, 126)
    assert answer.json() == [{"user_id": "8", "course_id": "126", "role": "learner"}]
    assert effects(portal) == [("user_enrolled", "126,8")]


async def test_enrolling_by_email_and_course_name(api):
    fields = {"user_email": "zoe+lms@example.org", "course_name": "First Aid Basics", "role": "instructor"}
    answer = await api.post("addusertocourse", data=fields)
    assert answer.json() == [{"user_id": "9", "course_id": "129", "role": "instructor"}]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"user_email": "no@example.org", "course_id": "126"}, 404),
        ({"user_id": "7", "course_name": "No"}, 404),
        ({"user_id": "7", "course_id": "x"}, 400),
        ({"user_id": "8", "course_id": "126", "role": "king"}, 400),
    ],
)
async def test_enrolling_what_is_not_there_is_refused(portal, api, fields, status):
    assert (await api.post("addusertocourse", data=fields)).status_code == status
    assert effects(portal) == []


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_enrolling_twice_is_refused_and_changes_nothing(portal, api, status):
    switch(portal, already_enrolled_status=status)
    expected = (status, "The requested user is already enrolled in this course")
    assert refusal(await enrol(api, 7, 126)) == expected
    assert effects(portal) == []


async def test_enrolling_the_inactive_depends_on_the_switch(portal, api):
    assert (await enrol(api, 10, 126)).status_code == 200
    switch(portal, inactive_refused=True)
    assert (await enrol(api, 10, 128)).status_code == 400
    assert (await enrol(api, 7, 130)).status_code == 400


# 7: signing up and editing


async def test_sign_up_answers_the_user_without_lists_and_with_a_numeric_id(portal, api):
    user = (await api.post("usersignup", data={**NEW, "restrict_email": "on"})).json()
    assert user["id"] == 1001
    assert not {"courses", "groups"} & set(user)
    assert (user["login"], user["restrict_email"], user["bio"]) == ("rtop-300", "1", None)
    assert effects(portal) == [("user_registered", "1001")]
    assert (await api.get("users/id:1001")).json()["courses"] == []


async def test_sign_up_with_switches_writes_a_text_id_and_entities(portal, api):
    switch(portal, signup_id_is_number=False, names_escaped=True)
    user = (await api.post("usersignup", data={**NEW, "last_name": "O'Neil"})).json()
    assert (user["id"], user["last_name"]) == ("1001", "O&#039;Neil")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"first_name": ""}, "Invalid arguments provided", id="field missing"),
        pytest.param({"email": ""}, "Invalid arguments provided", id="blank e-mail"),
        pytest.param({"email": "ann"}, "ann is not a valid email", id="bad e-mail"),
        pytest.param(
            {"email": "MIA.tan@example.org"}, "A user with the same email address already exists", id="e-mail"
        ),
        pytest.param({"login": "RTOP-204"}, "A user with the same login already exists", id="login"),
        pytest.param({"password": "weak"}, "Password is not strong enough", id="password"),
        pytest.param({"restrict_email": "1"}, "Invalid arguments provided", id="flag that is not on or off"),
        pytest.param({"group_id": "99"}, "The requested group does not exist", id="group"),
    ],
)
async def test_sign_up_is_refused_with_the_vendors_words(portal, api, fields, message):
    answer = await api.post("usersignup", data={**NEW, **fields})
    assert answer.json()["error"]["message"].startswith(message)
    assert effects(portal) == []


async def test_sign_up_without_a_mandatory_field_is_refused(portal, api):
    switch(portal, mandatory_fields=("custom_field_1",))
    shown = {row["key"]: row["mandatory"] for row in (await api.get("getcustomregistrationfields")).json()}
    assert shown == {"custom_field_1": "yes", "custom_field_2": "no", "custom_field_3": "no"}
    assert (await api.post("usersignup", data=NEW)).status_code == 400
    assert (await api.post("usersignup", data={**NEW, "custom_field_1": "U1"})).status_code == 200
    assert (await api.get("users/username:rtop-300")).json()["custom_field_1"] == "U1"


async def test_sign_up_with_switches_takes_blank_email_and_weak_password(portal, api):
    switch(portal, blank_email_allowed=True, password_rule=False)
    assert (await api.post("usersignup", data={**NEW, "email": "", "password": "x"})).status_code == 200
    second = {**NEW, "email": "", "password": "x", "login": "rtop-301"}
    assert (await api.post("usersignup", data=second)).status_code == 200


async def test_sign_up_into_a_group_enrols_in_its_courses(portal, api):
    await api.post("usersignup", data={**NEW, "group_id": "31"})
    assert [kind for kind, _ in effects(portal)] == [
        "user_registered",
        "group_joined",
        "user_enrolled",
        "user_enrolled",
    ]


async def test_email_by_case_is_somebody_else_when_switched(portal, api):
    switch(portal, email_case_sensitive=True)
    assert (await api.get("users/email:liam.nguyen@example.org")).status_code == 404


async def test_edit_changes_the_fields_given(portal, api):
    fields = {"user_id": "7", "last_name": "Tan-Lee", "restrict_email": "on", "custom_field_1": "U7"}
    user = (await api.post("edituser", data=fields)).json()
    assert (user["last_name"], user["first_name"], user["restrict_email"]) == ("Tan-Lee", "Mia", "1")
    assert (await api.get("users/id:7")).json()["custom_field_1"] == "U7"
    assert effects(portal) == [("user_edited", "7")]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"user_id": "7", "email": "Liam.nguyen@example.org"}, id="e-mail taken"),
        pytest.param({"user_id": "7", "login": "trainer"}, id="login taken"),
        pytest.param({"user_id": "7", "password": "weak"}, id="weak password"),
        pytest.param(
            {"user_id": "10", "deactivation_date": "28/07/2026"}, id="deactivation of an inactive user"
        ),
        pytest.param({"last_name": "X"}, id="no user"),
    ],
)
async def test_edit_is_refused(portal, api, fields):
    assert (await api.post("edituser", data=fields)).status_code == 400
    assert effects(portal) == []


async def test_status_is_set_by_get_and_counts_only_a_change(portal, api):
    for _ in range(2):
        answer = await api.get("usersetstatus/user_id:7,status:inactive")
        assert answer.json() == {"user_id": "7", "status": "inactive"}
    assert effects(portal) == [("user_status_set", "7,inactive")]
    assert (await api.get("users/id:7")).json()["status"] == "inactive"
    assert (await api.get("usersetstatus/user_id:7,status:asleep")).status_code == 400


# 8: groups


async def test_joining_a_group_enrols_in_its_courses_so_that_enrolling_fails(portal, api):
    answer = await api.get("addusertogroup/user_id:7,group_key:WHS-2026")
    assert answer.json() == {"user_id": "7", "group_id": "31", "group_name": "WHS 2026"}
    assert refusal(await enrol(api, 7, 128))[1] == "The requested user is already enrolled in this course"
    assert effects(portal) == [
        ("group_joined", "31,7"),
        ("user_enrolled", "128,7"),
        ("user_enrolled", "129,7"),
    ]
    user = (await api.get("users/id:7")).json()
    assert user["groups"] == [{"id": "31", "name": "WHS 2026"}]


async def test_joining_a_group_skips_courses_the_user_is_in(portal, api):
    await enrol(api, 7, 128)
    await api.get("addusertogroup/user_id:7,group_key:WHS-2026")
    assert effects(portal).count(("user_enrolled", "128,7")) == 1


async def test_joining_twice_and_leaving_twice_are_refused(api):
    await api.get("addusertogroup/user_id:7,group_key:WHS-2026")
    twice = await api.get("addusertogroup/user_id:7,group_key:WHS-2026")
    assert refusal(twice) == (400, "The requested user is already a member of this group")
    left = await api.get("removeuserfromgroup/user_id:7,group_id:31")
    assert left.json() == {"user_id": "7", "group_id": "31", "group_name": "WHS 2026"}
    again = await api.get("removeuserfromgroup/user_id:7,group_id:31")
    assert refusal(again) == (400, "The requested user is not a member of this group")


@pytest.mark.parametrize(("unenrols", "status"), [(False, 200), (True, 400)])
async def test_leaving_a_group_unenrols_only_when_switched(portal, api, unenrols, status):
    switch(portal, leaving_group_unenrols=unenrols)
    await api.get("addusertogroup/user_id:7,group_key:WHS-2026")
    await api.get("removeuserfromcourse/user_id:7,course_id:129")
    await api.get("removeuserfromgroup/user_id:7,group_id:31")
    assert (await api.get("getuserstatusincourse/user_id:7,course_id:128")).status_code == status


async def test_group_key_can_be_used_up(api):
    assert (await api.get("addusertogroup/user_id:7,group_key:EVENING-2026")).status_code == 200
    assert (await api.get("addusertogroup/user_id:8,group_key:EVENING-2026")).status_code == 400


async def test_groups_are_listed_and_shown(api):
    await api.get("addusertogroup/user_id:7,group_key:WHS-2026")
    rows = (await api.get("groups")).json()
    assert [(row["id"], row["key"], row["max_redemptions"]) for row in rows] == [
        ("31", "WHS-2026", None),
        ("32", "EVENING-2026", "1"),
    ]
    group = (await api.get("groups/id:31")).json()
    assert group["users"] == [{"id": "7", "name": "M. Tan"}]
    assert [course["id"] for course in group["courses"]] == ["128", "129"]


# 9: unenrolling, progress afterwards


async def test_unenrolling_is_a_get_that_writes(portal, api):
    answer = await api.get("removeuserfromcourse/user_id:7,course_id:126")
    assert answer.json() == {"user_id": "7", "course_id": "126", "course_name": "Certificate III in Testing"}
    assert effects(portal) == [("user_unenrolled", "126,7")]


@pytest.mark.parametrize(
    "path", ["removeuserfromcourse", "getuserstatusincourse", "resetuserprogress", "gotocourse"]
)
@pytest.mark.parametrize("status", [400, 404])
async def test_call_about_a_user_outside_the_course_is_refused(portal, api, path, status):
    switch(portal, not_enrolled_status=status, status_not_enrolled_status=status)
    answer = await api.get(f"{path}/user_id:8,course_id:126")
    assert refusal(answer) == (status, "The requested user is not enrolled in this course")
    assert effects(portal) == []


@pytest.mark.parametrize(("survives", "percentage"), [(False, "0"), (True, "11")])
async def test_progress_after_re_enrolment_depends_on_the_switch(portal, api, survives, percentage):
    switch(portal, progress_survives=survives)
    await api.get("removeuserfromcourse/user_id:7,course_id:126")
    await enrol(api, 7, 126)
    status = (await api.get("getuserstatusincourse/user_id:7,course_id:126")).json()
    assert status["completion_percentage"] == percentage


async def test_reset_forgets_progress_and_keeps_the_certificate_unless_asked(portal, api):
    answer = await api.get("resetuserprogress/user_id:11,course_id:126")
    assert answer.json() == {"message": "Operation completed successfully"}
    user = (await api.get("users/id:11")).json()
    assert (user["courses"][0]["completion_percentage"], len(user["certifications"])) == ("0", 1)
    await api.get("resetuserprogress/user_id:11,course_id:126,remove_certification:yes")
    assert (await api.get("users/id:11")).json()["certifications"] == []
    assert portal.journal.effect_counts == {"progress_reset": 2}


# 10, 11: values


async def test_slashes_are_escaped_and_letters_outside_ascii_coded(api):
    answer = await api.get("users/username:zo%C3%AB")
    assert b'"https:\\/\\/demo.talentlms.com\\/' in answer.content
    assert b"Zo\\u00eb" in answer.content


def numbers_in(value, name=""):
    if isinstance(value, dict):
        return {found for key, item in value.items() for found in numbers_in(item, key)}
    if isinstance(value, list):
        return {found for item in value for found in numbers_in(item, name)}
    return {name} if isinstance(value, int | float) else set()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("users", set()),
        ("users/id:11", {"total_time_seconds", "issued_date_timestamp", "expiration_date_timestamp"}),
        ("courses", set()),
        ("courses/id:126", {"total_time_seconds"}),
        ("getuserstatusincourse/course_id:126,user_id:7", {"total_time_seconds"}),
        ("groups", set()),
        ("siteinfo", set()),
        ("ratelimit", set()),
        ("getcustomregistrationfields", set()),
    ],
)
async def test_everything_is_text_but_the_known_numbers(api, path, expected):
    assert numbers_in((await api.get(path)).json()) == expected


async def test_status_in_course_looks_as_in_the_sheet(api):
    status = (await api.get("getuserstatusincourse/course_id:126,user_id:7")).json()
    units = {unit["id"]: unit for unit in status.pop("units")}
    assert status == {
        "role": "learner",
        "enrolled_on": "02/02/2026, 09:00:00",
        "enrolled_on_timestamp": "1769994000",
        "completion_status": "In progress",
        "completion_percentage": "11",
        "completed_on": "",
        "completed_on_timestamp": None,
        "expired_on": "",
        "expired_on_timestamp": None,
        "total_time": "1m 11s",
        "total_time_seconds": 71,
    }
    assert "902" not in units
    assert units["901"] == {
        "id": "901",
        "name": "TSTABC301 Prepare to test",
        "type": "Content",
        "completion_status": "Completed",
        "completed_on": "04/02/2026, 09:00:00",
        "completed_on_timestamp": "1770166800",
        "score": "100",
        "total_time": "1m 11s",
        "total_time_seconds": 71,
    }
    assert (units["903"]["completion_status"], units["903"]["total_time"]) == ("Not started", None)


async def test_course_of_a_user_has_a_raw_status_and_the_code_in_its_name(portal, api):
    course = (await api.get("users/id:7")).json()["courses"][0]
    assert course["name"] == "Certificate III in Testing (TST30126)"
    assert (course["completion_status"], course["completion_status_formatted"]) == (
        "incomplete",
        "In progress",
    )
    switch(portal, course_code_in_name=False, formatted_status_present=False, credits_present=False)
    user = (await api.get("users/id:7")).json()
    assert user["courses"][0]["name"] == "Certificate III in Testing"
    assert "completion_status_formatted" not in user["courses"][0]
    assert "credits" not in user


async def test_course_shows_everyone_with_any_role_and_headings_without_address(api):
    course = (await api.get("courses/id:126")).json()
    people = {row["id"]: row for row in course["users"]}
    assert (people["2"]["role"], people["7"]["name"]) == ("instructor", "M. Tan")
    assert "completion_status" not in people["7"]
    assert (people["11"]["completion_percentage"], people["11"]["completed_on"] != "") == ("80", True)
    assert (people["12"]["completion_percentage"], people["12"]["completed_on"]) == ("100", "")
    units = {row["id"]: row for row in course["units"]}
    assert "url" not in units["902"]
    assert units["901"]["url"] == "demo.talentlms.com/unit/apiview/id:901"


async def test_courses_are_listed_all_with_entities_and_inactive_ones(api):
    rows = (await api.get("courses")).json()
    assert [(row["id"], row["name"], row["status"]) for row in rows] == [
        ("126", "Certificate III in Testing", "active"),
        ("127", "R&amp;D Methods", "active"),
        ("128", "WHS Induction", "active"),
        ("129", "First Aid Basics", "active"),
        ("130", "Old Forklift Course", "inactive"),
        ("131", "Reading Room", "active"),
    ]


@pytest.mark.parametrize(
    ("kind", "in_status", "in_course"), [("mixed", None, ""), ("empty", "", ""), ("null", None, None)]
)
async def test_stamp_without_a_date_follows_the_switch(portal, api, kind, in_status, in_course):
    switch(portal, empty_stamp=kind)
    status = (await api.get("getuserstatusincourse/course_id:126,user_id:7")).json()
    course = (await api.get("courses/id:126")).json()
    learner = next(row for row in course["users"] if row["id"] == "7")
    assert (status["completed_on_timestamp"], learner["completed_on_timestamp"]) == (in_status, in_course)


@pytest.mark.parametrize(
    ("order", "zone", "text"),
    [
        ("DDMMYYYY", "Australia/Perth", "02/02/2026, 09:00:00"),
        ("MMDDYYYY", "Australia/Sydney", "02/02/2026, 12:00:00"),
        ("YYYYMMDD", "America/Los_Angeles", "2026/02/01, 17:00:00"),
    ],
)
async def test_dates_follow_the_portals_zone_and_order(portal, api, order, zone, text):
    switch(portal, date_format=order, zone=zone)
    user = (await api.get("users/id:7")).json()
    assert (user["created_on"], user["last_updated_timestamp"]) == (text, "1769994000")
    assert (await api.get("siteinfo")).json()["date_format"] == order


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, None), (59, "59s"), (451, "7m 31s"), (3600, "1h 0m 0s"), (3723, "1h 2m 3s")]
)
def test_duration_text(seconds, text):
    assert _time(seconds) == {"total_time": text, "total_time_seconds": seconds}


# 12: paging


async def test_users_page_only_when_asked(api):
    everyone = [row["id"] for row in (await api.get("users")).json()]
    assert everyone == ["1", "2", "7", "8", "9", "10", "11", "12", "13", "15"]
    assert "courses" not in (await api.get("users")).json()[0]
    pages = [
        [row["id"] for row in (await api.get(f"users/page_size:4,page_number:{n}")).json()] for n in (1, 3, 4)
    ]
    assert pages == [everyone[:4], everyone[8:], []]
    assert [row["id"] for row in (await api.get("users/page_size:4")).json()] == everyone[:4]


# 13: allowance


async def test_ratelimit_counts_other_calls_but_not_itself(portal, api):
    await api.get("courses")
    await api.get("ratelimit")
    shown = (await api.get("ratelimit")).json()
    assert shown == {
        "limit": "2000",
        "remaining": "1999",
        "reset": str(int(START.timestamp()) + 3600),
        "formatted_reset": "04/03/2026, 10:00",
    }
    switch(portal, remaining_is_number=True)
    assert (await api.get("ratelimit")).json()["remaining"] == 1999


async def test_allowance_used_up_comes_back_with_the_next_hour(portal, api):
    switch(portal, hourly_limit=1)
    assert (await api.get("courses")).status_code == 200
    answer = await enrol(api, 8, 126)
    assert answer.status_code == 429
    assert "limit" in answer.json()["error"]["message"]
    assert effects(portal) == []
    assert (await api.get("ratelimit")).json()["remaining"] == "0"
    portal.clock.advance(7300)
    assert (await api.get("courses")).status_code == 200
    assert (await api.get("ratelimit")).json()["reset"] == str(int(START.timestamp()) + 3 * 3600)


@pytest.mark.parametrize(("status", "page"), [(429, False), (403, False), (503, True)])
async def test_allowance_used_up_is_answered_as_switched(portal, api, status, page):
    switch(portal, hourly_limit=1, used_up_status=status)
    await api.get("courses")
    answer = await api.get("courses")
    assert (answer.status_code, is_page(answer)) == (status, page)


async def test_burst_of_more_than_allowed_in_five_seconds_is_refused(portal, api):
    switch(portal, burst_limit=2)
    statuses = [(await api.get("courses")).status_code for _ in range(3)]
    portal.clock.advance(5)
    assert [*statuses, (await api.get("courses")).status_code] == [200, 200, 429, 200]


# 14: faults in the vendor's shape; the rest in test_faults.py


async def test_fault_500_is_an_api_error(portal, api):
    portal.faults.arm(Fault(kind="error", path="/addusertocourse"))
    answer = await enrol(api, 8, 126)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "api_error"


def test_answer_lost_after_enrolling_leaves_the_learner_enrolled(portal):
    portal.faults.arm(Fault(kind="lost_answer", path="/addusertocourse"))
    fields = {"user_id": "8", "course_id": "126"}
    with running(portal) as url, httpx.Client(auth=(API_KEY, ""), trust_env=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(f"{url}/api/v1/addusertocourse", data=fields)
        again = client.post(f"{url}/api/v1/addusertocourse", data=fields)
    assert refusal(again)[1] == "The requested user is already enrolled in this course"
    assert portal.journal.effect_counts == {"user_enrolled": 1}


# 15: timeline


async def test_timeline_keeps_the_newest_200_of_a_type(portal, api):
    for _ in range(101):
        await enrol(api, 8, 126)
        await api.get("removeuserfromcourse/user_id:8,course_id:126")
        portal.clock.advance(1)
    for _ in range(101):
        await enrol(api, 9, 127)
        await api.get("removeuserfromcourse/user_id:9,course_id:127")
    rows = (await api.get("gettimeline/event_type:course_add_user")).json()
    assert (len(rows), rows[0]["user_id"], rows[-1]["user_id"]) == (200, "9", "8")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("", 2),
        (",user_id:7", 1),
        (",course_id:127", 1),
        (",user_id:8,course_id:127", 0),
        (",group_id:127", 0),
        (",branch_id:1", 0),
    ],
)
async def test_timeline_is_filtered(api, filters, count):
    await enrol(api, 7, 127)
    await enrol(api, 8, 128)
    rows = (await api.get(f"gettimeline/event_type:course_add_user{filters}")).json()
    assert len(rows) == count


async def test_timeline_entry_looks_as_in_the_sheet_and_its_type_must_be_known(portal, api):
    act(portal, "complete_course", user_id=7, course_id=126)
    [entry] = (await api.get("gettimeline/event_type:course_completion")).json()
    assert entry.pop("message")
    assert entry == {
        "action": "course_completion",
        "timestamp": "04/03/2026, 09:00:00",
        "unix_timestamp": str(int(START.timestamp())),
        "user_id": "7",
        "user_username": "rtop-204",
        "user_email": "mia.tan@example.org",
        "user_fullname": "M. Tan",
        "object_id": "126",
        "object_name": "Certificate III in Testing",
        "event_counter": "1",
    }
    assert (await api.get("gettimeline/event_type:parties")).status_code == 400
    assert (await api.get("gettimeline")).status_code == 400


# 16: progress in units


async def test_progress_in_a_unit_of_one_user_is_bare_or_an_array(portal, api):
    one = {"user_id": "7", "status": "Completed", "score": "100"}
    assert (await api.get("getusersprogressinunits/unit_id:901,user_id:7")).json() == one
    switch(portal, unit_progress_bare=False)
    assert (await api.get("getusersprogressinunits/unit_id:901,user_id:7")).json() == [one]
    everyone = (await api.get("getusersprogressinunits/unit_id:901")).json()
    assert [row["user_id"] for row in everyone] == ["2", "7", "11", "12"]
    assert (await api.get("getusersprogressinunits/unit_id:901,user_id:8")).status_code == 400


async def test_go_to_course_gives_another_link_each_time(api):
    path = "gotocourse/user_id:7,course_id:126,logout_redirect:aHR0cHM6Ly94"
    links = {(await api.get(path)).json()["goto_url"] for _ in range(2)}
    assert len(links) == 2


# what learners and staff do


async def test_completing_every_unit_completes_the_course(portal, api):
    path = "getuserstatusincourse/user_id:8,course_id:127"
    await enrol(api, 8, 127)
    assert (await api.get(path)).json()["completion_status"] == "Not started"
    assert act(portal, "complete_units", user_id="8", course_id="127", unit_ids=["921"]) == {
        "percentage": "50",
        "completed": False,
    }
    assert (await api.get(path)).json()["completion_status"] == "In progress"
    act(portal, "complete_units", user_id=8, course_id=127, unit_ids=[922])
    assert (await api.get(path)).json()["completion_status"] == "Completed"
    assert portal.journal.effect_counts == {"user_enrolled": 1}
    act(portal, "add_unit", course_id=127, name="TSTRND403 More")
    status = (await api.get(path)).json()
    assert (status["completion_percentage"], status["completion_status"]) == ("66", "Completed")


@pytest.mark.parametrize(
    ("status", "word", "event"),
    [
        ("passed", "Passed", "unitprogress_test_completion"),
        ("not_passed", "Not passed", "unitprogress_test_failed"),
        ("incomplete", "In progress", None),
    ],
)
async def test_test_result_shows_its_word_and_event(portal, api, status, word, event):
    act(portal, "complete_units", user_id=7, course_id=126, unit_ids=[903], status=status, score="55")
    unit = (await api.get("getusersprogressinunits/unit_id:903,user_id:7")).json()
    assert unit == {"user_id": "7", "status": word, "score": "55"}
    for name in ("unitprogress_test_completion", "unitprogress_test_failed"):
        rows = (await api.get(f"gettimeline/event_type:{name},unit_id:903")).json()
        assert len(rows) == (name == event)


async def test_progress_can_be_set_to_any_text_and_back(portal, api):
    path = "getuserstatusincourse/user_id:7,course_id:126"
    act(portal, "set_progress", user_id=7, course_id=126, percentage="33.3")
    assert (await api.get(path)).json()["completion_percentage"] == "33.3"
    act(portal, "set_progress", user_id=7, course_id=126, percentage=None)
    assert (await api.get(path)).json()["completion_percentage"] == "11"


@pytest.mark.parametrize("percentage", ["", "66.7", "150", "-1", "abc", None])
async def test_odd_percentages_are_shown_everywhere_alike(portal, api, percentage):
    arguments = {"percentage": percentage, "shown_as_null": percentage is None}
    act(portal, "set_progress", user_id=7, course_id=126, **arguments)
    rows = (await api.get("courses/id:126")).json()["users"]
    shown = [row["completion_percentage"] for row in rows if row["id"] == "7"]
    status = (await api.get("getuserstatusincourse/user_id:7,course_id:126")).json()
    course = (await api.get("users/id:7")).json()["courses"][0]
    assert [*shown, status["completion_percentage"], course["completion_percentage"]] == [percentage] * 3
    act(portal, "set_progress", user_id=7, course_id=126, percentage="40")
    status = (await api.get("getuserstatusincourse/user_id:7,course_id:126")).json()
    assert status["completion_percentage"] == "40"


async def test_a_course_sweep_shows_roles_and_ends_of_everyone_in_it(portal, api):
    act(portal, "expire", user_id=7, course_id=126)
    act(portal, "unenrol", user_id=12, course_id=126)
    rows = {row["id"]: row for row in (await api.get("courses/id:126")).json()["users"]}
    assert {id: row["role"] for id, row in rows.items()} == {
        "2": "instructor",
        "7": "learner",
        "11": "learner",
    }
    assert (rows["7"]["completion_percentage"], rows["7"]["expired_on"] != "") == ("11", True)
    assert rows["7"]["completed_on_timestamp"] == "" and rows["11"]["completed_on_timestamp"].isdecimal()
    assert not effects(portal), "staff did it, not the API"
    assert refusal(await api.get("getuserstatusincourse/user_id:12,course_id:126"))[0] == 400


async def test_a_unit_is_finished_at_a_time_of_its_own(portal, api):
    at = "2026-03-03T23:30:00+08:00"
    act(portal, "complete_units", user_id=7, course_id=126, unit_ids=[904], at=at)
    act(portal, "complete_units", user_id=7, course_id=126, unit_ids=[903], status="not_passed", at=at)
    status = (await api.get("getuserstatusincourse/user_id:7,course_id:126")).json()
    units = {unit["id"]: unit for unit in status["units"]}
    assert (units["904"]["completed_on"], units["904"]["completed_on_timestamp"]) == (
        "03/03/2026, 23:30:00",
        "1772551800",
    )
    assert (units["903"]["completed_on"], units["903"]["completion_status"]) == ("", "Not passed")


async def test_progress_is_reset_by_staff(portal, api):
    act(portal, "reset_progress", user_id=11, course_id=126)
    status = (await api.get("getuserstatusincourse/user_id:11,course_id:126")).json()
    assert (status["completion_percentage"], status["completed_on"]) == ("0", "")
    assert len((await api.get("gettimeline/event_type:course_reset_user_progress")).json()) == 1


async def test_calls_are_counted_by_endpoint(api):
    for path in ("courses", "courses/id:126", "courses/id:127", "Users/id:7", "siteinfo"):
        await api.get(path)
    await api.get("http://lms.test/elsewhere")
    counted = (await api.get("http://lms.test/_control/calls")).json()
    assert counted == {"courses": 1, "courses/id": 2, "users/id": 1, "siteinfo": 1, "/elsewhere": 1}


async def test_course_completed_by_staff_may_keep_its_percentage_and_give_a_certificate(portal, api):
    act(portal, "complete_course", user_id=7, course_id=126, percentage="40", certificate=True)
    user = (await api.get("users/id:7")).json()
    course = user["courses"][0]
    assert (course["completion_status"], course["completion_percentage"]) == ("completed", "40")
    assert user["certifications"][0]["issued_date_timestamp"] == int(START.timestamp())
    assert (await api.get("gettimeline/event_type:certification_issue_certification")).json()


async def test_course_without_units_is_at_100_once_completed(portal, api):
    path = "getuserstatusincourse/user_id:7,course_id:131"
    await enrol(api, 7, 131)
    assert (await api.get(path)).json()["completion_percentage"] == "0"
    portal.vendor.portal.enrolments[7, 131].completed = START
    assert (await api.get(path)).json()["completion_percentage"] == "100"


async def test_expired_enrolment_keeps_its_percentage(portal, api):
    act(portal, "expire", user_id=7, course_id=126)
    status = (await api.get("getuserstatusincourse/user_id:7,course_id:126")).json()
    assert (status["expired_on"], status["completion_percentage"]) == ("04/03/2026, 09:00:00", "11")


async def test_course_and_its_place_in_a_group_can_be_added(portal, api):
    made = act(portal, "add_course", name="New Course", code="N1", group_id=32)
    await api.get("addusertogroup/user_id:7,group_key:EVENING-2026")
    path = f"getuserstatusincourse/user_id:7,course_id:{made['course_id']}"
    assert (await api.get(path)).status_code == 200
    assert act(portal, "add_course", name="Alone")["course_id"] != made["course_id"]


async def test_deleted_user_is_no_longer_available_and_out_of_every_list(portal, api):
    switch(portal, deleted_user_status=400)
    act(portal, "delete_user", user_id=7)
    assert refusal(await api.get("users/id:7")) == (400, "The requested user is no longer available")
    assert "7" not in [row["id"] for row in (await api.get("courses/id:126")).json()["users"]]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("complete_units", {"user_id": 7, "course_id": 126, "unit_ids": [1]}),
        ("complete_units", {"user_id": 7, "course_id": 126, "unit_ids": [901], "status": "eaten"}),
        ("expire", {"user_id": 8, "course_id": 126}),
        ("unenrol", {"user_id": 8, "course_id": 126}),
        ("complete_units", {"user_id": 7, "course_id": 126, "unit_ids": [901], "at": "2026-03-03T23:30:00"}),
        ("delete_user", {"user_id": "x"}),
    ],
)
async def test_action_that_makes_no_sense_is_refused_over_http(portal, name, arguments):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(portal), base_url="http://lms.test") as client:
        assert (await client.post(f"/_control/act/{name}", json=arguments)).status_code == 400


# control and process


async def test_state_shows_what_the_portal_holds(portal, api):
    state = (await api.get("http://lms.test/_control/state")).json()
    assert {"user_id": 7, "course_id": 126}.items() <= state["enrolments"][-4].items()
    assert state["groups"][0]["key"] == "WHS-2026"
    assert state["users"][0]["created"] == "2026-02-02T01:00:00+00:00"


async def test_reset_brings_back_the_seed_and_the_first_switches(portal, api):
    await enrol(api, 8, 126)
    switch(portal, hourly_limit=1)
    portal.reset()
    assert (await enrol(api, 8, 126)).status_code == 200
    assert portal.vendor.switches == Switches(burst_limit=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"zone": "Mars/Olympus"},
        {"zone": "../etc"},
        {"date_format": "X"},
        {"used_up_status": 1},
        {"empty_stamp": "no"},
    ],
)
def test_switch_that_could_not_be_served_is_refused(changes):
    with pytest.raises(ValueError, match="no time zone|is one of"):
        Switches(**changes)


async def test_switches_are_changed_over_http(portal, api):
    answer = await api.post(
        "http://lms.test/_control/switches", json={"mandatory_fields": ["custom_field_2"]}
    )
    assert answer.json()["mandatory_fields"] == ["custom_field_2"]
    assert set(answer.json()) == set(asdict(Switches()))
    refused = await api.post("http://lms.test/_control/switches", json={"zone": "Mars/Olympus"})
    assert refused.status_code == 400


def test_process_says_where_it_listens_and_knows_its_key():
    command = [sys.executable, "-m", "gateway.sandbox.talentlms", "--port", "0", "--api-key", "K1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        try:
            line = child.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:")
            url = f"{line.split()[-1]}/api/v1/siteinfo"
            assert httpx.get(url, auth=("K1", ""), trust_env=False).json()["signup_method"] == "direct"
        finally:
            child.terminate()
