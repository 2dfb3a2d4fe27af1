"""Functions that read enrolments: the courses of a user, and the users of a course.

Source: vendors/moodle.md 4.4; recordings 96 to 103, 131, 156, 163 and 195 of 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_errors import coding, context_not_valid, invalid
from gateway.sandbox.moodle_parameters import Many, Struct, Value
from gateway.sandbox.moodle_show import enrolled_user, users_course
from gateway.sandbox.moodle_state import Course, User

OPTIONS = (
    "withcapability",
    "groupid",
    "onlyactive",
    "onlysuspended",
    "userfields",
    "limitfrom",
    "limitnumber",
    "sortby",
    "sortdirection",
)
ALWAYS = ("id", "fullname")
ORDERS: dict[str, Callable[[User], Any]] = {
    "id": lambda user: user.id,
    "firstname": lambda user: (user.firstname.lower(), user.id),
    "lastname": lambda user: (user.lastname.lower(), user.id),
    "siteorder": lambda user: (user.lastname.lower(), user.firstname.lower(), user.id),
}


def users_courses(call: Call) -> Any:
    """The courses in which the user is active now; nothing for a user who is not there.

    Hidden courses are missing, for the learner may not see them, whatever the service user may.
    """
    user = call.site.users.get(call.arguments["userid"])
    if user is None or user.deleted or call.lacks("moodle/course:viewparticipants"):
        return []
    count = call.arguments.get("returnusercount", True)
    return [
        users_course(call, course, user, count=count)
        for course in call.site.newest_first()
        if course.visible and call.site.is_active(course.id, user.id, call.now) and call.can_enter(course)
    ]


def enrolled_users(call: Call) -> Any:
    """The users of a course, active or not, unless the options ask for some of them."""
    course = call.course(call.arguments["courseid"])
    if not call.can_enter(course):
        raise context_not_valid(course.id)
    call.need("moodle/course:viewparticipants")
    options = _options(call)
    users = _sorted(_chosen(call, course, options), options)
    start, size = _number(options, "limitfrom"), _number(options, "limitnumber")
    page = users[start : start + size] if size else users[start:]
    fields = [each.strip() for each in options["userfields"].split(",") if each.strip()]
    return [_only(enrolled_user(call, user, course), fields) for user in page]


def _options(call: Call) -> dict[str, str]:
    """The options given, the rest as they stand without; one the release does not know is not there."""
    known = {"userfields": "", "onlyactive": "0", "onlysuspended": "0", "sortby": "id"}
    for each in call.arguments["options"]:
        name = each["name"]
        late = name == "onlysuspended" and not call.switches.release.lists_suspended
        if name in OPTIONS and not late:
            known[name] = each["value"]
        elif call.switches.unknown_options_refused:
            raise invalid(f"Unknown option: {name}")
    return known


def _chosen(call: Call, course: Course, options: dict[str, str]) -> Iterable[User]:
    active, suspended = (options[name] not in ("", "0") for name in ("onlyactive", "onlysuspended"))
    if active and suspended:
        raise coding("Both onlyactive and onlysuspended are set, this is probably not what you want!")
    if active or suspended:
        call.need("moodle/course:enrolreview")
    for user in call.site.learners(course.id):
        is_active = call.site.is_active(course.id, user.id, call.now)
        if not user.deleted and not (active and not is_active) and not (suspended and is_active):
            yield user


def _sorted(users: Iterable[User], options: dict[str, str]) -> list[User]:
    if options["sortby"] not in ORDERS:
        raise invalid(f"Invalid value for sortby parameter (value: {options['sortby']})")
    direction = options.get("sortdirection", "ASC").upper()
    if direction not in ("ASC", "DESC"):
        raise invalid(f"Invalid value for sortdirection parameter (value: {direction})")
    return sorted(users, key=ORDERS[options["sortby"]], reverse=direction == "DESC")


def _number(options: dict[str, str], name: str) -> int:
    if not re.fullmatch(r"\d+", options.get(name, "0")):
        raise invalid(f"Invalid value for {name}")
    return int(options.get(name, "0"))


def _only(shown: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    if not fields:
        return shown
    return {name: value for name, value in shown.items() if name in (*ALWAYS, *fields)}


FUNCTIONS = {
    "core_enrol_get_users_courses": Function(
        Struct({"userid": Value("int"), "returnusercount": Value("bool", True, since="3.8")}), users_courses
    ),
    "core_enrol_get_enrolled_users": Function(
        Struct(
            {
                "courseid": Value("int"),
                "options": Many(Struct({"name": Value("alphanumext"), "value": Value("raw")}), []),
            }
        ),
        enrolled_users,
    ),
}
