"""What one run of the engine sees: the mapping, the tenant's values, and the scope of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.contract import Operation
from gateway.engine.doubt import StepResult
from gateway.errors import ExpressionError, InternalError
from gateway.mapping.expressions import Expression, Runtime, truthy
from gateway.mapping.spec import MappingSpec
from gateway.mapping.templates import Context

MISMADE = "The gateway could not make the request for the LMS. Operators have been told."


@dataclass(slots=True, kw_only=True)
class Frame:
    """Everything an operation may read. `root` is the scope's root; `steps` grows as steps finish.

    `base` is the vendor's address without a trailing slash, `hosts` all that may be called.
    `personal` maps values that traces and messages must hide to the label shown instead.
    `wire_names` renames path segments for a tenant whose vendor uses other names.
    `results` holds how each finished step ended; `secret_labels` what is shown for each secret.
    """

    mapping: MappingSpec
    operation: Operation
    base: str
    hosts: frozenset[str]
    runtime: Runtime
    root: dict[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    wire_names: Mapping[str, str] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    results: dict[str, StepResult] = field(default_factory=dict)
    secret_labels: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.secret_labels = {value: f"‹secret {name}›" for name, value in self.secrets.items() if value}

    def context(self, **more: Any) -> Context:
        """A rendering context over the root, the finished steps and `more`."""
        return Context({**self.root, "steps": self.steps, **more}, self.runtime)

    def request_context(self, **more: Any) -> Context:
        """The same with the tenant's secrets, all known as sensitive: only requests may see them."""
        scope = {**self.root, "steps": self.steps, "secrets": self.secrets, **more}
        return Context(scope, self.runtime, dict(self.secret_labels))

    def holds(self, condition: Expression | None) -> bool:
        """Whether a condition holds; no condition always does. Raises InternalError if it cannot be told."""
        if condition is None:
            return True
        try:
            return truthy(condition.evaluate(self.context().scope, self.runtime))
        except ExpressionError as error:
            raise mismade(error, f"`{condition.text}`") from error


def mismade(error: ExpressionError, place: str) -> InternalError:
    """What RTOPilot hears when a mapping and a tenant's values do not make a request: our own mistake."""
    return InternalError(MISMADE, code="mapping_failed", detail=f"{place}: {error}")
