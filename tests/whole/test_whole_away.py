"""RTOPilot is away for a simulated day while learners go on; then it is back, and one API key has been rotated.

Half of the day connections are refused, then every answer is 503. The gateway is killed once in between.
The day is simulated, what follows is not: the drain is measured on the clock that the gateway paces by.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway.cli.commands import app
from gateway.sandbox.rtopilot_progress import new_key
from gateway.store import outbox
from gateway.store.database import Database
from tests.support.deployment import write_config
from tests.support.storm import Fleet, Senders, enrol, looking_at, rest, storm_tenants
from tests.support.storm_rtopilot import CALM, Arrival, Rtopilot, Weather, rtopilot_running
from tests.support.storm_values import Event, Storm, signed
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("away")

NAMES = ("rotated", "one", "two")
ENROLMENTS = 300 if os.environ.get("LMS_GATEWAY_LONG") == "1" else 30
"""Of each tenant. One of them moves on for the first time in each part of the day."""
PART_S = 86_400 / ENROLMENTS
THINKS_S = 0.25
"""How long RTOPilot takes for each push when it is back: two at once alone would be eight a second."""
AT_ONCE, PER_S = 2, 5
AWAY = Weather(faults=1.0, kinds=("503",))


@dataclass(slots=True)
class Day:
    """Three tenants on one gateway, and RTOPilot, whose organisations have these keys."""

    folder: Path
    rtopilot: Rtopilot
    fleet: Fleet
    database: Database
    keys: dict[str, str]
    newest: dict[tuple[str, str], int] = field(default_factory=dict)

    async def part(self, number: int) -> None:
        """The next learner of each tenant begins, and all who have begun move on."""
        for name in NAMES:
            for begun in range(number, max(-1, number - 3), -1):
                await self.move_on(name, begun, percent=1 + 3 * (number - begun) + number % 3)

    async def move_on(self, name: str, learner: int, percent: int) -> None:
        id = id_of(name, learner)
        now = self.database.clock.now()
        event = Event(
            tenant=name, enrolment=id, number=int(now), at=now, percent=float(percent), completed=False
        )
        storm = Storm({(name, id): [event]}, [signed(name, (event,))], frozenset())
        await Senders(storm, self.fleet.urls, Random(1)).post_all()
        self.newest[name, id] = event.told

    async def settled(self) -> None:
        """What came in has been read, and nobody is at anything."""

        async def quiet() -> bool:
            found = await rest(self.database, self.fleet.pids())
            return found.unread == found.busy == 0

        await eventually(quiet, within_s=30.0, what="quiet at the gateway")

    async def pass_(self, seconds: float) -> None:
        await asyncio.to_thread(self.fleet.move, seconds)
        self.database.clock.move(seconds)

    async def ages(self, name: str) -> list[str]:
        """What waits for a tenant, the oldest change first."""
        found = await self.database.read(
            lambda conn: outbox.list_items(conn, tenant=name, state="pending", limit=1000)
        )
        return [item.id for item in sorted(found, key=lambda item: item.since)]

    async def listed(self, name: str) -> Any:
        """What an operator sees of a tenant, in a line."""
        words = ["outbox", "list", name, "--json", "--config", str(self.folder / "config.yaml")]
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert done.exit_code == 0, done.output
        return orjson.loads(done.stdout)["tenants"][0]


def id_of(name: str, learner: int) -> str:
    return str(1000 * (NAMES.index(name) + 1) + learner)


@contextlib.asynccontextmanager
async def a_day(folder: Path) -> AsyncIterator[Day]:
    keys = {name: new_key() for name in NAMES}
    with rtopilot_running({key: name for name, key in keys.items()}) as rtopilot:
        for name, key in keys.items():
            (folder / f"{name}.key").write_text(key)
        files = {name: f"${{file:{name}.key}}" for name in NAMES}
        tenants = storm_tenants(
            folder, NAMES, rtopilot.url, files, changes=lambda _: {"progress": {"every": "30d"}}
        )
        store = f"sqlite:///{folder}/gateway.db"
        await enrol(store, [(name, id_of(name, learner)) for name in NAMES for learner in range(ENROLMENTS)])
        with contextlib.closing(Fleet(write_config(folder, tenants))) as fleet:
            await asyncio.to_thread(fleet.start)
            async with looking_at(store) as database:
                yield Day(folder, rtopilot, fleet, database, keys)


async def test_after_a_day_away_rtopilot_gets_everything_oldest_first_and_a_rotated_key_only_waits(
    tmp_path: Path,
) -> None:
    async with a_day(tmp_path) as day:
        await be_away(day)
        waiting = {name: await day.ages(name) for name in NAMES}
        assert {name: len(ids) for name, ids in waiting.items()} == dict.fromkeys(NAMES, ENROLMENTS)
        came_back = day.rtopilot.ponder(10 * ENROLMENTS * len(NAMES), THINKS_S)
        day.rtopilot.turn(CALM)
        await until_delivered(day, ("one", "two"))
        expect_by_age_and_pace(day, ("one", "two"), waiting, came_back)
        await expect_paused(day)
        new_key_at = time.monotonic()
        (tmp_path / "rotated.key").write_text(day.keys["rotated"])
        await until_delivered(day, ("rotated",))
        expect_by_age_and_pace(day, ("rotated",), waiting, new_key_at)
        assert (await day.listed("rotated"))["paused"] is None
    assert day.fleet.started == 2


async def be_away(day: Day) -> None:
    """The day, part by part."""
    day.rtopilot.leave()
    for number in range(ENROLMENTS):
        if number == ENROLMENTS // 2:
            day.rtopilot.turn(AWAY)
            day.rtopilot.come_back()
        if number == ENROLMENTS // 3:
            await asyncio.to_thread(day.fleet.kill_one, Random(1))
            await asyncio.to_thread(day.fleet.start)
        if number == ENROLMENTS * 2 // 3:
            old, day.keys["rotated"] = day.keys["rotated"], new_key()
            day.rtopilot.replace_key(old, day.keys["rotated"])
        await day.part(number)
        await day.settled()
        await day.pass_(PART_S)
        await day.settled()


async def until_delivered(day: Day, names: tuple[str, ...]) -> None:
    """Time passes until RTOPilot is heard to be back, and then really."""

    async def delivered() -> bool:
        if not any(
            each.kind == "taken" and each.organisation in names for each in day.rtopilot.seen().arrivals
        ):
            await day.settled()
            await day.pass_(300.0)
        counts = await day.database.read(outbox.counts)
        return all(counts[name]["pending"] == 0 for name in names)

    await eventually(delivered, within_s=30.0 + ENROLMENTS / PER_S, what=f"all of {names} delivered")


def expect_by_age_and_pace(
    day: Day, names: tuple[str, ...], waiting: dict[str, list[str]], since: float
) -> None:
    seen = day.rtopilot.seen()
    held = seen.held()
    assert seen.overlaps == seen.malformed == []
    for name in names:
        came = [each for each in seen.arrivals if each.organisation == name and each.began >= since]
        came.sort(key=lambda each: each.began)
        assert {each.kind for each in came} == {"taken"}
        expect_by_age([each.id for each in came], waiting[name])
        expect_pace(came)
        for id in waiting[name]:
            assert held[name, id] == day.newest[name, id]


def expect_by_age(came: list[str], ages: list[str]) -> None:
    """Each once, oldest first. One may go before it is known that RTOPilot is back; two are sent at once."""
    assert sorted(came) == sorted(ages), "not each of them once"
    probe, *rest_ = came
    expected = [id for id in ages if id != probe]
    assert all(abs(expected.index(id) - place) < AT_ONCE for place, id in enumerate(rest_)), (came, ages)


def expect_pace(came: list[Arrival]) -> None:
    for each in came:
        assert sum(other.began <= each.began < other.ended for other in came) <= AT_ONCE
    for early, late in itertools.combinations(range(len(came)), 2):
        took_s = came[late].began - came[early].began
        assert late - early <= PER_S * (took_s + 1.5), f"{late - early + 1} pushes in {took_s:.2f} s"


async def expect_paused(day: Day) -> None:
    """The tenant whose key was rotated: refused once, all of its queue kept, and an operator sees that."""

    async def paused() -> Any:
        return (await day.listed("rotated"))["paused"]

    await eventually(paused, what="the pause")
    shown = await day.listed("rotated")
    assert shown["waiting"] == ENROLMENTS and "key" in shown["todo"], shown
    refused = [each for each in day.rtopilot.seen().arrivals if each.kind == "401"]
    assert 1 <= len(refused) <= AT_ONCE, "asked again with a key that was refused"
