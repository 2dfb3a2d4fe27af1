"""What was received by webhook and answered with 200: kept until it has been worked off.

An event is worked off at least once; whoever does so fences with `owner` (LostLease). What could not be
trusted or understood is quarantined for a person to look at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, and_, bindparam, func, or_, select, text, update

from gateway.store.base import insert
from gateway.store.claims import LostLease, claim_statement
from gateway.store.tables_progress import inbox, seen_event

State = Literal["new", "done", "quarantined"]

MAX_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request as it came. `source` is `lms:WEBHOOK:MARK` (`lms` in older rows) or `rtopilot:EVENT`.

    `reason` says why it is quarantined. `raw` are the bytes of the body, `query` is the text of the query
    string. `dedupe`: an identical one need not be kept while this waits; gone once somebody begins with it.
    `tries` counts the failed ones.
    """

    id: str
    tenant: str
    source: str
    state: State
    raw: bytes
    headers: dict[str, str]
    query: str
    reason: str | None
    dedupe: str | None
    due_at: float
    tries: int
    owner: str | None
    lease_until: float | None
    last_error: str | None
    received_at: float
    finished_at: float | None


def store(
    conn: Connection,
    *,
    tenant: str,
    source: str,
    raw: bytes,
    headers: Mapping[str, str],
    query: str = "",
    now: float,
    dedupe: str | None = None,
    quarantined: str | None = None,
) -> str | None:
    """Keep what came in; its id, or None when an identical `dedupe` waits and nobody has begun with it.

    One that somebody has begun with does not count: what it says may have been read before this one came.
    `quarantined` is the reason to set it apart at once.
    """
    row = {
        "id": str(uuid4()),
        "tenant": tenant,
        "source": source,
        "state": "new" if quarantined is None else "quarantined",
        "raw": raw,
        "headers": dict(headers),
        "query": query,
        "reason": quarantined,
        "dedupe": dedupe if quarantined is None else None,
        "due_at": now,
        "tries": 0,
        "received_at": now,
        "finished_at": None if quarantined is None else now,
    }
    return str(row["id"]) if conn.execute(_STORE, row).rowcount else None


def claim(
    conn: Connection,
    owner: str,
    now: float,
    lease_s: float,
    limit: int = 20,
    *,
    skip: Collection[str] = (),
) -> list[Delivery]:
    """What is due and nobody is at work on, ours from now on, in the order it came due.

    Nothing of the tenants in `skip`: they have enough under way, and others come first.
    """
    values = {
        "now": now,
        "new_owner": owner,
        "new_until": now + lease_s,
        "limit": limit,
        "skip": list(skip),
    }
    found = [_delivery(row) for row in conn.execute(_CLAIM, values).mappings()]
    return sorted(found, key=lambda item: (item.due_at, item.id))  # RETURNING promises no order


def renew(conn: Connection, ids: Collection[str], owner: str, until: float) -> int:
    """Keep those that are still ours until then; how many they are."""
    return conn.execute(_RENEW, {"ids": list(ids), "holder": owner, "until": until}).rowcount


def finish(conn: Connection, id: str, owner: str, now: float) -> None:
    """It is worked off. Raises LostLease."""
    _fenced(conn, _FINISH, id, owner, now=now)


def later(conn: Connection, id: str, owner: str, due_at: float, error: str) -> None:
    """A try failed: again at `due_at`. `error` must hold no secret and is cut. Raises LostLease."""
    _fenced(conn, _LATER, id, owner, due=due_at, error=error[:MAX_ERROR])


def quarantine(conn: Connection, id: str, owner: str, reason: str, now: float) -> None:
    """Set it apart for a person to look at. Raises LostLease."""
    _fenced(conn, _QUARANTINE, id, owner, why=reason[:MAX_ERROR], now=now)


def release_quarantined(conn: Connection, id: str, now: float) -> bool:
    """A person trusts it: worked off as if it came now. False when it is not quarantined."""
    return conn.execute(_RELEASE, {"of_id": id, "now": now}).rowcount == 1


def get(conn: Connection, id: str) -> Delivery | None:
    row = conn.execute(_GET, {"of_id": id}).mappings().first()
    return None if row is None else _delivery(row)


