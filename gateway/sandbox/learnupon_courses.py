"""Endpoints about courses, modules and live sessions. Source: vendors/learnupon.md 2, 3.2 and 4."""

from __future__ import annotations

import re
from typing import Any

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_call import Call, Listed, Made
from gateway.sandbox.learnupon_errors import Refused
from gateway.sandbox.learnupon_module_rows import rows
from gateway.sandbox.learnupon_show import live_session
from gateway.sandbox.learnupon_state import Course, is_true, number


def courses(call: Call) -> Listed:
    """Those that all filters leave; drafts, old versions and licensed ones only when asked for."""
    return Listed(
        "courses", [call.show.course(each) for each in call.portal.courses.values() if _wanted(call, each)]
    )


def _wanted(call: Call, course: Course) -> bool:
    query = call.query
    named = "name" not in query or matches(query["name"], course.name, call.switches.name_pattern)
    right = "course_id" not in query or course.id == number(query["course_id"])
    all_shown = call.switches.course_id_finds_hidden and "course_id" in query
    return named and right and (all_shown or _visible(call, course))


def _visible(call: Call, course: Course) -> bool:
    asked = call.query
    if course.status == "draft" and not is_true(asked.get("include_draft")):
        return False
    if course.status == "superseded" and not is_true(asked.get("include_all_versions")):
        return False
    return not course.licensed or is_true(asked.get("include_licensed_courses"))


def matches(pattern: str, name: str, kind: str) -> bool:
    """Whether the pattern is found in the name, in any case. Raises Refused (400) for a broken expression."""
    try:
        return re.search(_expression(pattern, kind), name, re.IGNORECASE | re.DOTALL) is not None
    except re.error as exc:
        raise Refused(400, say.INTERNAL) from exc


def _expression(pattern: str, kind: str) -> str:
    if kind == "regex":
        return pattern
    if kind == "plain":
        return re.escape(pattern)
    return "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)


def modules(call: Call) -> Listed:
    """The rows of all modules, or of one course's."""
    portal, found = call.portal, call.portal.modules()
    if "course_id" in call.query:
        course = portal.courses.get(number(call.query["course_id"]))
        found = course.modules if course else []
    keys = call.switches.session_keys
    return Listed(
        "modules", [row for each in found for row in rows(each, portal.courses_with(each.id), keys)]
    )


def sessions(call: Call) -> Listed:
    """Live sessions, all or those of one course."""
    wanted = number(call.query["course_id"]) if "course_id" in call.query else None
    found: list[dict[str, Any]] = []
    for module, session in call.portal.sessions():
        having = [course.id for course in call.portal.courses.values() if module in course.modules]
        if wanted is None or wanted in having:
            found.append(live_session(module, session, having))
    return Listed("sessions", found)


def add_to_session(call: Call) -> Made:
    """Register a learner, who must be enrolled in the course [I], for a session with room."""
    given = call.plain
    user_id, course_id = number(given.get("user_id")), number(given.get("course_id"))
    for module, session in call.portal.sessions():
        course = call.portal.courses.get(course_id)
        if session.id == call.id and course is not None and module in course.modules:
            break
    else:
        raise Refused(404, say.NO_SESSION)
    records = call.portal.records(user_id, course.source)
    if not any(each.active and each.course_id == course_id for each in records):
        raise Refused(400, say.NO_ENROLMENT)
    if user_id in session.learners or session.full:
        raise Refused(400, say.MEMBER if user_id in session.learners else say.CAPACITY)
    session.learners.append(user_id)
    session.taken += 1
    call.journal.effect("session_joined", f"{session.id},{user_id}")
    return Made({"success": "ok"})
