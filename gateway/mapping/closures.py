"""What compiled expressions are made of, shared by the evaluator and the functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.mapping.limits import Run

Closure = Callable[[Any, Run], Any]


class Unreadable(Exception):
    """Vendor text that does not say what it should. The call becomes null and the vendor fault is counted."""


class Each:
    """`&expression`, ready for a function to use on a list."""

    __slots__ = ("closure", "cost", "run")

    def __init__(self, closure: Closure, cost: int, run: Run) -> None:
        self.closure = closure
        self.cost = cost
        self.run = run

    def of(self, items: list[Any]) -> list[Any]:
        """The expression's value for each item, nulls kept."""
        self.run.spend(len(items) * self.cost)
        closure, run = self.closure, self.run
        return [closure(item, run) for item in items]
