"""The one clock of the gateway: the database's time, plus an offset that tests and the demo move."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Unix seconds that all gateways on one database agree about.

    `offset_s` is how far the database's clock is ahead of this machine's: 0 for SQLite, measured when a
    PostgreSQL store is opened. `move` adds simulated time, so that days pass without sleeping.
    """

    def __init__(self, offset_s: float = 0.0, *, machine: Callable[[], float] = time.time) -> None:
        self._machine = machine
        self._offset_s = offset_s
        self._moved_s = 0.0

    def now(self) -> float:
        return self._machine() + self._offset_s + self._moved_s

    def move(self, seconds: float) -> None:
        """Let `seconds` pass at once; only tests and the demo do this."""
        self._moved_s += seconds
