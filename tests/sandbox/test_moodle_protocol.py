"""The Moodle stand-in's protocol (vendors/moodle.md 1 to 3 and 7): forms, tokens, errors, releases, trouble."""

import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.sandbox.faults import Fault
from gateway.sandbox.moodle import LOGIN, SERVER, TOKEN, create_moodle
from gateway.sandbox.moodle_seed import PASSWORD, SERVICE_NAME
from gateway.sandbox.moodle_switches import Switches
from gateway.sandbox.moodle_wire import as_json, as_xml, parameters
from tests.support.moodle_client import (
    ACTIVITIES,
    COURSES,
    CREATE,
    ENROL,
    ENROLLED,
    FIND,
    GRADE,
    GRADES,
    INFO,
    METHODS,
    SEARCH,
    START,
    STATUS,
    UNENROL,
    UPDATE,
    USERS_COURSES,
    Moodle,
    talking,
)

FORM = "application/x-www-form-urlencoded"
WHO = {"courseid": 9, "userid": 5}


@pytest.fixture
async def moodle() -> AsyncIterator[Moodle]:
    async with talking(create_moodle(start=START)) as found:
        yield found


# forms


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1&b=x%20y+z", {"a": "1", "b": "x y z"}),
        ("a[0][b]=1&a[0][c]=2&a[1][b]=3", {"a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}}),
        ("a%5B0%5D%5Bb%5D=1", {"a": {"0": {"b": "1"}}}),
        ("ids[]=7&ids[]=9", {"ids": {"0": "7", "1": "9"}}),
        ("ids[4]=7&ids[]=9", {"ids": {"4": "7", "5": "9"}}),
        ("a=1&a=2", {"a": "2"}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a.b=1&c d=2", {"a_b": "1", "c_d": "2"}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a", {"a": ""}),
        ("=1&&", {}),
        ("a=%E7%A9%BA", {"a": "空"}),
    ],
)
def test_form_is_read_as_php_reads_it(text, tree):
    assert parameters("", FORM, text.encode(), at_most=1000) == tree


def test_body_wins_over_the_query_and_what_is_too_much_is_dropped():
    read = parameters("a=1&b=2", FORM, b"b=3&c=4", at_most=1000)
    assert read == {"a": "1", "b": "3", "c": "4"}
    assert parameters("a=1&b=2", FORM, b"c=3&d=4", at_most=1) == {"a": "1", "c": "3"}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_body_of_another_type_has_no_parameters(kind):
    assert parameters("a=1", kind, b"b=2", at_most=10) == {"a": "1"}


async def test_multipart_form_is_read_too(moodle):
    fields = {"wstoken": TOKEN, "wsfunction": COURSES, "moodlewsrestformat": "json", "field": "id"}
    parts = {name: (None, value) for name, value in {**fields, "value": "2"}.items()}
    answer = await moodle.client.post(SERVER, files=parts)
    assert [each["id"] for each in answer.json()["courses"]] == [2]


async def test_json_body_counts_as_no_parameters(moodle):
    query = {"wstoken": TOKEN, "wsfunction": CREATE, "moodlewsrestformat": "json"}
    answer = await moodle.client.post(SERVER, params=query, json={"users": [{"username": "x"}]})
    assert answer.json()["errorcode"] == "invalidparameter"


async def test_get_works_for_writing(moodle):
    fields = {"enrolments[0][roleid]": 5, "enrolments[0][userid]": 6, "enrolments[0][courseid]": 2}
    query = {"wstoken": TOKEN, "wsfunction": ENROL, "moodlewsrestformat": "json", **fields}
    assert (await moodle.client.get(SERVER, params=query)).text == "null"
    assert moodle.effects == [("enrolled", "2,6")]


async def test_parameters_beyond_the_most_are_dropped_without_a_word(moodle):
    moodle.switch(max_input_vars=5)  # three are the protocol's own, and `field` the fourth
    found = await moodle.call(FIND, field="id", values=["5", "6"])
    assert [each["id"] for each in found] == [5]


# answers


@pytest.mark.parametrize(
    ("value", "json_text"),
    [
        (0.0, b"0"),
        (100.0, b"100"),
        (33.5, b"33.5"),
        (None, b"null"),
        ("a/é", b'"a\\/\\u00e9"'),
        ([True], b"[true]"),
    ],
)
def test_json_is_written_as_php_writes_it(value, json_text):
    assert as_json(value) == json_text


