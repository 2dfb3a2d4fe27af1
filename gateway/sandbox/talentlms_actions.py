"""What learners and staff do in the portal itself, for which the API has no call: `POST /_control/act/NAME`.

None of it counts as an effect of an API call. Ids may be numbers or numeric strings.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
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
            "reset_progress": self.reset_progress,
            "unenrol": self.unenrol,
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
        at: str | None = None,
    ) -> dict[str, Any]:
        """Give the learner a result in these units: incomplete, completed, passed or not_passed.

        `at` is when, as an ISO time with its zone; now without it. Completes the course when every unit of it
        is done.
        """
        when = self._now() if at is None else aware(at)
        if status not in RESULTS:
            raise ValueError(f"status is one of {', '.join(RESULTS)}")
        user, course, enrolment = self._place(user_id, course_id)
        units = {unit.id: unit for unit in course.counted_units()}
        for unit_id in unit_ids:
            if int(unit_id) not in units:
                raise ValueError(f"course {course.id} has no unit {unit_id}")
        for unit_id in unit_ids:
            result = UnitResult(status=status, score=score, seconds=seconds, at=when)
            self._give_result(user, units[int(unit_id)], enrolment, result)
        if settle(course, enrolment, when):
            self._completed(user, course)
        return _progress(course, enrolment)

    def _give_result(self, user: User, unit: Unit, enrolment: Enrolment, result: UnitResult) -> None:
        enrolment.results[unit.id] = result if result.done else replace(result, at=None)
        if unit.type == "Test" and result.status != "incomplete":
            event = "unitprogress_test_completion" if result.done else "unitprogress_test_failed"
            self._portal().happened(event, self._now(), user, unit.id, unit.name)

    def complete_course(
        self, *, user_id: Id, course_id: Id, percentage: str | None = None, certificate: bool = False
    ) -> dict[str, Any]:
        """Complete the course whatever its units say; `percentage` if it is to differ from 100."""
        user, course, enrolment = self._place(user_id, course_id)
        enrolment.completed = self._now()
        enrolment.percentage, enrolment.no_percentage = "100" if percentage is None else percentage, False
        if certificate:
            enrolment.certificate = self._now()
            self._portal().happened(
                "certification_issue_certification", self._now(), user, course.id, course.name
            )
        self._completed(user, course)
        return _progress(course, enrolment)

    def _completed(self, user: User, course: Course) -> None:
        self._portal().happened("course_completion", self._now(), user, course.id, course.name)

    def set_progress(
        self, *, user_id: Id, course_id: Id, percentage: str | None, shown_as_null: bool = False
    ) -> dict[str, Any]:
        """Show this percentage, any text; null goes back to what the units add up to. Completes nothing.

        With `shown_as_null` the portal shows null instead of any percentage.
        """
        _, course, enrolment = self._place(user_id, course_id)
        enrolment.percentage, enrolment.no_percentage = percentage, shown_as_null
        return _progress(course, enrolment)

    def reset_progress(self, *, user_id: Id, course_id: Id, certificate: bool = False) -> dict[str, Any]:
        """Start again at 0, not completed; the certificate goes only if asked."""
        user, course, enrolment = self._place(user_id, course_id)
        enrolment.forget_progress(certificate=certificate)
        self._portal().happened("course_reset_user_progress", self._now(), user, course.id, course.name)
        return _progress(course, enrolment)

    def unenrol(self, *, user_id: Id, course_id: Id) -> dict[str, Any]:
        """Staff take the learner out of the course: no list shows the learner there any more."""
        user, course, _ = self._place(user_id, course_id)
        portal = self._portal()
        portal.past[user.id, course.id] = portal.enrolments.pop((user.id, course.id))
        portal.happened("course_remove_user", self._now(), user, course.id, course.name)
        return {"user_id": str(user.id), "course_id": str(course.id)}

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


def aware(text: str) -> datetime:
    """An ISO time in UTC. Raises ValueError when it is none, or has no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return at.astimezone(UTC)


def _progress(course: Course, enrolment: Enrolment) -> dict[str, Any]:
    return {"percentage": percentage(course, enrolment), "completed": enrolment.completed is not None}
