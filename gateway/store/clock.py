"""The one clock of the gateway: the database's time, plus an offset that tests and the demo move."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Course:
    """How to come from the machine's clock to ours: `ahead_s` was too much at `since`, and is worked off."""

    offset_s: float
    ahead_s: float = 0.0
    since: float = 0.0

    def at(self, machine: float) -> float:
        # at half speed until the others have caught up: time that stands still would hold up all pacing
        return machine + self.offset_s + max(0.0, self.ahead_s - (machine - self.since) / 2)


class Clock:
    """Unix seconds that all gateways on one database agree about.

    `offset_s` is how far the database's clock is ahead of this machine's: 0 for SQLite, measured when a
    PostgreSQL store is opened and now and then after that. `move` adds simulated time, so that days pass
    without sleeping.
    """

    def __init__(self, offset_s: float = 0.0, *, machine: Callable[[], float] = time.time) -> None:
        self._machine = machine
        self._course = _Course(offset_s)
        self._moved_s = 0.0

    def now(self) -> float:
        return self._course.at(self._machine()) + self._moved_s

    def adjust(self, offset_s: float) -> float:
        """Take a new offset; gives by how many seconds that differs. `now` never goes back because of it."""
        machine = self._machine()
        shown, right = self._course.at(machine), machine + offset_s
        self._course = _Course(offset_s, max(0.0, shown - right), machine)
        return right - shown

    def move(self, seconds: float) -> None:
        """Let `seconds` pass at once; only tests and the demo do this."""
        self._moved_s += seconds
