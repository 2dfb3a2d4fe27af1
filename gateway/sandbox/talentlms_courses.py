"""Endpoints about courses and enrolments. Source: vendors/talentlms.md 1.3, 2, 3.3, 3.4 and 4."""

from typing import Any

from gateway.sandbox import talentlms_errors as say
from gateway.sandbox.talentlms_call import Call, Endpoint
from gateway.sandbox.talentlms_errors import Refused, invalid_arguments
from gateway.sandbox.talentlms_show import HOST
from gateway.sandbox.talentlms_state import Course, Enrolment, User, numeric

DONE = {"message": "Operation completed successfully"}


def courses(call: Call) -> Any:
    """All courses without lists, or one by id with users and units."""
    if "id" in call.arguments:
        return call.show.full_course(call.portal.course(numeric(call.arguments["id"])))
    if call.arguments:
        raise invalid_arguments()
    return [call.show.course(course) for course in call.portal.courses.values()]


def add_user(call: Call) -> Any:
    """addusertocourse: answers an array of one."""
    user, course = _user_to_enrol(call), _course_to_enrol(call)
    role = call.choice("role", ("learner", "instructor"), "learner")
    if (user.id, course.id) in call.portal.enrolments:
        raise Refused(call.switches.already_enrolled_status, say.ALREADY_ENROLLED)
    if call.switches.inactive_refused and not (user.active and course.active):
        raise invalid_arguments()
    enrol(call, user, course, role)
    return [{"user_id": str(user.id), "course_id": str(course.id), "role": role}]


def _user_to_enrol(call: Call) -> User:
    if call.arguments.get("user_id"):
        return call.user()
    email = call.need("user_email")
    user = call.portal.user_with_email(email, exact=call.switches.email_case_sensitive)
    if user is None:
        raise Refused(404, say.NO_SUCH_USER)
    return user


def _course_to_enrol(call: Call) -> Course:
    if call.arguments.get("course_id"):
        return call.course()
    return call.portal.course_named(call.need("course_name"))


def enrol(call: Call, user: User, course: Course, role: str) -> None:
    """Put the user in the course, with the progress of an earlier time if that survives."""
    past = call.portal.past.pop((user.id, course.id), None)
    if past is not None and call.switches.progress_survives:
        past.role, past.enrolled = role, call.now
        call.portal.enrolments[user.id, course.id] = past
    else:
        call.portal.enrolments[user.id, course.id] = Enrolment(role=role, enrolled=call.now)
    call.journal.effect("user_enrolled", f"{course.id},{user.id}")
    call.portal.happened("course_add_user", call.now, user, course.id, course.name)


def unenrol(call: Call, user: User, course: Course) -> None:
    call.portal.past[user.id, course.id] = call.portal.enrolments.pop((user.id, course.id))
    call.journal.effect("user_unenrolled", f"{course.id},{user.id}")
    call.portal.happened("course_remove_user", call.now, user, course.id, course.name)


def remove_user(call: Call) -> Any:
    """removeuserfromcourse: a GET that writes."""
    user, course = call.user(), call.course()
    call.portal.enrolment(user, course, missing_status=call.switches.not_enrolled_status)
    unenrol(call, user, course)
    return {"user_id": str(user.id), "course_id": str(course.id), "course_name": course.name}


def user_status(call: Call) -> Any:
    """getuserstatusincourse."""
    user, course = call.user(), call.course()
    missing = call.switches.status_not_enrolled_status
    return call.show.status(course, call.portal.enrolment(user, course, missing_status=missing))


def reset_progress(call: Call) -> Any:
    """resetuserprogress: a GET that writes; the certificate stays unless asked."""
    user, course = call.user(), call.course()
    enrolment = call.portal.enrolment(user, course, missing_status=call.switches.not_enrolled_status)
    certificate = call.choice("remove_certification", ("yes", "no"), "no") == "yes"
    enrolment.forget_progress(certificate=certificate)
    call.journal.effect("progress_reset", f"{course.id},{user.id}")
    call.portal.happened("course_reset_user_progress", call.now, user, course.id, course.name)
    return DONE


def progress_in_unit(call: Call) -> Any:
    """getusersprogressinunits: everyone in the unit's course, or one user."""
    course, unit = call.portal.unit(numeric(call.need("unit_id")))
    if "user_id" not in call.arguments:
        pairs = call.portal.enrolments_in(course)
        return [call.show.unit_progress(unit, *pair) for pair in pairs]
    user = call.user()
    missing = call.switches.status_not_enrolled_status
    one = call.show.unit_progress(unit, user, call.portal.enrolment(user, course, missing_status=missing))
    return one if call.switches.unit_progress_bare else [one]


def go_to_course(call: Call) -> Any:
    """gotocourse: a single-use sign-in link."""
    user, course = call.user(), call.course()
    call.portal.enrolment(user, course, missing_status=call.switches.not_enrolled_status)
    return {"goto_url": f"{HOST}/index/gotocourse/key:made-up-{call.portal.new_id()},course_id:{course.id}"}


ENDPOINTS = {
    "courses": Endpoint("GET", courses),
    "addusertocourse": Endpoint("POST", add_user),
    "removeuserfromcourse": Endpoint("GET", remove_user),
    "getuserstatusincourse": Endpoint("GET", user_status),
    "resetuserprogress": Endpoint("GET", reset_progress),
    "getusersprogressinunits": Endpoint("GET", progress_in_unit),
    "gotocourse": Endpoint("GET", go_to_course),
}
