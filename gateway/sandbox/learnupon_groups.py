"""Endpoints about groups and who is in them. Source: vendors/learnupon.md 2 and 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_call import Call, Listed, Made
from gateway.sandbox.learnupon_enrolments import SUCCESS, check_open
from gateway.sandbox.learnupon_errors import Refused, no_wrapper
from gateway.sandbox.learnupon_state import Group, Membership, is_true, number


def groups(call: Call) -> Listed:
    """All, or those of exactly this title in any case."""
    title = call.query.get("title", "").lower()
    found = [each for each in call.portal.groups.values() if title in ("", each.title.lower())]
    return Listed("groups", [call.show.group(each) for each in found])


def create(call: Call) -> Made:
    given = call.wrapped("Group")
    if given is None:
        raise no_wrapper("Group")
    title = given.get("title")
    if not isinstance(title, str) or not title.strip():
        raise Refused(400, say.TITLE)
    if any(each.title.lower() == title.lower() for each in call.portal.groups.values()):
        raise Refused(400, say.TITLE_TAKEN)
    description = str(given.get("description") or "")
    made = Group(id=call.portal.new_id("group"), title=title, description=description, created=call.now)
    call.portal.groups[made.id] = made
    call.journal.effect("group_created", str(made.id))
    return Made({"id": made.id})


def memberships(call: Call) -> Listed:
    """The members of a group under `user`, or the groups of a user under `group`."""
    everything = list(call.portal.memberships.values())
    if "group_id" in call.query:
        wanted = number(call.query["group_id"])
        return Listed("user", [_member(call, each) for each in everything if each.group_id == wanted])
    wanted = number(call.query.get("user_id"))
    found = [each for each in everything if "user_id" not in call.query or each.user_id == wanted]
    return Listed("group", [_place(call, each) for each in found])


def _member(call: Call, membership: Membership) -> dict[str, Any]:
    user = call.portal.users[membership.user_id]
    return {
        "group_membership_id": membership.id,
        "user_id": user.id,
        "email": user.email,
        "username": user.username,
    }


def _place(call: Call, membership: Membership) -> dict[str, Any]:
    title = call.portal.groups[membership.group_id].title
    return {"group_membership_id": membership.id, "group_id": membership.group_id, "title": title}


def join(call: Call) -> Made:
    """A membership; with process_enrollments also the group's courses the learner is not in yet."""
    given = call.wrapped("GroupMembership")
    if given is None:
        raise no_wrapper("GroupMembership")
    group = call.portal.group(number(given.get("group_id")))
    user = call.portal.user(number(given.get("user_id")))
    if _membership(call, group.id, user.id) is not None:
        raise Refused(400, say.MEMBER)
    made = Membership(id=call.portal.new_id("membership"), group_id=group.id, user_id=user.id)
    call.portal.memberships[made.id] = made
    call.journal.effect("group_joined", f"{group.id},{user.id}")
    if is_true(given.get("process_enrollments")):
        for course_id in group.course_ids:
            _enrol(call, group, user.id, course_id)
    return Made({"id": made.id})


def _enrol(call: Call, group: Group, user_id: int, course_id: int) -> None:
    course = call.portal.course(course_id)
    try:
        check_open(course)
    except Refused:
        return  # the membership stands; the course is just not among what it brings
    if any(not each.unenrolled for each in call.portal.records(user_id, course.source)):
        return
    call.portal.enrol(user_id, course_id, call.now).group_id = group.id
    call.journal.effect("enrolled", f"{course_id},{user_id}")


def leave(call: Call) -> dict[str, Any]:
    """Ends a membership, by its id or with id 0 by a body, wrapped or not [U].

    With process_unenrollments the enrolments that came from the group end too.
    """
    given: Mapping[str, Any] = call.wrapped("GroupMembership") or call.plain
    found = call.portal.memberships.get(call.id)
    if call.id == 0:
        found = _membership(call, number(given.get("group_id")), number(given.get("user_id")))
    if found is None:
        raise Refused(404, say.NO_MEMBERSHIP)
    del call.portal.memberships[found.id]
    call.journal.effect("group_left", f"{found.group_id},{found.user_id}")
    if is_true(given.get("process_unenrollments")):
        for each in list(call.portal.enrolments.values()):
            if each.active and each.user_id == found.user_id and each.group_id == found.group_id:
                call.portal.unenrol(each, call.now)
                call.journal.effect("unenrolled", f"{each.course_id},{each.user_id}")
    return SUCCESS


def _membership(call: Call, group_id: int, user_id: int) -> Membership | None:
    wanted = (group_id, user_id)
    return next((m for m in call.portal.memberships.values() if (m.group_id, m.user_id) == wanted), None)
