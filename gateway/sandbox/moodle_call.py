"""One call as a function sees it: checked arguments, the site, what the service user may, and the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.sandbox.journal import Journal
from gateway.sandbox.moodle_errors import no_permission, no_record, not_accessible
from gateway.sandbox.moodle_parameters import Rules, Struct
from gateway.sandbox.moodle_state import Course, Site, User
from gateway.sandbox.moodle_switches import Switches


class Tell(Protocol):
    """Sends an event of the plugin, about a learner and perhaps a record of an activity."""

    def __call__(self, event: str, *, user_id: int, course_id: int, object_id: int = 0) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Everything a function may look at; what it returns becomes the answer. `raw`: texts unformatted."""

    arguments: dict[str, Any]
    site: Site
    switches: Switches
    journal: Journal
    now: int
    url: str
    raw: bool
    rules: Rules
    tell: Tell

    def lacks(self, capability: str) -> bool:
        return capability in self.switches.lacks

    def need(self, capability: str) -> None:
        """Raises Refused (nopermissions) when the service user lacks it."""
        if self.lacks(capability):
            raise no_permission(capability)

    def course(self, id: int) -> Course:
        """Raises Refused when there is none."""
        if id not in self.site.courses:
            raise no_record("course")
        return self.site.courses[id]

    def user(self, id: int) -> User:
        """Raises Refused when there is none; a deleted one is there."""
        if id not in self.site.users:
            raise no_record("user")
        return self.site.users[id]

    def can_enter(self, course: Course) -> bool:
        hidden = not course.visible and self.lacks("moodle/course:viewhiddencourses")
        return not (course.closed or hidden or self.lacks("moodle/course:view"))

    def enter(self, course: Course) -> None:
        """Raises Refused (requireloginerror) for a course the service user cannot enter."""
        if not self.can_enter(course):
            raise not_accessible()

    async def window(self) -> None:
        """The moment between looking and writing, in which another call may write."""
        if self.switches.race_window_s:
            await asyncio.sleep(self.switches.race_window_s)


@dataclass(frozen=True, slots=True)
class Function:
    """What a function takes, and what it does; `run` may be a coroutine function."""

    parameters: Struct
    run: Callable[[Call], Any]
