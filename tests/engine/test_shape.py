"""What RTOPilot may be told of vendor values: per cents, course rows, searches."""

from __future__ import annotations

import pytest

from gateway.engine import shape
from gateway.engine.calls import Reply
from gateway.engine.shape import CourseRow, Progress
from gateway.errors import VendorFault
from gateway.mapping.spec import Policy, Search

DROP, CLAMP, UNITS = Policy(), Policy(outside="clamp"), Policy(of="units")
NUMBER, RANGE = "the percentage is not a number", "the percentage is not within 0 and 100"


@pytest.mark.parametrize(
    ("policy", "value", "percent", "fault"),
    [
        pytest.param(DROP, {"percent": 33, "completed": False}, 33, None, id="whole"),
        pytest.param(DROP, {"percent": 66.99, "completed": False}, 66, None, id="rounded down"),
        pytest.param(DROP, {"percent": 100, "completed": False}, 99, None, id="100 without completion is 99"),
        pytest.param(DROP, {"percent": 99.99, "completed": False}, 99, None, id="nearly 100"),
        pytest.param(DROP, {"percent": 12, "completed": True}, 100, None, id="completed is always 100"),
        pytest.param(DROP, {"percent": "x", "completed": True}, 100, None, id="completed with nonsense beside it"),
        pytest.param(DROP, {"percent": 100, "completed": "true"}, 99, None, id="a word is not true"),
        pytest.param(DROP, {"percent": 100, "completed": 1}, 99, None, id="a number is not true"),
        pytest.param(DROP, {"percent": 0}, 0, None, id="nothing done"),
        pytest.param(DROP, {"completed": False}, None, None, id="no percentage"),
        pytest.param(DROP, {"percent": None}, None, None, id="null percentage"),
        pytest.param(DROP, {"percent": "33"}, None, NUMBER, id="text"),
        pytest.param(DROP, {"percent": True}, None, NUMBER, id="boolean"),
        pytest.param(DROP, {"percent": float("nan")}, None, NUMBER, id="not a number"),
        pytest.param(DROP, {"percent": float("inf")}, None, NUMBER, id="infinite"),
        pytest.param(DROP, {"percent": 101}, None, RANGE, id="too large, dropped"),
        pytest.param(DROP, {"percent": -1}, None, RANGE, id="negative, dropped"),
        pytest.param(CLAMP, {"percent": 250}, 99, None, id="too large, clamped"),
        pytest.param(CLAMP, {"percent": -1}, 0, None, id="negative, clamped"),
        pytest.param(Policy(below_completed=90), {"percent": 95}, 90, None, id="held lower"),
        pytest.param(Policy(below_completed=100), {"percent": 100}, 99, None, id="never 100 by a policy"),
        pytest.param(UNITS, {"percent": 5, "units": [{"completed": True}, {"completed": False}, {}]}, 33, None, id="by units"),
        pytest.param(UNITS, {"units": [{"completed": True}] * 3}, 99, None, id="all units are no completion"),
        pytest.param(UNITS, {"percent": 5, "units": []}, 5, None, id="no units"),
        pytest.param(UNITS, {"percent": 5, "units": "x"}, 5, None, id="units that are no list"),
        pytest.param(UNITS, {"units": ["x", {"completed": True}]}, 50, None, id="a unit that is no object"),
    ],
)  # fmt: skip
def test_a_percentage_goes_through_the_policy(policy, value, percent, fault):
    completed = value.get("completed") is True
    assert shape.progress(policy, value) == Progress(percent=percent, completed=completed, fault=fault)


COURSES = """
steps: [{id: all, call: GET /courses, items: reply.body}]
each: steps.all.items
as: course
give: {id: "${course.id}", name: "${course.name}"}
remember: {course: {"qan?": "${course.qan}"}}
search: {mode: local, in: ["${course.name}", "${course.code}", "${course.tags}"]}
"""


