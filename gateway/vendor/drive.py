"""Runs an engine generator against a vendor: trace, retry, auth and rules around every call.

One `drive()` serves live calls, look-ups, undo, `try` and the tests; only what is plugged in differs.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from gateway.engine.calls import Call, Commit, Reply
from gateway.engine.steps import Work
from gateway.errors import VendorTimeout, VendorUnavailable
from gateway.vendor import retry
from gateway.vendor.auth import Credentials, Token
from gateway.vendor.breaker import Breaker
from gateway.vendor.client import Client
from gateway.vendor.retry import Deadline, Tries
from gateway.vendor.trace import Exchange, Trace

BUSY = "The LMS has been failing, so it is given a rest. Please try again in a minute."


class Journal(Protocol):
    """Where a run's steps are stored. `commit` may wait for `flush`, which happens before anything leaves."""

    def commit(self, commit: Commit) -> None: ...
    async def flush(self, leaving: Call | None) -> None: ...
    async def not_sent(self, call: Call) -> None: ...


class NoJournal:
    """For operations that only read: nothing is stored."""

    def commit(self, commit: Commit) -> None:
        pass

    async def flush(self, leaving: Call | None) -> None:
        pass

    async def not_sent(self, call: Call) -> None:
        pass


class Allowance(Protocol):
    """The tenant's call budget: 0 when a call may leave now, else seconds to wait."""

    async def take(self, *, staff: bool, cost: int = 1) -> float: ...


@dataclass(slots=True, kw_only=True)
class Vendor:
    """One tenant's vendor: everything a call passes through, from the outside in."""

    client: Client
    credentials: Credentials
    breaker: Breaker
    allowance: Allowance | None
    now: Callable[[], float]
    random: Random
    pause: Callable[[float], Awaitable[None]] = retry.wait

    async def send(self, call: Call, deadline: Deadline, trace: Trace, *, staff: bool = True) -> Reply:
        """One call to its final reply: repeated where that is safe, logged in again where that helps.

        Raises VendorUnavailable while the breaker is open, the budget is spent or logins are paused,
        VendorTimeout when the deadline has passed before anything left.
        """
        tries, relogged = Tries(), False
        while True:
            await self._allowed(deadline, staff)
            token = None if call.anonymous else await self.credentials.token()
            reply = await self._once(call, token, deadline, trace, tries)
            assert reply.verdict is not None
            if reply.verdict.outcome == "relogin" and self.credentials.has_login and not relogged and deadline.remaining() > 0:
                relogged = True
                await self.credentials.renew(token)
                continue
            wait = retry.pause_s(call, reply, reply.verdict, tries, deadline, self.now(), self.random)
            if wait is None:
                return reply
            await self.pause(wait)

    async def _allowed(self, deadline: Deadline, staff: bool) -> None:
        if not self.breaker.allows():
            raise VendorUnavailable(BUSY, code="breaker_open", detail=f"open for another {self.breaker.wait_s():.0f} s")
        while self.allowance is not None:
            wait = await self.allowance.take(staff=staff)
            if wait <= 0:
                return
            if wait >= deadline.remaining():
                raise VendorUnavailable(code="budget_spent", detail=f"the call budget is used up for {wait:.0f} s")
            await self.pause(wait)

    async def _once(self, call: Call, token: Token | None, deadline: Deadline, trace: Trace, tries: Tries) -> Reply:
        ready = self.credentials.place(call, token)
        timeout_s = min(call.timeout_s or 5.0, deadline.remaining())
        if timeout_s <= 0:
            raise VendorTimeout(detail=f"no time left for {call.step}")
        tries.made += 1
        started = time.perf_counter()
        reply = await self.client.exchange(ready, timeout_s)
        reply = replace(reply, verdict=call.judge(reply))
        self.breaker.note(fault=reply.lost is not None or reply.status >= 500)
        exchange = Exchange(call=ready, reply=reply, tries=tries.made, elapsed_s=time.perf_counter() - started, sensitive=ready.sensitive)
        trace.add(exchange)
        if reply.verdict is not None and reply.verdict.outcome in ("ok", "already", "absent", "refused"):
            await self.credentials.note(reply, token)
        return reply

    async def log_in_call(self, call: Call) -> Reply:
        """The exchange of a login: no credentials, no retries, but within the budget."""
        return await self.client.exchange(call, call.timeout_s or 5.0)


async def drive(work: Work, vendor: Vendor, journal: Journal, deadline: Deadline, trace: Trace, *, staff: bool = True) -> Any:
    """Run a generator of the engine to its result; everything it raises goes through.

    Whatever a step left is stored before the next call leaves; a write is noted before it leaves.
    """
    answer: Reply | None = None
    error: BaseException | None = None
    while True:
        try:
            item = work.throw(error) if error is not None else work.send(answer)
        except StopIteration as end:
            return end.value
        answer, error = None, None
        if isinstance(item, Commit):
            journal.commit(item)
            continue
        await journal.flush(item if item.journal is not None else None)
        try:
            answer = await vendor.send(item, deadline, trace, staff=staff)
        except (VendorUnavailable, VendorTimeout) as failed:
            # raised before anything left: the engine may still have another way (an optional step)
            error = failed
        if item.journal is not None and (error is not None or (answer is not None and answer.lost == "not_sent")):
            await journal.not_sent(item)
