"""The enrolment an id of RTOPilot is about: in the store, or, after a lost database, at the vendor."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from gateway import ids
from gateway.contract import Operation, Person
from gateway.engine import operations
from gateway.engine.operations import Outcome
from gateway.errors import NotFound
from gateway.mapping.spec import OperationSpec
from gateway.perform.tenant import Tenant
from gateway.store import enrolments, merged, people
from gateway.store.enrolments import HeldElsewhere, StoredEnrolment
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.enrolments")

UNKNOWN = "This enrolment is not known. It may have been made before the gateway was set up."


def unknown() -> NotFound:
    return NotFound(UNKNOWN, code="unknown_enrolment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An enrolment of the store, and the reading that brought it there when it was adopted just now."""

    stored: StoredEnrolment
    reading: Outcome | None = None


def canonical_key(parts: tuple[str, ...]) -> str:
    return json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))


def create_form(tenant: Tenant) -> OperationSpec:
    """The form of createEnrolment that says what a record and its key are; settings choose it, once."""
    if tenant.create_form is None:
        frame = tenant.frame(Operation.CREATE_ENROLMENT)
        tenant.create_form = operations.form_of(frame, tenant.mapping.operations[Operation.CREATE_ENROLMENT])
    return tenant.create_form


async def find(tenant: Tenant, enrolment_id: str, deadline: Deadline, trace: Trace) -> Found:
    """The enrolment of an id. One the store has lost is adopted, after the vendor has confirmed it.

    Raises NotFound without a vendor call for text that is not an id, and changes nothing for a made-up one.
    """
    decoded = None if ids.is_random(enrolment_id) else ids.decode(enrolment_id)
    stored = await tenant.database.read(lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id))
    if stored is not None:
        await _mark_seen(tenant, stored)
        return Found(stored=stored)
    if decoded is None or not tenant.spec.adopt_unknown_ids:
        raise unknown()
    return await _adopt(tenant, enrolment_id, decoded, deadline, trace)


async def _mark_seen(tenant: Tenant, stored: StoredEnrolment) -> None:
    if stored.seen_at is None:
        now = tenant.database.clock.now()
        await tenant.database.write(lambda conn: enrolments.mark_seen(conn, tenant.name, stored.id, now))


async def _adopt(
    tenant: Tenant, enrolment_id: str, decoded: ids.EnrolmentId, deadline: Deadline, trace: Trace
) -> Found:
    spec = create_form(tenant)
    if decoded.alias != tenant.alias or len(decoded.parts) != len(spec.key) or not tenant.can_read:
        raise unknown()
    record = dict(zip(spec.key, decoded.parts, strict=True))
    reading = await read(tenant, record, deadline, trace)
    if reading.reading is None or reading.progress is None:
        raise unknown()  # nothing was asked, so nothing was seen at the vendor
    course = record.get(spec.course_field or "")
    now, account, completed = tenant.database.clock.now(), tenant.vendor_account, reading.progress.completed
    try:
        stored = await tenant.database.write(
            lambda conn: enrolments.adopt(
                conn,
                tenant=tenant.name,
                vendor_account=account,
                key=canonical_key(decoded.parts),
                generation=decoded.generation,
                id=enrolment_id,
                record=record,
                now=now,
                alias=tenant.alias,
                course_id=None if course is None else tenant.course_id(course),
                completed=completed,
            )
        )
    except HeldElsewhere:
        raise unknown() from None
    log.info("tenant %s: enrolment %s adopted from the LMS", tenant.name, enrolment_id)
    return Found(stored=stored, reading=reading)


async def read(
    tenant: Tenant,
    record: Mapping[str, Any],
    deadline: Deadline,
    trace: Trace,
    known: Mapping[str, Any] | None = None,
    *,
    course_id: str | None = None,
    staff: bool = True,
    units: bool = False,
) -> Outcome:
    """One enrolment's progress at the vendor. Raises NotFound when it is not there."""
    scope = scope_of(tenant, record, course_id)
    frame = tenant.frame(Operation.GET_ENROLMENT, enrolment=scope, known=known or {})
    work = operations.read_progress(frame, units=units)
    outcome: Outcome = await drive(work, tenant.vendor, NoJournal(), deadline, trace, staff=staff)
    if outcome.progress is not None and outcome.progress.fault is not None:
        tenant.vendor_faults += 1
        log.warning("tenant %s: vendor fault in progress: %s", tenant.name, outcome.progress.fault)
    return outcome


def scope_of(tenant: Tenant, record: Mapping[str, Any], course_id: str | None) -> dict[str, Any]:
    """What expressions see as `enrolment`: the record, and the vendor's course id under `courseId`."""
    field = create_form(tenant).course_field or ""
    course = record.get(field) if course_id is None else tenant.vendor_course(course_id)
    return {"courseId": course, **record}


async def as_told(tenant: Tenant, person: Person) -> Person:
    """The student as RTOPilot's webhooks tell: who it was merged into, and what address it has."""
    if not tenant.spec.contacts:
        return person

    def told(conn: Connection) -> tuple[str, dict[str, Any] | None]:
        survivor = merged.survivor(conn, tenant.name, person.id)
        return survivor, people.recall(conn, tenant.name, "contact", survivor)

    survivor, contact = await tenant.database.read(told)
    return replace(person, id=survivor, email=(contact or {}).get("email"))


def standing(
    tenant: Tenant, student_id: str, course: str | None
) -> Callable[[Connection], Mapping[str, Any] | None] | None:
    """How to read the record of the active enrolment a student has in a course; None where nothing asks."""
    if not tenant.asks_standing or course is None:
        return None
    course_id = tenant.course_id(course)

    def look(conn: Connection) -> Mapping[str, Any] | None:
        found = enrolments.of_student(conn, tenant.name, student_id, course_id)
        return None if found is None else found.record

    return look


async def known_of(tenant: Tenant, student_id: str | None, course: str | None) -> dict[str, Any]:
    """What the store remembers of a student and a course, as expressions see it under `known`."""
    who = student_id if tenant.remembers_students else None
    which = course if tenant.mapping.remembers_courses else None
    if who is None and which is None:
        return {"student": None, "course": None}

    def recall(conn: Connection) -> dict[str, Any]:
        return {
            "student": None if who is None else people.recall(conn, tenant.name, "student", who),
            "course": None if which is None else people.recall(conn, tenant.name, "course", which),
        }

    return await tenant.database.read(recall)
