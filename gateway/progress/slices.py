"""One slice of a poll: some of its calls, whose fault it is when they fail, and when the poll goes on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.engine.calls import Reply
from gateway.errors import GatewayError, StoreError, VendorError, VendorTimeout, VendorUnavailable
from gateway.perform import probe
from gateway.perform.background import log_bug
from gateway.perform.tenant import Tenant
from gateway.progress.asking import Asker, Job, Watch
from gateway.progress.plans import Cursor
from gateway.progress.timing import SLICE_CALLS, back_off_s
from gateway.store import enrolments
from gateway.store.enrolments import StoredEnrolment
from gateway.store.schedules import Turn

log = logging.getLogger("gateway.polls")

SLICE_S = 20.0
"""A slice ends after so long, whatever is left: others wait for their turn."""
NEWS_A_SLICE = 500
UNITS_WAITING = 10_000
GIVE_UP_AFTER = 3
"""Slices that may fail at the last call of a sweep before the sweep ends without it."""
BUDGET_AGAIN_S = 30.0
DOWN = frozenset({"breaker_open", "vendor_throttled", "vendor_unreachable"})
NO_ACCESS = frozenset({401, 403, 429})

UnitsHook = Callable[[Tenant, StoredEnrolment], Awaitable[object]]
Blame = Literal["budget", "down", "vendor", "itself"]


@dataclass(slots=True, kw_only=True)
class Slice:
    """One turn of a plan. `work` makes the calls; what came of it stands in the fields and the asker's.

    `began`: when the sweep did; `last_ok_at`: as of when the last whole one holds. `over`: it has ended now.
    `in_vain`: its last call was given up, and no other one of this slice shows that the vendor works.
    """

    asker: Asker
    turn: Turn
    cursor: Cursor
    units: UnitsHook | None = None
    began: float | None = None
    last_ok_at: float | None = None
    halt: Literal["budget", "down"] | None = None
    over: bool = False
    in_vain: bool = False
    error: str | None = None

    async def work(self) -> None:
        """The calls that are due. Raises StoreError; whatever the vendor does is no error."""
        self.began, self.last_ok_at = self.turn.started_at, self.turn.last_ok_at
        await probe.refresh(self.tenant)
        waiting = self.cursor.units if self._wants_units() else []
        if self.cursor.due <= self._now():
            await self._sweep()
        moved = [change.stored.id for change in self.asker.changes if change.reading.progress.percent]
        if self.halt is None and waiting:
            waiting = waiting[await self._read_units(waiting[:SLICE_CALLS]) :]
        # the new ones next time: only then what was learnt of them is kept
        units = dict.fromkeys([*waiting, *moved, *self.asker.units_due] if self._wants_units() else [])
        self.cursor.units = list(units)[:UNITS_WAITING]

    @property
    def tenant(self) -> Tenant:
        return self.asker.plan.tenant

    @property
    def failures(self) -> int:
        """Slices in a row that ended because the vendor failed."""
        if self.halt == "budget":
            return self.turn.failures
        return self.turn.failures + 1 if self.halt == "down" or self.in_vain else 0

    def next_due(self) -> float:
        now, tenant = self._now(), self.tenant
        if self.halt == "budget":
            return now + BUDGET_AGAIN_S
        if self.halt == "down":
            return now + max(back_off_s(self.failures, tenant.random), tenant.vendor.breaker.wait_s())
        due = now if self.cursor.units else self.cursor.due
        return max(due, now + back_off_s(self.failures, tenant.random)) if self.in_vain else due

    # -- the sweep

    async def _sweep(self) -> None:
        cursor, plan = self.cursor, self.asker.plan
        if cursor.after is None or self.began is None:
            self.began = self._now()
            cursor.begin(await self.asker.total() if plan.rhythm.timing.spread else 0)
        size = plan.rhythm.slice_size(self.began, cursor.total)
        if self.turn.failures:
            size = max(size, 2)  # only beside a second call it shows whether one fails by itself
        jobs, more = await self.asker.jobs(cursor.after or "", size, self.turn.last_ok_at)
        settled = await self._each(jobs, last=not more and plan.poll.plan != "delta")
        if settled:
            cursor.after, cursor.done = jobs[settled - 1].after, cursor.done + settled
        if self.halt is not None:
            return
        if settled == len(jobs) and not more:
            self._end(self.began)
        else:
            cursor.due = max(self._now(), plan.rhythm.slice_due(self.began, cursor.done, cursor.total))

    def _end(self, began: float) -> None:
        self.over, cursor, plan = True, self.cursor, self.asker.plan
        if cursor.failed == 0:
            self.last_ok_at = began if self.asker.ok_at is None else self.asker.ok_at
        log.info(
            "tenant %s: %s: done, %d calls, %d failed",
            plan.tenant.name,
            plan.name,
            cursor.done,
            cursor.failed,
        )
        self.asker.counts.sweeps += 1
        cursor.end(plan.rhythm.following(began))

    # -- calls, one after the other

    async def _each(self, jobs: Sequence[Job], *, last: bool) -> int:
        """Do jobs in order until one cannot be done now; how many are settled: done, or given up.

        One that fails while the next works failed by itself; two in a row mean that the vendor does.
        `last`: nothing comes after them that could tell.
        """
        settled, doubt, ends_at = 0, "", self._now() + SLICE_S
        for job in jobs:
            blame, code = await self._one(job)
            if blame == "vendor" and not doubt:
                doubt = code
                continue
            if blame is not None and blame != "itself":
                self._stop("budget" if blame == "budget" else "down", code)
                return settled
            if doubt:
                self._give_up(jobs[settled], doubt)
                settled, doubt = settled + 1, ""
            if blame == "itself":
                self._give_up(job, code)
            settled += 1
            if self._now() >= ends_at or len(self.asker.changes) >= NEWS_A_SLICE:
                return settled
        if not doubt:
            return settled
        if last and self.turn.failures >= GIVE_UP_AFTER:
            self._give_up(jobs[settled], doubt)
            self.in_vain = settled == 0
            return settled + 1
        self._stop("down", doubt)
        return settled

    async def _one(self, job: Job) -> tuple[Blame | None, str]:
        """Do one job; whose fault it is when it fails, and the code."""
        watch = Watch()
        try:
            await job.do(watch)
        except GatewayError as error:
            return blame(error, watch.reply), error.code
        except StoreError:
            raise
        except Exception as bug:  # noqa: BLE001 - a mistake about one course must not end all polling
            log_bug(f"tenant {self.tenant.name}: {self.asker.plan.name}: {job.name}", bug)
            return "itself", "internal_error"
        finally:
            self.asker.counts.calls += watch.calls
        return None, ""

    def _give_up(self, job: Job, code: str) -> None:
        self.cursor.failed += 1
        self.asker.counts.failed += 1
        self.error = code
        log.warning(
            "tenant %s: %s: %s failed by itself: %s", self.tenant.name, self.asker.plan.name, job.name, code
        )

    def _stop(self, halt: Literal["budget", "down"], code: str) -> None:
        self.halt, self.error = halt, code
        self.asker.counts.outages += halt == "down"
        log.warning("tenant %s: %s waits: %s", self.tenant.name, self.asker.plan.name, code)

    # -- unit results of those that have moved on

    def _wants_units(self) -> bool:
        return self.units is not None and self.tenant.wants_units

    async def _read_units(self, enrolment_ids: Sequence[str]) -> int:
        failed = self.cursor.failed
        settled = await self._each([self._units(each) for each in enrolment_ids], last=True)
        self.cursor.failed = failed  # the sweep itself is whole
        return settled

    def _units(self, enrolment_id: str) -> Job:
        async def do(_: Watch) -> None:
            tenant, hook = self.tenant, self.units
            stored = await tenant.database.read(
                lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id)
            )
            if hook is not None and stored is not None and stored.state == "active":
                await hook(tenant, stored)

        return Job(name=f"units of {enrolment_id}", after="", do=do)

    def _now(self) -> float:
        return self.tenant.database.clock.now()


def blame(error: GatewayError, reply: Reply | None) -> Blame:
    """Whose fault it is: the vendor is surely `down`, perhaps it is the `vendor`, or the question `itself`.

    `reply` is the last one the question had, None when that is not known.
    """
    if error.code == "budget_spent":
        return "budget"
    if not isinstance(error, VendorError):
        return "itself"
    if error.code == "breaker_open" and reply is not None:
        return "vendor"  # its own failing tries have opened it
    if error.code in DOWN:
        return "down"
    if isinstance(error, VendorTimeout | VendorUnavailable) or error.code == "vendor_login" or reply is None:
        return "vendor"
    failing = reply.lost is not None or reply.status >= 500 or reply.status in NO_ACCESS
    return "vendor" if failing else "itself"
