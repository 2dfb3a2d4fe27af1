"""What goes on without RTOPilot: settling runs in doubt, queued follow-up work, and the manual list.

Settling only looks; it never sends the write in doubt (docs/durability.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import Connection

from gateway.contract import Done, Operation
from gateway.engine import operations, steps
from gateway.errors import GatewayError, OutcomeUnknown, StoreError
from gateway.mapping.spec import Step
from gateway.perform import sentences, writes
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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every_s):
                    await self._kicked.wait()
            self._kicked.clear()

    async def round(self) -> bool:
        """Claim what is due and do it; False when there was nothing."""
        now = self.database.clock.now()
        lease_s = self.runs.lease_s
        due = await self.database.write(lambda conn: stored.claim_due(conn, self.owner, now, lease_s))
        queued = await self.database.write(lambda conn: tasks.claim_due(conn, self.owner, now, lease_s))
        await asyncio.gather(*(self._settle(run) for run in due), *(self._task(task) for task in queued))
        await self._list_unheard()
        return bool(due or queued)

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
        work = await writes.again(tenant, Operation(run.operation), run.input, Deadline(TASK_S), Trace())
        if isinstance(work, Work):
            work.after = self.kick
        return work

    async def _already(self, run: stored.Run, answer: Done) -> None:
        now = self.database.clock.now()
        with contextlib.suppress(LostLease):
            await self.database.write(
                lambda conn: stored.finish(conn, run.id, self.owner, {"id": answer.id}, now=now)
            )

    async def _later(self, run: stored.Run) -> None:
        due = self.database.clock.now() + min(30.0 * 2 ** min(run.tries, 7), 3600.0)
        with contextlib.suppress(LostLease):
            await self.database.write(
                lambda conn: stored.in_doubt(conn, run.id, self.owner, due, error=run.error)
            )

    # -- queued work --------------------------------------------------------------------------------

    async def _task(self, task: tasks.Task) -> None:
        tenant = self.tenants.get(task.tenant)
        try:
            if tenant is None:
                raise OutcomeUnknown(code="tenant_gone")
            if task.kind == "end_old":
                await self._end_old(tenant, task)
            else:
                await self._step(tenant, task)
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

    async def _step(self, tenant: Tenant, task: tasks.Task) -> None:
        """Take one step back (`undo`), or do an optional one again (`retry_step`)."""
        operation = Operation(task.payload["operation"])
        work = await writes.again(tenant, operation, task.payload["input"], Deadline(TASK_S), Trace())
        if isinstance(work, Done):
            return
        step = _step_named(work, task.payload["step"])
        if step is None:
            return
        work.frame.steps.update(task.payload["steps"])
        todo = (
            operations.undo(work.frame, step)
            if task.kind == "undo"
            else steps.one(work.frame, step, None, settle_only=False)
        )
        result = await drive(
            todo,
            tenant.vendor,
            NoJournal(),
            Deadline(TASK_S),
            Trace(personal=work.frame.personal),
            staff=False,
        )
        if result.outcome in ("unknown", "fail"):
            raise OutcomeUnknown(detail=f"{task.kind} of {step.id}")

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
