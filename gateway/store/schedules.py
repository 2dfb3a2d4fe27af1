"""When each tenant's polls run next, so that one gateway at a time runs each, however many there are.

Every change by whoever runs a poll is fenced by `owner` and raises LostLease when it is not theirs any more.
Source: durability.md 4.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, tuple_, update

from gateway.store.base import insert
from gateway.store.claims import LostLease, claim_statement
from gateway.store.tables_progress import schedule

MAX_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One plan of one tenant. `cursor` is where it goes on, the plan's own words; None at the beginning.

    `started_at`: when the pass under way, or the last one, began; `last_ok_at`: as of when the last whole
    pass holds. `failures` counts those since.
    """

    tenant: str
    name: str
    next_due: float
    owner: str | None
    lease_until: float | None
    started_at: float | None
    cursor: Any
    last_ok_at: float | None
    failures: int
    last_error: str | None


def ensure(conn: Connection, tenant: str, name: str, next_due: float) -> bool:
    """The plan exists, first due then; False when it did already, which is left as it is."""
    row = {"tenant": tenant, "name": name, "next_due": next_due, "failures": 0}
    return conn.execute(_ENSURE, row).rowcount == 1


def claim(
    conn: Connection,
    owner: str,
    now: float,
    lease_s: float,
    limit: int,
    plans: Collection[tuple[str, str]] | None = None,
) -> list[Turn]:
    """Plans that are due and nobody runs, ours from now on, longest due first.

    `plans`: only of these, each as (tenant, name): another gateway may run another version of a mapping.
    """
    values: dict[str, Any] = {"now": now, "new_owner": owner, "new_until": now + lease_s, "limit": limit}
    if plans is None:
        rows = conn.execute(_CLAIM, values)
    else:
        rows = conn.execute(_CLAIM_OF, values | {"plans": list(plans)})
    found = [Turn(**row) for row in rows.mappings()]
    return sorted(found, key=lambda turn: turn.next_due)  # RETURNING promises no order


def renew(conn: Connection, tenant: str, name: str, owner: str, until: float) -> None:
    """Keep the plan ours until `until`. Raises LostLease."""
    _fenced(conn, _RENEW, tenant, name, owner, until=until)


def finish(
    conn: Connection,
    tenant: str,
    name: str,
    owner: str,
    *,
    next_due: float,
    cursor: Any,
    started_at: float | None,
    last_ok_at: float | None,
    failures: int,
    error: str | None = None,
) -> None:
    """Let go of the plan until `next_due`, with everything about it replaced; see Turn. Raises LostLease."""
    values = {
        "due": next_due,
        "place": cursor,
        "began": started_at,
        "ok": last_ok_at,
        "failed": failures,
        "error": None if error is None else error[:MAX_ERROR],
    }
    _fenced(conn, _FINISH, tenant, name, owner, **values)


def give_back(conn: Connection, owner: str) -> int:
    """Let go of all plans of this owner as they stand, so that others go on at once; how many that were."""
    return conn.execute(_GIVE_BACK, {"holder": owner}).rowcount


def list_items(conn: Connection, tenant: str | None = None) -> list[Turn]:
    """All plans, or those of a tenant, by tenant and name."""
    query = _LIST if tenant is None else _LIST.where(schedule.c.tenant == tenant)
    return [Turn(**row) for row in conn.execute(query).mappings()]


def drop_others(conn: Connection, tenant: str, names: Collection[str]) -> int:
    """Forget the tenant's plans that are not among `names`; how many that were."""
    return conn.execute(_DROP_OTHERS, {"in_tenant": tenant, "names": list(names)}).rowcount


def _fenced(conn: Connection, statement: Any, tenant: str, name: str, owner: str, **values: Any) -> None:
    row = {"in_tenant": tenant, "of_name": name, "holder": owner, **values}
    if conn.execute(statement, row).rowcount != 1:
        raise LostLease(f"{tenant}/{name}")


_NOW: Any = bindparam("now")
_TENANT = schedule.c.tenant == bindparam("in_tenant")
_OURS = and_(_TENANT, schedule.c.name == bindparam("of_name"), schedule.c.owner == bindparam("holder"))
_DUE = and_(
    schedule.c.next_due <= _NOW, or_(schedule.c.lease_until.is_(None), schedule.c.lease_until <= _NOW)
)
_ENSURE = insert(schedule).on_conflict_do_nothing()
_CLAIM = claim_statement(schedule, _DUE, schedule.c.next_due)
_OF_PLANS = tuple_(schedule.c.tenant, schedule.c.name).in_(bindparam("plans", expanding=True))
_CLAIM_OF = claim_statement(schedule, and_(_DUE, _OF_PLANS), schedule.c.next_due)
_RENEW = update(schedule).where(_OURS).values(lease_until=bindparam("until"))
_FINISH = (
    update(schedule)
    .where(_OURS)
    .values(
        next_due=bindparam("due"),
        cursor=bindparam("place"),
        started_at=bindparam("began"),
        last_ok_at=bindparam("ok"),
        failures=bindparam("failed"),
        last_error=bindparam("error"),
        owner=None,
        lease_until=None,
    )
)
_GIVE_BACK = (
    update(schedule)
    .where(schedule.c.owner == bindparam("holder"))
    .values(owner=None, lease_until=None)
    .execution_options(preserve_rowcount=True)
)
_LIST = select(schedule).order_by(schedule.c.tenant, schedule.c.name)
_DROP_OTHERS = delete(schedule).where(_TENANT, schedule.c.name.not_in(bindparam("names", expanding=True)))
