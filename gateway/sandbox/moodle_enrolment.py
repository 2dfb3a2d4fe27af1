"""Functions that enrol by hand, change and end such enrolments: all of a call or none.

Source: vendors/moodle.md 4.4; recordings 80 to 95, 164 to 168, 196 and 201, and the race of 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_errors import cannot_assign, coding, invalid, no_manual_instance, write_failed
from gateway.sandbox.moodle_parameters import OPTIONAL, Many, Struct, Value
from gateway.sandbox.moodle_state import Course, Enrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One enrolment as it is to be; dates left out are 0, a suspension left out is none."""

    course_id: int
    user_id: int
    role: int
    suspended: bool
    start: int
    end: int


async def enrol(call: Call) -> None:
    """Enrol, or change what is there: nothing tells the one from the other."""
    wishes = [_wish(call, given) for given in call.arguments["enrolments"]]
    new = {
        (wish.course_id, wish.user_id)
        for wish in wishes
        if call.site.manual(wish.course_id, wish.user_id) is None
    }
    if call.switches.enrol_race:
        for course_id, user_id in new:
            call.site.enrol(course_id, user_id, call.now, role=call.switches.student_role)
    await call.window()
    if any(call.site.manual(*pair) is not None for pair in new):
        raise write_failed()
    for wish in wishes:
        _enrol(call, wish)


def _wish(call: Call, given: dict[str, Any]) -> Wish:
    """Raises Refused for what cannot be, in the order in which Moodle looks."""
    course_id, user_id, role = given["courseid"], given["userid"], given["roleid"]
    course = call.site.courses.get(course_id)
    if course is None:
        raise invalid("Context does not exist")
    call.enter(course)
    call.need("enrol/manual:enrol")
    if call.lacks("moodle/role:assign") or role != call.switches.student_role:
        raise cannot_assign(role, user_id, course_id)
    if not course.manual:
        raise no_manual_instance(course_id)
    user = call.site.users.get(user_id)
    if user is None or user.deleted:
        raise coding("User ID does not exist or is deleted!", f"userid:{user_id}")
    return Wish(
        course_id=course_id,
        user_id=user_id,
        role=role,
        suspended=given.get("suspend", 0) != 0,
        start=given.get("timestart", 0),
        end=given.get("timeend", 0),
    )


def _enrol(call: Call, wish: Wish) -> None:
    what = f"{wish.course_id},{wish.user_id}"
    found = call.site.manual(wish.course_id, wish.user_id)
    if found is not None:
        _change(call, found, wish)
        roles = call.site.roles.setdefault((wish.course_id, wish.user_id), set())
        if wish.role not in roles:
            roles.add(wish.role)
            call.journal.effect("role_assigned", f"{what},{wish.role}")
        return
    call.site.enrol(
        wish.course_id,
        wish.user_id,
        call.now,
        role=wish.role,
        suspended=wish.suspended,
        start=wish.start,
        end=wish.end,
    )
    call.journal.effect("enrolled", what)
    _recover_grades(call, call.site.courses[wish.course_id], wish.user_id)
    call.tell("user_enrolment_created", user_id=wish.user_id, course_id=wish.course_id)


def _change(call: Call, found: Enrolment, wish: Wish) -> None:
    what = f"{wish.course_id},{wish.user_id}"
    changed = (found.suspended, found.start, found.end) != (wish.suspended, wish.start, wish.end)
    if (found.start, found.end) != (wish.start, wish.end):
        found.start, found.end = wish.start, wish.end
        call.journal.effect("dates_changed", what)
    if found.suspended != wish.suspended:
        found.suspended = wish.suspended
        call.journal.effect("suspended" if wish.suspended else "unsuspended", what)
    if changed:
        call.tell("user_enrolment_updated", user_id=wish.user_id, course_id=wish.course_id)


def _recover_grades(call: Call, course: Course, user_id: int) -> None:
    for activity in course.activities if call.switches.grades_recovered else []:
        key = (activity.cmid, user_id)
        if key in call.site.lost_grades:
            call.site.grades[key] = call.site.lost_grades.pop(key)


def unenrol(call: Call) -> None:
    """End manual enrolments; who has none is passed over in silence, other methods stay."""
    found: dict[int, Enrolment] = {}
    for given in call.arguments["enrolments"]:
        course = call.course(given["courseid"])
        call.enter(course)
        call.need("enrol/manual:unenrol")
        if not course.manual:
            raise no_manual_instance(course.id)
        if given["userid"] not in call.site.users:
            raise invalid(f"User id not exist: {given['userid']}")
        enrolment = call.site.manual(course.id, given["userid"])
        if enrolment is not None:
            found[enrolment.id] = enrolment
    for enrolment in found.values():
        call.site.end(enrolment)
        call.journal.effect("unenrolled", f"{enrolment.course_id},{enrolment.user_id}")
        call.tell("user_enrolment_deleted", user_id=enrolment.user_id, course_id=enrolment.course_id)


FUNCTIONS = {
    "enrol_manual_enrol_users": Function(
        Struct(
            {
                "enrolments": Many(
                    Struct(
                        {
                            "roleid": Value("int"),
                            "userid": Value("int"),
                            "courseid": Value("int"),
                            "timestart": Value("int", OPTIONAL),
                            "timeend": Value("int", OPTIONAL),
                            "suspend": Value("int", OPTIONAL),
                        }
                    )
                )
            }
        ),
        enrol,
    ),
    "enrol_manual_unenrol_users": Function(
        Struct(
            {
                "enrolments": Many(
                    Struct(
                        {
                            "userid": Value("int"),
                            "courseid": Value("int"),
                            "roleid": Value("int", OPTIONAL),
                        }
                    )
                )
            }
        ),
        unenrol,
    ),
}
