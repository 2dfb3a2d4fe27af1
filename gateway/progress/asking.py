"""What a poll asks the vendor, and what the answers tell of whom.

Nothing is stored here: the Poller keeps what was learnt together with the cursor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from gateway.contract import Operation
from gateway.engine import shape
from gateway.engine.calls import Reply
from gateway.engine.shape import Progress
from gateway.engine.sweep import Row, Swept, rows, sweep
from gateway.errors import NotFound
from gateway.perform import reads
from gateway.perform.enrolments import scope_of
from gateway.perform.reading import Reading, is_news
from gateway.perform.tenant import Tenant
from gateway.progress.find import Index, find_all
from gateway.progress.missing import Look
from gateway.progress.plans import Plan
from gateway.store import enrolments
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Exchange, Trace

log = logging.getLogger("gateway.polls")

T = TypeVar("T")

READ_S = 30.0
COURSE_S = 60.0
LIST_S = 300.0
SETTLING_S = 60.0
"""An enrolment younger than this is not missed: the vendor's list may be behind."""
PAGE = 500
ROWS_AT_A_TIME = 200


@dataclass(slots=True)
class Counts:
    """What polls have done since this process began, for metrics.

    `news`: readings that changed something; `unmatched`: rows about nobody we know; `dropped`: rows that
    could not be used; `faults`: percentages that are none; `failed`: courses or enrolments that failed by
    themselves; `outages`: slices that ended because the vendor failed.
    """

    sweeps: int = 0
    calls: int = 0
    rows: int = 0
    news: int = 0
    unmatched: int = 0
    dropped: int = 0
    faults: int = 0
    failed: int = 0
    outages: int = 0