def rows(make_frame, run_steps, body, text=COURSES):
    frame = make_frame(text, "getCourses")
    assert run_steps(frame, Reply(status=200, body=body)).error is None
    return shape.courses(frame, frame.mapping.operations[frame.operation])


def test_courses_are_given_with_what_is_searched_and_remembered(make_frame, run_steps):
    found = rows(
        make_frame,
        run_steps,
        [{"id": 126, "name": " WHS ", "code": "Q1", "qan": "6"}, {"id": "b", "name": "B", "tags": ["x"]}],
    )
    assert found.rows == (
        CourseRow(vendor_id="126", name="WHS", haystack=(" whs ", "q1"), remember={"qan": "6"}),
        CourseRow(vendor_id="b", name="B", haystack=("b", ""), remember={}),
    )
    assert found.dropped == ()


@pytest.mark.parametrize(
    "course",
    [
        pytest.param({"name": "x"}, id="no id"),
        pytest.param({"id": "", "name": "x"}, id="empty id"),
        pytest.param({"id": ["1"], "name": "x"}, id="id that is a list"),
        pytest.param({"id": "1", "name": "  "}, id="blank name"),
        pytest.param({"id": "1", "name": None}, id="null name"),
    ],
)
def test_a_course_that_cannot_be_given_is_dropped_and_counted(make_frame, run_steps, course):
    found = rows(make_frame, run_steps, [course, {"id": "2", "name": "B"}])
    assert [row.vendor_id for row in found.rows] == ["2"]
    assert len(found.dropped) == 1


def test_a_search_place_that_fails_drops_the_course(make_frame, run_steps):
    text = COURSES.replace("${course.code}", "${upper(course.code)}")
    assert len(rows(make_frame, run_steps, [{"id": "2", "name": "B", "code": 5}], text).dropped) == 1


@pytest.mark.parametrize("each", ["steps.all.items[0]", "steps.all.items[5]", "upper(steps.all.items)"])
def test_no_list_of_courses_is_a_fault_and_not_an_empty_list(make_frame, run_steps, each):
    with pytest.raises(VendorFault):
        rows(
            make_frame,
            run_steps,
            [{"id": "1", "name": "x"}],
            COURSES.replace("each: steps.all.items", f"each: {each}"),
        )


def test_without_places_the_name_is_searched(make_frame, run_steps):
    text = COURSES[: COURSES.index("search:")]
    assert rows(make_frame, run_steps, [{"id": "1", "name": "Straße"}], text).rows[0].haystack == ("strasse",)


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("", ["a", "b"]),
        ("first", ["a"]),
        ("FIRST aid", ["a"]),
        ("Q2", ["b"]),
        ("aid q1", []),
        ("straße", ["b"]),
    ],
)
def test_rows_are_found_by_a_part_of_any_place_in_any_case(term, found):
    listed = (
        CourseRow(vendor_id="a", name="First aid", haystack=("first aid", "q1"), remember=None),
        CourseRow(vendor_id="b", name="Straße", haystack=("strasse", "q2"), remember=None),
    )
    assert [row.vendor_id for row in shape.found(listed, term)] == found


SENT = Search(mode="sent", min=3, strip="+-")


@pytest.mark.parametrize(
    ("search", "term", "sent", "stripped"),
    [
        pytest.param(None, " whs ", None, "whs", id="no search"),
        pytest.param(Search(mode="local"), "whs", None, "whs", id="local"),
        pytest.param(SENT, "whs", "whs", "whs", id="sent"),
        pytest.param(SENT, "wh", None, "wh", id="too short to be sent"),
        pytest.param(SENT, None, None, "", id="none"),
        pytest.param(SENT, "+- whs", "whs", "whs", id="leading operators dropped"),
        pytest.param(SENT, "+wh", None, "wh", id="too short once they are dropped"),
    ],
)
def test_a_term_is_sent_only_when_the_vendor_filters_and_it_is_long_enough(search, term, sent, stripped):
    assert (shape.sent_term(search, term), shape.stripped_term(search, term)) == (sent, stripped)
