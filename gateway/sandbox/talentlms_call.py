"""One call as an endpoint sees it: its arguments, the portal, the time, and where to note effects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.sandbox.journal import Journal
from gateway.sandbox.talentlms_allowance import Allowance
from gateway.sandbox.talentlms_errors import invalid_arguments
from gateway.sandbox.talentlms_show import Show
from gateway.sandbox.talentlms_state import Course, Portal, User, numeric
from gateway.sandbox.talentlms_switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Everything an endpoint may look at; its return value becomes the JSON answer."""

    arguments: Mapping[str, str]
    portal: Portal
    switches: Switches
    allowance: Allowance
    journal: Journal
    now: datetime

    @property
    def show(self) -> Show:
        return Show(self.portal, self.switches)

    def need(self, name: str) -> str:
        """An argument that must be there and not blank. Raises Refused (400)."""
        value = self.arguments.get(name, "").strip()
        if not value:
            raise invalid_arguments()
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.arguments.get(name, default).lower()
        if value not in allowed:
            raise invalid_arguments()
        return value

    def user(self) -> User:
        """The user of `user_id`."""
        return self.user_numbered(self.need("user_id"))

    def user_numbered(self, text: str) -> User:
        return self.portal.user(numeric(text), deleted_status=self.switches.deleted_user_status)

    def course(self) -> Course:
        """The course of `course_id`."""
        return self.portal.course(numeric(self.need("course_id")))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint's one method and what it does."""

    method: str
    run: Callable[[Call], Any]
