"""Webhooks beside an endpoint written by hand: at rest, under load, and what the gateway then delivers.

Sender and RTOPilot are this process, so that one clock tells when a POST left and when its PUT came.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import hooked
from hooked import Delivery, deliveries
from load import Measured, burst, opened, ordered
from rtopilot import Office
from servers import HERE, Server, free_port

from gateway.store import outbox
from gateway.store.database import Database

SENDERS = (1, 16, 64)
AT_REST = 200
"""Events one after another; before them as many that are not counted."""
EACH = 5
"""Values a tenant may be told in one second, so that no pace is waited for."""
ARRIVES_S = 15.0
PACE_S = 1.2
QUIET_S = 3.0


@dataclass(slots=True, kw_only=True)
class AtRest:
    """Seconds from the POST leaving to the PUT arriving, and the server's CPU for each."""

    latencies_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def median_ms(self) -> float:
        return statistics.median(self.latencies_s) * 1000

    @property
    def p95_ms(self) -> float:
        return statistics.quantiles(self.latencies_s, n=20)[-1] * 1000

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s * 1000 / len(self.latencies_s)


@dataclass(slots=True, kw_only=True)
class Accepted:
    """Events that were answered 200, and the CPU until each had been worked off and told to RTOPilot."""

    measured: Measured = field(default_factory=Measured)
    cpu_s: float = 0.0
    told: int = 0

    @property
    def per_s(self) -> float:
        return self.measured.requests / self.measured.wall_s

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s * 1000 / self.measured.requests


@dataclass(slots=True, kw_only=True)
class Drained:
    """Values delivered from a full outbox, first arrival to last."""

    values: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        return self.values / self.wall_s

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s * 1000 / self.values


@dataclass(slots=True, kw_only=True)
class Figures:
    """What one server did. Hints need a vendor that is asked, draining a store: by hand there is neither."""

    value: AtRest
    accepted: dict[int, Accepted]
    hint: AtRest | None = None
    drained: Drained | None = None


Settle = Callable[[], Awaitable[None]]


async def by_hand(office: Office, folder: Path, rounds: int, seconds: float) -> Figures:
    port = free_port()
    command = [sys.executable, str(HERE / "by_hand.py"), "--port", str(port)]
    command += ["--database", str(folder / "hand.db"), "--rtopilot", office.url]
    server = Server("endpoint by hand", command, port, folder)
    try:
        await server.ready()
        events = deliveries(range(hooked.TENANTS))
        value = await _at_rest(server, office, events)
        accepted = {
            senders: await _accept(server, office, events, senders, rounds * seconds, _quiet(office))
            for senders in SENDERS
        }
        return Figures(value=value, accepted=accepted)
    finally:
        server.stop()


async def gateway(
    office: Office, vendor: str, store: str, folder: Path, template: str, rounds: int, seconds: float
) -> Figures:
    """The same on a store that is empty; its tables are there."""
    await ordered(vendor, "anew")
    async with hooked.looking(store) as database:
        await hooked.enrol(database)
        server = hooked.gateway(vendor, office.url, store, folder, template)
        try:
            await server.ready()
            hint = await _at_rest(server, office, deliveries(range(hooked.HINTS)))
            events = deliveries(range(hooked.HINTS, hooked.TENANTS))
            value = await _at_rest(server, office, events)
            accepted = {
                senders: await _accept(
                    server, office, events, senders, rounds * seconds, lambda: hooked.settled(database)
                )
                for senders in SENDERS
            }
            return Figures(
                value=value, accepted=accepted, hint=hint, drained=await _drain(server, office, database)
            )
        finally:
            server.stop()


# -- at rest


async def _at_rest(server: Server, office: Office, events: Iterator[Delivery]) -> AtRest:
    caller = await opened(server.port)
    for _ in range(AT_REST):  # a tenant's first push goes alone
        await _one(server, office, next(events), caller.call)
    found, before = AtRest(), server.cpu_s
    for _ in range(AT_REST):
        found.latencies_s.append(await _one(server, office, next(events), caller.call))
    found.cpu_s = server.cpu_s - before
    caller.close()
    return found


async def _one(
    server: Server,
    office: Office,
    event: Delivery,
    call: Callable[[bytes], Awaitable[tuple[int, bytes]]],
) -> float:
    arrived = office.expect(event.id, event.value)
    left_at = time.monotonic()
    status, body = await call(event.request)
    if status != 200:
        raise server.failed(f"answered {status} to a webhook: {body[:300].decode(errors='replace')}")
    try:
        async with asyncio.timeout(ARRIVES_S):
            return await arrived - left_at
    except TimeoutError as error:
        raise server.failed(f"told RTOPilot nothing of an event within {ARRIVES_S:.0f} s") from error


# -- under load


async def _accept(
    server: Server, office: Office, events: Iterator[Delivery], senders: int, seconds: float, settle: Settle
) -> Accepted:
    before, told = server.cpu_s, office.taken
    requests = (event.request for event in events)
    found = Accepted(measured=await burst(server.port, requests, callers=senders, seconds=seconds))
    await settle()
    found.cpu_s, found.told = server.cpu_s - before, office.taken - told
    return found


def _quiet(office: Office) -> Settle:
    """Nothing has come for a while: what was to come has, or is lost."""

    async def settle() -> None:
        while time.monotonic() - office.last_at < QUIET_S:  # noqa: ASYNC110 (another process does it)
            await asyncio.sleep(0.05)

    return settle


# -- a full outbox


async def _drain(server: Server, office: Office, database: Database) -> Drained:
    await asyncio.sleep(PACE_S)
    office.forget()
    before, now = server.cpu_s, database.clock.now()
    which = [
        (hooked.name(tenant), id)
        for tenant in range(hooked.TENANTS)
        for id in hooked.enrolment_ids(tenant)[:EACH]
    ]
    await database.write(lambda conn: [outbox.put(conn, tenant, id, 99, now) for tenant, id in which])
    await hooked.settled(database)
    return Drained(values=office.taken, wall_s=office.last_at - office.first_at, cpu_s=server.cpu_s - before)
