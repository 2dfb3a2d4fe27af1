"""A step that sends nothing: its rules in order, then what it gives to later steps."""

from __future__ import annotations

from typing import Any

from gateway.contract import Operation
from gateway.engine.doubt import StepResult
from gateway.engine.failures import absence
from gateway.engine.frame import Frame, mismade
from gateway.errors import ExpressionError, GatewayError, Refused, VendorFault
from gateway.mapping.spec import Check, CheckRule, Step
from gateway.mapping.templates import as_text


def checked(frame: Frame, step: Step, check: Check) -> StepResult:
    """The result of a check. Raises GatewayError when a rule ends it, or when it cannot be told.

    `absent` is what a cancel wants, so there it is a result.
    """
    for rule in check.rules:
        if frame.holds(rule.when):
            if rule.outcome == "absent" and frame.operation is Operation.CANCEL_ENROLMENT:
                return StepResult(value={}, outcome="absent")
            raise _stopped(frame, rule)
    return StepResult(value=_value(frame, step, check))


def _stopped(frame: Frame, rule: CheckRule) -> GatewayError:
    say, detail = _say(frame, rule), f"{rule.place}: {rule.when.text}"
    match rule.outcome:
        case "absent":
            return absence(frame, detail, say)
        case "fail":
            return VendorFault(say, detail=detail)
    return Refused(say, code="check_refused", detail=detail)


def _say(frame: Frame, rule: CheckRule) -> str | None:
    """The sentence; None, for the usual one, when a part of it is null: the rule holds all the same."""
    try:
        return None if rule.say is None else as_text(rule.say.render(frame.context()))
    except ExpressionError:
        return None


def _value(frame: Frame, step: Step, check: Check) -> dict[str, Any]:
    if check.value is None:
        return {}
    try:
        value: dict[str, Any] = check.value.render(frame.context())
    except ExpressionError as error:
        raise mismade(error, f"{step.place}.value") from error
    return value
