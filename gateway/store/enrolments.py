"""Enrolments as the gateway knows them: one row for each id RTOPilot holds. Source: design.md 3.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    Boolean,
    Connection,
    Double,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    or_,
    select,
    update,
)

from gateway.errors import StoreError
from gateway.store.locks import one_at_a_time
from gateway.store.tables import IS_ACTIVE, enrolment, insert
from gateway.store.tables_progress import outbox

TRIES = 20
"""How many generations `add` tries before it gives up; each is one gateway adding at the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnrolment:
    """One enrolment. `id`, `course_id`, `moved_to` are encoded ids; `key` is the key parts as canonical text.

    `alias` is empty for a tenant with one LMS. `record` is what the mapping keeps. `seen_at` is when RTOPilot
    first used the id again; `ended_at` when it was cancelled or moved. `last_progress` is 0..100.

    `push_from`: progress may be pushed from then on; None while RTOPilot has not been told the id.
    `read_at`: when the question of the newest reading left, by our clock; `event_at`: the vendor's own stamp
    of the newest event that carried its value. `units_due`: it has moved on, and its units were not read yet.
    """

    tenant: str
    id: str
    alias: str
    vendor_account: str
    key: str
    generation: int
    state: Literal["active", "cancelled", "moved"]
    record: Any
    course_id: str | None
    student_id: str | None
    completed: bool
    adopted: bool
    last_progress: int | None
    moved_to: str | None
    seen_at: float | None
    created_at: float
    ended_at: float | None
    push_from: float | None
    read_at: float | None
    event_at: float | None
    units_due: bool | None


class HeldElsewhere(Exception):
    """Another tenant of this gateway holds that enrolment of the same vendor account."""


def add(
    conn: Connection,
    *,
    tenant: str,
    vendor_account: str,
    key: str,
    make_id: Callable[[int], str],
    record: Any,
    now: float,
    alias: str | None = None,
    course_id: str | None = None,
    student_id: str | None = None,
    completed: bool = False,
    push_from: float | None = None,
) -> StoredEnrolment:
    """A new active enrolment in the next generation of its key: `make_id(1)`, then `make_id(2)` (`…_2`), …

    Never gives out an id twice, whatever became of the earlier ones.
    """
    scope = {"in_tenant": tenant, "in_alias": alias or "", "of_key": key}
    generation = conn.execute(_NEWEST, scope).scalar_one()
    for _ in range(TRIES):
        generation += 1
        new = _stored(
            tenant=tenant,
            id=make_id(generation),
            alias=alias or "",
            vendor_account=vendor_account,
            key=key,
            generation=generation,
            record=record,
            course_id=course_id,
            student_id=student_id,
            completed=completed,
            adopted=False,
            seen_at=None,
            created_at=now,
            push_from=push_from,
        )
        if _insert(conn, new):
            return new
    raise StoreError(f"No free id for an enrolment of {tenant} after {TRIES} tries. Please try again.")


def adopt(
    conn: Connection,
    *,
    tenant: str,
    vendor_account: str,
    key: str,
    generation: int,
    id: str,
    record: Any,
    now: float,
    alias: str | None = None,
    course_id: str | None = None,
    student_id: str | None = None,
    completed: bool = False,
) -> StoredEnrolment:
    """Take in an id that RTOPilot holds and the store has lost; a known one is returned as it is.

    `seen_at` and `push_from` are `now`, since RTOPilot just used it. Raises HeldElsewhere when another
    tenant has that key in the same vendor account, whatever its state.
    """
    if (found := by_id(conn, tenant, id)) is not None:
        return found
    one_at_a_time(conn, "adopt", vendor_account, key)
    holder = {"in_tenant": tenant, "of_account": vendor_account, "of_key": key}
    if conn.execute(_ELSEWHERE, holder).first() is not None:
        raise HeldElsewhere(id)
    new = _stored(
        tenant=tenant,
        id=id,
        alias=alias or "",
        vendor_account=vendor_account,
        key=key,
        generation=generation,
        record=record,
        course_id=course_id,
        student_id=student_id,
        completed=completed,
        adopted=True,
        seen_at=now,
        created_at=now,
        push_from=now,
    )
    if _insert(conn, new):
        return new
    if (found := by_id(conn, tenant, id)) is not None:
        return found  # another gateway adopted it at the same moment
    raise StoreError(f"Enrolment {id} of {tenant} stands in the store under another id.")


