"""RTOPilot's webhook events with plausible data, and the envelope around it.

Only the names of four events and the member `data` are documented; everything else is a guess under a switch.
Source: vendors/rtopilot.md 5.2 and 5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KNOWN_EVENTS = ("student.created", "student.merged", "enrolment.created", "enrolment.cancelled")
FIFTH_EVENT = "enrolment.statusChanged"
"""The name of the fifth event begins with `en`; the rest is made up."""
UNKNOWN_EVENT = "widget.polished"
"""A name that nobody expects, for the sixth event."""
EVENTS = (*KNOWN_EVENTS, FIFTH_EVENT, UNKNOWN_EVENT)

MERGED_KEYS = (
    "mergedStudentId",
    "mergedFromId",
    "mergedId",
    "mergedFrom",
    "previousStudentId",
    "oldStudentId",
    "merged.id",
    "mergedStudent.id",
)
"""Where the id of the student that was merged away may stand, within `data`; a dot goes one level down."""

STUDENT_ID, MERGED_ID, ENROLMENT_ID = "stu-104", "stu-99", "rto-enr-77"
Data = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The names of the envelope's members; an empty name leaves one out, `data` always stays."""

    event: str = "event"
    data: str = "data"
    id: str = ""
    timestamp: str = ""
    timestamp_as_text: bool = False

    def around(self, event: str, data: Mapping[str, Any], *, id: str, at: int) -> Data:
        """The body as a value; `at` is in Unix seconds."""
        members = {self.event: event, self.id: id, self.timestamp: str(at) if self.timestamp_as_text else at}
        return {**{name: value for name, value in members.items() if name}, self.data: dict(data)}


def student(
    id: str | int = STUDENT_ID, *, first: str = "Ana", last: str = "Citizen", email: str = ""
) -> Data:
    """One student as `data` may describe one; with an address only when it is given."""
    described = {"id": id, "firstName": first, "lastName": last}
    return described | ({"email": email} if email else {})


def merged(survivor: Mapping[str, Any], merged_id: str | int, key: str = MERGED_KEYS[0]) -> Data:
    """The data of `student.merged`: the survivor, and under `key` the id of the one merged away."""
    *above, last = key.split(".")
    inner: Data = {last: merged_id}
    for name in reversed(above):
        inner = {name: inner}
    return {**survivor, **inner}


def enrolment(id: str = ENROLMENT_ID, student_id: str | int = STUDENT_ID, **more: Any) -> Data:
    return {"id": id, "classId": "class-12", "courseId": "course-3", "studentId": student_id, **more}


def example(event: str, *, merged_key: str = MERGED_KEYS[0]) -> Data:
    """Data fit for an event of this name; the Test button sends it."""
    made: Mapping[str, Callable[[], Data]] = {
        "student.created": student,
        "student.merged": lambda: merged(student(), MERGED_ID, merged_key),
        "enrolment.created": lambda: enrolment(status="enrolled"),
        "enrolment.cancelled": lambda: enrolment(status="cancelled"),
        FIFTH_EVENT: lambda: enrolment(status="completed", previousStatus="enrolled"),
    }
    return made.get(event, lambda: {"id": "w-1", "shine": 11})()
