"""What learners do on the site itself, and staff with a learner: `POST /_control/act/NAME`.

None of it counts as an effect of an API call. Activities, grades and completion tell their events unless
`quiet`. Ids may be numbers or numeric strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.sandbox.moodle_completion_rules import cron, mark_self, progress, set_state
from gateway.sandbox.moodle_hooks import Hooks
from gateway.sandbox.moodle_state import ADMIN, Activity, Course, Enrolment, Grade, Result, Site, User
from gateway.sandbox.moodle_switches import Switches

Id = int | str
STATES = (0, 1, 2, 3, 4)
METHODS = ("manual", "self", "cohort")


class Lms(Protocol):
    """What the actions need of the stand-in."""

    site: Site
    switches: Switches
    hooks: Hooks


class LearnerActions:
    """Each answers how the learner stands in the course now."""

    def __init__(self, lms: Lms, now: Callable[[], datetime]) -> None:
        self._lms = lms
        self._clock = now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "set_activity": self.set_activity,
            "set_progress": self.set_progress,
            "show_progress": self.show_progress,
            "complete": self.complete,
            "complete_self": self.complete_self,
            "set_grade": self.set_grade,
            "cron": self.cron,
            "reset_progress": self.reset_progress,
            "suspend": self.suspend,
            "end": self.end,
            "unenrol": self.unenrol,
            "enrol": self.enrol,
        }

    def set_activity(
        self,
        *,
        user_id: Id,
        course_id: Id,
        cmid: Id,
        state: int = 1,
        by: Id | None = None,
        quiet: bool = False,
    ) -> dict[str, Any]:
        """Set the state of an activity: 0 incomplete, 1 complete, 2 passed, 3 failed, 4 failed unseen.

        `by` is the member of staff who overrides it.
        """
        course, user = self._place(user_id, course_id)
        activity = self._activity(course, cmid)
        if state not in STATES:
            raise ValueError("state is 0 to 4")
        self._set(course, user, activity, state, quiet, by=None if by is None else number(by))
        return self._shown(course, user)

    def set_progress(self, *, user_id: Id, course_id: Id, done: int, quiet: bool = False) -> dict[str, Any]:
        """Exactly the first `done` tracked activities are complete; fewer than before is a fall."""
        course, user = self._place(user_id, course_id)
        activities = course.tracked_activities()
        if not 0 <= done <= len(activities):
            raise ValueError(f"course {course.id} has {len(activities)} tracked activities")
        for place, activity in enumerate(activities):
            result = self._lms.site.results.get((activity.cmid, user.id), Result(state=0, time=0))
            if (result.state != 0) != (place < done):
                self._set(course, user, activity, int(place < done), quiet)
        return self._shown(course, user)

    def show_progress(
        self, *, user_id: Id, course_id: Id, value: Any = None, own: bool = False
    ) -> dict[str, Any]:
        """Show anything as `progress`, null too, whatever the activities say; `own`: show them again."""
        course, user = self._place(user_id, course_id)
        self._lms.site.shown_progress.pop((course.id, user.id), None)
        if not own:
            self._lms.site.shown_progress[course.id, user.id] = value
        return self._shown(course, user)

    def complete(self, *, user_id: Id, course_id: Id, quiet: bool = False) -> dict[str, Any]:
        """The course is complete, whatever its activities say."""
        course, user = self._place(user_id, course_id)
        fresh = (course.id, user.id) not in self._lms.site.completed
        self._lms.site.completed[course.id, user.id] = self._now()
        for criterion in course.criteria:
            self._lms.site.met.setdefault((course.id, user.id), {}).setdefault(criterion, self._now())
        if fresh and not quiet:
            self._tell("course_completed", course, user)
        return self._shown(course, user)

    def complete_self(self, *, user_id: Id, course_id: Id) -> dict[str, Any]:
        """The learner marks the course complete; it is so after the next `cron`."""
        course, user = self._place(user_id, course_id)
        mark_self(self._lms.site, course, user.id, self._now())
        return self._shown(course, user)

    def set_grade(
        self, *, user_id: Id, course_id: Id, cmid: Id, grade: float, quiet: bool = False
    ) -> dict[str, Any]:
        """A grade as the activity itself gives it; counts towards completion with the next `cron`."""
        course, user = self._place(user_id, course_id)
        activity = self._activity(course, cmid)
        if activity.grade_max is None or not 0 <= grade <= activity.grade_max:
            raise ValueError(f"activity {activity.cmid} does not take the grade {grade}")
        self._lms.site.grades[activity.cmid, user.id] = Grade(raw=grade, time=self._now())
        if not quiet:
            self._tell("user_graded", course, user, activity.item_id)
        if activity.rule == "usegrade":
            self._set(course, user, activity, 1, quiet)
        return self._shown(course, user)

    def cron(self, *, quiet: bool = False) -> dict[str, Any]:
        """One run of the site's cron: whoever meets the criteria completes the course."""
        found = cron(self._lms.site, self._now())
        for course, user in found if not quiet else []:
            self._tell("course_completed", course, user, actor=ADMIN)
        return {"completed": [[course.id, user.id] for course, user in found]}

    def reset_progress(self, *, user_id: Id, course_id: Id) -> dict[str, Any]:
        """Staff delete all completion data of the learner in the course: back to 0."""
        course, user = self._place(user_id, course_id)
        site, pair = self._lms.site, (course.id, user.id)
        for activity in course.activities:
            site.results.pop((activity.cmid, user.id), None)
        site.met.pop(pair, None)
        site.completed.pop(pair, None)
        site.shown_progress.pop(pair, None)
        return self._shown(course, user)

    def suspend(self, *, user_id: Id, course_id: Id, suspended: bool = True) -> dict[str, Any]:
        """Staff suspend every enrolment of the learner in the course, or make them active again."""
        course, user = self._place(user_id, course_id)
        for each in self._enrolments(course, user):
            each.suspended = suspended
        self._tell("user_enrolment_updated", course, user, actor=ADMIN)
        return self._shown(course, user)

    def end(self, *, user_id: Id, course_id: Id) -> dict[str, Any]:
        """The time of every enrolment of the learner in the course runs out now."""
        course, user = self._place(user_id, course_id)
        for each in self._enrolments(course, user):
            each.end = self._now()
        return self._shown(course, user)

    def unenrol(self, *, user_id: Id, course_id: Id, methods: Sequence[str] = METHODS) -> dict[str, Any]:
        """Staff end the enrolments of these methods."""
        course, user = self._place(user_id, course_id)
        for each in self._enrolments(course, user):
            if each.method in methods:
                self._lms.site.end(each)
        self._tell("user_enrolment_deleted", course, user, actor=ADMIN)
        return self._shown(course, user)

    def enrol(
        self, *, user_id: Id, course_id: Id, method: str = "manual", start: int = 0, end: int = 0
    ) -> dict[str, Any]:
        """Enrol by any method: manual, self or cohort; times in Unix seconds."""
        course, user = self._place(user_id, course_id)
        site, role = self._lms.site, self._lms.switches.student_role
        if method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}")
        if any(each.method == method for each in site.enrolled(course.id, user.id)):
            raise ValueError(f"user {user.id} is enrolled by {method}")
        site.enrol(course.id, user.id, self._now(), method=method, role=role, start=start, end=end)
        self._tell("user_enrolment_created", course, user)
        return self._shown(course, user)

    def _set(
        self,
        course: Course,
        user: User,
        activity: Activity,
        state: int,
        quiet: bool,
        *,
        by: int | None = None,
    ) -> None:
        result = Result(state=state, time=self._now(), by=by)
        by_cron = self._lms.switches.completion_by_cron
        completed = set_state(self._lms.site, course, activity.cmid, user.id, result, by_cron=by_cron)
        if quiet:
            return
        self._tell("course_module_completion_updated", course, user, activity.cmid)
        if completed:
            self._tell("course_completed", course, user)

    def _tell(self, event: str, course: Course, user: User, record: int = 0, actor: int = 0) -> None:
        who = actor or user.id
        self._lms.hooks.tell(event, user_id=user.id, course_id=course.id, object_id=record, actor=who)

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _enrolments(self, course: Course, user: User) -> list[Enrolment]:
        found = self._lms.site.enrolled(course.id, user.id)
        if not found:
            raise ValueError(f"user {user.id} is not enrolled in course {course.id}")
        return found

    def _place(self, user_id: Id, course_id: Id) -> tuple[Course, User]:
        return course_numbered(self._lms.site, course_id), user_numbered(self._lms.site, user_id)

    def _activity(self, course: Course, cmid: Id) -> Activity:
        activity = course.activity(number(cmid))
        if activity is None:
            raise ValueError(f"course {course.id} has no activity {cmid}")
        return activity

    def _shown(self, course: Course, user: User) -> dict[str, Any]:
        site, pair = self._lms.site, (course.id, user.id)
        per_cent = progress(site, course, user, self._now())
        return {
            "user_id": user.id,
            "course_id": course.id,
            "active": site.is_active(course.id, user.id, self._now()),
            "progress": site.shown_progress.get(pair, per_cent),
            "completed": pair in site.completed,
        }


def number(id: Id) -> int:
    """Raises ValueError for anything but a whole number."""
    return int(id)


def course_numbered(site: Site, id: Id) -> Course:
    if number(id) not in site.courses:
        raise ValueError(f"there is no course {id}")
    return site.courses[number(id)]


def user_numbered(site: Site, id: Id) -> User:
    if number(id) not in site.users:
        raise ValueError(f"there is no user {id}")
    return site.users[number(id)]
