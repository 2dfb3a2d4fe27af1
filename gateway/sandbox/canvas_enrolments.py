"""Enrolments: create, list, one by id, end, reactivate, many at once.

Source: vendors/canvas.md 3.3. The defaults are traps: a new enrolment is `invited`, an ended one `completed`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.sandbox import canvas_errors as say
from gateway.sandbox.canvas_call import Call, Endpoint
from gateway.sandbox.canvas_errors import Refused, not_enrolled, not_found
from gateway.sandbox.canvas_jobs import queued
from gateway.sandbox.canvas_pages import Key, Listed
from gateway.sandbox.canvas_state import (
    LIVE_STATES,
    STUDENT,
    Course,
    Enrolment,
    Role,
    Section,
    User,
    whole,
)
from gateway.sandbox.canvas_wire import time_of

NEW_STATES = ("active", "invited", "inactive", "completed")
TASKS = {
    "conclude": ("completed", "concluded"),
    "delete": ("deleted", "deleted"),
    "deactivate": ("inactive", "deactivated"),
    "inactivate": ("inactive", "deactivated"),
}
MAX_PAIRS = 500


def create_in_course(call: Call) -> dict[str, Any]:
    course = call.course()
    section_id = call.params.text("enrollment", "course_section_id")
    sections = [each for each in course.sections if section_id in (None, str(each.id))]
    if not sections:
        raise not_found()
    return _create(call, course, sections[0])


def create_in_section(call: Call) -> dict[str, Any]:
    return _create(call, *call.section())


def _create(call: Call, course: Course, section: Section) -> dict[str, Any]:
    call.may(call.switches.may_manage_enrolments)
    role, reasons = _role(call)
    user_id = call.params.text("enrollment", "user_id")
    state = call.params.text("enrollment", "enrollment_state")
    if user_id is None:
        reasons.append(say.NO_USER)
    if state is not None and state not in NEW_STATES:
        reasons.append(say.BAD_STATE)
    if reasons or user_id is None:
        raise not_enrolled(reasons)
    if course.state == "completed":
        raise not_enrolled([say.CONCLUDED])
    enrolment = enrol(call, call.user(user_id), course, section, role, state or "invited")
    return call.show.enrolment(enrolment)


def _role(call: Call) -> tuple[Role, list[str]]:
    """The role that was asked for, by id or by type, and what is wrong with it."""
    roles = call.school.roles
    type, role_id = call.params.text("enrollment", "type"), call.params.text("enrollment", "role_id")
    types = {role.label: role for role in roles.values() if role.label == role.type}
    if type is not None and type not in types:
        return types[STUDENT], [say.INVALID_TYPE.format(types=", ".join(types))]
    if role_id is None:
        return types[type or STUDENT], []
    role = roles.get(whole(role_id))
    if role is None or type not in (None, role.type):
        return types[STUDENT], [say.BAD_ROLE]
    return role, []


def enrol(call: Call, user: User, course: Course, section: Section, role: Role, state: str) -> Enrolment:
    """The record of this user, section and role, made or brought to the state that was asked for [I].

    An active one stays active when it is invited again; a student invited to an unpublished course waits as
    creation_pending [I].
    """
    if state == "invited" and course.state == "unpublished":
        state = "creation_pending"
    earlier = _earlier(call, user, section, role)
    if earlier is None:
        return _made(call, user, course, section, role, state)
    if earlier.state != state and not (earlier.state == "active" and state in LIVE_STATES):
        kind = "enrolment_activated" if earlier.state in LIVE_STATES else "re_enrolled"
        earlier.state = state
        call.journal.effect(kind if state in LIVE_STATES else "enrolment_changed", earlier.what)
        _noted(call, earlier)
        call.tell.enrolment("enrollment_updated", earlier)
    elif _noted(call, earlier):
        call.journal.effect("enrolment_changed", earlier.what)
    return earlier


def _made(call: Call, user: User, course: Course, section: Section, role: Role, state: str) -> Enrolment:
    enrolment = Enrolment(
        id=call.school.new_id(),
        course_id=course.id,
        section_id=section.id,
        user_id=user.id,
        type=role.type,
        role=role,
        state=state,
        created=call.now,
        updated=call.now,
    )
    _noted(call, enrolment)
    call.school.enrolments[enrolment.id] = enrolment
    call.journal.effect("enrolled", enrolment.what)
    call.tell.enrolment("enrollment_created", enrolment)
    return enrolment


def _earlier(call: Call, user: User, section: Section, role: Role) -> Enrolment | None:
    for each in call.school.enrolments_of(user_id=user.id):
        kept = each.state != "deleted" or call.switches.deleted_revived
        if each.section_id == section.id and each.role == role and kept:
            return each
    return None


def _noted(call: Call, enrolment: Enrolment) -> bool:
    """Take over the further values of the request; whether one of them is new."""
    before = (enrolment.start, enrolment.end, enrolment.limited)
    params = call.params
    enrolment.start = time_of(params.text("enrollment", "start_at")) or enrolment.start
    enrolment.end = time_of(params.text("enrollment", "end_at")) or enrolment.end
    limit = "limit_privileges_to_course_section"
    enrolment.limited = params.truth("enrollment", limit, default=enrolment.limited)
    enrolment.notified = enrolment.notified or params.truth("enrollment", "notify")
    enrolment.updated = call.now
    return before != (enrolment.start, enrolment.end, enrolment.limited)


def one(call: Call) -> dict[str, Any]:
    """One enrolment by its id, which only an account shows."""
    call.account()
    enrolment = call.school.enrolments.get(whole(call.names["id"]))
    if enrolment is None or (enrolment.state == "deleted" and not call.switches.deleted_found):
        raise not_found()
    return call.show.enrolment(enrolment)


def of_course(call: Call) -> Listed:
    """With the inactive, for those who manage enrolments."""
    states = (
        ("active", "invited", "inactive") if call.switches.may_manage_enrolments else ("active", "invited")
    )
    return _listed(call, call.school.enrolments_of(course_id=call.course().id), states)


def of_section(call: Call) -> Listed:
    course, section = call.section()
    found = call.school.enrolments_of(course_id=course.id)
    return _listed(call, [each for each in found if each.section_id == section.id], ("active", "invited"))


def of_user(call: Call) -> Listed:
    return _listed(call, call.school.enrolments_of(user_id=call.user().id), ("active", "invited"))


def _listed(call: Call, enrolments: list[Enrolment], states: tuple[str, ...]) -> Listed:
    asked, users = call.params, call.school.users
    wanted = asked.texts("state") or states
    types, roles = asked.texts("type"), asked.texts("role")
    user_id = asked.text("user_id")
    of = None if user_id is None else call.user(user_id).id
    rows: list[tuple[Key, dict[str, Any]]] = []
    for each in enrolments:
        if each.state not in wanted or of not in (None, each.user_id):
            continue
        if (types and each.type not in types) or (roles and each.role.label not in roles):
            continue
        rows.append(((users[each.user_id].sortable_name.casefold(), each.id), call.show.enrolment(each)))
    return Listed(rows, bookmarked=True)


def end(call: Call) -> dict[str, Any]:
    """Conclude, unless `task` says otherwise; without effect where it stands so already."""
    enrolment = _of_path(call)
    if enrolment.state == "deleted":
        if call.switches.delete_again_status == 404:
            raise not_found()
        return call.show.enrolment(enrolment)
    state, word = TASKS.get(call.params.text("task") or "", TASKS["conclude"])
    if enrolment.state != state:
        _changed(call, enrolment, state, f"enrolment_{word}")
    return call.show.enrolment(enrolment)


def reactivate(call: Call) -> dict[str, Any]:
    enrolment = _of_path(call)
    if enrolment.state != "inactive":
        raise Refused(400, {"error": say.NOT_INACTIVE})
    _changed(call, enrolment, "active", "enrolment_reactivated")
    return call.show.enrolment(enrolment)


def _of_path(call: Call) -> Enrolment:
    course = call.course()
    enrolment = call.school.enrolments.get(whole(call.names["id"]))
    if enrolment is None or enrolment.course_id != course.id:
        raise not_found()
    call.may(call.switches.may_manage_enrolments)
    return enrolment


def _changed(call: Call, enrolment: Enrolment, state: str, effect: str) -> None:
    enrolment.state, enrolment.updated = state, call.now
    call.journal.effect(effect, enrolment.what)
    call.tell.enrolment("enrollment_updated", enrolment)


def many(call: Call) -> dict[str, Any]:
    """Students into courses, later: the answer is a job, and each enrolment becomes active."""
    call.account()
    call.may(call.switches.may_manage_enrolments)
    users = [call.user(id) for id in call.params.texts("user_ids")]
    courses = [call.course(id) for id in call.params.texts("course_ids")]
    if not 0 < len(users) * len(courses) <= MAX_PAIRS:
        raise not_enrolled([say.TOO_MANY_PAIRS])
    return queued(call, "bulk_enrollment", partial(_enrol_all, call, users, courses))


def _enrol_all(call: Call, users: list[User], courses: list[Course]) -> None:
    role = next(role for role in call.school.roles.values() if role.label == STUDENT)
    for course in courses:
        for user in users:
            enrol(call, user, course, course.sections[0], role, "active")


ENDPOINTS: dict[str, Endpoint] = {
    "POST /courses/:course_id/enrollments": create_in_course,
    "POST /sections/:section_id/enrollments": create_in_section,
    "GET /accounts/:account_id/enrollments/:id": one,
    "GET /courses/:course_id/enrollments": of_course,
    "GET /sections/:section_id/enrollments": of_section,
    "GET /users/:user_id/enrollments": of_user,
    "DELETE /courses/:course_id/enrollments/:id": end,
    "PUT /courses/:course_id/enrollments/:id/reactivate": reactivate,
    "POST /accounts/:account_id/bulk_enrollment": many,
}
