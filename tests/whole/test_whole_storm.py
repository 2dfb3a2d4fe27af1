"""Progress in a storm: webhooks twice and out of order, RTOPilot failing, gateways killed; then RTOPilot is read.

10,000 values on one gateway and SQLite, 4,000 on three gateways and one PostgreSQL; ten times as many with
LMS_GATEWAY_LONG=1. A third of RTOPilot's answers are 5xx, 429 or lost. When nothing comes to RTOPilot any more
because everybody waits for a back-off, all clocks go on by half a day.
The seed is in the assertion's message; LMS_GATEWAY_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.deployment import LEARNING_ASSISTANT, tenant, write_config
from tests.support.offices import office_at
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.storm import (
    Fleet,
    Rest,
    Senders,
    Weatherman,
    enrol,
    looking_at,
    new_keys,
    polled_by,
    polls_done,
    storm_tenants,
)
from tests.support.storm_rtopilot import Weather, rtopilot_running
from tests.support.storm_values import Storm, brewed, faults
from tests.support.vendor_process import VendorProcess

STORMS = pytest.mark.xdist_group("kill")
POLLS = pytest.mark.xdist_group("polls")
TIMES = 10 if os.environ.get("LMS_GATEWAY_LONG") == "1" else 1
HANGS_S = 360.0 * TIMES
STORMY = Weather(faults=1 / 3)
REST = Rest(pending=0, dead=0, busy=0, unread=0, aside=0)


def seeded() -> tuple[int, Random]:
    seed = int(os.environ.get("LMS_GATEWAY_SEED") or secrets.randbits(32))
    return seed, Random(seed)


def fall(storm: Storm, name: str) -> dict[str, Any]:
    return {"progress": {"every": "30d", **({"fall": "push"} if name in storm.falling else {})}}


async def weathered(
    folder: Path, storm: Storm, store: str, gateways: int, random: Random, **weatherman: Any
) -> list[str]:
    """Let the storm pass; what went wrong."""
    names = sorted({name for name, _ in storm.changes})
    keys = new_keys(names)
    began = time.monotonic()
    with (
        rtopilot_running(
            {key: name for name, key in keys.items()}, weather=STORMY, seed=random.randrange(2**32)
        ) as rtopilot,
        contextlib.ExitStack() as stack,
    ):
        (folder / "secret").write_text(secrets.token_hex())
        tenants = storm_tenants(folder, names, rtopilot.url, keys, changes=lambda name: fall(storm, name))
        fleet = Fleet(write_config(folder, tenants, store=store, secret="${file:secret}"))
        stack.callback(fleet.close)
        url = store.replace("sqlite:///", f"sqlite:///{folder}/")
        await enrol(url, list(storm.changes))
        for _ in range(gateways):
            await asyncio.to_thread(fleet.start)
        senders = Senders(storm, fleet.urls, random)
        ready = time.monotonic()
        async with (
            asyncio.timeout(HANGS_S),
            looking_at(url) as database,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(senders.post_all())
            man = Weatherman(fleet, rtopilot, database, senders, random, **weatherman)
            found = await man.until_over()
        seen = rtopilot.seen()
    print(
        f"ready {ready - began:.1f}, posted {senders.took_s:.1f} s, all {time.monotonic() - ready:.1f} s, "
        f"{man.kills} kills, {man.leaps} leaps, {senders.refused} refused, {len(seen.arrivals)} pushes, "
        f"{sum(each.kind != 'taken' for each in seen.arrivals)} faults"
    )
    assert man.kills > 2 and (senders.refused or gateways > 1), "the kills hit nothing"
    return [*faults(storm, seen), *([] if found == REST else [str(found)])]


@STORMS
async def test_after_a_storm_rtopilot_holds_the_newest_value_of_each_enrolment(tmp_path: Path) -> None:
    seed, random = seeded()
    storm = brewed(tenants=100, enrolments=20, values=5 * TIMES, now=time.time(), random=random)
    found = await weathered(
        tmp_path, storm, "sqlite:///gateway.db", 1, random, lives_s=(4.0, 6.0), ponder_s=3.0
    )
    assert found[:20] == [], f"seed {seed}: {len(found)} faults"


@STORMS
async def test_three_gateways_on_one_postgresql_weather_it_too(tmp_path: Path, postgres_url: str) -> None:  # noqa: F811
    seed, random = seeded()
    storm = brewed(tenants=40, enrolments=20, values=5 * TIMES, now=time.time(), random=random)
    found = await weathered(
        tmp_path,
        storm,
        postgres_url,
        3,
        random,
        lives_s=(4.0, 6.0),
        ponder_s=1.0,
        replaced=lambda number: number != 2,
    )
    assert found[:20] == [], f"seed {seed}: {len(found)} faults"


# -- polls of several gateways ------------------------------------------------------------------------

EVERY_S = 600.0
AUDIT_S = 80 * 86_400.0
"""A list that goes back so far is an audit's."""
STEP_S = 120.0
JITTER = 0.1
POLLED = 40 * TIMES
"""Tenants that are polled."""
HOURS = 3


