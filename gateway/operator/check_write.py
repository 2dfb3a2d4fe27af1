"""One test enrolment, made and cancelled again through RTOPilot's own slots; what stays behind is said."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.contract import Operation
from gateway.operator.check import Row, ok, red, skipped, warning
from gateway.operator.check_rtopilot import Outcome, call, slots_of
from gateway.operator.slot_sheet import Slot
from gateway.rtopilot.credentials import Accepted
from gateway.sandbox.rtopilot_caller import Caller

WHAT = "Test enrolment"


def why_not(sheet: Sequence[Slot], *, by_hand: bool) -> str | None:
    """Why no test enrolment can be made here: it could not be cancelled again."""
    slot = next(each for each in sheet if each.operation is Operation.CANCEL_ENROLMENT)
    if slot.blank is not None:
        return f"It could not be cancelled again. {slot.blank}"
    return "It could only be cancelled by hand in the LMS." if by_hand else None


async def write_rows(sheet: Sequence[Slot], accepted: Accepted, course_id: str) -> list[Row]:
    """Enrol a made-up student in a course (RTOPilot's id of it), read, cancel, read again."""
    student = f"test-{secrets.token_hex(4)}"
    async with Caller(slots_of(sheet, accepted)) as caller:
        made = await call(caller, Operation.CREATE_ENROLMENT, {"courseId": course_id, **_person(student)})
        if made.answer is None:
            return [_failed("Create", made, _unsure(student, made))]
        held = {"enrolmentId": made.value["id"]}
        rows = [ok(f"{WHAT}: create", f"{made.value['id']} ({made.ms:.0f} ms)")]
        rows.append(await _read(caller, held))
        rows += await _cancelled(caller, held, student)
    return rows


def refused(why: str) -> Row:
    return skipped(WHAT, f"Not made. {why}")


async def _read(caller: Caller, held: Mapping[str, Any]) -> Row:
    read = await call(caller, Operation.GET_ENROLMENT, held)
    if read.answer is None:
        return _failed("Read", read, "Does the mapping read what it has made?")
    return ok(f"{WHAT}: read", f"progress {read.value.get('progress', '-')} ({read.ms:.0f} ms)")


async def _cancelled(caller: Caller, held: Mapping[str, Any], student: str) -> list[Row]:
    stays = f"Cancel the enrolment {held['enrolmentId']} of {student} in the LMS."
    cancelled = await call(caller, Operation.CANCEL_ENROLMENT, held)
    if cancelled.answer is None:
        return [_failed("Cancel", cancelled, stays)]
    after = await call(caller, Operation.GET_ENROLMENT, held)
    if after.status != 404:
        return [red(f"{WHAT}: cancel", f"It still answers {after.status}.", stays)]
    return [
        ok(f"{WHAT}: cancel", f"It is gone ({cancelled.ms:.0f} ms)"),
        warning(
            "Left behind", f"The learner {student} stays in the LMS.", "Delete that user there, if you like."
        ),
    ]


def _failed(step: str, outcome: Outcome, todo: str) -> Row:
    status = "no answer" if outcome.status is None else str(outcome.status)
    return red(f"{WHAT}: {step.lower()}", f"{status}: {outcome.said}", todo)


def _unsure(student: str, outcome: Outcome) -> str:
    if outcome.status == 504 or outcome.status is None:
        return f"It may have been made: look for {student} in the LMS, and end it there."
    return "Nothing was made, or only the learner; the gateway's log says more."


def _person(student: str) -> dict[str, str]:
    return {"student.id": student, "student.firstName": "Gateway", "student.lastName": "Check"}
