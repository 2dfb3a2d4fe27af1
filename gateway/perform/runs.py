"""Writes as runs: the same request again gets the same answer, and a write in doubt is never sent blindly.

    begin  ->  new | in_doubt: carry the run on  ->  finish | fail | leave in doubt
               joined: wait for whoever is at it
               answered: the stored answer

The handler waits up to the answer deadline; the run itself goes on under the work deadline, whatever
becomes of the handler. Source: docs/durability.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gateway.contract import Operation, Person
from gateway.engine import operations
from gateway.engine.doubt import Doubt, InDoubt, NotDone, Resume
from gateway.engine.frame import Frame
from gateway.engine.operations import Outcome
from gateway.errors import GatewayError, InternalError, OutcomeUnknown, StoreError
from gateway.mapping.spec import OperationSpec, Step
from gateway.mapping.templates import as_text
from gateway.perform import journal as journals
from gateway.perform import sentences
from gateway.perform.journal import StoreJournal
from gateway.perform.tenant import Tenant
from gateway.store import leases, manual, runs, steps, tasks, traces
from gateway.store.claims import LostLease
from gateway.store.traces import Traced
from gateway.vendor.drive import drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.runs")

WORK_S = 60.0
LEASE_S = 90.0
"""How long a run is ours at least; see `Runs.lease_s`."""
LEASE_MARGIN_S = 30.0
LOOKS_S = (1.0, 2.0, 4.0, 8.0)
POLL_S = 0.25
LATER_S = 30.0
BUSY = "Another action for this student is still going on. Please try again in a minute."


@dataclass(slots=True, kw_only=True)
class Work:
    """One write, prepared: what to run, and what to store when it is done.

    `finish` is called inside the run's last commit with the outcome, and gives the id RTOPilot is to
    keep, and the id of an enrolment made (None when none was).
    """

    tenant: Tenant
    operation: Operation
    form: OperationSpec
    frame: Frame
    input: dict[str, Any]
    fingerprint: str
    finish: Callable[[Connection, Outcome], tuple[str, str | None]]
    repeat_window_s: float
    student: str | None = None
    course: str | None = None
    while_active: bool = False
    after: Callable[[], None] | None = None
    held: list[str] = field(default_factory=list)

    def serialised(self) -> list[str]:
        """The texts of `serialise`, of which only one run at a time may hold each."""
        context = self.frame.context()
        return sorted(as_text(template.render(context)) for template in self.form.serialise)

    def release(self, conn: Connection, owner: str) -> None:
        """Let go of the texts this work holds; they would expire by themselves."""
        for text in self.held:
            leases.release(conn, self.tenant.name, text, self.holder(owner))

    def holder(self, owner: str) -> str:
        return f"{owner}/{self.fingerprint}"


def fingerprint(tenant: str, operation: Operation, *parts: str) -> str:
    return hashlib.sha256(json.dumps([tenant, operation, *parts]).encode()).hexdigest()


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(slots=True)
class Runs:
    """The runs of this process: `perform` answers a request, `carry_on` settles one in the background."""

    owner: str
    work_s: float = WORK_S
    live: dict[str, asyncio.Task[str]] = field(default_factory=dict)

    @property
    def lease_s(self) -> float:
        """Outlasts the work deadline, so that nobody takes over a run that is still at work."""
        return max(LEASE_S, self.work_s + LEASE_MARGIN_S)

    async def perform(self, work: Work, deadline: Deadline, *, reference: str) -> str:
        """Do a write, or join or answer it when it was asked for before; gives the id RTOPilot is to keep.

        Raises OutcomeUnknown when the answer deadline passes first, or the outcome cannot be known yet.
        """
        tenant, now = work.tenant, work.tenant.database.clock.now()
        texts = work.serialised()

        def begin(conn: Connection) -> runs.Begun:
            begun = runs.begin(
                conn,
                tenant=tenant.name,
                operation=work.operation,
                fingerprint=work.fingerprint,
                input=work.input,
                owner=self.owner,
                now=now,
                lease_s=self.lease_s,
                mapping_hash=tenant.mapping.digest,
                repeat_window_s=work.repeat_window_s,
                while_active=work.while_active,
                student_id=work.student,
                run_id=reference,
            )
            if begun.kind in ("new", "in_doubt"):
                work.held = [text for text in texts if self._hold(conn, work, text, now)]
            return begun

        begun = await tenant.database.write(begin)
        run = begun.run
        if run.id != reference:
            log.info(
                "tenant %s: %s %s is run %s (%s)", tenant.name, work.operation, reference, run.id, begun.kind
            )
        if begun.kind == "answered":
            return str(run.output["id"])
        task = self.live.get(run.id)
        if begun.kind in ("new", "in_doubt") and (task is None or task.done()):
            task = self._start(work, run, resumed=begun.kind == "in_doubt")
        waiting = self._local(task) if task is not None else self._elsewhere(tenant, run.id)
        return await self._answer(tenant, run.id, waiting, deadline)

    def _start(self, work: Work, run: runs.Run, *, resumed: bool) -> asyncio.Task[str]:
        task = asyncio.create_task(
            self._carry(work, run, resumed=resumed, settle_only=False), name=f"run {run.id}"
        )
        self.live[run.id] = task
        task.add_done_callback(lambda done: self._ended(run.id, done))
        return task

    def _ended(self, run_id: str, task: asyncio.Task[str]) -> None:
        self.live.pop(run_id, None)
        if not task.cancelled():
            task.exception()  # looked at here: the handler that waited for it may be gone

    async def _local(self, task: asyncio.Task[str]) -> str:
        return await asyncio.shield(task)  # a cancelled handler never cancels a run

    async def _elsewhere(self, tenant: Tenant, run_id: str) -> str:
        """Another gateway is at it: watch its row."""
        while True:
            run = await tenant.database.read(lambda conn: runs.get(conn, run_id))
            if run is None or run.state == "failed":
                raise _error_of(run)
            if run.state == "done":
                return str(run.output["id"])
            if run.state == "in_doubt":
                raise OutcomeUnknown()
            await tenant.vendor.pause(POLL_S)

    async def _answer(self, tenant: Tenant, run_id: str, waiting: Any, deadline: Deadline) -> str:
        try:
            async with asyncio.timeout(max(deadline.remaining(), 0.001)):
                return str(await waiting)
        except TimeoutError:
            error: GatewayError = OutcomeUnknown(detail=f"run {run_id} goes on")
        except GatewayError as failed:
            error = failed
        now = tenant.database.clock.now()
        with contextlib.suppress(StoreError):  # the answer is the error itself, noted or not
            await tenant.database.write(lambda conn: runs.told_error(conn, run_id, now))
        raise error

    async def drained(self, within_s: float = 10.0) -> None:
        """Let the runs of this process come to their end; whatever does not is settled by the next one."""
        if self.live:
            await asyncio.wait(self.live.values(), timeout=within_s)
        for task in list(self.live.values()):
            task.cancel()

    # -- one run ------------------------------------------------------------------------------------

    async def carry_on(self, work: Work, run: runs.Run) -> None:
        """Background settling of a claimed run: looks, never sends the write in doubt."""
        with contextlib.suppress(GatewayError, LostLease):
            await self._carry(work, run, resumed=True, settle_only=True)

    async def _carry(self, work: Work, run: runs.Run, *, resumed: bool, settle_only: bool) -> str:
        deadline, trace = Deadline(self.work_s), Trace(personal=work.frame.personal)
        resume = await self._resume(work, run, settle_only) if resumed else Resume()
        if settle_only and not resume.finished and resume.doubt is None:
            return await self._nothing_left(work, run)
        try:
            await self._serialised(work, deadline)
            return await self._until_known(work, run, resume, deadline, trace)
        finally:
            await self._release(work)

    async def _resume(self, work: Work, run: runs.Run, settle_only: bool) -> Resume:
        stored = await work.tenant.database.read(lambda conn: steps.steps_of(conn, run.id))
        return journals.resume(stored, settle_only=settle_only)

    async def _nothing_left(self, work: Work, run: runs.Run) -> str:
        """It stopped before its first write: nothing happened, and nobody waits any more."""
        error = InternalError(
            "The gateway was stopped before anything was sent to the LMS.", code="interrupted"
        )
        await self._fail(work, run, error, None, None)
        raise error

    def _hold(self, conn: Connection, work: Work, text: str, now: float) -> bool:
        return leases.acquire(conn, work.tenant.name, text, work.holder(self.owner), now, self.lease_s)

    async def _hold_now(self, work: Work, text: str) -> bool:
        database = work.tenant.database
        now = database.clock.now()
        return await database.write(lambda conn: self._hold(conn, work, text, now))

    async def _serialised(self, work: Work, deadline: Deadline) -> None:
        """Hold the texts of `serialise` for this tenant, across gateways; mostly they came with the run."""
        for text in work.serialised():
            while text not in work.held:
                if await self._hold_now(work, text):
                    work.held.append(text)
                elif deadline.remaining() <= 0:
                    raise OutcomeUnknown(BUSY, code="busy")
                else:
                    await work.tenant.vendor.pause(POLL_S)

    async def _release(self, work: Work) -> None:
        """What the run's last commit did not let go of, because there was none."""
        if work.held:
            with contextlib.suppress(StoreError):  # they expire by themselves
                await work.tenant.database.write(lambda conn: work.release(conn, self.owner))
            work.held.clear()

    async def _until_known(
        self, work: Work, run: runs.Run, resume: Resume, deadline: Deadline, trace: Trace
    ) -> str:
        """Run the steps; while a write is in doubt, look again, as long as the work deadline lasts."""
        looks = iter((*LOOKS_S, *[10.0] * 20))
        while True:
            work.frame.steps.clear()
            work.frame.warnings.clear()
            work.frame.results.clear()
            journal = self._journal(work, run)
            try:
                outcome = await drive(
                    operations.perform(work.frame, work.form, resume),
                    work.tenant.vendor,
                    journal,
                    deadline,
                    trace,
                )
                return await self._finish(work, run, outcome, journal, trace)
            except InDoubt as unknown:
                wait = self._next_look(work, unknown, next(looks, None), deadline)
                if wait is None:
                    await self._leave_in_doubt(work, run, unknown, journal, trace)
                    raise OutcomeUnknown(detail=str(unknown)) from unknown
                await journal.flush(None)
                await work.tenant.vendor.pause(wait)
                resume = await self._resume_after(work, run, unknown.doubt)
            except NotDone as proof:
                error = OutcomeUnknown(
                    "The LMS did not do this. Please try again.", code="not_done", detail=str(proof)
                )
                await self._fail(work, run, error, journal, trace)
                raise error from proof
            except LostLease:
                raise OutcomeUnknown(detail=f"run {run.id} was taken over") from None
            except GatewayError as error:
                await self._fail(work, run, error, journal, trace)
                raise

    def _journal(self, work: Work, run: runs.Run) -> StoreJournal:
        return StoreJournal(
            work.tenant.database,
            run_id=run.id,
            owner=self.owner,
            tenant=work.tenant.name,
            steps=work.form.steps,
            subjects={"student": work.student, "course": work.course},
        )

    def _next_look(
        self, work: Work, unknown: InDoubt, wait: float | None, deadline: Deadline
    ) -> float | None:
        """Seconds until the next look-up of this task, or None to leave it to the background."""
        if unknown.look_again_at is None or wait is None:
            return None
        # no sense in asking "is it there?" just before its absence would be proof
        until_proof = unknown.look_again_at - work.tenant.database.clock.now()
        wait = until_proof if 0 < until_proof < wait else wait
        return wait if wait < deadline.remaining() else None

    async def _resume_after(self, work: Work, run: runs.Run, doubt: Doubt) -> Resume:
        resume = await self._resume(work, run, settle_only=True)
        return Resume(finished=resume.finished, doubt=resume.doubt or doubt, settle_only=True)

    # -- ends ---------------------------------------------------------------------------------------

    async def _finish(
        self, work: Work, run: runs.Run, outcome: Outcome, journal: StoreJournal, trace: Trace
    ) -> str:
        now = work.tenant.database.clock.now()
        changes, follow_up = journal.taken(), self._follow_up(work, run, journal)
        shown = _traced(work, trace, now)

        def finish(conn: Connection) -> str:
            journals.apply(conn, changes)
            kept, made = work.finish(conn, outcome)
            output = {"id": kept, "warnings": list(outcome.warnings)}
            runs.finish(conn, run.id, self.owner, output, now=now, enrolment_id=made)
            traces.add(conn, run.id, shown, first=run.tries == 0 and not run.repeated_at)
            work.release(conn, self.owner)
            for step in follow_up:
                _queue_step(conn, work, run, step, "retry_step", now)
            return kept

        kept = await work.tenant.database.write(finish)
        work.held.clear()
        for warning in outcome.warnings:
            log.warning(
                "tenant %s: run %s: %s",
                work.tenant.name,
                run.id,
                "a step left a warning on the record" if warning else "",
            )
        if work.after is not None:
            work.after()
        return kept

    def _follow_up(self, work: Work, run: runs.Run, journal: StoreJournal) -> list[Step]:
        """Optional steps whose outcome is unknown and that may simply be done again."""
        return [
            step
            for step in work.form.steps
            if step.optional
            and step.action is not None
            and step.action.repeat == "safe"
            and step.id in journal.commits
            and journal.commits[step.id].outcome == "unknown"
        ]

    async def _fail(
        self,
        work: Work,
        run: runs.Run,
        error: GatewayError,
        journal: StoreJournal | None,
        trace: Trace | None,
    ) -> None:
        now = work.tenant.database.clock.now()
        changes = journal.taken() if journal is not None else []
        undone = operations.undoable(work.frame, work.form) if journal is not None else ()
        shown = _traced(work, trace, now) if trace is not None else []

        def fail(conn: Connection) -> None:
            journals.apply(conn, changes)
            runs.fail(
                conn,
                run.id,
                self.owner,
                {
                    "code": error.code,
                    "status": error.status,
                    "message": error.message,
                    "detail": error.detail,
                },
                now=now,
            )
            traces.add(conn, run.id, shown, first=run.tries == 0 and not run.repeated_at)
            work.release(conn, self.owner)
            for step in undone:
                _queue_step(conn, work, run, step, "undo", now)

        with contextlib.suppress(LostLease):
            await work.tenant.database.write(fail)
            work.held.clear()
        if undone and work.after is not None:
            work.after()

    async def _leave_in_doubt(
        self, work: Work, run: runs.Run, unknown: InDoubt, journal: StoreJournal, trace: Trace
    ) -> None:
        now = work.tenant.database.clock.now()
        due = None if unknown.look_again_at is None else max(unknown.look_again_at, now + LATER_S)
        changes, shown = journal.taken(), _traced(work, trace, now)

        def leave(conn: Connection) -> None:
            journals.apply(conn, changes)
            runs.in_doubt(
                conn, run.id, self.owner, due, error={"code": "outcome_unknown", "step": unknown.doubt.step}
            )
            traces.add(conn, run.id, shown, first=run.tries == 0 and not run.repeated_at)
            work.release(conn, self.owner)
            if due is None:
                sentence = sentences.in_doubt(work.operation, run.id)
                manual.add(
                    conn,
                    tenant=work.tenant.name,
                    enrolment_id=work.input.get("enrolmentId"),
                    reason="in_doubt",
                    sentence=sentence,
                    now=now,
                    run_id=run.id,
                )

        with contextlib.suppress(LostLease):
            await work.tenant.database.write(leave)
            work.held.clear()


def _error_of(run: runs.Run | None) -> GatewayError:
    stored: Mapping[str, Any] = (run.error if run is not None else None) or {}
    error = GatewayError(stored.get("message"), code=stored.get("code"), detail=stored.get("detail"))
    error.status = int(stored.get("status", 500))
    return error


def _queue_step(conn: Connection, work: Work, run: runs.Run, step: Step, kind: str, now: float) -> None:
    tasks.add(
        conn,
        tenant=work.tenant.name,
        kind=kind,
        payload={
            "operation": work.operation.value,
            "step": step.id,
            "steps": dict(work.frame.steps),
            "input": work.input,
        },
        sentence=sentences.step_left(step.id, work.operation, run.id, undo=kind == "undo"),
        now=now,
        run_id=run.id,
    )


def _traced(work: Work, trace: Trace, now: float) -> list[Traced]:
    return [
        Traced(
            tenant=work.tenant.name,
            operation=work.operation.value,
            at=shown["left_at"] or now,
            exchange=shown,
        )
        for shown in trace.shown()
    ]


def person_of(data: Mapping[str, Any] | None) -> Person | None:
    if data is None:
        return None
    return Person(id=data["id"], first_name=data["firstName"], last_name=data["lastName"])
