"""The steps of a plan: what each may send, the same in another compilation, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.mapping.spec import MappingSpec, OperationSpec, Step
from gateway.workbench.plan_calls import Maker, PlannedCall, State
from gateway.workbench.plan_checks import PlannedCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step: its call, its branches in the order in which they are tried, or its check."""

    id: str
    state: State
    when: str | None
    optional: bool
    calls: list[PlannedCall]
    tried_in_order: bool = False
    mint: list[str] = field(default_factory=list)
    check: PlannedCheck | None = None
    undo: PlannedCall | None = None


def planned(step: Step, state: State, at: Maker, checks: Mapping[str, PlannedCheck]) -> PlannedStep:
    actions = (step.action,) if step.action is not None else step.first
    return PlannedStep(
        id=step.id,
        state=state,
        when=None if step.when is None else step.when.text,
        optional=step.optional,
        tried_in_order=bool(step.first),
        calls=[] if state == "no" else [at.action(action) for action in actions],
        mint=list(step.mint),
        check=checks.get(step.id),
        undo=None if step.undo is None or state == "no" else at.action(step.undo),
    )


def taken_over(step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a step takes over from the enrolment that stands, instead of making it."""
    standing = given.get("known", {}).get("enrolment", {})
    return {name: standing[name] for name in step.mint if name in standing}


def lines_of(steps: tuple[Step, ...]) -> Mapping[str, int]:
    """Where each call stands in the author's file."""
    actions = [
        action for step in steps for action in (step.action, *step.first, step.undo) if action is not None
    ]
    return {action.place: action.line for action in actions}


def form_steps(mapping: MappingSpec, form: OperationSpec) -> tuple[Step, ...]:
    """The same form in another compilation of the same mapping."""
    waiting = list(mapping.operations.values())
    while waiting:
        spec = waiting.pop()
        if spec.place == form.place:
            return spec.steps
        waiting.extend(spec.of.values())
    raise AssertionError(form.place)