def test_xml_has_elements_for_objects_lists_and_null():
    root = ET.fromstring(as_xml({"a": [{"b": True}, {"b": None}], "c": 1.0}))
    assert [each.get("name") for each in root.iter("KEY")] == ["a", "b", "b", "c"]
    values = [(each.text, each.get("null")) for each in root.iter("VALUE")]
    assert values == [("1", None), (None, "null"), ("1", None)]
    assert list(ET.fromstring(as_xml(None))) == []


@pytest.mark.parametrize("format", [None, "yaml", "JSON"])
async def test_answer_without_the_json_format_is_xml(moodle, format):
    form = {"wstoken": TOKEN, "wsfunction": INFO} | ({"moodlewsrestformat": format} if format else {})
    answer = await moodle.client.post(SERVER, data=form)
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    assert ET.fromstring(answer.text).tag == "RESPONSE"
    error = ET.fromstring((await moodle.client.post(SERVER, data={**form, "wstoken": "x"})).text)
    assert (error.get("class"), error.findtext("ERRORCODE")) == ("moodle_exception", "invalidtoken")


async def test_xml_errors_carry_their_detail_while_debugging(moodle):
    moodle.switch(debug="on")
    answer = await moodle.client.post(SERVER, data={"wstoken": TOKEN, "wsfunction": COURSES, "x": "1"})
    assert "Unexpected keys (x)" in (ET.fromstring(answer.text).findtext("DEBUGINFO") or "")


# who may


@pytest.mark.parametrize(
    ("trouble", "codes"),
    [
        ("unknown", ["invalidtoken", "invalidtoken"]),
        ("expired", ["accessexception", "invalidtoken"]),
        ("ip", ["accessexception", "accessexception"]),
        ("suspended", ["wsaccessusersuspended", "wsaccessusersuspended"]),
    ],
)
async def test_token_in_trouble_is_refused_with_status_200(moodle, trouble, codes):
    moodle.switch(token_trouble=trouble)
    answers = [await moodle.post(INFO), await moodle.post(INFO)]
    assert [(each.status_code, each.json()["errorcode"]) for each in answers] == [
        (200, code) for code in codes
    ]


async def test_expired_token_by_fault_is_refused_once(moodle):
    moodle.app.faults.arm(Fault(kind="expired_token"))
    assert await moodle.code(INFO) == "accessexception"
    assert await moodle.code(INFO) is None


async def test_token_comes_before_function_and_function_before_parameters(moodle):
    form = {"moodlewsrestformat": "json", "wsfunction": "no_such_function", "x": "1"}

    async def code(**more: str) -> str:
        answer = await moodle.client.post(SERVER, data={**form, **more})
        return answer.json()["errorcode"]

    assert await code() == "invalidtoken"
    assert await code(wstoken=TOKEN) == "invalidrecord"
    assert await code(wstoken=TOKEN, wsfunction="core_course_get_courses") == "accessexception"
    assert await code(wstoken=TOKEN, wsfunction=INFO) == "invalidparameter"


async def test_function_left_out_of_the_service_is_refused_and_not_listed(moodle):
    moodle.switch(left_out=(UPDATE, GRADE))
    assert await moodle.code(UPDATE, users=[{"id": 5}]) == "accessexception"
    names = [each["name"] for each in (await moodle.call(INFO))["functions"]]
    assert UPDATE not in names and CREATE in names and INFO in names


