"""Endpoints about groups. Source: vendors/talentlms.md 2 and 4; 7 (behaviour 8)."""

from typing import Any

from gateway.sandbox import talentlms_errors as say
from gateway.sandbox.talentlms_call import Call, Endpoint
from gateway.sandbox.talentlms_courses import enrol, unenrol
from gateway.sandbox.talentlms_errors import Refused, invalid_arguments
from gateway.sandbox.talentlms_show import members
from gateway.sandbox.talentlms_state import Group, User, numeric


def groups(call: Call) -> Any:
    """All groups, or one by id with its users and courses."""
    if "id" not in call.arguments:
        return [call.show.group(group) for group in call.portal.groups.values()]
    group = call.portal.group(numeric(call.arguments["id"]))
    courses = [call.portal.courses[number] for number in group.course_ids]
    return {
        **call.show.group(group),
        "users": members([call.portal.users[number] for number in group.member_ids]),
        "courses": [{"id": str(course.id), "name": course.name} for course in courses],
    }


def add_user(call: Call) -> Any:
    """addusertogroup: a GET that writes, by the group's key."""
    user = call.user()
    missing = call.switches.no_such_key_status
    group = call.portal.group_with_key(call.need("group_key"), missing_status=missing)
    if user.id in group.member_ids:
        raise Refused(call.switches.already_member_status, say.ALREADY_MEMBER)
    if group.max_redemptions and group.redemptions >= group.max_redemptions:
        raise invalid_arguments()  # a key used up: what the vendor answers is not known
    join(call, user, group)
    return _membership(user, group)


def join(call: Call, user: User, group: Group) -> None:
    """Make the user a member, and enrol it in all courses of the group it is not in yet."""
    group.member_ids.append(user.id)
    group.redemptions += 1
    call.journal.effect("group_joined", f"{group.id},{user.id}")
    call.portal.happened("group_add_user", call.now, user, group.id, group.name)
    for course_id in group.course_ids:
        if (user.id, course_id) not in call.portal.enrolments:
            enrol(call, user, call.portal.course(course_id), "learner")


def remove_user(call: Call) -> Any:
    """removeuserfromgroup: a GET that writes, by the group's id."""
    user, group = call.user(), call.portal.group(numeric(call.need("group_id")))
    if user.id not in group.member_ids:
        raise Refused(call.switches.not_member_status, say.NOT_MEMBER)
    group.member_ids.remove(user.id)
    call.journal.effect("group_left", f"{group.id},{user.id}")
    call.portal.happened("group_remove_user", call.now, user, group.id, group.name)
    if call.switches.leaving_group_unenrols:
        for course_id in group.course_ids:
            if (user.id, course_id) in call.portal.enrolments:
                unenrol(call, user, call.portal.course(course_id))
    return _membership(user, group)


def _membership(user: User, group: Group) -> dict[str, str]:
    return {"user_id": str(user.id), "group_id": str(group.id), "group_name": group.name}


ENDPOINTS = {
    "groups": Endpoint("GET", groups),
    "addusertogroup": Endpoint("GET", add_user),
    "removeuserfromgroup": Endpoint("GET", remove_user),
}
