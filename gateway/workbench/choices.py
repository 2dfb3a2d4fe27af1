"""The values a setting may take, as the vendor lists them: companies, trainers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from gateway.contract import Operation
from gateway.engine.ask import YIELDS, ask, question
from gateway.engine.calls import Call, Commit, Reply
from gateway.engine.failures import failure
from gateway.engine.frame import Frame
from gateway.errors import ExpressionError, RequestError, VendorFault
from gateway.mapping.spec import ChoiceSource
from gateway.mapping.templates import as_text
from gateway.perform.tenant import Tenant
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

WAIT_S = 30.0


async def choices(tenant: Tenant, setting: str, *, trace: Trace | None = None) -> list[dict[str, str]]:
    """`[{id, name}]`, read from the vendor now, or the mapping's own list of words.

    Raises RequestError when the setting has no list, GatewayError when the vendor cannot be read.
    """
    settings = tenant.mapping.settings
    spec = settings.get(setting)
    if spec is None or spec.type != "choice":
        listed = ", ".join(name for name, other in settings.items() if other.type == "choice")
        what = "has no setting" if spec is None else "has no list of values for"
        raise RequestError(f"{tenant.mapping.name} {what} `{setting}`. With choices: {listed or 'none'}.")
    if spec.source is None:
        return [{"id": word, "name": word} for word in spec.of]
    work = _listed(tenant.frame(Operation.GET_COURSES), spec.source, setting)
    rows = await drive(work, tenant.vendor, NoJournal(), Deadline(WAIT_S), trace or Trace())
    return list(rows)


def _listed(
    frame: Frame, source: ChoiceSource, setting: str
) -> Generator[Call | Commit, Reply | None, list[dict[str, str]]]:
    answer = yield from ask(frame, question(frame, source.call, step=f"settings.{setting}"))
    if answer.outcome not in YIELDS:
        raise failure(frame, answer.reply, answer.verdict)
    items = answer.scope.get("items", [])
    rows = [row for item in items if (row := _row(frame, source, item)) is not None]
    if items and not rows:
        raise VendorFault(detail=f"settings.{setting}: none of {len(items)} items has what `give` needs")
    return rows


def _row(frame: Frame, source: ChoiceSource, item: Any) -> dict[str, str] | None:
    """One choice; None for an item without one of the parts."""
    context = frame.context(**{source.name: item})
    try:
        return {key: as_text(template.render(context)) for key, template in source.give.items()}
    except ExpressionError as error:
        if error.kind != "null":
            raise VendorFault(detail=f"{source.call.place}: {error}") from error
        return None
