"""What RTOPilot is to be told: the newest value of each enrolment, until it has been delivered.

Delivery is at least once, and never a stale value after a newer one: every change by whoever sends is fenced
by `owner` and raises LostLease when the row is not theirs any more. Source: durability.md 3;
vendors/rtopilot.md 4.4.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Integer, Text, and_, bindparam, case, func, or_, select, text, update

from gateway.store.base import insert
from gateway.store.claims import LostLease, claim_statement
from gateway.store.letters import (
    HOP,
    IS_FREE,
    IS_PENDING,
    LET_GO,
    NOW,
    SAME_ENROLMENT,
    THIS,
    UNTRIED,
    Cause,
    DeadCause,
    Item,
    ReplySample,
    State,
    causes,
    counts,
    ended,
    get,
    keep_reply,
    list_items,
    oldest,
    replay,
    replies,
)
from gateway.store.tables import IS_ACTIVE, enrolment
from gateway.store.tables_progress import outbox

__all__ = [
    "Cause",
    "DeadCause",
    "Item",
    "LostLease",
    "ReplySample",
    "State",
    "awake",
    "busy",
    "causes",
    "claim",
    "counts",
    "current",
    "dead",
    "ended",
    "get",
    "keep_reply",
    "later",
    "list_items",
    "oldest",
    "put",
    "release",
    "replay",
    "replies",
    "sent",
]

MAX_ERROR = 500


def put(conn: Connection, tenant: str, id: str, value: int, now: float) -> bool:
    """The enrolment stands at `value`, 0..100; True when there is something to send that was not before.

    The newest value wins; a back-off under way is kept. A first 0 is not worth telling, and a value that
    RTOPilot refused is not tried again until it changes.
    """
    values = {"in_tenant": tenant, "of_id": id, "new": value, "now": now}
    return conn.execute(_PUT if value else _PUT_ZERO, values).rowcount == 1


def busy(conn: Connection, now: float, limit: int = 200, *, skip: Collection[str] = ()) -> list[str]:
    """Tenants with something that is due, free and may be pushed, but those in `skip`; longest due first."""
    found = ((row.due_at, row.tenant) for row in conn.execute(_BUSY, {"now": now}))
    due = sorted(each for each in found if each[0] is not None and each[1] not in skip)
    return [tenant for _, tenant in due[:limit]]


def claim(conn: Connection, tenant: str, owner: str, now: float, lease_s: float, limit: int) -> list[Item]:
    """What is due, free and may be pushed, ours from now on, oldest change first."""
    values = {
        "in_tenant": tenant,
        "now": now,
        "new_owner": owner,
        "new_until": now + lease_s,
        "limit": limit,
    }
    found = [Item(**row) for row in conn.execute(_CLAIM, values).mappings()]
    return sorted(found, key=lambda item: (item.since, item.id))  # RETURNING promises no order


def current(conn: Connection, tenant: str, id: str, owner: str) -> Item | None:
    """What to send, read right before it leaves; None when it is not ours or not to be sent any more."""
    row = conn.execute(_CURRENT, {"in_tenant": tenant, "of_id": id, "holder": owner}).first()
    return None if row is None else Item(**dict(zip(_COLUMNS, row, strict=True)))


def sent(
    conn: Connection, tenant: str, id: str, owner: str, *, version: int, value: int, status: int, now: float
) -> bool:
    """RTOPilot accepted `value`, put as `version`; False when a newer one waits, which is due at once."""
    row = _fenced(conn, _SENT, tenant, id, owner, of_version=version, given=value, code=status, now=now)
    return bool(row.state == "done")


def later(
    conn: Connection,
    tenant: str,
    id: str,
    owner: str,
    *,
    due_at: float,
    status: int | None,
    error: str | None,
    cause: Cause,
    now: float,
) -> None:
    """A try failed: again at `due_at`. `error` must hold no secret and is cut at 500 characters."""
    failure = {"code": status, "error": _cut(error), "why": cause, "now": now}
    _fenced(conn, _LATER, tenant, id, owner, due=due_at, **failure)


def dead(
    conn: Connection,
    tenant: str,
    id: str,
    owner: str,
    *,
    status: int | None,
    error: str | None,
    cause: Cause,
    now: float,
    version: int | None = None,
) -> bool:
    """This value will not be accepted: no more tries until it changes or a person asks for one.

    `version` is what was sent: when a newer value came meanwhile, that one is tried, and False is returned.
    """
    failure = {"code": status, "error": _cut(error), "why": cause, "now": now}
    row = _fenced(conn, _DEAD, tenant, id, owner, of_version=version, **failure)
    return bool(row.state == "dead")


def release(conn: Connection, tenant: str, id: str, owner: str) -> None:
    """Give it back as it was, not counted as a try."""
    _fenced(conn, _RELEASE, tenant, id, owner)


def awake(conn: Connection, tenant: str, now: float) -> int:
    """RTOPilot is back: what waits because it was away is due now. How many rows that were."""
    return conn.execute(_AWAKE, {"in_tenant": tenant, "now": now}).rowcount


def _fenced(conn: Connection, statement: Any, tenant: str, id: str, owner: str, **values: Any) -> Any:
    row = conn.execute(statement, {"in_tenant": tenant, "of_id": id, "holder": owner, **values}).first()
    if row is None:
        raise LostLease(f"{tenant}/{id}")
    return row


def _cut(error: str | None) -> str | None:
    return None if error is None else error[:MAX_ERROR]


_COLUMNS = tuple(outbox.c.keys())
_NEW: Any = bindparam("new", type_=Integer)
_VERSION: Any = bindparam("of_version", type_=Integer)
_TENANT = outbox.c.tenant == bindparam("in_tenant")
_OURS = and_(THIS, outbox.c.owner == bindparam("holder"), IS_PENDING)
_WITH_ENROLMENT = outbox.join(enrolment, SAME_ENROLMENT)
# The plus keeps the index by due time out of it: the oldest few are found by age, without sorting the rest
_IS_DUE = text("+outbox.due_at <= :now").bindparams(NOW)
_DUE = and_(_TENANT, IS_PENDING, _IS_DUE, IS_FREE, IS_ACTIVE, enrolment.c.push_from <= NOW)


def _pending_keeps(column: Any, otherwise: Any) -> Any:
    """A change under way keeps its age and its back-off; any other begins anew."""
    return case((IS_PENDING, column), else_=otherwise)


# RTOPilot knows `sent_value`; of a value it refused, or one that waits, only another one is news
_NEWS = or_(
    and_(outbox.c.state != "done", outbox.c.value != _NEW),
    and_(outbox.c.state == "done", outbox.c.sent_value.is_distinct_from(_NEW)),
)
_CHANGED: dict[str, Any] = {
    "value": _NEW,
    "version": outbox.c.version + 1,
    "state": "pending",
    "since": _pending_keeps(outbox.c.since, NOW),
    "due_at": _pending_keeps(outbox.c.due_at, NOW),
    **{name: _pending_keeps(outbox.c[name], fresh) for name, fresh in UNTRIED.items()},
    "updated_at": NOW,
}
_PUT_ZERO = update(outbox).where(THIS, _NEWS).values(**_CHANGED)
_PUT = (
    insert(outbox)
    .values(
        tenant=bindparam("in_tenant"),
        id=bindparam("of_id"),
        value=_NEW,
        version=1,
        sent_version=0,
        state="pending",
        since=NOW,
        due_at=NOW,
        tries=0,
        updated_at=NOW,
    )
    .on_conflict_do_update(index_elements=[outbox.c.tenant, outbox.c.id], set_=_CHANGED, where=_NEWS)
)
# Each tenant's rows in the order they are due, so that thousands that wait for a back-off cost nothing
_BUSY = text(
    HOP
    + """
    SELECT hop.tenant, (
        SELECT outbox.due_at FROM outbox
        JOIN enrolment ON enrolment.tenant = outbox.tenant AND enrolment.id = outbox.id
        WHERE outbox.tenant = hop.tenant AND outbox.state = 'pending' AND outbox.due_at <= :now
            AND (outbox.lease_until IS NULL OR outbox.lease_until <= :now)
            AND enrolment.state = 'active' AND enrolment.push_from <= :now
        ORDER BY outbox.due_at LIMIT 1
    ) AS due_at
    FROM hop WHERE hop.tenant IS NOT NULL
    """
).bindparams(NOW)
_CLAIM = claim_statement(outbox, _DUE, outbox.c.since, _WITH_ENROLMENT)
_CURRENT = select(outbox).select_from(_WITH_ENROLMENT).where(_OURS, IS_ACTIVE)
_IS_NEWEST = outbox.c.version == _VERSION
_SENT = (
    update(outbox)
    .where(_OURS)
    .values(
        **{
            **UNTRIED,
            **LET_GO,
            "state": case((_IS_NEWEST, "done"), else_="pending"),
            "since": case((_IS_NEWEST, outbox.c.since), else_=outbox.c.updated_at),
            "due_at": NOW,
            "sent_version": _VERSION,
            "sent_value": bindparam("given"),
            "sent_at": NOW,
            "status": bindparam("code"),
        }
    )
    .returning(outbox.c.state)
)
_FAILURE: dict[str, Any] = {
    # each cause has its own schedule, which begins when the cause does
    "tries": case((outbox.c.cause == bindparam("why", type_=Text), outbox.c.tries + 1), else_=1),
    "cause": bindparam("why"),
    "status": bindparam("code", type_=Integer),
    "last_error": bindparam("error", type_=Text),
    "first_failed_at": func.coalesce(outbox.c.first_failed_at, NOW),
}
_LATER = (
    update(outbox)
    .where(_OURS)
    .values(due_at=bindparam("due"), **_FAILURE, **LET_GO)
    .returning(outbox.c.state)
)
_IS_WHAT_WAS_SENT = or_(_VERSION.is_(None), _IS_NEWEST)
_DEAD = (
    update(outbox)
    .where(_OURS)
    .values(
        state=case((_IS_WHAT_WAS_SENT, "dead"), else_="pending"),
        due_at=NOW,
        **{name: case((_IS_WHAT_WAS_SENT, value), else_=UNTRIED[name]) for name, value in _FAILURE.items()},
        **LET_GO,
    )
    .returning(outbox.c.state)
)
_RELEASE = update(outbox).where(_OURS).values(**LET_GO).returning(outbox.c.state)
_AWAKE = (
    update(outbox)
    .where(_TENANT, IS_PENDING, outbox.c.cause == "transient", outbox.c.due_at > NOW)
    .values(due_at=NOW)
)
