"""An LMS at the edge, gateways on one SQLite file, enrolments made by hand, and time that moves when told."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from gateway import ids
from gateway.mapping.load import parse_mapping
from gateway.mapping.settings import parse_settings
from gateway.outbound import Answer
from gateway.perform import Tenant, TenantSpec, open_tenant
from gateway.perform.enrolments import canonical_key
from gateway.store import enrolments, manual, schedules, tokens
from gateway.store.clock import Clock
from gateway.store.database import Database
from gateway.store.enrolments import StoredEnrolment
from gateway.store.tables_progress import outbox
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)

BASE = "https://lms.example/api"
START = 1_780_000_000.0

HEAD = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
server:
  base: "https://lms.example/api"
  hosts: [lms.example]
  BUDGET
  replies: [{if: "reply.status == 404", is: absent}, {if: "reply.status == 422", is: refused}]
operations:
  getCourses: {steps: [{id: all, call: GET /courses, items: reply.body}], each: steps.all.items, as: c, give: {id: "${text(c.id)}", name: "${c.name}"}}
  createEnrolment: {steps: [{id: go, call: PUT /go, repeat: safe}], record: {user: "${student.id}", course: "${courseId}"}, key: [user, course]}
  transferEnrolment: {refuse: "no"}
  cancelEnrolment: {refuse: "no"}
progress:
  policy: {fall: hold}
  read:
    steps:
    - {id: read, call: "GET /courses/${enrolment.course}/users/${enrolment.user}", value: {percent?: "${reply.body.percent}", completed: "${reply.body.done ?? false}"}}
"""


def mapping_text(poll: str = "", *, budget: str = "") -> str:
    """The demo mapping with `progress.poll` (and whatever else stands in that block) as given."""
    lines = "".join(f"  {line}\n" for line in poll.strip().splitlines())
    return HEAD.replace("  BUDGET\n", f"  budget: {budget}\n" if budget else "") + lines