@dataclass(slots=True)
class Watch:
    """The exchanges of one question: how many, when the first request left, and the last reply."""

    calls: int = 0
    left_at: float | None = None
    reply: Reply | None = None

    def see(self, exchange: Exchange) -> None:
        self.calls += 1
        self.reply = exchange.reply
        self.left_at = exchange.reply.left_at if self.left_at is None else self.left_at

    def trace(self) -> Trace:
        return Trace(watch=self.see, limit=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One question. `after` is what the cursor says once it is settled."""

    name: str
    after: str
    do: Callable[[Watch], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Told:
    """What one list tells. `dropped` has an entry for each row that cannot be used; the first 20 say why."""

    left_at: float | None
    rows: list[Row] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """A reading that is news."""

    stored: StoredEnrolment
    reading: Reading


@dataclass(slots=True, kw_only=True)
class Asker:
    """The questions of one plan, in an order that a cursor can go on from; answers add to the lists.

    `ok_at`: as of when a delta list that has come in holds.
    """

    plan: Plan
    counts: Counts
    changes: list[Change] = field(default_factory=list)
    units_due: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    ok_at: float | None = None

    @property
    def tenant(self) -> Tenant:
        return self.plan.tenant

    async def total(self) -> int:
        """How many questions a whole sweep has at present."""
        name, poll = self.tenant.name, self.plan.poll
        match poll.plan:
            case "delta":
                return 1
            case "per-course":
                return await self._count_courses()
        count = await self._read(lambda conn: enrolments.count_active(conn, name))
        return count if poll.plan == "per-enrolment" else -(-count // poll.of)

    async def _count_courses(self) -> int:
        count, after = 0, ""
        while page := await self._read(
            lambda conn: enrolments.courses(conn, self.tenant.name, after=after, limit=PAGE)  # noqa: B023
        ):
            count, after = count + len(page), page[-1]
        return count

    async def jobs(self, after: str, size: int, last_ok_at: float | None) -> tuple[list[Job], bool]:
        """The next questions, and whether more come after them."""
        name, poll = self.tenant.name, self.plan.poll
        if poll.plan == "delta":
            anybody = await self._read(lambda conn: enrolments.active(conn, name, limit=1))
            return ([self._list(last_ok_at)] if anybody else []), False
        if poll.plan == "per-course":
            courses = await self._read(
                lambda conn: enrolments.courses(conn, name, after=after, limit=size + 1)
            )
            return [self._course(each) for each in courses[:size]], len(courses) > size
        of = poll.of if poll.plan == "chunks" else 1
        most = size * of
        found = await self._read(lambda conn: enrolments.active(conn, name, after_id=after, limit=most + 1))
        some = found[:most]
        if poll.plan == "per-enrolment":
            return [self._enrolment(each) for each in some], len(found) > most
        groups = [some[start : start + of] for start in range(0, len(some), of)]
        return [self._chunk(group) for group in groups], len(found) > most

    # -- one question each

    def _course(self, course_id: str) -> Job:
        async def do(watch: Watch) -> None:
            course = self.tenant.vendor_course(course_id)
            try:
                told = await self._told(watch, COURSE_S, courseId=course)
            except NotFound:
                if self.plan.poll.missing == "alert":
                    self.looks.append(Look(course_id=course_id, gone=True))
                raise
            # read after the sweep: whoever ended meanwhile is not missed
            known = await self._active(course_id)
            shown = await self._among(told, known)
            self._look(course_id, told, known, shown)

        return Job(name=f"course {course_id}", after=course_id, do=do)

    def _chunk(self, group: list[StoredEnrolment]) -> Job:
        async def do(watch: Watch) -> None:
            told = await self._told(watch, LIST_S, enrolments=[self._scope(one) for one in group])
            shown = await self._among(told, group)
            for course_id in {one.course_id or "" for one in group}:
                of_course = [one for one in group if (one.course_id or "") == course_id]
                self._look(course_id, told, of_course, shown, whole=False)

        return Job(name=f"{len(group)} enrolments from {group[0].id}", after=group[-1].id, do=do)

    def _list(self, last_ok_at: float | None) -> Job:
        async def do(watch: Watch) -> None:
            now = self._now()
            told = await self._told(watch, LIST_S, window=self.plan.window(now, last_ok_at))
            await self._learn(told, await find_all(self.tenant, [row.find for row in told.rows]))
            self.ok_at = now

        return Job(name="the list", after="", do=do)

    def _enrolment(self, stored: StoredEnrolment) -> Job:
        async def do(watch: Watch) -> None:
            course_id, asked_at = stored.course_id or "", self._now()
            try:
                told, shown = await self._told_of(stored, watch, asked_at)
            except NotFound:
                self._look(course_id, Told(left_at=asked_at), [stored], set(), whole=False)
                raise
            self._look(course_id, told, [stored], shown, whole=False)

        return Job(name=f"enrolment {stored.id}", after=stored.id, do=do)

    async def _told_of(self, stored: StoredEnrolment, watch: Watch, asked_at: float) -> tuple[Told, set[str]]:
        """What is told of one enrolment, noted; its id if the vendor shows it. Raises NotFound."""
        if self.plan.poll.call is not None:
            told = await self._told(watch, READ_S, enrolment=self._scope(stored))
            return told, await self._among(told, [stored])
        deadline = Deadline(READ_S)
        outcome = await reads.read_known(self.tenant, stored, deadline, watch.trace(), staff=False)
        read_at = asked_at if watch.left_at is None else watch.left_at
        self.counts.rows += 1
        if outcome.progress is not None:
            self.counts.faults += outcome.progress.fault is not None
            self._note(stored, outcome.progress, read_at)
        return Told(left_at=read_at), {stored.id}

    def _scope(self, stored: StoredEnrolment) -> dict[str, Any]:
        return scope_of(self.tenant, stored.record, stored.course_id)

    async def _told(self, watch: Watch, within_s: float, **root: Any) -> Told:
        work = sweep(self.tenant.frame(Operation.GET_ENROLMENT), self.plan.poll, **root)
        deadline, vendor = Deadline(within_s), self.tenant.vendor
        swept: Swept = await drive(work, vendor, NoJournal(), deadline, watch.trace(), staff=False)
        told = await self._read_rows(swept)
        self.counts.rows += len(told.rows) + len(told.dropped)
        self.counts.dropped += len(told.dropped)
        if told.dropped:
            self._warn("%d rows dropped, such as: %s", len(told.dropped), told.dropped[0])
        return told

    async def _read_rows(self, swept: Swept) -> Told:
        """Its rows; others get their turn in between, as thousands take a tenth of a second."""
        told = Told(left_at=swept.left_at)
        for count, row in enumerate(rows(self.plan.poll, swept), 1):
            if isinstance(row, str):
                told.dropped.append(row)
            else:
                told.rows.append(row)
            if count % ROWS_AT_A_TIME == 0:
                await asyncio.sleep(0)
        return told

    # -- what was learnt

    async def _among(self, told: Told, known: Sequence[StoredEnrolment]) -> set[str]:
        """Note what the rows say of these enrolments, and of nobody else."""
        index = Index(row.find for row in told.rows)
        index.add(known)
        return await self._learn(told, [index.find(row.find) for row in told.rows])

    async def _learn(self, told: Told, hits: Sequence[Sequence[StoredEnrolment]]) -> set[str]:
        """Note what the rows say of the enrolments they are about; the ids of those."""
        policy, read_at = self.tenant.policy, self._now() if told.left_at is None else told.left_at
        furthest: dict[str, tuple[StoredEnrolment, Progress]] = {}
        faults: list[str] = []
        for count, (row, found) in enumerate(zip(told.rows, hits, strict=True), 1):
            if count % ROWS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            self.counts.unmatched += not found
            progress = shape.progress(policy, row.value) if found else Progress(percent=None, completed=False)
            if progress.fault is not None:
                faults.append(progress.fault)
            for stored in found:
                before = furthest.get(stored.id)
                if before is None or _percent(progress) > _percent(before[1]):
                    furthest[stored.id] = (stored, progress)
        self._count_faults(faults)
        for stored, progress in furthest.values():
            self._note(stored, progress, read_at)
        return set(furthest)

    def _count_faults(self, faults: list[str]) -> None:
        if faults:
            self.counts.faults += len(faults)
            self.tenant.vendor_faults += len(faults)
            self._warn("vendor fault in %d rows: %s", len(faults), faults[0])

    def _note(self, stored: StoredEnrolment, progress: Progress, read_at: float) -> None:
        if stored.units_due:
            self.units_due.append(stored.id)
        if is_news(self.tenant, stored, progress):
            self.counts.news += 1
            self.changes.append(Change(stored, Reading(progress=progress, read_at=read_at)))

    def _look(
        self,
        course_id: str,
        told: Told,
        known: Sequence[StoredEnrolment],
        shown: set[str],
        *,
        whole: bool = True,
    ) -> None:
        """Who is missing from a course. A row that was dropped may have been anybody's, so then nobody is."""
        if self.plan.poll.missing != "alert" or told.dropped or told.left_at is None:
            return
        before = told.left_at - SETTLING_S
        absent = tuple(one.id for one in known if one.id not in shown and one.created_at < before)
        there = frozenset(one.id for one in known if one.id in shown)
        self.looks.append(Look(course_id=course_id, shown=there, absent=absent, whole=whole))

    def _warn(self, text: str, *values: object) -> None:
        log.warning(f"tenant %s: %s: {text}", self.tenant.name, self.plan.name, *values)

    # -- the store

    async def _active(self, course_id: str) -> list[StoredEnrolment]:
        found: list[StoredEnrolment] = []
        name, after = self.tenant.name, ""
        while page := await self._read(
            lambda conn: enrolments.active(conn, name, course_id=course_id, after_id=after, limit=PAGE)  # noqa: B023
        ):
            found += page
            after = page[-1].id
            await asyncio.sleep(0)
        return found

    async def _read(self, fn: Callable[[Connection], T]) -> T:
        return await self.tenant.database.read(fn)

    def _now(self) -> float:
        return self.tenant.database.clock.now()


def _percent(progress: Progress) -> int:
    return -1 if progress.percent is None else progress.percent
