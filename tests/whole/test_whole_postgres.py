"""Three gateways on one PostgreSQL, killed at random, one of them for good; then the vendor is counted.

The vendor ends its older sessions at each login, so that gateways which do not share theirs log each other out.
After each kill no request is let in until those under way have been answered; then all clocks move on by more
than a lease, as if that long had been waited, and what the killed one held is free. (A clock that jumps while
a call is under way would call a vendor silent that has had no time to answer.)
The seed is in the assertion's message; LMS_GATEWAY_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.balancer import balancing
from tests.support.deployment import LEARNING_ASSISTANT, Kind, tenant, write_config
from tests.support.gateway_process import GatewayProcess
from tests.support.offices import office_at
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.vendor_process import VendorProcess
from tests.support.waiting import soon
from tests.whole.test_whole_kill import AWAY_S, NIGHT_S, STAFF, Day, all_ended, expect_exactly_once

pytestmark = pytest.mark.xdist_group("kill")

GATEWAYS = 3
KILLS = 60 if os.environ.get("LMS_GATEWAY_LONG") == "1" else 6
LIVES_S = (0.1, 1.0)
"""How long all gateways are left at work, at least and at most."""
REST_S = 30.0


@pytest.fixture
def kind() -> Kind:
    return LEARNING_ASSISTANT


@dataclass(slots=True)
class GuardedDay(Day):
    """A day at the office with a door: while it is closed nothing new is asked of the gateways."""

    door: asyncio.Event = field(default_factory=asyncio.Event)
    inside: int = 0

    async def until_done(self, action: Callable[[], Awaitable[Any]]) -> Any:
        async def through() -> Any:
            await self.door.wait()
            self.inside += 1
            try:
                return await action()
            finally:
                self.inside -= 1

        return await Day.until_done(self, through)

    async def empty(self) -> None:
        """Close the door, and wait until everybody has been answered."""
        self.door.clear()
        await soon(lambda: self.inside == 0, within_s=REST_S, what="an answer to everybody")


@dataclass(slots=True)
class Fleet:
    """The gateways that are alive, all on one store, and the time that has been waited for in simulation."""

    folder: Path
    config: Path
    alive: list[GatewayProcess] = field(default_factory=list)
    started: int = 0
    moved_s: float = 0.0

    def urls(self) -> list[str]:
        return [gateway.url for gateway in self.alive]

    def start(self) -> None:
        self.started += 1
        log = self.folder / f"gateway-{self.started}.log"
        self.alive.append(GatewayProcess(self.config, output=log, moved_s=self.moved_s))

    def kill_one(self, random: Random) -> None:
        self.alive.pop(random.randrange(len(self.alive))).kill()

    def move(self, seconds: float = AWAY_S) -> None:
        self.moved_s += seconds
        for gateway in self.alive:
            gateway.move(seconds)

    def close(self) -> None:
        for gateway in self.alive:
            gateway.kill()


@pytest.fixture
def fleet(kind: Kind, vendor: VendorProcess, tmp_path: Path, postgres_url: str) -> Iterator[Fleet]:  # noqa: F811
    (tmp_path / "secret").write_text(secrets.token_hex())
    config = write_config(
        tmp_path,
        {"acme": tenant(kind, vendor.url)},
        store=postgres_url,
        secret="${file:secret}",
        answer="1s",
    )
    with contextlib.closing(Fleet(tmp_path, config)) as fleet:
        for _ in range(GATEWAYS):
            fleet.start()
        yield fleet


async def kill_now_and_then(fleet: Fleet, day: GuardedDay, random: Random) -> None:
    """Kill one at a time; all but the one in the middle are replaced."""
    for number in range(KILLS):
        await asyncio.sleep(random.uniform(*LIVES_S))  # the moment of the kill is the point
        await asyncio.to_thread(fleet.kill_one, random)
        await day.empty()
        await asyncio.to_thread(fleet.move)
        if number != KILLS // 2:
            await asyncio.to_thread(fleet.start)
        day.door.set()


async def test_three_gateways_killed_now_and_then_make_every_enrolment_once_with_one_login(
    kind: Kind, vendor: VendorProcess, fleet: Fleet
) -> None:
    seed = int(os.environ.get("LMS_GATEWAY_SEED") or secrets.randbits(32))
    random, told = Random(seed), f"seed {seed}, {KILLS} kills"
    vendor.switch(new_login_ends_old=True)
    vendor.arm({"kind": "slow_answer", "seconds": 0.03, "count": None})  # so that kills hit calls under way
    async with balancing(fleet.urls, random) as url, office_at(url, kind) as office:
        day = GuardedDay(office, kind)
        day.door.set()
        await day.one_case("stu-first")  # logged in: a kill in the middle of that would need a second login
        async with asyncio.timeout(KILLS * 5 + REST_S), asyncio.TaskGroup() as staff:
            for desk in range(STAFF):
                staff.create_task(day.work(desk))
            await kill_now_and_then(fleet, day, random)
            day.over = True
        await day.empty()
        await asyncio.to_thread(fleet.move)  # one more lease's time, for what the last kill left
        await all_ended(day, kind, vendor, lambda: fleet.move(NIGHT_S), told)
        day.door.set()
        await expect_exactly_once(day, kind, vendor, told)
    assert len(fleet.alive) == GATEWAYS - 1
    assert day.failures >= KILLS / 3, "the kills hit nothing"
    assert (vendor.counts()["logged_in"], vendor.counts()["login_failed"]) == (1, 0), told
