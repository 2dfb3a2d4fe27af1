"""Results and errors as the exact bodies RTOPilot may see."""

from __future__ import annotations

import inspect
import json
import logging

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.contract import Course, Done, Enrolment, Operation
from gateway.errors import GatewayError, InternalError
from gateway.mapping.schema import load_schema
from gateway.rtopilot import shapes
from gateway.rtopilot.operations import SPECS
from gateway.rtopilot.replies import (
    CourseListBytes,
    ExtraFields,
    courses_bytes,
    error_bytes,
    result_bytes,
)

THREE = {"id": "7-126", "enrolmentId": "7-126", "lmsEnrolmentId": "7-126"}


def body_of(operation, result, extra=None):
    return json.loads(result_bytes(operation, result, extra=extra))


def course_list(courses, extra=None):
    return json.loads(courses_bytes(courses, tenant="acme", extra=extra))


def bad_reply(operation, result, extra=None):
    with pytest.raises(InternalError) as refused:
        result_bytes(operation, result, extra=extra)
    assert (refused.value.code, refused.value.status) == ("bad_reply", 500)
    assert refused.value.message == InternalError.message
    return refused.value.detail


@pytest.mark.parametrize(
    ("operation", "result", "body"),
    [
        (Operation.GET_COURSE, Course(id="126", name="Safety"), {"id": "126", "name": "Safety"}),
        (Operation.GET_ENROLMENT, Enrolment(id="7-126"), THREE),
        (
            Operation.GET_ENROLMENT,
            Enrolment(id="7-126", course_id="126", student_id="204", progress=0),
            THREE | {"courseId": "126", "studentId": "204", "progress": 0},
        ),
        (Operation.CREATE_ENROLMENT, Done(id="7-126"), THREE),
        (Operation.TRANSFER_ENROLMENT, Done(id="7-126"), THREE),
        (Operation.CANCEL_ENROLMENT, Done(id="7-126"), {"success": True} | THREE),
        (Operation.UPDATE_MARKING, Done(id="7-126"), {"success": True} | THREE),
    ],
)
def test_result_has_the_documented_body(operation, result, body):
    assert body_of(operation, result) == body


def test_courses_are_a_bare_list_sorted_by_name():
    courses = [Course(id="3", name="beta"), Course(id="1", name="Gamma"), Course(id="2", name="Alpha")]
    assert [course["name"] for course in course_list(courses)] == ["Alpha", "beta", "Gamma"]
    assert course_list(courses)[0] == {"id": "2", "name": "Alpha"}


def test_courses_of_one_name_keep_one_order():
    courses = [Course(id="2", name="A"), Course(id="1", name="a")]
    assert [course["id"] for course in course_list(courses)] == ["1", "2"]


def test_no_courses_are_an_empty_list():
    assert courses_bytes([], tenant="acme") == b"[]"


def test_long_course_list_is_cut_and_logged(caplog):
    courses = [Course(id=str(number), name=f"Course {number:05}") for number in range(1005)]
    with caplog.at_level(logging.WARNING):
        body = course_list(courses)
    assert (len(body), body[-1]["name"]) == (1000, "Course 00999")
    assert "acme: 1005 courses" in caplog.text


def test_thousand_courses_are_not_logged_as_cut(caplog):
    assert len(course_list([Course(id=str(number), name="x") for number in range(1000)])) == 1000
    assert caplog.text == ""


@pytest.mark.parametrize(
    "course",
    [
        Course(id="a b", name="x"),
        Course(id="7" * 65, name="x"),
        Course(id="", name="x"),
        Course(id="1", name=""),
        Course(id="7\n", name="x"),
        Course(id="\ud800", name="x"),
        Course(id="1", name="\ud800"),
        Course(id="1", name=None),
    ],
    ids=["space", "long", "empty", "no name", "line end", "surrogate id", "surrogate name", "null name"],
)
def test_course_that_breaks_the_schema_never_leaves(course):
    bad_reply(Operation.GET_COURSE, course)
    with pytest.raises((InternalError, AttributeError)):
        courses_bytes([course], tenant="acme")


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (Operation.GET_ENROLMENT, Enrolment(id="7-126", progress=101)),
        (Operation.GET_ENROLMENT, Enrolment(id="7-126", progress=-1)),
        (Operation.GET_ENROLMENT, Enrolment(id="7-126", progress=True)),
        (Operation.GET_ENROLMENT, Enrolment(id="7-126", progress=0.5)),
        (Operation.GET_ENROLMENT, Enrolment(id="7-126", student_id="")),
        (Operation.GET_ENROLMENT, Enrolment(id="7-126", course_id="a/b")),
        (Operation.GET_ENROLMENT, Course(id="1", name="x")),
        (Operation.CREATE_ENROLMENT, Done(id="a/b")),
        (Operation.CREATE_ENROLMENT, Enrolment(id="7-126", progress=5)),
        (Operation.CREATE_ENROLMENT, [Course(id="1", name="x")]),
        (Operation.GET_COURSES, Course(id="1", name="x")),
        (Operation.CANCEL_ENROLMENT, Done(id="")),
        (Operation.CREATE_ENROLMENT, None),
    ],
)
def test_result_that_breaks_the_schema_is_our_own_mistake(operation, result):
    assert bad_reply(operation, result).startswith(operation)


