"""One operation against the real vendor, with every exchange shown as it happens.

    trial(perform, tenant, operation, given)  ->  Tried

Reads are real. A write is not sent unless `really_write`: at the first one the trial stops and shows it.
Without a write nothing of the operation is stored; the call budget and the vendor session are shared with
the running gateways, as always.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from rich.console import Console
from rich.markup import escape

from gateway import ids
from gateway.contract import Operation, Person
from gateway.engine import operations, shape
from gateway.engine.calls import Call, Reply
from gateway.engine.doubt import Resume
from gateway.engine.operations import Outcome
from gateway.errors import NotFound, RequestError
from gateway.mapping.spec import OperationSpec
from gateway.perform import Perform, Tenant
from gateway.perform import enrolments as finding
from gateway.perform.courses import CourseList
from gateway.store import enrolments
from gateway.vendor.drive import NoJournal, Vendor, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Exchange, Trace
from gateway.workbench.given import check_given, person, record_of, to_inputs, vendor_course
from gateway.workbench.words import sentence

WAIT_S = 60.0
READS = frozenset({Operation.GET_COURSES, Operation.GET_COURSE, Operation.GET_ENROLMENT})

Watch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of it: RTOPilot's answer, or the write that was not sent, or a sentence."""

    answer: Any = None
    not_sent: dict[str, Any] | None = None
    note: str | None = None
    warnings: tuple[str, ...] = ()


class WouldWrite(Exception):
    """The operation has come to a write."""

    def __init__(self, call: Call) -> None:
        self.call = call
        super().__init__(call.step)


@dataclass(slots=True, kw_only=True)
class Watching(Vendor):
    """A vendor whose exchanges are shown as they happen, and that stops before a write unless it may."""

    watch: Callable[[Exchange], None]
    may_write: bool

    async def send(self, call: Call, deadline: Deadline, trace: Trace, *, staff: bool = True) -> Reply:
        if call.effect == "write" and not self.may_write:
            raise WouldWrite(call)
        trace.watch = self.watch
        return await Vendor.send(self, call, deadline, trace, staff=staff)


async def trial(
    perform: Perform,
    tenant: str,
    operation: Operation,
    given: Mapping[str, Any],
    *,
    really_write: bool = False,
    watch: Watch | None = None,
) -> Tried:
    """Try one operation. `watch` gets the masked record of each exchange as it happens.

    Raises GatewayError as the operation would; RequestError for inputs that cannot be used.
    """
    check_given(given)
    watched = _watched(perform.tenants[tenant], really_write, watch or (lambda _: None))
    if really_write and operation not in READS:
        real = replace(perform, tenants={tenant: watched}, joined={})
        inputs = to_inputs(given, operation, watched.alias)
        answer = await real(tenant, operation, inputs, reference="try")
        return Tried(answer=_plain(answer))
    try:
        return await _Dry(watched, operation, given, Deadline(WAIT_S), Trace()).tried()
    except WouldWrite as stopped:
        exchange = Exchange(call=stopped.call, reply=Reply(), tries=0, elapsed_s=0.0)
        return Tried(not_sent=exchange.shown({}))


def _watched(tenant: Tenant, may_write: bool, watch: Watch) -> Tenant:
    def happened(exchange: Exchange) -> None:
        watch(exchange.shown({}))

    parts = {part.name: getattr(tenant.vendor, part.name) for part in fields(Vendor)}
    return replace(tenant, vendor=Watching(**parts, watch=happened, may_write=may_write))


def _plain(answer: Any) -> Any:
    """An answer as JSON-like data."""
    if isinstance(answer, list):
        return [_plain(item) for item in answer]
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else answer


