"""Runs: one row for each write RTOPilot asked for, so that the same request again is not done twice.

Source: durability.md 1; vendors/rtopilot.md 8 rows 9 and 10. Steps of a run are in `steps.py`.
Every change to a run somebody may have claimed is fenced by `owner` and raises LostLease when it is not ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, or_, select, text, update

from gateway.store.claims import LostLease, claim_statement
from gateway.store.tables import IS_LIVE, enrolment, insert, run

State = Literal["running", "in_doubt", "done", "failed"]
Kind = Literal["new", "joined", "in_doubt", "answered"]

TRIES = 5
"""How often `begin` looks again when the run in its way ended meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. `input`, `output`, `error` are what perform stored; `tries` counts how often it fell in doubt.

    `enrolment_id` and `student_id` are as RTOPilot knows them. `due_at` is when background settling may
    look again; None while in doubt: only a person settles it. `told_error_at`: RTOPilot last heard an error.
    """

    id: str
    tenant: str
    operation: str
    fingerprint: str
    state: State
    input: Any
    output: Any
    error: Any
    enrolment_id: str | None
    student_id: str | None
    mapping_hash: str
    owner: str | None
    lease_until: float | None
    due_at: float | None
    tries: int
    created_at: float
    finished_at: float | None
    told_error_at: float | None
    repeated_at: float | None
    listed_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What came of a request: `new` and `in_doubt` runs are ours to carry on, the others are not.

    new: do it · joined: wait for its end · in_doubt: look up its steps in doubt first, then carry it on ·
    answered: `run.output` is the answer.
    """

    kind: Kind
    run: Run


def begin(
    conn: Connection,
    *,
    tenant: str,
    operation: str,
    fingerprint: str,
    input: Any,
    owner: str,
    now: float,
    lease_s: float,
    mapping_hash: str,
    repeat_window_s: float = 900.0,
    while_active: bool = False,
    student_id: str | None = None,
    run_id: str | None = None,
) -> Begun:
    """Start a run, or find the one this request repeats; atomic across gateways.

    A run that is done answers for `repeat_window_s` seconds, or for as long as the enrolment it made has
    never been seen again; with `while_active` (transfers) for as long as that enrolment is active.
    It never answers once that enrolment is cancelled or moved. A stored error is never replayed.
    `input` must be JSON-like. `run_id` is made here unless the caller has one.
    """
    row = {
        "id": run_id or str(uuid4()),
        "tenant": tenant,
        "operation": operation,
        "fingerprint": fingerprint,
        "state": "running",
        "input": input,
        "student_id": student_id,
        "mapping_hash": mapping_hash,
        "owner": owner,
        "lease_until": now + lease_s,
        "tries": 0,
        "created_at": now,
    }
    for _ in range(TRIES):
        # First take the place, then look for an earlier answer: no gap in which another gateway
        # could begin and finish the same request unseen.
        if conn.execute(_INSERT, row).rowcount:
            earlier = _earlier_answer(conn, tenant, fingerprint, now - repeat_window_s, while_active)
            if earlier is None:
                return Begun(kind="new", run=Run(**_NOTHING_YET, **row))
            conn.execute(_DELETE, {"run_id": row["id"]})
            return Begun(kind="answered", run=_repeated(conn, earlier, now))
        standing = conn.execute(_STANDING, {"tenant": tenant, "fingerprint": fingerprint}).mappings().first()
        if standing is not None:
            return _join(conn, _run(standing), owner, now, lease_s)
    raise LostLease("The run in the way kept ending and beginning again.")


def finish(
    conn: Connection, run_id: str, owner: str, output: Any, *, now: float, enrolment_id: str | None = None
) -> None:
    """The run is done; `enrolment_id` names the enrolment it made (create, transfer). Raises LostLease."""
    _fenced(conn, _FINISH, run_id, owner, output=output, made=enrolment_id, now=now)


def fail(conn: Connection, run_id: str, owner: str, error: Any, *, now: float) -> None:
    """The run ended and nothing is in doubt; the same request again is a new run. Raises LostLease."""
    _fenced(conn, _FAIL, run_id, owner, error=error, now=now)


def in_doubt(conn: Connection, run_id: str, owner: str, due_at: float | None, *, error: Any = None) -> None:
    """Let go of a run with an unknown outcome; looked up after `due_at`, or (None) by a person only.

    Raises LostLease.
    """
    _fenced(conn, _IN_DOUBT, run_id, owner, due=due_at, error=error)


