"""How many calls a portal may take: so many an hour, so many in 5 seconds.

Source: vendors/talentlms.md 1.4.
"""

from collections import deque
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
BURST = timedelta(seconds=5)


class Allowance:
    """Counts calls; hours are counted from `start` (when the vendor's begin is not known)."""

    def __init__(self, start: datetime) -> None:
        self._hour_began = start
        self._this_hour = 0
        self._recent: deque[datetime] = deque()

    def spend(self, now: datetime, *, hourly: int, burst: int) -> bool:
        """Count one call if it is still allowed; whether it was. A limit of 0 is none."""
        self._roll(now)
        while self._recent and self._recent[0] <= now - BURST:
            self._recent.popleft()
        if (hourly and self._this_hour >= hourly) or (burst and len(self._recent) >= burst):
            return False
        self._this_hour += 1
        if burst:
            self._recent.append(now)
        return True

    def left(self, now: datetime, hourly: int) -> int:
        self._roll(now)
        return max(0, hourly - self._this_hour)

    def resets_at(self, now: datetime) -> datetime:
        self._roll(now)
        return self._hour_began + HOUR

    def _roll(self, now: datetime) -> None:
        hours = (now - self._hour_began) // HOUR
        if hours > 0:
            self._hour_began += hours * HOUR
            self._this_hour = 0
