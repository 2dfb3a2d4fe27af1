"""One tenant's way to RTOPilot, as this process sees it: what may leave now, and what has happened so far."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter, deque
from dataclasses import dataclass, field

from gateway.progress.pacing import THROTTLED_S, Pace
from gateway.progress.push import Target
from gateway.vendor.breaker import Breaker

LATENCIES = 512


@dataclass(slots=True, kw_only=True)
class Lane:
    """The state of one tenant between its turns.

    `hold_until`: RTOPilot asked for patience. `stopped`: this turn is over, because the key was refused.
    `unsure`: whether RTOPilot was away before is not known, or it was; the next success wakes what waits.
    """

    tenant: str
    target: Target
    pace: Pace
    breaker: Breaker
    hold_until: float = 0.0
    throttled: int = 0
    stopped: bool = False
    unsure: bool = True
    turned_at: float = 0.0
    told_key: str | None = None
    statuses: set[int] = field(default_factory=set)
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)

    def rests(self, now: float) -> bool:
        """Whether nothing may leave at this moment."""
        return self.hold_until > now or self.breaker.wait_s() > 0

    def free_at(self, now: float) -> float:
        """Until when other gateways should leave this tenant alone, for the same reasons as this one."""
        return max(self.hold_until, now + self.breaker.wait_s(), self.pace.clear_at())

    def throttle(self, told_s: float | None, now: float) -> None:
        """Wait as told; without a time, longer each time."""
        first, longest = THROTTLED_S
        wait = told_s if told_s is not None else min(first * 2.0**self.throttled, longest)
        self.throttled = min(self.throttled + 1, 10)
        self.hold_until = max(self.hold_until, now + wait)


@dataclass(slots=True)
class Figures:
    """What this process has delivered since it began, for metrics."""

    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))

    @property
    def median_s(self) -> float | None:
        """From the change to its delivery, over the last few hundred."""
        return statistics.median(self.latencies_s) if self.latencies_s else None
