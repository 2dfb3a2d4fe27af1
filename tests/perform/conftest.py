"""A small LMS at the edge of the gateway, gateways on one SQLite file, and time that only moves when told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway import ids
from gateway.contract import Inputs, Operation, Person
from gateway.errors import AnswerLost, GatewayError, NotSent
from gateway.mapping.load import parse_mapping
from gateway.mapping.settings import parse_settings
from gateway.outbound import Answer
from gateway.perform import Perform, TenantSpec, open_tenant
from gateway.perform.background import Background
from gateway.perform.runs import Runs
from gateway.store import enrolments, manual, runs, tokens
from gateway.store.clock import Clock
from gateway.store.database import Database
from gateway.store.traces import Ring

BASE = "https://lms.example/api"
START = 1_780_000_000.0
ANA = Person(id="204", first_name="Ana", last_name="Diaz")
BO = Person(id="205", first_name="Bo", last_name="Lee")

HEAD = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
server:
  base: "https://lms.example/api"
  hosts: [lms.example]
  replies: [{if: "reply.status == 404", is: absent}, {if: "reply.status == 409", is: already}]
"""
PARTS = {
    "getCourses": """
    cache: 5m
    steps: [{id: all, call: GET /courses, items: reply.body}]
    each: steps.all.items
    as: course
    give: {id: "${text(course.id)}", name: "${course.name}"}""",
    "createEnrolment": """
    steps:
      - id: user
        call: POST /users
        json: {login: "${student.id}"}
        confirm: {call: "GET /users/${student.id}", done: "reply.body.id != null", value: {id: "${text(reply.body.id)}"}}
        value: {id: "${text(reply.body.id)}"}
        undo: {call: "DELETE /users/${steps.user.id}", effect: write, repeat: safe}
        remember: {student: {id: "${value.id}"}}
      - id: enrol
        call: PUT /courses/${courseId}/users/${steps.user.id}
        confirm: {call: "GET /courses/${courseId}/users/${steps.user.id}", done: "reply.body.percent != null"}
    record: {user: "${steps.user.id}", course: "${courseId}"}
    key: [user, course]""",
    "transferEnrolment": "{by: create-then-cancel}",
    "cancelEnrolment": """
    steps: [{id: end, call: "DELETE /courses/${enrolment.course}/users/${enrolment.user}", effect: write, repeat: safe}]""",
    "updateMarking": """
    steps: [{id: mark, call: "POST /marks/${enrolment.user}", json: {results: "${quizResults}"}, repeat: never}]""",
}
PROGRESS = """
progress:
  policy: {fall: hold}
  read:
    steps:
    - {id: read, call: "GET /courses/${enrolment.course}/users/${enrolment.user}", value: {percent?: "${reply.body.percent}", completed: "${reply.body.done ?? false}"}}
"""


def mapping_text(*, tail: str = "", progress: str = PROGRESS, **parts: str | None) -> str:
    """The demo mapping with some operations replaced, or (None) left out."""
    chosen = {**PARTS, **parts}
    operations = "".join(f"  {name}: {text}\n" for name, text in chosen.items() if text is not None)
    return HEAD + "operations:\n" + operations + progress + tail


