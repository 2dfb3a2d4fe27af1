"""Endpoints about enrolments: create, read, search, change dates, delete; and the audit trail.

Source: vendors/learnupon.md 1.3, 2, 3.3, 6 and 7 (behaviour 6 to 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_call import Call, Listed, Made, Nothing
from gateway.sandbox.learnupon_errors import Refused, no_wrapper
from gateway.sandbox.learnupon_show import unenrolment, utc
from gateway.sandbox.learnupon_state import Course, Enrolment, User, is_true, number
from gateway.sandbox.learnupon_users import matching, same_email

TRAIL = timedelta(days=30)
SUCCESS = {"success": "ok"}


def create(call: Call) -> Made:
    """A new record, unless the learner has one that stands in the way."""
    given = call.wrapped("Enrollment")
    if given is None:
        raise no_wrapper("Enrollment")
    user, course = _user(call, given), _course(call, given)
    if call.switches.disabled_refused and not user.enabled:
        raise Refused(400, say.DISABLED)
    check_open(course)
    _check_records(call, user, course, again=is_true(given.get("re_enroll_if_completed")))
    _check_limit(call)
    made = call.portal.enrol(user.id, course.id, call.now)
    made.due, made.access_ends = _date(given.get("due_date")), _date(given.get("expires_at"))
    call.journal.effect("enrolled", f"{course.id},{user.id}")
    return Made({"id": made.id, "created_at": utc(made.enrolled), "user_id": user.id})


def _user(call: Call, given: Mapping[str, Any]) -> User:
    named = {name: given[name] for name in ("email", "username") if given.get(name)}
    found = matching(call, named) if named else []
    if not named and call.switches.user_id_accepted:
        found = [user for user in call.portal.visible_users() if user.id == number(given.get("user_id"))]
    if not found:
        raise Refused(call.switches.not_found_status, say.NO_USER)
    return found[0]


def _course(call: Call, given: Mapping[str, Any]) -> Course:
    portal = call.portal
    if given.get("course_id") is not None:
        found = portal.courses.get(number(given["course_id"]))
    else:
        named = [each for each in portal.courses.values() if each.name == given.get("course_name")]
        found = next((each for each in named if each.status == "published"), named[0] if named else None)
    if found is None:
        raise Refused(call.switches.not_found_status, say.NO_COURSE)
    if found.status != "superseded" or call.switches.old_version == "accept":
        return found
    newest = portal.newest(found.source)
    if call.switches.old_version == "refuse" or newest is None:
        raise Refused(400, say.OLD_VERSION)
    return newest


def check_open(course: Course) -> None:
    """Raises Refused (400) for a draft, a course without modules, or a live module without a seat left."""
    if course.status == "draft" or not course.modules:
        raise Refused(400, say.INTERNAL)
    if any(module.full for module in course.modules):
        raise Refused(400, say.CAPACITY)


def _check_records(call: Call, user: User, course: Course, *, again: bool) -> None:
    records = [each for each in call.portal.records(user.id, course.source) if not each.unenrolled]
    if any(each.active for each in records):
        raise Refused(call.switches.duplicate_status, say.ENROLLED)
    if records and not again:
        raise Refused(call.switches.duplicate_status, say.COMPLETED)


def _check_limit(call: Call) -> None:
    limit = call.switches.enrolment_limit
    if limit and sum(each.active for each in call.portal.enrolments.values()) >= limit:
        raise Refused(400, say.ENROLMENT_LIMIT)


def _date(value: object) -> str | None:
    """The day of a date or date-time; None for anything else."""
    return value[:10] if isinstance(value, str) and len(value) >= 10 else None


def readable(call: Call) -> Enrolment:
    """The record of the path, if it can still be read. Raises Refused (404)."""
    removed = call.portal.removed.get(call.id) if call.switches.removed_readable else None
    found = removed or call.portal.enrolment(call.id)
    if found.unenrolled and not call.switches.unenrolled_readable:
        raise Refused(404, say.NO_ENROLMENT)
    return found


def enrolment(call: Call) -> dict[str, Any]:
    shown = call.show.enrolment(readable(call))
    return {"enrollments": [shown]} if call.switches.one_in_array else {"enrollment": shown}


def modules(call: Call) -> Listed:
    key = None if call.switches.modules_bare else "modules"
    return Listed(key, call.show.module_states(readable(call)))


def listing(call: Call) -> dict[str, Any]:
    """There is no list of all enrolments: 401, although the key is right."""
    raise Refused(401, say.UNAUTHORISED)


def search(call: Call) -> Listed:
    """Records that every filter leaves, unenrolled ones too; without a filter the vendor knows: all."""
    found = [each for each in call.portal.enrolments.values() if _wanted(call, each)]
    if not found and call.switches.search_miss_status == 404:
        raise Refused(404, say.NO_ENROLMENT)
    return Listed("enrollments", [call.show.enrolment(each, searched=True) for each in found])


def _wanted(call: Call, enrolment: Enrolment) -> bool:
    query, portal = call.query, call.portal
    user, course = portal.users[enrolment.user_id], portal.courses[enrolment.course_id]
    exact = call.switches.email_case_sensitive
    return (
        ("user_id" not in query or user.id == number(query["user_id"]))
        and ("course_id" not in query or course.id == number(query["course_id"]))
        and ("email" not in query or same_email(user, query["email"], exact=exact))
        and ("username" not in query or user.username == query["username"])
        and ("course_name" not in query or course.name.lower() == query["course_name"].lower())
        and _in_dates(call, enrolment)
    )


def _in_dates(call: Call, enrolment: Enrolment) -> bool:
    first, last = _date(call.query.get("date_from")), _date(call.query.get("date_to"))
    if first is None and last is None:
        return True
    at = {
        "enrolled": enrolment.enrolled,
        "completed": enrolment.completed,
        "updated": enrolment.updated,
    }[call.switches.dates_look_at]
    day = (utc(at) or "")[:10]
    return bool(day) and (first or day) <= day <= (last or day)


def change_dates(call: Call) -> dict[str, Any]:
    """Sets due_date and the end of access; all else, a wrapper too, is ignored with the same answer."""
    found, given = call.portal.enrolment(call.id), call.plain
    due = _date(given.get("due_date")) or found.due
    ends = _date(given.get("expires_at")) or _date(given.get("expiry_date")) or found.access_ends
    if (due, ends) != (found.due, found.access_ends):
        found.due, found.access_ends, found.updated = due, ends, call.now
        call.journal.effect("dates_changed", f"{found.course_id},{found.user_id}")
    return SUCCESS


def delete(call: Call) -> dict[str, Any] | Nothing:
    """Ends an enrolment; what is completed stays, with the same 200, unless its history is to go."""
    flag = call.plain.get("remove_from_history")
    if isinstance(flag, bool):
        raise Refused(400, say.BAD_DELETION)
    found = call.portal.enrolment(call.id)
    if flag == "true":
        _erase(call, found)
    elif found.unenrolled:
        if call.switches.unenrolled_delete_status != 200:
            raise Refused(call.switches.unenrolled_delete_status, say.BAD_DELETION)
    elif not found.finished:
        _end(call, found)
    return Nothing() if call.switches.delete_body_empty else SUCCESS


def _erase(call: Call, found: Enrolment) -> None:
    kind = "unenrolled" if found.active else "history_removed"
    call.portal.remove(found)
    call.portal.note_end(found, call.now)
    call.journal.effect(kind, f"{found.course_id},{found.user_id}")


def _end(call: Call, found: Enrolment) -> None:
    if found.status == "not_started" or call.switches.in_progress_deleted == "gone":
        call.portal.remove(found)
        call.portal.note_end(found, call.now)
    else:
        call.portal.unenrol(found, call.now)
    call.journal.effect("unenrolled", f"{found.course_id},{found.user_id}")


def audit_trail(call: Call) -> Listed:
    """Unenrolments of the last 30 days (`action=2`); other actions are not kept here."""
    lines = call.portal.trail if call.query.get("action", "2") == "2" else []
    return Listed("audit_trails", [unenrolment(line) for line in lines if line.at > call.now - TRAIL])
