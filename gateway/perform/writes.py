"""The four operations that change something: create, transfer, cancel, marking.

Each `prepare` gives the `Work` of a run, or the answer where no vendor call is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from gateway import ids
from gateway.contract import Done, Inputs, Operation, Person
from gateway.engine import operations
from gateway.engine.frame import Frame, mismade
from gateway.engine.operations import Outcome
from gateway.errors import (
    Conflict,
    ExpressionError,
    InternalError,
    OutcomeUnknown,
    Refused,
    RequestError,
)
from gateway.mapping.spec import OperationSpec
from gateway.mapping.templates import as_text
from gateway.perform import enrolments as finding
from gateway.perform import guards, sentences
from gateway.perform.attempt import BUSY
from gateway.perform.reads import known
from gateway.perform.tenant import Tenant
from gateway.perform.work import Finish, Work, fingerprint, hash_of, person_of
from gateway.store import enrolments, manual, runs, tasks
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

Prepared = Work | Done


def _needed(value: str | None, what: str) -> str:
    if value is None:
        raise RequestError(f"The request does not say which {what} it is about.")
    return value


# -- create -----------------------------------------------------------------------------------------


async def create(tenant: Tenant, inputs: Inputs, deadline: Deadline, trace: Trace) -> Prepared:
    """A new enrolment. The same course and student again is the same request."""
    course_id, person = _needed(inputs.course_id, "course"), inputs.person
    if person is None:
        raise RequestError("The request does not say which student it is about.")
    vendor_course = tenant.vendor_course(course_id)
    person = await finding.as_told(tenant, person)
    remembered = await _known_for(
        tenant, Operation.CREATE_ENROLMENT, person.id, vendor_course, deadline, trace
    )
    return creating(tenant, vendor_course, person, remembered)


def creating(tenant: Tenant, vendor_course: str, person: Person, remembered: Mapping[str, Any]) -> Prepared:
    frame = tenant.frame(Operation.CREATE_ENROLMENT, person=person, courseId=vendor_course, known=remembered)
    form = _usable_form(frame, Operation.CREATE_ENROLMENT)

    def finish(conn: Connection, outcome: Outcome, push_from: float | None) -> tuple[str, str | None]:
        made = _add_enrolment(conn, tenant, form, outcome, vendor_course, person.id, push_from)
        return made.id, made.id

    def guard(conn: Connection, begun: runs.Begun) -> None:
        if begun.kind != "joined":
            guards.nothing_ending(conn, tenant, begun.run, study=(person.id, vendor_course))

    return Work(
        tenant=tenant,
        operation=Operation.CREATE_ENROLMENT,
        form=form,
        frame=frame,
        input={"courseId": vendor_course, "student": person.scope()},
        fingerprint=fingerprint(tenant.name, Operation.CREATE_ENROLMENT, vendor_course, person.id),
        finish=finish,
        guard=guard,
        standing=finding.standing(tenant, person.id, vendor_course),
        student=person.id,
        course=vendor_course,
        repeat_window_s=tenant.spec.repeat_window_s,
    )


def _add_enrolment(
    conn: Connection,
    tenant: Tenant,
    form: OperationSpec,
    outcome: Outcome,
    vendor_course: str | None,
    student_id: str,
    push_from: float | None,
) -> StoredEnrolment:
    if outcome.record is None:
        raise InternalError(code="mapping_failed", detail=f"{form.place} gave no record")
    parts = outcome.key

    def make_id(generation: int) -> str:
        try:
            return ids.encode(parts, alias=tenant.alias, generation=generation)
        except ids.IdTooLong:
            return ids.new_random_id(tenant.random, alias=tenant.alias)

    return enrolments.add(
        conn,
        tenant=tenant.name,
        vendor_account=tenant.vendor_account,
        key=finding.canonical_key(parts),
        make_id=make_id,
        record=dict(outcome.record),
        now=tenant.database.clock.now(),
        alias=tenant.alias,
        course_id=None if vendor_course is None else tenant.course_id(vendor_course),
        student_id=student_id,
        push_from=push_from,
    )


def _usable_form(frame: Frame, operation: Operation) -> OperationSpec:
    """The form of an operation. Raises Refused where there is none, or it refuses."""
    form = operations.form(frame, operation)
    if form is None:
        raise Refused(
            "This LMS cannot do this. Please leave the slot blank in RTOPilot.", code="operation_refused"
        )
    if form.kind == "refuse":
        assert form.sentence is not None
        try:
            sentence = as_text(form.sentence.render(frame.context()))
        except ExpressionError as error:
            raise mismade(error, form.place) from error
        raise Refused(sentence, code="operation_refused")
    return form


# -- transfer ---------------------------------------------------------------------------------------


async def transfer(tenant: Tenant, inputs: Inputs, deadline: Deadline, trace: Trace) -> Prepared:
    """The enrolment for another student. Once the new one exists its id holds, whatever the old does."""
    enrolment_id, person = _needed(inputs.enrolment_id, "enrolment"), inputs.person
    if person is None:
        raise RequestError("The request does not say which student it is about.")
    stored = (await finding.find(tenant, enrolment_id, deadline, trace)).stored
    if stored.state == "cancelled":
        raise Conflict(
            "This enrolment has been cancelled, so it cannot be transferred.", code="enrolment_cancelled"
        )
    if stored.state == "moved":
        return await _moved(tenant, stored, person)
    scope = finding.scope_of(tenant, stored.record, stored.course_id)
    person = await finding.as_told(tenant, person)
    remembered = await _known_for(
        tenant, Operation.TRANSFER_ENROLMENT, person.id, scope["courseId"], deadline, trace
    )
    return transferring(tenant, stored, person, remembered)


async def _moved(tenant: Tenant, stored: StoredEnrolment, person: Person) -> Done:
    """A transfer asked for again gives the same id again, as long as that student still has it.

    Looked up in the enrolments, not in the runs: those are gone after the retention time.
    """
    moved_to = stored.moved_to
    if moved_to is not None:
        successor = await tenant.database.read(lambda conn: enrolments.by_id(conn, tenant.name, moved_to))
        if successor is not None and successor.state == "active" and successor.student_id == person.id:
            return Done(id=successor.id)
    raise Conflict("This enrolment has been transferred already.", code="enrolment_cancelled")


def transferring(
    tenant: Tenant, stored: StoredEnrolment, person: Person, remembered: Mapping[str, Any]
) -> Work:
    scope = finding.scope_of(tenant, stored.record, stored.course_id)
    vendor_course = scope["courseId"]
    frame = tenant.frame(
        Operation.TRANSFER_ENROLMENT,
        person=person,
        enrolment=scope,
        to=person.scope(),
        courseId=vendor_course,
        known=remembered,
    )
    form = _usable_form(frame, Operation.TRANSFER_ENROLMENT)
    both = form.kind == "create-then-cancel"
    making = _usable_form(frame, Operation.CREATE_ENROLMENT) if both else form
    if both and vendor_course is None:
        raise Refused("It is no longer known which course this enrolment is for.", code="course_lost")

    def finish(conn: Connection, outcome: Outcome, push_from: float | None) -> tuple[str, str | None]:
        made = _add_enrolment(conn, tenant, making, outcome, vendor_course, person.id, push_from)
        now = tenant.database.clock.now()
        enrolments.move(conn, tenant.name, stored.id, made.id, now)
        if both:
            sentence = sentences.old_not_ended(stored.id, made.id)
            tasks.add(
                conn,
                tenant=tenant.name,
                kind="end_old",
                payload={"enrolmentId": stored.id},
                sentence=sentence,
                now=now,
                enrolment_id=stored.id,
            )
        return made.id, made.id

    def guard(conn: Connection, begun: runs.Begun) -> None:
        old, new = (stored.student_id, vendor_course), (person.id, vendor_course)
        if begun.kind != "joined":
            guards.lock_studies(conn, tenant, old, new)
            guards.nothing_ending(conn, tenant, begun.run, enrolment_id=stored.id, study=new)
        if begun.kind in ("new", "in_doubt"):
            guards.nothing_making(conn, tenant, begun.run, old)
        # since it was looked at
        if begun.kind == "new" and guards.state_of(conn, tenant, stored) != "active":
            raise Conflict("This enrolment has been ended just now.", code="enrolment_cancelled")

    return Work(
        tenant=tenant,
        operation=Operation.TRANSFER_ENROLMENT,
        form=making,
        frame=frame,
        input={"enrolmentId": stored.id, "courseId": vendor_course, "to": person.scope()},
        fingerprint=fingerprint(tenant.name, Operation.TRANSFER_ENROLMENT, stored.id, person.id),
        finish=finish,
        guard=guard,
        standing=finding.standing(tenant, person.id, vendor_course),
        student=person.id,
        course=vendor_course,
        while_active=True,
        queues=both,
        repeat_window_s=tenant.spec.repeat_window_s,
    )


async def _known_for(
    tenant: Tenant,
    operation: Operation,
    student_id: str | None,
    course: str | None,
    deadline: Deadline,
    trace: Trace,
) -> dict[str, Any]:
    """What is remembered. The course list is only read for it where this tenant's form has steps to use it:
    a refusal, or a cancel that a person does, needs no vendor."""
    if not tenant.mapping.remembers_courses:
        return await finding.known_of(tenant, student_id, course)
    form = operations.form(tenant.frame(operation), operation)
    if form is None or form.kind not in ("steps", "create-then-cancel"):
        return await finding.known_of(tenant, student_id, course)
    return await known(tenant, student_id, course, deadline, trace)


# -- cancel -----------------------------------------------------------------------------------------


async def cancel(tenant: Tenant, inputs: Inputs, deadline: Deadline, trace: Trace) -> Prepared:
    """End an enrolment; one that is ended already is fine."""
    enrolment_id = _needed(inputs.enrolment_id, "enrolment")
    stored = (await finding.find(tenant, enrolment_id, deadline, trace)).stored
    if stored.state != "active":
        return Done(id=stored.id)
    if await shared(tenant, stored) and await _ended_alone(tenant, stored):
        return Done(id=stored.id)
    return await ending(tenant, stored, deadline, trace)


async def shared(tenant: Tenant, stored: StoredEnrolment) -> bool:
    """Whether another active id stands on the same vendor enrolment, which then must not be ended."""
    others = await tenant.database.read(
        lambda conn: enrolments.by_key(conn, tenant.name, tenant.alias, stored.key)
    )
    return any(other.id != stored.id for other in others)


async def _ended_alone(tenant: Tenant, stored: StoredEnrolment) -> bool:
    """End the id and leave the vendor's enrolment to the others; False when this is the last one of them."""
    now = tenant.database.clock.now()
    return await tenant.database.write(
        lambda conn: enrolments.cancel_shared(conn, tenant.name, tenant.alias, stored.id, stored.key, now)
    )


