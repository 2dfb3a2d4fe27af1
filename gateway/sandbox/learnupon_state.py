"""What a portal holds: users, versions of courses, modules with live sessions, enrolment records, groups.

An enrolment has an id of its own, and a learner can have several for one course. Ids of modules, sessions
and trainings are separate ranges. Source: vendors/learnupon.md 3 and 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_errors import Refused

STATUSES = ("not_started", "in_progress", "completed", "passed", "failed", "pending_review")
FINISHED = ("completed", "passed", "failed")
DONE = ("completed", "passed")
LIVE = "ilt session"


@dataclass(slots=True, kw_only=True)
class User:
    """A person; `pending` has been invited and not yet accepted, and cannot be seen."""

    id: int
    first_name: str
    last_name: str
    created: datetime
    updated: datetime
    email: str | None = None
    username: str | None = None
    language: str = "en"
    user_type: str = "learner"
    enabled: bool = True
    pending: bool = False
    custom_data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Session:
    """One live session; `seats` None = no limit [U]."""

    id: int
    starts: datetime
    ends: datetime
    created: datetime
    seats: int | None
    taken: int = 0
    tutor: tuple[int, str, str] | None = None
    timezone: str = "Perth"
    learners: list[int] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return self.seats is not None and self.taken >= self.seats


@dataclass(slots=True, kw_only=True)
class Module:
    """`training` is set for ILT Center modules, which have a session or more; legacy live ones have one."""

    id: int
    title: str
    type: str
    created: datetime
    training: int | None = None
    sessions: list[Session] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether no session of it has room."""
        return bool(self.sessions) and all(session.full for session in self.sessions)


@dataclass(slots=True, kw_only=True)
class Course:
    """One version of a course; `source` is the same over all of them."""

    id: int
    name: str
    source: int
    created: datetime
    version: int = 1
    code: str = ""
    status: Literal["published", "draft", "superseded"] = "published"
    licensed: bool = False
    modules: list[Module] = field(default_factory=list)
    counted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleState:
    status: str
    started: datetime
    completed: datetime | None = None
    score: float | None = None


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """`percent_from` says where percentage_complete comes from: the modules, `percent`, or nothing (null)."""

    id: int
    user_id: int
    course_id: int
    enrolled: datetime
    updated: datetime
    status: str = "not_started"
    score: float | None = None
    percent_from: Literal["modules", "given", "nothing"] = "modules"
    percent: Any = None
    started: datetime | None = None
    accessed: datetime | None = None
    completed: datetime | None = None
    due: str | None = None
    access_ends: str | None = None
    certificate: str | None = None
    recertified: bool = False
    unenrolled: bool = False
    group_id: int | None = None
    module_states: dict[int, ModuleState] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def active(self) -> bool:
        return not self.unenrolled and not self.finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A result set by hand; `by` None when it came over the API."""

    id: int
    enrolment_id: int
    status: str
    completed: datetime
    created: datetime
    percentage: float | None
    notes: str | None
    by: int | None


@dataclass(slots=True, kw_only=True)
class Group:
    id: int
    title: str
    created: datetime
    description: str = ""
    course_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    id: int
    group_id: int
    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unenrolment:
    """A line of the audit trail."""

    id: int
    at: datetime
    enrolment_id: int
    user_id: int
    course_id: int


@dataclass(slots=True, kw_only=True)
class Portal:
    """Everything the vendor knows. `removed` holds records that are gone for every search."""

    users: dict[int, User] = field(default_factory=dict)
    courses: dict[int, Course] = field(default_factory=dict)
    enrolments: dict[int, Enrolment] = field(default_factory=dict)
    removed: dict[int, Enrolment] = field(default_factory=dict)
    marks: dict[int, Mark] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    memberships: dict[int, Membership] = field(default_factory=dict)
    trail: list[Unenrolment] = field(default_factory=list)
    realm: list[str] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def new_id(self, kind: str) -> int:
        self.numbers[kind] += 1
        return self.numbers[kind]

    def visible_users(self) -> list[User]:
        return [user for user in self.users.values() if not user.pending]

    def user(self, id: int) -> User:
        """A user who can be seen. Raises Refused (404)."""
        user = self.users.get(id)
        if user is None or user.pending:
            raise Refused(404, say.NO_USER)
        return user

    def course(self, id: int) -> Course:
        """Any version of any course. Raises Refused (404)."""
        if id not in self.courses:
            raise Refused(404, say.NO_COURSE)
        return self.courses[id]

    def enrolment(self, id: int) -> Enrolment:
        """A record that is not removed. Raises Refused (404)."""
        if id not in self.enrolments:
            raise Refused(404, say.NO_ENROLMENT)
        return self.enrolments[id]

    def group(self, id: int) -> Group:
        if id not in self.groups:
            raise Refused(404, say.NO_GROUP)
        return self.groups[id]

    def newest(self, source: int) -> Course | None:
        """The published version of a course."""
        versions = [each for each in self.courses.values() if each.source == source]
        return next((each for each in versions if each.status == "published"), None)

    def records(self, user_id: int, source: int) -> list[Enrolment]:
        """A learner's records in all versions of a course, unenrolled ones too."""
        return [
            each
            for each in self.enrolments.values()
            if each.user_id == user_id and self.courses[each.course_id].source == source
        ]

    def modules(self) -> list[Module]:
        """Every module once, however many courses have it."""
        return list(
            {module.id: module for course in self.courses.values() for module in course.modules}.values()
        )

    def courses_with(self, module_id: int) -> int:
        """How many courses have this module, versions of one counted together."""
        return len({c.source for c in self.courses.values() if any(m.id == module_id for m in c.modules)})

    def sessions(self) -> Iterator[tuple[Module, Session]]:
        for module in self.modules():
            for session in module.sessions:
                yield module, session

    def enrol(self, user_id: int, course_id: int, now: datetime) -> Enrolment:
        """A new record, whatever there is already."""
        made = Enrolment(
            id=self.new_id("enrolment"), user_id=user_id, course_id=course_id, enrolled=now, updated=now
        )
        self.enrolments[made.id] = made
        return made

    def remove(self, enrolment: Enrolment) -> None:
        self.removed[enrolment.id] = self.enrolments.pop(enrolment.id)

    def unenrol(self, enrolment: Enrolment, now: datetime) -> None:
        """The record stays and says that it is unenrolled."""
        enrolment.unenrolled, enrolment.updated = True, now
        self.note_end(enrolment, now)

    def note_end(self, enrolment: Enrolment, now: datetime) -> None:
        """A line in the audit trail."""
        line = Unenrolment(
            id=self.new_id("trail"),
            at=now,
            enrolment_id=enrolment.id,
            user_id=enrolment.user_id,
            course_id=enrolment.course_id,
        )
        self.trail.append(line)


def number(value: object) -> int:
    """An id as it was sent, as a number or decimal text; -1, which nothing has, for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1


def is_true(value: object) -> bool:
    """Whether a flag is set, as a boolean or as text."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1"))
