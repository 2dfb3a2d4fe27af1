"""Results set by hand, which the vendor calls mark-completes. Source: vendors/learnupon.md 3.4."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_call import Call, Listed, Made
from gateway.sandbox.learnupon_errors import Refused, no_wrapper
from gateway.sandbox.learnupon_state import FINISHED, Enrolment, Mark, Portal, is_true, number

NOTES_LENGTH = 2000


def create(call: Call) -> Made:
    given = call.wrapped("Markcomplete")
    if given is None:
        raise no_wrapper("Markcomplete")
    found = call.portal.enrolments.get(number(given.get("enrollment_id")))
    if found is None:
        raise Refused(call.switches.not_found_status, say.NO_ENROLMENT)
    made = mark(call.portal, found, given, call.now, by=None)
    call.journal.effect("result_set", f"{found.course_id},{found.user_id}")
    if call.switches.hook_on_mark_complete:
        call.tell("course_completion", found)
    return Made({"id": made.id})


def mark(
    portal: Portal, found: Enrolment, given: Mapping[str, Any], now: datetime, *, by: int | None
) -> Mark:
    """Set a result, for the whole enrolment; `by` None for the API. Raises Refused (400) as the rules say."""
    status, score, notes = given.get("status"), given.get("percentage"), given.get("notes")
    if any(each.enrolment_id == found.id for each in portal.marks.values()):
        raise Refused(400, say.MARK_EXISTS)
    if status not in FINISHED or not found.active:
        raise Refused(400, say.NOT_PROCESSED)
    if status == "completed" and score is not None:
        raise Refused(400, say.PERCENTAGE_NOT_WANTED)
    if status != "completed" and not _is_score(score):
        raise Refused(400, say.PERCENTAGE_WANTED)
    if isinstance(notes, str) and len(notes) > NOTES_LENGTH:
        raise Refused(400, say.LONG_NOTES)
    completed = _moment(given.get("date_completed")) or now
    found.status, found.score, found.completed, found.updated = status, score, completed, now
    found.percent_from = "nothing"
    if is_true(given.get("award_certs")):
        found.certificate = portal.courses[found.course_id].name
    made = Mark(
        id=portal.new_id("mark"),
        enrolment_id=found.id,
        status=status,
        completed=completed,
        created=now,
        percentage=score,
        notes=notes if isinstance(notes, str) else None,
        by=by,
    )
    portal.marks[made.id] = made
    return made


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100


def _moment(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def marks(call: Call) -> Listed:
    """Those that every filter leaves; `user_id` is the learner here, and the actor in the rows."""
    shown = [call.show.mark(each) for each in call.portal.marks.values()]
    columns = {
        "id": "id",
        "enrollment_id": "enrollment_id",
        "course_id": "course_id",
        "user_id": "learner_id",
    }
    for name, column in columns.items():
        if name in call.query:
            shown = [row for row in shown if row[column] == number(call.query[name])]
    return Listed("markcompletes", shown)
