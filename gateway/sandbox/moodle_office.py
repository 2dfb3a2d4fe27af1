"""What administrators do on the site: people, courses, grade items. `POST /_control/act/NAME`.

None of it counts as an effect of an API call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway.sandbox.moodle_actions import Id, Lms, course_numbered, number, user_numbered
from gateway.sandbox.moodle_grades import FAILED, LOCKED, OK, SEVERAL_ITEMS
from gateway.sandbox.moodle_state import Activity, Course, Criterion, User
from gateway.sandbox.moodle_users import PLAIN, apply

MAX_LEARNERS = 100_000
ANSWERS = (OK, FAILED, SEVERAL_ITEMS, LOCKED)
COURSE_FLAGS = ("visible", "tracked", "manual", "self_enrol", "closed", "all_needed", "fullname", "idnumber")


class OfficeActions:
    """Each answers the ids it is about."""

    def __init__(self, lms: Lms, now: Callable[[], datetime]) -> None:
        self._lms = lms
        self._clock = now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "add_user": self.add_user,
            "suspend_user": self.suspend_user,
            "delete_user": self.delete_user,
            "add_learners": self.add_learners,
            "add_course": self.add_course,
            "change_course": self.change_course,
            "delete_course": self.delete_course,
            "add_activity": self.add_activity,
            "remove_activity": self.remove_activity,
            "answer_grades": self.answer_grades,
        }

    def add_user(
        self, *, username: str, email: str, firstname: str = "N", lastname: str = "N", **more: str
    ) -> dict[str, Any]:
        """A user made by hand, of any name; `more` are further fields such as idnumber or auth."""
        if unknown := set(more) - set(PLAIN):
            raise ValueError(f"no field {', '.join(sorted(unknown))}")
        if self._lms.site.user_named(username):
            raise ValueError(f"the username {username} is taken")
        user = User(
            id=self._lms.site.new_id("user"),
            username=username,
            firstname=firstname,
            lastname=lastname,
            email=email,
        )
        apply(user, more)
        self._lms.site.users[user.id] = user
        return {"user_id": user.id}

    def suspend_user(self, *, user_id: Id, suspended: bool = True) -> dict[str, Any]:
        """The account can no longer log in; its enrolments and completion stay readable."""
        user = user_numbered(self._lms.site, user_id)
        user.suspended = suspended
        return {"user_id": user.id, "suspended": suspended}

    def delete_user(self, *, user_id: Id) -> dict[str, Any]:
        """Delete softly: the record stays under another username, enrolments and grades end."""
        user = user_numbered(self._lms.site, user_id)
        for each in [each for each in self._lms.site.enrolments.values() if each.user_id == user.id]:
            self._lms.site.end(each)
        user.username = f"{user.email}.{self._now()}"
        user.email = hashlib.md5(user.username.encode(), usedforsecurity=False).hexdigest()
        user.idnumber, user.deleted = "", True
        return {"user_id": user.id}

    def add_learners(self, *, course_id: Id, count: int, prefix: str = "storm") -> dict[str, Any]:
        """So many new users, enrolled by hand at once."""
        course = course_numbered(self._lms.site, course_id)
        if not 1 <= count <= MAX_LEARNERS:
            raise ValueError(f"count is 1 to {MAX_LEARNERS}")
        made: list[int] = []
        for place in range(count):
            name = f"{prefix}-{place}"
            made.append(self.add_user(username=name, email=f"{name}@example.org", idnumber=name)["user_id"])
            role = self._lms.switches.student_role
            self._lms.site.enrol(course.id, made[-1], self._now(), role=role)
        return {"course_id": course.id, "user_ids": made}

    def add_course(
        self, *, fullname: str, shortname: str = "", activities: int = 2, visible: bool = True
    ) -> dict[str, Any]:
        """A new tracked course, complete when all of its activities are."""
        id = self._lms.site.new_id("course")
        course = Course(id=id, shortname=shortname or f"C{id}", fullname=fullname, visible=visible)
        course.created = course.start = self._now()
        self._lms.site.courses[id] = course
        cmids = [self.add_activity(course_id=id, name=f"Part {n + 1}")["cmid"] for n in range(activities)]
        course.criteria = tuple(Criterion(kind="activity", cmid=cmid) for cmid in cmids)
        return {"course_id": id, "cmids": cmids}

    def change_course(self, *, course_id: Id, **changes: Any) -> dict[str, Any]:
        """Set any of visible, tracked, manual, self_enrol, closed, all_needed, fullname and idnumber."""
        course = course_numbered(self._lms.site, course_id)
        for name, value in changes.items():
            if name not in COURSE_FLAGS or type(value) is not type(getattr(course, name)):
                raise ValueError(f"{name} cannot be {value!r}; what can be set: {', '.join(COURSE_FLAGS)}")
        for name, value in changes.items():
            setattr(course, name, value)
        return {"course_id": course.id, **changes}

    def delete_course(self, *, course_id: Id) -> dict[str, Any]:
        """The course and all of its enrolments are gone."""
        course = course_numbered(self._lms.site, course_id)
        for each in [each for each in self._lms.site.enrolments.values() if each.course_id == course.id]:
            self._lms.site.end(each)
        del self._lms.site.courses[course.id]
        return {"course_id": course.id}

    def add_activity(self, *, course_id: Id, name: str = "More", module: str = "page") -> dict[str, Any]:
        """New content; the progress of learners who have not completed the course falls."""
        course = course_numbered(self._lms.site, course_id)
        cmid, instance = self._lms.site.new_id("cmid"), self._lms.site.new_id("instance")
        course.activities.append(Activity(cmid=cmid, module=module, instance=instance, name=name))
        return {"course_id": course.id, "cmid": cmid}

    def remove_activity(self, *, course_id: Id, cmid: Id) -> dict[str, Any]:
        """Content goes, and progress can rise by it; a criterion that asked for it goes too."""
        course = course_numbered(self._lms.site, course_id)
        course.activities = [each for each in course.activities if each.cmid != number(cmid)]
        course.criteria = tuple(
            each for each in course.criteria if each.kind != "activity" or each.cmid != number(cmid)
        )
        return {"course_id": course.id}

    def answer_grades(self, *, cmid: Id, answer: int) -> dict[str, Any]:
        """What grade updates of the activity answer from now on: 0, or 1, 2 or 4 and nothing is changed."""
        course = self._lms.site.course_of(number(cmid))
        activity = course.activity(number(cmid)) if course else None
        if activity is None or answer not in ANSWERS:
            raise ValueError(f"an activity that is there, and one of {', '.join(map(str, ANSWERS))}")
        activity.grade_answer = answer
        return {"cmid": activity.cmid, "answer": answer}

    def _now(self) -> int:
        return int(self._clock().timestamp())
