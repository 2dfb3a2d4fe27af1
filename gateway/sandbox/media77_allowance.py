"""How many reports an organisation may ask for in a day. Source: vendors/77media.md 3."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

KEPT = 100_000
DAY = timedelta(days=1)


class Allowance:
    """Counts what was let through; a refused call costs nothing [U]."""

    def __init__(self) -> None:
        self._spent: deque[datetime] = deque(maxlen=KEPT)

    def spend(self, now: datetime, *, limit: int, rolling: bool) -> bool:
        """Count one call if the day still allows it; whether it did. A limit of 0 is none."""
        if limit and self.used(now, rolling=rolling) >= limit:
            return False
        self._spent.append(now)
        return True

    def used(self, now: datetime, *, rolling: bool) -> int:
        """The calls of this day: since midnight in UTC, or of the last 24 hours."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return sum(1 for at in self._spent if (at > now - DAY if rolling else at >= midnight))
