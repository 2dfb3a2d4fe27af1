"""What Hooked LMS holds: courses with modules, users, enrolments with ids of their own, and its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

MAX_EVENTS = 100_000


class Refused(Exception):
    """Becomes an error answer: `{"error": {"code", "message"}}` and whatever is in `more`."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        self.status, self.code, self.message, self.more = status, code, message, more
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    id: str
    title: str
    active: bool = True
    modules: tuple[Module, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: str
    external_id: str
    first_name: str
    last_name: str
    email: str


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """`percent` is whatever the LMS shows, 0 to 100 when it is sane; `finished` holds times by module id."""

    id: str
    user_id: str
    course_id: str
    created: datetime
    updated: datetime
    percent: Any = 0
    status: str = "active"
    completed: datetime | None = None
    finished: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; `enrolment` None for what concerns no enrolment."""

    id: str
    type: str
    at: datetime
    enrolment: dict[str, Any] | None


@dataclass(slots=True, kw_only=True)
class School:
    """Everything the LMS knows."""

    courses: dict[str, Course] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    enrolments: dict[str, Enrolment] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    numbers: int = 1000

    def new_id(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}_{self.numbers}"

    def course(self, id: str) -> Course:
        if id not in self.courses:
            raise Refused(404, "no_course", "There is no such course.")
        return self.courses[id]

    def user(self, id: str) -> User:
        if id not in self.users:
            raise Refused(404, "no_user", "There is no such user.")
        return self.users[id]

    def enrolment(self, id: str) -> Enrolment:
        if id not in self.enrolments or self.enrolments[id].status == "cancelled":
            raise Refused(404, "no_enrolment", "There is no such enrolment.")
        return self.enrolments[id]

    def open_enrolment(self, user_id: str, course_id: str) -> Enrolment | None:
        for each in self.enrolments.values():
            if (each.user_id, each.course_id) == (user_id, course_id) and each.status != "cancelled":
                return each
        return None

    def admit(self, external_id: str, course_id: str, now: datetime) -> Enrolment:
        """A new user, enrolled at once."""
        email = f"{external_id}@example.org"
        user = User(
            id=self.new_id("usr"), external_id=external_id, first_name="N", last_name="N", email=email
        )
        self.users[user.id] = user
        made = Enrolment(
            id=self.new_id("enr"), user_id=user.id, course_id=course_id, created=now, updated=now
        )
        self.enrolments[made.id] = made
        return made

    def changed(self, since: datetime | None, before: datetime | None, course_id: str) -> list[Enrolment]:
        """Enrolments changed within [since, before), cancelled ones too, longest unchanged first."""
        found = [
            each
            for each in self.enrolments.values()
            if (since is None or each.updated >= since)
            and (before is None or each.updated < before)
            and course_id in ("", each.course_id)
        ]
        return sorted(found, key=lambda each: (each.updated, each.id))

    def happened(self, type: str, at: datetime, enrolment: dict[str, Any] | None) -> Event:
        """Note an event; the oldest is forgotten beyond 100,000."""
        event = Event(id=self.new_id("evt"), type=type, at=at, enrolment=enrolment)
        self.events[event.id] = event
        if len(self.events) > MAX_EVENTS:
            del self.events[next(iter(self.events))]
        return event


def seeded(now: datetime) -> School:
    """Three courses, one of them not active, and one learner half-way through the first."""
    then = now - timedelta(days=30)
    school = School(courses={course.id: course for course in _courses()})
    school.users["usr_1"] = User(
        id="usr_1", external_id="stu-1", first_name="Mia", last_name="Tan", email="mia.tan@example.org"
    )
    school.enrolments["enr_1"] = Enrolment(
        id="enr_1", user_id="usr_1", course_id="crs_1", created=then, updated=then, percent=50
    )
    return school


def _courses() -> Iterator[Course]:
    yield Course(
        id="crs_1",
        title="Certificate II in Hooks",
        modules=(
            Module(id="mod_1", name="TSTHOK201 Tie a hook"),
            Module(id="mod_2", name="TSTHOK202 Cast a hook"),
            Module(id="mod_3", name="Welcome"),
        ),
    )
    yield Course(
        id="crs_2", title="Lines & Sinkers", modules=(Module(id="mod_4", name="TSTLIN301 Draw a line"),)
    )
    yield Course(id="crs_3", title="Old Nets", active=False)


def iso(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, as the API writes times."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(school: School, enrolment: Enrolment, *, fraction: bool = False) -> dict[str, Any]:
    """An enrolment as the API and events show it."""
    percent = enrolment.percent
    if fraction and isinstance(percent, int | float) and not isinstance(percent, bool):
        percent = percent / 100
    return {
        "id": enrolment.id,
        "user_id": enrolment.user_id,
        "external_id": school.users[enrolment.user_id].external_id,
        "course_id": enrolment.course_id,
        "status": enrolment.status,
        "percent": percent,
        "completed_at": iso(enrolment.completed),
        "updated_at": iso(enrolment.updated),
    }


def modules_shown(school: School, enrolment: Enrolment) -> list[dict[str, Any]]:
    return [
        {"id": each.id, "name": each.name, "completed_at": iso(enrolment.finished.get(each.id))}
        for each in school.courses[enrolment.course_id].modules
    ]
