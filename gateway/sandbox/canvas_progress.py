"""A learner's progress: requirements met, of those there are. Source: vendors/canvas.md 3.4."""

from __future__ import annotations

from typing import Any

from gateway.sandbox import canvas_errors as say
from gateway.sandbox.canvas_call import Call, Endpoint
from gateway.sandbox.canvas_errors import Refused
from gateway.sandbox.canvas_pages import Listed
from gateway.sandbox.canvas_state import LIVE_STATES


def of_user(call: Call) -> dict[str, Any]:
    """The counts; 400 with the singular `error` without requirements, or for no student."""
    course, user = call.course(), call.user()
    call.may(call.switches.may_view_grades or user.id == call.school.admin_id)
    progress = call.show.progress(course, user)
    if "error" in progress:
        raise Refused(400, progress)
    return progress


def of_course(call: Call) -> Listed:
    """Everybody who is a student of the course at the moment [I: active or invited]."""
    course = call.course()
    call.may(call.switches.may_view_grades)
    if course.requirements is None:
        raise Refused(400, say.no_progress(say.NO_MODULES))
    found = [
        user
        for user in call.school.present_users()
        if not call.school.student_states(course.id, user.id).isdisjoint(LIVE_STATES)
    ]
    return Listed(
        [((user.sortable_name.casefold(), user.id), call.show.bulk_row(course, user)) for user in found]
    )


ENDPOINTS: dict[str, Endpoint] = {
    "GET /courses/:course_id/users/:user_id/progress": of_user,
    "GET /courses/:course_id/bulk_user_progress": of_course,
}
