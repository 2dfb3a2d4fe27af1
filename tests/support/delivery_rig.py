"""A store with enrolments, RTOPilot's progress endpoint on a real socket, and gateways that deliver to it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from gateway.progress.delivery import Deliveries
from gateway.progress.pacing import Rules
from gateway.progress.push import Target, open_target
from gateway.progress.rtopilot_key import KeySource
from gateway.sandbox.control import StandIn
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_progress import ProgressServer
from gateway.secret import Secret
from gateway.store import enrolments, outbox, pauses
from gateway.store.clock import Clock
from gateway.store.database import Database
from gateway.store.outbox import Item


class DeliveryRig:
    """One store and one RTOPilot. `clock` is the store's, and stands still unless a test or a pause moves it."""

    def __init__(self, database: Database, app: StandIn, server: ProgressServer, url: str) -> None:
        self.database = database
        self.clock = database.clock = Clock(machine=lambda: 1_800_000_000.0)
        self.app, self.server, self.url = app, server, url
        self.organisations: dict[str, Organisation] = {}
        self.targets: dict[str, Target] = {}
        self.paused: list[float] = []
        self._owners = itertools.count(1)

    def tenant(
        self, name: str = "college", *, key_file: Path | None = None, base_url: str | None = None
    ) -> str:
        """A tenant with an organisation in RTOPilot; the key it has there."""
        self.organisations[name] = Organisation(name=name)
        key = self.server.admit(self.organisations[name])
        if key_file is not None:
            key_file.write_text(key)
        source = KeySource(key_file if key_file is not None else Secret(key))
        self.targets[name] = open_target(base_url or f"{self.url}/api", source, production=False)
        return key

    def gateway(self, *, pause: Callable[[float], Awaitable[None]] | None = None, **rules: Any) -> Deliveries:
        """A gateway of its own on this store; without `pause` simulated time passes while it paces."""
        return Deliveries(
            self.database,
            self.targets,
            f"host:{next(self._owners)}:x",
            rules=Rules(**rules),
            pause=pause or self.passes,
            random=Random(1),
        )

    async def passes(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.clock.move(seconds)
        await asyncio.sleep(0)

    async def enrol(self, *ids: str, tenant: str = "college", push_from: float | None = 0.0) -> None:
        """Active enrolments that RTOPilot holds, too."""

        def made(conn: Any) -> None:
            for id in ids:
                enrolments.add(
                    conn,
                    tenant=tenant,
                    vendor_account="acme",
                    key=id,
                    make_id=lambda _, id=id: id,  # type: ignore[misc]
                    record={},
                    now=self.clock.now(),
                    push_from=push_from,
                )

        await self.database.write(made)
        for id in ids:
            self.server.hold(tenant, id)

    async def put(self, id: str, value: int, *, tenant: str = "college", ago_s: float = 0.0) -> bool:
        now = self.clock.now() - ago_s
        return await self.database.write(lambda conn: outbox.put(conn, tenant, id, value, now))

    async def item(self, id: str, tenant: str = "college") -> Item:
        found = await self.database.read(lambda conn: outbox.get(conn, tenant, id))
        assert found is not None
        return found

    async def cancel(self, id: str, tenant: str = "college") -> None:
        await self.database.write(lambda conn: enrolments.cancel(conn, tenant, id, self.clock.now()))

    async def pauses(self) -> list[pauses.Pause]:
        return await self.database.read(pauses.all_paused)

    def pushed(self, tenant: str = "college") -> list[tuple[str, int]]:
        """What arrived, in order: (id, value)."""
        bodies = [json.loads(each.body) for each in self.server.arrivals(self.organisations[tenant])]
        return [(each["lmsEnrolmentId"], each["progress"]) for each in bodies]

    def held(self, id: str, tenant: str = "college") -> float:
        """The progress RTOPilot has."""
        return self.organisations[tenant].holding(id)[0].progress

    async def close(self) -> None:
        for target in self.targets.values():
            await target.pool.aclose()
