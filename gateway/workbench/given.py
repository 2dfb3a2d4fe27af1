"""What an author says an operation is about, by RTOPilot's names: `{"courseId": "126", "student": {…}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import ids
from gateway.contract import Inputs, Operation, Person
from gateway.errors import NotFound, RequestError

NAMES = frozenset(
    {"searchTerm", "courseId", "enrolmentId", "student", "to", "quizResults", "known", "enrolment"}
)
OBJECTS = frozenset({"student", "to", "known", "enrolment"})


def check_given(given: Mapping[str, Any]) -> None:
    """Raises RequestError for a name no operation has, and for a value of the wrong kind."""
    for name, value in given.items():
        if name not in NAMES:
            raise RequestError(f"`{name}` is not known. It may be: {', '.join(sorted(NAMES))}.")
        if name in OBJECTS and not isinstance(value, Mapping):
            raise RequestError(f"`{name}` has parts. For example: {name}.id=204")
    for name, value in given.get("known", {}).items():
        if name not in ("student", "course", "enrolment") or not isinstance(value, Mapping):
            has = "`known` has `student`, `course` and `enrolment`"
            raise RequestError(f"{has}. For example: known.student.userId=7")


def vendor_course(text: str, alias: str | None = None) -> str:
    """The vendor's own course id, given that or RTOPilot's form of it."""
    try:
        return ids.decode_course(text, alias=alias)
    except NotFound:
        return text


def person(given: Mapping[str, Any], operation: Operation) -> Person | None:
    """The person of the operation: `student`, or `to` in a transfer. Names that are missing are empty."""
    data = given.get("to" if operation is Operation.TRANSFER_ENROLMENT else "student")
    if data is None or "id" not in data:
        return None
    first, last = (str(data.get(name) or "") for name in ("firstName", "lastName"))
    return Person(id=str(data["id"]), first_name=first, last_name=last)


def record_of(enrolment_id: str, key: tuple[str, ...]) -> dict[str, str]:
    """The record fields an enrolment id is made of. Raises RequestError for any other text."""
    try:
        parts = ids.decode(enrolment_id).parts
    except NotFound as error:
        raise RequestError(f"`{enrolment_id}` is not an enrolment id of the gateway.") from error
    if len(parts) != len(key):
        raise RequestError(f"`{enrolment_id}` must be made of {', '.join(key)}.")
    return dict(zip(key, parts, strict=True))


def to_inputs(given: Mapping[str, Any], operation: Operation, alias: str | None = None) -> Inputs:
    """The same as one call of RTOPilot would carry it; a course id may be the vendor's own.

    `alias` is that of the LMS, where the tenant has several.
    """
    course = given.get("courseId")
    course_id = None if course is None else vendor_course(str(course), alias)
    return Inputs(
        search_term=given.get("searchTerm"),
        course_id=None if course_id is None else ids.encode_course(course_id, alias=alias),
        enrolment_id=given.get("enrolmentId"),
        person=person(given, operation),
        quiz_results=given.get("quizResults"),
    )
