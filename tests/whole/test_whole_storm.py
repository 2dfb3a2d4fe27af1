"""Progress in a storm: webhooks twice and out of order, RTOPilot failing, gateways killed; then RTOPilot is read.

20,000 values on one gateway and SQLite, 4,000 on three gateways and one PostgreSQL; ten times as many with
LMS_GATEWAY_LONG=1. A third of RTOPilot's answers are 5xx, 429 or lost. When nothing comes to RTOPilot any more
because everybody waits for a back-off, all clocks go on by half a day.
The seed is in the assertion's message; LMS_GATEWAY_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.deployment import write_config
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.storm import (
    Fleet,
    Rest,
    Senders,
    Weatherman,
    enrol,
    looking_at,
    new_keys,
    storm_tenants,
)
from tests.support.storm_rtopilot import Weather, rtopilot_running
from tests.support.storm_values import Storm, brewed, faults

pytestmark = pytest.mark.xdist_group("kill")

TIMES = 10 if os.environ.get("LMS_GATEWAY_LONG") == "1" else 1
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
        async with looking_at(url) as database, asyncio.TaskGroup() as tasks:
            tasks.create_task(senders.post_all())
            man = Weatherman(fleet, rtopilot, database, senders, random, **weatherman)
            found = await man.until_over()
        seen = rtopilot.seen()
    print(
        f"ready {ready - began:.1f}, posted {senders.took_s:.1f} s, all {time.monotonic() - ready:.1f} s, "
        f"{man.kills} kills, {man.leaps} leaps, {senders.refused} refused, {len(seen.arrivals)} pushes, "
        f"{sum(each.kind != 'taken' for each in seen.arrivals)} faults"
    )
    t0 = min(a.began for a in seen.arrivals)
    import collections
    print(sorted(collections.Counter(int((a.began-t0)//2)*2 for a in seen.arrivals).items()))
    assert man.kills > 2 and senders.refused, "the kills hit nothing"
    return [*faults(storm, seen), *([] if found == REST else [str(found)])]


async def test_after_a_storm_rtopilot_holds_the_newest_value_of_each_enrolment(tmp_path: Path) -> None:
    seed, random = seeded()
    storm = brewed(tenants=200, enrolments=20, values=5 * TIMES, now=time.time(), random=random)
    found = await weathered(tmp_path, storm, "sqlite:///gateway.db", 1, random, lives_s=(3.0, 5.0))
    assert found[:20] == [], f"seed {seed}: {len(found)} faults"
