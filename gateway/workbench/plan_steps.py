"""The same steps in another compilation of a mapping, and where they stand in its file."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.mapping.spec import MappingSpec, OperationSpec, Step


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