@pytest.mark.parametrize(
    ("capability", "function", "arguments", "code"),
    [
        ("webservice/rest:use", INFO, {}, "accessexception"),
        ("moodle/user:create", CREATE, {"users": [{"username": "a", "firstname": "a", "lastname": "a", "email": "a"}]}, "nopermissions"),
        ("moodle/user:update", UPDATE, {"users": [{"id": 5}]}, "nopermissions"),
        ("moodle/course:view", ENROL, {"enrolments": [{"roleid": 5, "userid": 6, "courseid": 2}]}, "requireloginerror"),
        ("enrol/manual:enrol", ENROL, {"enrolments": [{"roleid": 5, "userid": 6, "courseid": 2}]}, "nopermissions"),
        ("moodle/role:assign", ENROL, {"enrolments": [{"roleid": 5, "userid": 6, "courseid": 2}]}, "wsusercannotassign"),
        ("enrol/manual:unenrol", UNENROL, {"enrolments": [{"userid": 5, "courseid": 9}]}, "nopermissions"),
        ("moodle/course:view", UNENROL, {"enrolments": [{"userid": 5, "courseid": 9}]}, "requireloginerror"),
        ("moodle/course:view", ENROLLED, {"courseid": 9}, "errorcoursecontextnotvalid"),
        ("moodle/course:viewparticipants", ENROLLED, {"courseid": 9}, "nopermissions"),
        ("moodle/course:enrolreview", ENROLLED, {"courseid": 9, "options": [{"name": "onlyactive", "value": 1}]}, "nopermissions"),
        ("moodle/course:view", METHODS, {"courseid": 9}, "errorcoursecontextnotvalid"),
        ("report/completion:view", STATUS, WHO, "cannotviewreport"),
        ("moodle/course:view", STATUS, WHO, "requireloginerror"),
        ("report/progress:view", ACTIVITIES, WHO, "nopermissions"),
        ("gradereport/user:view", GRADES, {"courseid": 9}, "nopermissions"),
        ("moodle/grade:viewall", GRADES, {"courseid": 9}, "nopermissions"),
        ("moodle/course:view", GRADES, {"courseid": 9}, "errorcoursecontextnotvalid"),
        ("moodle/grade:edit", GRADE, {"source": "x", "courseid": 9, "component": "mod_assign", "activityid": 33, "itemnumber": 0}, "nopermissions"),
    ],
)  # fmt: skip
async def test_capability_that_is_missing_is_a_refusal(moodle, capability, function, arguments, code):
    moodle.switch(lacks=(capability,))
    assert await moodle.code(function, **arguments) == code
    assert moodle.effects == []


# parameters


@pytest.mark.parametrize(
    ("function", "arguments", "detail"),
    [
        (COURSES, {"colour": "red"}, "Unexpected keys (colour)"),
        (COURSES, {"field": ["id"]}, "field => Invalid parameter value detected: Scalar type expected"),
        (COURSES, {"field": "no"}, "Invalid field name: no"),
        (COURSES, {"field": "id", "value": "two"}, "two"),
        (COURSES, {"field": "ids", "value": "2,x"}, "2,x"),
        (SEARCH, {"criterianame": "title", "criteriavalue": "x"}, "Invalid criterianame: title"),
        (SEARCH, {"criterianame": "search", "criteriavalue": "x", "limittoenrolled": "true"}, "bool"),
        (USERS_COURSES, {}, "Missing required key in single structure: userid"),
        (USERS_COURSES, {"userid": "1.0"}, '"int" type'),
        (USERS_COURSES, {"userid": ""}, '"int" type'),
        (USERS_COURSES, {"userid": "05"}, '"int" type'),
        (FIND, {"field": "username", "values": "mia.tan"}, "Only arrays accepted. The bad value is: 'mia.tan'"),
        (FIND, {"field": "username", "values": ["Mia.Tan"]}, "Mia.Tan"),
        (FIND, {"field": "id", "values": ["x"]}, "x"),
        (ENROL, {"enrolments": [{"roleid": 5, "userid": 6}]}, "enrolments => Invalid parameter value detected: Missing required key in single structure: courseid"),
        (ENROL, {"enrolments": ["x"]}, "Only arrays accepted"),
        (ENROLLED, {"courseid": 9, "options": [{"name": "sortby", "value": "no"}]}, "sortby"),
        (ENROLLED, {"courseid": 9, "options": [{"name": "sortdirection", "value": "no"}]}, "sortdirection"),
        (ENROLLED, {"courseid": 9, "options": [{"name": "limitfrom", "value": "no"}]}, "limitfrom"),
        (GRADE, {"source": "x", "courseid": 9, "component": "mod_assign", "activityid": 33, "itemnumber": 0, "grades": [{"studentid": 5, "grade": "A"}]}, '"float" type'),
    ],
)  # fmt: skip
async def test_parameter_that_will_not_do_is_invalidparameter_with_the_place_in_its_detail(
    moodle, function, arguments, detail
):
    moodle.switch(debug="on")
    error = await moodle.call(function, **arguments)
    assert (error["exception"], error["errorcode"]) == ("invalid_parameter_exception", "invalidparameter")
    assert detail in error["debuginfo"] and error["message"] == "Invalid parameter value detected"


