"""Every schema RTOPilot may check an answer against; the gateway has to satisfy all of them.

RTOPilot does not publish its schemas, so each reading of the documentation is a validator with a name.
Source: vendors/rtopilot.md 7.1 (the set) and 3.2 (the three id keys agree).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from gateway.contract import Operation

Check = Callable[[Any], str | None]
"""Takes the parsed body; returns what is wrong with it, or None."""

Reason = Literal["status", "schema", "json", "timeout", "connect"]

MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Validator:
    """One reading of one operation's schema. `check` is None if the body is not even parsed."""

    name: str
    check: Check | None

    def complaint(self, body: bytes) -> tuple[Reason, str] | None:
        """Why this validator rejects `body`, or None."""
        if self.check is None:
            return None
        try:
            value = parse_json(body)
        except ValueError as exc:
            return "json", f"{self.name}: not JSON: {exc}"
        found = self.check(value)
        return None if found is None else ("schema", f"{self.name}: {found}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all validators make of one answer; `reason` is None when all accept."""

    reason: Reason | None
    complaints: tuple[str, ...]


def check_reply(operation: Operation, status: int, body: bytes) -> list[str]:
    """The complaints of every validator about one answer, each beginning with the validator's name."""
    return list(judge(operation, status, body).complaints)


def judge(operation: Operation, status: int, body: bytes) -> Verdict:
    """Whether RTOPilot would take the answer, and if not, why. A status that is not 2xx ends the matter."""
    if not 200 <= status <= 299:
        return Verdict(reason="status", complaints=(f"status: {status} is not 2xx",))
    found = [item for each in VALIDATORS[operation] if (item := each.complaint(body)) is not None]
    reasons = [reason for reason, _ in found]
    reason: Reason | None = "json" if "json" in reasons else reasons[0] if reasons else None
    return Verdict(reason=reason, complaints=tuple(text for _, text in found))


def parse_json(body: bytes) -> Any:
    """JSON as strictly as JavaScript reads it: UTF-8, no NaN, no control characters in strings.

    Raises ValueError, also for nesting deeper than the parser can take.
    """
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def course_problem(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "not an object"
    wrong = [key for key in ("id", "name") if not isinstance(value.get(key), str)]
    return f"no text under {' and '.join(wrong)}" if wrong else None


def courses_problem(value: Any) -> str | None:
    return _each(value, course_problem)


def exact_course_problem(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "not an object"
    extra = sorted(set(value) - {"id", "name"})
    return f"unknown keys {', '.join(extra)}" if extra else None


def exact_courses_problem(value: Any) -> str | None:
    return _each(value, exact_course_problem)


def _each(value: Any, check: Check) -> str | None:
    if not isinstance(value, list):
        return "not an array"
    found = ((position, check(item)) for position, item in enumerate(value))
    return next((f"item {position}: {problem}" for position, problem in found if problem), None)


def id_under(key: str) -> Check:
    """The enrolment id is expected under `key`, as text that is not empty."""

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return "not an object"
        held = value.get(key)
        return None if isinstance(held, str) and held else f"no id under {key}"

    return check


def ids_differ(value: Any) -> str | None:
    # Whichever key RTOPilot reads, it has to store the same id.
    if not isinstance(value, dict):
        return "not an object"
    held = {json.dumps(value[key]) for key in ID_KEYS if key in value}
    return "the id keys hold different values" if len(held) > 1 else None


def progress_problem(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "not an object"
    progress = value.get("progress")
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return "progress is not a number"
    return None if 0 <= progress <= 100 else "progress is not within 0 to 100"


def object_problem(value: Any) -> str | None:
    return None if isinstance(value, dict) else "not an object"


def null_problem(value: Any) -> str | None:
    return _null_within(value, "the body", MAX_DEPTH)


def _null_within(value: Any, place: str, depth: int) -> str | None:
    if value is None:
        return f"{place} is null"
    if depth == 0:
        return "nested too deeply"
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = (_null_within(item, str(key), depth - 1) for key, item in inside)
    return next((problem for problem in found if problem), None)


def anything(_: Any) -> None:
    return None


ID_KEYS = ("id", "enrolmentId", "lmsEnrolmentId")

NEW_ID = (
    *(Validator(f"id_under_{key}", id_under(key)) for key in ID_KEYS),
    Validator("same_id_under_every_key", ids_differ),
    Validator("no_null", null_problem),
)

VALIDATORS: Mapping[Operation, tuple[Validator, ...]] = {
    Operation.GET_COURSES: (
        Validator("courses", courses_problem),
        Validator("courses_without_unknown_keys", exact_courses_problem),
    ),
    Operation.GET_COURSE: (
        Validator("course", course_problem),
        Validator("course_without_unknown_keys", exact_course_problem),
    ),
    Operation.GET_ENROLMENT: (*NEW_ID, Validator("numeric_progress", progress_problem)),
    Operation.CREATE_ENROLMENT: NEW_ID,
    Operation.TRANSFER_ENROLMENT: NEW_ID,
    Operation.CANCEL_ENROLMENT: (Validator("never_parsed", None), Validator("any_json", anything)),
    Operation.UPDATE_MARKING: (Validator("any_object", object_problem), Validator("never_parsed", None)),
}