def by_id(conn: Connection, tenant: str, id: str) -> StoredEnrolment | None:
    return _one(conn, _BY_ID, tenant, id)


def locked(conn: Connection, tenant: str, id: str) -> StoredEnrolment | None:
    """The same, and nobody else changes it until this transaction ends."""
    return _one(conn, _LOCK_BY_ID, tenant, id)


def by_key(conn: Connection, tenant: str, alias: str | None, key: str) -> list[StoredEnrolment]:
    """All active ids onto one vendor enrolment, oldest generation first."""
    scope = {"in_tenant": tenant, "in_alias": alias or "", "of_key": key}
    return [StoredEnrolment(**row) for row in conn.execute(_ACTIVE_BY_KEY, scope).mappings()]


def of_student(conn: Connection, tenant: str, student_id: str, course_id: str) -> StoredEnrolment | None:
    """The active enrolment of a student in a course; of several the newest."""
    scope = {"in_tenant": tenant, "of_student": student_id, "of_course": course_id}
    row = conn.execute(_ACTIVE_OF_STUDENT, scope).mappings().first()
    return None if row is None else StoredEnrolment(**row)


def active(
    conn: Connection, tenant: str, *, course_id: str | None = None, after_id: str = "", limit: int = 500
) -> list[StoredEnrolment]:
    """Active enrolments in the order of their ids, of one course if given; `after_id` gives the next page."""
    scope = {"in_tenant": tenant, "after": after_id, "limit": limit}
    if course_id is None:
        rows = conn.execute(_ACTIVE, scope)
    else:
        rows = conn.execute(_ACTIVE_OF_COURSE, scope | {"of_course": course_id})
    return [StoredEnrolment(**row) for row in rows.mappings()]


def courses(conn: Connection, tenant: str, *, after: str = "", limit: int = 500) -> list[str]:
    """The encoded ids of courses with active enrolments, in order; `after` gives the next page."""
    values = {"in_tenant": tenant, "after": after, "limit": limit}
    return list(conn.execute(_COURSES, values).scalars())


def count_active(conn: Connection, tenant: str) -> int:
    return int(conn.execute(_COUNT_ACTIVE, {"in_tenant": tenant}).scalar_one())


def by_fields(
    conn: Connection, tenant: str, fields: Mapping[str, str], limit: int = 100
) -> list[StoredEnrolment]:
    """Active enrolments whose record has all these fields, compared as text. Looks through every record."""
    if not fields:
        return []
    same = [cast(enrolment.c.record[name].as_string(), Text) == value for name, value in fields.items()]
    query = select(enrolment).where(enrolment.c.tenant == tenant, IS_ACTIVE, *same)
    rows = conn.execute(query.order_by(enrolment.c.id).limit(limit)).mappings()
    return [StoredEnrolment(**row) for row in rows]


def untold(conn: Connection, tenant: str, limit: int = 500) -> list[StoredEnrolment]:
    """Active ones whose progress is known and was never put into the outbox."""
    rows = conn.execute(_UNTOLD, {"in_tenant": tenant, "limit": limit}).mappings()
    return [StoredEnrolment(**row) for row in rows]


def mark_seen(conn: Connection, tenant: str, id: str, now: float) -> None:
    """RTOPilot used the id, so it got our answer and may be told progress; the first time is kept."""
    conn.execute(_MARK_SEEN, {"in_tenant": tenant, "of_id": id, "now": now})


