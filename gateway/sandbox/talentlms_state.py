"""What a portal holds: users, courses with units, enrolments (user, course), groups and the timeline.

An enrolment has no id of its own: it is the pair. Names are kept as the portal would show them, entities
included. Source: vendors/talentlms.md 3 and 4.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime

from gateway.sandbox import talentlms_errors as say
from gateway.sandbox.talentlms_errors import Refused, invalid_arguments

TIMELINE_LENGTH = 200
SECTION = "Section"


@dataclass(slots=True, kw_only=True)
class User:
    id: int
    login: str
    first_name: str
    last_name: str
    email: str
    created: datetime
    updated: datetime
    user_type: str = "Learner-Type"
    restrict_email: bool = False
    language: str = "English"
    timezone: str = "(GMT +08:00) Perth, Australia"
    active: bool = True
    deleted: bool = False
    deactivation_date: str = ""
    bio: str | None = None
    custom_fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    id: int
    name: str
    type: str = "Content"


@dataclass(slots=True, kw_only=True)
class Course:
    id: int
    name: str
    created: datetime
    code: str = ""
    description: str = ""
    active: bool = True
    creator_id: int = 2
    units: list[Unit] = field(default_factory=list)

    def counted_units(self) -> list[Unit]:
        """Units with progress: everything but headings."""
        return [unit for unit in self.units if unit.type != SECTION]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """A learner's result in one unit; status is incomplete, completed, passed or not_passed."""

    status: str
    score: str = "100"
    seconds: int = 0
    at: datetime | None = None

    @property
    def done(self) -> bool:
        return self.status in ("completed", "passed")


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """A user's place in a course.

    `percentage` overrides what the units add up to; with `no_percentage` null is shown.
    """

    role: str
    enrolled: datetime
    results: dict[int, UnitResult] = field(default_factory=dict)
    percentage: str | None = None
    no_percentage: bool = False
    completed: datetime | None = None
    expired: datetime | None = None
    certificate: datetime | None = None

    def forget_progress(self, *, certificate: bool) -> None:
        self.results = {}
        self.percentage = None
        self.no_percentage = False
        self.completed = None
        if certificate:
            self.certificate = None


@dataclass(slots=True, kw_only=True)
class Group:
    id: int
    name: str
    key: str
    course_ids: list[int] = field(default_factory=list)
    member_ids: list[int] = field(default_factory=list)
    max_redemptions: int = 0
    """How often the key may be used; 0 = without limit."""
    redemptions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomField:
    key: str
    type: str
    name: str
    values: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    action: str
    at: datetime
    user_id: int
    object_id: int
    object_name: str
    message: str


@dataclass(slots=True, kw_only=True)
class Portal:
    """Everything the portal knows; the finders raise Refused with the vendor's text."""

    users: dict[int, User] = field(default_factory=dict)
    courses: dict[int, Course] = field(default_factory=dict)
    enrolments: dict[tuple[int, int], Enrolment] = field(default_factory=dict)
    """By (user id, course id)."""
    past: dict[tuple[int, int], Enrolment] = field(default_factory=dict)
    """Enrolments that were removed, in case progress survives."""
    groups: dict[int, Group] = field(default_factory=dict)
    custom_fields: list[CustomField] = field(default_factory=list)
    timeline: dict[str, deque[Event]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=TIMELINE_LENGTH))
    )
    next_id: int = 1001

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def user(self, number: int, *, deleted_status: int = 404) -> User:
        user = self.users.get(number)
        if user is None:
            raise Refused(404, say.NO_SUCH_USER)
        if user.deleted:
            raise Refused(deleted_status, say.USER_GONE)
        return user

    def present_users(self) -> list[User]:
        return [user for _, user in sorted(self.users.items()) if not user.deleted]

    def user_with_email(self, email: str, *, exact: bool) -> User | None:
        for user in self.present_users():
            if email and (user.email == email or (not exact and user.email.casefold() == email.casefold())):
                return user
        return None

    def user_with_login(self, login: str) -> User | None:
        return next((u for u in self.present_users() if u.login.casefold() == login.casefold()), None)

    def course(self, number: int) -> Course:
        if number not in self.courses:
            raise Refused(404, say.NO_SUCH_COURSE)
        return self.courses[number]

    def course_named(self, name: str) -> Course:
        for course in self.courses.values():
            if course.name == name:
                return course
        raise Refused(404, say.NO_SUCH_COURSE)

    def group(self, number: int) -> Group:
        if number not in self.groups:
            raise Refused(404, say.NO_SUCH_GROUP)
        return self.groups[number]

    def group_with_key(self, key: str, *, missing_status: int) -> Group:
        for group in self.groups.values():
            if group.key == key:
                return group
        raise Refused(missing_status, say.NO_SUCH_KEY)

    def unit(self, number: int) -> tuple[Course, Unit]:
        for course in self.courses.values():
            for unit in course.counted_units():
                if unit.id == number:
                    return course, unit
        raise Refused(404, say.NO_SUCH_UNIT)

    def enrolment(self, user: User, course: Course, *, missing_status: int) -> Enrolment:
        enrolment = self.enrolments.get((user.id, course.id))
        if enrolment is None:
            raise Refused(missing_status, say.NOT_ENROLLED)
        return enrolment

    def enrolments_in(self, course: Course) -> list[tuple[User, Enrolment]]:
        return [
            (self.users[user_id], enrolment)
            for (user_id, course_id), enrolment in sorted(self.enrolments.items(), key=lambda item: item[0])
            if course_id == course.id and not self.users[user_id].deleted
        ]

    def enrolments_of(self, user: User) -> list[tuple[Course, Enrolment]]:
        return [
            (self.courses[course_id], enrolment)
            for (user_id, course_id), enrolment in sorted(self.enrolments.items(), key=lambda item: item[0])
            if user_id == user.id
        ]

    def happened(self, action: str, at: datetime, user: User, object_id: int, object_name: str) -> None:
        """Add to the timeline, which keeps the latest 200 of each type, newest first."""
        message = f"{user.first_name[:1]}. {user.last_name}: {action} {object_name}"
        self.timeline[action].appendleft(
            Event(
                action=action,
                at=at,
                user_id=user.id,
                object_id=object_id,
                object_name=object_name,
                message=message,
            )
        )


def percentage(course: Course, enrolment: Enrolment) -> str | None:
    """The vendor's percentage, as text: what was set, else done units by all units, as a whole number.

    None where the portal is to show null.
    """
    if enrolment.no_percentage:
        return None
    if enrolment.percentage is not None:
        return enrolment.percentage
    units = course.counted_units()
    if not units:
        return "100" if enrolment.completed else "0"
    done = sum(1 for unit in units if unit.id in enrolment.results and enrolment.results[unit.id].done)
    return str(100 * done // len(units))


def settle(course: Course, enrolment: Enrolment, now: datetime) -> bool:
    """Complete the course if every unit is done; whether this completed it.

    The seeded rule is the vendor's default, "You must complete all content".
    """
    units = course.counted_units()
    all_done = all(unit.id in enrolment.results and enrolment.results[unit.id].done for unit in units)
    if enrolment.completed or not units or not all_done:
        return False
    enrolment.completed = now
    return True


def numeric(text: str) -> int:
    """An id from a request. Raises Refused (400): an argument of the wrong type."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise invalid_arguments()
    return int(text)
