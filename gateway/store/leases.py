"""Durable leases by name: what the mapping's `serialise` holds across gateways."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection, and_, bindparam, delete, or_

from gateway.store.tables import insert, lease


def acquire(conn: Connection, tenant: str, text: str, owner: str, now: float, lease_s: float) -> bool:
    """Hold `text` for this tenant until `now + lease_s`; False when somebody else does.

    Whoever holds it may acquire it again, which renews it.
    """
    row = {"tenant": tenant, "name": _name(text), "owner": owner, "lease_until": now + lease_s}
    return conn.execute(_ACQUIRE, row | {"now": now}).rowcount == 1


def release(conn: Connection, tenant: str, text: str, owner: str) -> None:
    """Let go; does nothing when it is not, or no longer, ours."""
    conn.execute(_RELEASE, {"in_tenant": tenant, "of_name": _name(text), "holder": owner})


def _name(text: str) -> str:
    """Texts are student ids: only their hash is stored."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_NEW = insert(lease).values(
    tenant=bindparam("tenant"),
    name=bindparam("name"),
    owner=bindparam("owner"),
    lease_until=bindparam("lease_until"),
)
_ACQUIRE = _NEW.on_conflict_do_update(
    index_elements=[lease.c.tenant, lease.c.name],
    set_={"owner": _NEW.excluded.owner, "lease_until": _NEW.excluded.lease_until},
    where=or_(lease.c.lease_until <= bindparam("now"), lease.c.owner == _NEW.excluded.owner),
)
_RELEASE = delete(lease).where(
    and_(
        lease.c.tenant == bindparam("in_tenant"),
        lease.c.name == bindparam("of_name"),
        lease.c.owner == bindparam("holder"),
    )
)
