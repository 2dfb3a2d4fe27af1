"""How a run ends: done, failed, or left in doubt; each is one commit with everything that follows from it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gateway.contract import Operation
from gateway.engine import operations
from gateway.engine.operations import Outcome
from gateway.errors import GatewayError
from gateway.mapping.spec import Step
from gateway.perform import journal as journals
from gateway.perform import sentences
from gateway.perform.journal import Change, StoreJournal
from gateway.perform.work import Work
from gateway.store import manual, runs, tasks, traces
from gateway.store.claims import LostLease
from gateway.store.traces import Traced
from gateway.vendor.trace import Trace

log = logging.getLogger("gateway.runs")

MAKES = (Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT)
LATER_S = 30.0
LATER_MAX_S = 3600.0
LIST_AFTER_S = 86_400.0
"""A run in doubt for longer goes on the manual list, though looking goes on."""


def later_s(tries: int) -> float:
    """Seconds until a run that fell in doubt `tries` times before is looked at again: 30 s, doubling, 1 h."""
    return float(min(LATER_S * 2 ** min(tries, 7), LATER_MAX_S))


@dataclass(slots=True, kw_only=True)
class Held:
    """A run that is ours, and what has been done for it since it was: everything its last commit needs.

    `inherited` are steps an earlier holder finished without noting whether it did them itself.
    """

    work: Work
    run: runs.Run
    owner: str
    trace: Trace
    journal: StoreJournal
    inherited: frozenset[str] = field(default=frozenset())

    # -- done

    async def finish(self, outcome: Outcome) -> str:
        """The run is done; gives the id RTOPilot is to keep. Raises what the work's `finish` raises."""
        work, run, now = self.work, self.run, self._now()
        changes, shown, follow_up = self.journal.taken(), self._traced(now), _follow_up(work)

        def finish(conn: Connection) -> str:
            journals.apply(conn, changes)
            kept, made = work.finish(conn, outcome, self._push_from(conn, now))
            output = {"id": kept, "warnings": list(outcome.warnings)}
            runs.finish(conn, run.id, self.owner, output, now=now, enrolment_id=made)
            self._end(conn, shown, now)
            for step in follow_up:
                self._queue(conn, "retry_step", [step], now)
            return kept

        try:
            kept = await work.tenant.database.write(finish)
        except BaseException:
            self.journal.put_back(changes)
            raise
        work.held.clear()
        if outcome.warnings:
            log.warning("tenant %s: run %s left %d warnings", work.tenant.name, run.id, len(outcome.warnings))
        if work.after is not None and (follow_up or work.queues):  # a look at the store costs two commits
            work.after()
        return kept

    def _push_from(self, conn: Connection, now: float) -> float | None:
        """When progress of what this run makes may be pushed: never before RTOPilot has its id.

        Whoever was told an error meanwhile does not have it, until the request is repeated.
        """
        if self.work.operation not in MAKES:
            return None
        run = runs.get(conn, self.run.id)
        if run is None or (run.told_error_at or 0.0) > (run.repeated_at or 0.0):
            return None
        return now + self.work.tenant.spec.grace_s

    # -- failed

    async def fail(self, error: GatewayError) -> None:
        """Nothing is in doubt: what can be taken back is queued, and the same request is a new run."""
        work, now = self.work, self._now()
        undone = operations.undoable(work.frame, work.form)
        shown = self._traced(now)

        def fail(conn: Connection) -> None:
            runs.fail(conn, self.run.id, self.owner, stored_error(error), now=now)
            self._end(conn, shown, now)
            if undone:
                self._queue(conn, "undo", undone, now)
            for step in self._cannot_undo():
                self._list(conn, "undo_failed", self._left([step], undo=True), now)

        if await self._ended(fail) and undone and work.after is not None:
            work.after()

    def _cannot_undo(self) -> list[Step]:
        """Steps an earlier holder finished, and perhaps found done already: a person must look."""
        results = self.work.frame.results
        steps = [step for step in self.work.form.steps if step.undo is not None and step.id in self.inherited]
        return [step for step in steps if step.id not in results or results[step.id].value is not None]

    # -- in doubt

    async def leave(self, error: dict[str, Any], due_at: float | None, sentence: str | None = None) -> None:
        """Let go of it with its outcome unknown: looked up after `due_at`, or (None) a person's.

        `sentence` is what the manual list says then, when the usual one does not fit.
        """
        now = self._now()
        shown = self._traced(now)
        listed = due_at is None or now - self.run.created_at >= LIST_AFTER_S

        def leave(conn: Connection) -> None:
            runs.in_doubt(conn, self.run.id, self.owner, due_at, error=error)
            self._end(conn, shown, now, settled=False)
            if listed:
                words = sentence or sentences.in_doubt(self.work.operation, self.run.id)
                self._list(conn, "in_doubt", words, now)

        await self._ended(leave)

    async def leave_for_later(self, error: dict[str, Any], not_before: float = 0.0) -> None:
        await self.leave(error, max(not_before, self._now() + later_s(self.run.tries)))

    # -- what they share

    async def _ended(self, end: Change) -> bool:
        """The last commit, unless somebody else has the run now."""
        changes = self.journal.taken()

        def ending(conn: Connection) -> None:
            journals.apply(conn, changes)
            end(conn)

        with contextlib.suppress(LostLease):
            await self.work.tenant.database.write(ending)
            self.work.held.clear()
            return True
        return False

    def _end(self, conn: Connection, shown: Sequence[Traced], now: float, *, settled: bool = True) -> None:
        run = self.run
        traces.add(conn, run.id, shown, first=run.tries == 0 and not run.repeated_at)
        self.work.release(conn, self.owner)
        if settled and run.tries > 0:  # it may have been on the manual list
            manual.settled(conn, run.id, now)

    def _list(self, conn: Connection, reason: str, sentence: str, now: float) -> None:
        manual.add(
            conn,
            tenant=self.run.tenant,
            enrolment_id=self.work.input.get("enrolmentId"),
            reason=reason,
            sentence=sentence,
            now=now,
            run_id=self.run.id,
        )

    def _queue(self, conn: Connection, kind: str, steps: Sequence[Step], now: float) -> None:
        """One task for all of them, in this order: an older step is only taken back after a newer one."""
        tasks.add(
            conn,
            tenant=self.run.tenant,
            kind=kind,
            payload={
                "operation": self.work.operation.value,
                "todo": [step.id for step in steps],
                "steps": dict(self.work.frame.steps),
                "input": self.work.input,
            },
            sentence=self._left(steps, undo=kind == "undo"),
            now=now,
            run_id=self.run.id,
        )

    def _left(self, steps: Sequence[Step], *, undo: bool) -> str:
        names = ", ".join(step.id for step in steps)
        return sentences.step_left(names, self.work.operation, self.run.id, undo=undo)

    def _traced(self, now: float) -> list[Traced]:
        name, operation = self.work.tenant.name, self.work.operation.value
        return [
            Traced(tenant=name, operation=operation, at=shown["left_at"] or now, exchange=shown)
            for shown in self.trace.shown()
        ]

    def _now(self) -> float:
        return self.work.tenant.database.clock.now()


def _follow_up(work: Work) -> list[Step]:
    """Optional steps whose outcome is unknown and that may simply be done again."""
    results = work.frame.results
    return [
        step
        for step in work.form.steps
        if step.optional
        and step.action is not None
        and step.action.repeat == "safe"
        and step.id in results
        and results[step.id].outcome == "unknown"
    ]


def stored_error(error: GatewayError) -> dict[str, Any]:
    """An error as a run keeps it; joined requests on other gateways hear it from there."""
    return {"code": error.code, "status": error.status, "message": error.message, "detail": error.detail}