async def ending(tenant: Tenant, stored: StoredEnrolment, deadline: Deadline, trace: Trace) -> Prepared:
    """The run that ends one vendor enrolment; also for the old one of a transfer."""
    scope = finding.scope_of(tenant, stored.record, stored.course_id)
    remembered = await _known_for(
        tenant, Operation.CANCEL_ENROLMENT, None, scope["courseId"], deadline, trace
    )
    frame = tenant.frame(Operation.CANCEL_ENROLMENT, enrolment=scope, known=remembered)
    form = _usable_form(frame, Operation.CANCEL_ENROLMENT)

    def finish(conn: Connection, outcome: Outcome, push_from: float | None) -> tuple[str, str | None]:
        now = tenant.database.clock.now()
        enrolments.cancel(conn, tenant.name, stored.id, now)
        if outcome.manual is not None:
            manual.add(
                conn,
                tenant=tenant.name,
                enrolment_id=stored.id,
                reason="cancel",
                sentence=outcome.manual,
                now=now,
            )
        return stored.id, None

    def guard(conn: Connection, begun: runs.Begun) -> None:
        study = (stored.student_id, scope["courseId"])
        if begun.kind in ("new", "in_doubt"):
            guards.lock_studies(conn, tenant, study)
            guards.nothing_making(conn, tenant, begun.run, study)
        if begun.kind == "new":
            guards.nothing_ending(conn, tenant, begun.run, enrolment_id=stored.id)
            if guards.changed(conn, tenant, stored):  # since it was looked at
                raise OutcomeUnknown(BUSY, code="busy", detail=f"enrolment {stored.id} changed meanwhile")

    given = {"enrolmentId": stored.id, "courseId": scope["courseId"]}
    work = _work(tenant, Operation.CANCEL_ENROLMENT, form, frame, stored, given, finish)
    if isinstance(work, Work):
        work.guard = guard
    return work


