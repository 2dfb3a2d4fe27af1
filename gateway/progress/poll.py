"""Asking the LMSs again and again how everybody is getting on, inside their call budgets.

Each plan of each tenant is a row of the schedule that one gateway at a time works on, a slice at a time:
what a slice learnt and how far the plan has come are one commit, so that another gateway can go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from gateway.errors import StoreError
from gateway.perform.background import log_bug
from gateway.perform.reading import note
from gateway.perform.tenant import Tenant
from gateway.progress import missing
from gateway.progress.asking import Change, Counts
from gateway.progress.courseless import asker_of
from gateway.progress.plans import Cursor, Plan, plans_of
from gateway.progress.slices import Slice, UnitsHook
from gateway.progress.timing import FIRST_WITHIN_S, Override
from gateway.store import manual, schedules
from gateway.store.claims import LostLease
from gateway.store.database import Database
from gateway.store.schedules import Turn

log = logging.getLogger("gateway.polls")

EVERY_S = 5.0
LEASE_S = 60.0
GIVE_BACK_S = 5.0
AT_ONCE = 8
NOTES_AT_ONCE = 200
"""Readings in one commit: others write too."""


@dataclass(slots=True, kw_only=True)
class Poller:
    """The worker of one process. `kick` makes it look at once; `round` does one look (tests call it).

    `tenants` are those whose progress is polled; `overrides` what they say of the times. `units` reads the
    unit results of an enrolment that has moved on; `deliver` is told when there is news for RTOPilot.
    """

    database: Database
    tenants: Mapping[str, Tenant]
    owner: str
    overrides: Mapping[str, Override] = field(default_factory=dict)
    units: UnitsHook | None = None
    deliver: Callable[[], None] = lambda: None
    every_s: float = EVERY_S
    lease_s: float = LEASE_S
    at_once: int = AT_ONCE
    counts: Counts = field(default_factory=Counts)
    _plans: dict[tuple[str, str], Plan] = field(default_factory=dict)
    _ready: bool = False
    _working: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)
    _claiming: asyncio.Future[list[Turn]] | None = None
    _kicked: asyncio.Event = field(default_factory=asyncio.Event)

    def kick(self) -> None:
        self._kicked.set()

    async def forever(self) -> None:
        """Work until cancelled; a store that fails is tried again."""
        try:
            while True:
                self._kicked.clear()
                try:
                    await self._start_due()
                except StoreError as error:
                    log.error("the store cannot be used: %s", error)
                except Exception as bug:  # noqa: BLE001 - a mistake must not end all polling
                    log_bug("polls", bug)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._look_every_s()):
                        await self._kicked.wait()
        finally:
            await self.stop()

    def _look_every_s(self) -> float:
        """Seconds until the next look: less where a plan has an interval that is shorter, as in a demo."""
        intervals = [plan.rhythm.timing.every_s for plan in self._plans.values()]
        return min([self.every_s, *(each / 2 for each in intervals if each is not None)])

    async def round(self) -> bool:
        """Work on the plans that are due, one slice each; False when there was none."""
        started = await self._start_due()
        await asyncio.gather(*started)
        return bool(started)

    async def stop(self) -> None:
        """Let go of what is under way, and give it back: another gateway begins those slices anew at once."""
        working = list(self._working.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        with contextlib.suppress(StoreError, TimeoutError):  # otherwise the leases run out by themselves
            async with asyncio.timeout(GIVE_BACK_S):
                if self._claiming is not None:  # it may still be on its way into the store
                    await asyncio.wait({self._claiming})
                await self.database.write(lambda conn: schedules.give_back(conn, self.owner))

    # -- which plans there are

    async def _prepare(self) -> None:
        for tenant in self.tenants.values():
            plans = plans_of(tenant, self.overrides.get(tenant.name, Override()))
            self._plans.update({(tenant.name, plan.name): plan for plan in plans})
            now = self.database.clock.now()
            await self.database.write(lambda conn: _ensure(conn, tenant.name, plans, now))  # noqa: B023
        self._ready = True

    async def _start_due(self) -> list[asyncio.Task[None]]:
        """Claim what is due and begin to work on it."""
        if not self._ready:
            await self._prepare()
        free = self.at_once - len(self._working)
        if free <= 0 or not self._plans:
            return []
        self._claiming = asyncio.ensure_future(self._claim(free))
        turns = await asyncio.shield(self._claiming)
        return [task for turn in turns if (task := self._begin(turn)) is not None]

    async def _claim(self, limit: int) -> list[Turn]:
        now, plans = self.database.clock.now(), tuple(self._plans)
        return await self.database.write(
            lambda conn: schedules.claim(conn, self.owner, now, self.lease_s, limit, plans)
        )

    def _begin(self, turn: Turn) -> asyncio.Task[None] | None:
        name = (turn.tenant, turn.name)
        if name in self._working:
            return None  # still at work on it: claiming it has renewed its lease
        task = asyncio.create_task(self._kept_apart(turn), name=f"poll {turn.tenant} {turn.name}")
        self._working[name] = task
        task.add_done_callback(lambda _: self._ended(name))
        return task

    def _ended(self, name: tuple[str, str]) -> None:
        del self._working[name]
        self._kicked.set()

    async def _kept_apart(self, turn: Turn) -> None:
        """One turn, whose failure is its own: its lease runs out, and it is claimed again."""
        name = f"tenant {turn.tenant}: {turn.name}"
        try:
            await self._turn(turn)
        except LostLease:
            log.warning("%s: another gateway goes on with it", name)
        except StoreError as error:
            log.error("%s: the store cannot be used: %s", name, error)
        except Exception as bug:  # noqa: BLE001 - a mistake in one plan must not end all polling
            log_bug(name, bug)

    # -- one turn

    async def _turn(self, turn: Turn) -> None:
        plan = self._plans[turn.tenant, turn.name]
        part = Slice(
            asker=asker_of(plan, self.counts),
            turn=turn,
            cursor=Cursor.read(turn.cursor, plan.poll.plan, turn.next_due),
            units=self.units,
        )
        await self._while_held(turn, part)
        if await self._keep(part):
            self.deliver()

    async def _while_held(self, turn: Turn, part: Slice) -> None:
        """Work, and renew the lease meanwhile. Raises LostLease as soon as it is somebody else's."""
        work = asyncio.create_task(part.work())
        try:
            while not (await asyncio.wait({work}, timeout=self.lease_s / 3))[0]:
                until = self.database.clock.now() + self.lease_s
                await self.database.write(
                    lambda conn: schedules.renew(conn, turn.tenant, turn.name, self.owner, until)  # noqa: B023
                )
            await work
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _keep(self, part: Slice) -> bool:
        """Store what a slice learnt and how its plan goes on; True when RTOPilot is to be told something."""
        tenant, changes, news = part.tenant, part.asker.changes, False
        while len(changes) > NOTES_AT_ONCE:
            some, changes = changes[:NOTES_AT_ONCE], changes[NOTES_AT_ONCE:]
            news |= await self.database.write(lambda conn: self._note(conn, tenant, some))  # noqa: B023
        settled: list[str] = []
        now, due = self.database.clock.now(), part.next_due()
        if part.over and part.asker.plan.poll.missing == "alert":
            settled = await self.database.read(lambda conn: missing.ended(conn, tenant.name, now))

        def keep(conn: Connection) -> tuple[bool, dict[str, int]]:
            told = self._note(conn, tenant, changes)
            found = missing.keep(conn, tenant.name, part.asker.looks, now) if part.asker.looks else {}
            for item in settled:
                manual.withdraw(conn, item, now)
            self._finish(conn, part, due)
            return told, found

        told, found = await self.database.write(keep)
        for course, count in found.items():
            where = f"course {course}" if course else "their courses"
            log.warning("tenant %s: %d active enrolments are not in %s", tenant.name, count, where)
        return news or told

    def _note(self, conn: Connection, tenant: Tenant, changes: Sequence[Change]) -> bool:
        now = self.database.clock.now()
        return any([note(conn, tenant, change.stored.id, change.reading, now) for change in changes])

    def _finish(self, conn: Connection, part: Slice, due: float) -> None:
        """Raises LostLease, and then nothing of the commit is kept."""
        schedules.finish(
            conn,
            part.turn.tenant,
            part.turn.name,
            self.owner,
            next_due=due,
            cursor=part.cursor.data(),
            started_at=part.began,
            last_ok_at=part.last_ok_at,
            failures=part.failures,
            error=part.error,
        )


def _ensure(conn: Connection, tenant: str, plans: Sequence[Plan], now: float) -> None:
    """A row for each plan of a tenant, and for nothing else. A shorter interval than before holds at once."""
    by_name = {plan.name: plan for plan in plans}
    kept = {turn.name for turn in schedules.list_items(conn, tenant) if not _is_far(turn, by_name, now)}
    schedules.drop_others(conn, tenant, kept)
    for plan in plans:
        schedules.ensure(conn, tenant, plan.name, plan.rhythm.first(now))


def _is_far(turn: Turn, plans: Mapping[str, Plan], now: float) -> bool:
    """Whether a row has no plan any more, or is due later than its plan would ever have it."""
    plan = plans.get(turn.name)
    return plan is None or turn.next_due > plan.rhythm.following(now) + FIRST_WITHIN_S
