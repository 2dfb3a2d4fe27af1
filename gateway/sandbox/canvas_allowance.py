"""The leaking bucket of each token, in cost. Source: vendors/canvas.md 1.2; the figures are switches."""

from __future__ import annotations

from datetime import datetime

from gateway.sandbox.canvas_switches import Switches


class Allowance:
    """What each token has left; a request that is refused costs nothing [I].

    The extra charge that parallel requests pay for a while is not shown: a stand-in answers one at a time.
    """

    def __init__(self) -> None:
        self._used: dict[str, tuple[float, datetime]] = {}
        self.refusals = 0
        """So many of the next requests are refused, whatever is left."""

    def spend(self, token: str, now: datetime, switches: Switches) -> bool:
        """Whether the bucket lets one more request through; if so it is charged."""
        if self.refusals:
            self.refusals -= 1
            return False
        left = self.left(token, now, switches)
        if left is not None and left <= 0:
            return False
        used = 0.0 if left is None else switches.quota - left
        self._used[token] = (used + switches.request_cost, now)
        return True

    def left(self, token: str, now: datetime, switches: Switches) -> float | None:
        """None when throttling does not apply."""
        if not switches.quota:
            return None
        used, at = self._used.get(token, (0.0, now))
        return switches.quota - max(used - switches.refill_per_s * (now - at).total_seconds(), 0.0)
