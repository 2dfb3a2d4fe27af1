"""Functions about grades: giving one to an activity, and reading them.

Source: vendors/moodle.md 4.6; recordings 138 to 152 and 157 of 4.3.
"""

from __future__ import annotations

from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_completion_rules import course_grade, set_state, state_of
from gateway.sandbox.moodle_errors import context_not_valid, general
from gateway.sandbox.moodle_parameters import OPTIONAL, Many, Struct, Value
from gateway.sandbox.moodle_state import Activity, Course, Grade, Result, User

OK, FAILED, SEVERAL_ITEMS, LOCKED = 0, 1, 2, 4
NEW_ITEM_MAX = 100.0


def update(call: Call) -> int:
    """0 for success, whoever the learner is; 1, 2 or 4 where the item answers so.

    A grade above the most that can be had becomes that.
    """
    course, given = call.course(call.arguments["courseid"]), call.arguments
    if not call.can_enter(course):
        raise context_not_valid(course.id)
    activity = course.activity(given["activityid"])
    if activity is None or given["component"] != f"mod_{activity.module}":
        raise general("invalidcoursemodule", "Invalid course module ID")
    call.need("moodle/grade:edit")
    if activity.grade_answer != OK:
        return activity.grade_answer
    if activity.grade_max is None:
        activity.grade_max, activity.item_id = NEW_ITEM_MAX, call.site.new_id("item")
    for each in given.get("grades", []):
        _grade(call, course, activity, each["studentid"], each["grade"])
    return OK


def _grade(call: Call, course: Course, activity: Activity, user_id: int, value: float) -> None:
    raw = max(0.0, min(value, activity.grade_max or 0.0))
    before = call.site.grades.get((activity.cmid, user_id))
    call.site.grades[activity.cmid, user_id] = Grade(raw=raw, time=call.now)
    if before is None or before.raw != raw:
        call.journal.effect("grade_set", f"{course.id},{user_id},{activity.cmid}")
        call.tell("user_graded", user_id=user_id, course_id=course.id, object_id=activity.item_id)
    by_grade = activity.tracking and activity.rule == "usegrade"
    if by_grade and state_of(call.site, activity.cmid, user_id) == 0:
        _done(call, course, activity, user_id)


def _done(call: Call, course: Course, activity: Activity, user_id: int) -> None:
    result, by_cron = Result(state=1, time=call.now), call.switches.completion_by_cron
    who = {"user_id": user_id, "course_id": course.id}
    completed = set_state(call.site, course, activity.cmid, user_id, result, by_cron=by_cron)
    call.tell("course_module_completion_updated", **who, object_id=activity.cmid)
    if completed:
        call.tell("course_completed", **who)


def items(call: Call) -> Any:
    """The grades of one user, enrolled or not, or of everybody who is active in the course."""
    course, user_id = call.course(call.arguments["courseid"]), call.arguments["userid"]
    if not call.can_enter(course):
        raise context_not_valid(course.id)
    call.need("gradereport/user:view")
    call.need("moodle/grade:viewall")
    if user_id:
        users = [call.user(user_id)]
    else:
        learners = call.site.learners(course.id)
        users = [each for each in learners if call.site.is_active(course.id, each.id, call.now)]
    return {"usergrades": [_user_grades(call, course, user) for user in users], "warnings": []}


def _user_grades(call: Call, course: Course, user: User) -> dict[str, Any]:
    graded = [each for each in course.activities if each.grade_max is not None]
    rows = [_activity_item(call, course, each, user, len(graded)) for each in graded]
    return {
        "courseid": course.id,
        "courseidnumber": course.idnumber,
        "userid": user.id,
        "userfullname": user.fullname,
        "useridnumber": user.idnumber,
        "maxdepth": 2,
        "gradeitems": [*rows, _course_item(call, course, graded, user)],
    }


def _activity_item(
    call: Call, course: Course, activity: Activity, user: User, siblings: int
) -> dict[str, Any]:
    grade = call.site.grades.get((activity.cmid, user.id))
    weight = 1 / siblings
    weighted = {"weightraw": weight, "weightformatted": f"{weight * 100:.2f} %"}
    return {
        "id": activity.item_id,
        "itemname": activity.name,
        "itemtype": "mod",
        "itemmodule": activity.module,
        "iteminstance": activity.instance,
        "itemnumber": 0,
        "idnumber": "",
        "categoryid": course.id - 1,
        "outcomeid": None,
        "scaleid": None,
        "locked": activity.grade_answer == LOCKED,
        "cmid": activity.cmid,
        **(weighted if grade else {}),
        **_figures(grade, activity.grade_max or 0.0),
    }


def _course_item(call: Call, course: Course, graded: list[Activity], user: User) -> dict[str, Any]:
    return {
        "id": 1000 + course.id,
        "itemname": None,
        "itemtype": "course",
        "itemmodule": None,
        "iteminstance": course.id - 1,
        "itemnumber": None,
        "idnumber": None,
        "categoryid": None,
        "outcomeid": None,
        "scaleid": None,
        "locked": False,
        **_figures(course_grade(call.site, course, user.id), sum(each.grade_max or 0.0 for each in graded)),
    }


def _figures(grade: Grade | None, most: float) -> dict[str, Any]:
    share = grade.raw / most * 100 if grade and most else 0.0
    return {
        "graderaw": grade.raw if grade else None,
        "gradedatesubmitted": None,
        "gradedategraded": grade.time if grade else None,
        "gradehiddenbydate": False,
        "gradeneedsupdate": False,
        "gradeishidden": False,
        "gradeislocked": False,
        "gradeisoverridden": False,
        "gradeformatted": f"{grade.raw:.2f}" if grade else "-",
        "grademin": 0,
        "grademax": most,
        "rangeformatted": f"0&ndash;{most:g}",
        "percentageformatted": f"{share:.2f} %" if grade else "-",
        "feedback": "",
        "feedbackformat": 2 if grade else 0,
    }


DETAILS = {
    "itemname": "raw",
    "idnumber": "int",
    "gradetype": "int",
    "grademax": "float",
    "grademin": "float",
    "scaleid": "int",
    "multfactor": "float",
    "plusfactor": "float",
    "deleted": "bool",
    "hidden": "bool",
}
GRADE = Struct({"studentid": Value("int"), "grade": Value("float"), "str_feedback": Value("text", OPTIONAL)})
FUNCTIONS = {
    "core_grades_update_grades": Function(
        Struct(
            {
                "source": Value("text"),
                "courseid": Value("int"),
                "component": Value("plugin"),
                "activityid": Value("int"),
                "itemnumber": Value("int"),
                "grades": Many(GRADE, OPTIONAL),
                "itemdetails": Struct(
                    {name: Value(type, OPTIONAL) for name, type in DETAILS.items()}, OPTIONAL
                ),
            }
        ),
        update,
    ),
    "gradereport_user_get_grade_items": Function(
        Struct({"courseid": Value("int"), "userid": Value("int", 0), "groupid": Value("int", 0)}), items
    ),
}
