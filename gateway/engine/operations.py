"""One of RTOPilot's operations as a generator: its form resolved, its steps run, its result shaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.contract import Operation
from gateway.engine import shape, steps
from gateway.engine.calls import Outcome as OutcomeWord
from gateway.engine.doubt import Resume, StepResult
from gateway.engine.failures import shown
from gateway.engine.frame import Frame
from gateway.engine.steps import Work
from gateway.errors import ExpressionError, InternalError, Refused, VendorFault
from gateway.mapping.spec import OperationSpec, ProgressSpec, Step
from gateway.mapping.templates import as_text

UNSET = "The gateway's settings do not say how to do this. Operators have been told."


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an operation came to; which fields are set depends on the operation.

    `record` and `key` are a new enrolment's; `manual` is a sentence for the manual list;
    `courses` a course list; `progress` a reading, and `reading` what the vendor's answer gave for it
    (None when every step that asks was skipped: then nothing was seen at the vendor).
    """

    record: Mapping[str, Any] | None = None
    key: tuple[str, ...] = ()
    manual: str | None = None
    courses: shape.CourseRows | None = None
    progress: shape.Progress | None = None
    reading: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = field(default=())


def form_of(frame: Frame, spec: OperationSpec) -> OperationSpec:
    """The form that holds for this tenant: `choose` is followed until a plain form is reached."""
    while spec.kind == "choose":
        assert spec.choose is not None
        try:
            word = spec.choose.evaluate(frame.context().scope, frame.runtime)
        except ExpressionError as error:
            raise _unset(f"{spec.place}.choose: {error}") from error
        chosen = spec.of.get(as_text(word)) if word is not None else None
        if chosen is None:
            raise _unset(f"{spec.place}.of has no form for {word!r}")
        spec = chosen
    return spec


def _unset(detail: str) -> InternalError:
    return InternalError(UNSET, code="mapping_failed", detail=detail)


def form(frame: Frame, operation: Operation) -> OperationSpec | None:
    """The form of one operation for this tenant, or None when the mapping leaves it out."""
    spec = frame.mapping.operations.get(operation)
    return None if spec is None else form_of(frame, spec)


def perform(frame: Frame, spec: OperationSpec, resume: Resume) -> Work:
    """Run one resolved form to its Outcome.

    `create-then-cancel` is the caller's: it is a create, and later a cancel. Raises what `steps.run` does.
    """
    assert spec.kind not in ("choose", "create-then-cancel"), spec.kind
    match spec.kind:
        case "acknowledge":
            return Outcome()
        case "refuse":
            raise Refused(_sentence(frame, spec), code="operation_refused")
        case "manual":
            return Outcome(manual=_sentence(frame, spec))
    yield from steps.run(frame, spec.steps, resume)
    courses = shape.courses(frame, spec) if spec.each is not None else None
    record = record_of(frame, spec)
    key = () if record is None else tuple(_key_part(spec, record, name) for name in spec.key)
    return Outcome(record=record, key=key, courses=courses, warnings=tuple(frame.warnings))


def _sentence(frame: Frame, spec: OperationSpec) -> str:
    assert spec.sentence is not None
    try:
        return as_text(spec.sentence.render(frame.context()))
    except ExpressionError as error:
        raise _unset(f"{spec.place}: {error}") from error


def record_of(frame: Frame, spec: OperationSpec) -> dict[str, Any] | None:
    if spec.record is None:
        return None
    try:
        record: dict[str, Any] = spec.record.render(frame.context())
    except ExpressionError as error:
        raise VendorFault(detail=f"{spec.place}.record: {error}") from error
    return record


def _key_part(spec: OperationSpec, record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    text = "" if value is None or isinstance(value, list | dict) else as_text(value)
    if not text:
        raise VendorFault(detail=f"{spec.place}.key: `{name}` is not in the record, or is not text")
    return text


def read_progress(frame: Frame, *, units: bool = False) -> Work:
    """Read one enrolment's progress by `getEnrolment` or `progress.read`, whatever it is read for.

    Units are only worked out where they are asked for, or the policy counts them.
    Raises NotFound when the vendor no longer has it, VendorFault when its answer cannot be used.
    """
    own, progress = form(frame, Operation.GET_ENROLMENT), frame.mapping.progress or ProgressSpec()
    read = own.steps if own is not None else progress.read if units else progress.brief
    reader = replace(frame, operation=Operation.GET_ENROLMENT, steps={}, warnings=[], results={})
    yield from steps.run(reader, read, Resume())
    given = (step for step in reversed(read) if step.check is None or step.check.value is not None)
    values = (reader.steps[step.id] for step in given)
    reading = next((value for value in values if value is not None), None)
    asked = any(step.check is None and reader.steps[step.id] is not None for step in read)
    return Outcome(
        reading=reading if asked else None,
        progress=shape.progress(progress.policy, reading or {}),
        warnings=tuple(reader.warnings),
    )


def undoable(frame: Frame, spec: OperationSpec) -> tuple[Step, ...]:
    """The steps this run did itself and that can be taken back, newest first."""
    done = (step for step in reversed(spec.steps) if step.id in frame.results)
    return tuple(step for step in done if step.undo is not None and frame.results[step.id].undo)


def undo(frame: Frame, step: Step) -> Work:
    """Take back what one step did, to a StepResult; `absent` counts as done."""
    assert step.undo is not None
    answer = yield from steps.act(frame, step, step.undo, name=f"{step.id}/undo")
    outcome: OutcomeWord = "ok" if answer.outcome == "absent" else answer.outcome
    return StepResult(value=answer.value, outcome=outcome, warnings=shown(frame, answer.verdict.warnings))
