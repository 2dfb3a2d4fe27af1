"""Follow-up work that must happen although the answer has gone out: undo, end the old enrolment, try again.

A task that fails is tried again on a schedule; at its end the task's own sentence goes on the manual list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, and_, bindparam, or_, select, update

from gateway.store import manual
from gateway.store.claims import LostLease, claim_statement
from gateway.store.tables import insert, task

BACK_OFF_S = (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
"""Waits between tries: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. Source: mapping-language.md 9."""

MAX_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work. `kind` (`undo`, `end_old`, `retry_step`) and `payload` are perform's own words.

    `sentence` is what the manual list says when every try failed; `tries` counts the failed ones.
    """

    id: str
    tenant: str
    kind: str
    payload: Any
    run_id: str | None
    enrolment_id: str | None
    sentence: str
    state: Literal["pending", "done", "failed"]
    due_at: float
    tries: int
    owner: str | None
    lease_until: float | None
    last_error: str | None
    created_at: float
    finished_at: float | None


def add(
    conn: Connection,
    *,
    tenant: str,
    kind: str,
    payload: Any,
    sentence: str,
    now: float,
    due_at: float | None = None,
    run_id: str | None = None,
    enrolment_id: str | None = None,
) -> str:
    """Queue it, due now unless said otherwise; returns its id. `sentence` is for the office, see `Task`."""
    row = {
        "id": str(uuid4()),
        "tenant": tenant,
        "kind": kind,
        "payload": payload,
        "run_id": run_id,
        "enrolment_id": enrolment_id,
        "sentence": sentence,
        "state": "pending",
        "due_at": now if due_at is None else due_at,
        "tries": 0,
        "created_at": now,
    }
    conn.execute(_INSERT, row)
    return str(row["id"])


def claim_due(conn: Connection, owner: str, now: float, lease_s: float, limit: int = 20) -> list[Task]:
    """Tasks that are due and nobody is at work on, ours from now on, in the order they were due."""
    values = {"now": now, "new_owner": owner, "new_until": now + lease_s, "limit": limit}
    found = [_task(row) for row in conn.execute(_CLAIM, values).mappings()]
    return sorted(found, key=lambda item: item.due_at)  # RETURNING promises no order


def done(conn: Connection, task_id: str, owner: str, now: float) -> None:
    """Raises LostLease when the task is not ours."""
    if conn.execute(_DONE, {"of_task": task_id, "holder": owner, "now": now}).rowcount != 1:
        raise LostLease(task_id)


def failed(
    conn: Connection, task_id: str, owner: str, now: float, error: str, *, final: bool = False
) -> bool:
    """A try failed: wait for the next, or, at the end of the schedule or when `final`, hand over to a person.

    True when it went on the manual list. `error` must hold no secret and is cut at 500 characters.
    Raises LostLease when the task is not ours.
    """
    row = conn.execute(_OURS, {"of_task": task_id, "holder": owner}).mappings().first()
    if row is None:
        raise LostLease(task_id)
    found = _task(row)
    values: dict[str, Any] = {"of_task": task_id, "error": error[:MAX_ERROR], "tries": found.tries + 1}
    if not final and found.tries < len(BACK_OFF_S):
        conn.execute(_LATER, values | {"due": now + BACK_OFF_S[found.tries]})
        return False
    conn.execute(_GIVE_UP, values | {"now": now})
    manual.add(
        conn,
        tenant=found.tenant,
        enrolment_id=found.enrolment_id,
        reason=f"{found.kind}_failed",
        sentence=found.sentence,
        now=now,
        run_id=found.run_id,
    )
    return True


def get(conn: Connection, task_id: str) -> Task | None:
    row = conn.execute(_GET, {"of_task": task_id}).mappings().first()
    return None if row is None else _task(row)


def _task(row: RowMapping) -> Task:
    return Task(**row)


_THIS = task.c.id == bindparam("of_task")
_HELD = and_(_THIS, task.c.owner == bindparam("holder"), task.c.state == "pending")
_NOW: Any = bindparam("now")
_LET_GO = {"owner": None, "lease_until": None}
_DUE = and_(
    task.c.state == "pending",
    task.c.due_at <= _NOW,
    or_(task.c.lease_until.is_(None), task.c.lease_until <= _NOW),
)
_INSERT = insert(task)
_GET = select(task).where(_THIS)
_OURS = select(task).where(_HELD).with_for_update()
_CLAIM = claim_statement(task, _DUE, task.c.due_at)
_DONE = update(task).where(_HELD).values(state="done", finished_at=_NOW, **_LET_GO)
_FAILED: dict[str, Any] = {"tries": bindparam("tries"), "last_error": bindparam("error"), **_LET_GO}
_LATER = update(task).where(_THIS).values(due_at=bindparam("due"), **_FAILED)
_GIVE_UP = update(task).where(_THIS).values(state="failed", finished_at=_NOW, **_FAILED)
