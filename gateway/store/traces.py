"""Masked exchanges with a vendor, kept under the reference RTOPilot was given.

Those of a run are added in the commit of its other writes. Those of a read stay in a `Ring` in memory, and
are written down only when the read failed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from gateway.store.tables import insert, trace

MAX_PER_REFERENCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One exchange, masked already; `exchange` is JSON-like, `at` when it began in Unix seconds."""

    tenant: str
    operation: str
    at: float
    exchange: Any


def add(conn: Connection, reference: str, exchanges: Sequence[Traced], *, first: bool = False) -> int:
    """Append exchanges to a reference, up to MAX_PER_REFERENCE in all; returns how many were kept.

    `first`: nothing stands under this reference yet.
    """
    if not exchanges:
        return 0
    taken = 0 if first else conn.execute(_TAKEN, {"ref": reference}).scalar_one()
    rows = [
        {
            "reference": reference,
            "seq": seq,
            "tenant": item.tenant,
            "operation": item.operation,
            "at": item.at,
            "exchange": item.exchange,
        }
        for seq, item in enumerate(exchanges[: max(0, MAX_PER_REFERENCE - taken)], start=taken)
    ]
    if rows:
        conn.execute(_INSERT, rows)
    return len(rows)


def by_reference(conn: Connection, reference: str) -> list[Traced]:
    """The exchanges of one reference in the order they were added."""
    return [Traced(**row) for row in conn.execute(_BY_REFERENCE, {"ref": reference}).mappings()]


class Ring:
    """The exchanges of the last `size` references of this process; the oldest reference makes room."""

    def __init__(self, size: int = 500, each: int = 50) -> None:
        self._size = size
        self._each = each
        self._held: OrderedDict[str, list[Traced]] = OrderedDict()

    def add(self, reference: str, item: Traced) -> None:
        """Keep it, unless its reference has `each` already."""
        held = self._held.setdefault(reference, [])
        if len(held) < self._each:
            held.append(item)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def get(self, reference: str) -> list[Traced]:
        return list(self._held.get(reference, ()))

    def pop(self, reference: str) -> list[Traced]:
        """Take the exchanges out, to write them down."""
        return self._held.pop(reference, [])


_TAKEN = select(func.coalesce(func.max(trace.c.seq) + 1, 0)).where(trace.c.reference == bindparam("ref"))
_INSERT = insert(trace)
_BY_REFERENCE = (
    select(trace.c.tenant, trace.c.operation, trace.c.at, trace.c.exchange)
    .where(trace.c.reference == bindparam("ref"))
    .order_by(trace.c.seq)
)
