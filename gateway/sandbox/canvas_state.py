"""What a Canvas account holds: courses with requirements, users with one login, enrolments, grades, jobs.

Progress and scores belong to a user in a course, not to an enrolment, so both outlive an enrolment's end [I].
Source: vendors/canvas.md 1, 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SHARD = 10**13
ROOT_ACCOUNT, OTHER_ROOT = 1, 900
STUDENT = "StudentEnrollment"
LIVE_STATES = ("active", "invited", "creation_pending")
STATES = ("active", "invited", "creation_pending", "inactive", "completed", "rejected", "deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    id: int
    name: str
    parent_id: int | None = None
    sis_account_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role; `type` is the enrolment type it is based on."""

    id: int
    label: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    id: int
    name: str
    sis_section_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """`grading` is points, percent, letter_grade or pass_fail."""

    id: int
    name: str
    points: float = 100.0
    grading: str = "points"


@dataclass(slots=True, kw_only=True)
class Course:
    """`requirements` are ids in order; None for a course without modules that have any."""

    id: int
    name: str
    code: str
    sis_course_id: str | None = None
    state: str = "available"
    account_id: int = ROOT_ACCOUNT
    term_id: int = 1
    start: datetime | None = None
    end: datetime | None = None
    sections: list[Section] = field(default_factory=list)
    requirements: list[int] | None = None
    assignments: list[Assignment] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class User:
    """A user and the one login; `account_id` is the root account the login belongs to."""

    id: int
    name: str
    short_name: str
    sortable_name: str
    login: str
    created: datetime
    sis_user_id: str | None = None
    integration_id: str | None = None
    email: str | None = None
    account_id: int = ROOT_ACCOUNT
    deleted: bool = False


@dataclass(slots=True, kw_only=True)
class Enrolment:
    id: int
    course_id: int
    section_id: int
    user_id: int
    type: str
    role: Role
    state: str
    created: datetime
    updated: datetime
    start: datetime | None = None
    end: datetime | None = None
    limited: bool = False
    notified: bool = False

    @property
    def what(self) -> str:
        """Course and user, as the journal names them."""
        return f"{self.course_id},{self.user_id}"


@dataclass(slots=True, kw_only=True)
class Submission:
    """What one user handed in for one assignment, as far as a marker sees it."""

    id: int
    grade: str | None = None
    score: float | None = None
    graded: datetime | None = None
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Job:
    """Work done later; `work` is what it does when its turn comes."""

    id: int
    tag: str
    work: Callable[[], None]
    created: datetime
    state: str = "queued"


@dataclass(slots=True, kw_only=True)
class School:
    """Everything of one root account and what hangs below it."""

    admin_id: int
    accounts: dict[int, Account] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict)
    courses: dict[int, Course] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    enrolments: dict[int, Enrolment] = field(default_factory=dict)
    done: dict[tuple[int, int], dict[int, datetime]] = field(default_factory=dict)
    """When each requirement was met, by course and user."""
    scores: dict[tuple[int, int], float] = field(default_factory=dict)
    """Current and final score, 0 to 100, by course and user."""
    submissions: dict[tuple[int, int], Submission] = field(default_factory=dict)
    """By assignment and user."""
    jobs: dict[int, Job] = field(default_factory=dict)
    numbers: int = 91300

    def new_id(self) -> int:
        self.numbers += 1
        return self.numbers

    def section(self, id: int) -> tuple[Course, Section] | None:
        for course in self.courses.values():
            for section in course.sections:
                if section.id == id:
                    return course, section
        return None

    def present_users(self) -> Iterator[User]:
        """Those of this root account who are not deleted."""
        return (user for user in self.users.values() if not user.deleted and user.account_id == ROOT_ACCOUNT)

    def account_ids(self, account_id: int) -> set[int]:
        """The account and those directly below it; there is no third level here."""
        return {account_id} | {each.id for each in self.accounts.values() if each.parent_id == account_id}

    def enrolments_of(self, *, course_id: int | None = None, user_id: int | None = None) -> list[Enrolment]:
        return [
            each
            for each in self.enrolments.values()
            if course_id in (None, each.course_id) and user_id in (None, each.user_id)
        ]

    def student_states(self, course_id: int, user_id: int) -> set[str]:
        """The states of this user's student enrolments in the course."""
        found = self.enrolments_of(course_id=course_id, user_id=user_id)
        return {each.state for each in found if each.type == STUDENT}

    def met(self, course: Course, user_id: int) -> dict[int, datetime]:
        """Requirements the user has met, of those the course still has."""
        done = self.done.get((course.id, user_id), {})
        return {each: done[each] for each in course.requirements or () if each in done}

    def completed_at(self, course: Course, user_id: int) -> datetime | None:
        """When the last requirement was met; None until all are, and with none at all."""
        met = self.met(course, user_id)
        return max(met.values()) if met and len(met) == len(course.requirements or ()) else None


def local(id: int) -> int:
    """A global id of this account's own shard as its local id; any other as it is. Source: 1."""
    return id - SHARD if SHARD < id < 2 * SHARD else id


def globally(id: int) -> int:
    """The global id: shard number times 10**13, and the local id."""
    return id if id > SHARD else SHARD + id


def whole(text: Any) -> int:
    """A decimal id of at most 19 digits as its local number, -1 for anything else."""
    digits = str(text)
    return local(int(digits)) if digits.isascii() and digits.isdecimal() and len(digits) <= 19 else -1
