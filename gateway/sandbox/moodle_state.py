"""What a Moodle site holds: courses with activities, users, enrolments by method, completion and grades.

Times are Unix seconds, 0 for none, as Moodle keeps them. Source: vendors/moodle.md 4 and the recordings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

FRONT_PAGE = 1
GUEST, ADMIN, SERVICE = 1, 2, 3
Tracking = Literal[0, 1, 2]
"""None, by the learner's own mark, by a rule."""
DONE_STATES = (1, 2)
"""Complete and passed; 0 is incomplete, 3 failed, 4 failed unseen."""
Pair = tuple[int, int]


@dataclass(slots=True, kw_only=True)
class Activity:
    """An activity, its grade item if it has one, and what a grade update on it answers."""

    cmid: int
    module: str
    instance: int
    name: str
    tracking: Tracking = 2
    rule: str = "view"
    grade_max: float | None = None
    item_id: int = 0
    grade_answer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What a course asks for: an activity done, the learner's own mark, or a grade of the course."""

    kind: Literal["activity", "self", "grade"]
    cmid: int = 0
    pass_grade: float = 0.0


@dataclass(slots=True, kw_only=True)
class Course:
    """`manual`: it has an enabled manual-enrolment instance; `closed`: the service user cannot enter."""

    id: int
    shortname: str
    fullname: str
    idnumber: str = ""
    category: int = 1
    visible: bool = True
    tracked: bool = True
    manual: bool = True
    self_enrol: bool = False
    closed: bool = False
    created: int = 0
    start: int = 0
    end: int = 0
    summary: str = ""
    activities: list[Activity] = field(default_factory=list)
    criteria: tuple[Criterion, ...] = ()
    all_needed: bool = True

    def tracked_activities(self) -> list[Activity]:
        return [each for each in self.activities if each.tracking] if self.tracked else []

    def activity(self, cmid: int) -> Activity | None:
        return next((each for each in self.activities if each.cmid == cmid), None)


@dataclass(slots=True, kw_only=True)
class User:
    """`username` and `idnumber` are kept as they were sent."""

    id: int
    username: str
    firstname: str
    lastname: str
    email: str
    auth: str = "manual"
    idnumber: str = ""
    city: str = ""
    country: str = ""
    lang: str = "en"
    suspended: bool = False
    deleted: bool = False
    confirmed: bool = True
    custom: dict[str, str] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)

    @property
    def fullname(self) -> str:
        return f"{self.firstname} {self.lastname}"


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """A user's enrolment in a course by one method; a user may have several in one course."""

    id: int
    user_id: int
    course_id: int
    method: str = "manual"
    suspended: bool = False
    start: int = 0
    end: int = 0
    created: int = 0

    def active(self, now: int) -> bool:
        return not self.suspended and self.start <= now and (self.end == 0 or self.end > now)


@dataclass(slots=True, kw_only=True)
class Result:
    """A learner's state in an activity; `by` is who overrode it, None for nobody."""

    state: int
    time: int
    by: int | None = None


@dataclass(slots=True, kw_only=True)
class Grade:
    raw: float
    time: int


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything the site knows. Pairs are (course, user), or (cmid, user) for results and grades."""

    name: str = "Sandbox LMS"
    courses: dict[int, Course] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    enrolments: dict[int, Enrolment] = field(default_factory=dict)
    roles: dict[Pair, set[int]] = field(default_factory=dict)
    results: dict[Pair, Result] = field(default_factory=dict)
    met: dict[Pair, dict[Criterion, int]] = field(default_factory=dict)
    """Criteria that were met, and when."""
    completed: dict[Pair, int] = field(default_factory=dict)
    grades: dict[Pair, Grade] = field(default_factory=dict)
    lost_grades: dict[Pair, Grade] = field(default_factory=dict)
    shown_progress: dict[Pair, Any] = field(default_factory=dict)
    """Progress that is shown whatever the activities say."""
    token_deleted: bool = False
    numbers: Counter[str] = field(default_factory=Counter)

    def new_id(self, kind: str) -> int:
        self.numbers[kind] += 1
        return self.numbers[kind]

    def newest_first(self) -> list[Course]:
        """Courses but the front page in the site's own order."""
        return sorted((each for each in self.courses.values() if each.id != FRONT_PAGE), key=lambda c: -c.id)

    def user_named(self, username: str) -> User | None:
        return next((each for each in self.users.values() if each.username == username), None)

    def users_with_email(self, email: str) -> list[User]:
        """Users with this e-mail, by any case; the deleted have none any more."""
        wanted = email.lower()
        return [each for each in self.users.values() if not each.deleted and each.email.lower() == wanted]

    def enrolled(self, course_id: int, user_id: int) -> list[Enrolment]:
        """Every enrolment of the user in the course, whatever its method and state."""
        return [
            each
            for each in self.enrolments.values()
            if (each.course_id, each.user_id) == (course_id, user_id)
        ]

    def manual(self, course_id: int, user_id: int) -> Enrolment | None:
        found = self.enrolled(course_id, user_id)
        return next((each for each in found if each.method == "manual"), None)

    def is_active(self, course_id: int, user_id: int, now: int) -> bool:
        return any(each.active(now) for each in self.enrolled(course_id, user_id))

    def course_of(self, cmid: int) -> Course | None:
        return next((each for each in self.courses.values() if each.activity(cmid)), None)

    def learners(self, course_id: int) -> Iterator[User]:
        """Everybody enrolled in the course in any way, by id."""
        found = {each.user_id for each in self.enrolments.values() if each.course_id == course_id}
        return (self.users[id] for id in sorted(found))

    def enrol(
        self,
        course_id: int,
        user_id: int,
        now: int,
        *,
        method: str = "manual",
        role: int = 5,
        suspended: bool = False,
        start: int = 0,
        end: int = 0,
    ) -> Enrolment:
        """A new enrolment, without asking whether it may be."""
        made = Enrolment(
            id=self.new_id("enrolment"),
            user_id=user_id,
            course_id=course_id,
            method=method,
            suspended=suspended,
            start=start,
            end=end,
            created=now,
        )
        self.enrolments[made.id] = made
        self.roles.setdefault((course_id, user_id), set()).add(role)
        return made

    def end(self, enrolment: Enrolment) -> None:
        """Remove an enrolment; with the last one go the roles and the grades, completion stays."""
        del self.enrolments[enrolment.id]
        pair = (enrolment.course_id, enrolment.user_id)
        if self.enrolled(*pair):
            return
        self.roles.pop(pair, None)
        for activity in self.courses[enrolment.course_id].activities:
            key = (activity.cmid, enrolment.user_id)
            if key in self.grades:
                self.lost_grades[key] = self.grades.pop(key)
