"""Runs an engine generator against a vendor: trace, retry, auth and rules around every call.

One `drive()` serves live calls, look-ups, undo, `try` and the tests; only what is plugged in differs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from gateway.engine.calls import Call, Commit, Reply, Verdict
from gateway.engine.steps import Work
from gateway.errors import GatewayError, VendorTimeout, VendorUnavailable
from gateway.vendor import retry
from gateway.vendor.auth import Credentials, Token
from gateway.vendor.breaker import Breaker
from gateway.vendor.client import Client
from gateway.vendor.masking import Masker
from gateway.vendor.meter import Meter
from gateway.vendor.retry import Deadline, Tries
from gateway.vendor.trace import Exchange, Trace

BUSY = "The LMS has been failing, so it is given a rest. Please try again in a minute."
TIMEOUT_S = 5.0
ANSWERED = frozenset({"ok", "already", "absent", "refused"})
MAY_HAVE_HAPPENED = frozenset({"ok", "unknown"})
"""Outcomes of a write after which it stays noted as started, until its step is committed or looked up."""


class Journal(Protocol):
    """Where a run's steps are stored. `commit` may wait for `flush`, which happens before anything leaves.

    `flush` is given the call when it is a write (`call.journal` is its name, `call.again` when it has left
    before); `not_sent` says that the write it noted last certainly did not happen.
    """

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
    meter: Meter | None = None

    async def send(self, call: Call, deadline: Deadline, trace: Trace, *, staff: bool = True) -> Reply:
        """One call to its final reply: repeated where that is safe, logged in again where that helps.

        Raises VendorUnavailable while the breaker is open, the budget is spent or logins are paused,
        VendorFault when a login is refused, VendorTimeout when the deadline has passed, Refused and
        InternalError for a call that cannot be made. Whatever is raised, a write has not happened: an
        earlier try, if there was one, was answered with "nothing done".
        """
        tries, refused = Tries(), None
        while True:
            await self._allowed(deadline, staff)
            token = await self._token(call, refused, deadline)
            reply, verdict = await self._once(call, token, deadline, trace, tries)
            if verdict.outcome == "relogin" and token is not None and refused is None:
                refused = token
                continue
            wait = retry.pause_s(call, reply, verdict, tries, deadline, self.now(), self.random)
            if wait is None:
                return reply
            await self.pause(wait)

    async def _allowed(self, deadline: Deadline, staff: bool) -> None:
        self._check_breaker(self.breaker.wait_s() <= 0)
        await self._metered(deadline, staff)
        while self.allowance is not None:
            wait = await self.allowance.take(staff=staff)
            if wait <= 0:
                return
            if wait >= deadline.remaining():
                raise VendorUnavailable(
                    code="budget_spent", detail=f"the call budget is used up for {wait:.0f} s"
                )
            await self.pause(wait)

    async def _metered(self, deadline: Deadline, staff: bool) -> None:
        """While the vendor says that little is left, staff wait a moment and background work for more."""
        while self.meter is not None and (wait := self.meter.wait_s(staff=staff)) > 0:
            if wait >= deadline.remaining():
                raise VendorUnavailable(code="budget_spent", detail="the vendor says that no calls are left")
            await self.pause(wait)
            if staff:
                return

    def _check_breaker(self, allows: bool) -> None:
        if not allows:
            detail = f"open for another {self.breaker.wait_s():.0f} s"
            raise VendorUnavailable(BUSY, code="breaker_open", detail=detail)

    async def _token(self, call: Call, refused: Token | None, deadline: Deadline) -> Token | None:
        credentials = self.credentials
        if call.anonymous or not credentials.has_login:
            return None
        if refused is None and (current := credentials.current()) is not None:
            return current
        try:
            async with asyncio.timeout(max(deadline.remaining(), 0.0)):
                return await (credentials.token() if refused is None else credentials.renew(refused))
        except TimeoutError as error:
            raise VendorTimeout(detail=f"no time left to log in for {call.step}") from error

    async def _once(
        self, call: Call, token: Token | None, deadline: Deadline, trace: Trace, tries: Tries
    ) -> tuple[Reply, Verdict]:
        ready = self.credentials.place(call, token)
        timeout_s = min(call.timeout_s or TIMEOUT_S, deadline.remaining())
        if timeout_s <= 0:
            raise VendorTimeout(detail=f"no time left for {call.step}")
        self._check_breaker(self.breaker.allows())
        tries.made += 1
        started = time.perf_counter()
        reply, verdict = await self._judged(ready, timeout_s)
        learnt = await self.credentials.note(reply, token) if verdict.outcome in ANSWERED else {}
        elapsed_s = time.perf_counter() - started
        trace.add(Exchange(call=ready, reply=reply, tries=tries.made, elapsed_s=elapsed_s, sensitive=learnt))
        return reply, verdict

    async def _judged(self, call: Call, timeout_s: float) -> tuple[Reply, Verdict]:
        """Send once and learn from it: a fault counts against the vendor, a refusal does not."""
        try:
            reply = await self.client.exchange(call, timeout_s)
        except BaseException:
            self.breaker.release()
            raise
        if self.meter is not None:
            self.meter.note(reply)
        verdict = _without_secrets(call, call.judge(reply))
        failed = reply.lost is not None or reply.status >= 500
        self.breaker.note(fault=failed and verdict.outcome in ("retry", "unknown", "fail"))
        return reply.judged(verdict), verdict

    async def log_in_call(self, call: Call) -> Reply:
        """The exchange of a login: no credentials, no retries, but within the budget and the breaker."""
        if self.allowance is not None and await self.allowance.take(staff=True) > 0:
            raise VendorUnavailable(code="budget_spent", detail="no call left to log in with")
        self._check_breaker(self.breaker.allows())
        reply, _ = await self._judged(call, call.timeout_s or TIMEOUT_S)
        return reply


def _without_secrets(call: Call, verdict: Verdict) -> Verdict:
    """A vendor may repeat the request in its message, credentials and all, in whatever form."""
    if not verdict.texts and not verdict.warnings:
        return verdict
    mask = Masker(call.sensitive, {})
    texts, warnings = tuple(map(mask, verdict.texts)), tuple(map(mask, verdict.warnings))
    return replace(verdict, texts=texts, warnings=warnings)


async def drive(
    work: Work, vendor: Vendor, journal: Journal, deadline: Deadline, trace: Trace, *, staff: bool = True
) -> Any:
    """Run a generator of the engine to its result; everything it raises goes through.

    Whatever a step left is stored before the next call leaves; a write is noted before it leaves.
    """
    answer: Reply | None = None
    error: GatewayError | None = None
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
        except GatewayError as failed:  # the engine may still have another way: an optional step, a look-up
            error = failed
        if item.journal is not None and not item.again and _nothing_happened(answer):
            await journal.not_sent(item)


def _nothing_happened(answer: Reply | None) -> bool:
    return answer is None or answer.verdict is None or answer.verdict.outcome not in MAY_HAVE_HAPPENED