def renew_lease(conn: Connection, run_id: str, owner: str, until: float) -> None:
    """Keep the run ours until `until`. Raises LostLease."""
    _fenced(conn, _RENEW, run_id, owner, until=until)


def claim_due(conn: Connection, owner: str, now: float, lease_s: float, limit: int = 20) -> list[Run]:
    """Runs in doubt that are due, and running ones whose owner is gone; they are ours now.

    Their `state` is left as it was. The caller looks up, and never sends again what is in doubt.
    """
    values = {"now": now, "new_owner": owner, "new_until": now + lease_s, "limit": limit}
    return [_run(row) for row in conn.execute(_CLAIM, values).mappings()]


def claim(conn: Connection, run_id: str, owner: str, now: float, lease_s: float) -> Run:
    """Take one live run that nobody holds, whatever its due time: `runs settle`. Raises LostLease."""
    values = {"run_id": run_id, "now": now, "new_owner": owner, "new_until": now + lease_s}
    row = conn.execute(_CLAIM_ONE, values).mappings().first()
    if row is None:
        raise LostLease(run_id)
    return _run(row)


def told_error(conn: Connection, run_id: str, now: float) -> None:
    """RTOPilot heard an error for this run, whoever holds it."""
    conn.execute(_TOLD_ERROR, {"run_id": run_id, "now": now})


def unheard(
    conn: Connection, now: float, *, operations: Sequence[str], after_s: float = 86_400.0, limit: int = 100
) -> list[Run]:
    """Runs that are done although RTOPilot was told an error, and not repeated since, `after_s` ago.

    For the manual list; `mark_listed` takes them off this one.
    """
    values = {"operations": list(operations), "before": now - after_s, "limit": limit}
    return [_run(row) for row in conn.execute(_UNHEARD, values).mappings()]


def mark_listed(conn: Connection, run_id: str, now: float) -> None:
    conn.execute(_MARK_LISTED, {"run_id": run_id, "now": now})


def get(conn: Connection, run_id: str) -> Run | None:
    row = conn.execute(_GET, {"run_id": run_id}).mappings().first()
    return None if row is None else _run(row)


def ending(conn: Connection, tenant: str) -> list[Run]:
    """The cancels and transfers that are at work or in doubt."""
    return [_run(row) for row in conn.execute(_ENDING, {"tenant": tenant}).mappings()]


def making(conn: Connection, tenant: str, student_id: str | None, now: float) -> list[Run]:
    """The creates and transfers for this student that somebody is at work on; not those that lie in doubt."""
    values = {"tenant": tenant, "student": student_id, "now": now}
    return [_run(row) for row in conn.execute(_MAKING, values).mappings()]


def list_runs(
    conn: Connection,
    *,
    tenant: str | None = None,
    state: State | None = None,
    operation: str | None = None,
    before: float | None = None,
    limit: int = 100,
) -> list[Run]:
    """The newest runs that match, newest first; `before` (a `created_at`) gives the next page."""
    query = select(run).order_by(run.c.created_at.desc(), run.c.id).limit(min(limit, 1000))
    for column, wanted in ((run.c.tenant, tenant), (run.c.state, state), (run.c.operation, operation)):
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(run.c.created_at < before)
    return [_run(row) for row in conn.execute(query).mappings()]


def _run(row: RowMapping) -> Run:
    return Run(**row)


def _join(conn: Connection, standing: Run, owner: str, now: float, lease_s: float) -> Begun:
    """Wait for whoever is at work on it, or take it over when nobody is."""
    if standing.lease_until is not None and standing.lease_until > now:
        return Begun(kind="joined", run=_repeated(conn, standing, now))
    values = {"run_id": standing.id, "new_owner": owner, "new_until": now + lease_s, "now": now}
    row = conn.execute(_TAKE_OVER, values).mappings().one()
    return Begun(kind="in_doubt", run=_run(row))


def _repeated(conn: Connection, found: Run, now: float) -> Run:
    """Note that RTOPilot asked again, which only matters after it was told an error."""
    if found.told_error_at is not None:
        conn.execute(_REPEATED, {"run_id": found.id, "now": now})
    return found


def _earlier_answer(
    conn: Connection, tenant: str, fingerprint: str, since: float, while_active: bool
) -> Run | None:
    values = {"tenant": tenant, "fingerprint": fingerprint}
    row = conn.execute(_LATEST_DONE, values).mappings().first()
    if row is None:
        return None
    fields = dict(row)
    state, seen_at = fields.pop("made_state"), fields.pop("made_seen_at")
    found = Run(**fields)
    recent = found.finished_at is not None and found.finished_at > since
    if found.enrolment_id is None:
        return found if recent else None
    return found if state == "active" and (recent or while_active or seen_at is None) else None


