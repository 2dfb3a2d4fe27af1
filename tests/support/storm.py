"""A storm over gateways: who posts the deliveries, who kills, who lets time pass, and when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, func, select

from gateway import ids
from gateway.perform.enrolments import canonical_key
from gateway.sandbox.rtopilot_progress import new_key
from gateway.store import enrolments, inbox, outbox
from gateway.store.database import Database
from gateway.store.tables_progress import inbox as inbox_table
from gateway.store.tables_progress import outbox as outbox_table
from gateway.store.tables_progress import schedule as schedule_table
from tests.support.deployment import tenant
from tests.support.gateway_process import GatewayProcess
from tests.support.hooked import HOOKED, VALUE, VARIANTS, mapping, tenant_changes, write_mapping
from tests.support.storm_rtopilot import Rtopilot
from tests.support.storm_values import Delivery, Storm, Which
from tests.support.waiting import eventually

POSTS = 16
"""Deliveries under way at a time."""
AGAIN_S = 0.2
"""When a sender tries again what was refused."""
IDLE_S = 0.05
"""Nothing has come to RTOPilot for so long, and no gateway is at anything: all wait for a time to come."""
LEAP_S = 11 * 3600.0
"""How far time then goes on: longer than the longest back-off."""
STEP_S, STEP_EVERY_S = 4.0, 0.5
"""Meanwhile time runs faster, by steps that no lease would mind: several of them are shorter than one."""
PONDERED = 5
SEEDED_AT_ONCE = 500

WEBHOOK = {"trust": "value", "events": "body.events", "value": {**VALUE, "at": "${event.at}"}}


def storm_tenants(
    folder: Path,
    names: Iterable[str],
    url: str,
    keys: Mapping[str, str],
    *,
    changes: Callable[[str], Mapping[str, Any]] = lambda _: {},
) -> dict[str, dict[str, Any]]:
    """Tenants of an LMS that posts values in batches; `url` is both RTOPilot's and the vendor's origin."""
    variant = replace(VARIANTS["value"], webhook=WEBHOOK)
    (folder / "mappings").mkdir(exist_ok=True)
    made = mapping(variant)
    made["progress"]["poll"]["audit"] = {"every": "30d", "overlap": "90d"}
    path = write_mapping(folder / "mappings", made)
    usual = tenant_changes(variant, path, url)
    return {
        name: tenant(
            HOOKED,
            url,
            **{**usual, "secrets": {**usual["secrets"], "apiKey": f"key-of-{name}"}},
            rtopilot={"base_url": f"{url}/api", "api_key": keys[name]},
            **changes(name),
        )
        for name in names
    }


def new_keys(names: Iterable[str]) -> dict[str, str]:
    return {name: new_key() for name in names}


async def enrol(store: str, which: Sequence[Which]) -> None:
    """Active enrolments that RTOPilot has been told, straight into the store."""
    database = Database.open(store)
    now = database.clock.now()
    try:
        for start in range(0, len(which), SEEDED_AT_ONCE):
            some = which[start : start + SEEDED_AT_ONCE]
            await database.write(lambda conn: _enrol(conn, some, now))  # noqa: B023
    finally:
        await database.close()


def _enrol(conn: Connection, which: Sequence[Which], now: float) -> None:
    for name, id in which:
        made = enrolments.add(
            conn,
            tenant=name,
            vendor_account=f"account-of-{name}",
            key=canonical_key((id,)),
            make_id=partial(_encoded, id),
            record={"enrolment": id, "courseId": "crs_1"},
            now=now,
            push_from=now,
        )
        assert made.id == id


def _encoded(id: str, generation: int) -> str:
    return ids.encode((id,), generation=generation)


# -- the gateways -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Fleet:
    """Gateways on one store. `moved_s` is the time that has passed in simulation."""

    config: Path
    alive: list[GatewayProcess] = field(default_factory=list)
    started: int = 0
    moved_s: float = 0.0

    def start(self) -> None:
        self.started += 1
        self.alive.append(GatewayProcess(self.config, output=self.logs()[-1], moved_s=self.moved_s))

    def logs(self) -> list[Path]:
        """Of every gateway that was ever started, in that order."""
        return [self.config.parent / f"gateway-{number}.log" for number in range(1, self.started + 1)]

    def kill_one(self, random: Random) -> str:
        """The number of its process."""
        gateway = self.alive.pop(random.randrange(len(self.alive)))
        gateway.kill()
        return str(gateway.pid)

    def move(self, seconds: float) -> None:
        self.moved_s += seconds
        for gateway in self.alive:
            gateway.move(seconds)

    def pids(self) -> set[str]:
        return {str(gateway.pid) for gateway in self.alive}

    def urls(self) -> list[str]:
        return [gateway.url for gateway in self.alive]

    def close(self) -> None:
        for gateway in self.alive:
            gateway.kill()


# -- who posts ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Senders:
    """Posts every delivery until a gateway has taken it, as real senders do."""

    storm: Storm
    urls: Callable[[], Sequence[str]]
    random: Random
    refused: int = 0
    taken: int = 0
    took_s: float = 0.0

    async def post_all(self) -> None:
        began, waiting = time.monotonic(), deque(self.storm.deliveries)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=15)) as client,
            asyncio.TaskGroup() as senders,
        ):
            for _ in range(POSTS):
                senders.create_task(self._work(client, waiting))
        self.took_s = time.monotonic() - began

    async def _work(self, client: aiohttp.ClientSession, waiting: deque[Delivery]) -> None:
        while waiting:
            delivery = waiting.popleft()
            while not await self._post(client, delivery):
                self.refused += 1
                await asyncio.sleep(AGAIN_S)
            self.taken += 1

    async def _post(self, client: aiohttp.ClientSession, delivery: Delivery) -> bool:
        for event in delivery.events:
            if event.completed:
                self.storm.declared.setdefault((event.tenant, event.enrolment), time.monotonic())
        urls = self.urls()
        if not urls:
            return False
        url = f"{self.random.choice(urls)}/t/{delivery.tenant}/lms-events"
        try:
            async with client.post(url, data=delivery.raw, headers=delivery.headers) as answer:
                assert answer.status in (200, 503), await answer.text()
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    @property
    def over(self) -> bool:
        return self.taken == len(self.storm.deliveries)


# -- until it is over ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rest:
    """What the store still has to do, and what it has given up."""

    pending: int
    dead: int
    busy: int
    unread: int
    aside: int

    @property
    def is_over(self) -> bool:
        return self.pending == self.unread == 0


async def rest(database: Database, alive: set[str]) -> Rest:
    """`busy`: how much a living gateway is at, or is about to be at. `alive` are their process numbers."""

    def of_dead(owner: str) -> bool:
        return owner.split(":")[1] not in alive

    def look(conn: Connection) -> Rest:
        letters, mail = outbox.counts(conn).values(), inbox.counts(conn).values()
        claimed = conn.execute(_CLAIMED).all()
        unread = conn.execute(_UNREAD, {"now": database.clock.now()}).all()
        return Rest(
            pending=sum(each["pending"] for each in letters),
            dead=sum(each["dead"] for each in letters),
            busy=sum(count for owner, count in claimed if not of_dead(owner))
            + sum(count for owner, count in unread if owner is None or not of_dead(owner)),
            unread=sum(each.get("new", 0) for each in mail),
            aside=sum(each.get("quarantined", 0) for each in mail),
        )

    return await database.read(look)


def _owners(table: Table, *where: ColumnElement[bool]) -> Select[tuple[Any, int]]:
    return select(table.c.owner, func.count()).where(*where).group_by(table.c.owner)


_CLAIMED = _owners(outbox_table, outbox_table.c.owner.is_not(None))
_UNREAD = _owners(inbox_table, inbox_table.c.state == "new", inbox_table.c.due_at <= bindparam("now"))


@contextlib.asynccontextmanager
async def looking_at(store: str) -> AsyncIterator[Database]:
    database = Database.open(store)
    try:
        yield database
    finally:
        await database.close()


@dataclass(slots=True)
class Weatherman:
    """Kills, restarts and lets time pass until all is delivered.

    `lives_s`: for how long a gateway lives, at least and at most. After six kills each life is longer than the
    one before: a slow machine gets there too.
    `ponder_s`: for how long some requests stay on their way when their gateway is killed.
    `replaced` says of the n-th kill (from 1) whether another gateway takes the place of the killed one.
    """

    fleet: Fleet
    rtopilot: Rtopilot
    database: Database
    senders: Senders
    random: Random
    lives_s: tuple[float, float]
    ponder_s: float
    replaced: Callable[[int], bool] = lambda number: True
    kills: int = 0
    leaps: int = 0
    ready_at: float = 0.0

    async def until_over(self) -> Rest:
        for _ in itertools.count():
            life_s = self.random.uniform(*self.lives_s) * (1 + max(0, self.kills - 6) / 5)
            kill_at = time.monotonic() + life_s
            while time.monotonic() < kill_at:
                if (found := await self._quiet()) is None:
                    if self.rtopilot.status().longest_s < STEP_EVERY_S:
                        await self._pass(STEP_S)
                elif found.is_over and self.senders.over:
                    return found
                elif not found.is_over:
                    self.leaps += 1
                    await self._pass(LEAP_S)
            await self._kill()
        raise AssertionError

    async def _kill(self) -> None:
        """While it dies, RTOPilot is at some of its requests, and stays so until after the restart."""
        self.kills += 1
        self.rtopilot.ponder(PONDERED, self.ponder_s)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(self.fleet.kill_one, self.random)
        if self.replaced(self.kills):
            await asyncio.to_thread(self.fleet.start)
        self.ready_at = time.monotonic()

    async def _pass(self, seconds: float) -> None:
        await asyncio.to_thread(self.fleet.move, seconds)
        self.database.clock.move(seconds)
        self.ready_at = time.monotonic()

    async def _quiet(self) -> Rest | None:
        """What there is to do, once all wait for a time to come; None when that takes longer than a step."""
        end = time.monotonic() + STEP_EVERY_S
        while time.monotonic() < end:
            await asyncio.sleep(0.02)
            status = self.rtopilot.status()
            if status.in_flight == 0 and min(status.idle_s, time.monotonic() - self.ready_at) >= IDLE_S:
                found = await rest(self.database, self.fleet.pids())
                if not found.busy:
                    return found
        return None


# -- polls --------------------------------------------------------------------------------------------


async def polls_done(database: Database, alive: set[str]) -> None:
    """Wait until no poll is due that a living gateway will do."""

    async def done() -> bool:
        due = {"now": database.clock.now()}
        found = await database.read(lambda conn: conn.execute(_DUE_POLLS, due).scalars().all())
        return not any(owner is None or owner.split(":")[1] in alive for owner in found)

    await eventually(done, within_s=30.0, what="the end of every poll that is due")


async def polled_by(database: Database, pid: str) -> set[str]:
    """The tenants whose polls a gateway was at when it died."""

    def held(conn: Connection) -> set[str]:
        found = conn.execute(select(schedule_table.c.tenant, schedule_table.c.owner))
        return {tenant for tenant, owner in found if owner is not None and owner.split(":")[1] == pid}

    return await database.read(held)


_DUE_POLLS = select(schedule_table.c.owner).where(schedule_table.c.next_due <= bindparam("now"))
