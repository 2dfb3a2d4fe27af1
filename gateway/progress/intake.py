"""What came in by webhook and was stored: worked off here, after the sender has had its 200.

An event of the LMS is a hint, after which the enrolment is read, or carries its value (the mapping says
which). Order and duplicates do no harm: a reading that is older than what is known changes nothing.
Whoever is killed meanwhile has his deliveries worked off again, from their beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from gateway.contract import Operation
from gateway.engine import shape
from gateway.engine.events import Event, Events, events
from gateway.errors import (
    GatewayError,
    InternalError,
    NotFound,
    StoreError,
    VendorTimeout,
    VendorUnavailable,
)
from gateway.mapping.spec import Webhook
from gateway.perform.background import log_bug
from gateway.perform.reading import Reading, note
from gateway.perform.tenant import Tenant
from gateway.progress import bodies, students
from gateway.progress.find import find_all
from gateway.progress.refresh import AT_ONCE as READ_AT_ONCE
from gateway.progress.refresh import Refresher
from gateway.progress.webhooks import is_from_lms, reader_of
from gateway.store import inbox
from gateway.store.claims import LostLease
from gateway.store.database import Database
from gateway.store.inbox import Delivery

log = logging.getLogger("gateway.intake")

T = TypeVar("T")

EVERY_S = 5.0
LEASE_S = 60.0
AT_ONCE = 128
"""Deliveries at work in this process."""
TENANT_AT_ONCE = 16
"""Deliveries of one tenant at work; beyond it others go first."""
LARGE_BYTES = 50_000
"""A larger body is read in a thread: thousands of events take a second."""
SEEN_AT_ONCE = 100
NOTES_AT_ONCE = 200
"""Readings in one commit: others write too."""
FAILURES = 3
"""Readings of one delivery that fail as they do when a vendor is away, before the rest wait with them."""
BACK_OFF_S = (5, 60, 300, 900, 1800, 3600)
"""Waits between tries; the last is repeated."""
TRIES = 28
"""Failed tries, about a day of them, after which a delivery is kept aside."""
MAX_AHEAD_S = 86_400.0
"""A vendor's stamp further in the future is none: it would outrank every later event."""


class Unusable(Exception):
    """A delivery that cannot be worked off as it is: kept, and shown to operators."""


@dataclass(slots=True)
class Counts:
    """What came in since this process began, for metrics."""

    events: int = 0
    unmatched: int = 0
    dropped: int = 0
    repeated: int = 0
    given_up: int = 0


Found = tuple[str, Reading]
"""Enrolment id, and what an event says of it."""


