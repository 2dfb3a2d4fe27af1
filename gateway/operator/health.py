"""What /health says of progress: what waits, what is kept aside, and how old the polls' knowledge is.

Counts and ages only, cheap enough to be asked every few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, literal_column, select, text

from gateway.progress.push import Target
from gateway.store import outbox, pauses, schedules
from gateway.store.schedules import Turn
from gateway.store.tables_progress import inbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The store's side of it, for all tenants. `paused` has (tenant, hash of a refused key)."""

    queues: Mapping[str, Mapping[str, int]]
    oldest: Mapping[str, float]
    paused: frozenset[tuple[str, str]]
    arrived: Mapping[str, int]
    aside: Mapping[str, int]
    polls: Mapping[str, Sequence[Turn]]

    def of(self, tenant: str, target: Target | None, now: float) -> dict[str, Any]:
        """One tenant's part; ages in seconds, null where there are none. No `target`: nothing is pushed."""
        queue = self.queues.get(tenant, {})
        return {
            "pushed": target is not None,
            "paused": target is not None and (tenant, target.key.fingerprint) in self.paused,
            "waiting": queue.get("pending", 0),
            "oldest_waiting_s": _age(self.oldest.get(tenant), now),
            "dead_letters": queue.get("dead", 0),
            "webhooks": {"waiting": self.arrived.get(tenant, 0), "kept_aside": self.aside.get(tenant, 0)},
            "polls": {turn.name: _poll(turn, now) for turn in self.polls.get(tenant, ())},
        }


def snapshot(conn: Connection) -> Snapshot:
    polls: dict[str, list[Turn]] = {}
    for turn in schedules.list_items(conn):
        polls.setdefault(turn.tenant, []).append(turn)
    return Snapshot(
        queues=outbox.counts(conn),
        oldest=outbox.oldest(conn),
        paused=frozenset((each.tenant, each.key_hash) for each in pauses.all_paused(conn)),
        arrived={row.tenant: row.n for row in conn.execute(_ARRIVED)},
        aside={row.tenant: row.n for row in conn.execute(_ASIDE)},
        polls=polls,
    )


def _poll(turn: Turn, now: float) -> dict[str, Any]:
    """`last_ok_s`: how old the last whole sweep is; `failures` and `error` are of the tries since."""
    return {
        "last_ok_s": _age(turn.last_ok_at, now),
        "failures": turn.failures,
        "error": turn.last_error,
        "late_s": max(0, round(now - turn.next_due)),
    }


def _age(at: float | None, now: float) -> int | None:
    return None if at is None else max(0, round(now - at))


# As text, so that the partial indexes serve, and by an expression, so that no index by tenant looks better:
# what was worked off is most of the table
_TENANT: Any = literal_column("inbox.tenant || ''")
_BY_TENANT = select(_TENANT.label("tenant"), func.count().label("n")).select_from(inbox).group_by(_TENANT)
_ARRIVED = _BY_TENANT.where(text("inbox.state = 'new'"))
_ASIDE = _BY_TENANT.where(text("inbox.state = 'quarantined'"))
