"""What webhooks of both versions say, in camelCase against snake_case in the API.

Source: vendors/learnupon.md 5.1 and 5.2. The members of events other than course_completion are known in part
only; those here are the plausible ones [I].
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.sandbox.learnupon_show import utc
from gateway.sandbox.learnupon_state import Course, Enrolment, Module, Portal, User

TYPES = (
    "course_completion",
    "module_complete",
    "exam_completion",
    "survey_completion",
    "learning_path_completion",
    "learning_path_updated",
    "course_updated",
    "course_cloning_complete",
    "purchase_completion",
    "badge_awarded",
    "badge_revoked",
)
PASS_MARK = 80

Record = dict[str, Any]


def version_1(portal: Portal, type: str, enrolment: Enrolment, module: Module | None) -> Record:
    """The body of an event about an enrolment, without its header."""
    user, course = portal.users[enrolment.user_id], portal.courses[enrolment.course_id]
    return {
        "user": _user(user),
        "enrollmentId": enrolment.id,
        **course_only(course),
        **_about(type, enrolment, module),
        "modules": [_module(enrolment, each) for each in course.modules],
        "credits": [{"name": "CPD", "number": "1.0"}],
        "courseAccessExpiresAt": enrolment.access_ends,
        "certification": enrolment.certificate is not None,
        "certificationName": enrolment.certificate,
        "certExpiresAt": None,
        "wasRecertified": enrolment.recertified,
        "dateEnrolled": utc(enrolment.enrolled),
        "dateStarted": utc(enrolment.started),
        "dateCompleted": utc(enrolment.completed),
        "percentage": enrolment.score,
        "enrollmentStatus": enrolment.status,
        "hasAttemptsRemaining": False,
    }


def version_2(
    portal: Portal, type: str, enrolment: Enrolment, module: Module | None, *, flat: bool
) -> Record:
    """One event of a batch, without its type and time; the learner `flat` or as an object."""
    user, course = portal.users[enrolment.user_id], portal.courses[enrolment.course_id]
    learner = {"userId": user.id, "userEmail": user.email} if flat else {"user": _user(user)}
    return {
        **learner,
        "enrollmentId": enrolment.id,
        **course_only(course),
        **_about(type, enrolment, module),
        "dateEnrolled": milliseconds(enrolment.enrolled),
        "dateStarted": milliseconds(enrolment.started),
        "dateCompleted": milliseconds(enrolment.completed),
        "percentage": enrolment.score,
        "enrollmentStatus": enrolment.status,
    }


def course_only(course: Course) -> Record:
    """What an event says of its course; all there is in an event about no learner."""
    return {
        "courseId": course.id,
        "courseName": course.name,
        "courseReferenceCode": course.code or None,
        "courseMetaData": None,
    }


def _user(user: User) -> Record:
    return {
        "userId": user.id,
        "lastName": user.last_name,
        "firstName": user.first_name,
        "email": user.email,
        "username": user.username,
        "customData": user.custom_data or None,
    }


def _about(type: str, enrolment: Enrolment, module: Module | None) -> Record:
    """The module, and of an exam its result."""
    if module is None:
        return {}
    state = enrolment.module_states.get(module.id)
    about: Record = {
        "moduleId": module.id,
        "moduleName": module.title,
        "moduleType": module.type,
        "status": state.status if state else "not_started",
        "moduleDateCompleted": utc(state.completed) if state else None,
    }
    if type == "exam_completion":
        about |= {"examName": module.title, "passPercentage": PASS_MARK, "attemptsTaken": 1}
    return about


def _module(enrolment: Enrolment, module: Module) -> Record:
    """Seen without a completion date even in completed courses [O], so none is ever given."""
    state = enrolment.module_states.get(module.id)
    score = state.score if state and state.score is not None else 100.0 if state and state.completed else None
    return {
        "id": module.id,
        "type": module.type,
        "name": module.title,
        "status": state.status if state else "not_started",
        "percentage": None if score is None else float(score),
        "dateCompleted": None,
        "attempts": None,
        "isKnowledgeCheck": False,
    }


def milliseconds(at: datetime | None) -> str | None:
    """`2026-03-04T01:02:03.000Z`"""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
