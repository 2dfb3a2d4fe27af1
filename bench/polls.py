"""What it costs to poll 1,000 enrolments: CPU of this process, which works as a gateway's poller does.

Time is simulated: a sweep that is spread over its interval is done slice by slice, without the waits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, median_low
from unittest.mock import patch

import by_hand
import httpx
from learners import COURSES, users_of
from load import ordered
from servers import ENVIRONMENT, HERE, bench_mapping

from gateway import ids
from gateway.app import Gateway, open_gateway
from gateway.config import load_config
from gateway.perform.enrolments import canonical_key
from gateway.serving import spare_the_collector
from gateway.store import schedules
from gateway.store.tables import enrolment, insert

LEARNERS = 25
"""In each of the 40 courses."""
SHORT = 3
"""How often a sweep is done that takes less than a second."""
SLICE_S = 35.0
AHEAD_S = 7 * 3600.0
"""Later than any plan's next sweep."""
MOST_ROUNDS = 5_000
COURSE_UUID = "E2A94C08-77F1-4D63-90BD1C5568AE3F12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """One whole sweep of 1,000 enrolments, and what came of it."""

    name: str
    calls: int
    cpu_ms: float
    by_hand_ms: float | None = None


async def measure(vendor: str, folder: Path) -> list[Polled]:
    """`vendor` is the vendor's origin."""
    await ordered(vendor, f"learners/{LEARNERS}")
    same_ms, other_ms = await _by_hand(vendor, folder / "polled.db")
    for name in ("courses", "units", "each"):
        (folder / name).mkdir()
    courses = await _polled(vendor, folder / "courses", _talentlms(vendor, folder, units="off"), SHORT)
    units = await _polled(vendor, folder / "units", _talentlms(vendor, folder, units="all"))
    each = await _polled(vendor, folder / "each", _learning_assistant(vendor))
    await ordered(vendor, "anew")
    return [
        _named("one call a course, nothing changed", courses[0], same_ms),
        _named("one call a course, everybody moved on", courses[1], other_ms),
        _named("the same, and each one's units read", units[1]),
        _named("one SOAP call an enrolment, nothing changed", each[0]),
        _named("one SOAP call an enrolment, everybody moved on", each[1]),
    ]


def _named(name: str, done: tuple[int, float], by_hand_ms: float | None = None) -> Polled:
    return Polled(name=name, calls=done[0], cpu_ms=done[1], by_hand_ms=by_hand_ms)


# -- by hand


async def _by_hand(vendor: str, path: Path) -> tuple[float, float]:
    """CPU of a sweep in which nothing, and one in which everything has changed."""
    conn, courses = by_hand.opened_database(path), range(1, COURSES + 1)
    async with httpx.AsyncClient(base_url=f"{vendor}/api/v1", auth=("k3yMadeUp", ""), timeout=30) as client:
        same: list[float] = []
        other: list[float] = []
        for percent in _percents(SHORT):
            await ordered(vendor, f"percent/{percent}")
            before = time.process_time()
            changed = await by_hand.poll(client, conn, courses)
            (other if changed else same).append((time.process_time() - before) * 1000)
    conn.close()
    return median(same), median(other[1:])


# -- by the gateway's poller


async def _polled(
    vendor: str, folder: Path, tenant: dict[str, object], times: int = 1
) -> list[tuple[int, float]]:
    """(calls, median CPU ms) of sweeps with nothing changed, and of sweeps with everything changed."""
    settings = {
        "listen": {"host": "127.0.0.1", "port": 1},
        "admin": "off",
        "store": f"sqlite:///{folder / 'gateway.db'}",
        "tenants": {"bench": tenant},
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    with patch.dict("os.environ", ENVIRONMENT):
        loaded = load_config(folder / "config.yaml")
    async with open_gateway(loaded) as gateway:
        await gateway.database.write(lambda conn: conn.execute(insert(enrolment), _rows(tenant)))
        spare_the_collector()
        calls: list[int] = []
        taken: list[float] = []
        for percent in _percents(times):
            await ordered(vendor, f"percent/{percent}")
            gateway.database.clock.move(AHEAD_S)
            asked, before = await ordered(vendor, "asked"), time.process_time()
            await _sweep(gateway)
            taken.append((time.process_time() - before) * 1000)
            calls.append(await ordered(vendor, "asked") - asked)
    same, other = slice(1, times + 1), slice(times + 1, None)
    return [(median_low(calls[each]), median(taken[each])) for each in (same, other)]


def _percents(times: int) -> list[int]:
    """What everybody stands at in each sweep: new, so many times the same, so many times another."""
    return [40, *[40] * times, *range(41, 41 + times)]


async def _sweep(gateway: Gateway) -> None:
    """Until one whole sweep is over, and the units of those who moved on have been read."""
    poller, done = gateway.progress.poller, gateway.progress.poller.counts.sweeps
    for _ in range(MOST_ROUNDS):
        await poller.round()
        if poller.counts.sweeps == done:
            gateway.database.clock.move(SLICE_S)
            continue
        turns = await gateway.database.read(schedules.list_items)
        if all(turn.cursor is None for turn in turns):
            return
    raise AssertionError(f"the sweep does not end: {poller.counts}")


def _talentlms(vendor: str, folder: Path, *, units: str) -> dict[str, object]:
    path = folder / "polled.yaml"
    path.write_text(bench_mapping((HERE.parent / "mappings" / "talentlms.yaml").read_text(encoding="utf-8")))
    return {
        **_TENANT,
        "mapping": str(path),
        "base_url": f"{vendor}/api/v1",
        "settings": {"domain": "bench.talentlms.com"},
        "secrets": {"apiKey": "${env:BENCH_VENDOR_KEY}"},
        "progress": {"units": units},
    }


def _learning_assistant(vendor: str) -> dict[str, object]:
    login = "${env:BENCH_VENDOR_KEY}"
    return {
        **_TENANT,
        "mapping": str(HERE.parent / "mappings" / "learning-assistant.yaml"),
        "base_url": f"{vendor}/webservices/soap",
        "settings": dict.fromkeys(("company", "assessor", "verifier"), COURSE_UUID),
        "secrets": {"username": login, "password": login},
        "progress": {"units": "off"},
    }


_TENANT: dict[str, object] = {
    "inbound": {"auth": {"kind": "bearer", "token": "${env:BENCH_TOKEN}"}},
    "rtopilot": {"base_url": "http://127.0.0.1:1/api", "api_key": "${env:BENCH_RTOPILOT_KEY}"},
}


def _rows(tenant: dict[str, object]) -> list[dict[str, object]]:
    per_course = "talentlms" in str(tenant["settings"])
    return [
        _row(user, course, per_course=per_course)
        for course in range(1, COURSES + 1)
        for user in users_of(course, LEARNERS)
    ]


def _row(user: int, course: int, *, per_course: bool) -> dict[str, object]:
    parts: Sequence[str] = (str(user), str(course))
    record = {"userId": str(user), "courseId": str(course)}
    if not per_course:
        parts = (f"5D1E0A77-3C42-4B19-A6F0D298{user:08X}", COURSE_UUID)
        record = {"candidate": parts[0], "course": parts[1]}
    known: dict[str, object] = {
        "tenant": "bench",
        "id": ids.encode(parts),
        "alias": "",
        "vendor_account": "bench",
        "key": canonical_key(tuple(parts)),
        "generation": 1,
        "state": "active",
        "record": record,
        "course_id": ids.encode_course(parts[1]),
        "completed": False,
        "adopted": False,
        "created_at": 0.0,
        "push_from": 0.0,
    }
    return {column.name: known.get(column.name) for column in enrolment.c}
