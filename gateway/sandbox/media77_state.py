"""What 77media holds: courses by the last part of their addresses, registrations by UUID, broken rules."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Environment = Literal["staging", "production"]
MAX_VIOLATIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One activity: a course in one environment, at `/c/{slug}/`."""

    slug: str
    title: str
    environment: Environment


@dataclass(slots=True, kw_only=True)
class Registration:
    """One person in one activity, known by the UUID that the caller made up.

    `progress` is whatever the platform shows, 0 to 100 when it is sane; `moved` says that there has been
    any. `member` is what portals with accounts give, None for launch links. `ended` is what the caller holds,
    for nobody can tell the vendor. `extra` are the parameters of the last launch besides the five.
    """

    reg: str
    transaction_id: int
    course: Course
    email: str
    name: str
    started: datetime | None
    updated: datetime
    progress: Any = 0
    completed: datetime | None = None
    code: str | None = None
    member: str | None = None
    domain: str = ""
    lms_id: str = ""
    launches: int = 0
    moved: bool = False
    ended: bool = False
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A launch that the vendor's rules forbid, though the link was well made."""

    kind: str
    reg: str
    course: str


@dataclass(slots=True, kw_only=True)
class Platform:
    """Everything the vendor knows of one organisation."""

    courses: dict[str, Course] = field(default_factory=dict)
    registrations: dict[str, Registration] = field(default_factory=dict)
    violations: deque[Violation] = field(default_factory=lambda: deque(maxlen=MAX_VIOLATIONS))
    numbers: int = 50411

    def course(self, slug: str) -> Course:
        """Raises ValueError for one that is not there."""
        if slug not in self.courses:
            raise ValueError(f"there is no course {slug!r}")
        return self.courses[slug]

    def registration(self, reg: str) -> Registration:
        """The registration of this UUID, in any case. Raises ValueError when there is none."""
        found = self.registrations.get(str(reg).lower())
        if found is None:
            raise ValueError(f"there is no registration {reg!r}")
        return found

    def register(
        self,
        reg: str,
        course: Course,
        email: str,
        name: str,
        now: datetime,
        *,
        member: str | None = None,
        started: bool = True,
    ) -> Registration:
        """A new registration under the next transaction number."""
        self.numbers += 1
        made = Registration(
            reg=reg.lower(),
            transaction_id=self.numbers,
            course=course,
            email=email,
            name=name,
            started=now if started else None,
            updated=now,
            member=member,
        )
        self.registrations[made.reg] = made
        return made

    def live(self, email: str, course: Course) -> list[Registration]:
        """The registrations of a person in an activity that the caller has not ended, finished or not."""
        return [
            each
            for each in self.registrations.values()
            if same_person(each.email, email) and each.course == course and not each.ended
        ]


def same_person(one: str, other: str) -> bool:
    """E-mail addresses identify people; case makes no other person [I]."""
    return one.casefold() == other.casefold()


def completion_code(reg: str) -> str:
    """The UUID that stands for a completion; the same each time."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"completion:{reg}"))
