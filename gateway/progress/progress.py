"""The face of the room: the three workers that bring progress back, wired to each other.

webhook -> intake -> outbox -> deliveries        poll -> outbox -> deliveries
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.errors import StoreError
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

log = logging.getLogger("gateway.progress")

PAGE = 500
AGAIN_S = 5.0
"""After how long a store that failed is tried again."""


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
        async with asyncio.TaskGroup() as workers:
            for worker in (self.deliveries, self.intake, self.poller):
                workers.create_task(worker.forever())
            workers.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """What was learnt while a tenant's progress did not go to RTOPilot is queued when it does."""
        waiting = deque(self.tenants[name] for name in self.deliveries.targets)
        while waiting:
            try:
                more = await self.database.write(lambda conn: _queue_untold(conn, waiting[0]))
            except StoreError as error:
                log.error("the store cannot be used: %s", error)
                await asyncio.sleep(AGAIN_S)
                continue
            if not more:
                waiting.popleft()
        self.deliveries.kick()


def _queue_untold(conn: Connection, tenant: Tenant) -> bool:
    """Queue a page of it; whether there may be more."""
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
    organisations: Mapping[str, Sequence[str]] | None = None,
) -> Progress:
    """The workers over `tenants`: `overrides` has those whose progress is polled, `targets` where it goes.

    `organisations` names the tenants of each RTOPilot that has several LMSs.
    """
    deliveries = Deliveries(database, targets, owner)
    return Progress(
        database=database,
        tenants=tenants,
        deliveries=deliveries,
        intake=Intake(database, tenants, owner, deliveries.kick, merged_rules, organisations or {}),
        poller=Poller(
            database=database,
            tenants={name: tenants[name] for name in overrides},
            owner=owner,
            overrides=overrides,
            units=refresh,
            deliver=deliveries.kick,
        ),
    )
