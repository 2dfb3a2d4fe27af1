"""From vendor values to what RTOPilot may be told: whole per cents and course rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.engine.frame import Frame
from gateway.errors import ExpressionError, VendorFault
from gateway.mapping.spec import OperationSpec, Policy, Search
from gateway.mapping.templates import Context, as_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one reading says: `percent` is None when nothing may be told."""

    percent: int | None
    completed: bool
    fault: str | None = None


def progress(policy: Policy, value: Mapping[str, Any]) -> Progress:
    """The progress in a `progress.read` value, through the mapping's policy.

    100 only when the vendor itself says completed, and then always 100.
    Source: vendors/rtopilot.md 4.4; a false 100 can issue a certificate.
    """
    completed = value.get("completed") is True
    if completed:
        return Progress(percent=100, completed=True)
    share = _units_share(value.get("units")) if policy.of == "units" else None
    raw = share if share is not None else value.get("percent")
    if raw is None:
        return Progress(percent=None, completed=False)
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        return Progress(percent=None, completed=False, fault="the percentage is not a number")
    if not 0 <= raw <= 100:
        if policy.outside == "drop":
            return Progress(percent=None, completed=False, fault="the percentage is not within 0 and 100")
        raw = min(max(raw, 0), 100)
    return Progress(percent=min(math.floor(raw), policy.below_completed, 99), completed=False)


def stamp(value: Mapping[str, Any]) -> float | None:
    """The vendor's own time of an event that carries its value: `at`, in Unix seconds; None without one."""
    at = value.get("at")
    usable = isinstance(at, int | float) and not isinstance(at, bool) and math.isfinite(at)
    return float(at) if usable else None  # type: ignore[arg-type]


def _units_share(units: Any) -> float | None:
    if not isinstance(units, list) or not units:
        return None
    done = sum(isinstance(unit, Mapping) and unit.get("completed") is True for unit in units)
    return 100 * done / len(units)


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRow:
    """One course of a mapping's list: the vendor's own id, its name, and what search looks in."""

    vendor_id: str
    name: str
    haystack: tuple[str, ...]
    remember: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRows:
    """A whole list; `dropped` says why a course could not be given, once each."""

    rows: tuple[CourseRow, ...]
    dropped: tuple[str, ...]


def courses(frame: Frame, spec: OperationSpec) -> CourseRows:
    """The courses a finished `getCourses` gives. A course that cannot be given is dropped and counted.

    Raises VendorFault when there is no list at all: an empty one would look like "no courses".
    """
    assert spec.each is not None
    try:
        items = spec.each.evaluate(frame.context().scope, frame.runtime)
    except ExpressionError as error:
        raise VendorFault(detail=f"{spec.place}.each: {error}") from error
    if not isinstance(items, list):
        raise VendorFault(detail=f"{spec.place}.each: `{spec.each.text}` is not a list")
    rows: list[CourseRow] = []
    dropped: list[str] = []
    for item in items:
        try:
            rows.append(_row(spec, frame.context(**{spec.name: item})))
        except ExpressionError as error:
            dropped.append(str(error))
    return CourseRows(rows=tuple(rows), dropped=tuple(dropped))


def _row(spec: OperationSpec, context: Context) -> CourseRow:
    vendor_id, name = _given(spec, "id", context), _given(spec, "name", context)
    remember = None if spec.remember_course is None else spec.remember_course.render(context)
    return CourseRow(
        vendor_id=vendor_id, name=name, haystack=_haystack(spec.search, context, name), remember=remember
    )


def _given(spec: OperationSpec, key: str, context: Context) -> str:
    value = spec.give[key].render(context)
    text = "" if isinstance(value, list | dict) else as_text(value).strip()
    if not text:
        raise ExpressionError(f"{spec.place}.give.{key}: empty, or not text", kind="null")
    return text


def _haystack(search: Search | None, context: Context, name: str) -> tuple[str, ...]:
    if search is None or not search.within:
        return (name.casefold(),)
    places: list[str] = []
    for place in search.within:
        try:
            value = place.render(context)
        except ExpressionError as error:
            if error.kind != "null":
                raise
            continue  # a place that is null is skipped
        places.append("" if isinstance(value, list | dict) else as_text(value).casefold())
    return tuple(places)


def sent_term(search: Search | None, term: str | None) -> str | None:
    """The search term a call may carry; None when the filtering is ours."""
    if search is None or search.mode != "sent":
        return None
    stripped = stripped_term(search, term)
    return stripped if stripped and len(stripped) >= search.min else None


def stripped_term(search: Search | None, term: str | None) -> str:
    text = (term or "").strip()
    return text.lstrip(search.strip).strip() if search is not None and search.strip else text


def found(rows: tuple[CourseRow, ...], term: str) -> list[CourseRow]:
    """The rows in which a term stands, case-insensitively; all of them for an empty term."""
    needle = term.casefold()
    return [row for row in rows if not needle or any(needle in place for place in row.haystack)]
