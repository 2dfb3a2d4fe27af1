"""RTOPilot's office: the records of one organisation, and what staff do to them.

Source: vendors/rtopilot.md 2.1, 2.2 and the action table of 7.1.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.contract import Operation
from gateway.sandbox.rtopilot_caller import Answer, Caller, ServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """One student; a name may be empty, or None where RTOPilot holds none."""

    id: str | int
    first_name: str | None
    last_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One course of RTOPilot, linked to a course of the LMS by the id that Get Courses gave."""

    id: str
    name: str
    lms_course_id: str


@dataclass(slots=True, kw_only=True)
class HeldId:
    """An LMS enrolment id, from when it was stored until it was given up."""

    id: str
    since: datetime
    until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """One enrolment of RTOPilot. `markings` are the raw answers to Marking; `history` every id ever held.

    `certificate_at` is when a progress of 100 first arrived: RTOPilot issued a certificate.
    """

    rto_id: str
    student_id: str | int
    course_id: str
    lms_enrolment_id: str | None = None
    status: Literal["enrolled", "cancelled"] = "enrolled"
    progress: float = 0
    certificate_at: datetime | None = None
    markings: list[bytes] = field(default_factory=list)
    history: list[HeldId] = field(default_factory=list)

    def hold(self, lms_enrolment_id: str, now: datetime) -> None:
        if self.lms_enrolment_id == lms_enrolment_id:
            return
        self.release(now)
        self.lms_enrolment_id = lms_enrolment_id
        self.history.append(HeldId(id=lms_enrolment_id, since=now))

    def release(self, now: datetime) -> None:
        """The id in use is not to be written to any more."""
        if self.history and self.history[-1].until is None:
            self.history[-1].until = now


@dataclass(slots=True, kw_only=True)
class Organisation:
    """All records of one RTO, by their RTOPilot ids."""

    name: str
    students: dict[str | int, Student] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    enrolments: dict[str, Enrolment] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def add_student(self, id: str | int, first_name: str | None, last_name: str | None) -> Student:
        student = Student(id=id, first_name=first_name, last_name=last_name)
        self.students[id] = student
        return student

    def link_course(self, id: str, name: str, lms_course_id: str) -> Course:
        course = Course(id=id, name=name, lms_course_id=lms_course_id)
        self.courses[id] = course
        return course

    def holding(self, lms_enrolment_id: str) -> list[Enrolment]:
        """Every enrolment that stores this LMS enrolment id, cancelled ones too."""
        # a copy: the office may add one in another thread meanwhile
        known = list(self.enrolments.values())
        return [each for each in known if each.lms_enrolment_id == lms_enrolment_id]

    def new_enrolment(self, student_id: str | int, course_id: str) -> Enrolment:
        """An enrolment not yet kept."""
        return Enrolment(rto_id=f"rto-{next(self.numbers)}", student_id=student_id, course_id=course_id)

    def keep(self, enrolment: Enrolment) -> Enrolment:
        self.enrolments[enrolment.rto_id] = enrolment
        return enrolment


class Office:
    """What staff can do. Every action raises ServerError, or TemplateError, when the call fails.

    An id that the organisation does not have is a KeyError: a mistake of the test, not of the gateway.
    """

    def __init__(self, organisation: Organisation, caller: Caller) -> None:
        self.organisation = organisation
        self.caller = caller

    async def list_courses(self, search_term: str | None = "") -> list[dict[str, Any]]:
        """Fill the picker: items of `{id, name}`."""
        answer = await self.caller.call(Operation.GET_COURSES, {"searchTerm": search_term})
        items: list[dict[str, Any]] = json.loads(answer.body)
        return items

    async def read_course(self, course_id: str) -> dict[str, Any]:
        """Read the LMS course that a course is linked to."""
        course = self.organisation.courses[course_id]
        return _object(await self.caller.call(Operation.GET_COURSE, {"courseId": course.lms_course_id}))

    async def read_enrolment(self, rto_id: str) -> dict[str, Any]:
        """Read the LMS state of an enrolment; nothing is imported from it."""
        enrolment = self.organisation.enrolments[rto_id]
        return _object(await self.caller.call(Operation.GET_ENROLMENT, _id_of(enrolment)))

    async def enrol(self, student_id: str | int, course_id: str) -> Enrolment:
        """Enrol a student in a course. When it fails nothing is kept, unless the switch says so."""
        course = self.organisation.courses[course_id]
        student = self.organisation.students[student_id]
        enrolment = self.organisation.new_enrolment(student.id, course.id)
        values = {"courseId": course.lms_course_id, **_person("student", student)}
        try:
            answer = await self.caller.call(Operation.CREATE_ENROLMENT, values)
        except ServerError:
            if self.caller.switches.keep_enrolment_on_failure:
                self.organisation.keep(enrolment)
            raise
        self._store_id(enrolment, answer)
        return self.organisation.keep(enrolment)

    async def transfer(self, rto_id: str, to_student_id: str | int) -> Enrolment:
        """Give an enrolment to another student; with a blank slot, only inside RTOPilot."""
        enrolment = self.organisation.enrolments[rto_id]
        target = self.organisation.students[to_student_id]
        if self.caller.slots.get(Operation.TRANSFER_ENROLMENT) is not None:
            values = {**_id_of(enrolment), **_person("to", target)}
            self._store_id(enrolment, await self.caller.call(Operation.TRANSFER_ENROLMENT, values))
        enrolment.student_id = target.id
        return enrolment

    async def cancel(self, rto_id: str) -> Enrolment:
        """Cancel an enrolment; with a blank slot, only inside RTOPilot."""
        enrolment = self.organisation.enrolments[rto_id]
        if self.caller.slots.get(Operation.CANCEL_ENROLMENT) is not None:
            await self.caller.call(Operation.CANCEL_ENROLMENT, _id_of(enrolment))
        enrolment.status = "cancelled"
        enrolment.release(self.caller.now())
        return enrolment

    async def mark(self, rto_id: str, quiz_results: list[Any]) -> Enrolment:
        """Send marks and keep the raw answer; with a blank slot, nothing happens."""
        enrolment = self.organisation.enrolments[rto_id]
        if self.caller.slots.get(Operation.UPDATE_MARKING) is not None:
            values = {**_id_of(enrolment), "quizResults": quiz_results}
            answer = await self.caller.call(Operation.UPDATE_MARKING, values)
            enrolment.markings.append(answer.body)
        return enrolment

    def _store_id(self, enrolment: Enrolment, answer: Answer) -> None:
        enrolment.hold(_object(answer)[self.caller.switches.id_key], self.caller.now())


def _id_of(enrolment: Enrolment) -> dict[str, Any]:
    return {"enrolmentId": enrolment.lms_enrolment_id}


def _person(prefix: str, student: Student) -> dict[str, Any]:
    return {
        f"{prefix}.id": student.id,
        f"{prefix}.firstName": student.first_name,
        f"{prefix}.lastName": student.last_name,
    }


def _object(answer: Answer) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(answer.body)
    return value
