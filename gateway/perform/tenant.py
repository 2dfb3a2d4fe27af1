"""One tenant, ready to work: its mapping and values, its vendor, and the frames its operations run in."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Any, Literal

from gateway import ids
from gateway.contract import Operation, Person
from gateway.engine.calls import Call, Reply
from gateway.engine.frame import Frame
from gateway.errors import Problem, ProblemsFound, StoreError
from gateway.mapping.expressions import Runtime
from gateway.mapping.settings import TenantSettings
from gateway.mapping.spec import MappingSpec, OperationSpec, Policy, Step
from gateway.mapping.templates import as_text
from gateway.outbound import Pool
from gateway.perform.courses import Catalogue
from gateway.perform.keeper import StoreKeeper
from gateway.perform.uses import reads
from gateway.store.allowance import Allowance
from gateway.store.budgets import Rate
from gateway.store.database import Database
from gateway.vendor import retry
from gateway.vendor.auth import Credentials, fingerprint
from gateway.vendor.breaker import Breaker
from gateway.vendor.client import Client
from gateway.vendor.drive import Vendor
from gateway.vendor.meter import Meter

UNITS = {
    "second": 1,
    "s": 1,
    "minute": 60,
    "m": 60,
    "hour": 3600,
    "h": 3600,
    "day": 86400,
    "d": 86400,
    "ms": 0.001,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSpec:
    """What perform needs to know of a tenant; `app` makes it from config.yaml.

    Of several LMSs behind one RTOPilot each is a tenant of its own here, named `acme/media`; `alias`
    (`media`) then begins all its ids towards RTOPilot, so that each one finds its way home.

    `base` is the vendor's address, `hosts` all that may be called, `public_only_hosts` those among them
    that came from a tenant's settings. `wire_names` maps the mapping's names to this account's.

    Of progress: `grace_s` after an id is told before it is pushed, `pushes` whether it is at all, `fall`
    instead of the mapping's policy, `units` whether all units of one code must be completed or any of them,
    `zone` for dates. `contacts`: RTOPilot's webhooks may have told addresses of students.
    """

    name: str
    alias: str | None = None
    mapping: MappingSpec
    settings: TenantSettings
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    base: str
    hosts: frozenset[str]
    public_only_hosts: frozenset[str] = frozenset()
    off: frozenset[Operation] = frozenset()
    wire_names: Mapping[str, str] = field(default_factory=dict)
    adopt_unknown_ids: bool = True
    adopted_completed: str = "hold"
    repeat_window_s: float = 900.0
    grace_s: float = 45.0
    pushes: bool = True
    fall: Literal["hold", "push"] | None = None
    units: Literal["all", "any", "off"] = "all"
    zone: str = "UTC"
    contacts: bool = False


@dataclass(slots=True, kw_only=True)
class Tenant:
    """A tenant at work. Built by `open_tenant`; `close` when the process stops."""

    spec: TenantSpec
    database: Database
    pool: Pool
    vendor: Vendor
    allowance: Allowance | None
    catalogue: Catalogue
    random: Random
    facts: dict[str, Any] = field(default_factory=dict)
    facts_due_at: float = 0.0
    probing: asyncio.Task[None] | None = None
    vendor_faults: int = 0
    create_form: OperationSpec | None = None
    remembers_students: bool = True
    can_read: bool = True
    progress_reads_known: bool = False
    asks_standing: bool = False
    """Whether an enrolment is made from what the student has in the course already."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def alias(self) -> str | None:
        return self.spec.alias

    @property
    def mapping(self) -> MappingSpec:
        return self.spec.mapping

    @property
    def policy(self) -> Policy:
        """The mapping's policy with what the tenant chose otherwise."""
        policy = self.mapping.progress.policy if self.mapping.progress is not None else Policy()
        return policy if self.spec.fall is None else replace(policy, fall=self.spec.fall)

    @property
    def wants_units(self) -> bool:
        """Whether unit results are to be kept, and a reading of one enrolment gives any."""
        progress = self.mapping.progress
        return self.spec.units != "off" and progress is not None and progress.units

    @property
    def vendor_account(self) -> str:
        """What two tenants of this gateway share when they are joined to the same vendor account."""
        return f"{self.mapping.name} {self.spec.base}"

    def course_id(self, vendor_id: str) -> str:
        """The course id RTOPilot keeps for one of this vendor's. Raises ValueError for none."""
        return ids.encode_course(vendor_id, alias=self.alias)

    def vendor_course(self, course_id: str) -> str:
        """This vendor's own id of a course. Raises NotFound for what is no id of one of its courses."""
        return ids.decode_course(course_id, alias=self.alias)

    def frame(self, operation: Operation, *, person: Person | None = None, **root: Any) -> Frame:
        """The frame of one operation; `root` adds RTOPilot's variables, `known` and `enrolment`."""
        runtime = Runtime(now=self.database.clock.now(), random=self.random, vendor_fault=self._count_fault)
        return frame(self.spec, operation, runtime, person=person, facts=self.facts, **root)

    def _count_fault(self, what: str) -> None:
        self.vendor_faults += 1

    async def close(self) -> None:
        """Stop reading, give back what is left of the call budget, and close the connections."""
        await self.catalogue.close()
        if self.probing is not None:
            self.probing.cancel()
            await asyncio.wait([self.probing])
        try:
            if self.allowance is not None:
                with contextlib.suppress(StoreError):  # a block that is not given back is only unused
                    await self.allowance.close()
        finally:
            await self.pool.aclose()