def told(conn: Connection, tenant: str, id: str, push_from: float) -> bool:
    """RTOPilot is being answered with this id; False when that was known, and the earlier time is kept."""
    return conn.execute(_TOLD, {"in_tenant": tenant, "of_id": id, "first": push_from}).rowcount == 1


def cancel(conn: Connection, tenant: str, id: str, now: float) -> bool:
    """End it; False when it was not active."""
    return conn.execute(_END, _ending(tenant, id, "cancelled", None, now)).rowcount == 1


def cancel_shared(conn: Connection, tenant: str, alias: str | None, id: str, key: str, now: float) -> bool:
    """End an id while another active one stands on the same vendor enrolment; False for the last of them."""
    scope = {"in_tenant": tenant, "in_alias": alias or "", "of_key": key}
    active = {row.id for row in conn.execute(_LOCK_BY_KEY, scope)}
    return bool(active - {id}) and cancel(conn, tenant, id, now)


def move(conn: Connection, tenant: str, id: str, moved_to: str, now: float) -> bool:
    """End it in favour of `moved_to`; False when it was not active."""
    return conn.execute(_END, _ending(tenant, id, "moved", moved_to, now)).rowcount == 1


def keep_record(conn: Connection, tenant: str, id: str, record: Any) -> None:
    """Replace what the mapping keeps about it."""
    conn.execute(_KEEP_RECORD, {"in_tenant": tenant, "of_id": id, "new": record})


def keep_progress(conn: Connection, tenant: str, id: str, percent: int, completed: bool) -> None:
    """The last progress known, 0..100, and whether the vendor calls it completed."""
    values = {"in_tenant": tenant, "of_id": id, "percent": percent, "complete": completed}
    conn.execute(_KEEP_PROGRESS, values)


def keep_reading(
    conn: Connection,
    tenant: str,
    id: str,
    percent: int,
    completed: bool,
    read_at: float,
    event_at: float | None,
    *,
    units_due: bool | None = None,
) -> None:
    """The same with what else a reading tells, see StoredEnrolment; None keeps what was there."""
    values = {
        "in_tenant": tenant,
        "of_id": id,
        "percent": percent,
        "complete": completed,
        "asked": read_at,
        "stamped": event_at,
        "units": units_due,
    }
    conn.execute(_KEEP_READING, values)


def units_read(conn: Connection, tenant: str, id: str) -> None:
    """Its unit results have been read since its progress last changed."""
    conn.execute(_UNITS_READ, {"in_tenant": tenant, "of_id": id})


def _one(conn: Connection, query: Any, tenant: str, id: str) -> StoredEnrolment | None:
    row = conn.execute(query, {"in_tenant": tenant, "of_id": id}).first()
    return None if row is None else StoredEnrolment(**dict(zip(_COLUMNS, row, strict=True)))


def _stored(**fields: Any) -> StoredEnrolment:
    return StoredEnrolment(**_NOTHING_YET, **fields)


def _insert(conn: Connection, new: StoredEnrolment) -> bool:
    values = {name: getattr(new, name) for name in _COLUMNS}
    return conn.execute(_INSERT, values).rowcount == 1


def _ending(tenant: str, id: str, state: str, moved_to: str | None, now: float) -> dict[str, Any]:
    return {"in_tenant": tenant, "of_id": id, "new_state": state, "successor": moved_to, "now": now}


