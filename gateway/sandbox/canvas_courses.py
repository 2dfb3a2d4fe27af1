"""Course lists and courses. Source: vendors/canvas.md 3.1 and 3.4."""

from __future__ import annotations

from typing import Any

from gateway.sandbox.canvas_call import Call, Endpoint
from gateway.sandbox.canvas_errors import short_term
from gateway.sandbox.canvas_pages import Key, Listed
from gateway.sandbox.canvas_state import LIVE_STATES, STUDENT, Course, User, whole

OWN_STATES = (*LIVE_STATES, "completed")
UNPUBLISHED_WORDS = ("created", "claimed", "unpublished")
STATE_GROUPS = {"active": LIVE_STATES[:1], "invited_or_pending": LIVE_STATES[1:], "completed": ("completed",)}


def of_account(call: Call) -> Listed:
    """The courses of an account and those below it; deleted ones only when asked for."""
    accounts = call.school.account_ids(call.account().id)
    call.may(call.switches.may_read_courses)
    term = search_term(call)
    found = [
        course
        for course in call.school.courses.values()
        if course.account_id in accounts and _wanted(call, course) and _named(course, term)
    ]
    return Listed([(_key(call, course), call.show.course(course)) for course in found])


def search_term(call: Call) -> str | None:
    """The term in lower case. Raises Refused (400) when it is too short."""
    term = call.params.text("search_term")
    if term is not None and len(term) < call.switches.search_minimum:
        raise short_term(call.switches.search_minimum)
    return None if term is None else term.casefold()


def _wanted(call: Call, course: Course) -> bool:
    states = call.params.texts("state")
    if "all" in states:
        return True
    wanted = {"unpublished" if state in UNPUBLISHED_WORDS else state for state in states}
    if course.state not in (wanted or {"unpublished", "available", "completed"}):
        return False
    if call.params.text("published") and call.params.truth("published") is (course.state == "unpublished"):
        return False
    if call.params.text("completed") and call.params.truth("completed") is not (course.state == "completed"):
        return False
    return call.params.text("enrollment_term_id") in (None, str(course.term_id))


def _named(course: Course, term: str | None) -> bool:
    texts = (course.name, course.code, course.sis_course_id or "")
    return term is None or any(term in text.casefold() for text in texts) or whole(term) == course.id


def _key(call: Call, course: Course) -> Key:
    match call.params.text("sort"):
        case "course_name":
            return course.name.casefold(), course.id
        case "sis_course_id":
            return course.sis_course_id or "", course.id
        case _:
            return "", course.id


def one(call: Call) -> dict[str, Any]:
    course = call.course(call.names["id"])
    call.may(call.switches.may_read_courses)
    return call.show.course(course)


def own(call: Call) -> Listed:
    """Only those of the token's own user, which is a trap."""
    return _courses_of(call, call.user("self"))


def of_user(call: Call) -> Listed:
    user = call.user()
    call.may(call.switches.may_manage_users or user.id == call.school.admin_id)
    return _courses_of(call, user)


def _courses_of(call: Call, user: User) -> Listed:
    wanted = STATE_GROUPS.get(call.params.text("enrollment_state") or "", OWN_STATES)
    rows: list[tuple[Key, dict[str, Any]]] = []
    for course in call.school.courses.values():
        enrolments = call.school.enrolments_of(course_id=course.id, user_id=user.id)
        held = [each for each in enrolments if each.state in wanted]
        if course.state == "deleted" or not held:
            continue
        row = call.show.course(course) | {
            "enrollments": [
                {
                    "type": each.type.removesuffix("Enrollment").lower(),
                    "role": each.role.label,
                    "role_id": each.role.id,
                    "user_id": user.id,
                    "enrollment_state": each.state,
                }
                for each in held
            ]
        }
        if "course_progress" in call.params.texts("include") and any(each.type == STUDENT for each in held):
            row["course_progress"] = call.show.progress(course, user)
        rows.append((("", course.id), row))
    return Listed(rows)


ENDPOINTS: dict[str, Endpoint] = {
    "GET /accounts/:account_id/courses": of_account,
    "GET /courses": own,
    "GET /courses/:id": one,
    "GET /users/:user_id/courses": of_user,
}
