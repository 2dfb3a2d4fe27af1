"""Unit results as they were read from the LMS: kept for each enrolment, never taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, or_, select, tuple_

from gateway.store.base import insert
from gateway.store.tables_progress import unit_result


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """One unit of one enrolment. `code` is the national code or empty, `unit_id` tells apart those without.

    `date` is `YYYY-MM-DD`, None where the vendor has none; `source` says where it was read, `source_at` when.
    """

    code: str
    unit_id: str
    name: str
    outcome: str
    date: str | None
    source: str
    source_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUnit:
    """A unit result as it is kept; `changed_at` is when its date or outcome last became another."""

    tenant: str
    enrolment_id: str
    code: str
    unit_id: str
    name: str
    outcome: str
    date: str | None
    source: str
    source_at: float
    changed_at: float


Place = tuple[str, str, str]
"""Enrolment id, code and unit id of the last of a page."""


def keep(conn: Connection, tenant: str, enrolment_id: str, results: Sequence[UnitResult], now: float) -> int:
    """Keep them; only those whose date or outcome differ are written. How many that were."""
    # In one order, so that two gateways with the same list never wait for each other
    ordered = sorted(results, key=lambda unit: (unit.code, unit.unit_id))
    return sum(conn.execute(_KEEP, _row(tenant, enrolment_id, unit, now)).rowcount for unit in ordered)


def of_tenant(
    conn: Connection, tenant: str, after: Place | None = None, limit: int = 500
) -> list[StoredUnit]:
    """The tenant's unit results by enrolment, code and unit; `after` gives the next page."""
    query = _OF_TENANT if after is None else _OF_TENANT.where(tuple_(*_PLACE) > tuple_(*after))
    rows = conn.execute(query, {"in_tenant": tenant, "limit": limit}).mappings()
    return [StoredUnit(**row) for row in rows]


def _row(tenant: str, enrolment_id: str, unit: UnitResult, now: float) -> dict[str, object]:
    return {
        "tenant": tenant,
        "enrolment_id": enrolment_id,
        "code": unit.code,
        "unit_id": unit.unit_id,
        "name": unit.name,
        "outcome": unit.outcome,
        "date": unit.date,
        "source": unit.source,
        "source_at": unit.source_at,
        "changed_at": now,
    }


_PLACE = (unit_result.c.enrolment_id, unit_result.c.code, unit_result.c.unit_id)
_NEW = insert(unit_result)
_REPLACED = ("name", "outcome", "date", "source", "source_at", "changed_at")
_KEEP = _NEW.on_conflict_do_update(
    index_elements=list(unit_result.primary_key.columns),
    set_={name: _NEW.excluded[name] for name in _REPLACED},
    where=or_(
        unit_result.c.outcome != _NEW.excluded.outcome,
        unit_result.c.date.is_distinct_from(_NEW.excluded.date),
    ),
)
_OF_TENANT = (
    select(unit_result)
    .where(unit_result.c.tenant == bindparam("in_tenant"))
    .order_by(*_PLACE)
    .limit(bindparam("limit"))
)
