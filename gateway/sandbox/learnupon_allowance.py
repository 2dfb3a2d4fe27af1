"""The portal's two allowances: requests in a rolling minute and a rolling week.

Source: vendors/learnupon.md 1.2.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta

WINDOWS = (("Minute", timedelta(minutes=1)), ("Week", timedelta(days=7)))
KEPT = 600_000


class Allowance:
    """Counts what was let through; a refused request costs nothing [I]."""

    def __init__(self) -> None:
        self._spent: list[datetime] = []

    def spend(self, now: datetime, *limits: int) -> bool:
        """Whether one more request is within the limits of minute and week (0: none); if so it is counted."""
        if any(limit and left < 1 for (_, limit), left in self._rows(now, limits)):
            return False
        self._spent.append(now)
        del self._spent[:-KEPT]
        return True

    def headers(self, now: datetime, *limits: int) -> dict[str, str]:
        """What remains, as the vendor's headers say it."""
        return {
            f"X-LU-Rate-Limit-Remaining-{name}": str(left)
            for (name, limit), left in self._rows(now, limits)
            if limit
        }

    def _rows(self, now: datetime, limits: tuple[int, ...]) -> Iterator[tuple[tuple[str, int], int]]:
        for (name, length), limit in zip(WINDOWS, limits, strict=True):
            used = len(self._spent) - bisect_right(self._spent, now - length)
            yield (name, limit), limit - used
