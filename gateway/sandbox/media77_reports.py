"""`POST /api/reports/progress`: what is asked for, and the rows that answer it.

Source: vendors/77media.md 3.1, 3.2 and 7. Statuses of refusals other than the token's are our guess [U].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.sandbox.media77_rows import FIELDS, row_of
from gateway.sandbox.media77_state import Platform, Registration
from gateway.sandbox.media77_switches import Switches

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z?")
_BOOLEANS: Mapping[Any, bool] = {True: True, False: False, "true": True, "false": False}


class Refused(Exception):
    """Becomes an answer of this status; 200 is an empty report."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one call asks for; both ends of the range are within it [U]."""

    since: datetime
    until: datetime
    completed: bool
    search: str
    start: int
    number: int
    sort: str
    descending: bool


def question_of(asked: Mapping[str, Any]) -> Question:
    """The request body with its defaults. Raises Refused (400); fields that are unknown are ignored [U]."""
    completed, search = asked.get("completed", False), asked.get("search", "")
    sort, order = asked.get("sort", "firstName"), asked.get("order", "ASC")
    if not isinstance(completed, bool | str) or completed not in _BOOLEANS:
        raise Refused(400, "completed is true or false")
    if not isinstance(search, str):
        raise Refused(400, "search is a text")
    if sort not in FIELDS:
        raise Refused(400, "sort is the name of a field")
    if order not in ("ASC", "DESC"):
        raise Refused(400, "order is ASC or DESC")
    return Question(
        since=_time(asked, "startDate"),
        until=_time(asked, "endDate"),
        completed=_BOOLEANS[completed],
        search=search,
        start=_whole(asked, "start", 0, least=0),
        number=_whole(asked, "number", 10, least=1),
        sort=sort,
        descending=order == "DESC",
    )


def empty_report() -> dict[str, Any]:
    return {"count": 0, "rows": []}


def report(platform: Platform, question: Question, switches: Switches) -> dict[str, Any]:
    """The answer: `count` and one page of `rows`."""
    found = [
        row_of(place, switches)
        for place in platform.registrations.values()
        if _within(place, question, switches)
    ]
    rows = [row for row in found if _mentions(row, question.search)]
    rows.sort(key=lambda row: _rank(row, question.sort), reverse=question.descending)
    size = min(question.number, switches.max_number or question.number)
    first = question.start * size if switches.start_is == "page" else question.start
    page = rows[first : first + size]
    return {"count": len(page) if switches.count_is == "page" else len(rows), "rows": page}


def _within(place: Registration, question: Question, switches: Switches) -> bool:
    dates = {"updated": place.updated, "started": place.started, "completed": place.completed}
    at = dates[switches.filtered_date]
    if question.completed and place.completed is None:
        return False
    if not place.moved and not switches.launch_listed:
        return False
    return at is not None and question.since <= at <= question.until


def _mentions(row: Mapping[str, Any], search: str) -> bool:
    """Whether first name, last name or title contain the text, in any case."""
    sought = search.casefold()
    return any(sought in row[name].casefold() for name in ("firstName", "lastName", "activityTitle"))


def _rank(row: Mapping[str, Any], name: str) -> tuple[int, float, str, int]:
    """Nothing before numbers before texts; rows alike in the order of their transactions."""
    value, number = row[name], int(row["transactionId"])
    if value is None:
        return 0, 0.0, "", number
    if name in ("progress", "transactionId"):
        try:
            return 1, float(value), "", number
        except (TypeError, ValueError):
            return 2, 0.0, str(value), number
    return 2, 0.0, str(value).casefold(), number


def _time(asked: Mapping[str, Any], name: str) -> datetime:
    """A time in UTC, with or without its Z and fractions; another offset is refused."""
    text = asked.get(name)
    if not isinstance(text, str) or not _UTC_TIME.fullmatch(text):
        raise Refused(400, f"{name} is not a date and time in UTC")
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as exc:
        raise Refused(400, f"{name} is not a date and time in UTC") from exc


def _whole(asked: Mapping[str, Any], name: str, default: int, *, least: int) -> int:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Refused(400, f"{name} is a whole number from {least}")
    return value
