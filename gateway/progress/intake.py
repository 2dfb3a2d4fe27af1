"""What came in by webhook and was stored: worked off here, after the sender has had its 200.

An event of the LMS is a hint, after which the enrolment is read, or carries its value (the mapping says
which). Order and duplicates do no harm: a reading that is older than what is known changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from gateway.contract import Operation
from gateway.engine import shape
from gateway.engine.events import Event, events
from gateway.errors import GatewayError, NotFound, StoreError
from gateway.mapping.spec import Webhook
from gateway.perform.background import log_bug
from gateway.perform.reading import Reading, note
from gateway.perform.tenant import Tenant
from gateway.progress import bodies, students
from gateway.progress.find import find
from gateway.progress.refresh import refresh
from gateway.store import inbox
from gateway.store.claims import LostLease
from gateway.store.database import Database
from gateway.store.enrolments import StoredEnrolment
from gateway.store.inbox import Delivery
from gateway.store.tasks import BACK_OFF_S

log = logging.getLogger("gateway.intake")

LEASE_S = 120.0
EVERY_S = 5.0
AT_ONCE = 8
BATCH = 20
"""Deliveries claimed at a time."""


class Unusable(Exception):
    """A delivery that cannot be worked off as it is: kept, and shown to operators."""


@dataclass(slots=True)
class Counts:
    """What came in since this process began, for metrics."""

    events: int = 0
    unmatched: int = 0
    dropped: int = 0
    repeated: int = 0


@dataclass(slots=True)
class Intake:
    """The worker of one process. `kick` makes it look at once; `round` does one look (tests call it).

    `deliver` is told when there is news for RTOPilot.
    """

    database: Database
    tenants: Mapping[str, Tenant]
    owner: str
    deliver: Callable[[], None]
    merged_rules: Mapping[str, students.MergedRule] = field(default_factory=dict)
    every_s: float = EVERY_S
    counts: Counts = field(default_factory=Counts)
    _kicked: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def kick(self) -> None:
        self._kicked.set()

    async def forever(self) -> None:
        """Work until cancelled; a store that fails is tried again."""
        while True:
            self._kicked.clear()
            try:
                while await self.round():
                    pass
            except StoreError as error:
                log.error("the store cannot be used: %s", error)
            except Exception as bug:  # noqa: BLE001 - a mistake in one delivery must not end all of them
                log_bug("webhooks", bug)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every_s):
                    await self._kicked.wait()

    async def round(self) -> bool:
        """Claim what is due and work it off; False when there was nothing."""
        now = self.database.clock.now()
        due = await self.database.write(lambda conn: inbox.claim(conn, self.owner, now, LEASE_S, BATCH))
        await asyncio.gather(*(self._kept_apart(delivery) for delivery in due))
        return bool(due)

    async def _kept_apart(self, delivery: Delivery) -> None:
        """One delivery, whose failure is its own."""
        try:
            await self._work(delivery)
        except LostLease:
            return  # another gateway is at it
        except Unusable as why:
            log.warning("tenant %s: a webhook is kept aside: %s", delivery.tenant, why)
            await self._aside(delivery, str(why))
        except GatewayError as error:
            await self._later(delivery, error.code)
        except StoreError as error:
            log.error("webhook %s: the store cannot be used: %s", delivery.id, error)
        except Exception as bug:  # noqa: BLE001 - its lease runs out, and it is claimed again
            log_bug(f"webhook {delivery.id}", bug)
            await self._later(delivery, "internal_error")

    async def _work(self, delivery: Delivery) -> None:
        tenant = self.tenants.get(delivery.tenant)
        if tenant is None:
            await self._later(delivery, "tenant_gone")
        elif delivery.source == "lms":
            await self._from_vendor(tenant, delivery)
        else:
            await self._from_rtopilot(tenant, delivery)

    # -- the LMS's events

    async def _from_vendor(self, tenant: Tenant, delivery: Delivery) -> None:
        progress = tenant.mapping.progress
        webhook = progress.webhook if progress is not None else None
        if webhook is None:
            raise Unusable("the mapping has no webhook any more")
        new = await self._new_events(tenant, webhook, delivery)
        if webhook.trust == "hint":
            hinted = await self._matched(tenant, new)
            news = any(await asyncio.gather(*(self._refresh(tenant, one) for one in hinted.values())))
            await self._finish(delivery, new, [])
        else:
            news = await self._finish(delivery, new, await self._readings(tenant, new, delivery))
        if news:
            self.deliver()

    async def _new_events(self, tenant: Tenant, webhook: Webhook, delivery: Delivery) -> list[Event]:
        """The events of a delivery that have not been worked off before."""
        try:
            body = bodies.parse(webhook.body, delivery.raw, delivery.headers.get("content_type", ""))
        except ValueError as error:
            raise Unusable(f"its body cannot be read: {error}") from error
        frame = tenant.frame(Operation.GET_ENROLMENT)
        read = events(frame, webhook, body, delivery.headers)
        for why in read.dropped[:3]:
            log.warning("tenant %s: an event of a webhook was dropped: %s", tenant.name, why)
        if read.dropped and not read.events:
            raise Unusable(f"no event of it can be used: {read.dropped[0]}")
        self.counts.events += len(read.events)
        self.counts.dropped += len(read.dropped)

        def unseen(conn: Connection) -> list[Event]:
            return [
                event
                for event in read.events
                if event.id is None or not inbox.seen(conn, tenant.name, delivery.source, event.id)
            ]

        new = await self.database.read(unseen)
        self.counts.repeated += len(read.events) - len(new)
        return new

    async def _matched(self, tenant: Tenant, new: list[Event]) -> dict[str, StoredEnrolment]:
        """The enrolments that events are about, each once."""
        found: dict[str, StoredEnrolment] = {}
        for event in new:
            hits = await self.database.read(lambda conn: find(conn, tenant, event.find))  # noqa: B023 (used at once)
            self.counts.unmatched += not hits
            found.update({stored.id: stored for stored in hits})
        return found

    async def _refresh(self, tenant: Tenant, stored: StoredEnrolment) -> bool:
        async with self._reading:
            try:
                return await refresh(tenant, stored)
            except NotFound:
                log.warning("tenant %s: enrolment %s is gone at the LMS", tenant.name, stored.id)
                return False

    async def _readings(
        self, tenant: Tenant, new: list[Event], delivery: Delivery
    ) -> list[tuple[Tenant, str, Reading]]:
        """What events say by themselves, oldest first."""
        readings: list[tuple[Tenant, str, Reading]] = []
        for event in new:
            progress = shape.progress(tenant.policy, event.value or {})
            if progress.fault is not None:
                tenant.vendor_faults += 1
                log.warning("tenant %s: vendor fault in a webhook: %s", tenant.name, progress.fault)
            at = shape.stamp(event.value or {})
            read_at = delivery.received_at if at is None else min(at, delivery.received_at)
            for stored in (await self._matched(tenant, [event])).values():
                reading = Reading(progress=progress, read_at=read_at, event_at=at)
                readings.append((tenant, stored.id, reading))
        return sorted(readings, key=lambda each: each[2].read_at)

    async def _finish(
        self, delivery: Delivery, new: list[Event], readings: list[tuple[Tenant, str, Reading]]
    ) -> bool:
        """One commit: what was learnt, which events need not be looked at again, and that it is done."""
        now = self.database.clock.now()

        def finish(conn: Connection) -> bool:
            news = [note(conn, tenant, one, reading, now) for tenant, one, reading in readings]
            for event in new:
                if event.id is not None:
                    inbox.mark_seen(conn, delivery.tenant, delivery.source, event.id, now)
            inbox.finish(conn, delivery.id, self.owner, now)
            return any(news)

        return await self.database.write(finish)

    # -- RTOPilot's events

    async def _from_rtopilot(self, tenant: Tenant, delivery: Delivery) -> None:
        _, _, event = delivery.source.partition(":")
        try:
            body = bodies.parse("json", delivery.raw, "")
        except ValueError as error:
            raise Unusable(f"its body cannot be read: {error}") from error
        rule = self.merged_rules.get(tenant.name)
        handled = await students.handle(
            tenant.name, event, body, self.database, self.database.clock.now(), rule
        )
        if handled.quarantine is not None:
            raise Unusable(handled.quarantine)
        log.info("tenant %s: webhook %s: %s", tenant.name, event, handled.summary)
        await self._finish(delivery, [], [])

    # -- what cannot be done now, or at all

    async def _later(self, delivery: Delivery, why: str) -> None:
        if delivery.tries >= len(BACK_OFF_S):
            await self._aside(delivery, f"it could not be worked off for a day: {why}")
            return
        due = self.database.clock.now() + BACK_OFF_S[delivery.tries]
        with contextlib.suppress(LostLease):
            await self.database.write(lambda conn: inbox.later(conn, delivery.id, self.owner, due, why))

    async def _aside(self, delivery: Delivery, why: str) -> None:
        now = self.database.clock.now()
        with contextlib.suppress(LostLease):
            await self.database.write(lambda conn: inbox.quarantine(conn, delivery.id, self.owner, why, now))