@dataclass(slots=True)
class Intake:
    """The worker of one process. `kick` makes it look at once; `round` does one look, carried to its end.

    `deliver` is told when there is news for RTOPilot. `organisations` names the tenants of one with several
    LMSs; `merged_rules` are by organisation.
    """

    database: Database
    tenants: Mapping[str, Tenant]
    owner: str
    deliver: Callable[[], None]
    merged_rules: Mapping[str, students.MergedRule] = field(default_factory=dict)
    organisations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    every_s: float = EVERY_S
    counts: Counts = field(default_factory=Counts)
    refresher: Refresher = field(default_factory=Refresher)
    _kicked: asyncio.Event = field(default_factory=asyncio.Event)
    _working: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _busy: Counter[str] = field(default_factory=Counter)
    _renewed_at: float = 0.0

    def kick(self) -> None:
        self._kicked.set()

    async def forever(self) -> None:
        """Work until cancelled; a store that fails is tried again."""
        try:
            while True:
                self._kicked.clear()
                try:
                    await self._renew()
                    await self._start()
                except StoreError as error:
                    log.error("the store cannot be used: %s", error)
                except Exception as bug:  # noqa: BLE001 - a mistake in one delivery must not end all of them
                    log_bug("webhooks", bug)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.every_s):
                        await self._kicked.wait()
        finally:
            await self._stop()

    async def round(self) -> bool:
        """Claim what is due and work it off; False when there was nothing."""
        started = await self._start()
        await asyncio.gather(*started)
        return bool(started)

    # -- whose turn it is

    async def _start(self) -> list[asyncio.Task[None]]:
        """Begin with what is due, a few deliveries of each tenant at a time."""
        started: list[asyncio.Task[None]] = []
        while (free := min(AT_ONCE - len(self._working), TENANT_AT_ONCE)) > 0:
            full = [name for name, count in self._busy.items() if count >= TENANT_AT_ONCE]
            now = self.database.clock.now()
            due = await self.database.write(
                lambda conn: inbox.claim(conn, self.owner, now, LEASE_S, free, skip=full)  # noqa: B023
            )
            started += [self._begin(delivery) for delivery in due if delivery.id not in self._working]
            if len(due) < free:
                break
        return started

    def _begin(self, delivery: Delivery) -> asyncio.Task[None]:
        task = asyncio.create_task(self._kept_apart(delivery), name=f"webhook {delivery.id}")
        self._working[delivery.id] = task
        self._busy[delivery.tenant] += 1
        task.add_done_callback(lambda _: self._ended(delivery))
        return task

    def _ended(self, delivery: Delivery) -> None:
        del self._working[delivery.id]
        self._busy[delivery.tenant] -= 1
        if self._busy[delivery.tenant] <= TENANT_AT_ONCE // 2:
            self.kick()

    async def _renew(self) -> None:
        """Keep what is under way: thousands of readings may take longer than a lease lasts."""
        now = self.database.clock.now()
        if self._working and now - self._renewed_at >= LEASE_S / 4:
            ids, until = list(self._working), now + LEASE_S
            await self.database.write(lambda conn: inbox.renew(conn, ids, self.owner, until))
            self._renewed_at = now

    async def _stop(self) -> None:
        """Let go of what is under way: it is worked off again when its lease has run out."""
        working = list(self._working.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    # -- one delivery

    async def _kept_apart(self, delivery: Delivery) -> None:
        """One delivery, whose failure is its own."""
        try:
            await self._settled(delivery)
        except LostLease:
            log.info("webhook %s: another gateway is at it", delivery.id)
        except StoreError as error:
            log.error("webhook %s: the store cannot be used: %s", delivery.id, error)
        except Exception as bug:  # noqa: BLE001 - its lease runs out, and it is claimed again
            log_bug(f"webhook {delivery.id}", bug)

    async def _settled(self, delivery: Delivery) -> None:
        """Work it off, or say what becomes of it."""
        try:
            await self._work(delivery)
        except Unusable as why:
            await self._aside(delivery, str(why))
        except GatewayError as error:
            await self._later(delivery, error.code)
        except (StoreError, LostLease):
            raise
        except Exception as bug:  # noqa: BLE001 - perhaps the next version can
            log_bug(f"webhook {delivery.id}", bug)
            await self._later(delivery, InternalError.code)

    async def _work(self, delivery: Delivery) -> None:
        tenant = self.tenants.get(delivery.tenant)
        if tenant is None and delivery.tenant not in self.organisations:
            await self._later(delivery, "tenant_gone")
        elif tenant is not None and is_from_lms(delivery.source):
            await self._from_vendor(tenant, delivery)
        else:
            await self._from_rtopilot(delivery)

    # -- the LMS's events

    async def _from_vendor(self, tenant: Tenant, delivery: Delivery) -> None:
        progress = tenant.mapping.progress
        webhook = reader_of(delivery.source, progress.webhooks if progress is not None else ())
        if webhook is None:
            raise Unusable("the webhook that took it is not in the mapping any more")
        new = await self._unseen(delivery, await self._read(tenant, webhook, delivery))
        hits = await find_all(tenant, [event.find for event in new])
        self.counts.unmatched += sum(not found for found in hits)
        if webhook.trust == "hint":
            await self._refresh(tenant, delivery, list({one.id: one for found in hits for one in found}))
        else:
            readings = [
                (stored.id, reading)
                for event, found in zip(new, hits, strict=True)
                if found and (reading := self._reading(tenant, delivery, event)) is not None
                for stored in found
            ]
            await self._note(tenant, sorted(readings, key=_place))
        await self._mark(delivery, sorted({event.id for event in new if event.id is not None}))

    async def _read(self, tenant: Tenant, webhook: Webhook, delivery: Delivery) -> Sequence[Event]:
        """The events of a delivery. Raises Unusable when there are none to be had."""
        if len(delivery.raw) > LARGE_BYTES:
            read = await asyncio.to_thread(_events, tenant, webhook, delivery)
        else:
            read = _events(tenant, webhook, delivery)
        self.counts.events += len(read.events)
        self.counts.dropped += len(read.dropped)
        if read.dropped and not read.events:
            raise Unusable(f"no event of it can be used: {read.dropped[0]}")
        if read.dropped:
            log.warning(
                "tenant %s: %d events of a webhook were dropped, such as: %s",
                tenant.name, len(read.dropped), read.dropped[0],
            )  # fmt: skip
        return read.events

    async def _unseen(self, delivery: Delivery, found: Sequence[Event]) -> list[Event]:
        """Those that have not been worked off before."""
        new: list[Event] = []
        for some in _parts(found, SEEN_AT_ONCE):
            new += await self.database.read(lambda conn: _not_seen(conn, delivery, some))  # noqa: B023
            await asyncio.sleep(0)
        self.counts.repeated += len(found) - len(new)
        return new

    async def _refresh(self, tenant: Tenant, delivery: Delivery, hinted: Sequence[str]) -> None:
        """Read each of them once. Raises the first failure, after all that can be read has been."""
        waiting, failed = iter(hinted), list[GatewayError | StoreError]()

        async def work() -> None:
            for one in waiting:
                try:
                    if await self.refresher.since(tenant, one, delivery.received_at):
                        self.deliver()
                except NotFound:
                    log.warning("tenant %s: enrolment %s is gone at the LMS", tenant.name, one)
                except (GatewayError, StoreError) as error:
                    failed.append(error)
                    if sum(map(_is_outage, failed)) >= FAILURES:
                        return
                except Exception as bug:  # noqa: BLE001 - a mistake about one must not keep the others waiting
                    log_bug(f"tenant {tenant.name}: enrolment {one}", bug)
                    failed.append(InternalError())

        await asyncio.gather(*(work() for _ in hinted[:READ_AT_ONCE]))
        if failed:
            raise failed[0]

    def _reading(self, tenant: Tenant, delivery: Delivery, event: Event) -> Reading | None:
        """What an event says by itself; None when that is nothing."""
        value = event.value or {}
        progress, at = shape.progress(tenant.policy, value), shape.stamp(value)
        if progress.fault is not None:
            tenant.vendor_faults += 1
            log.warning("tenant %s: vendor fault in a webhook: %s", tenant.name, progress.fault)
        if progress.percent is None:
            return None
        if at is None or at > delivery.received_at + MAX_AHEAD_S:
            return Reading(progress=progress, read_at=delivery.received_at)
        return Reading(progress=progress, read_at=min(at, delivery.received_at), event_at=at)

    async def _note(self, tenant: Tenant, readings: Sequence[Found]) -> None:
        """Keep them; whoever is killed in between keeps them again, which changes nothing."""
        for some in _parts(readings, NOTES_AT_ONCE):
            now = self.database.clock.now()
            if await self.database.write(
                lambda conn: any([note(conn, tenant, one, reading, now) for one, reading in some])  # noqa: B023
            ):
                self.deliver()

    async def _mark(self, delivery: Delivery, event_ids: Sequence[str]) -> None:
        """All is done: these events need not be looked at again, nor this delivery. Raises LostLease."""
        now, (*parts, last) = self.database.clock.now(), list(_parts(event_ids, NOTES_AT_ONCE)) or [()]

        def mark(conn: Connection, some: Sequence[str]) -> None:
            for each in some:
                inbox.mark_seen(conn, delivery.tenant, delivery.source, each, now)

        def finish(conn: Connection) -> None:
            mark(conn, last)
            inbox.finish(conn, delivery.id, self.owner, now)

        for part in parts:
            await self.database.write(lambda conn: mark(conn, part))  # noqa: B023 (awaited at once)
        await self.database.write(finish)

    # -- RTOPilot's events

    async def _from_rtopilot(self, delivery: Delivery) -> None:
        """An event of an organisation, for each of its LMSs: whoever is killed in between does all again."""
        _, _, event = delivery.source.partition(":")
        try:
            body = bodies.parse("json", delivery.raw)
        except bodies.Unreadable as error:
            raise Unusable(f"its body cannot be read: {error}") from error
        rule = self.merged_rules.get(delivery.tenant)
        for name in self.organisations.get(delivery.tenant, (delivery.tenant,)):
            now = self.database.clock.now()
            handled = await students.handle(name, event, body, self.database, now, rule)
            if handled.quarantine is not None:
                raise Unusable(handled.quarantine)
            log.info("tenant %s: webhook %s: %s", name, event, handled.summary)
        await self._mark(delivery, [])

    # -- what cannot be done now, or at all

    async def _later(self, delivery: Delivery, why: str) -> None:
        if delivery.tries >= TRIES:
            self.counts.given_up += 1
            await self._aside(delivery, f"it could not be worked off for a day: {why}; polls go on")
            return
        due = self.database.clock.now() + BACK_OFF_S[min(delivery.tries, len(BACK_OFF_S) - 1)]
        await self.database.write(lambda conn: inbox.later(conn, delivery.id, self.owner, due, why))

    async def _aside(self, delivery: Delivery, why: str) -> None:
        log.warning("tenant %s: webhook %s is kept aside: %s", delivery.tenant, delivery.id, why)
        now = self.database.clock.now()
        await self.database.write(lambda conn: inbox.quarantine(conn, delivery.id, self.owner, why, now))


def _events(tenant: Tenant, webhook: Webhook, delivery: Delivery) -> Events:
    try:
        body = bodies.parse(webhook.body, delivery.raw, delivery.headers.get("content_type", ""))
    except bodies.Unreadable as error:
        raise Unusable(f"its body cannot be read: {error}") from error
    return events(tenant.frame(Operation.GET_ENROLMENT), webhook, body, delivery.headers)


def _not_seen(conn: Connection, delivery: Delivery, some: Iterable[Event]) -> list[Event]:
    tenant, source = delivery.tenant, delivery.source
    return [each for each in some if each.id is None or not inbox.seen(conn, tenant, source, each.id)]


def _place(found: Found) -> tuple[str, float]:
    """Of an enrolment the oldest first, by the vendor's stamp where there is one; a tie stays as it came.

    Enrolments in one order, so that two gateways do not wait for each other.
    """
    id, reading = found
    return id, reading.read_at if reading.event_at is None else reading.event_at


def _is_outage(error: GatewayError | StoreError) -> bool:
    return isinstance(error, VendorUnavailable | VendorTimeout | StoreError)


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
