"""The three operations that change nothing: the course list, one course, one enrolment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from gateway.contract import Course, Enrolment, Operation
from gateway.engine import operations, shape
from gateway.engine.doubt import Resume
from gateway.engine.operations import Outcome
from gateway.errors import NotFound, VendorError, VendorFault
from gateway.mapping.spec import OperationSpec
from gateway.perform import enrolments as finding
from gateway.perform.courses import FRESH_S, CourseList
from gateway.perform.reading import Reading, is_news, kept_percent, note, told_percent
from gateway.perform.tenant import Tenant
from gateway.store import people
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

T = TypeVar("T")


def unknown_course() -> NotFound:
    return NotFound("The LMS has no such course.", code="unknown_course")


async def get_courses(tenant: Tenant, term: str | None, deadline: Deadline, trace: Trace) -> list[Course]:
    """The courses a search term finds; all of them for an empty one."""
    spec = _list_form(tenant)
    sent = shape.sent_term(spec.search, term)
    found = await _for_staff(
        lambda: tenant.catalogue.get(sent, spec.cache_s, lambda: _read_list(tenant, sent, deadline, trace))
    )
    return found.matching("" if sent is not None else shape.stripped_term(spec.search, term))


async def get_course(tenant: Tenant, course_id: str, deadline: Deadline, trace: Trace) -> Course:
    """One course, by its own call where the mapping has one, else from the list."""
    vendor_id = tenant.vendor_course(course_id)
    frame = tenant.frame(Operation.GET_COURSE, courseId=vendor_id)
    spec = operations.form(frame, Operation.GET_COURSE)
    if spec is not None:
        frame.root["known"] = await finding.known_of(tenant, None, vendor_id)
        outcome = await drive(
            operations.perform(frame, spec, Resume()), tenant.vendor, NoJournal(), deadline, trace
        )
        rows = (
            []
            if outcome.courses is None
            else CourseList.of(outcome.courses, 0, tenant.course_id).matching("")
        )
        if not rows:
            raise unknown_course()
        return rows[0]
    life_s = _list_form(tenant).cache_s
    found = await _for_staff(
        lambda: tenant.catalogue.course(vendor_id, life_s, lambda: _read_list(tenant, None, deadline, trace))
    )
    if found is None:
        raise unknown_course()
    return found


def _list_form(tenant: Tenant) -> OperationSpec:
    frame = tenant.frame(Operation.GET_COURSES, searchTerm=None)
    return operations.form_of(frame, tenant.mapping.operations[Operation.GET_COURSES])


async def _read_list(
    tenant: Tenant, sent: str | None, deadline: Deadline, trace: Trace, *, staff: bool = True
) -> CourseList:
    frame = tenant.frame(Operation.GET_COURSES, searchTerm=sent)
    spec = _list_form(tenant)
    outcome: Outcome = await drive(
        operations.perform(frame, spec, Resume()), tenant.vendor, NoJournal(), deadline, trace, staff=staff
    )
    assert outcome.courses is not None
    remembered = {row.vendor_id: row.remember for row in outcome.courses.rows if row.remember}
    if remembered:
        now = tenant.database.clock.now()
        await tenant.database.write(
            lambda conn: people.remember_many(conn, tenant.name, "course", remembered, now=now)
        )
    found = CourseList.of(outcome.courses, tenant.database.clock.now(), tenant.course_id)
    if found.dropped and not found.rows:  # an empty list would look like "no courses"
        raise VendorFault(detail=f"not one of {len(found.dropped)} courses can be given: {found.dropped[0]}")
    return found


async def _for_staff(ask: Callable[[], Awaitable[T]]) -> T:
    """The list for a person. The read they share may be a poll's and end where the polls' share of the
    budget does, without a call: then they ask themselves."""
    try:
        return await ask()
    except VendorError as error:
        if error.code != "budget_spent":
            raise
        return await ask()


async def known(
    tenant: Tenant,
    student_id: str | None,
    course: str | None,
    deadline: Deadline,
    trace: Trace,
    *,
    staff: bool = True,
) -> dict[str, Any]:
    """What is remembered; a course the list would remember and has not yet makes the list be read first."""
    found = await finding.known_of(tenant, student_id, course)
    if course is None or found["course"] is not None or not tenant.mapping.remembers_courses:
        return found

    def ask() -> Awaitable[CourseList]:
        return tenant.catalogue.get(
            None, FRESH_S, lambda: _read_list(tenant, None, deadline, trace, staff=staff)
        )

    await (_for_staff(ask) if staff else ask())
    return await finding.known_of(tenant, student_id, course)


async def get_enrolment(tenant: Tenant, enrolment_id: str, deadline: Deadline, trace: Trace) -> Enrolment:
    """One enrolment with its progress. Raises NotFound when it is cancelled, or gone at the vendor."""
    found = await finding.find(tenant, enrolment_id, deadline, trace)
    stored, progress = found.stored, None
    if stored.state != "active":
        raise NotFound("This enrolment has been cancelled.", code="enrolment_cancelled")
    if found.reading is not None:
        progress = found.reading.progress
    elif tenant.can_read:
        progress = await refreshed(tenant, stored, deadline, trace)
    percent = kept_percent(tenant, stored.last_progress, progress)
    told = 0 if percent is None else told_percent(tenant, stored, percent)
    return Enrolment(id=stored.id, course_id=stored.course_id, student_id=stored.student_id, progress=told)


async def refreshed(
    tenant: Tenant, stored: StoredEnrolment, deadline: Deadline, trace: Trace
) -> shape.Progress | None:
    """Read one enrolment at the vendor because staff asked; news are kept, and queued for RTOPilot.

    Raises NotFound when the vendor no longer has it, and what `drive` raises.
    """
    read_at = tenant.database.clock.now()
    outcome = await read_known(tenant, stored, deadline, trace)
    progress = outcome.progress
    if progress is None or not is_news(tenant, stored, progress):
        return progress  # the same one again costs no commit
    reading = Reading(progress=progress, read_at=read_at)
    await tenant.database.write(lambda conn: note(conn, tenant, stored.id, reading, read_at))
    return progress


async def read_known(
    tenant: Tenant,
    stored: StoredEnrolment,
    deadline: Deadline,
    trace: Trace,
    *,
    staff: bool = True,
    units: bool = False,
) -> Outcome:
    """The reading of a stored enrolment, with what is remembered of its course where the mapping asks."""
    remembered = None
    if tenant.progress_reads_known:
        remembered = await _remembered(tenant, stored, deadline, trace, staff=staff)
    return await finding.read(
        tenant,
        stored.record,
        deadline,
        trace,
        remembered,
        staff=staff,
        units=units,
        course_id=stored.course_id,
    )


async def _remembered(
    tenant: Tenant, stored: StoredEnrolment, deadline: Deadline, trace: Trace, *, staff: bool
) -> dict[str, Any]:
    course = None if stored.course_id is None else tenant.vendor_course(stored.course_id)
    try:
        return await known(tenant, None, course, deadline, trace, staff=staff)
    except VendorError:  # the course list may fail where progress does not
        return {"student": None, "course": None}
