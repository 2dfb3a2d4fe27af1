"""Pages over ASGI: a tenant whose LMS lists no courses, one whose LMS is asked for each link, a store, a clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway import ids
from gateway.launch import token
from gateway.launch.routes import Launches, launch_routes
from gateway.launch.terms import LaunchConfig
from gateway.mapping.load import parse_mapping
from gateway.mapping.settings import parse_settings
from gateway.outbound import Answer
from gateway.perform import Tenant, TenantSpec, open_tenant
from gateway.rtopilot.routes import EXCEPTION_HANDLERS, routes
from gateway.store import enrolments, tokens
from gateway.store.clock import Clock
from gateway.store.database import Database
from gateway.store.enrolments import StoredEnrolment

START = 1_780_000_000.0
REG = "5f0c0b9e-6d1c-4a55-9a07-2f4b6c1f9d10"
KEY = token.derive_key("the deployment's secret")

CATALOGUE = """
format: 1
mapping: catalogue
version: 1.0.0
vendor: {name: Catalogue}
settings:
  launchedFrom: {type: host, required: true}
  courses: {type: list, item: {id: text, name: text, url: url}}
server: {base: "https://lms.example", hosts: [lms.example]}
operations:
  getCourses: {each: settings.courses, as: c, give: {id: "${c.id}", name: "${c.name}"}}
  createEnrolment:
    steps: [{id: ids, mint: {reg: uuid}}]
    record: {reg: "${steps.ids.reg}", course: "${courseId}", em: "${student.id}@x.example", fn: "${student.firstName}"}
    personal: [em, fn]
    key: [reg]
  transferEnrolment: {by: create-then-cancel}
  cancelEnrolment: {manual: "Tell them."}
launch:
  url: "${settings.courses[?id == $.enrolment.course].url | [0]}"
  fragment: {path: /, query: {reg: "${enrolment.reg}", em: "${enrolment.em}", fn: "${enrolment.fn}", dom: "${settings.launchedFrom}"}}
  help: "The help desk <help@lms.example>, course ${enrolment.course}"
"""
SETTINGS = """
launchedFrom: learn.rto.example
courses:
  - {id: c1, name: "Working safely & <well>", url: "https://courses.lms.example/c1"}
  - {id: c2, name: Second, url: "https://courses.lms.example/c2/"}
"""
ASKING = """
format: 1
mapping: asking
version: 1.0.0
vendor: {name: Asking}
server:
  base: "https://lms.example"
  hosts: [lms.example]
  budget: {rates: [4/hour], reserve: 50%}
  replies: [{if: "reply.status == 404", is: absent}]
operations:
  getCourses: {steps: [{id: all, call: GET /courses, items: reply.body}], each: steps.all.items, as: c, give: {id: "${text(c.id)}", name: "${c.name}"}}
  createEnrolment:
    steps: [{id: go, call: PUT /go, repeat: safe}]
    record: {user: "${student.id}", course: "${courseId}", courseName: "Course ${courseId}"}
    key: [user, course]
  transferEnrolment: {refuse: "no"}
  cancelEnrolment: {refuse: "no"}
launch:
  url: "${reply.body.url}"
  call: {call: "GET /sso/${enrolment.user}"}
"""
PLAIN = ASKING[: ASKING.index("launch:")].replace("mapping: asking", "mapping: plain")


@dataclass
class Lms:
    """The LMS behind every tenant: a body or a status for each path, and what was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def send(self, method: str, base: str, target: str, **more: Any) -> Answer:
        self.asked.append(f"{method} {target}")
        if self.gate is not None:
            await self.gate.wait()
        found = self.answers.get(target, 404)
        status, body = (found, None) if isinstance(found, int) else (200, found)
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"content_type": "application/json"}
        return Answer(status=status, headers=headers, content=content, elapsed_s=0.0)

    async def aclose(self) -> None:
        pass


@dataclass
class House:
    """One store, tenants by name, and the application with their pages beside RTOPilot's routes."""

    database: Database
    clock: Clock
    lms: Lms = field(default_factory=Lms)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    members: dict[str, Mapping[str | None, str]] = field(default_factory=dict)
    terms: dict[str, LaunchConfig] = field(default_factory=dict)
    answer_s: float = 5.0

    def tenant(
        self, name: str, mapping: str = CATALOGUE, settings: str = SETTINGS, alias: str | None = None
    ) -> Tenant:
        loaded = parse_mapping(mapping).mapping
        spec = TenantSpec(
            name=name,
            alias=alias,
            mapping=loaded,
            settings=parse_settings(loaded, settings),
            base="https://lms.example",
            hosts=frozenset({"lms.example"}),
        )
        made = self.tenants[name] = open_tenant(
            spec,
            self.database,
            owner="test",
            session_key=tokens.derive_key("x" * 32),
            pool=self.lms,  # type: ignore[arg-type]
            pause=self._pause,
            random=Random(1),
        )
        self.members.setdefault(name.partition("/")[0], {})
        self.members[name.partition("/")[0]] = {**self.members[name.partition("/")[0]], alias: name}
        return made

    async def _pause(self, seconds: float) -> None:
        self.clock.move(seconds)
        await asyncio.sleep(0)

    async def enrol(self, tenant: str = "acme", course: str = "c1", **record: Any) -> StoredEnrolment:
        """An active enrolment, as `createEnrolment` would have left it."""
        at_work = self.tenants[tenant]
        fields = {
            "reg": REG,
            "user": "204",
            "course": course,
            "em": "kim@x.example",
            "fn": "Kim Tran",
            **record,
        }
        made: StoredEnrolment = await self.database.write(
            lambda conn: enrolments.add(
                conn,
                tenant=tenant,
                vendor_account="account",
                key=json.dumps([fields["reg"]]),
                make_id=lambda number: ids.encode((fields["reg"],), alias=at_work.alias, generation=number),
                record=fields,
                now=self.clock.now(),
                alias=at_work.alias,
                course_id=at_work.course_id(course),
                student_id="204",
            )
        )
        return made

    def find(self, organisation: str, enrolment_id: str) -> Tenant | None:
        members = self.members.get(organisation, {})
        name = members.get(ids.alias_of(enrolment_id))
        return None if name is None else self.tenants[name]

    def launches(self) -> Launches:
        contacts = {name: None for name in self.members}
        for name, terms in self.terms.items():
            contacts[name.partition("/")[0]] = terms.contact
        return Launches(key=KEY, find=self.find, terms=self.terms, contacts=contacts, answer_s=self.answer_s)

    def path(self, stored: StoredEnrolment, organisation: str = "acme") -> str:
        return token.address("", KEY, organisation, stored.id)

    def client(self) -> httpx.AsyncClient:
        app = Starlette(
            routes=[*launch_routes(self.launches), *routes({}, None)],  # type: ignore[arg-type]
            exception_handlers=dict(EXCEPTION_HANDLERS),
        )
        app.router.redirect_slashes = False
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway.test")


@pytest.fixture
async def house(tmp_path):
    clock = Clock(machine=lambda: START)
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    database.clock = clock
    made = House(database, clock)
    yield made
    for tenant in made.tenants.values():
        await tenant.close()
    await database.close()


@pytest.fixture
async def client(house):
    async with house.client() as client:
        yield client


@pytest.fixture
def acme(house):
    return house.tenant("acme")


@pytest.fixture
def asking(house):
    return house.tenant("acme", ASKING, "{}")


@pytest.fixture
def catalogue():
    return CATALOGUE


@pytest.fixture
def plain_mapping():
    return PLAIN


@pytest.fixture
def asking_mapping():
    return ASKING


@pytest.fixture
def key():
    return KEY
