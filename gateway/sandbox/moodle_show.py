"""Users and courses as the functions show them. Source: vendors/moodle.md 4 and 7; the recordings of 4.3."""

from __future__ import annotations

import re
from typing import Any

from gateway.sandbox.moodle_call import Call
from gateway.sandbox.moodle_completion_rules import progress
from gateway.sandbox.moodle_seed import DAY
from gateway.sandbox.moodle_state import ADMIN, FRONT_PAGE, SERVICE, Course, User

FILTERS = ("displayh5p", "activitynames", "mathjaxloader", "emoticon", "urltolink", "mediaplugin")
SINCE_3_8 = ("completed", "completionhascriteria", "completionusertracked", "lastaccess", "overviewfiles")
# Nothing says when these came; a site of 3.5 does not know them [I].
LATER = ("courseimage", "isfavourite", "hidden", "showactivitydates", "showcompletionconditions")


def text(call: Call, name: str) -> str:
    """A name as it leaves: formatted, so `&` is an entity, unless the call asked for raw texts."""
    if call.raw:
        return name
    amp = re.sub(r"&(?!(?:[A-Za-z]+|#\d+);)", "&amp;", name)
    return amp.replace("<", "&lt;").replace(">", "&gt;")


def shows(call: Call, user: User, field: str) -> bool:
    """Whether the service user sees this identity field of the user."""
    own = user.id == SERVICE and not call.switches.hidden_from_itself
    return own or field not in call.switches.hidden_fields


def user_details(call: Call, user: User) -> dict[str, Any]:
    """A user; members without a value, or that may not be seen, are missing."""
    shown = _named(call, user)
    shown |= {"firstaccess": 0, "lastaccess": 0, "auth": user.auth, "suspended": user.suspended}
    shown |= {"confirmed": user.confirmed, "lang": user.lang, "theme": "", "timezone": "99", "mailformat": 1}
    shown |= _placed(call, user)
    if user.custom:
        shown["customfields"] = [
            {"type": "text", "value": value, "name": name.upper(), "shortname": name}
            for name, value in user.custom.items()
        ]
    if user.id == SERVICE:
        shown["preferences"] = [{"name": "auth_manual_passwordupdatetime", "value": str(call.now - DAY)}]
    return shown


def enrolled_user(call: Call, user: User, course: Course) -> dict[str, Any]:
    """A user as the list of a course shows them; the courses are those where the user is active."""
    shown = _named(call, user)
    shown |= {"firstaccess": 0, "lastaccess": 0, "lastcourseaccess": 0} | _placed(call, user)
    roles = call.site.roles.get((course.id, user.id), set())
    shown["roles"] = [
        {"roleid": role, "name": "", "shortname": "student", "sortorder": 0} for role in sorted(roles)
    ]
    courses = [
        {"id": each.id, "fullname": text(call, each.fullname), "shortname": text(call, each.shortname)}
        for each in call.site.newest_first()
        if each.visible and call.site.is_active(each.id, user.id, call.now)
    ]
    return shown | ({"enrolledcourses": courses} if courses else {})


def _named(call: Call, user: User) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": user.id, "username": user.username}
    if call.switches.site_admin:
        shown |= {"firstname": user.firstname, "lastname": user.lastname}
    shown["fullname"] = user.fullname
    if shows(call, user, "email"):
        shown["email"] = user.email
    shown["department"] = user.extras.get("department", "")
    if user.idnumber and shows(call, user, "idnumber"):
        shown["idnumber"] = user.idnumber
    return shown


def _placed(call: Call, user: User) -> dict[str, Any]:
    shown = {name: value for name, value in (("city", user.city), ("country", user.country)) if value}
    for name, size in (("profileimageurlsmall", "f2"), ("profileimageurl", "f1")):
        shown[name] = f"{call.url}/theme/image.php/boost/core/{ADMIN}/u/{size}"
    return shown


