"""Call budgets: how many calls a tenant's vendor account still takes, counted once for all gateways.

A window begins at a whole multiple of its length since 1970 (a day: midnight UTC). A vendor that counts from
another moment may see up to twice the limit in a row across its own boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from sqlalchemy import Connection, and_, bindparam, select, update

from gateway.store.tables import budget, insert


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` calls in every `per_s` seconds."""

    limit: int
    per_s: float

    @property
    def name(self) -> str:
        return f"{self.limit}/{self.per_s:g}"

    def window(self, now: float) -> float:
        """When the window that holds `now` began."""
        return floor(now / self.per_s) * self.per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`granted` calls may be made before `until`; none: ask again in `wait_s` seconds."""

    granted: int
    until: float
    wait_s: float


def take(
    conn: Connection,
    *,
    tenant: str,
    rates: Sequence[Rate],
    now: float,
    reserve: float = 0.0,
    staff: bool = True,
    least: int = 1,
    most: int = 1,
) -> Grant:
    """Draw between `least` and `most` calls from every rate at once, or from none.

    `reserve` is the share (0..1) of each window kept for staff actions: others get what is left above it.
    `most` may be more than one, so that a process need not ask for every call (`allowance.py`).
    """
    used = _used(conn, tenant, rates, now)
    kept = 0.0 if staff else reserve
    free = {rate: floor(rate.limit * (1 - kept)) - used[rate.name] for rate in rates}
    short = [rate for rate in rates if free[rate] < min(least, rate.limit)]
    if short:
        return Grant(granted=0, until=now, wait_s=max(_end(rate, now) - now for rate in short))
    granted = max(least, min([most, *free.values()]))
    _write(conn, tenant, {rate: used[rate.name] + granted for rate in rates}, now)
    return Grant(granted=granted, until=min((_end(rate, now) for rate in rates), default=now), wait_s=0.0)


def give_back(conn: Connection, *, tenant: str, rates: Sequence[Rate], drawn_at: float, count: int) -> None:
    """Return calls that were drawn at `drawn_at` and not made; in vain once their window is over."""
    for rate in rates:
        values = {"in_tenant": tenant, "of_rate": rate.name, "began": rate.window(drawn_at), "count": count}
        conn.execute(_GIVE_BACK, values)


def observe(conn: Connection, *, tenant: str, rate: Rate, remaining: int, now: float) -> None:
    """The vendor says how many calls remain in this window; believed when that is fewer than we counted."""
    used = _used(conn, tenant, [rate], now)[rate.name]
    if (theirs := rate.limit - remaining) > used:
        _write(conn, tenant, {rate: theirs}, now)


def _end(rate: Rate, now: float) -> float:
    return rate.window(now) + rate.per_s


def _used(conn: Connection, tenant: str, rates: Sequence[Rate], now: float) -> dict[str, int]:
    """Calls drawn in the present window of each rate; the rows are ours until the transaction ends."""
    rows = conn.execute(_LOCK, {"in_tenant": tenant, "rates": [rate.name for rate in rates]}).all()
    if len(rows) < len({rate.name for rate in rates}):
        new = [{"tenant": tenant, "rate": rate.name, "window_start": 0.0, "used": 0} for rate in rates]
        conn.execute(_CREATE, new)
        return _used(conn, tenant, rates, now)
    counts = {row.rate: (row.window_start, row.used) for row in rows}
    # A later window than ours is another gateway's clock running ahead: its count holds
    return {rate.name: _count(counts[rate.name], rate.window(now)) for rate in rates}


def _count(stored: tuple[float, int], window: float) -> int:
    began, used = stored
    return used if began >= window else 0


def _write(conn: Connection, tenant: str, used: dict[Rate, int], now: float) -> None:
    for rate, count in used.items():
        values = {"in_tenant": tenant, "of_rate": rate.name, "began": rate.window(now), "count": count}
        conn.execute(_SET, values)


_THIS = and_(budget.c.tenant == bindparam("in_tenant"), budget.c.rate == bindparam("of_rate"))
_LOCK = (
    select(budget.c.rate, budget.c.window_start, budget.c.used)
    .where(budget.c.tenant == bindparam("in_tenant"), budget.c.rate.in_(bindparam("rates", expanding=True)))
    .order_by(budget.c.rate)  # always locked in one order: no deadlock
    .with_for_update()
)
_CREATE = insert(budget).on_conflict_do_nothing()
_SET = update(budget).where(_THIS).values(window_start=bindparam("began"), used=bindparam("count"))
_GIVE_BACK = (
    update(budget)
    .where(_THIS, budget.c.window_start == bindparam("began"), budget.c.used >= bindparam("count"))
    .values(used=budget.c.used - bindparam("count"))
)
