"""The face of the room: the three workers that bring progress back, wired to each other.

webhook -> intake -> outbox -> deliveries        poll -> outbox -> deliveries
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.perform.reading import told_percent
from gateway.perform.tenant import Tenant
from gateway.progress import students
from gateway.progress.delivery import Deliveries
from gateway.progress.intake import Intake
from gateway.progress.poll import Poller
from gateway.progress.push import Target
from gateway.progress.refresh import refresh
from gateway.progress.timing import Override
from gateway.store import enrolments, outbox
from gateway.store.database import Database

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The workers of one process; nothing is at work before `work`."""

    database: Database
    tenants: Mapping[str, Tenant]
    deliveries: Deliveries
    intake: Intake
    poller: Poller

    async def work(self) -> None:
        """Work until cancelled."""
        await self._catch_up()
        async with asyncio.TaskGroup() as workers:
            for worker in (self.deliveries, self.intake, self.poller):
                workers.create_task(worker.forever())

    async def _catch_up(self) -> None:
        """What was learnt while a tenant's progress did not go to RTOPilot is queued when it does."""
        for name in self.deliveries.targets:
            tenant = self.tenants[name]
            while await self.database.write(lambda conn: _queue_untold(conn, tenant)):  # noqa: B023 (awaited at once)
                pass


def _queue_untold(conn: Connection, tenant: Tenant) -> bool:
    now = tenant.database.clock.now()
    untold = enrolments.untold(conn, tenant.name, PAGE)
    for stored in untold:
        if stored.last_progress is not None:
            outbox.put(conn, tenant.name, stored.id, told_percent(tenant, stored, stored.last_progress), now)
    return len(untold) == PAGE


def open_progress(
    database: Database,
    tenants: Mapping[str, Tenant],
    targets: Mapping[str, Target],
    owner: str,
    *,
    overrides: Mapping[str, Override],
    merged_rules: Mapping[str, students.MergedRule],
) -> Progress:
    """The workers over `tenants`, those whose progress is wanted; `targets` says where it goes."""
    deliveries = Deliveries(database, targets, owner)
    return Progress(
        database=database,
        tenants=tenants,
        deliveries=deliveries,
        intake=Intake(database, tenants, owner, deliveries.kick, merged_rules),
        poller=Poller(
            database=database,
            tenants=tenants,
            owner=owner,
            overrides=overrides,
            units=refresh,
            deliver=deliveries.kick,
        ),
    )
