"""What RTOPilot sent, as checked inputs: lenient towards its JSON, strict towards mistyped templates.

A body that cannot be used is answered with the template to paste instead, because RTOPilot does not
test its settings when they are saved. Values of the request never stand in a message: they hold names.
Source: vendors/rtopilot.md 2.3, 3.1 and 8 (rows 16, 17, 19).
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn
from urllib.parse import parse_qs

import orjson

from gateway.contract import Inputs, Operation, Person
from gateway.errors import NotFound, RequestError
from gateway.rtopilot import shapes
from gateway.rtopilot.operations import OperationSpec

MAX_SEARCH_TERM = 255

_OUR_ID = re.compile("[A-Za-z0-9_-]{1,64}")
_PLACEHOLDER = "${"
_BREAKS = re.compile(r"[\s\x85\u2028\u2029]+")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_QUOTED_RESULTS = re.compile(r'"quizResults"\s*:\s*"\s*\[')
_FLAT_NAMES = ("firstname", "lastname")


def read(spec: OperationSpec, *, path_id: str | None, query: bytes, body: bytes) -> Inputs:
    """The inputs of one call.

    `path_id` is the id in the path, percent-decoded once, None where the route has none; `query` is the raw
    query string. Raises RequestError (bad_request, not_json, bad_body, unresolved_variable,
    quoted_quiz_results, flat_body) and NotFound (unknown_course, unknown_enrolment).
    """
    match spec.operation:
        case Operation.GET_COURSES:
            return Inputs(search_term=_search_term(query))
        case Operation.GET_COURSE:
            return Inputs(course_id=_path_id(path_id, "course"))
        case Operation.GET_ENROLMENT | Operation.CANCEL_ENROLMENT:
            return Inputs(enrolment_id=_path_id(path_id, "enrolment"))
        case Operation.CREATE_ENROLMENT:
            data = _checked(spec, body)
            return Inputs(course_id=_id(spec, data, "courseId"), person=_person(spec, data))
        case Operation.TRANSFER_ENROLMENT:
            enrolment_id = _path_id(path_id, "enrolment")
            return Inputs(enrolment_id=enrolment_id, person=_person(spec, _checked(spec, body)))
        case Operation.UPDATE_MARKING:
            enrolment_id = _path_id(path_id, "enrolment")
            return Inputs(enrolment_id=enrolment_id, quiz_results=_quiz_results(spec, _checked(spec, body)))


def _search_term(query: bytes) -> str | None:
    """The term, None for all courses. Never fails: an odd term may only find more than was meant."""
    try:
        values = parse_qs(query.decode("utf-8", "replace"), max_num_fields=100)
    except ValueError:
        return None
    term = _clean(values.get("q", [""])[-1])[:MAX_SEARCH_TERM]
    return None if not term or _PLACEHOLDER in term else term


def _path_id(text: str | None, kind: str) -> str:
    if text is not None and _PLACEHOLDER in text:
        raise RequestError(
            f"The address of this slot holds a variable that RTOPilot left unfilled. Write ${{{kind}Id}}.",
            code="unresolved_variable",
        )
    if text is None or not _OUR_ID.fullmatch(text):
        raise NotFound(f"There is no such {kind}.", code=f"unknown_{kind}")
    return text


def _checked(spec: OperationSpec, body: bytes) -> dict[str, Any]:
    """The body as an object of the documented shape."""
    data = _json(spec, body)
    assert spec.request_schema is not None
    if not shapes.fits(spec.request_schema, data):
        _explain(spec, data)
    found: dict[str, Any] = data
    return found


def _json(spec: OperationSpec, body: bytes) -> Any:
    """Lenient JSON: raw line breaks and tabs in strings are taken, since RTOPilot may not escape them."""
    text = ""
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text, strict=False, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except UnicodeDecodeError as exc:
        _paste(spec, "not_json", "The body is not UTF-8 text.", cause=exc)
    except RecursionError as exc:
        _paste(spec, "bad_body", "The body is nested too deeply.", cause=exc)
    except ValueError as exc:
        _explain_text(spec, text, exc)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _explain_text(spec: OperationSpec, text: str, exc: ValueError) -> NoReturn:
    """Say why text is not JSON, by the mistakes that templates invite."""
    if spec.operation is Operation.UPDATE_MARKING and _QUOTED_RESULTS.search(text):
        _quoted(spec, exc)
    if _PLACEHOLDER in text:
        _paste(spec, "unresolved_variable", "RTOPilot left a variable unfilled in the body.", cause=exc)
    if not text.strip():
        _paste(spec, "not_json", "The body is empty.", cause=exc)
    _paste(spec, "not_json", "The body is not JSON.", cause=exc)


def _explain(spec: OperationSpec, data: Any) -> NoReturn:
    """Say why JSON does not fit, by the mistakes that templates invite."""
    if isinstance(data, dict):
        if isinstance(data.get("quizResults"), str):
            _quoted(spec)
        if (
            spec.person is not None
            and not isinstance(data.get(spec.person), dict)
            and _is_flat(spec.person, data)
        ):
            _paste(
                spec,
                "flat_body",
                f"The body names the student outside of `{spec.person}`, and without an id.",
            )
    assert spec.request_schema is not None
    _paste(spec, "bad_body", f"The body is not as expected: {shapes.explain(spec.request_schema, data)}.")


def _is_flat(person: str, data: dict[str, Any]) -> bool:
    """XMB's own example has `studentFirstName` and the like beside `courseId`, and no student id."""
    keys = [key.lower() for key in data if key != person]
    return any(key.startswith(person) or key.endswith(_FLAT_NAMES) for key in keys)