# -- marking ----------------------------------------------------------------------------------------


async def marking(tenant: Tenant, inputs: Inputs, deadline: Deadline, trace: Trace) -> Prepared:
    """Marks for an enrolment: acknowledged, unless the mapping can pass them on."""
    enrolment_id = _needed(inputs.enrolment_id, "enrolment")
    stored = (await finding.find(tenant, enrolment_id, deadline, trace)).stored
    if stored.state != "active":
        return Done(id=stored.id)
    scope = finding.scope_of(tenant, stored.record, stored.course_id)
    results = inputs.quiz_results or []
    frame = tenant.frame(Operation.UPDATE_MARKING, enrolment=scope, quizResults=results)
    if operations.form(frame, Operation.UPDATE_MARKING) is None:
        return Done(id=stored.id)
    form = _usable_form(frame, Operation.UPDATE_MARKING)
    frame.root["known"] = await _known_for(
        tenant, Operation.UPDATE_MARKING, None, scope["courseId"], deadline, trace
    )

    def finish(conn: Connection, outcome: Outcome, push_from: float | None) -> tuple[str, str | None]:
        if outcome.manual is not None:
            manual.add(
                conn,
                tenant=tenant.name,
                enrolment_id=stored.id,
                reason="marking",
                sentence=outcome.manual,
                now=tenant.database.clock.now(),
            )
        return stored.id, None

    given = {"enrolmentId": stored.id, "quizResults": results}
    return _work(tenant, Operation.UPDATE_MARKING, form, frame, stored, given, finish, hash_of(results))