class Lms:
    """A vendor in memory: `on` replaces the next answers, `broken` fails all, `gate` holds answers back."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.learners: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.sent: list[str] = []
        self.sent_at: list[float] = []
        self.bodies: list[Any] = []
        self.replies: dict[str, list[Any]] = defaultdict(list)
        self.gates: dict[str, asyncio.Event] = {}
        self.broken: set[str] = set()

    def learner(self, course: str, user: str, percent: Any = 0, *, done: bool = False) -> None:
        at = self.clock.now()
        self.learners[course][user] = {"user": user, "percent": percent, "done": done, "at": at}

    def on(self, pattern: str, *replies: Any) -> None:
        """A status, an exception, or a body, each for one request."""
        self.replies[pattern].extend(replies)

    def gate(self, pattern: str) -> asyncio.Event:
        self.gates[pattern] = asyncio.Event()
        return self.gates[pattern]

    def count(self, pattern: str = ".*") -> int:
        return sum(re.fullmatch(pattern, sent) is not None for sent in self.sent)

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.sent)

    async def send(self, method: str, base: str, target: str, **more: Any) -> Answer:
        url = urlsplit(target)
        what = f"{method} {url.path}"
        self.sent.append(what)
        self.sent_at.append(self.clock.now())
        await asyncio.sleep(0)
        for pattern, gate in self.gates.items():
            if re.fullmatch(pattern, what):
                await gate.wait()
        if any(re.fullmatch(pattern, what) for pattern in self.broken):
            return _answer(500, None)
        for pattern, replies in self.replies.items():
            if replies and re.fullmatch(pattern, what):
                return _scripted(replies.pop(0))
        query = dict(more.get("query") or ())
        return self._found(method, url.path.strip("/").split("/"), query, more.get("content") or b"")

    def _found(self, method: str, parts: list[str], query: dict[str, str], content: bytes) -> Answer:
        match (method, parts):
            case ("GET", ["courses", course, "users"]):
                return _answer(200, list(self.learners[course].values()))
            case ("GET", ["courses", course, "users", user]):
                found = self.learners[course].get(user)
                return _answer(200 if found else 404, found)
            case ("GET", ["changes"]):
                since, until = float(query["from"]), float(query["to"])
                return _answer(200, [one for one in self._all() if since <= one["at"] <= until])
            case ("POST", ["many"]):
                asked = {(one["course"], one["user"]) for one in json.loads(content)}
                self.bodies.append(json.loads(content))
                return _answer(200, [one for one in self._all() if (one["course"], one["user"]) in asked])
        return _answer(404, None)

    def _all(self) -> list[dict[str, Any]]:
        return [
            {"course": course, **one} for course, users in self.learners.items() for one in users.values()
        ]

    async def aclose(self) -> None:
        pass


def _scripted(reply: Any) -> Answer:
    if isinstance(reply, BaseException):
        raise reply
    return _answer(reply, {"error": "no"}) if isinstance(reply, int) else _answer(200, reply)


def _answer(status: int, body: Any) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    return Answer(status=status, headers={"content_type": "application/json"}, content=content, elapsed_s=0.0)


@dataclass(slots=True)
class Gateway:
    """One gateway process, with its tenants."""

    owner: str
    database: Database
    tenants: dict[str, Tenant]

    @property
    def tenant(self) -> Tenant:
        return self.tenants["acme"]


@dataclass(slots=True)
class World:
    """One store, one LMS, and as many gateways on them as a test starts."""

    url: str
    clock: Clock = field(default_factory=lambda: Clock(machine=lambda: START))
    lms: Lms = field(init=False)
    gateways: list[Gateway] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lms = Lms(self.clock)

    def start(self, mapping: str, *, tenants: tuple[str, ...] = ("acme",), **spec: Any) -> Gateway:
        """A gateway whose tenants all work by this mapping, at the one LMS."""
        owner = f"gateway-{len(self.gateways) + 1}"
        database = Database.open(self.url)
        database.clock = self.clock
        loaded = parse_mapping(mapping).mapping
        opened = {}
        for name in tenants:
            tenant_spec = TenantSpec(
                name=name, mapping=loaded, settings=parse_settings(loaded, "{}"), base=BASE,
                hosts=frozenset({"lms.example"}), **spec,
            )  # fmt: skip
            opened[name] = open_tenant(
                tenant_spec, database, owner=owner, session_key=tokens.derive_key("x" * 32),
                pool=self.lms, pause=self._pause, random=Random(1),  # type: ignore[arg-type]
            )  # fmt: skip
        gateway = Gateway(owner, database, opened)
        self.gateways.append(gateway)
        return gateway

    async def _pause(self, seconds: float) -> None:
        self.clock.move(seconds)
        await asyncio.sleep(0)

    # -- what is in the store

    async def enrol(self, course: str, user: str, *, tenant: str = "acme", **more: Any) -> StoredEnrolment:
        return (await self.enrol_all([(course, user)], tenant=tenant, **more))[0]

    async def enrol_all(
        self, pairs: list[tuple[str, str]], *, tenant: str = "acme", **more: Any
    ) -> list[StoredEnrolment]:
        """Active enrolments that RTOPilot knows, made a while ago; `record` adds to the record's fields."""
        now, record = self.clock.now() - 3600, more.pop("record", {})

        def add(conn):
            return [
                enrolments.add(
                    conn,
                    tenant=tenant,
                    vendor_account=f"demo {BASE}",
                    key=canonical_key((user, course)),
                    make_id=lambda n, user=user, course=course: ids.encode((user, course), generation=n),
                    record={"user": user, "course": course, **record},
                    **{"now": now, "push_from": now, "course_id": ids.encode_course(course), **more},
                )
                for course, user in pairs
            ]

        return await self.database.write(add)

    @property
    def database(self) -> Database:
        return self.gateways[0].database

    async def percent(self, enrolment_id: str, tenant: str = "acme") -> int | None:
        stored = await self.database.read(lambda conn: enrolments.by_id(conn, tenant, enrolment_id))
        return stored.last_progress

    async def queued(self, tenant: str = "acme") -> dict[str, int]:
        """What RTOPilot is to be told: enrolment -> per cent."""
        query = select(outbox.c.id, outbox.c.value).where(outbox.c.tenant == tenant)
        rows = await self.database.read(lambda conn: conn.execute(query).all())
        return {row.id: row.value for row in rows}

    async def todo(self) -> list[manual.ManualItem]:
        return await self.database.read(lambda conn: manual.list_items(conn))

    async def plans(self) -> dict[str, schedules.Turn]:
        turns = await self.database.read(lambda conn: schedules.list_items(conn))
        return {turn.name if turn.tenant == "acme" else f"{turn.tenant}/{turn.name}": turn for turn in turns}

    async def close(self) -> None:
        for gateway in self.gateways:
            for tenant in gateway.tenants.values():
                await tenant.close()
            await gateway.database.close()


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request):
    """A store of the test's own, on each database in turn."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


@pytest.fixture
async def world(store_url):
    made = World(store_url)
    yield made
    await made.close()


@pytest.fixture
def text():
    return mapping_text
