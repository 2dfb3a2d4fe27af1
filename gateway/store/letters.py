"""The outbox as a person looks at it: what waits, what RTOPilot refused and why, dead letters put back.

`outbox.py` sends, and is where all of this is imported from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Double, and_, bindparam, func, or_, select, text, tuple_, update

from gateway.store.base import insert
from gateway.store.tables import IS_ACTIVE, enrolment
from gateway.store.tables_progress import outbox, reply_sample

State = Literal["pending", "done", "dead"]
Cause = Literal["transient", "not_found", "refused", "config"]

MAX_REPLY = 2_000
MAX_LIST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one enrolment's progress is, and what RTOPilot knows of it. `id` is the enrolment's.

    `version` counts the values put; `sent_version` and `sent_value` are the last delivered (0 and None: none
    yet). `since`: when the undelivered change began. `tries`, `cause`, `last_error` and `first_failed_at` are
    of the tries that failed since; `status` is RTOPilot's last. `updated_at`: when the value was put.
    """

    tenant: str
    id: str
    value: int
    version: int
    sent_version: int
    sent_value: int | None
    state: State
    since: float
    due_at: float
    tries: int
    owner: str | None
    lease_until: float | None
    cause: Cause | None
    status: int | None
    last_error: str | None
    first_failed_at: float | None
    sent_at: float | None
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadCause:
    """How many dead letters of a tenant have one cause and status, and the error of one of them."""

    tenant: str
    cause: Cause | None
    status: int | None
    n: int
    example: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplySample:
    """The first body RTOPilot answered a tenant with this status, scrubbed by whoever kept it."""

    tenant: str
    status: int
    body: str
    at: float


def get(conn: Connection, tenant: str, id: str) -> Item | None:
    row = conn.execute(_GET, {"in_tenant": tenant, "of_id": id}).mappings().first()
    return None if row is None else Item(**row)


def list_items(
    conn: Connection,
    *,
    tenant: str | None = None,
    state: State | None = None,
    cause: Cause | None = None,
    limit: int = 100,
    after: tuple[str, str] | None = None,
) -> list[Item]:
    """What matches, by tenant and id; `after`, the last (tenant, id), gives the next page."""
    query = select(outbox).order_by(outbox.c.tenant, outbox.c.id).limit(min(limit, MAX_LIST))
    if tenant is not None:
        query = query.where(outbox.c.tenant == tenant)
    if state is not None:
        query = query.where(_IN_STATE[state])
    if cause is not None:
        query = query.where(outbox.c.cause == cause)
    if after is not None:
        query = query.where(tuple_(outbox.c.tenant, outbox.c.id) > tuple_(*after))
    return [Item(**row) for row in conn.execute(query).mappings()]


def counts(conn: Connection) -> dict[str, dict[str, int]]:
    """How many rows each tenant has in each state: `{tenant: {"pending": n, "dead": n, "done": n}}`."""
    found: dict[str, dict[str, int]] = {}
    for row in conn.execute(_COUNTS):
        found.setdefault(row.tenant, {"pending": 0, "dead": 0, "done": 0})[row.state] = row.n
    for of_tenant in found.values():
        of_tenant["done"] = of_tenant.pop("all", 0) - of_tenant["pending"] - of_tenant["dead"]
    return found


def oldest(conn: Connection) -> dict[str, float]:
    """Since when the oldest undelivered change of each tenant waits."""
    return {row.tenant: row.since for row in conn.execute(_OLDEST)}


def causes(conn: Connection, tenant: str | None = None) -> list[DeadCause]:
    """Why letters are dead, most of them first."""
    query = _CAUSES if tenant is None else _CAUSES.where(outbox.c.tenant == tenant)
    return [DeadCause(**row) for row in conn.execute(query).mappings()]


def replay(
    conn: Connection,
    *,
    tenant: str,
    id: str | None = None,
    cause: Cause | None = None,
    status: int | None = None,
    now: float,
    dry: bool = False,
) -> list[str]:
    """Try dead letters of active enrolments again: one, all, or all with one cause or status; their ids.

    `dry` only says which. Their age stays, their tries begin anew.
    """
    wanted: list[Any] = [outbox.c.tenant == tenant, _DEAD, _IS_ACTIVE_ENROLMENT]
    for column, value in ((outbox.c.id, id), (outbox.c.cause, cause), (outbox.c.status, status)):
        if value is not None:
            wanted.append(column == value)
    if dry:
        return list(conn.execute(select(outbox.c.id).where(*wanted).order_by(outbox.c.id)).scalars())
    again = update(outbox).where(*wanted).values(state="pending", due_at=now, **UNTRIED)
    return sorted(conn.execute(again.returning(outbox.c.id)).scalars())


