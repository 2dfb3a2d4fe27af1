"""One play of a case: gateway processes over one store and one scripted vendor, in simulated time.

Everything but the edges is production code. The store is a real SQLite file, emptied between plays.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TypeVar

from sqlalchemy import Connection

from gateway import ids
from gateway.contract import Done, Enrolment, Inputs, Operation, Person, Result
from gateway.errors import GatewayError
from gateway.mapping.expressions import Runtime
from gateway.mapping.settings import parse_settings
from gateway.mapping.spec import MappingSpec
from gateway.mapping.templates import Context, NullHere, as_text
from gateway.outbound.addresses import bare_host
from gateway.perform import Perform, Tenant, TenantSpec, open_tenant
from gateway.perform.background import Background
from gateway.perform.runs import Runs
from gateway.progress.verify import Delivery
from gateway.store import enrolments, migrate, tokens
from gateway.store.clock import Clock
from gateway.store.database import Database, InlineReads
from gateway.store.engines import parse_url, sqlite_engine
from gateway.store.tables import metadata
from gateway.store.traces import Ring
from gateway.store.writer import GroupCommit
from gateway.workbench.cases import Case, Signal
from gateway.workbench.cases_back import Back
from gateway.workbench.cases_event import delivery_of
from gateway.workbench.cases_stored import plan_of, prepare
from gateway.workbench.cases_vendor import EdgePool, Life, Mishap, NamedClient, ScriptedVendor

T = TypeVar("T")

NAME = "case"
AFTER_DEATH_S = 95.0
"""Longer than any lease, so that the next process may take over."""
OFFICE_WAITS_S = 31.0
OFFICE_TRIES = 4
KEY = tokens.derive_key("case files")
ROUNDS = 20


class Bench:
    """A migrated store to play on, opened once and emptied for each play. Close it, or use `with`."""

    def __init__(self) -> None:
        shared = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)
        url = f"sqlite:///{self._folder.name}/cases.db"
        migrate.upgrade(url)
        self._engines = [
            sqlite_engine(parse_url(url), writes=True, synchronous="OFF"),
            sqlite_engine(parse_url(url), writes=False),
        ]
        self.writes = GroupCommit(self._engines[0])
        self.reads = InlineReads(self._engines[1])

    async def empty(self) -> None:
        def delete(conn: Connection) -> None:
            for table in metadata.tables.values():
                conn.exec_driver_sql(f'DELETE FROM "{table.name}"')

        await self.writes.run(delete)

    def close(self) -> None:
        self.writes.close()
        self.reads.close()
        for engine in self._engines:
            engine.dispose()
        self._folder.cleanup()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(slots=True, kw_only=True)
class _MortalWrites:
    """The store's writes as one process sees them: counted, and at an end when it dies."""

    bench: Bench
    life: Life
    counted: Callable[[], None]

    async def run(self, fn: Callable[[Connection], T], /) -> T:
        self.life.check()
        result = await self.bench.writes.run(fn)
        self.life.check()
        self.counted()
        return result

    def close(self) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class _MortalReads:
    bench: Bench
    life: Life

    async def run(self, fn: Callable[[Connection], T], /) -> T:
        self.life.check()
        return await self.bench.reads.run(fn)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What RTOPilot heard: a result, or an error with its status, code and sentence."""

    result: Result | None = None
    status: int = 200
    code: str = "ok"
    say: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    def __str__(self) -> str:
        return f"{self.result}" if self.ok else f"{self.status} {self.code}: {self.say}"


@dataclass(slots=True, kw_only=True)
class Process:
    """One gateway process: its own memory over the shared store and vendor."""

    tenant: Tenant
    perform: Perform
    background: Background
    back: Back
    life: Life


@dataclass(slots=True)
class Stage:
    """One play: the store, the vendor, simulated time, and the process that is up now."""

    bench: Bench
    case: Case
    mapping: MappingSpec
    vendor: ScriptedVendor
    clock: Clock
    process: Process = field(init=False)
    commits: int = 0
    references: list[str] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    """Every answer to a request of RTOPilot, in order."""
    _owners: int = 0

    @classmethod
    async def set_up(
        cls,
        bench: Bench,
        case: Case,
        mapping: MappingSpec,
        *,
        mishap: Mishap | None = None,
        strict: bool = False,
    ) -> Stage:
        """A fresh store with what the case says is in it, and a first process."""
        ticks = itertools.count()
        clock = Clock(machine=lambda: case.at + next(ticks) * 0.001)
        vendor = ScriptedVendor(lines=case.vendor, now=clock.now, mishap=mishap, strict=strict)
        stage = cls(bench, case, mapping, vendor, clock)
        await bench.empty()
        stage.start()
        await stage._prepare()
        stage.commits = 0
        return stage

    # -- processes ----------------------------------------------------------------------------------

    def start(self) -> Process:
        """A new gateway process over the same store."""
        self._owners += 1
        owner, life = f"gateway-{self._owners}", Life()
        database = Database(
            writes=_MortalWrites(bench=self.bench, life=life, counted=lambda: self._counted(life)),
            reads=_MortalReads(bench=self.bench, life=life),
            engines=[],
            clock=self.clock,
        )
        spec = tenant_spec(self.case, self.mapping)
        tenant = open_tenant(
            spec,
            database,
            owner=owner,
            session_key=KEY,
            pool=EdgePool(self.vendor, life),
            pause=lambda seconds: self._pause(life, seconds),
            random=Random(self._owners),
        )
        tenant.vendor.client = NamedClient.over(tenant.vendor.client)
        runs, tenants = Runs(owner), {NAME: tenant}
        background = Background(database, tenants, runs, owner)
        perform = Perform(database=database, tenants=tenants, runs=runs, background=background, ring=Ring())
        back = Back.open(tenant, database, owner)
        self.process = Process(tenant=tenant, perform=perform, background=background, back=back, life=life)
        return self.process

    async def restart(self) -> None:
        """The process is gone with all it had in memory; its leases run out, and another one comes up."""
        self.process.life.dead = True
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.clock.move(AFTER_DEATH_S)
        self.start()

    async def _pause(self, life: Life, seconds: float) -> None:
        life.check()
        self.clock.move(seconds)
        await asyncio.sleep(0.0005)  # others get their turn, as they would in real time

    def _counted(self, life: Life) -> None:
        self.commits += 1
        mishap = self.vendor.mishap
        if mishap is not None and mishap.kind == "die_commit" and mishap.at == self.commits:
            life.end()

    # -- RTOPilot, and the vendor of its own accord -------------------------------------------------

    async def act(self) -> Heard:
        """What the case is about, once. Raises Died when the process dies over it."""
        match self.case.run:
            case Signal.POLL:
                return await self.sweep()
            case Signal.WEBHOOK:
                return await self.deliver(self.delivery())
        return await self.ask()

    async def sweep(self) -> Heard:
        """A poll until its sweep is over, or waits because the vendor fails."""
        failed = await self.process.back.sweep(plan_of(self.case, self.process.tenant))
        return Heard() if failed is None else Heard(status=502, code=failed, say="The poll failed.")

    async def deliver(self, delivery: Delivery) -> Heard:
        """A webhook, and what follows from it that is due at once."""
        status = await self.process.back.deliver(delivery)
        if status != 200:
            return Heard(status=status, code=f"http_{status}", say="The webhook was not taken.")
        await self.settle()
        return Heard()

    def delivery(self) -> Delivery:
        back = self.process.back
        return delivery_of(
            self.case.given["event"], back.webhooks, self.process.tenant.spec.secrets, back.scope
        )

    async def ask(self, inputs: Inputs | None = None, *, operation: Operation | None = None) -> Heard:
        """One request of RTOPilot. Raises Died when the process dies over it."""
        reference = f"ref-{len(self.references) + 1}"
        self.references.append(reference)
        inputs = inputs if inputs is not None else inputs_of(self.case)
        operation = operation or Operation(self.case.run)
        try:
            result = await self.process.perform(NAME, operation, inputs, reference=reference)
        except GatewayError as error:
            self.heard.append(Heard(status=error.status, code=error.code, say=error.message))
        else:
            self.heard.append(Heard(result=result))
        return self.heard[-1]

    async def ask_until_answered(self, *, tries: int = OFFICE_TRIES) -> Heard:
        """As the office does: after a 5xx it waits half a minute and asks again. Polls and vendors do too."""
        heard = await self.act()
        for _ in range(tries - 1):
            if heard.status < 500:
                break
            self.clock.move(OFFICE_WAITS_S)
            heard = await self.act()
        return heard

    async def settle(self, *, wait_s: float = 0.0) -> None:
        """Background work until nothing is due."""
        self.clock.move(wait_s)
        for _ in range(ROUNDS):
            worked = await self.process.background.round()
            if self.case.run is Signal.WEBHOOK:
                worked |= await self.process.back.intake.round()
            if not worked:
                return

    # -- the store ----------------------------------------------------------------------------------

    async def stored(self, heard: Heard) -> enrolments.StoredEnrolment | None:
        """The enrolment RTOPilot was given the id of."""
        if not isinstance(heard.result, Done | Enrolment):
            return None
        wanted = heard.result.id
        return await self.bench.reads.run(lambda conn: enrolments.by_id(conn, NAME, wanted))

    async def _prepare(self) -> None:
        tenant, now = self.process.tenant, self.clock.now()
        await self.bench.writes.run(lambda conn: prepare(conn, self.case, tenant, now))


def inputs_of(case: Case) -> Inputs:
    """What RTOPilot sends: a case's course ids are the vendor's, its enrolment ids text or key parts."""
    given = case.given
    person = given.get("to") or given.get("student")
    course, enrolment = given.get("courseId"), given.get("enrolmentId")
    return Inputs(
        search_term=given.get("searchTerm"),
        course_id=None if course is None else ids.encode_course(course),
        enrolment_id=ids.encode(enrolment) if isinstance(enrolment, list) else enrolment,
        person=None
        if person is None
        else Person(
            id=person["id"], first_name=person.get("firstName", ""), last_name=person.get("lastName", "")
        ),
        quiz_results=given.get("quizResults"),
    )


def _hosts(mapping: MappingSpec, context: Context) -> Iterator[str]:
    """Those whose settings are given, without what else stands in an address."""
    for host in mapping.server.hosts:
        with contextlib.suppress(NullHere):
            yield bare_host(as_text(host.render(context)))


@lru_cache(maxsize=8)
def tenant_spec(case: Case, mapping: MappingSpec) -> TenantSpec:
    """The tenant a case describes. Raises ProblemsFound when its settings cannot be used."""
    text = json.dumps(case.settings, ensure_ascii=False)
    settings = parse_settings(mapping, text, name=f"the settings of {case.place}")
    scope = {"settings": settings.values(None, Runtime()), "bundle": settings.bundle, "probe": {}}
    context = Context(scope, Runtime())
    return TenantSpec(
        name=NAME,
        mapping=mapping,
        settings=settings,
        secrets={name: case.secrets.get(name, f"secret-{name}") for name in mapping.secrets},
        base=as_text(mapping.server.base.render(context)),
        hosts=frozenset(_hosts(mapping, context)),
        fall=case.tenant.get("fall"),
        units=case.tenant.get("units", "off" if isinstance(case.run, Signal) else "all"),
        adopted_completed=case.tenant.get("adopted_completed", "hold"),
    )
