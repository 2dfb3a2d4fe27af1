"""Which failures may be repeated, and after how long.

Reads: 3 tries inside the deadline, full jitter. Writes: only when the connection was never made, or once
more when a rule says that nothing happened (`retry`). Everything else about a write is the engine's.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

from gateway.engine.calls import Call, Reply, Verdict

READ_TRIES = 3
THROTTLE_TRIES = 3
JITTER_S = (0.2, 2.0)


class Deadline:
    """A moment on the monotonic clock, carried through everything one operation does."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        return self._at - time.monotonic()


@dataclass(slots=True)
class Tries:
    """How often each kind of failure has been met in one call."""

    made: int = 0
    throttled: int = 0


def pause_s(call: Call, reply: Reply, verdict: Verdict, tries: Tries, deadline: Deadline, now: float, random: Random) -> float | None:
    """Seconds to wait before the next try, or None when there must be none."""
    if verdict.outcome == "throttled":
        return _throttled(reply, verdict, tries, deadline, now, random)
    if not _may_repeat(call, reply, verdict, tries):
        return None
    wait = random.uniform(*JITTER_S) * (0.2 if reply.lost == "not_sent" else 1.0)
    return wait if wait < deadline.remaining() else None


def _may_repeat(call: Call, reply: Reply, verdict: Verdict, tries: Tries) -> bool:
    if call.effect == "write":
        if reply.lost == "not_sent":
            return tries.made < READ_TRIES
        return verdict.outcome == "retry" and tries.made < 2
    return verdict.outcome in ("retry", "unknown") and tries.made < READ_TRIES


def _throttled(reply: Reply, verdict: Verdict, tries: Tries, deadline: Deadline, now: float, random: Random) -> float | None:
    tries.throttled += 1
    asked = verdict.wait_s or retry_after_s(reply.headers.get("retry_after"), now)
    wait = asked if asked is not None else random.uniform(*JITTER_S)
    if tries.throttled >= THROTTLE_TRIES or wait >= deadline.remaining():
        return None
    return wait


def retry_after_s(text: str | None, now: float) -> float | None:
    """`Retry-After` in seconds, from a number or an HTTP date; zero, past and unreadable are None.

    Source: RFC 9110 10.2.3.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9]) or None
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    wait = (moment - datetime.fromtimestamp(now, UTC)).total_seconds()
    return wait if wait > 0 else None


async def wait(seconds: float) -> None:
    """The one place that waits, so that simulated time can stand in for it."""
    await asyncio.sleep(seconds)
