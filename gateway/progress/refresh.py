"""Reading one enrolment because something says that it has moved on: its per cent and its units at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from gateway.errors import NotFound
from gateway.perform import reads
from gateway.perform.reading import Reading, is_news, note
from gateway.perform.tenant import Tenant
from gateway.progress.units import results
from gateway.store import enrolments, units
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

READ_S = 30.0
AT_ONCE = 4
"""Readings under way for one tenant."""
MAX_REMEMBERED = 20_000

Key = tuple[str, str]
"""Tenant and enrolment id."""


async def refresh(tenant: Tenant, stored: StoredEnrolment) -> bool:
    """Read it at the vendor; True when RTOPilot is to be told something new.

    What was learnt is kept in one commit, unless the enrolment has ended meanwhile. Raises NotFound when the
    vendor no longer has it, and GatewayError when it cannot be read now.
    """
    read_at, need = tenant.database.clock.now(), tenant.spec.units
    outcome = await reads.read_known(
        tenant, stored, Deadline(READ_S), Trace(), staff=False, units=need != "off"
    )
    found = []
    if need != "off":
        found = results(
            (outcome.reading or {}).get("units"),
            keep=tenant.policy.units,
            need=need,
            source=tenant.mapping.name,
            source_at=read_at,
        )
    progress, now_stored = outcome.progress, await _active(tenant, stored.id)
    if now_stored is None:
        return False
    news = progress is not None and is_news(tenant, now_stored, progress)
    if not news and not found and not now_stored.units_due:
        return False

    reading = Reading(progress=progress, read_at=read_at, with_units=need != "off") if progress else None

    def kept(conn: Connection) -> bool:
        if found:
            units.keep(conn, tenant.name, stored.id, found, read_at)
        if now_stored.units_due:
            enrolments.units_read(conn, tenant.name, stored.id)
        if reading is None or not news:
            return False
        return note(conn, tenant, stored.id, reading, read_at)

    return await tenant.database.write(kept)


async def _active(tenant: Tenant, enrolment_id: str) -> StoredEnrolment | None:
    stored = await tenant.database.read(lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id))
    return stored if stored is not None and stored.state == "active" else None


@dataclass(slots=True)
class Refresher:
    """Readings of one process: of an enrolment one at a time, of a tenant a few, and none that is needless.

    Ten hints about one enrolment cost two readings: the one under way, and one that all the others share.
    """

    _read_at: dict[Key, float] = field(default_factory=dict)
    _reading: WeakValueDictionary[Key, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _places: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def since(self, tenant: Tenant, enrolment_id: str, hinted_at: float) -> bool:
        """Refresh it, unless it has ended or a reading left after `hinted_at`; True as `refresh`.

        Raises as `refresh` does; NotFound only once for all hints until then.
        """
        key = (tenant.name, enrolment_id)
        one = self._reading.setdefault(key, asyncio.Lock())
        async with one:
            if self._read_at.get(key, 0.0) >= hinted_at:
                return False
            async with self._places.setdefault(tenant.name, asyncio.Semaphore(AT_ONCE)):
                stored = await _active(tenant, enrolment_id)
                return stored is not None and await self._read(tenant, stored)

    async def _read(self, tenant: Tenant, stored: StoredEnrolment) -> bool:
        left_at = tenant.database.clock.now()
        try:
            news = await refresh(tenant, stored)
        except NotFound:
            self._remember((tenant.name, stored.id), left_at)
            raise
        self._remember((tenant.name, stored.id), left_at)
        return news

    def _remember(self, key: Key, left_at: float) -> None:
        self._read_at.pop(key, None)  # the newest stand last
        self._read_at[key] = left_at
        if len(self._read_at) > MAX_REMEMBERED:
            del self._read_at[next(iter(self._read_at))]