def _fenced(conn: Connection, statement: Any, run_id: str, owner: str, **values: Any) -> None:
    if conn.execute(statement, {"run_id": run_id, "holder": owner, **values}).rowcount != 1:
        raise LostLease(run_id)


_NOTHING_YET: dict[str, Any] = dict.fromkeys(
    (
        "output",
        "error",
        "enrolment_id",
        "due_at",
        "finished_at",
        "told_error_at",
        "repeated_at",
        "listed_at",
    )
)
_SAME = and_(run.c.tenant == bindparam("tenant"), run.c.fingerprint == bindparam("fingerprint"))
_THIS = run.c.id == bindparam("run_id")
_OURS = and_(_THIS, run.c.owner == bindparam("holder"), IS_LIVE)
_NOW: Any = bindparam("now")
_FREE = or_(run.c.lease_until.is_(None), run.c.lease_until <= _NOW)
_DUE = or_(
    and_(run.c.state == "running", run.c.lease_until <= _NOW),
    and_(run.c.state == "in_doubt", run.c.due_at <= _NOW, _FREE),
)
_LET_GO = {"owner": None, "lease_until": None}
_TAKEN: dict[str, Any] = {"owner": bindparam("new_owner"), "lease_until": bindparam("new_until")}

_INSERT = insert(run).on_conflict_do_nothing()
_DELETE = delete(run).where(_THIS)
_GET = select(run).where(_THIS)
_STANDING = select(run).where(_SAME, IS_LIVE).with_for_update()
_ENDS = text("run.operation IN ('cancelEnrolment', 'transferEnrolment')")  # as text: see IS_LIVE
_ENDING = select(run).where(run.c.tenant == bindparam("tenant"), _ENDS, IS_LIVE)
_MAKES = text("run.operation IN ('createEnrolment', 'transferEnrolment')")
_MAKING = select(run).where(
    run.c.tenant == bindparam("tenant"),
    run.c.student_id == bindparam("student"),
    _MAKES,
    IS_LIVE,
    run.c.lease_until > _NOW,
)
_LATEST_DONE = (
    select(run, enrolment.c.state.label("made_state"), enrolment.c.seen_at.label("made_seen_at"))
    .outerjoin(enrolment, and_(enrolment.c.tenant == run.c.tenant, enrolment.c.id == run.c.enrolment_id))
    .where(_SAME, run.c.state == "done")
    .order_by(run.c.finished_at.desc())
    .limit(1)
)
_TAKE_OVER = update(run).where(_THIS).values(state="running", repeated_at=_NOW, **_TAKEN).returning(*run.c)
_FINISH = (
    update(run)
    .where(_OURS)
    .values(
        state="done",
        output=bindparam("output"),
        enrolment_id=bindparam("made"),
        error=None,
        finished_at=_NOW,
        due_at=None,
        **_LET_GO,
    )
)
_FAIL = (
    update(run)
    .where(_OURS)
    .values(state="failed", error=bindparam("error"), finished_at=_NOW, due_at=None, **_LET_GO)
)
_IN_DOUBT = (
    update(run)
    .where(_OURS)
    .values(
        state="in_doubt",
        due_at=bindparam("due"),
        error=bindparam("error"),
        tries=run.c.tries + 1,
        **_LET_GO,
    )
)
_RENEW = update(run).where(_OURS).values(lease_until=bindparam("until"))
_CLAIM = claim_statement(run, _DUE, run.c.created_at)
_CLAIM_ONE = update(run).where(_THIS, IS_LIVE, _FREE).values(**_TAKEN).returning(*run.c)
_TOLD_ERROR = update(run).where(_THIS).values(told_error_at=_NOW)
_REPEATED = update(run).where(_THIS).values(repeated_at=_NOW)
_MARK_LISTED = update(run).where(_THIS).values(listed_at=_NOW)
_UNHEARD = (
    select(run)
    .where(
        run.c.state == "done",
        run.c.operation.in_(bindparam("operations", expanding=True)),
        run.c.told_error_at <= bindparam("before"),
        or_(run.c.repeated_at.is_(None), run.c.repeated_at < run.c.told_error_at),
        run.c.listed_at.is_(None),
    )
    .order_by(run.c.created_at)
    .limit(bindparam("limit"))
)