def list_items(
    conn: Connection, *, tenant: str | None = None, state: State | None = None, limit: int = 100
) -> list[Delivery]:
    """The newest that match, newest first."""
    query = select(inbox).order_by(inbox.c.received_at.desc(), inbox.c.id).limit(min(limit, 1000))
    if tenant is not None:
        query = query.where(inbox.c.tenant == tenant)
    if state is not None:
        query = query.where(_IN_STATE[state])
    return [_delivery(row) for row in conn.execute(query).mappings()]


def counts(conn: Connection) -> dict[str, dict[str, int]]:
    """How many deliveries each tenant has in each state: `{tenant: {state: n}}`."""
    found: dict[str, dict[str, int]] = {}
    for row in conn.execute(_COUNTS):
        found.setdefault(row.tenant, {})[row.state] = row.n
    return found


def seen(conn: Connection, tenant: str, source: str, event_id: str) -> bool:
    """Whether an event of this id has been marked as seen."""
    return conn.execute(_SEEN, _event(tenant, source, event_id)).first() is not None


def mark_seen(conn: Connection, tenant: str, source: str, event_id: str, now: float) -> bool:
    """Remember the event; False when it was remembered already. Only a hash of its id is kept."""
    return conn.execute(_MARK_SEEN, {**_event(tenant, source, event_id), "at": now}).rowcount == 1


def _event(tenant: str, source: str, event_id: str) -> dict[str, Any]:
    id_hash = sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()
    return {"tenant": tenant, "source": source, "id_hash": id_hash}


def _delivery(row: Any) -> Delivery:
    return Delivery(**row)


def _fenced(conn: Connection, statement: Any, id: str, owner: str, **values: Any) -> None:
    if conn.execute(statement, {"of_id": id, "holder": owner, **values}).rowcount != 1:
        raise LostLease(id)


_NOW: Any = bindparam("now")
_THIS = inbox.c.id == bindparam("of_id")
_IS_NEW = text("inbox.state = 'new'")  # as text: see `base.only`
_IS_QUARANTINED = text("inbox.state = 'quarantined'")
_IN_STATE: dict[str, Any] = {"new": _IS_NEW, "quarantined": _IS_QUARANTINED, "done": inbox.c.state == "done"}
_OURS = and_(_THIS, inbox.c.owner == bindparam("holder"), _IS_NEW)
_LET_GO: dict[str, Any] = {"owner": None, "lease_until": None}
_DUE = and_(_IS_NEW, inbox.c.due_at <= _NOW, or_(inbox.c.lease_until.is_(None), inbox.c.lease_until <= _NOW))
_STORE = insert(inbox).on_conflict_do_nothing()
_NOT_SKIPPED = inbox.c.tenant.not_in(bindparam("skip", expanding=True))
_CLAIM = claim_statement(inbox, and_(_DUE, _NOT_SKIPPED), inbox.c.due_at).values(dedupe=None)
_RENEW = (
    update(inbox)
    .where(inbox.c.id.in_(bindparam("ids", expanding=True)), inbox.c.owner == bindparam("holder"), _IS_NEW)
    .values(lease_until=bindparam("until"))
)
_GET = select(inbox).where(_THIS)
_FINISH = update(inbox).where(_OURS).values(state="done", finished_at=_NOW, **_LET_GO)
_LATER = (
    update(inbox)
    .where(_OURS)
    .values(due_at=bindparam("due"), last_error=bindparam("error"), tries=inbox.c.tries + 1, **_LET_GO)
)
_QUARANTINE = (
    update(inbox)
    .where(_OURS)
    .values(state="quarantined", reason=bindparam("why"), finished_at=_NOW, **_LET_GO)
)
_RELEASE = (
    update(inbox)
    .where(_THIS, _IS_QUARANTINED)
    .values(state="new", due_at=_NOW, tries=0, finished_at=None, last_error=None)
)
_COUNTS = select(inbox.c.tenant, inbox.c.state, func.count().label("n")).group_by(
    inbox.c.tenant, inbox.c.state
)
_SEEN = select(seen_event.c.at).where(
    seen_event.c.tenant == bindparam("tenant"),
    seen_event.c.source == bindparam("source"),
    seen_event.c.id_hash == bindparam("id_hash"),
)
_MARK_SEEN = insert(seen_event).on_conflict_do_nothing()
