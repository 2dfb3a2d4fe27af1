"""Deleting what is old, in chunks, so that a large clean-up never holds the writer for long.

Enrolments, unit results, remembered fields and open work stay. Source: durability.md 5, rule 5.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, select, tuple_

from gateway.store import outbox
from gateway.store.tables import lease, manual, run, step, task, trace
from gateway.store.tables_progress import inbox, seen_event

DAY_S = 86_400.0
RECEIVED_DAYS = 7.0
"""How long a webhook that was worked off is kept, and its id known: no vendor sends again after longer."""


def retention(conn: Connection, now: float, days: float = 30.0, chunk: int = 500) -> int:
    """Delete up to `chunk` rows each of finished runs with their steps, traces, tasks, manual list, inbox.

    What was received and worked off stays 7 days at most; what was to be told of ended enrolments is let go.
    Returns how many rows went, steps not counted: call again, in a new transaction, until it says 0.
    """
    before = now - days * DAY_S
    gone = _runs(conn, before, chunk)
    gone += outbox.ended(conn, now, chunk)
    for statement in (_TRACES, _TASKS, _MANUAL, _QUARANTINED):
        gone += conn.execute(statement, {"before": before, "chunk": chunk}).rowcount
    week = {"before": now - RECEIVED_DAYS * DAY_S, "chunk": chunk}
    gone += conn.execute(_SEEN, week).rowcount
    gone += conn.execute(_RECEIVED, week | {"before": max(before, week["before"])}).rowcount
    return gone + conn.execute(_LEASES, {"before": now, "chunk": chunk}).rowcount


def _runs(conn: Connection, before: float, chunk: int) -> int:
    old = conn.execute(_OLD_RUNS, {"before": before, "chunk": chunk}).scalars().all()
    if old:
        conn.execute(_STEPS, {"runs": old})
        conn.execute(_RUNS, {"runs": old})
    return len(old)


def _delete_old(table: Table, old: ColumnElement[bool]) -> Any:
    key = tuple(table.primary_key.columns)
    some = select(*key).where(old).limit(bindparam("chunk"))
    return delete(table).where(tuple_(*key).in_(some))


_BEFORE: Any = bindparam("before")
_IDS: Any = bindparam("runs", expanding=True)
# Only finished work has `finished_at` or `done_at`: what is live or in doubt is never old
_OLD_RUNS = select(run.c.id).where(run.c.finished_at < _BEFORE).limit(bindparam("chunk"))
_STEPS = delete(step).where(step.c.run_id.in_(_IDS))
_RUNS = delete(run).where(run.c.id.in_(_IDS))
_TRACES = _delete_old(trace, trace.c.at < _BEFORE)
_TASKS = _delete_old(task, task.c.finished_at < _BEFORE)
_MANUAL = _delete_old(manual, manual.c.done_at < _BEFORE)
_QUARANTINED = _delete_old(inbox, and_(inbox.c.state == "quarantined", inbox.c.finished_at < _BEFORE))
_RECEIVED = _delete_old(inbox, and_(inbox.c.state == "done", inbox.c.finished_at < _BEFORE))
_SEEN = _delete_old(seen_event, seen_event.c.at < _BEFORE)
_LEASES = _delete_old(lease, lease.c.lease_until < _BEFORE)
