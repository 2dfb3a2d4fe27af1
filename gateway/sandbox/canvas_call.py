"""One call as an endpoint sees it, and how the ids in it are resolved.

Source: vendors/canvas.md 1 (foreign keys in place of ids, `self`) and 2 (rights).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.sandbox.canvas_errors import forbidden, not_found
from gateway.sandbox.canvas_pages import Listed
from gateway.sandbox.canvas_params import Params
from gateway.sandbox.canvas_show import Show
from gateway.sandbox.canvas_state import (
    ROOT_ACCOUNT,
    Account,
    Course,
    Enrolment,
    School,
    Section,
    User,
    whole,
)
from gateway.sandbox.canvas_switches import Switches
from gateway.sandbox.journal import Journal


class Tell(Protocol):
    """Sends live events about what an API call has just changed."""

    def enrolment(self, name: str, enrolment: Enrolment) -> Any: ...
    def grade(self, course: Course, assignment_id: int, user: User) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Everything an endpoint may look at; `names` are the parts of the path that stand for something."""

    names: Mapping[str, str]
    params: Params
    school: School
    switches: Switches
    journal: Journal
    now: datetime
    base: str
    tell: Tell

    @property
    def show(self) -> Show:
        return Show(self.school, self.switches, self.base)

    def may(self, right: bool) -> None:
        if not right:
            raise forbidden(self.switches.forbidden_status)

    def account(self) -> Account:
        key = self.names["account_id"]
        if key in ("self", "default"):
            return self.school.accounts[ROOT_ACCOUNT]
        kind, _, value = key.partition(":")
        for account in self.school.accounts.values():
            if account.id == whole(key) or (
                kind == "sis_account_id" and self._sis and value == account.sis_account_id
            ):
                return account
        raise not_found()

    def course(self, key: str | None = None) -> Course:
        """The course of the path, or of this key; a deleted one is not found."""
        return find_course(self.school, self.names["course_id"] if key is None else key, sis=self._sis)

    def section(self) -> tuple[Course, Section]:
        key = self.names["section_id"]
        kind, _, value = key.partition(":")
        for course in self.school.courses.values():
            for section in course.sections:
                foreign = kind == "sis_section_id" and self._sis and value == section.sis_section_id
                if course.state != "deleted" and (section.id == whole(key) or foreign):
                    return course, section
        raise not_found()

    def user(self, key: str | None = None) -> User:
        """The user of the path, or of this key; one deleted or of a foreign account is not found."""
        wanted = self.names["user_id"] if key is None else key
        exact = self.switches.login_case_sensitive
        return find_user(self.school, wanted, sis=self._sis, exact_login=exact)

    @property
    def _sis(self) -> bool:
        return self.switches.sis_rights != "none"


def find_course(school: School, key: str, *, sis: bool = True) -> Course:
    kind, _, value = key.partition(":")
    for course in school.courses.values():
        foreign = kind == "sis_course_id" and sis and value and value == course.sis_course_id
        if course.state != "deleted" and (course.id == whole(key) or foreign):
            return course
    raise not_found()


def find_user(school: School, key: str, *, sis: bool = True, exact_login: bool = False) -> User:
    """By id, `self`, `sis_login_id:`, or with SIS rights `sis_user_id:` and `sis_integration_id:`."""
    if key == "self":
        return school.users[school.admin_id]
    kind, _, value = key.partition(":")
    for user in school.present_users():
        match kind if value else "":
            case "sis_user_id":
                hit = sis and user.sis_user_id == value
            case "sis_integration_id":
                hit = sis and user.integration_id == value
            case "sis_login_id":
                hit = same_login(user.login, value, exact=exact_login)
            case _:
                hit = user.id == whole(key)
        if hit:
            return user
    raise not_found()


def same_login(one: str, other: str, *, exact: bool) -> bool:
    return one == other if exact else one.casefold() == other.casefold()


Endpoint = Callable[[Call], "Listed | dict[str, Any]"]
