"""What the vendor itself says is left of its allowance: `budget.remaining`, `cost` and `floor` of a mapping.

Some vendors count in costs that vary from call to call, so our own counting cannot know. Below `floor`
background work pauses; a staff action only waits a moment, and then the vendor may say no for itself.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.engine.calls import Reply
from gateway.engine.frame import Frame
from gateway.errors import ExpressionError
from gateway.mapping.spec import Budget
from gateway.mapping.templates import Template

FRESH_S = 60.0
"""What a vendor said is believed for so long: allowances fill up again."""
PAUSE_S = 1.0


class Meter:
    """One tenant's reading, in this process. `note` after each reply, `wait_s` before each call."""

    def __init__(self, budget: Budget, frame: Frame, now: Callable[[], float]) -> None:
        self._budget, self._frame, self._now = budget, frame, now
        self._left: float | None = None
        self._cost = 1.0
        self._read_at = 0.0

    def note(self, reply: Reply) -> None:
        """Read the headers of one reply; a reply without them changes nothing."""
        left = self._number(self._budget.remaining, reply)
        if left is None:
            return
        self._left, self._read_at = left, self._now()
        self._cost = max(self._number(self._budget.cost, reply) or 1.0, 0.0)

    def wait_s(self, *, staff: bool) -> float:
        """Seconds to wait before the next call; 0 when there is enough, or nothing fresh is known."""
        if self._left is None or self._now() - self._read_at >= FRESH_S:
            return 0.0
        needed = self._cost if staff else max(self._budget.floor, self._cost)
        return PAUSE_S if self._left < needed else 0.0

    def _number(self, template: Template | None, reply: Reply) -> float | None:
        if template is None:
            return None
        try:
            value = template.render(self._frame.context(reply=reply.scope()))
        except ExpressionError:
            return None
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
