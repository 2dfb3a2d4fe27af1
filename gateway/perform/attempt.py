"""A run carried on by this process, from what the store has of it to one of its ends.

A write in doubt is never sent blindly: it is looked up, as long as the work deadline lasts.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat

from gateway.engine import operations
from gateway.engine.doubt import InDoubt, NotDone, Resume
from gateway.errors import GatewayError, InternalError, OutcomeUnknown, StoreError
from gateway.perform import journal as journals
from gateway.perform import sentences
from gateway.perform.endings import Held, stored_error
from gateway.perform.journal import StoreJournal
from gateway.perform.work import Work
from gateway.store import runs, steps
from gateway.store.claims import LostLease
from gateway.vendor.drive import drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.runs")

LOOKS_S = (1.0, 2.0, 4.0, 8.0)
LOOKS_AFTER_S = 10.0
MAX_LOOKS = 20
POLL_S = 0.25
BUSY = "Another action for this student is still going on. Please try again in a minute."
UNSTORED = "The gateway cannot use its database just now. Please try again in a few minutes."


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One process's go at a run. With `settle_only` the write in doubt is looked up, never sent.

    `resumed`: somebody had it before, so the store is asked how far they came.
    """

    work: Work
    run: runs.Run
    owner: str
    lease_s: float
    deadline: Deadline
    resumed: bool
    settle_only: bool
    resume: Resume = field(default_factory=Resume)
    held: Held = field(init=False)
    looks: Iterator[float] = field(default_factory=lambda: chain(LOOKS_S, repeat(LOOKS_AFTER_S, MAX_LOOKS)))

    def __post_init__(self) -> None:
        self.held = Held(
            work=self.work,
            run=self.run,
            owner=self.owner,
            trace=Trace(personal=self.work.frame.personal),
            journal=self._journal(),
        )

    async def carry(self) -> str:
        """The id RTOPilot is to keep. Raises OutcomeUnknown while it is in doubt, else why it failed."""
        try:
            try:
                return await self._carry()
            except LostLease:
                raise OutcomeUnknown(detail=f"run {self.run.id} was taken over") from None
            except (GatewayError, StoreError):
                raise
            except Exception as bug:  # whatever it is: a run that has sent something must not end as failed
                raise await self._foreseen_by_nobody(bug) from bug
        except StoreError as error:
            if self._has_begun:
                raise OutcomeUnknown(detail=f"the store failed: {error}") from error
            raise InternalError(UNSTORED, code="store_error", detail=str(error)) from error
        finally:
            await self._release()

    async def _carry(self) -> str:
        if self.resumed:
            stored = await self._stored()
            self.resume = journals.resume(stored, settle_only=self.settle_only)
            finished = self.resume.finished.items()
            self.held.inherited = frozenset(
                name for name, step in finished if step.outcome == "ok" and not step.undo
            )
            if not journals.fits(self.work.form.steps, stored):
                return await self._mapping_changed()
            if self.settle_only and not self._sent_before:
                return await self._nothing_left()
        await self._wait_for_turn()
        await self._look_at_standing()
        while True:
            kept = await self._once()
            if kept is not None:
                return kept

    async def _stored(self) -> list[steps.Step]:
        return await self.work.tenant.database.read(lambda conn: steps.steps_of(conn, self.run.id))

    @property
    def _sent_before(self) -> bool:
        """Whether an earlier holder sent anything; values made once are none."""
        minted = {step.id for step in self.work.form.steps if step.mint}
        return self.resume.doubt is not None or any(name not in minted for name in self.resume.finished)

    @property
    def _has_begun(self) -> bool:
        """Whether something may have happened at the vendor."""
        return self.held.journal.began or self.resume.doubt is not None or bool(self.resume.finished)

    def _journal(self) -> StoreJournal:
        work = self.work
        return StoreJournal(
            work.tenant.database,
            run_id=self.run.id,
            owner=self.owner,
            tenant=work.tenant.name,
            steps=work.form.steps,
            subjects={"student": work.student, "course": work.course},
        )

    # -- one after the other --------------------------------------------------------------------------

    async def _wait_for_turn(self) -> None:
        """Hold the texts of `serialise` for this tenant, across gateways; mostly they came with the run."""
        work, database = self.work, self.work.tenant.database
        texts = work.serialised()
        while len(work.held) < len(texts):
            now = database.clock.now()
            await database.write(lambda conn: work.hold(conn, texts, self.owner, now, self.lease_s))  # noqa: B023 (used at once)
            if len(work.held) == len(texts):
                return
            if self.deadline.remaining() <= 0:
                busy = OutcomeUnknown(BUSY, code="busy")
                await (
                    self.held.leave_for_later(stored_error(busy)) if self._has_begun else self.held.fail(busy)
                )
                raise busy
            await work.tenant.vendor.pause(POLL_S)

    async def _look_at_standing(self) -> None:
        """What the student has in this course by now: asked while no other run can be making it."""
        work = self.work
        if work.standing is not None:
            found = await work.tenant.database.read(work.standing)
            work.frame.root["known"] = {**work.frame.root["known"], "enrolment": found}

    async def _release(self) -> None:
        """What the run's last commit did not let go of, because there was none."""
        work = self.work
        if work.held:
            with contextlib.suppress(StoreError):  # they expire by themselves
                await work.tenant.database.write(lambda conn: work.release(conn, self.owner))
            work.held.clear()

    # -- doing it -------------------------------------------------------------------------------------

    async def _once(self) -> str | None:
        """The steps from where they stand; None when the write in doubt is to be looked up again."""
        frame = self.work.frame
        frame.steps.clear()
        frame.warnings.clear()
        try:
            work = operations.perform(frame, self.work.form, self.resume)
            vendor = self.work.tenant.vendor
            outcome = await drive(work, vendor, self.held.journal, self.deadline, self.held.trace)
            return await self.held.finish(outcome)
        except InDoubt as unknown:
            await self._look_again(unknown)
            return None
        except NotDone as proof:
            text = "The LMS did not do this. Please try again."
            error = OutcomeUnknown(text, code="not_done", detail=str(proof))
            await self.held.fail(error)
            raise error from proof
        except GatewayError as error:
            await self._failed(error)
            raise

    async def _failed(self, error: GatewayError) -> None:
        """A failure ends the run only when nothing stands at the vendor that this would forget."""
        if self._still_in_doubt:
            await self.held.leave_for_later(stored_error(error))
            raise OutcomeUnknown(detail=f"still in doubt; a step before it failed: {error.code}") from error
        if self._all_done:
            sentence = sentences.unrecorded(self.work.operation, self.run.id)
            await self.held.leave(stored_error(error), None, sentence)
        else:
            await self.held.fail(error)

    @property
    def _still_in_doubt(self) -> bool:
        """Whether this time the steps ended before the one in doubt was reached."""
        doubt, done = self.resume.doubt, self.work.frame.steps
        if doubt is None:
            return False
        names = [step.id for step in self.work.form.steps]
        return doubt.step not in names or any(name not in done for name in names[: names.index(doubt.step)])

    @property
    def _all_done(self) -> bool:
        """Whether only the record is missing: it is done at the vendor, and must not be done again."""
        names = [step.id for step in self.work.form.steps]
        return bool(names) and all(name in self.work.frame.steps for name in names)

    async def _look_again(self, unknown: InDoubt) -> None:
        """Wait for the next look-up. Raises OutcomeUnknown when it is left to others."""
        wait = self._next_look(unknown)
        if wait is None:
            error = {"code": "outcome_unknown", "step": unknown.doubt.step}
            if unknown.look_again_at is None:
                await self.held.leave(error, None)
            else:
                await self.held.leave_for_later(error, unknown.look_again_at)
            raise OutcomeUnknown(detail=str(unknown)) from unknown
        await self.held.journal.flush(None)
        await self.work.tenant.vendor.pause(wait)
        resume = journals.resume(await self._stored(), settle_only=True)
        self.resume = Resume(finished=resume.finished, doubt=resume.doubt or unknown.doubt, settle_only=True)

    def _next_look(self, unknown: InDoubt) -> float | None:
        """Seconds until the next look-up here, or None to leave it to the background, or to a person."""
        if unknown.look_again_at is None:
            return None
        wait = next(self.looks, None)
        if wait is None:
            return None
        # no sense in asking "is it there?" just before its absence would be proof
        until_proof = unknown.look_again_at - self.work.tenant.database.clock.now()
        wait = until_proof if 0 < until_proof < wait else wait
        return wait if wait < self.deadline.remaining() else None

    # -- nothing to do --------------------------------------------------------------------------------

    async def _nothing_left(self) -> str:
        """It stopped before its first write: nothing happened, and nobody waits any more."""
        error = InternalError(
            "The gateway was stopped before anything was sent to the LMS.", code="interrupted"
        )
        await self.held.fail(error)
        raise error

    async def _mapping_changed(self) -> str:
        """Its steps are not those of the mapping any more: going on could do something twice."""
        detail = "the mapping's steps have changed since"
        await self.held.leave({"code": "outcome_unknown", "detail": detail}, None)
        raise OutcomeUnknown(detail=f"run {self.run.id}: {detail}")

    async def _foreseen_by_nobody(self, bug: Exception) -> InternalError:
        where = "".join(traceback.format_tb(bug.__traceback__))  # not its text: that may quote the request
        log.error("run %s: %s\n%s", self.run.id, type(bug).__name__, where)
        error = InternalError(detail=type(bug).__name__)
        await (self.held.leave_for_later(stored_error(error)) if self._has_begun else self.held.fail(error))
        return error
