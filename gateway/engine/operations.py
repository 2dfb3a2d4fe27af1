"""One of RTOPilot's operations as a generator: its form is resolved, its steps are run, its result is shaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.contract import Operation
from gateway.engine import shape, steps
from gateway.engine.doubt import Resume
from gateway.engine.frame import Frame
from gateway.engine.steps import Work
from gateway.errors import ExpressionError, InternalError, NotFound, Refused, VendorFault
from gateway.mapping.spec import OperationSpec, Step
from gateway.mapping.templates import as_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an operation came to; which fields are set depends on the operation.

    `record` and `key` are a new enrolment's; `manual` is a sentence for the manual list;
    `courses` a course list; `progress` a reading.
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
        word = spec.choose.evaluate(frame.context().scope, frame.runtime)
        chosen = spec.of.get(as_text(word)) if word is not None else None
        if chosen is None:
            raise InternalError(
                "The gateway's settings do not say how to do this. Operators have been told.", code="mapping_failed", detail=f"{spec.place}.of has no form for {word!r}"
            )
        spec = chosen
    return spec


def form(frame: Frame, operation: Operation) -> OperationSpec | None:
    """The form of one operation for this tenant, or None when the mapping leaves it out."""
    spec = frame.mapping.operations.get(operation)
    return None if spec is None else form_of(frame, spec)


def perform(frame: Frame, spec: OperationSpec, resume: Resume) -> Work:
    """Run one resolved form. `create-then-cancel` is the caller's: it is a create, and later a cancel."""
    match spec.kind:
        case "acknowledge":
            return Outcome()
        case "refuse":
            assert spec.sentence is not None
            raise Refused(as_text(spec.sentence.render(frame.context())), code="operation_refused")
        case "manual":
            assert spec.sentence is not None
            return Outcome(manual=as_text(spec.sentence.render(frame.context())))
    yield from steps.run(frame, spec.steps, resume)
    courses = shape.courses(frame, spec) if spec.each is not None else None
    record = _record(frame, spec)
    key = tuple(as_text(record[name]) for name in spec.key) if record is not None else ()
    return Outcome(record=record, key=key, courses=courses, warnings=tuple(frame.warnings))


def _record(frame: Frame, spec: OperationSpec) -> dict[str, Any] | None:
    if spec.record is None:
        return None
    try:
        record: dict[str, Any] = spec.record.render(frame.context())
    except ExpressionError as error:
        raise VendorFault(detail=f"{spec.place}.record: {error}") from error
    missing = [name for name in spec.key if name not in record]
    if missing:
        raise VendorFault(detail=f"{spec.place}.key: {', '.join(missing)} is not in the record")
    return record


def read_progress(frame: Frame) -> Work:
    """Read one enrolment's progress by `progress.read`. Raises NotFound when the vendor no longer has it."""
    assert frame.mapping.progress is not None
    spec = frame.mapping.progress
    yield from steps.run(frame, spec.read, Resume())
    reading = _last_value(frame, spec.read)
    return Outcome(reading=reading, progress=shape.progress(spec.policy, reading), warnings=tuple(frame.warnings))


def _last_value(frame: Frame, read: tuple[Step, ...]) -> Mapping[str, Any]:
    for step in reversed(read):
        value = frame.steps.get(step.id)
        if value is not None:
            return dict(value)
    raise NotFound("The LMS no longer has this enrolment.", code="unknown_enrolment")


def undo(frame: Frame, step: Step) -> Work:
    """Take back what one step did; `absent` counts as done."""
    assert step.undo is not None
    result = yield from steps.act(frame, step, step.undo, ())
    return result
