"""A gateway whose two hundred tenants have an LMS that sends webhooks, and the deliveries it is sent."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from by_hand import signature
from load import request
from servers import HERE, Server, command_for, free_port
from sqlalchemy import Connection, func, select

from gateway import ids
from gateway.perform.enrolments import canonical_key
from gateway.store.database import Database
from gateway.store.tables import enrolment, insert
from gateway.store.tables_progress import inbox, outbox

MAPPING = HERE.parent / "tests" / "data" / "hooked.yaml"
TENANTS = 200
LEARNERS = 50
"""Per tenant."""
HINTS = 40
"""How many of the tenants have an LMS whose events are only hints."""
SETTLED_S = 120.0
_VALUE = (
    'trust: value\n    value: {"percent?": "${event.enrolment.percent}", '
    'completed: "${event.enrolment.completed_at != null}"}\n'
)

_Row = dict[str, object]


def gateway(vendor: str, rtopilot: str, store: str, folder: Path, template: str) -> Server:
    """The gateway as a process; `vendor` and `rtopilot` are origins."""
    text = MAPPING.read_text(encoding="utf-8")
    assert "trust: hint\n" in text
    (folder / "hint.yaml").write_text(text)
    (folder / "value.yaml").write_text(text.replace("trust: hint\n", _VALUE))
    port = free_port()
    settings = {
        "listen": {"host": "127.0.0.1", "port": port},
        "admin": "off",
        "store": store,
        "secret": "${env:BENCH_SECRET}",
        "tenants": {name(number): _tenant(number, vendor, rtopilot, folder) for number in range(TENANTS)},
    }
    config = folder / "config.yaml"
    config.write_text(json.dumps(settings))
    return Server("gateway", command_for(template, config, port, vendor), port, folder)


def name(number: int) -> str:
    return f"rto-{number}"


def _tenant(number: int, vendor: str, rtopilot: str, folder: Path) -> dict[str, object]:
    return {
        "mapping": str(folder / ("hint.yaml" if number < HINTS else "value.yaml")),
        "base_url": vendor,
        "secrets": {"apiKey": "${env:BENCH_VENDOR_KEY}", "webhook": "${env:BENCH_HOOK_SECRET}"},
        "inbound": {"auth": {"kind": "bearer", "token": "${env:BENCH_TOKEN}"}},
        "rtopilot": {"base_url": f"{rtopilot}/api", "api_key": "${env:BENCH_RTOPILOT_KEY}"},
        "progress": {"every": "30d"},
        "grace": "0s",
    }


# -- what is in the store


async def enrol(database: Database) -> None:
    """Fifty learners of each tenant, whom RTOPilot knows."""
    for number in range(TENANTS):
        rows = [_row(number, each) for each in enrolment_ids(number)]
        await database.write(lambda conn: conn.execute(insert(enrolment), rows))  # noqa: B023 (used at once)


def enrolment_ids(tenant: int) -> list[str]:
    """No two tenants have one in common, so that one RTOPilot can tell them apart."""
    return [str(1000 * (tenant + 1) + number) for number in range(LEARNERS)]


def _row(tenant: int, id: str) -> _Row:
    assert ids.encode((id,)) == id
    known: _Row = {
        "tenant": name(tenant),
        "id": id,
        "alias": "",
        "vendor_account": f"account-{tenant}",
        "key": canonical_key((id,)),
        "generation": 1,
        "state": "active",
        "record": {"enrolment": id, "courseId": "crs_1"},
        "completed": False,
        "adopted": False,
        "created_at": 0.0,
        "push_from": 0.0,
    }
    return {column.name: known.get(column.name) for column in enrolment.c}


@asynccontextmanager
async def looking(url: str) -> AsyncIterator[Database]:
    database = Database.open(url)
    try:
        yield database
    finally:
        await database.close()


async def settled(database: Database) -> None:
    """Everything that came in has been worked off, and everything to be told has been told."""
    async with asyncio.timeout(SETTLED_S):
        while await database.read(_waiting):  # noqa: ASYNC110 (another process does it)
            await asyncio.sleep(0.1)


def _waiting(conn: Connection) -> int:
    events = conn.execute(select(func.count()).select_from(inbox).where(inbox.c.state == "new")).scalar_one()
    values = select(func.count()).select_from(outbox).where(outbox.c.state == "pending")
    return int(events) + int(conn.execute(values).scalar_one())


# -- deliveries


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST of one event, and what RTOPilot should hear of it."""

    id: str
    value: int
    request: bytes


def deliveries(tenants: range, *, value_from: int = 1) -> Iterator[Delivery]:
    """Signed when asked for: tenant after tenant, learner after learner, then all a per cent further."""
    for value, learner in itertools.product(range(value_from, 99), range(LEARNERS)):
        for tenant in tenants:
            yield _delivery(tenant, enrolment_ids(tenant)[learner], value)


def _delivery(tenant: int, id: str, value: int) -> Delivery:
    body = {
        "id": f"evt-{id}-{value}",
        "type": "enrolment.progress",
        "at": time.time(),
        "enrolment": {"id": id, "percent": value, "completed_at": None},
    }
    raw, stamp = json.dumps(body).encode(), str(int(time.time()))
    headers = {"X-Hooked-Timestamp": stamp, "X-Hooked-Signature": signature(stamp, raw)}
    return Delivery(id, value, request("POST", f"/t/{name(tenant)}/lms-events", body=raw, more=headers))
