"""A circuit breaker for one vendor: after many faults in a row, calls fail at once for a while.

Opened by vendor faults only (5xx, time-outs, connections that cannot be made); refusals and other 4xx do
not count. Source of the figures: docs/mapping-language.md, "Running it".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

CONSECUTIVE = 5
WINDOW_S = 60.0
WINDOW_MIN = 20
WINDOW_SHARE = 0.5
OPEN_S = 15.0
OPEN_MAX_S = 300.0


class Breaker:
    """Per process. `allows` before a call, then `note` or `release`; half-open lets one call through."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._row = 0
        self._recent: deque[tuple[float, bool]] = deque(maxlen=1000)
        self._open_until: float | None = None
        self._open_s = OPEN_S
        self._trying = False

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    def wait_s(self) -> float:
        """How long until a call may be tried again; 0 when calls are allowed."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._now())

    def allows(self) -> bool:
        """Whether a call may leave now. While half-open, only one at a time may."""
        if self._open_until is None:
            return True
        if self._trying or self._now() < self._open_until:
            return False
        self._trying = True
        return True

    def release(self) -> None:
        """A call that was allowed came to nothing, neither good nor bad: it was cancelled, or never made."""
        self._trying = False

    def note(self, *, fault: bool) -> None:
        """Learn from one finished call."""
        now = self._now()
        self._trying = False
        self._recent.append((now, fault))
        if fault:
            self._row += 1
            self._fault(now)
            return
        self._row = 0
        if self._open_until is not None:
            self._recent.clear()
            self._open_until, self._open_s = None, OPEN_S

    def _fault(self, now: float) -> None:
        if self._open_until is None:
            if self._row >= CONSECUTIVE or self._too_many(now):
                self._open_until = now + self._open_s
        elif now >= self._open_until:  # else it left before the breaker opened, and tells nothing new
            self._open_s = min(self._open_s * 2, OPEN_MAX_S)
            self._open_until = now + self._open_s

    def _too_many(self, now: float) -> bool:
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        faults = sum(fault for _, fault in self._recent)
        return len(self._recent) >= WINDOW_MIN and faults >= WINDOW_SHARE * len(self._recent)