_COLUMNS = tuple(enrolment.c.keys())
_NOTHING_YET: dict[str, Any] = {
    "state": "active",
    "last_progress": None,
    "moved_to": None,
    "ended_at": None,
    "read_at": None,
    "event_at": None,
    "units_due": None,
}
_THIS = and_(enrolment.c.tenant == bindparam("in_tenant"), enrolment.c.id == bindparam("of_id"))
_SAME_KEY = and_(
    enrolment.c.tenant == bindparam("in_tenant"),
    enrolment.c.alias == bindparam("in_alias"),
    enrolment.c.key == bindparam("of_key"),
)
_INSERT = insert(enrolment).on_conflict_do_nothing()
_NEWEST = select(func.coalesce(func.max(enrolment.c.generation), 0)).where(_SAME_KEY)
_BY_ID = select(enrolment).where(_THIS)
_LOCK_BY_ID = _BY_ID.with_for_update()
_ACTIVE_BY_KEY = (
    select(enrolment).where(_SAME_KEY, enrolment.c.state == "active").order_by(enrolment.c.generation)
)
_LOCK_BY_KEY = _ACTIVE_BY_KEY.with_for_update()
_ACTIVE = (
    select(enrolment)
    .where(
        enrolment.c.tenant == bindparam("in_tenant"),
        enrolment.c.state == "active",
        enrolment.c.id > bindparam("after"),
    )
    .order_by(enrolment.c.id)
    .limit(bindparam("limit"))
)
_ACTIVE_OF_COURSE = _ACTIVE.where(IS_ACTIVE, enrolment.c.course_id == bindparam("of_course"))
_ACTIVE_OF_STUDENT = (
    select(enrolment)
    .where(
        enrolment.c.tenant == bindparam("in_tenant"),
        enrolment.c.student_id == bindparam("of_student"),
        enrolment.c.course_id == bindparam("of_course"),
        enrolment.c.state == "active",
    )
    # of different keys, as when something was minted anew, each begins with generation 1
    .order_by(enrolment.c.generation.desc(), enrolment.c.created_at.desc(), enrolment.c.id)
    .limit(1)
)
_COURSES = (
    select(enrolment.c.course_id)
    .where(
        enrolment.c.tenant == bindparam("in_tenant"), IS_ACTIVE, enrolment.c.course_id > bindparam("after")
    )
    .order_by(enrolment.c.course_id)
    .distinct()
    .limit(bindparam("limit"))
)
_COUNT_ACTIVE = (
    select(func.count()).select_from(enrolment).where(enrolment.c.tenant == bindparam("in_tenant"), IS_ACTIVE)
)
_ELSEWHERE = (
    select(enrolment.c.tenant)
    .where(
        enrolment.c.vendor_account == bindparam("of_account"),
        enrolment.c.key == bindparam("of_key"),
        enrolment.c.tenant != bindparam("in_tenant"),
    )
    .limit(1)
)
_UNTOLD = (
    select(enrolment)
    .where(
        enrolment.c.tenant == bindparam("in_tenant"),
        IS_ACTIVE,
        enrolment.c.last_progress > 0,
        ~exists().where(outbox.c.tenant == enrolment.c.tenant, outbox.c.id == enrolment.c.id),
    )
    .limit(bindparam("limit"))
)
_MARK_SEEN = (
    update(enrolment)
    .where(_THIS, or_(enrolment.c.seen_at.is_(None), enrolment.c.push_from.is_(None)))
    .values(
        seen_at=func.coalesce(enrolment.c.seen_at, bindparam("now")),
        push_from=func.coalesce(enrolment.c.push_from, bindparam("now")),
    )
)
_TOLD = update(enrolment).where(_THIS, enrolment.c.push_from.is_(None)).values(push_from=bindparam("first"))
_END = (
    update(enrolment)
    .where(_THIS, enrolment.c.state == "active")
    .values(state=bindparam("new_state"), moved_to=bindparam("successor"), ended_at=bindparam("now"))
)
_KEEP_RECORD = update(enrolment).where(_THIS).values(record=bindparam("new"))
_KEEP_PROGRESS = (
    update(enrolment).where(_THIS).values(last_progress=bindparam("percent"), completed=bindparam("complete"))
)
_KEEP_READING = _KEEP_PROGRESS.values(
    read_at=bindparam("asked"),
    event_at=func.coalesce(bindparam("stamped", type_=Double), enrolment.c.event_at),
    units_due=func.coalesce(bindparam("units", type_=Boolean), enrolment.c.units_due),
)
_UNITS_READ = update(enrolment).where(_THIS, enrolment.c.units_due).values(units_due=False)
