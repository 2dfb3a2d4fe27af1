"""Steps of a run: intent before a write leaves, outcome after it. Source: durability.md 2.

Every change is fenced: it raises LostLease unless the run is still ours. `fenced`: this transaction has
asked already (`require_ours`, or `runs.finish` in it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, and_, bindparam, select, update

from gateway.store.claims import LostLease
from gateway.store.tables import IS_LIVE, insert, run, step


class StepInDoubt(Exception):
    """A write that was already sent must be looked up before it is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One journalled step. `started` without an outcome is in doubt; `failed` certainly did not happen.

    `left_at` is when the last call of the step left, in Unix seconds; None for steps that only read.
    `found`: it stood at the vendor already, so that this run did not do it; None when nobody said.
    """

    run_id: str
    seq: int
    name: str
    state: Literal["started", "done", "failed"]
    left_at: float | None
    value: Any
    warnings: list[str]
    found: bool | None = None


def step_started(
    conn: Connection,
    run_id: str,
    owner: str,
    seq: int,
    name: str,
    left_at: float,
    *,
    again: bool = False,
    fenced: bool = False,
) -> None:
    """Write down that a write is about to leave; committed before it does.

    `again` is for steps of which the mapping says that twice equals once.
    Raises StepInDoubt when the step was started before and its outcome is not known to be "not done".
    """
    if not fenced:
        require_ours(conn, run_id, owner)
    values = {"run_id": run_id, "seq": seq, "name": name, "state": "started", "left_at": left_at}
    if conn.execute(_AGAIN if again else _START, values).rowcount != 1:
        raise StepInDoubt(f"step {seq} ({name}) of run {run_id}")


def step_not_sent(conn: Connection, run_id: str, owner: str, seq: int, *, fenced: bool = False) -> None:
    """The write did not happen: never left, refused, or looked up and not there. It may be sent again."""
    if not fenced:
        require_ours(conn, run_id, owner)
    conn.execute(_NOT_SENT, {"of_run": run_id, "of_seq": seq})


def step_done(
    conn: Connection,
    run_id: str,
    owner: str,
    seq: int,
    name: str,
    value: Any,
    warnings: Sequence[str] = (),
    *,
    found: bool | None = None,
    fenced: bool = False,
) -> None:
    """The step's value, kept before anything else leaves; also for steps that only read, never started."""
    if not fenced:
        require_ours(conn, run_id, owner)
    values = {"run_id": run_id, "seq": seq, "name": name, "state": "done", "value": value}
    conn.execute(_DONE, values | {"warnings": list(warnings) or None, "found": found})


def steps_of(conn: Connection, run_id: str) -> list[Step]:
    """The steps of a run in order."""
    rows = conn.execute(_STEPS, {"of_run": run_id}).mappings()
    return [Step(**{**row, "warnings": row["warnings"] or []}) for row in rows]


def require_ours(conn: Connection, run_id: str, owner: str) -> None:
    """Raises LostLease unless the run is ours, and keeps it so until this transaction ends."""
    if conn.execute(_LOCK_OURS, {"of_run": run_id, "holder": owner}).first() is None:
        raise LostLease(run_id)


_LOCK_OURS = (
    select(run.c.id)
    .where(run.c.id == bindparam("of_run"), run.c.owner == bindparam("holder"), IS_LIVE)
    .with_for_update()
)
_NEW = insert(step).values(
    run_id=bindparam("run_id"),
    seq=bindparam("seq"),
    name=bindparam("name"),
    state=bindparam("state"),
)
_JOURNAL = _NEW.values(left_at=bindparam("left_at"))
_RESTART = {
    "state": _JOURNAL.excluded.state,
    "left_at": _JOURNAL.excluded.left_at,
    "name": _JOURNAL.excluded.name,
}
_KEY = [step.c.run_id, step.c.seq]
_START = _JOURNAL.on_conflict_do_update(index_elements=_KEY, set_=_RESTART, where=step.c.state == "failed")
_AGAIN = _JOURNAL.on_conflict_do_update(index_elements=_KEY, set_=_RESTART, where=step.c.state != "done")
_OUTCOME = _NEW.values(value=bindparam("value"), warnings=bindparam("warnings"), found=bindparam("found"))
_DONE = _OUTCOME.on_conflict_do_update(
    index_elements=_KEY,
    set_={
        "state": _OUTCOME.excluded.state,
        "value": _OUTCOME.excluded.value,
        "warnings": _OUTCOME.excluded.warnings,
        "found": _OUTCOME.excluded.found,
    },
)
_NOT_SENT = (
    update(step)
    .where(
        and_(
            step.c.run_id == bindparam("of_run"),
            step.c.seq == bindparam("of_seq"),
            step.c.state == "started",
        )
    )
    .values(state="failed")
)
_STEPS = select(step).where(step.c.run_id == bindparam("of_run")).order_by(step.c.seq)
