"""The seven operations as RTOPilot is told about them: method, address, inputs, shapes, and what to paste.

Source: vendors/rtopilot.md 2.1 (methods, variables, which slots may stay blank) and 2.5 (addresses, bodies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gateway.contract import OPTIONAL, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """One slot of RTOPilot's LMS settings.

    `slot` is the slot's name in RTOPilot; `route` is below `/t/{tenant}`, `query` what follows it;
    `variables` are what RTOPilot can fill in; `body` is the body template to paste, None where the slot has
    none; `person` is the key under which the body names a student. Schemas are names below `schemas/`.
    """

    operation: Operation
    slot: str
    method: Literal["GET", "POST"]
    route: str
    variables: tuple[str, ...]
    query: str = ""
    body: str | None = None
    person: Literal["student", "to"] | None = None

    @property
    def required(self) -> bool:
        """Whether RTOPilot insists on this slot; the others may be left blank."""
        return self.operation not in OPTIONAL

    @property
    def url(self) -> str:
        """What to paste after `/t/{tenant}`: the route with RTOPilot's own placeholders."""
        return self.route.replace("{", "${") + self.query

    @property
    def request_schema(self) -> str | None:
        return f"rtopilot/{self.operation}.request.json" if self.method == "POST" else None

    @property
    def reply_schema(self) -> str:
        return f"rtopilot/{self.operation}.reply.json"


def _person(key: str) -> str:
    names = ",".join(f'"{name}":"${{{key}.{name}}}"' for name in ("id", "firstName", "lastName"))
    return f'"{key}":{{{names}}}'


def _variables(key: str) -> tuple[str, ...]:
    return (f"{key}.id", f"{key}.firstName", f"{key}.lastName")


_ALL = (
    OperationSpec(
        operation=Operation.GET_COURSES,
        slot="Get LMS Courses",
        method="GET",
        route="/courses",
        query="?q=${searchTerm}",
        variables=("searchTerm",),
    ),
    OperationSpec(
        operation=Operation.GET_COURSE,
        slot="Get LMS Course",
        method="GET",
        route="/courses/{courseId}",
        variables=("courseId",),
    ),
    OperationSpec(
        operation=Operation.GET_ENROLMENT,
        slot="Get LMS Enrolment",
        method="GET",
        route="/enrolments/{enrolmentId}",
        variables=("enrolmentId",),
    ),
    OperationSpec(
        operation=Operation.CREATE_ENROLMENT,
        slot="Create LMS Enrolment",
        method="POST",
        route="/enrolments",
        variables=("courseId", *_variables("student")),
        body=f'{{"courseId":"${{courseId}}",{_person("student")}}}',
        person="student",
    ),
    OperationSpec(
        operation=Operation.TRANSFER_ENROLMENT,
        slot="Transfer LMS Enrolment",
        method="POST",
        route="/enrolments/{enrolmentId}/transfer",
        variables=("enrolmentId", *_variables("to")),
        body=f"{{{_person('to')}}}",
        person="to",
    ),
    OperationSpec(
        operation=Operation.CANCEL_ENROLMENT,
        slot="Cancel LMS Enrolment",
        method="POST",
        route="/enrolments/{enrolmentId}/cancel",
        variables=("enrolmentId",),
        body="{}",
    ),
    OperationSpec(
        operation=Operation.UPDATE_MARKING,
        slot="Update LMS Enrolment Marking",
        method="POST",
        route="/enrolments/{enrolmentId}/marking",
        variables=("enrolmentId", "quizResults"),
        body='{"quizResults":${quizResults}}',
    ),
)

SPECS: Mapping[Operation, OperationSpec] = MappingProxyType({spec.operation: spec for spec in _ALL})
