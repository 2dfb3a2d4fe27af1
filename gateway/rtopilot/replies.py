"""A result or an error as the exact body RTOPilot may see, checked against our own schema before it leaves.

Source: vendors/rtopilot.md 3.2 and 3.3: three names for the enrolment id, never a null, always 200 with JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from cachetools import LRUCache

from gateway.contract import Course, Done, Enrolment, Operation, Result
from gateway.errors import GatewayError, InternalError
from gateway.rtopilot import shapes
from gateway.rtopilot.operations import SPECS

MAX_COURSES = 1000

log = logging.getLogger(__name__)

_ACKNOWLEDGED = frozenset({Operation.CANCEL_ENROLMENT, Operation.UPDATE_MARKING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraFields:
    """A tenant's own changes to one reply: keys to `rename`, then constants to `add`.

    RTOPilot's schemas are unpublished; this is how an operator meets a surprise without a release (design 3).
    """

    add: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)

    def apply(self, record: Mapping[str, Any]) -> dict[str, Any]:
        return {**{self.rename.get(key, key): value for key, value in record.items()}, **self.add}


class CourseListBytes:
    """The bodies of course lists already answered, found again by the identity of the list.

    An unchanged cached list is thus neither checked nor written again. The entry holds the list itself,
    so that its identity cannot pass to another; a list that was answered must not be changed in place.
    """

    def __init__(self, size: int = 64) -> None:
        self._bodies: LRUCache[tuple[int, int], tuple[list[Course], ExtraFields | None, bytes]] = LRUCache(
            size
        )

    def body(self, courses: list[Course], *, tenant: str, extra: ExtraFields | None = None) -> bytes:
        """The body for these courses. Raises InternalError as `courses_bytes`."""
        key = (id(courses), id(extra))
        known = self._bodies.get(key)
        if known is not None:
            return known[2]
        body = courses_bytes(courses, tenant=tenant, extra=extra)
        self._bodies[key] = (courses, extra, body)
        return body


def courses_bytes(courses: list[Course], *, tenant: str, extra: ExtraFields | None = None) -> bytes:
    """The course list, sorted by name and cut to 1,000. Raises InternalError when it breaks our schema."""
    ordered = sorted(courses, key=lambda course: (course.name.casefold(), course.id))
    if len(ordered) > MAX_COURSES:
        log.warning(
            "tenant %s: %d courses, RTOPilot is given the first %d", tenant, len(ordered), MAX_COURSES
        )
    records = [{"id": course.id, "name": course.name} for course in ordered[:MAX_COURSES]]
    return _checked_bytes(Operation.GET_COURSES, records, extra)


def result_bytes(operation: Operation, result: Result, *, extra: ExtraFields | None = None) -> bytes:
    """The body for any other result.

    Raises InternalError ("bad_reply") when it breaks our own schema, or the result is not the operation's.
    """
    return _checked_bytes(operation, _record(operation, result), extra)


def error_bytes(error: GatewayError, reference: str) -> bytes:
    """The body of an error; nothing but its public code and sentence."""
    body = {"code": error.code, "message": error.message, "reference": reference}
    return orjson.dumps({"error": body})


def _record(operation: Operation, result: Result) -> dict[str, Any]:
    match result:
        case Course():
            return {"id": result.id, "name": result.name}
        case Enrolment():
            return _enrolment(result)
        case Done():
            acknowledged = {"success": True} if operation in _ACKNOWLEDGED else {}
            return {**acknowledged, **_three_ids(result.id)}
        case _:
            raise InternalError(code="bad_reply", detail=f"{operation} gave {type(result).__name__}")


def _enrolment(enrolment: Enrolment) -> dict[str, Any]:
    maybe = {
        "courseId": enrolment.course_id,
        "studentId": enrolment.student_id,
        "progress": enrolment.progress,
    }
    return _three_ids(enrolment.id) | {key: value for key, value in maybe.items() if value is not None}


def _three_ids(enrolment_id: str) -> dict[str, Any]:
    """RTOPilot's name for the id is not documented, so it gets all three candidates."""
    return {"id": enrolment_id, "enrolmentId": enrolment_id, "lmsEnrolmentId": enrolment_id}


def _checked_bytes(operation: Operation, body: Any, extra: ExtraFields | None) -> bytes:
    try:
        _check(operation, body)
        if extra is not None:
            body = [extra.apply(one) for one in body] if isinstance(body, list) else extra.apply(body)
            _refuse_null(operation, body)
        return orjson.dumps(body)
    except (TypeError, ValueError) as exc:  # half surrogates, say, which no UTF-8 can carry
        raise InternalError(code="bad_reply", detail=f"{operation}: not plain JSON") from exc


def _check(operation: Operation, body: Any) -> None:
    schema = SPECS[operation].reply_schema
    if not shapes.fits(schema, body):
        raise InternalError(code="bad_reply", detail=f"{operation}: {shapes.explain(schema, body)}")


def _refuse_null(operation: Operation, body: Any) -> None:
    if body is None:
        raise InternalError(code="bad_reply", detail=f"{operation}: extra_fields put a null into the reply")
    for child in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        _refuse_null(operation, child)
