"""What goes on without RTOPilot: settling runs in doubt, queued follow-up work, and the manual list.

Settling only looks; it never sends the write in doubt (docs/durability.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from gateway.contract import Done, Operation
from gateway.engine import operations, steps
from gateway.engine.doubt import InDoubt
from gateway.errors import GatewayError, OutcomeUnknown, Refused, StoreError
from gateway.mapping.spec import Step
from gateway.perform import probe, sentences, writes
from gateway.perform.endings import LIST_AFTER_S, later_s
from gateway.perform.runs import Runs, Work
from gateway.perform.tenant import Tenant
from gateway.store import enrolments, manual, tasks
from gateway.store import runs as stored
from gateway.store.claims import LostLease
from gateway.store.database import Database
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.background")

EVERY_S = 5.0
TASK_S = 30.0
TOLD_AFTER_S = 86_400.0


@dataclass(slots=True)
class Background:
    """The worker of one process. `kick` makes it look at once; `round` does one look (tests call it)."""

    database: Database
    tenants: Mapping[str, Tenant]
    runs: Runs
    owner: str
    every_s: float = EVERY_S
    _kicked: asyncio.Event = field(default_factory=asyncio.Event)

    def kick(self) -> None:
        self._kicked.set()

    async def forever(self) -> None:
        """Work until cancelled; a store that fails is tried again."""
        while True:
            try:
                while await self.round():
                    pass
            except StoreError as error:
                log.error("the store cannot be used: %s", error)
            except Exception as bug:  # noqa: BLE001 - a mistake in one piece of work must not end all of it
                log_bug("the background", bug)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every_s):
                    await self._kicked.wait()
            self._kicked.clear()

    async def round(self) -> bool:
        """Claim what is due and do it; False when there was nothing."""
        settled = await self._settle_due()
        # only then: work that met its own old run while that is settled would wait for its next try
        worked = await self._work_queue()
        await self._list_unheard()
        return settled or worked

    async def _settle_due(self) -> bool:
        now, lease_s = self.database.clock.now(), self.runs.lease_s
        due = await self.database.write(lambda conn: stored.claim_due(conn, self.owner, now, lease_s))
        await asyncio.gather(*(self._kept_apart(f"run {run.id}", self._settle(run)) for run in due))
        return bool(due)

    async def _work_queue(self) -> bool:
        now, lease_s = self.database.clock.now(), self.runs.lease_s
        queued = await self.database.write(lambda conn: tasks.claim_due(conn, self.owner, now, lease_s))
        await asyncio.gather(*(self._kept_apart(f"task {task.id}", self._task(task)) for task in queued))
        return bool(queued)

    async def _kept_apart(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        """A job whose failure is its own: its lease runs out, and it is claimed again."""
        try:
            await job
        except StoreError as error:
            log.error("%s: the store cannot be used: %s", name, error)
        except Exception as bug:  # noqa: BLE001 - a mistake in one piece of work must not end all of it
            log_bug(name, bug)

    # -- runs in doubt ------------------------------------------------------------------------------

    async def _settle(self, run: stored.Run) -> None:
        if run.id in self.runs.live:
            return  # still at work in this very process: claiming it has renewed its lease
        tenant = self.tenants.get(run.tenant)
        now = self.database.clock.now()
        if run.state == "running":  # its gateway is gone, and so was RTOPilot's answer
            await self.database.write(lambda conn: stored.told_error(conn, run.id, now))
        try:
            if tenant is None:
                raise OutcomeUnknown(
                    code="tenant_gone", detail=f"tenant {run.tenant} is no longer configured"
                )
            work = await self._work(tenant, run)
            if isinstance(work, Done):
                await self._already(run, work)
            else:
                await self.runs.carry_on(work, run)
        except GatewayError as error:
            log.warning("run %s cannot be settled now: %s", run.id, error.code)
            await self._later(run)

    async def _work(self, tenant: Tenant, run: stored.Run) -> Work | Done:
        await probe.refresh(tenant)
        work = await writes.again(tenant, Operation(run.operation), run.input, Deadline(TASK_S), Trace())
        if isinstance(work, Work):
            work.after = self.kick
        return work

    async def _already(self, run: stored.Run, answer: Done) -> None:
        now = self.database.clock.now()

        def already(conn: Connection) -> None:
            stored.finish(conn, run.id, self.owner, {"id": answer.id}, now=now)
            manual.settled(conn, run.id, now)

        with contextlib.suppress(LostLease):
            await self.database.write(already)

    async def _later(self, run: stored.Run) -> None:
        """Look again later; what cannot be looked up for a day is a person's, though looking goes on."""
        now = self.database.clock.now()

        def later(conn: Connection) -> None:
            stored.in_doubt(conn, run.id, self.owner, now + later_s(run.tries), error=run.error)
            if now - run.created_at >= LIST_AFTER_S:
                manual.add(
                    conn,
                    tenant=run.tenant,
                    enrolment_id=run.input.get("enrolmentId"),
                    reason="in_doubt",
                    sentence=sentences.in_doubt(run.operation, run.id),
                    now=now,
                    run_id=run.id,
                )

        with contextlib.suppress(LostLease):
            await self.database.write(later)

    # -- queued work --------------------------------------------------------------------------------

    async def _task(self, task: tasks.Task) -> None:
        tenant = self.tenants.get(task.tenant)
        try:
            if tenant is None:
                raise OutcomeUnknown(code="tenant_gone")
            if task.kind == "end_old":
                await self._end_old(tenant, task)
            else:
                await self._steps(tenant, task)
        except LostLease:
            return  # another gateway is at it
        except GatewayError as error:
            code, final = error.code, error.status == 422
            with contextlib.suppress(LostLease):
                await self.database.write(
                    lambda conn: tasks.failed(
                        conn, task.id, self.owner, self.database.clock.now(), code, final=final
                    )
                )
            return
        with contextlib.suppress(LostLease):
            await self.database.write(
                lambda conn: tasks.done(conn, task.id, self.owner, self.database.clock.now())
            )

    async def _end_old(self, tenant: Tenant, task: tasks.Task) -> None:
        """End the vendor enrolment a transfer has left behind, unless another id still stands on it."""
        enrolment_id = task.payload["enrolmentId"]
        stored = await self.database.read(lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id))
        if stored is None or await writes.shared(tenant, stored):
            return
        deadline = Deadline(TASK_S)
        work = await writes.ending(tenant, stored, deadline, Trace())
        if isinstance(work, Work):
            # a new name for each try: the run of the last one still stands in the store
            await self.runs.perform(work, deadline, reference=f"end-{uuid4()}")

    async def _steps(self, tenant: Tenant, task: tasks.Task) -> None:
        """Take steps back (`undo`), or do optional ones again (`retry_step`): one after the other.

        Either may be done twice, so a second try begins with the first step again.
        """
        operation = Operation(task.payload["operation"])
        work = await writes.again(tenant, operation, task.payload["input"], Deadline(TASK_S), Trace())
        if isinstance(work, Done):
            return
        undo = task.kind == "undo"
        made = None if undo else await self._made(task)
        if made is not None and made.state != "active":
            return  # cancelled meanwhile: joining a group now would let the learner in again
        work.frame.steps.update(task.payload["steps"])
        deadline = Deadline(TASK_S)
        for name in task.payload["todo"]:
            value = await self._step(tenant, work, _step_named(work, name), deadline, undo=undo)
            work.frame.steps[name] = value
        if made is not None:
            await self._keep_record(work, made)

    async def _made(self, task: tasks.Task) -> enrolments.StoredEnrolment | None:
        """The enrolment that the run of a task has made."""

        def made(conn: Connection) -> enrolments.StoredEnrolment | None:
            run = stored.get(conn, task.run_id) if task.run_id is not None else None
            if run is None or run.enrolment_id is None:
                return None
            return enrolments.by_id(conn, run.tenant, run.enrolment_id)

        return await self.database.read(made)

    async def _keep_record(self, work: Work, made: enrolments.StoredEnrolment) -> None:
        """The record with what the optional steps gave at last, such as the group to leave on cancelling."""
        record = operations.record_of(work.frame, work.form)
        if record is not None and record != made.record:
            await self.database.write(lambda conn: enrolments.keep_record(conn, made.tenant, made.id, record))

    async def _step(
        self, tenant: Tenant, work: Work, step: Step | None, deadline: Deadline, *, undo: bool
    ) -> Any:
        if step is None or (undo and step.undo is None):
            raise Refused(detail="the mapping has changed since")
        todo = (
            operations.undo(work.frame, step)
            if undo
            else steps.one(work.frame, step, None, settle_only=False)
        )
        trace = Trace(personal=work.frame.personal)
        try:
            result = await drive(todo, tenant.vendor, NoJournal(), deadline, trace, staff=False)
        except InDoubt as unknown:
            raise OutcomeUnknown(detail=str(unknown)) from unknown
        if result.outcome in ("unknown", "fail"):
            raise OutcomeUnknown(detail=f"step {step.id}")
        return result.value

    # -- the manual list ----------------------------------------------------------------------------

    async def _list_unheard(self) -> None:
        """Enrolled at the LMS, RTOPilot not told, and not repeated for a day: a person must look."""
        now = self.database.clock.now()

        def unheard(conn: Connection) -> list[stored.Run]:
            makes = (Operation.CREATE_ENROLMENT.value, Operation.TRANSFER_ENROLMENT.value)
            return stored.unheard(conn, now, operations=makes, after_s=TOLD_AFTER_S)

        found = await self.database.read(unheard)
        if not found:
            return

        def listed(conn: Connection) -> None:
            for run in found:
                sentence = sentences.not_told(run.enrolment_id, run.student_id)
                manual.add(
                    conn,
                    tenant=run.tenant,
                    enrolment_id=run.enrolment_id,
                    reason="not_told",
                    sentence=sentence,
                    now=now,
                    run_id=run.id,
                )
                stored.mark_listed(conn, run.id, now)

        await self.database.write(listed)


def _step_named(work: Work, name: str) -> Step | None:
    return next((step for step in work.form.steps if step.id == name), None)


def log_bug(name: str, bug: Exception) -> None:
    """Where it happened, but not its text: that may quote a student's data."""
    where = "".join(traceback.format_tb(bug.__traceback__))
    log.error("%s: %s\n%s", name, type(bug).__name__, where)