def _quoted(spec: OperationSpec, cause: Exception | None = None) -> NoReturn:
    message = "The body has quotes around ${quizResults}; RTOPilot puts in a whole list, which takes none."
    _paste(spec, "quoted_quiz_results", message, cause=cause)


def _paste(spec: OperationSpec, code: str, message: str, *, cause: Exception | None = None) -> NoReturn:
    advice = f"Paste this as the body template of {spec.slot} in RTOPilot: {spec.body}"
    raise RequestError(f"{message} {advice}", code=code) from cause


def _person(spec: OperationSpec, data: dict[str, Any]) -> Person:
    assert spec.person is not None
    found = data[spec.person]
    id_ = _id(spec, found, "id")
    first, last = (_name(spec, found[key]) for key in ("firstName", "lastName"))
    if not first and not last:
        raise RequestError(
            "The student has neither a first nor a last name in RTOPilot.", code="nameless_student"
        )
    return Person(id=id_, first_name=first, last_name=last)


def _id(spec: OperationSpec, data: dict[str, Any], key: str) -> str:
    """An id as text; whole numbers come from placeholders without quotes."""
    value = data[key]
    text = str(int(value) if isinstance(value, float) else value).strip()
    _refuse_placeholder(spec, text)
    if not text or len(text) > 255 or _UNPRINTABLE.search(text):
        _paste(spec, "bad_body", f"`{key}` is empty, too long, or holds characters that no id has.")
    return text


def _name(spec: OperationSpec, text: str) -> str:
    _refuse_placeholder(spec, text)
    return _clean(text)


def _refuse_placeholder(spec: OperationSpec, text: str) -> None:
    """Going on would make a learner called `${student.firstName}`."""
    if _PLACEHOLDER in text:
        _paste(spec, "unresolved_variable", "RTOPilot left a variable unfilled in the body.")


def _clean(text: str) -> str:
    """Line breaks and tabs become one space; other control characters and half surrogates go."""
    return _UNPRINTABLE.sub("", _BREAKS.sub(" ", text)).strip()


def _quiz_results(spec: OperationSpec, data: dict[str, Any]) -> list[Any]:
    results: list[Any] = data["quizResults"]
    try:
        orjson.dumps(
            results
        )  # what cannot be written again cannot be passed on: half surrogates, huge numbers
    except TypeError as exc:
        _paste(spec, "bad_body", "`quizResults` holds something that is not plain JSON.", cause=exc)
    return results
