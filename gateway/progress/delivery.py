"""What waits in the outbox is pushed to RTOPilot: each tenant at its pace, by one gateway at a time.

A tenant is held under a lease, a row under another, and both outlast the request: two requests for one
enrolment are never in flight together, whoever sends them, so a stale value cannot land after a newer one.
Killed between the request and its answer, the next holder sends the newest value: the same, or a newer one.
Source: durability.md 3; vendors/rtopilot.md 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Connection

from gateway.errors import StoreError
from gateway.perform.background import log_bug
from gateway.progress import push
from gateway.progress.lane import Figures, Lane
from gateway.progress.outcome import learn, tell
from gateway.progress.pacing import Pace, Rules
from gateway.progress.push import Target, Tried
from gateway.secret import Secret
from gateway.store import leases, outbox, pauses
from gateway.store.claims import LostLease
from gateway.store.database import Database
from gateway.store.outbox import Item
from gateway.vendor.breaker import Breaker
from gateway.vendor.retry import wait

log = logging.getLogger("gateway.delivery")

LEASE = "push"
SPARE_S = 1.0
"""What a row's lease must have beyond the longest request when that leaves."""
MAX_BUSY = 1_000


@dataclass(slots=True)
class Deliveries:
    """The worker of one process. `kick` makes it look at once; `round` is one look, carried to its end.

    `pause` waits for the pace; with simulated time it moves the store's clock.
    """

    database: Database
    targets: Mapping[str, Target]
    owner: str
    rules: Rules = field(default_factory=Rules)
    pause: Callable[[float], Awaitable[None]] = wait
    random: Random = field(default_factory=Random)
    figures: Figures = field(default_factory=Figures)
    _lanes: dict[str, Lane] = field(default_factory=dict)
    _turns: dict[str, asyncio.Task[bool]] = field(default_factory=dict)
    _kicked: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _crowded: bool = False

    def kick(self) -> None:
        self._kicked.set()

    async def forever(self) -> None:
        """Deliver until cancelled; then requests in flight may end, and the rest is given back."""
        self._stopping = False
        try:
            while True:
                self._kicked.clear()
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.rules.look_every_s):
                        await self._kicked.wait()
        finally:
            await self._stop()

    async def round(self) -> bool:
        """Serve every tenant that has something due; False when there was nothing to send."""
        return any(await asyncio.gather(*await self._start()))

    # -- whose turn it is -----------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            await self._start()
        except StoreError as error:
            log.error("the store cannot be used: %s", error)
        except Exception as bug:  # noqa: BLE001 - a mistake about one tenant must not end all of them
            log_bug("delivery", bug)

    async def _start(self) -> list[asyncio.Task[bool]]:
        """Begin a turn for each tenant that can use one, whoever waited longest for theirs first."""
        now = self.database.clock.now()
        skip = {name for name, lane in self._lanes.items() if name in self._turns or lane.rests(now)}

        def look(conn: Connection) -> tuple[list[str], set[tuple[str, str]]]:
            found = outbox.busy(conn, now, MAX_BUSY, skip=skip)
            return found, {
                (each.tenant, each.key_hash) for each in pauses.all_paused(conn)
            } if found else set()

        busy, paused = await self.database.read(look)
        able = [
            lane
            for lane in (self._lane(name) for name in busy if name in self.targets)
            if lane.tenant not in self._turns and not self._is_paused(lane, paused)
        ]
        room = max(0, self.rules.tenants - len(self._turns))
        self._crowded = len(able) > room
        return [self._begin(lane) for lane in sorted(able, key=lambda lane: lane.turned_at)[:room]]

    def _lane(self, tenant: str) -> Lane:
        if tenant not in self._lanes:
            self._lanes[tenant] = Lane(
                tenant=tenant,
                target=self.targets[tenant],
                pace=Pace(max(1, self.rules.per_s // self.targets[tenant].share)),
                breaker=Breaker(self.database.clock.now),
            )
        return self._lanes[tenant]

    def _is_paused(self, lane: Lane, paused: set[tuple[str, str]]) -> bool:
        key = lane.target.key.fingerprint
        if (lane.tenant, key) not in paused:
            lane.told_key = None
            return False
        if lane.told_key != key:
            lane.told_key = key
            log.error(
                "tenant %s: RTOPilot refuses the API key; progress waits for another, or for "
                "`lms-gateway outbox resume %s`",
                lane.tenant,
                lane.tenant,
            )
        return True

    def _begin(self, lane: Lane) -> asyncio.Task[bool]:
        task = asyncio.create_task(self._turn(lane), name=f"push {lane.tenant}")
        self._turns[lane.tenant] = task
        task.add_done_callback(lambda ended: self._end(lane, ended))
        return task

    def _end(self, lane: Lane, turn: asyncio.Task[bool]) -> None:
        del self._turns[lane.tenant]
        if not turn.cancelled() and turn.result():
            self.kick()  # something may have come while it ended

    async def _stop(self) -> None:
        """Let requests in flight end, within their time-out; whoever hangs beyond it is cut off."""
        self._stopping = True
        turns = list(self._turns.values())
        if turns:
            _, late = await asyncio.wait(turns, timeout=self.rules.timeout_s + SPARE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*turns, return_exceptions=True)

    # -- one tenant's turn ----------------------------------------------------------------------------

    async def _turn(self, lane: Lane) -> bool:
        """Send what this tenant has due; whether there was anything. Its failure is its own."""
        worked = False
        try:
            worked = await self._serve(lane)
        except StoreError as error:
            log.error("tenant %s: the store cannot be used: %s", lane.tenant, error)
        except Exception as bug:  # noqa: BLE001 - a mistake about one tenant must not end all of them
            log_bug(f"delivery for {lane.tenant}", bug)
        lane.turned_at = self.database.clock.now()
        return worked

    async def _serve(self, lane: Lane) -> bool:
        """Claim and send, one value alone until RTOPilot is known to be there; whether there was anything."""
        lane.stopped, done, more = False, 0, True
        while more and self._goes_on(lane, done):
            limit = 1 if lane.unsure else self.rules.batch
            items = await self._claim(lane, limit)
            if not items:
                return done > 0
            done, more = done + len(items), len(items) == limit  # what comes meanwhile has a look of its own
            await self._send_all(lane, deque(items))
        await self.database.write(lambda conn: self._let_go(conn, lane))
        return done > 0

    async def _send_all(self, lane: Lane, waiting: deque[Item]) -> None:
        """Send these, oldest first; what may not leave in this turn is given back."""
        at_once = max(1, self.rules.at_once // lane.target.share)
        workers = [self._work(lane, waiting) for _ in range(min(at_once, len(waiting)))]
        try:
            ends = await asyncio.gather(*workers, return_exceptions=True)  # one's failure cuts no other short
        finally:
            await self._give_back(lane, waiting)
        for end in ends:
            if end is not None:
                raise end

    def _goes_on(self, lane: Lane, done: int) -> bool:
        if done >= self.rules.turn and self._crowded:
            return False
        return not (self._stopping or lane.stopped or lane.rests(self.database.clock.now()))

    async def _claim(self, lane: Lane, limit: int) -> list[Item]:
        """The oldest due, if the tenant is ours or free."""
        now, lease_s = self.database.clock.now(), self.rules.lease_s

        def claimed(conn: Connection) -> list[Item]:
            if not leases.acquire(conn, lane.tenant, LEASE, self.owner, now, lease_s):
                return []
            found = outbox.claim(conn, lane.tenant, self.owner, now, lease_s, limit)
            if not found:
                self._let_go(conn, lane)
            return found

        return await self.database.write(claimed)

    def _let_go(self, conn: Connection, lane: Lane) -> None:
        """Let others have the tenant, though not before this gateway would send for it again."""
        now = self.database.clock.now()
        rest_s = lane.free_at(now) - now
        if rest_s > 0:
            leases.acquire(conn, lane.tenant, LEASE, self.owner, now, rest_s)
        else:
            leases.release(conn, lane.tenant, LEASE, self.owner)

    async def _work(self, lane: Lane, waiting: deque[Item]) -> None:
        while (item := await self._next(lane, waiting)) is not None:
            try:
                await self._deliver(lane, item)
            finally:
                lane.breaker.release()

    async def _next(self, lane: Lane, waiting: deque[Item]) -> Item | None:
        """The next one, when its time has come; None when no more may leave in this turn."""
        async with lane.gate:
            while waiting and not (self._stopping or lane.stopped):
                now = self.database.clock.now()
                pause_s = lane.pace.wait_s(now)
                if pause_s > 0:
                    await self.pause(pause_s)
                elif lane.hold_until > now or not lane.breaker.allows():
                    return None
                else:
                    lane.pace.took(now)
                    return waiting.popleft()
        return None

    async def _give_back(self, lane: Lane, items: deque[Item]) -> None:
        def given(conn: Connection) -> None:
            for item in items:
                with contextlib.suppress(LostLease):
                    outbox.release(conn, lane.tenant, item.id, self.owner)

        if items:
            await self.database.write(given)

    # -- one push -------------------------------------------------------------------------------------

    async def _deliver(self, lane: Lane, claimed: Item) -> None:
        """Send the newest value of one enrolment, if it is still to be sent and still ours."""
        item = await self.database.read(
            lambda conn: outbox.current(conn, lane.tenant, claimed.id, self.owner)
        )
        now = self.database.clock.now()
        left_s = (item.lease_until or now) - now if item is not None else 0.0
        if item is None or left_s < self.rules.timeout_s + SPARE_S:
            await self._give_back(lane, deque([claimed]))
            return
        key = lane.target.key.current()
        tried = await push.send(
            lane.target, key, item.id, item.value, timeout_s=self.rules.timeout_s, now=now
        )
        await self._note(lane, item, key, tried)

    async def _note(self, lane: Lane, item: Item, key: Secret, tried: Tried) -> None:
        """What became of it, in the lane and, in one commit, in the store."""
        now = self.database.clock.now()
        outcome = learn(lane, item, key, tried, rules=self.rules, random=self.random, now=now)
        try:
            is_dead = await self.database.write(lambda conn: outcome.store(conn, self.owner))
        except StoreError:
            lane.unsure = lane.unsure or outcome.back
            raise
        tell(lane, outcome, self.figures, is_dead=is_dead, now=now)
