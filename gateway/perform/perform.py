"""The face of the room: one call of RTOPilot in, one result out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.contract import OPTIONAL, Course, Done, Enrolment, Inputs, Operation, Result
from gateway.errors import GatewayError, InternalError, NotFound, StoreError, VendorTimeout
from gateway.perform import probe, reads, writes
from gateway.perform.attempt import UNSTORED
from gateway.perform.background import Background
from gateway.perform.joined import Joined
from gateway.perform.runs import Runs
from gateway.perform.tenant import Tenant
from gateway.store.database import Database
from gateway.store.traces import Ring, Traced
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.operations")

ANSWER_S = 8.0
MARGIN_S = 0.3
"""Kept back from the answer deadline for writing the answer."""

Performed = list[Course] | Course | Enrolment | Done


@dataclass(slots=True)
class Perform:
    """Performs operations for the tenants of this process; `joined` are organisations with several."""

    database: Database
    tenants: Mapping[str, Tenant]
    runs: Runs
    background: Background
    ring: Ring
    answer_s: float = ANSWER_S
    joined: Mapping[str, Joined] = field(default_factory=dict)

    async def __call__(self, tenant: str, operation: Operation, inputs: Inputs, *, reference: str) -> Result:
        """One operation. Raises GatewayError: what RTOPilot hears is its code, status and message."""
        joined = self.joined.get(tenant)
        if joined is None:
            return await self._one(tenant, operation, inputs, reference)
        if operation is Operation.GET_COURSES:
            return await joined.courses(lambda name: self._courses(name, inputs, reference))
        return await self._one(joined.home(operation, inputs), operation, inputs, reference)

    async def _courses(self, tenant: str, inputs: Inputs, reference: str) -> list[Course]:
        found = await self._one(tenant, Operation.GET_COURSES, inputs, reference)
        assert isinstance(found, list)
        return found

    async def _one(self, tenant: str, operation: Operation, inputs: Inputs, reference: str) -> Result:
        at_work = self.tenants.get(tenant)
        if at_work is None:
            raise NotFound("There is no such tenant.", code="unknown_tenant")
        if operation in at_work.spec.off and operation in OPTIONAL:
            raise NotFound(
                f"This tenant has switched {operation} off. Leave its slot blank in RTOPilot.",
                code="operation_off",
            )
        trace, started = Trace(), time.perf_counter()
        try:
            result = await self._within(at_work, operation, inputs, trace, reference)
        except GatewayError as error:
            self._keep(at_work, operation, reference, trace)
            self._note_failure(
                at_work,
                operation,
                reference,
                error,
                f"{len(trace.exchanges)} vendor calls, {_ms(started):.0f} ms",
            )
            raise
        log.debug("tenant %s: %s ok, reference %s, %.0f ms", tenant, operation, reference, _ms(started))
        return result

    async def _within(
        self, tenant: Tenant, operation: Operation, inputs: Inputs, trace: Trace, reference: str
    ) -> Result:
        deadline = Deadline(self.answer_s - MARGIN_S)
        prepare = writes.PREPARE.get(operation)
        try:
            async with asyncio.timeout(max(deadline.remaining(), 0.001)):
                await probe.refresh(tenant)
                if prepare is None:
                    return await _read(tenant, operation, inputs, deadline, trace)
                work = await prepare(tenant, inputs, deadline, trace)
        except TimeoutError as error:
            raise VendorTimeout() from error
        except StoreError as error:
            raise InternalError(UNSTORED, code="store_error", detail=str(error)) from error
        if isinstance(work, Done):
            return work
        work.after = self.background.kick
        return Done(id=await self.runs.perform(work, deadline, reference=reference))

    def _note_failure(
        self, tenant: Tenant, operation: Operation, reference: str, error: GatewayError, work: str
    ) -> None:
        said = f"{error.code} ({error.detail})" if error.detail else error.code
        log.warning(
            "tenant %s: %s failed: %s, reference %s, %s", tenant.name, operation, said, reference, work
        )

    def _keep(self, tenant: Tenant, operation: Operation, reference: str, trace: Trace) -> None:
        for shown in trace.shown():
            self.ring.add(
                reference,
                Traced(tenant=tenant.name, operation=operation.value, at=shown["left_at"], exchange=shown),
            )


async def _read(
    tenant: Tenant, operation: Operation, inputs: Inputs, deadline: Deadline, trace: Trace
) -> Result:
    if operation is Operation.GET_COURSES:
        return await reads.get_courses(tenant, inputs.search_term, deadline, trace)
    if operation is Operation.GET_COURSE:
        return await reads.get_course(tenant, inputs.course_id or "", deadline, trace)
    return await reads.get_enrolment(tenant, inputs.enrolment_id or "", deadline, trace)


def _ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000
