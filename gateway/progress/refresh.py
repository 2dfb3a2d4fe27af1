"""Reading one enrolment because something says that it has moved on: its per cent and its units at once."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.perform import reads
from gateway.perform.reading import Reading, is_news, note
from gateway.perform.tenant import Tenant
from gateway.progress.units import results
from gateway.store import units
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

READ_S = 30.0


async def refresh(tenant: Tenant, stored: StoredEnrolment) -> bool:
    """Read it at the vendor; True when RTOPilot is to be told something new.

    News are kept in one commit, and cost none when there are none. Raises NotFound when the vendor no longer
    has it, and GatewayError when it cannot be read now.
    """
    with_units = tenant.spec.units != "off"
    read_at = tenant.database.clock.now()
    outcome = await reads.read_known(tenant, stored, Deadline(READ_S), Trace(), staff=False, units=with_units)
    need, found = tenant.spec.units, []
    if need != "off":
        found = results(
            (outcome.reading or {}).get("units"),
            keep=tenant.policy.units,
            need=need,
            source=tenant.mapping.name,
            source_at=read_at,
        )
    progress = outcome.progress
    news = progress is not None and is_news(tenant, stored, progress)
    if not news and not found:
        return False

    def kept(conn: Connection) -> bool:
        if found:
            units.keep(conn, tenant.name, stored.id, found, read_at)
        if progress is None or not news:
            return False
        return note(conn, tenant, stored.id, Reading(progress=progress, read_at=read_at), read_at)

    return await tenant.database.write(kept)