@POLLS
async def test_each_poll_runs_once_per_interval_however_many_gateways_there_are(
    tmp_path: Path,
    postgres_url: str,  # noqa: F811
) -> None:
    seed, random = seeded()
    names = [f"rto-{number}" for number in range(POLLED)]
    keys, again = new_keys(names), set[str]()
    with (
        rtopilot_running({key: name for name, key in keys.items()}) as rtopilot,
        contextlib.ExitStack() as stack,
    ):
        tenants = storm_tenants(
            tmp_path, names, rtopilot.url, keys, changes=lambda _: {"progress": {"every": "10m"}}
        )
        (tmp_path / "secret").write_text(secrets.token_hex())
        fleet = Fleet(write_config(tmp_path, tenants, store=postgres_url, secret="${file:secret}"))
        stack.callback(fleet.close)
        await enrol(postgres_url, [(name, str(number)) for number, name in enumerate(names)])
        for _ in range(3):
            await asyncio.to_thread(fleet.start)
        async with looking_at(postgres_url) as database:
            for step in range(int(HOURS * 3600 / STEP_S)):
                await asyncio.to_thread(fleet.move, STEP_S)
                database.clock.move(STEP_S)
                if step == 30:
                    again = await polled_by(database, await asyncio.to_thread(fleet.kill_one, random))
                await polls_done(database, fleet.pids())
        seen = rtopilot.seen()
    for name in names:
        asked = sorted(
            each.until
            for each in seen.listings
            if each.key == f"key-of-{name}" and each.until - each.since < AUDIT_S
        )
        first, *gaps = [
            late - early for early, late in itertools.pairwise(asked)
        ]  # the first joins the rhythm
        told, repeated = f"seed {seed}: {name}: {first}, {gaps}", int(name in again)
        short = [gap for gap in gaps if gap < EVERY_S * (1 - 2 * JITTER) - STEP_S]
        assert len(short) <= repeated, told
        assert max(gaps) <= EVERY_S * (1 + 2 * JITTER) + STEP_S * (1 + repeated), told
        assert len(asked) - len(short) >= HOURS * 6 - 1, told


@POLLS
async def test_gateways_that_poll_a_vendor_which_ends_old_sessions_log_in_once(
    vendors: dict[str, VendorProcess],
    tmp_path: Path,
    postgres_url: str,  # noqa: F811
) -> None:
    kind, vendor = LEARNING_ASSISTANT, vendors["learning-assistant"]
    vendor.switch(new_login_ends_old=True)
    (tmp_path / "secret").write_text(secrets.token_hex())
    acme = tenant(kind, vendor.url, progress={"every": "10m"})
    fleet = Fleet(write_config(tmp_path, {"acme": acme}, store=postgres_url, secret="${file:secret}"))
    with contextlib.closing(fleet):
        for _ in range(3):
            await asyncio.to_thread(fleet.start)
        async with office_at(fleet.alive[0].url, kind) as office, looking_at(postgres_url) as database:
            for number in range(6):
                office.organisation.add_student(f"stu-{number}", "Ana", "Citizen")
                await office.enrol(f"stu-{number}", kind.courses[number % 2])
            for step in range(90):
                await asyncio.to_thread(fleet.move, STEP_S)
                database.clock.move(STEP_S)
                if step == 30:
                    await asyncio.to_thread(fleet.kill_one, Random(1))
                await polls_done(database, fleet.pids())
    polls = [log.read_text().count("acme: poll: done") for log in fleet.logs()]
    assert sum(polls) >= 6 * 2 and sum(count > 0 for count in polls) > 1, f"who polled how often: {polls}"
    assert (vendor.counts()["logged_in"], vendor.counts()["login_failed"]) == (1, 0), polls
