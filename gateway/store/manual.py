"""The manual list: what a person has to do at the LMS, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from sqlalchemy import Connection, and_, bindparam, or_, select, text, update

from gateway.store.tables import insert, manual

MAX_OF_REASON = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualItem:
    """One thing to do. `enrolment_id` is empty when it is about none; `reason` is a stable code.

    `done`: a person has dealt with it, or what became of a run is known; `withdrawn`: it is true no longer.
    """

    id: str
    tenant: str
    enrolment_id: str
    reason: str
    sentence: str
    state: Literal["open", "done", "withdrawn"]
    run_id: str | None
    created_at: float
    done_at: float | None


def add(
    conn: Connection,
    *,
    tenant: str,
    enrolment_id: str | None,
    reason: str,
    sentence: str,
    now: float,
    run_id: str | None = None,
) -> bool:
    """Put it on the list; False when the same sentence is open already.

    The sentence counts because an enrolment does not always: two creates in doubt are about none yet.
    """
    row = {
        "id": str(uuid4()),
        "tenant": tenant,
        "enrolment_id": enrolment_id or "",
        "reason": reason,
        "sentence": sentence,
        "state": "open",
        "run_id": run_id,
        "created_at": now,
    }
    return conn.execute(_INSERT, row).rowcount == 1


def list_items(
    conn: Connection, *, tenant: str | None = None, state: str = "open", limit: int = 100
) -> list[ManualItem]:
    """What is on the list, oldest first."""
    query = select(manual).where(manual.c.state == state)
    if tenant is not None:
        query = query.where(manual.c.tenant == tenant)
    query = query.order_by(manual.c.created_at, manual.c.id).limit(min(limit, 1000))
    return [ManualItem(**row) for row in conn.execute(query).mappings()]


def of_reason(conn: Connection, tenant: str, reason: str, *, done_since: float) -> list[ManualItem]:
    """A tenant's items with this reason: those that are open, and those done since then; oldest first."""
    values = {"in_tenant": tenant, "why": reason, "since": done_since}
    return [ManualItem(**row) for row in conn.execute(_OF_REASON, values).mappings()]


def withdraw(conn: Connection, item_id: str, now: float) -> bool:
    """It is true no longer, so that it may come up anew, even if it was done; False when it was withdrawn."""
    return conn.execute(_WITHDRAW, {"item": item_id, "now": now}).rowcount == 1


def settled(conn: Connection, run_id: str, now: float) -> None:
    """Nobody need look for what became of this run any more: it is known."""
    conn.execute(_SETTLED, {"of_run": run_id, "now": now})


def done(conn: Connection, item_id: str, now: float) -> bool:
    """A person has dealt with it; False when it is not open."""
    return conn.execute(_DONE, {"item": item_id, "now": now}).rowcount == 1


_INSERT = insert(manual).on_conflict_do_nothing()
_SETTLED = (
    update(manual)
    .where(manual.c.run_id == bindparam("of_run"), manual.c.reason == "in_doubt", manual.c.state == "open")
    .values(state="done", done_at=bindparam("now"))
)
# Each half finds its own index: the open ones by tenant, the others by when they were done
_OPEN = text("manual.state = 'open'")
_DONE_SINCE = and_(text("manual.state = 'done'"), manual.c.done_at > bindparam("since"))
_OF_REASON = (
    select(manual)
    .where(
        manual.c.tenant == bindparam("in_tenant"),
        manual.c.reason == bindparam("why"),
        or_(_OPEN, _DONE_SINCE),
    )
    .order_by(manual.c.created_at, manual.c.id)
    .limit(MAX_OF_REASON)
)
_WITHDRAW = (
    update(manual)
    .where(manual.c.id == bindparam("item"), manual.c.state != "withdrawn")
    .values(state="withdrawn", done_at=bindparam("now"))
)
_DONE = (
    update(manual)
    .where(manual.c.id == bindparam("item"), manual.c.state == "open")
    .values(state="done", done_at=bindparam("now"))
)
