"""What a case has in the store before it begins: enrolments, what is remembered, and when polls last ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from gateway import ids
from gateway.mapping.templates import as_text
from gateway.perform import Tenant
from gateway.perform.enrolments import canonical_key, create_form
from gateway.store import enrolments, people, schedules
from gateway.workbench.cases import Case, Signal, Stored

DAY_S = 86_400.0
BEFORE = "before the case"


def prepare(conn: Connection, case: Case, tenant: Tenant, now: float) -> None:
    """Everything a case says is there. Enrolments that polls and webhooks are about are a day old."""
    old = isinstance(case.run, Signal)
    for item in case.stored:
        _enrol(conn, tenant, item, now - DAY_S if old and not item.new else now)
    for kind, subject in (("student", student_of(case)), ("course", course_of(case))):
        if kind in case.known and subject is not None:
            fields: Any = case.known[kind]
            people.remember(conn, tenant.name, kind, subject, fields, now=now)  # type: ignore[arg-type]
    if case.run is Signal.POLL:
        _make_due(conn, tenant.name, plan_of(case, tenant), case.given.get("since"), now)


def _enrol(conn: Connection, tenant: Tenant, item: Stored, now: float) -> None:
    parts = key_of(tenant, item.record)
    made = enrolments.add(
        conn,
        tenant=tenant.name,
        vendor_account=tenant.vendor_account,
        key=canonical_key(parts),
        make_id=lambda generation: ids.encode(parts, generation=generation),
        record=dict(item.record),
        now=now,
        course_id=None if item.course is None else ids.encode_course(item.course),
        student_id=item.student,
        push_from=now,
    )
    if item.progress is not None:
        done = item.progress == 100
        enrolments.keep_reading(conn, tenant.name, made.id, item.progress, done, now, None)
    if item.state == "cancelled":
        enrolments.cancel(conn, tenant.name, made.id, now)


def _make_due(conn: Connection, tenant: str, plan: str, since: float | None, now: float) -> None:
    """The plan is due now; `since`: its last whole sweep began so many seconds ago."""
    schedules.ensure(conn, tenant, plan, now)
    if since is None:
        return
    [turn] = schedules.claim(conn, BEFORE, now, 1.0, 1)
    ago = now - since
    schedules.finish(
        conn, tenant, turn.name, BEFORE, next_due=now, cursor=None, started_at=ago, last_ok_at=ago, failures=0
    )


def plan_of(case: Case, tenant: Tenant) -> str:
    """The plan a case runs; the mapping's first when it names none."""
    polls = tenant.mapping.progress.polls if tenant.mapping.progress is not None else ()
    return str(case.given.get("plan") or (polls[0].name if polls else "poll"))


def key_of(tenant: Tenant, record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(as_text(record[name]) for name in create_form(tenant).key)


def student_of(case: Case) -> str | None:
    person = case.given.get("to") or case.given.get("student")
    return None if person is None else person["id"]


def course_of(case: Case) -> str | None:
    """The vendor's id of the course a case is about."""
    stored = (item.course for item in case.stored if item.course is not None)
    return case.given.get("courseId") or next(stored, None)
