"""Writes whose outcome is not known, and what a resumed run already has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.engine.calls import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a finished step left: its value, the outcome, notes for the record.

    `undo`: this run did it itself (not `already`, not found by a read), and it can be taken back.
    """

    value: Any
    outcome: Outcome = "ok"
    warnings: tuple[str, ...] = ()
    undo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A write that left without its outcome being known: `branch` names the branch of a `first`."""

    step: str
    branch: str | None
    left_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Where a run starts from: finished steps, and at most one write in doubt.

    With `settle_only` the write in doubt is looked up but never sent again (background settling).
    """

    finished: Mapping[str, StepResult] = field(default_factory=dict)
    doubt: Doubt | None = None
    settle_only: bool = False


class InDoubt(Exception):
    """Raised out of the engine: the outcome of a write is still unknown.

    `look_again_at` is when a look-up can prove that nothing happened (Unix seconds);
    None when only `lms-gateway runs settle` can tell.
    """

    def __init__(self, doubt: Doubt, look_again_at: float | None) -> None:
        self.doubt = doubt
        self.look_again_at = look_again_at
        super().__init__(f"the outcome of {doubt.step} is unknown")


class NotDone(Exception):
    """Raised out of the engine while settling: it is proven that the write did not happen."""

    def __init__(self, step: str) -> None:
        self.step = step
        super().__init__(f"{step} was not done")