def course_found(call: Call, course: Course, *, all_members: bool) -> dict[str, Any]:
    """A course as searches show it; with `all_members` also what only those see who may update courses."""
    shown: dict[str, Any] = {
        "id": course.id,
        "fullname": text(call, course.fullname),
        "displayname": text(call, course.fullname),
        "shortname": text(call, course.shortname),
        "courseimage": _image(call, course),
        "categoryid": course.category,
        "categoryname": text(call, call.site.categories.get(course.category, "")),
        "sortorder": _order(call, course),
        "summary": course.summary,
        "summaryformat": 1 if course.summary else 0,
        "summaryfiles": [],
        "overviewfiles": [],
        "showactivitydates": False,
        "showcompletionconditions": True if course.tracked else None,
        "contacts": [],
        "enrollmentmethods": _methods(course),
    }
    if not call.switches.release.since("4.1"):
        shown = {name: value for name, value in shown.items() if name not in LATER}
    return shown | _updatable(course) if all_members else shown


def _updatable(course: Course) -> dict[str, Any]:
    front = course.id == FRONT_PAGE
    shown: dict[str, Any] = {
        "idnumber": course.idnumber,
        "format": "site" if front else "topics",
        "showgrades": 1,
        "newsitems": 3 if front else 0,
        "startdate": course.start,
        "enddate": course.end,
        "maxbytes": 0,
        "showreports": 0,
        "visible": int(course.visible),
        "groupmode": 0,
        "groupmodeforce": 0,
        "defaultgroupingid": 0,
        "enablecompletion": int(course.tracked),
        "completionnotify": 0,
        "lang": "",
        "theme": "",
        "marker": 0,
        "legacyfiles": 0,
        "calendartype": "",
        "timecreated": course.created,
        "timemodified": course.created,
        "requested": 0,
        "cacherev": course.created,
        "filters": [{"filter": name, "localstate": 0, "inheritedstate": 1} for name in FILTERS],
    }
    if not front:
        options = (("hiddensections", 1), ("coursedisplay", 0), ("indentation", "1"))
        shown["courseformatoptions"] = [{"name": name, "value": value} for name, value in options]
    return shown


def users_course(call: Call, course: Course, user: User, *, count: bool) -> dict[str, Any]:
    """A course of one user, with progress; `completed` only where the release has it."""
    pair = (course.id, user.id)
    per_cent = call.site.shown_progress.get(pair, progress(call.site, course, user, call.now))
    shown: dict[str, Any] = {
        "id": course.id,
        "shortname": text(call, course.shortname),
        "fullname": text(call, course.fullname),
        "displayname": text(call, course.fullname),
    }
    if count:
        shown["enrolledusercount"] = len(list(call.site.learners(course.id)))
    shown |= {
        "idnumber": course.idnumber,
        "visible": int(course.visible),
        "summary": course.summary,
        "summaryformat": 1,
        "format": "topics",
        "courseimage": _image(call, course),
        "showgrades": True,
        "lang": "",
        "enablecompletion": course.tracked,
        "completionhascriteria": bool(course.criteria),
        "completionusertracked": course.tracked,
        "category": course.category,
        "progress": per_cent,
        "completed": pair in call.site.completed if course.tracked else None,
        "startdate": course.start,
        "enddate": course.end,
        "marker": 0,
        "lastaccess": None,
        "isfavourite": False,
        "hidden": False,
        "overviewfiles": [],
        "showactivitydates": False,
        "showcompletionconditions": True if course.tracked else None,
        "timemodified": course.created,
    }
    release = call.switches.release
    absent: tuple[str, ...] = () if release.says_completed else (*SINCE_3_8, "timemodified")
    absent += () if release.since("4.1") else LATER
    return {name: value for name, value in shown.items() if name not in absent}


def _methods(course: Course) -> list[str]:
    return [name for name, there in (("manual", course.manual), ("self", course.self_enrol)) if there]


def _order(call: Call, course: Course) -> int:
    if course.id == FRONT_PAGE:
        return 1
    return 10_001 + call.site.newest_first().index(course)


def _image(call: Call, course: Course) -> str:
    return f"{call.url}/pluginfile.php/{10 + course.id}/course/generated/course.svg"
