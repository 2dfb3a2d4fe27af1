"""RTOPilot's part, played over HTTP: each slot as it is pasted, each answer against every validator."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, select

from gateway.contract import Operation
from gateway.ids import alias_of
from gateway.operator.check import Row, ok, red, skipped, warning
from gateway.operator.slot_sheet import AUTH, Slot
from gateway.rtopilot.credentials import Accepted, Credential
from gateway.sandbox import rtopilot_slots
from gateway.sandbox.rtopilot_caller import Answer, Caller, ServerError
from gateway.sandbox.rtopilot_slots import Auth, Slots
from gateway.store.tables import enrolment

ODD_TERM = "R&D #1 50% + GST/å"
SLOW_MS = 5_000.0
NOWHERE = "NONE"
"""Not an id of the gateway's, whatever the vendor: those are in lower case. So no vendor is called for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: the answer, or what RTOPilot's staff would be told instead."""

    answer: Answer | None
    ms: float
    status: int | None = None
    said: str = ""

    @property
    def value(self) -> Any:
        return None if self.answer is None else json.loads(self.answer.body)


def slots_of(sheet: Sequence[Slot], accepted: Accepted) -> Slots:
    """The sheet as RTOPilot's stand-in holds it: every slot filled, blank or not."""
    return Slots(
        MappingProxyType(
            {
                slot.operation: rtopilot_slots.Slot(
                    url=slot.url, body=slot.body or "", auth=auth_of(accepted.of(slot.operation)[0])
                )
                for slot in sheet
            }
        )
    )


def auth_of(credential: Credential) -> Auth:
    """A credential as it is typed into a slot."""
    secret = credential.expected.decode()
    match credential.kind:
        case "basic":
            user, _, password = secret.partition(":")
            return Auth(kind="BASIC", username=user, password=password)
        case "bearer":
            return Auth(kind="BEARER", token=secret)
        case "custom_header":
            return Auth(kind="CUSTOM_HEADER", header=credential.header.decode(), value=secret)
        case _:
            return Auth()


async def call(caller: Caller, operation: Operation, values: Mapping[str, Any]) -> Outcome:
    """Do one operation as RTOPilot would."""
    started = time.perf_counter()
    try:
        answer = await caller.call(operation, values)
    except ServerError as error:
        received = caller.journal[-1].answer
        said = _public_message(received.body) if received is not None else None
        ms = (time.perf_counter() - started) * 1000
        return Outcome(None, ms, error.status, said or "; ".join(error.complaints))
    return Outcome(answer, (time.perf_counter() - started) * 1000, answer.status)


async def rtopilot_rows(
    sheet: Sequence[Slot], accepted: Accepted, known_id: str | None, *, alias: str | None = None
) -> list[Row]:
    """Every read operation and the credentials; `known_id` is an enrolment RTOPilot has used before.

    Of several LMSs only the one with this alias is looked at.
    """
    slots = slots_of(sheet, accepted)
    async with Caller(slots) as caller:
        rows, courses = await _courses(caller, alias)
        rows += await _course(caller, courses)
        rows += await _enrolment(caller, known_id)
    rows += await _credentials(slots, accepted)
    for slot in sheet:
        if slot.blank is not None:
            rows.append(skipped(f"Slot {slot.name}", f"Leave it blank. {slot.blank}"))
        elif slot.note is not None:
            rows.append(skipped(f"Slot {slot.name}", slot.note))
    return rows


def seen_enrolment(conn: Connection, tenant: str) -> str | None:
    """An active enrolment whose id RTOPilot has used already, so that reading it changes nothing."""
    mine = (enrolment.c.tenant == tenant, enrolment.c.state == "active", enrolment.c.seen_at.is_not(None))
    newest = select(enrolment.c.id).where(*mine).order_by(enrolment.c.created_at.desc()).limit(1)
    found: str | None = conn.execute(newest).scalar_one_or_none()
    return found


