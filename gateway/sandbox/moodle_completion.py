"""Functions that tell completion, of a course and of its activities.

Source: vendors/moodle.md 4.5; recordings 104 to 130, 136, 141 and 153 to 163 of 4.3.
"""

from __future__ import annotations

from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_completion_rules import course_grade
from gateway.sandbox.moodle_errors import general
from gateway.sandbox.moodle_parameters import Struct, Value
from gateway.sandbox.moodle_state import Activity, Course, Criterion, Result, User

WHO = Struct({"courseid": Value("int"), "userid": Value("int")})
TYPES = {"self": 1, "activity": 4, "grade": 6}
RULES = {"view": "View", "submit": "Make a submission", "usegrade": "Receive a grade"}
NEEDS = {"view": "Viewing the {}", "submit": "Making a submission", "usegrade": "Receiving a grade"}


def _people(call: Call) -> tuple[Course, User]:
    """The course and the user of a call, who must be there and the course accessible."""
    course, user = call.course(call.arguments["courseid"]), call.user(call.arguments["userid"])
    if user.deleted:
        raise general("userdeleted", "This user account has been deleted")
    if not user.confirmed:
        raise general("usernotconfirmed", f"User {user.username} is not confirmed")
    call.enter(course)
    return course, user


def course_status(call: Call) -> Any:
    """Whether the course is complete, and each criterion."""
    course, user = _people(call)
    if not course.tracked or call.lacks("report/completion:view"):
        raise general("cannotviewreport", "You cannot view this report")
    if not call.site.is_active(course.id, user.id, call.now):
        raise general("usernotenroled", "User is not enrolled in this course")
    if not course.criteria:
        raise general("nocriteriaset", "No completion criteria set for this course")
    met = call.site.met.get((course.id, user.id), {})
    status = {
        "completed": (course.id, user.id) in call.site.completed,
        "aggregation": 1 if course.all_needed else 2,
        "completions": [_criterion(call, course, user, each, met.get(each)) for each in course.criteria],
    }
    return {"completionstatus": status, "warnings": []}


def _criterion(
    call: Call, course: Course, user: User, criterion: Criterion, met: int | None
) -> dict[str, Any]:
    title, name, need, state = _words(call, course, user, criterion)
    status = f"{state} ({need} required)" if criterion.kind == "grade" else _yes(met)
    return {
        "type": TYPES[criterion.kind],
        "title": title,
        "status": status,
        "complete": met is not None,
        "timecompleted": met,
        "details": {"type": title, "criteria": name, "requirement": need, "status": state},
    }


def _yes(met: int | None) -> str:
    return "No" if met is None else "Yes"


def _words(call: Call, course: Course, user: User, criterion: Criterion) -> tuple[str, str, str, str]:
    """Title, what it is about, what is needed, and how it stands, as shown."""
    match criterion.kind:
        case "self":
            return "Self completion", "Self completion", "Marking yourself complete", ""
        case "grade":
            grade = course_grade(call.site, course, user.id)
            stands = "-" if grade is None else f"{grade.raw:.2f}"
            return "Course grade", "Required course grade", f"{criterion.pass_grade:.2f}", stands
        case _:
            return "Activity completion", *_activity_words(call, course, criterion.cmid), ""


def _activity_words(call: Call, course: Course, cmid: int) -> tuple[str, str]:
    activity = course.activity(cmid)
    if activity is None:
        return "", ""
    need = "Marking yourself complete" if activity.tracking == 1 else NEEDS[activity.rule]
    if activity.module == "label":
        return activity.name, need
    page = f"{call.url}/mod/{activity.module}/view.php?id={cmid}"
    return f'<a href="{page}">{activity.name}</a>', need.format(activity.module)


def activities_status(call: Call) -> Any:
    """The state of every tracked activity; those the service user may not see are missing."""
    course, user = _people(call)
    call.need("report/progress:view")
    is_active = call.site.is_active(course.id, user.id, call.now)
    seen = [each for each in course.tracked_activities() if not call.lacks(f"mod/{each.module}:view")]
    statuses = [_status(call, each, user, is_tracked=is_active) for each in seen]
    return {"statuses": statuses, "warnings": []}


def _status(call: Call, activity: Activity, user: User, *, is_tracked: bool) -> dict[str, Any]:
    result = call.site.results.get((activity.cmid, user.id), Result(state=0, time=0))
    shown: dict[str, Any] = {
        "cmid": activity.cmid,
        "modname": activity.module,
        "instance": activity.instance,
        "state": result.state,
        "timecompleted": result.time,
        "tracking": activity.tracking,
        "overrideby": result.by,
        "valueused": False,
    }
    if not call.switches.release.since("4.1"):
        return shown
    automatic = activity.tracking == 2
    rule = {"status": int(result.state != 0), "description": RULES[activity.rule]}
    return shown | {
        "hascompletion": True,
        "isautomatic": automatic,
        "istrackeduser": is_tracked,
        "uservisible": True,
        "details": [{"rulename": f"completion{activity.rule}", "rulevalue": rule}] if automatic else [],
    }


FUNCTIONS = {
    "core_completion_get_course_completion_status": Function(WHO, course_status),
    "core_completion_get_activities_completion_status": Function(WHO, activities_status),
}
