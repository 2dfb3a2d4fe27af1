"""What one run of the engine sees: the mapping, the tenant's values, and the scope of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.contract import Operation
from gateway.mapping.expressions import Expression, Runtime
from gateway.mapping.spec import MappingSpec
from gateway.mapping.templates import Context


@dataclass(slots=True, kw_only=True)
class Frame:
    """Everything an operation may read. `root` is the scope's root; `steps` grows as steps finish.

    `base` is the vendor's address without a trailing slash, `hosts` all that may be called.
    `personal` maps values that traces and messages must hide to the label shown instead.
    `wire_names` renames path segments for a tenant whose vendor uses other names.
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

    def context(self, **more: Any) -> Context:
        """A rendering context over the root, the finished steps and `more`."""
        return Context({**self.root, "steps": self.steps, **more}, self.runtime)

    def request_context(self, **more: Any) -> Context:
        """The same with the tenant's secrets: only requests may see them."""
        return self.context(secrets=self.secrets, **more)

    def holds(self, condition: Expression | None, **more: Any) -> bool:
        """Whether a condition holds; no condition always does."""
        if condition is None:
            return True
        return truth(condition.evaluate(self.context(**more).scope, self.runtime))


def truth(value: Any) -> bool:
    """JMESPath's truth: false, null and empty text, lists and objects do not hold; 0 does."""
    return value is not None and value is not False and value != "" and value != [] and value != {}
