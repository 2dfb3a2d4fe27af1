"""How fast, how often and how long progress is pushed: all figures in one place, and what they mean.

RTOPilot's own limits are not known. Source: vendors/rtopilot.md 4.4; mapping-language.md 9.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from gateway.store.outbox import Cause
from gateway.store.tasks import BACK_OFF_S

WINDOW_S = 1.0
NOT_FOUND_S = (60, 120, 240, 480, 900, 1800)
"""An id that RTOPilot does not know: perhaps too early, so it is asked for an hour."""
CONFIG_S = (60, 300, 900, 3600)
"""A redirect: somebody has to change config.yaml, and then nothing should wait for long."""
GIVE_UP_S = 14 * 86_400.0
JITTER = (0.8, 1.2)
THROTTLED_S = (5.0, 300.0)
"""Told to slow down without being told for how long: the first wait, and the longest after doublings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The bounds of delivery. `lease_s` must be longer than `timeout_s`, or a newer value could overtake.

    `at_once` requests in flight and `per_s` requests in any second are for each tenant; `tenants` are served
    at the same time, each up to `turn` pushes while others wait.
    """

    at_once: int = 2
    per_s: int = 5
    timeout_s: float = 10.0
    lease_s: float = 30.0
    batch: int = 10
    tenants: int = 256
    turn: int = 50
    look_every_s: float = 1.0
    back_off_s: tuple[float, ...] = BACK_OFF_S
    give_up_s: float = GIVE_UP_S

    def __post_init__(self) -> None:
        if self.lease_s <= self.timeout_s + 1:
            raise ValueError("lease_s must outlast timeout_s")


class Pace:
    """At most `per_s` in any second, by the times of those that left."""

    def __init__(self, per_s: int) -> None:
        self._left: deque[float] = deque(maxlen=per_s)

    def wait_s(self, now: float) -> float:
        """Seconds until the next may leave; 0 when it may now."""
        if len(self._left) < (self._left.maxlen or 0):
            return 0.0
        return max(0.0, self._left[0] + WINDOW_S - now)

    def took(self, now: float) -> None:
        self._left.append(now)

    def clear_at(self) -> float:
        """When another process may start counting from nothing."""
        return self._left[-1] + WINDOW_S if self._left else 0.0


def next_wait_s(
    cause: Cause,
    tries: int,
    *,
    failing_s: float,
    told_s: float | None,
    rules: Rules,
    random: Random,
) -> float | None:
    """Seconds until the next try after `tries` failed ones before this one, or None when it was the last.

    `failing_s` is how long it has been failing; `told_s` is RTOPilot's Retry-After, which replaces the
    schedule. `refused` ends at once, `transient` by age, `not_found` by number, `config` never.
    """
    schedule = _schedule(cause, rules)
    over = {
        "refused": True,
        "transient": failing_s >= rules.give_up_s,
        "not_found": tries >= len(NOT_FOUND_S),
        "config": False,
    }
    if over[cause]:
        return None
    if told_s is not None:
        return told_s * random.uniform(1.0, JITTER[1])  # never before the time we were told
    return schedule[min(tries, len(schedule) - 1)] * random.uniform(*JITTER)


def _schedule(cause: Cause, rules: Rules) -> tuple[float, ...]:
    if cause == "transient":
        return rules.back_off_s
    return CONFIG_S if cause == "config" else NOT_FOUND_S