@dataclass(slots=True)
class _Dry:
    """An operation that stores nothing."""

    tenant: Tenant
    operation: Operation
    given: Mapping[str, Any]
    deadline: Deadline
    trace: Trace

    async def tried(self) -> Tried:
        match self.operation:
            case Operation.GET_COURSES:
                return Tried(answer=_plain(await self._courses()))
            case Operation.GET_COURSE:
                return await self._course()
            case Operation.GET_ENROLMENT:
                return await self._enrolment()
        return await self._write()

    async def _run(self, work: Any) -> Outcome:
        outcome: Outcome = await drive(work, self.tenant.vendor, NoJournal(), self.deadline, self.trace)
        return outcome

    # -- courses ----------------------------------------------------------------------------------------

    async def _listed(self, term: str | None) -> shape.CourseRows:
        spec = self._form(Operation.GET_COURSES)
        frame = self.tenant.frame(Operation.GET_COURSES, searchTerm=shape.sent_term(spec.search, term))
        outcome = await self._run(operations.perform(frame, spec, Resume()))
        assert outcome.courses is not None
        return outcome.courses

    async def _courses(self) -> list[Any]:
        term = self.given.get("searchTerm")
        spec = self._form(Operation.GET_COURSES)
        found = CourseList.of(await self._listed(term), 0.0, self.tenant.course_id)
        return found.matching(
            "" if shape.sent_term(spec.search, term) else shape.stripped_term(spec.search, term)
        )

    async def _course(self) -> Tried:
        course = vendor_course(str(self._needed("courseId")), self.tenant.alias)
        if Operation.GET_COURSE in self.tenant.mapping.operations:
            known = await finding.known_of(self.tenant, None, course)
            frame = self.tenant.frame(Operation.GET_COURSE, courseId=course, known=known)
            outcome = await self._run(operations.perform(frame, self._form(Operation.GET_COURSE), Resume()))
            rows = outcome.courses
        else:
            rows = await self._listed(None)
        found = (
            CourseList.of(rows, 0.0, self.tenant.course_id).by_vendor_id.get(course)
            if rows is not None
            else None
        )
        if found is None:
            raise NotFound("The LMS has no such course.", code="unknown_course")
        return Tried(answer=_plain(found))

    # -- enrolments -------------------------------------------------------------------------------------

    async def _enrolment(self) -> Tried:
        progress = self.tenant.mapping.progress
        if progress is None or not progress.read:
            return Tried(note="Answered from the store; the vendor is not asked.")
        frame = self.tenant.frame(Operation.GET_ENROLMENT, enrolment=await self._record(), known={})
        outcome = await self._run(operations.read_progress(frame))
        answer = {
            "id": self.given["enrolmentId"],
            "progress": _plain(outcome.progress),
            "reading": outcome.reading,
        }
        return Tried(answer=answer, warnings=outcome.warnings)

    async def _record(self) -> dict[str, Any]:
        """The enrolment's record: of the store, else what the id says."""
        enrolment_id, form = str(self._needed("enrolmentId")), self._form(Operation.CREATE_ENROLMENT)
        stored = await self.tenant.database.read(
            lambda conn: enrolments.by_id(conn, self.tenant.name, enrolment_id)
        )
        if stored is not None:
            return finding.scope_of(self.tenant, stored.record, stored.course_id)
        if ids.is_random(enrolment_id):
            raise finding.unknown()
        return finding.scope_of(self.tenant, record_of(enrolment_id, form.key), None)

    # -- writes -----------------------------------------------------------------------------------------

    async def _write(self) -> Tried:
        who = person(self.given, self.operation)
        root = await self._root(who)
        frame = self.tenant.frame(self.operation, person=who, **root)
        spec = operations.form(frame, self.operation)
        if spec is not None and spec.kind == "create-then-cancel":
            spec = operations.form(frame, Operation.CREATE_ENROLMENT)
        if spec is None or spec.kind == "acknowledge":
            return Tried(note="Acknowledged with 200; nothing is sent.")
        if spec.kind == "refuse":
            return Tried(note=f"Refused with 422: {sentence(spec.sentence)}")
        outcome = await self._run(operations.perform(frame, spec, Resume()))
        if outcome.manual is not None:
            return Tried(note=f"On the manual list: {outcome.manual}")
        return Tried(answer={"record": outcome.record, "key": outcome.key}, warnings=outcome.warnings)

    async def _root(self, who: Person | None) -> dict[str, Any]:
        """RTOPilot's variables, and what is remembered."""
        root: dict[str, Any] = {"quizResults": self.given.get("quizResults", [])}
        if self.operation in (Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT) and who is None:
            raise RequestError(
                "The student is missing. For example: student.id=204 (in a transfer: to.id=204)"
            )
        if self.operation is Operation.CREATE_ENROLMENT:
            root["courseId"] = vendor_course(str(self._needed("courseId")), self.tenant.alias)
        else:
            root["enrolment"] = await self._record()
            root["courseId"] = root["enrolment"]["courseId"]
        if who is not None and self.operation is Operation.TRANSFER_ENROLMENT:
            root["to"] = who.scope()
        root["known"] = await self._known(who, root["courseId"])
        return root

    async def _known(self, who: Person | None, course: str | None) -> dict[str, Any]:
        """What the store remembers; a course it has never seen is looked up in the list."""
        found = await finding.known_of(self.tenant, None if who is None else who.id, course)
        if course is None or found["course"] is not None or not self.tenant.mapping.remembers_courses:
            return found
        rows = (await self._listed(None)).rows
        remembered = next((row.remember for row in rows if row.vendor_id == course), None)
        return {**found, "course": remembered}

    # -- helpers ----------------------------------------------------------------------------------------

    def _form(self, operation: Operation) -> OperationSpec:
        frame = self.tenant.frame(operation, searchTerm=None)
        return operations.form_of(frame, self.tenant.mapping.operations[operation])

    def _needed(self, name: str) -> Any:
        if self.given.get(name) is None:
            raise RequestError(f"`{name}` is missing. For example: {name}=126")
        return self.given[name]


def print_exchange(shown: Mapping[str, Any], console: Console) -> None:
    """One masked exchange, for `watch`."""
    outcome = shown["outcome"] or "not sent"
    console.print(f"[bold]{escape(shown['step'])}[/]  [cyan]{escape(shown['request'])}[/]", soft_wrap=True)
    if shown["body"] is not None:
        console.print(f"  sends {escape(json.dumps(shown['body'], ensure_ascii=False))}", soft_wrap=True)
    if shown["outcome"] is not None:
        status = shown["status"] or shown["lost"]
        console.print(
            f"  {status} → {outcome} ({escape(shown['rule'] or '')}), {shown['ms']} ms", soft_wrap=True
        )
        console.print(f"  {escape(shown['reply'])}", soft_wrap=True)


def print_tried(tried: Tried, console: Console, *, as_json: bool = False) -> None:
    """What came of a trial."""
    if as_json:
        console.out(json.dumps(asdict(tried), ensure_ascii=False, default=str), highlight=False)
        return
    for warning in tried.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    if tried.note is not None:
        console.print(escape(tried.note))
    if tried.not_sent is not None:
        console.print(
            "[yellow]Stopped before the first write. This would be sent (--really-write sends it):[/]"
        )
        print_exchange(tried.not_sent, console)
    if tried.answer is not None:
        text = json.dumps(tried.answer, ensure_ascii=False, indent=2, default=str)
        console.print(escape(text), soft_wrap=True)