def _work(
    tenant: Tenant,
    operation: Operation,
    form: OperationSpec,
    frame: Frame,
    stored: StoredEnrolment,
    given: dict[str, Any],
    finish: Finish,
    *more: str,
) -> Prepared:
    if form.kind == "acknowledge":
        return Done(id=stored.id)
    course = frame.root["enrolment"].get("courseId")
    return Work(
        tenant=tenant,
        operation=operation,
        form=form,
        frame=frame,
        input=given,
        fingerprint=fingerprint(tenant.name, operation, stored.id, *more),
        finish=finish,
        student=stored.student_id,
        course=course,
        # marks A, then B, then A again must end with A: never answered from memory
        repeat_window_s=0.0 if operation is Operation.UPDATE_MARKING else tenant.spec.repeat_window_s,
    )


PREPARE = {
    Operation.CREATE_ENROLMENT: create,
    Operation.TRANSFER_ENROLMENT: transfer,
    Operation.CANCEL_ENROLMENT: cancel,
    Operation.UPDATE_MARKING: marking,
}


async def again(
    tenant: Tenant, operation: Operation, given: Mapping[str, Any], deadline: Deadline, trace: Trace
) -> Prepared:
    """The work of a stored run, from its stored input."""
    if operation is Operation.CREATE_ENROLMENT:
        person, course = person_of(given["student"]), given["courseId"]
        assert person is not None
        study = (person.id, course)
        # nobody asked `guard`: a run in doubt is looked up by itself
        await tenant.database.write(lambda conn: guards.nothing_ending(conn, tenant, None, study=study))
        return creating(tenant, course, person, await known(tenant, person.id, course, deadline, trace))
    stored = await tenant.database.read(
        lambda conn: enrolments.by_id(conn, tenant.name, given["enrolmentId"])
    )
    if stored is None:
        raise finding.unknown()
    if operation is Operation.TRANSFER_ENROLMENT:
        person = person_of(given["to"])
        assert person is not None
        course = finding.scope_of(tenant, stored.record, stored.course_id)["courseId"]
        return transferring(tenant, stored, person, await known(tenant, person.id, course, deadline, trace))
    if operation is Operation.CANCEL_ENROLMENT:
        return await ending(tenant, stored, deadline, trace)
    return await marking(
        tenant, Inputs(enrolment_id=stored.id, quiz_results=given.get("quizResults")), deadline, trace
    )
