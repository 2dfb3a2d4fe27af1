"""Which failures may be repeated, and after how long.

Reads: 3 tries inside the deadline, full jitter. Writes: only when the connection was never made, or once
more when a rule says that nothing happened (`retry`). Everything else about a write is the engine's.
Whoever is told to slow down (`throttled`) waits, where the deadline allows, and asks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

from gateway.engine.calls import Call, Reply, Verdict

TRIES = 3
WRITE_TRIES = 2
JITTER_S = (0.2, 2.0)
MAX_WAIT_S = 3600.0


class Deadline:
    """A moment on the monotonic clock, carried through everything one operation does."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        return self._at - self._clock()


@dataclass(slots=True)
class Tries:
    """How often one call has been sent, was told to slow down, and has failed."""

    made: int = 0
    throttled: int = 0
    failed: int = 0


def pause_s(
    call: Call,
    reply: Reply,
    verdict: Verdict,
    tries: Tries,
    deadline: Deadline,
    now: float,
    random: Random,
) -> float | None:
    """Seconds to wait before the next try, or None when there must be none."""
    if verdict.outcome == "throttled":
        tries.throttled += 1
        again = tries.throttled < TRIES
    else:
        tries.failed += 1
        again = _may_repeat(call, reply, verdict, tries)
    if not again:
        return None
    wait = verdict.wait_s or retry_after_s(reply.headers.get("retry_after"), now)
    if wait is None:
        wait = random.uniform(*JITTER_S) * (0.2 if reply.lost == "not_sent" else 1.0)
    return wait if wait < deadline.remaining() else None


def _may_repeat(call: Call, reply: Reply, verdict: Verdict, tries: Tries) -> bool:
    if call.effect == "read":
        return verdict.outcome in ("retry", "unknown") and tries.failed < TRIES
    if reply.lost == "not_sent":
        return tries.failed < TRIES
    return verdict.outcome == "retry" and tries.failed < WRITE_TRIES


def retry_after_s(text: str | None, now: float) -> float | None:
    """`Retry-After` in seconds, from a number or an HTTP date; zero, past and unreadable are None.

    At most an hour. Source: RFC 9110 10.2.3.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        wait = float(text[:9])
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        wait = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() - now
    return min(wait, MAX_WAIT_S) if wait > 0 else None


async def wait(seconds: float) -> None:
    """The one place that waits, so that simulated time can stand in for it."""
    await asyncio.sleep(seconds)
