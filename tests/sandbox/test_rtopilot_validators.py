"""The validators of vendors/rtopilot.md 7.1: each rejects what it is there for."""

import json

import pytest

from gateway.contract import Operation
from gateway.sandbox.rtopilot_validators import VALIDATORS, check_reply, judge

COURSE = {"id": "crs_7", "name": "Prepare to work safely"}
IDS = {"id": "e", "enrolmentId": "e", "lmsEnrolmentId": "e"}
ENROLMENT = {**IDS, "courseId": "crs_7", "studentId": "204", "progress": 40}
DONE = {"success": True, **IDS}

GOOD = [
    (Operation.GET_COURSES, []),
    (Operation.GET_COURSES, [COURSE, COURSE]),
    (Operation.GET_COURSE, COURSE),
    (Operation.GET_ENROLMENT, ENROLMENT),
    (Operation.GET_ENROLMENT, {**ENROLMENT, "progress": 99.5}),
    (Operation.CREATE_ENROLMENT, IDS),
    (Operation.TRANSFER_ENROLMENT, IDS),
    (Operation.CANCEL_ENROLMENT, DONE),
    (Operation.UPDATE_MARKING, DONE),
]


@pytest.mark.parametrize("operation, value", GOOD)
def test_the_answers_the_gateway_publishes_satisfy_every_validator(operation, value):
    assert check_reply(operation, 200, json.dumps(value).encode()) == []


def without(value, key):
    return {name: item for name, item in value.items() if name != key}


BAD = [
    (Operation.GET_COURSES, "courses", {"data": [COURSE]}),
    (Operation.GET_COURSES, "courses", [7]),
    (Operation.GET_COURSES, "courses", [COURSE, {"id": 7, "name": "x"}]),
    (Operation.GET_COURSES, "courses", [{"id": "7"}]),
    (Operation.GET_COURSES, "courses_without_unknown_keys", [{**COURSE, "code": "x"}]),
    (Operation.GET_COURSE, "course", [COURSE]),
    (Operation.GET_COURSE, "course", {"id": "7", "name": None}),
    (Operation.GET_COURSE, "course_without_unknown_keys", {**COURSE, "code": "x"}),
    (Operation.GET_COURSE, "course_without_unknown_keys", "text"),
    (Operation.UPDATE_MARKING, "any_object", [DONE]),
    (Operation.GET_ENROLMENT, "numeric_progress", IDS),
    (Operation.GET_ENROLMENT, "numeric_progress", {**IDS, "progress": "40"}),
    (Operation.GET_ENROLMENT, "numeric_progress", {**IDS, "progress": True}),
    (Operation.GET_ENROLMENT, "numeric_progress", {**IDS, "progress": 101}),
    (Operation.GET_ENROLMENT, "numeric_progress", {**IDS, "progress": -1}),
    (Operation.GET_ENROLMENT, "numeric_progress", "text"),
]
for _operation, _good in (
    (Operation.GET_ENROLMENT, ENROLMENT),
    (Operation.CREATE_ENROLMENT, IDS),
    (Operation.TRANSFER_ENROLMENT, IDS),
):
    for _key in IDS:
        BAD.append((_operation, f"id_under_{_key}", without(_good, _key)))
        BAD.append((_operation, f"id_under_{_key}", {**_good, _key: ""}))
        BAD.append((_operation, f"id_under_{_key}", {**_good, _key: 7}))
        BAD.append((_operation, f"id_under_{_key}", ["e"]))
        BAD.append((_operation, "same_id_under_every_key", {**_good, _key: "f"}))
    BAD.append((_operation, "same_id_under_every_key", ["e"]))
    BAD.append((_operation, "no_null", {**_good, "courseId": None}))
    BAD.append((_operation, "no_null", {**_good, "inner": [{"deep": None}]}))
    BAD.append((_operation, "no_null", None))


@pytest.mark.parametrize("operation, name, value", BAD)
def test_a_validator_rejects_the_answer_it_is_there_for(operation, name, value):
    body = json.dumps(value).encode()
    assert name in [complaint.partition(":")[0] for complaint in check_reply(operation, 200, body)]
    assert judge(operation, 200, body).reason == "schema"


def test_only_the_validators_that_take_anything_have_no_row_in_the_table():
    tested = {(operation, name) for operation, name, _ in BAD}
    every = {(operation, each.name) for operation, group in VALIDATORS.items() for each in group}
    assert every - tested == {
        (Operation.CANCEL_ENROLMENT, "never_parsed"),
        (Operation.CANCEL_ENROLMENT, "any_json"),  # it rejects what is not JSON: see below
        (Operation.UPDATE_MARKING, "never_parsed"),
    }


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b'{"a": NaN}', id="nan"),
        pytest.param(b'{"a": "\xff"}', id="not_utf8"),
        pytest.param(b'{"a": "line\nbreak"}', id="control_character"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte_order_mark"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
@pytest.mark.parametrize("operation", Operation)
def test_a_body_that_is_not_json_is_refused_by_every_operation(operation, body):
    verdict = judge(operation, 200, body)
    assert verdict.reason == "json"
    assert all("not JSON" in complaint for complaint in verdict.complaints)


@pytest.mark.parametrize("depth", [101, 500])
def test_nesting_beyond_the_cap_is_a_complaint(depth):
    body = b'{"id":"e","enrolmentId":"e","lmsEnrolmentId":"e","x":' + b"[" * depth + b"]" * depth + b"}"
    assert check_reply(Operation.CREATE_ENROLMENT, 200, body) == ["no_null: nested too deeply"]


@pytest.mark.parametrize("status", [199, 300, 302, 404, 500])
def test_a_status_other_than_2xx_is_a_failure_whatever_the_body(status):
    verdict = judge(Operation.CREATE_ENROLMENT, status, json.dumps(IDS).encode())
    assert verdict.reason == "status"
    assert verdict.complaints == (f"status: {status} is not 2xx",)


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_2xx_is_a_success_when_the_body_fits(status):
    assert check_reply(Operation.CREATE_ENROLMENT, status, json.dumps(IDS).encode()) == []