def ended(conn: Connection, now: float, limit: int) -> int:
    """Let go of up to `limit` changes whose enrolment is not active any more; how many that were.

    Nobody is to be told those, and dead ones could not be replayed. What is on its way is left alone.
    """
    return conn.execute(_ENDED, {"now": now, "limit": limit}).rowcount


def keep_reply(conn: Connection, tenant: str, status: int, body: str, now: float) -> None:
    """Keep the first body RTOPilot answers with this status, scrubbed; cut at 2,000 characters."""
    row = {"tenant": tenant, "status": status, "body": body[:MAX_REPLY], "at": now}
    conn.execute(_KEEP_REPLY, row)


def replies(conn: Connection, tenant: str | None = None) -> list[ReplySample]:
    """The replies kept, by tenant and status."""
    query = select(reply_sample).order_by(reply_sample.c.tenant, reply_sample.c.status)
    if tenant is not None:
        query = query.where(reply_sample.c.tenant == tenant)
    return [ReplySample(**row) for row in conn.execute(query).mappings()]


NOW: Any = bindparam("now", type_=Double)
THIS = and_(outbox.c.tenant == bindparam("in_tenant"), outbox.c.id == bindparam("of_id"))
IS_PENDING = text("outbox.state = 'pending'")  # as text: see `base.only`
IS_FREE = or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= NOW)
LET_GO: dict[str, Any] = {"owner": None, "lease_until": None}
UNTRIED: dict[str, Any] = {
    "tries": 0,
    "cause": None,
    "status": None,
    "last_error": None,
    "first_failed_at": None,
}
HOP = """
    WITH RECURSIVE hop(tenant) AS (
        SELECT min(outbox.tenant) FROM outbox WHERE outbox.state = 'pending'
        UNION ALL
        SELECT (SELECT min(outbox.tenant) FROM outbox
                WHERE outbox.state = 'pending' AND outbox.tenant > hop.tenant)
        FROM hop WHERE hop.tenant IS NOT NULL
    )"""
"""Tenants with something to send, from one to the next along the index: what waits is not read."""
SAME_ENROLMENT = and_(enrolment.c.tenant == outbox.c.tenant, enrolment.c.id == outbox.c.id)
_DEAD = text("outbox.state = 'dead'")
_IN_STATE: dict[str, Any] = {"pending": IS_PENDING, "dead": _DEAD, "done": outbox.c.state == "done"}
_IS_ACTIVE_ENROLMENT = select(enrolment.c.id).where(SAME_ENROLMENT, IS_ACTIVE).exists()

_GET = select(outbox).where(THIS)
# Three counts that each run along an index; one by state would read every row
_COUNTS = text(
    """
    SELECT tenant, 'all' AS state, count(*) AS n FROM outbox GROUP BY tenant
    UNION ALL SELECT tenant, 'pending', count(*) FROM outbox WHERE state = 'pending' GROUP BY tenant
    UNION ALL SELECT tenant, 'dead', count(*) FROM outbox WHERE state = 'dead' GROUP BY tenant
    """
)
_OLDEST = text(
    HOP
    + """
    SELECT hop.tenant, (
        SELECT min(outbox.since) FROM outbox WHERE outbox.tenant = hop.tenant AND outbox.state = 'pending'
    ) AS since
    FROM hop WHERE hop.tenant IS NOT NULL
    """
)
_CAUSES = (
    select(
        outbox.c.tenant,
        outbox.c.cause,
        outbox.c.status,
        func.count().label("n"),
        func.min(outbox.c.last_error).label("example"),
    )
    .where(_DEAD)
    .group_by(outbox.c.tenant, outbox.c.cause, outbox.c.status)
    .order_by(func.count().desc(), outbox.c.tenant, outbox.c.cause, outbox.c.status)
)
_OVER = (
    select(outbox.c.tenant, outbox.c.id)
    .join(enrolment, SAME_ENROLMENT)
    .where(or_(IS_PENDING, _DEAD), enrolment.c.state != "active", IS_FREE)
    .limit(bindparam("limit"))
)
_ENDED = (
    update(outbox)
    .where(tuple_(outbox.c.tenant, outbox.c.id).in_(_OVER), outbox.c.state != "done")
    .values(state="done", **LET_GO)
)
_KEEP_REPLY = insert(reply_sample).on_conflict_do_nothing()