class Lms:
    """A vendor in memory. `on` replaces the next answers to a request; `gate` holds its answer back."""

    def __init__(self) -> None:
        self.courses: list[Any] = [{"id": 7, "name": "Safety"}, {"id": 8, "name": "First Aid"}]
        self.users: dict[str, str] = {}
        self.enrolled: dict[tuple[str, str], dict[str, Any]] = {}
        self.facts: dict[str, Any] = {"zone": "Perth"}
        self.sent: list[str] = []
        self.effects: Counter[str] = Counter()
        self.replies: dict[str, list[Any]] = defaultdict(list)
        self.gates: dict[str, asyncio.Event] = {}
        self.broken: set[str] = set()
        self.closed = False

    def on(self, pattern: str, *replies: Any) -> None:
        """An int (a status), an exception, "lost" (done, no answer), or a body, each for one request."""
        self.replies[pattern].extend(replies)

    def gate(self, pattern: str) -> asyncio.Event:
        self.gates[pattern] = asyncio.Event()
        return self.gates[pattern]

    def count(self, pattern: str) -> int:
        return sum(re.fullmatch(pattern, sent) is not None for sent in self.sent)

    async def send(self, method: str, base: str, target: str, **more: Any) -> Answer:
        what = f"{method} {urlsplit(target).path}"
        self.sent.append(what)
        await asyncio.sleep(0)
        for pattern, gate in self.gates.items():
            if re.fullmatch(pattern, what):
                await gate.wait()
        if any(re.fullmatch(pattern, what) for pattern in self.broken):
            return _answer(500, None)
        scripted: Any = None
        for pattern, replies in self.replies.items():
            if replies and re.fullmatch(pattern, what):
                scripted = replies.pop(0)
                break
        if isinstance(scripted, BaseException):
            raise scripted
        if isinstance(scripted, int):
            return _answer(scripted, {"error": "no"})
        if scripted is not None and scripted != "lost":
            return _answer(200, scripted)
        status, body = self._do(method, target, more.get("content") or b"")
        if scripted == "lost":
            raise AnswerLost("lost")
        return _answer(status, body)

    def _do(self, method: str, target: str, content: bytes) -> tuple[int, Any]:
        parts = target.strip("/").split("/")
        match (method, parts):
            case ("GET", ["courses"]):
                return 200, self.courses
            case ("GET", ["facts"]):
                return 200, self.facts
            case ("POST", ["users"]):
                login = json.loads(content)["login"]
                self.effects["user"] += 1
                self.users.setdefault(login, str(100 + len(self.users)))
                return 200, {"id": self.users[login]}
            case ("GET", ["users", login]):
                found = self.users.get(login)
                return (200, {"id": found}) if found else (404, None)
            case ("DELETE", ["users", user]):
                self.effects["user gone"] += 1
                self.users = {login: one for login, one in self.users.items() if one != user}
                return 200, {}
            case (_, ["courses", course, "users", user]):
                return self._enrolment(method, course, user)
        self.effects[f"{method} {parts[0]}"] += 1
        return 200, {}

    def _enrolment(self, method: str, course: str, user: str) -> tuple[int, Any]:
        if method == "PUT":
            self.effects["enrolled"] += 1
            return 200, self.enrolled.setdefault((course, user), {"percent": 0, "done": False})
        if (course, user) not in self.enrolled:
            return 404, None
        if method == "DELETE":
            self.effects["ended"] += 1
            del self.enrolled[course, user]
            return 200, {}
        return 200, self.enrolled[course, user]

    async def aclose(self) -> None:
        self.closed = True


def _answer(status: int, body: Any) -> Answer:
    return Answer(
        status=status,
        headers={"content_type": "application/json"},
        content=b"" if body is None else json.dumps(body).encode(),
        elapsed_s=0.0,
    )


@dataclass(slots=True)
class Heard:
    """What RTOPilot heard: the id (or whatever the answer was), or an error."""

    result: Any = None
    status: int = 200
    code: str = "ok"

    @property
    def id(self) -> str:
        assert self.status == 200, self
        return str(self.result.id)


