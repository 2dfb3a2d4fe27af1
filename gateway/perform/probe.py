"""The mapping's probe: facts about the vendor's account, read now and then, seen as `probe.…`."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import lru_cache
from typing import Any

from gateway.contract import Operation
from gateway.engine.ask import Answer, ask, question
from gateway.engine.frame import Frame
from gateway.engine.steps import Work
from gateway.errors import ExpressionError, GatewayError, StoreError
from gateway.mapping.spec import MappingSpec, Probe
from gateway.mapping.templates import Template
from gateway.perform.tenant import Tenant
from gateway.perform.uses import reads
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.probe")

PROBE_S = 10.0
PATIENCE_S = 3.0
"""How long an operation waits for the facts; it goes on without them."""
AGAIN_S = 60.0
"""When a probe that failed is asked again."""


async def refresh(tenant: Tenant) -> None:
    """Read the facts when they are due: one probe for all who wait, and never an error of the operation.

    A fact is null until a probe has given it, and keeps its last value while later probes fail.
    """
    probe = tenant.mapping.probe
    if probe is None or tenant.database.clock.now() < tenant.facts_due_at:
        return
    if not needed(tenant.mapping):
        tenant.facts_due_at = math.inf
        return
    if tenant.probing is None or tenant.probing.done():
        tenant.probing = asyncio.create_task(_read(tenant, probe), name=f"probe {tenant.name}")
    await asyncio.wait([tenant.probing], timeout=PATIENCE_S)


@lru_cache(maxsize=64)
def needed(mapping: MappingSpec) -> bool:
    """Whether anything in the mapping reads a fact of its probe."""
    parts = (mapping.server, mapping.operations, mapping.progress, mapping.settings, mapping.launch)
    return bool(mapping.probe and mapping.probe.facts) and any(reads(part, "probe") for part in parts)


async def _read(tenant: Tenant, probe: Probe) -> None:
    frame, due_s = tenant.frame(Operation.GET_COURSES), AGAIN_S
    try:
        facts = await drive(
            _facts(frame, probe), tenant.vendor, NoJournal(), Deadline(PROBE_S), Trace(), staff=False
        )
        tenant.facts.update(facts)
        due_s = probe.every_s
    except (GatewayError, StoreError) as error:
        log.warning("tenant %s: the probe failed: %s", tenant.name, error.code)
    tenant.facts_due_at = tenant.database.clock.now() + due_s


def _facts(frame: Frame, probe: Probe) -> Work:
    answer = yield from ask(frame, question(frame, probe.call, step="probe"))
    if answer.outcome != "ok":
        raise GatewayError(code="vendor_fault", detail=f"probe: {answer.verdict.rule}")
    return facts_of(frame, probe, answer)


def facts_of(frame: Frame, probe: Probe, answer: Answer) -> dict[str, Any]:
    """The facts in one answer; null where it does not give one."""
    return {name: _fact(frame, answer, template) for name, template in probe.facts.items()}


def _fact(frame: Frame, answer: Answer, template: Template) -> Any:
    try:
        return template.render(frame.context(**answer.scope))
    except ExpressionError:
        return None
