"""What learners and staff do in the portal itself, for which the API has no call: `POST /_control/act/NAME`.

None of it counts as an effect of an API call. Ids may be numbers or numeric strings.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from gateway.sandbox.talentlms_state import (
    Course,
    Enrolment,
    Portal,
    Unit,
    UnitResult,
    User,
    numeric,
    percentage,
    settle,
)

RESULTS = ("incomplete", "completed", "passed", "not_passed")
Id = int | str


class Actions:
    """The actions on whichever portal is current; each answers what it changed, as JSON can show it."""

    def __init__(self, portal: Callable[[], Portal], now: Callable[[], datetime]) -> None:
        self._portal = portal
        self._now = now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "complete_units": self.complete_units,
            "complete_course": self.complete_course,
            "set_progress": self.set_progress,
            "expire": self.expire,
            "add_unit": self.add_unit,
            "add_course": self.add_course,
            "delete_user": self.delete_user,
        }

    def complete_units(
        self,
        *,
        user_id: Id,
        course_id: Id,
        unit_ids: Sequence[Id],
        status: str = "completed",
        score: str = "100",
        seconds: int = 60,
    ) -> dict[str, Any]:
        """Give the learner a result in these units: incomplete, completed, passed or not_passed.

        Completes the course when every unit of it is done.
        """
        if status not in RESULTS:
            raise ValueError(f"status is one of {', '.join(RESULTS)}")
        user, course, enrolment = self._place(user_id, course_id)
        units = {unit.id: unit for unit in course.counted_units()}
        for unit_id in unit_ids:
            if int(unit_id) not in units:
                raise ValueError(f"course {course.id} has no unit {unit_id}")
        for unit_id in unit_ids:
            self._give_result(user, units[int(unit_id)], enrolment, status, score, seconds)
        if settle(course, enrolment, self._now()):
            self._completed(user, course)
        return _progress(course, enrolment)

    def _give_result(
        self, user: User, unit: Unit, enrolment: Enrolment, status: str, score: str, seconds: int
    ) -> None:
        done = status in ("completed", "passed")
        enrolment.results[unit.id] = UnitResult(
            status=status, score=score, seconds=seconds, at=self._now() if done else None
        )
        if unit.type == "Test" and status != "incomplete":
            event = "unitprogress_test_completion" if done else "unitprogress_test_failed"
            self._portal().happened(event, self._now(), user, unit.id, unit.name)

    def complete_course(
        self, *, user_id: Id, course_id: Id, percentage: str | None = None, certificate: bool = False
    ) -> dict[str, Any]:
        """Complete the course whatever its units say; `percentage` if it is to differ from 100."""
        user, course, enrolment = self._place(user_id, course_id)
        enrolment.completed = self._now()
        enrolment.percentage = "100" if percentage is None else percentage
        if certificate:
            enrolment.certificate = self._now()
            self._portal().happened(
                "certification_issue_certification", self._now(), user, course.id, course.name
            )
        self._completed(user, course)
        return _progress(course, enrolment)

    def _completed(self, user: User, course: Course) -> None:
        self._portal().happened("course_completion", self._now(), user, course.id, course.name)

    def set_progress(self, *, user_id: Id, course_id: Id, percentage: str | None) -> dict[str, Any]:
        """Show this percentage, any text; null goes back to what the units add up to. Completes nothing."""
        _, course, enrolment = self._place(user_id, course_id)
        enrolment.percentage = percentage
        return _progress(course, enrolment)

    def expire(self, *, user_id: Id, course_id: Id) -> dict[str, Any]:
        """End a time-limited enrolment: access is lost, the percentage stays."""
        _, course, enrolment = self._place(user_id, course_id)
        enrolment.expired = self._now()
        return _progress(course, enrolment)

    def add_unit(self, *, course_id: Id, name: str, type: str = "Content") -> dict[str, Any]:
        """Add content to a course; the percentage of its learners can fall."""
        course = self._portal().course(numeric(str(course_id)))
        unit = Unit(id=self._portal().new_id(), name=name, type=type)
        course.units.append(unit)
        return {"unit_id": str(unit.id)}

    def add_course(
        self, *, name: str, code: str = "", active: bool = True, group_id: Id | None = None
    ) -> dict[str, Any]:
        """A new course with one unit, perhaps in a group (whose members are not enrolled by that)."""
        portal = self._portal()
        group = None if group_id is None else portal.group(numeric(str(group_id)))
        unit = Unit(id=portal.new_id(), name="Start here")
        course = Course(
            id=portal.new_id(), name=name, code=code, active=active, created=self._now(), units=[unit]
        )
        portal.courses[course.id] = course
        if group is not None:
            group.course_ids.append(course.id)
        return {"course_id": str(course.id), "unit_id": str(unit.id)}

    def delete_user(self, *, user_id: Id) -> dict[str, Any]:
        """Delete softly: lookups by id then say that the user is no longer available."""
        user = self._portal().user(numeric(str(user_id)))
        user.deleted = True
        self._portal().happened("user_delete_user", self._now(), user, user.id, user.login)
        return {"user_id": str(user.id)}

    def _place(self, user_id: Id, course_id: Id) -> tuple[User, Course, Enrolment]:
        portal = self._portal()
        user, course = portal.user(numeric(str(user_id))), portal.course(numeric(str(course_id)))
        return user, course, portal.enrolment(user, course, missing_status=400)


def _progress(course: Course, enrolment: Enrolment) -> dict[str, Any]:
    return {"percentage": percentage(course, enrolment), "completed": enrolment.completed is not None}
