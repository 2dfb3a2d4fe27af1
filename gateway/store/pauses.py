"""Tenants whose key RTOPilot refused: nothing is sent with that key again; another key is another matter."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select

from gateway.store.base import insert
from gateway.store.tables_progress import pause as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """`key_hash` is a hash of the refused key, never the key; `at` is when it was refused first."""

    tenant: str
    key_hash: str
    reason: str
    at: float


def pause(conn: Connection, tenant: str, key_hash: str, reason: str, now: float) -> bool:
    """Nothing more with this key; False when that was so already, and the earlier reason stays."""
    row = {"tenant": tenant, "key_hash": key_hash, "reason": reason, "at": now}
    return conn.execute(_PAUSE, row).rowcount == 1


def is_paused(conn: Connection, tenant: str, key_hash: str) -> bool:
    return conn.execute(_THIS, {"in_tenant": tenant, "of_key": key_hash}).first() is not None


def all_paused(conn: Connection) -> list[Pause]:
    """Every pause, by tenant, the earliest first: also those of keys that have been replaced since."""
    return [Pause(**row) for row in conn.execute(_ALL).mappings()]


def lift(conn: Connection, tenant: str) -> int:
    """Let every key of the tenant be tried again; how many pauses that ended."""
    return conn.execute(_LIFT, {"in_tenant": tenant}).rowcount


_PAUSE = insert(table).on_conflict_do_nothing()
_THIS = select(table.c.at).where(
    table.c.tenant == bindparam("in_tenant"), table.c.key_hash == bindparam("of_key")
)
_ALL = select(table).order_by(table.c.tenant, table.c.at)
_LIFT = delete(table).where(table.c.tenant == bindparam("in_tenant"))
