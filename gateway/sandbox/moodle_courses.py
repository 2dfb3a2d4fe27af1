"""Functions about courses: by field, by search, and how one can enrol.

Source: vendors/moodle.md 4.2 and 4.4; recordings 5 to 16 of 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_errors import context_not_valid, invalid
from gateway.sandbox.moodle_parameters import OPTIONAL, Many, Struct, Value, cleaned
from gateway.sandbox.moodle_show import course_found
from gateway.sandbox.moodle_state import Course

FIELD_TYPES = {
    "": "raw",
    "id": "int",
    "ids": "sequence",
    "shortname": "text",
    "idnumber": "raw",
    "category": "int",
    "sectionid": "int",
}


def by_field(call: Call) -> Any:
    """Courses whose field is this, all of them for an empty field; the front page is one of them.

    What the service user may not see is skipped, or shown with its public members only.
    """
    field, value = call.arguments["field"], call.arguments["value"]
    if field not in FIELD_TYPES or (field == "sectionid" and not call.switches.release.finds_by_section):
        raise invalid(f"Invalid field name: {field}")
    if field and cleaned(FIELD_TYPES[field], value, call.rules) != value:
        raise invalid(f"The value of {field} will not do: {value}")
    found = [each for each in call.site.courses.values() if _has(each, field, value) and _is_seen(call, each)]
    return {"courses": [_shown(call, each) for each in sorted(found, key=lambda c: c.id)], "warnings": []}


def _has(course: Course, field: str, value: str) -> bool:
    tests: dict[str, Callable[[], bool]] = {
        "": lambda: True,
        "id": lambda: str(course.id) == value,
        "ids": lambda: str(course.id) in value.split(","),
        "shortname": lambda: course.shortname == value,
        "idnumber": lambda: course.idnumber == value,
        "category": lambda: str(course.category) == value,
        "sectionid": lambda: False,
    }
    return tests[field]()


def _is_seen(call: Call, course: Course) -> bool:
    return course.visible or not call.lacks("moodle/course:viewhiddencourses")


def _shown(call: Call, course: Course) -> dict[str, Any]:
    all_members = call.can_enter(course) and not call.lacks("moodle/course:update")
    return course_found(call, course, all_members=all_members)


def search(call: Call) -> Any:
    """One page of the courses that match; newest first, without the front page.

    Searches by anything but words know modules only; a tag or block finds nothing here.
    """
    name, value = call.arguments["criterianame"], call.arguments["criteriavalue"]
    if name not in ("search", "tagid", "modulelist", "blocklist"):
        raise invalid(f"Invalid criterianame: {name}")
    found = [each for each in call.site.newest_first() if _is_listed(call, each)]
    found = [each for each in found if _matches(each, name, value)]
    if call.arguments.get("onlywithcompletion"):
        found = [each for each in found if each.tracked]
    if call.arguments["limittoenrolled"]:
        found = []  # the service user is enrolled nowhere
    size, start = call.arguments["perpage"], call.arguments["page"] * call.arguments["perpage"]
    page = found[start : start + size] if size > 0 else found
    courses = [course_found(call, each, all_members=False) for each in page]
    return {"total": len(found), "courses": courses, "warnings": []}


def _is_listed(call: Call, course: Course) -> bool:
    return _is_seen(call, course) and course.created + call.switches.search_lag_s <= call.now


def _matches(course: Course, name: str, value: str) -> bool:
    match name:
        case "search":
            text = f"{course.summary} {course.fullname} {course.idnumber} {course.shortname}".lower()
            return all(_word_is_in(word, text) for word in value.lower().split())
        case "modulelist":
            return any(each.module == value for each in course.activities)
        case _:
            return False


def _word_is_in(word: str, text: str) -> bool:
    if word.startswith("-") and len(word) > 1:
        return word[1:] not in text
    if word.startswith("+") and len(word) > 1:
        return re.search(rf"(?<!\w){re.escape(word[1:])}(?!\w)", text) is not None
    return word in text


def methods(call: Call) -> Any:
    """Enrolment methods of a course, of which the manual one is not among those that are listed."""
    course = call.course(call.arguments["courseid"])
    if not call.can_enter(course):
        raise context_not_valid(course.id)
    names = ["manual"] if course.manual and call.switches.methods_show_manual else []
    names += ["self"] if course.self_enrol else []
    words = {"manual": "Manual enrolments", "self": "Self enrolment (Student)"}
    return [
        {"id": 100 * course.id + place, "courseid": course.id, "type": name, "name": words[name]}
        | {"status": "true"}
        for place, name in enumerate(names)
    ]


FUNCTIONS = {
    "core_course_get_courses_by_field": Function(
        Struct({"field": Value("alpha", ""), "value": Value("raw", "")}), by_field
    ),
    "core_course_search_courses": Function(
        Struct(
            {
                "criterianame": Value("alpha"),
                "criteriavalue": Value("raw"),
                "page": Value("int", 0),
                "perpage": Value("int", 0),
                "requiredcapabilities": Many(Value("raw"), OPTIONAL),
                "limittoenrolled": Value("bool", False),
                "onlywithcompletion": Value("bool", False, since="3.8"),
            }
        ),
        search,
    ),
    "core_enrol_get_course_enrolment_methods": Function(Struct({"courseid": Value("int")}), methods),
}