@dataclass(slots=True)
class Process:
    """One gateway process with one tenant, `acme`."""

    perform: Perform
    lms: Lms
    clock: Clock
    asked: int = 0
    owner: str = ""

    @property
    def database(self) -> Database:
        return self.perform.database

    @property
    def tenant(self) -> Any:
        return self.perform.tenants["acme"]

    async def ask(self, operation: Operation, **inputs: Any) -> Heard:
        self.asked += 1
        reference = f"{self.owner}-{self.asked}"
        try:
            return Heard(await self.perform("acme", operation, Inputs(**inputs), reference=reference))
        except GatewayError as error:
            return Heard(None, error.status, error.code)

    async def create(self, person: Person = ANA, course: str = "7") -> Heard:
        return await self.ask(Operation.CREATE_ENROLMENT, course_id=ids.encode_course(course), person=person)

    async def get(self, enrolment_id: str) -> Heard:
        return await self.ask(Operation.GET_ENROLMENT, enrolment_id=enrolment_id)

    async def cancel(self, enrolment_id: str) -> Heard:
        return await self.ask(Operation.CANCEL_ENROLMENT, enrolment_id=enrolment_id)

    async def transfer(self, enrolment_id: str, person: Person = BO) -> Heard:
        return await self.ask(Operation.TRANSFER_ENROLMENT, enrolment_id=enrolment_id, person=person)

    async def mark(self, enrolment_id: str, results: list[Any] | None = None) -> Heard:
        return await self.ask(Operation.UPDATE_MARKING, enrolment_id=enrolment_id, quiz_results=results)

    async def background(self, *, after: float = 0.0) -> None:
        self.clock.move(after)
        for _ in range(20):
            if not await self.perform.background.round():
                return

    async def runs(self, **only: Any) -> list[runs.Run]:
        return await self.database.read(lambda conn: runs.list_runs(conn, **only))

    async def todo(self) -> list[manual.ManualItem]:
        return await self.database.read(lambda conn: manual.list_items(conn))

    async def stored(self, enrolment_id: str) -> enrolments.StoredEnrolment | None:
        return await self.database.read(lambda conn: enrolments.by_id(conn, "acme", enrolment_id))

    async def die(self) -> None:
        """Gone with all it had in memory, as by kill -9."""
        tasks = [*self.perform.runs.live.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class World:
    """One store, one LMS, and as many gateways on them as a test starts."""

    url: str
    lms: Lms = field(default_factory=Lms)
    clock: Clock = field(default_factory=lambda: Clock(machine=lambda: START))
    processes: list[Process] = field(default_factory=list)
    paused: int = 0
    """How often a gateway has waited: for another one's run, for its turn, for the next look."""

    def start(
        self,
        mapping: str | None = None,
        *,
        settings: str = "{}",
        work_s: float = 60.0,
        answer_s: float = 5.0,
        real_pause: bool = False,
        **spec: Any,
    ) -> Process:
        loaded = parse_mapping(mapping or mapping_text()).mapping
        owner = f"gateway-{len(self.processes) + 1}"
        database = Database.open(self.url)
        database.clock = self.clock
        tenant_spec = TenantSpec(
            name="acme",
            mapping=loaded,
            settings=parse_settings(loaded, settings),
            base=BASE,
            hosts=frozenset({"lms.example"}),
            **spec,
        )
        tenant = open_tenant(
            tenant_spec,
            database,
            owner=owner,
            session_key=tokens.derive_key("x" * 32),
            pool=self.lms,  # type: ignore[arg-type]
            pause=self._real_pause if real_pause else self._pause,
            random=Random(1),
        )
        tenants, carrier = {"acme": tenant}, Runs(owner, work_s)
        perform = Perform(
            database=database,
            tenants=tenants,
            runs=carrier,
            background=Background(database, tenants, carrier, owner),
            ring=Ring(),
            answer_s=answer_s,
        )
        process = Process(perform, self.lms, self.clock, owner=owner)
        self.processes.append(process)
        return process

    async def _real_pause(self, seconds: float) -> None:
        self.paused += 1
        await asyncio.sleep(seconds)

    async def _pause(self, seconds: float) -> None:
        self.paused += 1
        self.clock.move(seconds)
        await asyncio.sleep(0)

    async def close(self) -> None:
        for process in self.processes:
            await process.perform.runs.drained(0.2)
            with contextlib.suppress(Exception):
                await process.tenant.close()
            await process.database.close()


@pytest.fixture
async def world(tmp_path):
    made = World(f"sqlite:///{tmp_path}/gateway.db")
    yield made
    await made.close()


@pytest.fixture
def gateway(world):
    """One gateway on the demo mapping."""
    return world.start()


@pytest.fixture
def people():
    return ANA, BO


@pytest.fixture
def text():
    return mapping_text


@pytest.fixture
def not_sent():
    return lambda: NotSent("no connection")
