"""RTOPilot's seven operations as the rest of the gateway passes them around: inputs in, results out.

Source: vendors/rtopilot.md 2.1 and 3. Ids towards RTOPilot are encoded (`gateway.ids`); ids towards a
vendor are the vendor's own text. Which of the two a field holds is said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Operation(StrEnum):
    """The operation names, the same in mappings, schemas, commands, metrics and case files."""

    GET_COURSES = "getCourses"
    GET_COURSE = "getCourse"
    GET_ENROLMENT = "getEnrolment"
    CREATE_ENROLMENT = "createEnrolment"
    TRANSFER_ENROLMENT = "transferEnrolment"
    CANCEL_ENROLMENT = "cancelEnrolment"
    UPDATE_MARKING = "updateMarking"


OPTIONAL = frozenset({Operation.TRANSFER_ENROLMENT, Operation.CANCEL_ENROLMENT, Operation.UPDATE_MARKING})
"""The slots RTOPilot allows to be left blank, so a tenant may switch them off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One student as RTOPilot names them; either name may be empty, never both None.

    `email` is no part of RTOPilot's calls: it is known only where one of its webhooks carried an address.
    """

    id: str
    first_name: str
    last_name: str
    email: str | None = None

    def scope(self) -> dict[str, Any]:
        """The person under RTOPilot's own names, as expressions see them."""
        names = {"id": self.id, "firstName": self.first_name, "lastName": self.last_name}
        return names if self.email is None else {**names, "email": self.email}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What one call of RTOPilot carries. Course and enrolment ids are encoded, as RTOPilot sent them."""

    search_term: str | None = None
    course_id: str | None = None
    enrolment_id: str | None = None
    person: Person | None = None
    quiz_results: list[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One course: `id` is the encoded id RTOPilot keeps."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One enrolment as Get Enrolment answers it; `id` and `course_id` are encoded ids, progress is 0..100."""

    id: str
    course_id: str | None = None
    student_id: str | None = None
    progress: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer of a write: the enrolment id that holds from now on."""

    id: str


Result = list[Course] | Course | Enrolment | Done
