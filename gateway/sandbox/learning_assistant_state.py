"""What the Learning Assistant stand-in's centre holds: companies, trainers, courses, candidates, enrolments.

Held in memory and seeded; identifiers are ColdFusion's 8-4-4-16 UUIDs and never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox.learning_assistant_sessions import coldfusion_uuid

STATUSES = ("Active", "Suspended", "Withdrawn", "Completed")
MAX_ENROLMENTS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    uuid: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    uuid: str
    forename: str
    surname: str
    email: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    uuid: str
    name: str
    reference: str
    mandatory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    uuid: str
    name: str
    qan: str
    units: tuple[Unit, ...]


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A person, or one enrolment's copy of a person. `values` and `address` hold accessors as sent."""

    uuid: str
    values: dict[str, str]
    address: dict[str, str] = field(default_factory=dict)

    @property
    def source_id(self) -> str:
        return self.values.get("SourceSystemLearnerUUID", "")


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """`percent` and `unit_percents` (by unit UUID) are 0..100 whatever scale replies use.

    `odd_percent` holds what GetProgress shows instead of `percent`: one text, or one None for nil.
    """

    candidate: Candidate
    course: Course
    assessor_uuid: str
    verifier_uuid: str
    unit_uuids: tuple[str, ...] = ()
    status: str = "Active"
    test: bool = False
    anticipated_end_date: str = "2026-12-18"
    percent: float = 0.0
    unit_percents: dict[str, float] = field(default_factory=dict)
    odd_percent: tuple[str | None, ...] = ()


@dataclass(slots=True, kw_only=True)
class Centre:
    """One customer's data; `welcome_emails` lists the addresses a log-in mail went to."""

    companies: tuple[Company, ...]
    trainers: tuple[Trainer, ...]
    courses: tuple[Course, ...]
    enrolments: list[Enrolment]
    welcome_emails: list[str] = field(default_factory=list)

    def trainer(self, uuid: str) -> Trainer | None:
        return next((each for each in self.trainers if each.uuid == uuid), None)

    def courses_with_qan(self, qan: str) -> list[Course]:
        return [each for each in self.courses if each.qan == qan]

    def enrolment(self, candidate_uuid: str, course_uuid: str) -> Enrolment | None:
        """The newest one: a repeated enrolment of one person leaves the older behind it."""
        for each in reversed(self.enrolments):
            if (each.candidate.uuid, each.course.uuid) == (candidate_uuid, course_uuid):
                return each
        return None

    def open_enrolment_of_learner(self, source_id: str, course: Course) -> Enrolment | None:
        for each in self.enrolments:
            same = each.candidate.source_id == source_id != "" and each.course is course
            if same and each.status != "Withdrawn":
                return each
        return None

    def learner(self, source_id: str) -> Candidate | None:
        return next((each for each in self.candidates() if each.source_id == source_id != ""), None)

    def candidates(self) -> Iterator[Candidate]:
        seen: set[str] = set()
        for each in self.enrolments:
            if each.candidate.uuid not in seen:
                seen.add(each.candidate.uuid)
                yield each.candidate

    def described(self) -> list[dict[str, Any]]:
        """Every enrolment as plain values, for the control surface."""
        return [_described(each) for each in self.enrolments]


def _described(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "candidate_uuid": enrolment.candidate.uuid,
        "course_uuid": enrolment.course.uuid,
        "status": enrolment.status,
        "test": enrolment.test,
        "percent": enrolment.percent,
        "unit_percents": enrolment.unit_percents,
        "assessor_uuid": enrolment.assessor_uuid,
        "verifier_uuid": enrolment.verifier_uuid,
        "unit_uuids": list(enrolment.unit_uuids),
        "values": enrolment.candidate.values,
        "address": enrolment.candidate.address,
    }


def new_candidate(values: dict[str, str], address: dict[str, str]) -> Candidate:
    return Candidate(uuid=coldfusion_uuid(), values=values, address=address)
