"""What an administrator should be told about the vendor's account: the `checks` of the mapping's probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.contract import Operation
from gateway.engine.ask import ask, question
from gateway.engine.failures import failure, scrub
from gateway.engine.frame import Frame
from gateway.engine.steps import Work
from gateway.errors import ExpressionError
from gateway.mapping.expressions import truthy
from gateway.mapping.spec import FindingLevel, Probe, ProbeCheck
from gateway.mapping.templates import Context, as_text
from gateway.perform.probe import PROBE_S, facts_of
from gateway.perform.tenant import Tenant
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that holds of the account: `say` is the mapping's sentence, whole, with secrets masked."""

    level: FindingLevel
    say: str


async def findings(tenant: Tenant) -> tuple[Finding, ...]:
    """Ask the probe now, and give every check of it that holds. Raises GatewayError when it cannot be asked.

    Nothing when the mapping has no checks: then nothing is asked.
    """
    probe = tenant.mapping.probe
    if probe is None or not probe.checks:
        return ()
    frame = tenant.frame(Operation.GET_COURSES)
    found: tuple[Finding, ...] = await drive(
        _found(frame, probe), tenant.vendor, NoJournal(), Deadline(PROBE_S), Trace()
    )
    return found


def _found(frame: Frame, probe: Probe) -> Work:
    answer = yield from ask(frame, question(frame, probe.call, step="probe"))
    if answer.outcome != "ok":
        raise failure(frame, answer.reply, answer.verdict)
    seen = frame.context(**answer.scope).plus(probe=facts_of(frame, probe, answer))
    return tuple(_holding(frame, probe, seen))


def _holding(frame: Frame, probe: Probe, seen: Context) -> Iterator[Finding]:
    for check in probe.checks:
        try:
            holds = truthy(check.when.evaluate(seen.scope, seen.runtime))
        except ExpressionError as error:  # the answer has another shape: somebody should look
            yield Finding(level="note", say=f"`{check.when.text}` cannot be told from the answer: {error}")
            continue
        if holds:
            yield Finding(level=check.level, say=_said(frame, check, seen))


def _said(frame: Frame, check: ProbeCheck, seen: Context) -> str:
    try:
        return scrub(as_text(check.say.render(seen)), frame.personal, frame.secret_labels)
    except ExpressionError:
        return f"`{check.when.text}` holds."  # a part of its sentence is null