async def _courses(caller: Caller, alias: str | None) -> tuple[list[Row], list[dict[str, Any]]]:
    what = "Slot Get LMS Courses"
    every = await call(caller, Operation.GET_COURSES, {"searchTerm": ""})
    if every.answer is None:
        return [_bad(what, every)], []
    mine = [course for course in every.value if alias_of(course["id"]) == alias]
    if every.value and not mine:
        todo = "Its own rows above say why; those of the other LMSs are given meanwhile."
        return [red(what, "None of its courses is in the list.", todo)], []
    odd = await call(caller, Operation.GET_COURSES, {"searchTerm": ODD_TERM})
    if odd.answer is None:
        return [_bad(f"{what}, odd search term", odd)], mine
    return [_took(what, f"{len(mine)} courses", every)], mine


async def _course(caller: Caller, courses: Sequence[Mapping[str, Any]]) -> list[Row]:
    what = "Slot Get LMS Course"
    if not courses:
        return [skipped(what, "There is no course to read.")]
    one = await call(caller, Operation.GET_COURSE, {"courseId": courses[0]["id"]})
    if one.answer is None:
        return [_bad(what, one)]
    none = await call(caller, Operation.GET_COURSE, {"courseId": NOWHERE})
    if none.status != 404:
        return [red(what, f"An unknown course gives {none.status}, not 404.", "Please report this.")]
    return [_took(what, one.value["name"], one)]


async def _enrolment(caller: Caller, known_id: str | None) -> list[Row]:
    what = "Slot Get LMS Enrolment"
    none = await call(caller, Operation.GET_ENROLMENT, {"enrolmentId": NOWHERE})
    if none.status != 404:
        return [_bad(f"{what}, unknown id", none)]
    if known_id is None:
        return [ok(what, "An unknown enrolment gives 404; RTOPilot has used none yet that could be read.")]
    one = await call(caller, Operation.GET_ENROLMENT, {"enrolmentId": known_id})
    if one.answer is None:
        return [_bad(what, one)]
    return [_took(what, f"progress {one.value.get('progress', '-')}", one)]


async def _credentials(slots: Slots, accepted: Accepted) -> list[Row]:
    what = "Credentials"
    if accepted.any_open():
        return [warning(what, "Some slots take none: the address is the secret.", "Prefer BEARER.")]
    refused = [Auth(), Auth(kind="BEARER", token=secrets.token_urlsafe(32))]
    for wrong in refused:
        for operation in (Operation.GET_COURSES, Operation.GET_COURSE, Operation.GET_ENROLMENT):
            outcome = await _with(slots, operation, wrong)
            if outcome.status != 401:
                found = f"{operation} answers {outcome.status} to a wrong credential."
                return [red(what, found, "Is something in front of the gateway adding one?")]
    for credential in accepted.default:
        outcome = await _with(slots, Operation.GET_COURSES, auth_of(credential))
        if outcome.answer is None:
            return [_bad(what, outcome)]
    kinds = " and ".join(AUTH[credential.kind] for credential in accepted.default)
    if len(accepted.default) > 1:
        return [
            warning(what, f"{kinds} are valid at once.", "Remove the old one once all slots have the new.")
        ]
    return [ok(what, f"{kinds}; wrong and missing ones are refused.")]


async def _with(slots: Slots, operation: Operation, auth: Auth) -> Outcome:
    values = {"searchTerm": "", "courseId": NOWHERE, "enrolmentId": NOWHERE}
    async with Caller(slots.changed(operation, auth=auth)) as caller:
        return await call(caller, operation, values)


def _took(what: str, found: str, outcome: Outcome) -> Row:
    if outcome.ms > SLOW_MS:
        return warning(what, f"{found}, after {outcome.ms / 1000:.1f} s", "RTOPilot may not wait that long.")
    return ok(what, f"{found} ({outcome.ms:.0f} ms)")


def _bad(what: str, outcome: Outcome) -> Row:
    status = "no answer" if outcome.status is None else str(outcome.status)
    return red(what, f"{status}: {outcome.said}", "The gateway's log says more under the reference.")


def _public_message(body: bytes) -> str | None:
    try:
        error = json.loads(body)["error"]
        return f"{error['message']} (reference {error['reference']})"
    except (ValueError, KeyError, TypeError):
        return None