@pytest.mark.parametrize("value", [0, 1])
async def test_bool_is_a_digit(moodle, value):
    assert (
        "enrolledusercount" in (await moodle.call(USERS_COURSES, userid=5, returnusercount=value))[0]
    ) == bool(value)


async def test_settings_of_the_protocol_are_no_parameters(moodle):
    settings = {f"moodlewssetting{name}": 1 for name in ("raw", "fileurl", "filter", "lang", "timezone")}
    found = await moodle.call(COURSES, field="id", value=3, **settings)
    assert found["courses"][0]["fullname"] == "Work & Safety"


# errors


async def test_detail_is_missing_without_debugging_and_in_the_message_when_displayed(moodle):
    async def error() -> dict[str, str]:
        return await moodle.call(USERS_COURSES)

    assert set(await error()) == {"exception", "errorcode", "message"}
    moodle.switch(debug="display")
    found = await error()
    assert found["message"].endswith("(Missing required key in single structure: userid)")
    assert found["debuginfo"] == "Missing required key in single structure: userid"


@pytest.mark.parametrize(
    ("version", "style", "namespaced"),
    [
        ("3.5", "version", False),
        ("4.4", "version", False),
        ("4.5", "version", True),
        ("5.1", "version", True),
        ("5.1", "bare", False),
        ("4.3", "namespaced", True),
    ],
)
async def test_exception_class_follows_the_release_unless_switched(moodle, version, style, namespaced):
    moodle.switch(version=version, exception_style=style)
    prefix = "core\\exception\\" if namespaced else ""
    assert (await moodle.call(USERS_COURSES))["exception"] == f"{prefix}invalid_parameter_exception"
    assert (await moodle.call("x"))["exception"] == "dml_missing_record_exception"
    moodle.switch(left_out=(INFO,))
    assert (await moodle.call(INFO))["exception"] == "webservice_access_exception"


async def test_missing_record_has_a_code_of_its_own_or_a_plain_one(moodle):
    assert await moodle.code(STATUS, courseid=99, userid=5) == "invalidrecord"
    assert await moodle.code(STATUS, courseid=9, userid=99) == "invaliduser"
    moodle.switch(missing_record_plain=True)
    assert await moodle.code(STATUS, courseid=9, userid=99) == "invalidrecordunknown"
    moodle.switch(debug="on")
    assert await moodle.code(STATUS, courseid=9, userid=99) == "invaliduser"


# trouble


@pytest.mark.parametrize(
    ("changes", "status", "body"),
    [
        ({"rest_enabled": False}, 403, ""),
        ({"html_page": True}, 200, "<html"),
        ({"maintenance": "page"}, 503, "<html"),
        ({"maintenance": "error"}, 200, "sitemaintenance"),
        ({"database_down": True}, 200, "dbconnectionfailed"),
    ],
)
async def test_site_in_trouble_answers_everything_so(moodle, changes, status, body):
    moodle.switch(**changes)
    answer = await moodle.post(ENROL, enrolments=[{"roleid": 5, "userid": 6, "courseid": 2}])
    assert answer.status_code == status and body in answer.text
    assert (answer.text == "") == (not body)
    assert moodle.effects == []


async def test_maintenance_page_says_when_to_come_back(moodle):
    moodle.switch(maintenance="page")
    assert (await moodle.post(INFO)).headers["retry-after"] == "300"


@pytest.mark.parametrize("path", ["/", "/webservice/rest/server", "/webservice/rest/simpleserver.php"])
async def test_other_path_is_a_web_page(moodle, path):
    answer = await moodle.client.post(path)
    assert answer.status_code == 404 and "<html" in answer.text


async def test_error_by_fault_has_the_vendors_form(moodle):
    moodle.app.faults.arm(Fault(kind="error", body_has=ENROL))
    answer = await moodle.post(ENROL, enrolments=[{"roleid": 5, "userid": 6, "courseid": 2}])
    assert answer.status_code == 500 and set(answer.json()) == {"exception", "errorcode", "message"}
    assert moodle.effects == []