def frame(
    spec: TenantSpec,
    operation: Operation,
    runtime: Runtime,
    *,
    person: Person | None = None,
    facts: Mapping[str, Any] | None = None,
    **root: Any,
) -> Frame:
    """A frame over a tenant's values, with the person of the operation under `student`."""
    student = None if person is None else person.scope()
    values = spec.settings.values(student, runtime)
    scope = {"settings": values, "bundle": spec.settings.bundle, "probe": dict(facts or {}), **root}
    if student is not None:
        scope["student"] = student
    return Frame(
        mapping=spec.mapping,
        operation=operation,
        base=spec.base,
        hosts=spec.hosts,
        runtime=runtime,
        root=scope,
        secrets=spec.secrets,
        personal=personal_labels(spec, person, values),
        wire_names=spec.wire_names,
    )


def personal_labels(spec: TenantSpec, person: Person | None, values: Mapping[str, Any]) -> dict[str, str]:
    """Values about a person that traces and messages must not show, with what is shown instead."""
    if person is None:
        return {}
    labels = {person.first_name: "‹first name›", person.last_name: "‹last name›"}
    if person.email is not None:
        labels[person.email] = "‹e-mail›"
    for name in spec.settings.templates:
        if values.get(name) is not None and values[name] != person.id:
            labels[as_text(values[name])] = f"‹{name}›"
    return {value: label for value, label in labels.items() if value.strip()}


def rates(spec: TenantSpec, runtime: Runtime) -> tuple[Rate, ...]:
    """The tenant's call budget: `2000/hour`, `200/5s`."""
    context = frame(spec, Operation.GET_COURSES, runtime).context()
    return tuple(
        parse_rate(as_text(template.render(context))) for template in spec.mapping.server.budget.rates
    )


def _budget_problem(spec: TenantSpec, error: ValueError) -> Problem:
    return Problem(
        file=spec.mapping.file,
        line=0,
        column=0,
        place="server.budget.rates",
        message=f"The call budget of tenant {spec.name} cannot be used: {error}.",
        fix="A rate is such as 2000/hour or 200/5s; correct the tenant's setting for it.",
    )


def parse_rate(text: str) -> Rate:
    match = re.fullmatch(r"(\d+)/(\d*)([a-z]+)", text)
    if match is None or match[3] not in UNITS:
        raise ValueError(f"{text!r} is not a rate")
    return Rate(limit=int(match[1]), per_s=int(match[2] or 1) * UNITS[match[3]])


def open_tenant(
    spec: TenantSpec,
    database: Database,
    *,
    owner: str,
    session_key: Any,
    pool: Pool | None = None,
    pause: Callable[[float], Awaitable[None]] = retry.wait,
    random: Random | None = None,
) -> Tenant:
    """Everything one tenant needs, with nothing sent yet. Raises ProblemsFound when a rate is none."""
    chance = random or secrets.SystemRandom()
    runtime = Runtime(now=database.clock.now(), random=chance)
    try:
        allowed = rates(spec, runtime)
    except ValueError as error:
        raise ProblemsFound([_budget_problem(spec, error)]) from error
    pool = pool or Pool(
        hosts={host.split(":")[0] for host in spec.hosts}, public_only_hosts=spec.public_only_hosts
    )
    now = database.clock.now
    client = Client(pool, spec.mapping.server, now, spec.wire_names)
    login_frame = frame(spec, Operation.GET_COURSES, runtime)
    auth, budget = spec.mapping.server.auth, spec.mapping.server.budget
    keeper = StoreKeeper(database, spec.name, fingerprint(auth, login_frame), owner, session_key)
    allowance = (
        Allowance(database=database, tenant=spec.name, rates=allowed, reserve=budget.reserve)
        if allowed
        else None
    )

    async def log_in(call: Call) -> Reply:
        return await vendor.log_in_call(call)

    credentials = Credentials(auth, login_frame, keeper, log_in, now)
    vendor = Vendor(
        client=client,
        credentials=credentials,
        breaker=Breaker(now),
        allowance=allowance,
        now=now,
        random=chance,
        pause=pause,
        meter=Meter(budget, login_frame, now) if budget.remaining is not None else None,
    )
    return Tenant(
        spec=spec,
        database=database,
        pool=pool,
        vendor=vendor,
        allowance=allowance,
        catalogue=Catalogue(now),
        random=chance,
        remembers_students=any(
            "student" in step.remember for step in _steps_of(spec.mapping.operations.values())
        ),
        can_read=_can_read(spec.mapping),
        progress_reads_known=_progress_reads_known(spec.mapping),
        asks_standing=_asks_standing(spec.mapping),
    )


def _steps_of(specs: Iterable[OperationSpec]) -> Iterator[Step]:
    forms = list(specs)
    for form in forms:
        yield from form.steps
        forms.extend(form.of.values())


@lru_cache(maxsize=64)
def _asks_standing(mapping: MappingSpec) -> bool:
    """Whether `known.enrolment` is read, or something is minted that it may hold."""
    makes = (Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT)
    forms = tuple(form for operation, form in mapping.operations.items() if operation in makes)
    return reads(forms, "known", "enrolment") or any(step.mint for step in _steps_of(forms))


@lru_cache(maxsize=64)
def _progress_reads_known(mapping: MappingSpec) -> bool:
    """Whether one enrolment's progress is read with the help of what is known."""
    return reads((mapping.operations.get(Operation.GET_ENROLMENT), mapping.progress), "known")


def _can_read(mapping: MappingSpec) -> bool:
    """Whether one enrolment can be read at the vendor, which adopting an unknown id needs."""
    return Operation.GET_ENROLMENT in mapping.operations or bool(mapping.progress and mapping.progress.read)
