"""What the gateway must hold apart from CPU per request: memory, start-up, a long list through a mapping."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import learners
import orjson
from learners import FIRST_USER
from load import opened, ordered, request
from rtopilot import Office, open_office
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
from gateway.store import schedules
from gateway.store.database import Database
from gateway.store.enrolments import StoredEnrolment
from gateway.store.tables import enrolment, insert
from gateway.store.tables_progress import outbox
from gateway.vendor import codecs

TENANTS = ("bench", "north", "east", "south", "west", "centre")
KNOWN = 100_000
PER_TENANT = -(-KNOWN // len(TENANTS))
POLLED = learners.COURSES
SWEEP_S = 15
WAITING = 300
"""Values in the outbox when the gateway starts."""
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
    """A gateway with six mappings and 100,000 known enrolments, on its second start: what it costs to be.

    Before memory is read, each tenant's courses have been polled once; each enrolment has its row in the
    outbox, and a few values are delivered.
    """
    port = free_port()
    store = f"sqlite:///{folder / 'gateway.db'}"
    await ordered(vendor, f"learners/{-(-PER_TENANT // POLLED)}")
    async with open_office() as office, _filled(store) as database:
        rtopilot = {"base_url": f"{office.url}/api", "api_key": "${env:BENCH_RTOPILOT_KEY}"}
        more = {"rtopilot": rtopilot, "progress": {"every": f"{SWEEP_S}s"}}
        command = gateway_command(port, f"{vendor}/api/v1", folder, template, TENANTS, more)
        server = Server("laden gateway", command, port, folder)
        try:
            await server.ready()
            await _ask(server, ["/t/bench/courses/1"])
            started_s = server.cpu_s
            known = (f"/t/{_tenant(number)}/enrolments/{_id(number)}" for number in range(ASKED))
            await _ask(server, [*(f"/t/{name}/courses" for name in TENANTS), *known])
            await _swept(server, database, office)
            memory_mb = server.memory_mb
        finally:
            server.stop()
    await ordered(vendor, "anew")
    return [
        Condition(name="start to first answer, six mappings", value=started_s, goal=1.5, unit="s of CPU"),
        Condition(
            name=f"memory, six mappings, {KNOWN:,} known enrolments, polled",
            value=memory_mb,
            goal=120,
            unit="MB",
        ),
    ]


@asynccontextmanager
async def _filled(store: str) -> AsyncIterator[Database]:
    database = Database.open(store)
    try:
        for start in range(0, KNOWN, CHUNK):
            numbers = range(start, min(start + CHUNK, KNOWN))
            rows, told = [_row(number) for number in numbers], [_told(number) for number in numbers]
            await database.write(lambda conn: conn.execute(insert(enrolment), rows))  # noqa: B023 (used at once)
            await database.write(lambda conn: conn.execute(insert(outbox), told))  # noqa: B023 (used at once)
        yield database
    finally:
        await database.close()


async def _swept(server: Server, database: Database, office: Office) -> None:
    """Every tenant's courses have been polled, and what waited in the outbox has been delivered."""
    try:
        async with asyncio.timeout(SWEEP_S * 4):
            while True:
                turns = await database.read(schedules.list_items)
                over = [turn for turn in turns if turn.last_ok_at is not None]
                if len(over) == len(TENANTS) and office.taken >= WAITING:
                    return
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        raise server.failed(f"has polled {len(over)} tenants and told {office.taken} values") from error


def _tenant(number: int) -> str:
    return TENANTS[number % len(TENANTS)]


def _user(number: int) -> int:
    return FIRST_USER + number // len(TENANTS)


def _course(number: int) -> int:
    return (_user(number) - FIRST_USER) % POLLED + 1


def _id(number: int) -> str:
    return f"{_user(number)}-{_course(number)}"


def _row(number: int) -> dict[str, object]:
    user, course = str(_user(number)), str(_course(number))
    known: dict[str, object] = {
        **dict.fromkeys(StoredEnrolment.__slots__),
        "tenant": _tenant(number),
        "id": _id(number),
        "alias": "",
        "vendor_account": "talentlms",
        "key": f'["{user}","{course}"]',
        "generation": 1,
        "state": "active",
        "record": {"userId": user, "courseId": course},
        "course_id": course,
        "student_id": user,
        "completed": False,
        "adopted": False,
        "last_progress": 40,
        "created_at": 0.0,
        "push_from": 0.0,
    }
    return {column.name: known.get(column.name) for column in enrolment.c}


def _told(number: int) -> dict[str, object]:
    waits = number < WAITING
    known: dict[str, object] = {
        "tenant": _tenant(number),
        "id": _id(number),
        "value": 40,
        "version": 1,
        "sent_version": 0 if waits else 1,
        "sent_value": None if waits else 40,
        "state": "pending" if waits else "done",
        "since": 0.0,
        "due_at": 0.0,
        "tries": 0,
        "updated_at": 0.0,
    }
    return {column.name: known.get(column.name) for column in outbox.c}


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
