"""The manual list: what a person has to do at the LMS, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from sqlalchemy import Connection, bindparam, select, update

from gateway.store.tables import insert, manual


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualItem:
    """One thing to do. `enrolment_id` is empty when it is about none; `reason` is a stable code."""

    id: str
    tenant: str
    enrolment_id: str
    reason: str
    sentence: str
    state: Literal["open", "done"]
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
_DONE = (
    update(manual)
    .where(manual.c.id == bindparam("item"), manual.c.state == "open")
    .values(state="done", done_at=bindparam("now"))
)
