"""Calling the Moodle stand-in in process, the way PHP forms are written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx

from gateway.sandbox.control import StandIn
from gateway.sandbox.moodle import SERVER, TOKEN

START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
INFO = "core_webservice_get_site_info"
COURSES, SEARCH = "core_course_get_courses_by_field", "core_course_search_courses"
FIND, CREATE, UPDATE = (
    "core_user_get_users_by_field",
    "core_user_create_users",
    "core_user_update_users",
)
ENROL, UNENROL = "enrol_manual_enrol_users", "enrol_manual_unenrol_users"
USERS_COURSES, ENROLLED = "core_enrol_get_users_courses", "core_enrol_get_enrolled_users"
METHODS = "core_enrol_get_course_enrolment_methods"
STATUS = "core_completion_get_course_completion_status"
ACTIVITIES = "core_completion_get_activities_completion_status"
GRADE, GRADES = "core_grades_update_grades", "gradereport_user_get_grade_items"


class Moodle:
    """The stand-in, and a client of it; `call` answers the value of the JSON."""

    def __init__(self, app: StandIn, client: httpx.AsyncClient) -> None:
        self.app, self.client = app, client

    async def post(self, function: str, **arguments: Any) -> httpx.Response:
        form = {"wstoken": TOKEN, "wsfunction": function, "moodlewsrestformat": "json"}
        return await self.client.post(SERVER, data={**form, **dict(flat(arguments))})

    async def call(self, function: str, **arguments: Any) -> Any:
        return (await self.post(function, **arguments)).json()

    async def code(self, function: str, **arguments: Any) -> str | None:
        """The error code of the answer; None when it is no error."""
        answer = await self.call(function, **arguments)
        return answer.get("errorcode") if isinstance(answer, dict) else None

    async def enrol(self, user: int, course: int, role: int = 5, **more: Any) -> Any:
        return await self.call(
            ENROL, enrolments=[{"roleid": role, "userid": user, "courseid": course, **more}]
        )

    async def unenrol(self, user: int, course: int) -> Any:
        return await self.call(UNENROL, enrolments=[{"userid": user, "courseid": course}])

    async def course(self, user: int, course: int) -> dict[str, Any] | None:
        """The course as a user's courses show it."""
        found = await self.call(USERS_COURSES, userid=user, returnusercount=0)
        return next((each for each in found if each["id"] == course), None)

    def switch(self, **changes: Any) -> None:
        self.app.vendor.switches = replace(self.app.vendor.switches, **changes)

    def act(self, action: str, /, **arguments: Any) -> Any:
        return self.app.vendor.actions[action](**arguments)

    @property
    def effects(self) -> list[tuple[str, str]]:
        return [(effect.kind, effect.what) for effect in self.app.journal.effects]


@asynccontextmanager
async def talking(app: StandIn) -> AsyncIterator[Moodle]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lms.test") as client:
        yield Moodle(app, client)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as PHP form fields."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{name}[{key}]" if name else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from flat(item, f"{name}[{place}]")
    else:
        yield name, str(value)