# login


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"token": TOKEN, "privatetoken": None}),
        ({"password": "wrong"}, "invalidlogin"),
        ({"username": "mia.tan"}, "invalidlogin"),
        ({"service": "other"}, "servicenotavailable"),
        ({"service": ""}, "missingparam"),
        ({"password[x]": "y", "password": ""}, "missingparam"),
    ],
)
async def test_login_gives_the_token_or_an_error_of_another_shape(moodle, changes, expected):
    form = {"username": "rto-gateway", "password": PASSWORD, "service": SERVICE_NAME, **changes}
    answer = await moodle.client.post(LOGIN, data=form)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    found = answer.json()
    assert found == expected if isinstance(expected, dict) else found["errorcode"] == expected
    if not isinstance(expected, dict):
        assert set(found) == {"error", "errorcode", "stacktrace", "debuginfo", "reproductionlink"}


async def test_login_is_refused_during_maintenance(moodle):
    moodle.switch(maintenance="error")
    assert (await moodle.client.post(LOGIN)).json()["errorcode"] == "sitemaintenance"


# releases and switches


@pytest.mark.parametrize("version", ["3.5", "3.8", "4.1", "4.3", "4.4", "4.5", "5.1"])
async def test_site_info_tells_the_release(moodle, version):
    moodle.switch(version=version)
    info = await moodle.call(INFO)
    assert info["release"].startswith(version) and isinstance(info["version"], str)
    assert info["userid"] == 3 and info["siteurl"] == "http://lms.test"


@pytest.mark.parametrize(("version", "known"), [("3.5", False), ("3.8", True), ("4.1", True), ("5.1", True)])
async def test_completed_and_the_count_are_unknown_to_old_releases(moodle, version, known):
    moodle.switch(version=version)
    found = (await moodle.call(USERS_COURSES, userid=5))[0]
    assert ("completed" in found) == ("completionhascriteria" in found) == known
    assert found["progress"] == pytest.approx(100 / 3)
    code = await moodle.code(USERS_COURSES, userid=5, returnusercount=0)
    assert code == (None if known else "invalidparameter")


@pytest.mark.parametrize(("version", "known"), [("4.4", False), ("4.5", True)])
async def test_courses_are_found_by_section_in_new_releases_only(moodle, version, known):
    moodle.switch(version=version)
    code = await moodle.code(COURSES, field="sectionid", value=1)
    assert code == (None if known else "invalidparameter")


@pytest.mark.parametrize(("version", "answer"), [("3.5", None), ("3.8", None), ("4.3", []), ("5.1", [])])
async def test_updating_users_answers_null_in_old_releases(moodle, version, answer):
    moodle.switch(version=version)
    found = await moodle.call(UPDATE, users=[{"id": 5, "city": "Perth"}])
    assert found == (None if answer is None else {"warnings": answer})
    assert moodle.effects == [("user_updated", "5")]


async def test_old_release_shows_courses_and_activities_without_what_came_later(moodle):
    moodle.switch(version="3.8")
    course = (await moodle.call(COURSES, field="id", value=2))["courses"][0]
    assert "showactivitydates" not in course and "visible" in course
    statuses = (await moodle.call(ACTIVITIES, courseid=9, userid=5))["statuses"]
    assert "details" not in statuses[0] and statuses[0]["state"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2.0"},
        {"exception_style": "x"},
        {"debug": "yes"},
        {"maintenance": "on"},
        {"token_trouble": "x"},
        {"lacks": ("moodle/no:such",)},
        {"hidden_fields": ("username",)},
        {"user_race": "x"},
        {"hook_ids": "x"},
        {"max_input_vars": 0},
        {"race_window_s": -1.0},
        {"search_lag_s": -1},
        {"hook_at_once": 0},
        {"hook_duplicates": -1},
    ],
)
def test_switch_that_could_not_be_served_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Switches(**changes)


async def test_calls_are_counted_by_function(moodle):
    await moodle.post(INFO)
    await moodle.client.get(SERVER)
    await moodle.client.post(LOGIN)
    assert dict(moodle.app.journal.calls) == {INFO: 1, f"GET {SERVER}": 1, f"POST {LOGIN}": 1}


async def test_answer_is_json_to_the_letter(moodle):
    answer: httpx.Response = await moodle.post(FIND, field="username", values=["zoe.brown"])
    assert answer.headers["content-type"] == "application/json"
    assert b"Zo\\u00eb Brown" in answer.content and b"http:\\/\\/lms.test" in answer.content
    assert json.loads(answer.content)[0]["suspended"] is True
