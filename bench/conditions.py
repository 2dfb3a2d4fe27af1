"""What the gateway must hold apart from CPU per request: memory, start-up, a long list through a mapping."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from load import opened, request
from servers import MAPPING, TOKEN, Server, free_port, gateway_command
from vendor import listed

from gateway.contract import Operation
from gateway.engine import operations
from gateway.engine.calls import Commit, Reply
from gateway.engine.doubt import Resume
from gateway.mapping.expressions import Runtime
from gateway.mapping.load import load_mapping
from gateway.mapping.settings import parse_settings
from gateway.perform.courses import CourseList
from gateway.perform.tenant import TenantSpec, frame
from gateway.rtopilot.replies import courses_bytes
from gateway.serving import spare_the_collector
from gateway.store.database import Database
from gateway.store.enrolments import StoredEnrolment
from gateway.store.tables import enrolment, insert
from gateway.vendor import codecs

TENANTS = ("bench", "north", "east", "south", "west", "centre")
KNOWN = 100_000
ASKED = 1_000
COURSES = 1_000
CHUNK = 10_000
TIMES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One figure and the highest it may be."""

    name: str
    value: float
    goal: float
    unit: str


async def laden(vendor: str, folder: Path, template: str) -> list[Condition]:
    """A gateway with six mappings and 100,000 known enrolments, on its second start: what it costs to be."""
    port = free_port()
    command = gateway_command(port, vendor, folder, template, TENANTS)
    await _fill(folder / "gateway.db")
    server = Server("laden gateway", command, port, folder)
    try:
        await server.ready()
        await _ask(server, ["/t/bench/courses/1"])
        started_s = server.cpu_s
        known = (f"/t/{TENANTS[number % len(TENANTS)]}/enrolments/{number}-1" for number in range(ASKED))
        await _ask(server, [*(f"/t/{name}/courses" for name in TENANTS), *known])
        memory_mb = server.memory_mb
    finally:
        server.stop()
    return [
        Condition(name="start to first answer, six mappings", value=started_s, goal=1.5, unit="s of CPU"),
        Condition(
            name=f"memory, six mappings, {KNOWN:,} known enrolments", value=memory_mb, goal=120, unit="MB"
        ),
    ]


async def _fill(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    for start in range(0, KNOWN, CHUNK):
        rows = [_row(number) for number in range(start, start + CHUNK)]
        await database.write(lambda conn: conn.execute(insert(enrolment), rows))  # noqa: B023 (used at once)
    await database.close()


def _row(number: int) -> dict[str, object]:
    known: dict[str, object] = {
        **dict.fromkeys(StoredEnrolment.__slots__),
        "tenant": TENANTS[number % len(TENANTS)],
        "id": f"{number}-1",
        "alias": "",
        "vendor_account": "talentlms",
        "key": f'["{number}","1"]',
        "generation": 1,
        "state": "active",
        "record": {"userId": str(number), "courseId": "1"},
        "course_id": "1",
        "student_id": str(number),
        "completed": False,
        "adopted": False,
        "created_at": 0.0,
    }
    return {column.name: known.get(column.name) for column in enrolment.c}


async def _ask(server: Server, paths: Sequence[str]) -> None:
    caller = await opened(server.port)
    for path in paths:
        async with asyncio.timeout(10):
            status, _ = await caller.call(request("GET", path, TOKEN))
        if status != 200:
            raise server.failed(f"answered {status} to {path}")
    caller.close()


def course_list() -> Condition:
    """A long list from the vendor's bytes to RTOPilot's, less what decoding its JSON takes."""
    content = json.dumps([listed(number) for number in range(1, COURSES + 1)]).encode()
    mapping = load_mapping(MAPPING).mapping
    spec = TenantSpec(
        name="bench",
        mapping=mapping,
        settings=parse_settings(mapping, "{domain: bench.talentlms.com}"),
        secrets={"apiKey": "k3yMadeUp"},
        base="https://bench.talentlms.com/api/v1",
        hosts=frozenset({"bench.talentlms.com"}),
    )
    spare_the_collector()
    beyond = [
        _cpu_ms(lambda: _through(spec, content)) - _cpu_ms(lambda: orjson.loads(content))
        for _ in range(TIMES)
    ]
    value = statistics.median(beyond)
    name = f"{COURSES:,} courses through the mapping, beyond JSON decoding"
    return Condition(name=name, value=value, goal=5.0, unit="ms of CPU")


def _cpu_ms(work: object) -> float:
    assert callable(work)
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1000


def _through(spec: TenantSpec, content: bytes) -> bytes:
    seen = frame(spec, Operation.GET_COURSES, Runtime(), searchTerm=None)
    work = operations.perform(seen, spec.mapping.operations[Operation.GET_COURSES], Resume())
    item = next(work)
    while True:
        reply = None if isinstance(item, Commit) else _reply(spec, content)
        if not isinstance(item, Commit) and reply is not None:
            reply = reply.judged(item.judge(reply))
        try:
            item = work.send(reply)
        except StopIteration as end:
            found = CourseList.of(end.value.courses, 0.0).matching("")
            assert len(found) == COURSES
            return courses_bytes(found, tenant=spec.name)


def _reply(spec: TenantSpec, content: bytes) -> Reply:
    headers = {"content_type": "application/json"}
    server = spec.mapping.server
    decoded = codecs.decode(content, headers, expect="json", xml=server.xml, unwrap=server.unwrap)
    return Reply(status=200, headers=headers, body=decoded.body, text=decoded.text)