def test_detail_of_a_bad_reply_names_the_place_but_no_value():
    detail = bad_reply(Operation.GET_ENROLMENT, Enrolment(id="7-126", student_id="", progress=-7))
    assert "progress" in detail or "studentId" in detail
    assert "-7" not in detail


def test_extra_fields_rename_then_add():
    extra = ExtraFields(add={"status": "active"}, rename={"id": "enrolment_id"})
    body = body_of(Operation.CREATE_ENROLMENT, Done(id="7"), extra)
    assert body == {"enrolment_id": "7", "enrolmentId": "7", "lmsEnrolmentId": "7", "status": "active"}


def test_extra_fields_reach_every_course():
    courses = [Course(id="1", name="a"), Course(id="2", name="b")]
    assert course_list(courses, ExtraFields(add={"quizzes": []})) == [
        {"id": "1", "name": "a", "quizzes": []},
        {"id": "2", "name": "b", "quizzes": []},
    ]


@pytest.mark.parametrize("value", [None, {"a": None}, [1, None], {"a": [{"b": None}]}])
def test_extra_fields_never_bring_a_null(value):
    assert "null" in bad_reply(Operation.CREATE_ENROLMENT, Done(id="7"), ExtraFields(add={"x": value}))


def test_extra_fields_that_are_not_json_never_leave():
    bad_reply(Operation.CREATE_ENROLMENT, Done(id="7"), ExtraFields(add={"x": object()}))


def test_schema_is_checked_before_extra_fields():
    bad_reply(Operation.CREATE_ENROLMENT, Done(id="a b"), ExtraFields(rename={"id": "enrolment_id"}))


def test_unchanged_list_is_not_written_again():
    lists, courses = CourseListBytes(), [Course(id="1", name="a")]
    first = lists.body(courses, tenant="acme")
    assert lists.body(courses, tenant="acme") is first
    assert lists.body(list(courses), tenant="acme") == first


def test_list_with_other_extra_fields_has_its_own_body():
    lists, courses = CourseListBytes(), [Course(id="1", name="a")]
    assert b"x" not in lists.body(courses, tenant="acme")
    assert b'"x":1' in lists.body(courses, tenant="acme", extra=ExtraFields(add={"x": 1}))


def test_new_list_at_an_old_address_has_its_own_body():
    lists = CourseListBytes(size=2)
    for number in range(50):  # each list is dropped at once, so addresses are used again
        body = lists.body([Course(id=str(number), name="a")], tenant="acme")
        assert json.loads(body)[0]["id"] == str(number)


names = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@given(
    st.lists(
        st.builds(Course, id=st.from_regex("[A-Za-z0-9_-]{1,64}", fullmatch=True), name=names), max_size=5
    )
)
def test_any_sound_course_list_fits_the_published_schema(courses):
    jsonschema.validate(course_list(courses), load_schema("rtopilot/getCourses.reply.json"))


def test_error_has_code_sentence_and_reference_only():
    error = GatewayError("A sentence.", code="some_code", detail="inside knowledge")
    assert json.loads(error_bytes(error, "ref1")) == {
        "error": {"code": "some_code", "message": "A sentence.", "reference": "ref1"}
    }


PRODUCERS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GatewayError)
]


@pytest.mark.parametrize("kind", PRODUCERS, ids=lambda kind: kind.__name__)
def test_every_error_class_has_the_canonical_shape(kind):
    jsonschema.validate(json.loads(error_bytes(kind(), "ref1")), load_schema("rtopilot/error.json"))
    assert 400 <= kind().status <= 504


SHAPES = [*(spec.reply_schema for spec in SPECS.values()), "rtopilot/error.json"] + [
    spec.request_schema for spec in SPECS.values() if spec.request_schema
]


@pytest.mark.parametrize("name", SHAPES)
def test_schema_is_sound_described_and_fits_its_own_examples(name):
    schema = load_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] and schema["description"] and schema["examples"]
    for example in schema["examples"]:
        jsonschema.validate(example, schema)
        assert shapes.fits(name, example)
    for definition in [schema, *schema.get("$defs", {}).values()]:
        assert all(
            "$ref" in field or ("title" in field and "description" in field)
            for field in definition.get("properties", {}).values()
        )


@pytest.mark.parametrize(
    ("name", "instance", "words"),
    [
        ("rtopilot/getCourse.reply.json", {"id": "1"}, "`name` is missing"),
        ("rtopilot/getCourse.reply.json", [], "the body should be an object"),
        ("rtopilot/getCourse.reply.json", {"id": "1", "name": ""}, "`name` is too short: 0 characters"),
        ("rtopilot/getCourse.reply.json", {"id": "a b", "name": "x"}, "`id` breaks the rule `pattern`"),
        ("rtopilot/getCourses.reply.json", [{"id": "1", "name": 5}], "`0.name` should be text"),
        ("rtopilot/getCourse.reply.json", {"id": "1", "name": "x"}, "it does not fit the schema"),
    ],
)
def test_explanation_names_place_and_rule(name, instance, words):
    assert shapes.explain(name, instance) == words
