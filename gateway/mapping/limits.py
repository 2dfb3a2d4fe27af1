"""What one evaluation may cost and use: `Runtime` is given, `Run` is the purse of one evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any

from gateway.errors import ExpressionError


def ignore_fault(_message: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`now` in Unix seconds. `vendor_fault` is told of unreadable vendor text, never the text itself."""

    now: float = 0.0
    random: Random = SystemRandom()
    max_steps: int = 200_000
    max_bytes: int = 8 * 1024 * 1024
    max_nodes: int = 500_000
    vendor_fault: Callable[[str], None] = ignore_fault


class Run:
    """What is left of one evaluation's limits, and its root."""

    __slots__ = ("bytes", "nodes", "root", "runtime", "steps")

    def __init__(self, root: Any, runtime: Runtime) -> None:
        self.root = root
        self.runtime = runtime
        self.steps = runtime.max_steps
        self.nodes = runtime.max_nodes
        self.bytes = runtime.max_bytes

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(
                f"The expression needs more than {self.runtime.max_steps:,} steps on this data.", kind="limit"
            )

    def build(self, nodes: int) -> None:
        self.nodes -= nodes
        if self.nodes < 0:
            raise ExpressionError(
                f"The expression makes more than {self.runtime.max_nodes:,} values here.", kind="limit"
            )

    def write(self, characters: int) -> None:
        self.bytes -= characters
        if self.bytes < 0:
            raise ExpressionError(
                f"The expression makes more than {self.runtime.max_bytes:,} characters.", kind="limit"
            )

    def measure(self, value: Any) -> None:
        """Charge for a value as large as it would be written out: one list may stand in it many times."""
        waiting = [value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                self.write(len(part))
            elif isinstance(part, list):
                self.build(len(part))
                waiting.extend(part)
            elif isinstance(part, dict):
                self.build(len(part))
                self.write(sum(map(len, part)))
                waiting.extend(part.values())
