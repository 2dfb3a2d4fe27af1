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
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from gateway.errors import GatewayError, InternalError, OutcomeUnknown, StoreError
from gateway.futures import looked_at
from gateway.perform.attempt import POLL_S, UNSTORED, Attempt
from gateway.perform.reading import told
from gateway.perform.tenant import Tenant
from gateway.perform.work import Work as Work
from gateway.perform.work import fingerprint as fingerprint
from gateway.store import runs
from gateway.store.claims import LostLease
from gateway.vendor.retry import Deadline

log = logging.getLogger("gateway.runs")

T = TypeVar("T")

WORK_S = 60.0
LEASE_S = 90.0
"""How long a run is ours at least; see `Runs.lease_s`."""
LEASE_MARGIN_S = 30.0


@dataclass(slots=True)
class Runs:
    """The runs of this process: `perform` answers a request, `carry_on` settles one in the background."""

    owner: str
    work_s: float = WORK_S
    live: dict[str, asyncio.Task[str]] = field(default_factory=dict)
    _beside: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def lease_s(self) -> float:
        """Outlasts the work deadline, so that nobody takes over a run that is still at work."""
        return max(LEASE_S, self.work_s + LEASE_MARGIN_S)

    async def perform(self, work: Work, deadline: Deadline, *, reference: str) -> str:
        """Do a write, or join or answer it when it was asked for before; gives the id RTOPilot is to keep.

        Raises OutcomeUnknown when the answer deadline passes first, or the outcome cannot be known yet.
        """
        run_id = reference
        # Not in the handler itself: one that goes away here would leave a run that nobody carries on.
        entering = self._aside(self._enter(work, reference))
        try:
            async with asyncio.timeout(max(deadline.remaining(), 0.001)):
                run, task = await asyncio.shield(entering)
                run_id = run.id
                if run.state == "done":
                    return str(run.output["id"])
                if task is not None:
                    return await asyncio.shield(task)
                return await self._elsewhere(work.tenant, run_id)
        except TimeoutError:
            error: GatewayError = OutcomeUnknown(detail=f"run {run_id} goes on")
        except StoreError as failed:
            error = InternalError(UNSTORED, code="store_error", detail=str(failed))
        except LostLease as lost:
            error = OutcomeUnknown(detail=str(lost))
        except GatewayError as failed:
            error = failed
        except asyncio.CancelledError:  # RTOPilot has hung up: it hears nothing, which is an error too
            self._aside(self._told_error(work.tenant, run_id))
            raise
        await self._told_error(work.tenant, run_id)
        raise error

    async def _enter(self, work: Work, reference: str) -> tuple[runs.Run, asyncio.Task[str] | None]:
        """Begin the run, or find the one that stands; with the task that is at it, when it is ours."""
        begun = await self._begin(work, reference)
        run = begun.run
        if run.id != reference:
            log.info(
                "tenant %s: %s %s is run %s (%s)",
                work.tenant.name,
                work.operation,
                reference,
                run.id,
                begun.kind,
            )
        task = self.live.get(run.id)
        if begun.kind in ("new", "in_doubt") and (task is None or task.done()):
            task = self._start(work, run, resumed=begun.kind == "in_doubt")
        return run, task

    async def _begin(self, work: Work, reference: str) -> runs.Begun:
        tenant, now, texts = work.tenant, work.tenant.database.clock.now(), work.serialised()

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
            if work.guard is not None:
                work.guard(conn, begun)
            if begun.kind == "answered" and begun.run.enrolment_id is not None:
                told(conn, tenant, begun.run.enrolment_id, now)
            if texts and begun.kind in ("new", "in_doubt"):
                work.hold(conn, texts, self.owner, now, self.lease_s)
            return begun

        return await tenant.database.write(begin)

    def _start(
        self, work: Work, run: runs.Run, *, resumed: bool, settle_only: bool = False
    ) -> asyncio.Task[str]:
        attempt = Attempt(
            work=work,
            run=run,
            owner=self.owner,
            lease_s=self.lease_s,
            deadline=Deadline(self.work_s),
            resumed=resumed,
            settle_only=settle_only,
        )
        task = asyncio.create_task(attempt.carry(), name=f"run {run.id}")
        self.live[run.id] = task
        task.add_done_callback(lambda done: self._ended(run.id, done))
        return task

    def _ended(self, run_id: str, task: asyncio.Task[str]) -> None:
        if self.live.get(run_id) is task:
            del self.live[run_id]
        looked_at(task)

    async def _elsewhere(self, tenant: Tenant, run_id: str) -> str:
        """Another gateway is at it: watch its row."""
        while True:
            run = await tenant.database.read(lambda conn: runs.get(conn, run_id))
            if run is None or run.state == "failed":
                raise _error_of(run)
            if run.state == "done":
                return str(run.output["id"])
            if run.lease_until is None or run.lease_until <= tenant.database.clock.now():
                raise OutcomeUnknown(detail=f"nobody is at work on run {run_id}")
            await tenant.vendor.pause(POLL_S)

    async def _told_error(self, tenant: Tenant, run_id: str) -> None:
        now = tenant.database.clock.now()
        with contextlib.suppress(StoreError):  # the answer is the error itself, noted or not
            await tenant.database.write(lambda conn: runs.told_error(conn, run_id, now))

    async def carry_on(self, work: Work, run: runs.Run) -> None:
        """Settling of a run that was claimed: looks, never sends the write in doubt. Raises StoreError."""
        until = work.tenant.database.clock.now() + self.lease_s
        with contextlib.suppress(GatewayError, LostLease):
            await work.tenant.database.write(lambda conn: runs.renew_lease(conn, run.id, self.owner, until))
            await asyncio.shield(self._start(work, run, resumed=True, settle_only=True))

    async def drained(self, within_s: float = 10.0) -> None:
        """Let the runs of this process come to their end; whatever does not is settled by the next one."""
        under_way = {*self.live.values(), *self._beside}
        if under_way:
            await asyncio.wait(under_way, timeout=within_s)
        left = {*self.live.values(), *self._beside}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _aside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that goes on whatever becomes of who waits for it."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        task.add_done_callback(looked_at)
        return task


def _error_of(run: runs.Run | None) -> GatewayError:
    stored: Mapping[str, Any] = (run.error if run is not None else None) or {}
    error = GatewayError(stored.get("message"), code=stored.get("code"), detail=stored.get("detail"))
    error.status = int(stored.get("status", 500))
    return error
