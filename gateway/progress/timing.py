"""When a poll is due: every so often or at times of the day, with a jitter that never adds up.

Pure: all chance comes from a hash of the plan's name, so that any gateway comes to the same moments and
nothing but the last beginning has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import sha256
from math import ceil, floor
from random import Random

from gateway.mapping.progress_spec import Timing
from gateway.mapping.zones import find_zone

JITTER = 0.1
"""Share of the interval by which a poll is early or late."""
AT_JITTER_S = 300.0
FIRST_WITHIN_S = 300.0
SPREAD_SHARE = 0.9
SPREAD_MAX_S = 3600.0
"""What runs at times of the day is spread over no more than this: an RTO wants it done by the morning."""
SLICE_GAP_S = 30.0
"""A spread sweep goes on about so often; fewer, larger slices cost fewer commits."""
SLICE_CALLS = 20
BACK_OFF_S = (15.0, 900.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What a tenant says of its polls instead of the mapping: an interval, or times of the day.

    `audit_at` replaces the times of the audits, which otherwise stay the mapping's.
    """

    every_s: float | None = None
    at: tuple[str, ...] = ()
    audit_at: tuple[str, ...] = ()

    def of_poll(self, timing: Timing) -> Timing:
        if self.every_s is None and not self.at:
            return timing
        return replace(timing, every_s=self.every_s, at=self.at)

    def of_audit(self, timing: Timing) -> Timing:
        return replace(timing, every_s=None, at=self.audit_at) if self.audit_at else timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The moments of one plan of one tenant, in Unix seconds. `key` names the plan, `zone` is for `at`."""

    timing: Timing
    key: str
    zone: str = "UTC"

    def first(self, now: float) -> float:
        """When a plan that has never run begins: within five minutes, or at the next time of the day."""
        if self.timing.every_s is None:
            return self._next_time(now)
        return now + _chance(self.key, "first") * min(self.timing.every_s, FIRST_WITHIN_S)

    def following(self, began: float) -> float:
        """When the sweep after the one that began then is due; in the past when that one took too long."""
        every = self.timing.every_s
        if every is None:
            return self._next_time(began)
        # on a grid with a phase of its own: being late once shifts nothing that comes after
        phase = _chance(self.key, "phase") * every
        number = round((began - phase) / every) + 1
        jitter = (2 * _chance(self.key, str(number)) - 1) * JITTER * every
        return phase + number * every + jitter

    def slice_due(self, began: float, done: int, total: int) -> float:
        """When a sweep that began then, with so many calls done, goes on; without `spread` at once."""
        return began if total <= 0 else began + self._span(began) * min(done / total, 1.0)

    def slice_size(self, began: float, total: int) -> int:
        """How many calls to make before the next pause."""
        span = self._span(began)
        if span <= 0:
            return SLICE_CALLS
        return min(max(1, ceil(total * SLICE_GAP_S / span)), SLICE_CALLS)

    def _span(self, began: float) -> float:
        if not self.timing.spread:
            return 0.0
        span = SPREAD_SHARE * (self.following(began) - began)
        return span if self.timing.every_s is not None else min(span, SPREAD_MAX_S)

    def _next_time(self, after: float) -> float:
        return min(due for due in self._times(after) if due > after)

    def _times(self, around: float) -> Iterator[float]:
        zone = find_zone(self.zone) or UTC
        today = datetime.fromtimestamp(around, zone).date()
        for days in (-1, 0, 1, 2):
            for text in self.timing.at:
                at = _moment(today + timedelta(days=days), text, zone)
                # by the moment, not by the text: 02:30 and 03:30 are one when the clock leaps from 02 to 03
                yield at + _chance(self.key, str(floor(at))) * AT_JITTER_S


def _moment(day: date, text: str, zone: tzinfo) -> float:
    """`HH:MM` of a day. A time that the clock leaps over is an hour later, one it shows twice the first."""
    hour, minute = text.split(":")
    return datetime.combine(day, time(int(hour), int(minute)), zone).timestamp()


def back_off_s(failures: int, random: Random) -> float:
    """Seconds to leave a failing vendor alone: 15 s, doubling, 15 min; up to a fifth less at random."""
    first, most = BACK_OFF_S
    return min(first * 2.0 ** min(max(failures, 1) - 1, 10), most) * random.uniform(0.8, 1.0)


def _chance(*parts: str) -> float:
    """A number from 0 up to 1 that is always the same for the same words."""
    digest = sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
