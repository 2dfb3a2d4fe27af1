"""What stands in the way of a write: another one of the same student and course, or of the same enrolment.

Asked inside the commit in which a request begins, so that of two that begin at once one sees the other.
"""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.contract import Operation
from gateway.errors import OutcomeUnknown
from gateway.perform.attempt import BUSY
from gateway.perform.tenant import Tenant
from gateway.store import enrolments, runs
from gateway.store.enrolments import StoredEnrolment
from gateway.store.locks import one_at_a_time

Study = tuple[str | None, str | None]
"""A student and the vendor's id of a course, as far as they are known."""


def lock_studies(conn: Connection, tenant: Tenant, *studies: Study) -> None:
    """What creates and cancels of one student in one course lock, so that one sees the other."""
    for student, course in sorted({(student or "", str(course or "")) for student, course in studies}):
        one_at_a_time(conn, "study", tenant.name, student, course)


def nothing_ending(
    conn: Connection,
    tenant: Tenant,
    run: runs.Run | None,
    *,
    enrolment_id: str | None = None,
    study: Study | None = None,
) -> None:
    """Raises OutcomeUnknown while an enrolment this request is about is being ended, or may have been.

    A create must not be answered with, or stand on, what a cancel is about to take away.
    """
    own, made = (None, None) if run is None else (run.id, run.enrolment_id)
    ids_meant = {each for each in (enrolment_id, made) if each is not None}
    if study is not None:
        lock_studies(conn, tenant, study)
    for each in sorted(ids_meant):
        one_at_a_time(conn, "enrolment", tenant.name, each)
    for other in runs.ending(conn, tenant.name):
        given, cancels = other.input, other.operation == Operation.CANCEL_ENROLMENT
        same = study is not None and (other.student_id, given.get("courseId")) == study
        if other.id != own and (given["enrolmentId"] in ids_meant or (cancels and same)):
            raise OutcomeUnknown(BUSY, code="busy", detail=f"run {other.id} is not settled")


def nothing_making(conn: Connection, tenant: Tenant, run: runs.Run, study: Study) -> None:
    """Raises OutcomeUnknown while this student is being enrolled in this course: the new enrolment would
    stand on what the request ends. Asked after `lock_studies`.

    Only while somebody is at work on it: what lies in doubt must not keep a student from being withdrawn.
    """
    student, course = study
    for other in runs.making(conn, tenant.name, student, tenant.database.clock.now()):
        if other.id != run.id and other.input.get("courseId") == course:
            raise OutcomeUnknown(BUSY, code="busy", detail=f"run {other.id} is at work")


def state_of(conn: Connection, tenant: Tenant, stored: StoredEnrolment) -> str | None:
    """What has become of it. Asked after `nothing_ending`: what ended before that is seen here."""
    found = enrolments.by_id(conn, tenant.name, stored.id)
    return None if found is None else found.state


def changed(conn: Connection, tenant: Tenant, stored: StoredEnrolment) -> bool:
    """Whether it was ended, or another id stands on the same vendor enrolment now, which then must stay."""
    if state_of(conn, tenant, stored) != stored.state:
        return True
    return any(
        other.id != stored.id for other in enrolments.by_key(conn, tenant.name, tenant.alias, stored.key)
    )
