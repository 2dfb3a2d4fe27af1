"""A run's steps in the store: intent before a write leaves, outcome after it, as few commits as that takes.

What steps leave behind waits in memory until the next call leaves or the run ends; then everything is
committed together. A read that was interrupted just runs again, so reads are not stored at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.engine.calls import Call, Commit
from gateway.engine.doubt import Doubt, Resume, StepResult
from gateway.mapping.spec import Step
from gateway.store import people, steps
from gateway.store.database import Database

Change = Callable[[Connection], None]


class StoreJournal:
    """The journal of one run held by `owner`. `subjects` are the ids `remember` is about."""

    def __init__(
        self,
        database: Database,
        *,
        run_id: str,
        owner: str,
        tenant: str,
        steps: Sequence[Step],
        subjects: Mapping[str, str | None],
    ) -> None:
        self._database, self._run_id, self._owner, self._tenant = database, run_id, owner, tenant
        self._seq = {step.id: index for index, step in enumerate(steps)}
        self._subjects = subjects
        self._pending: list[Change] = []
        self.began = False
        """Whether a write has been noted, so that something may have happened at the vendor."""

    def commit(self, commit: Commit) -> None:
        seq = self._seq[commit.step]
        skipped = commit.value is None and commit.outcome == "ok"
        if commit.effect == "write" and not skipped:  # an optional step that failed is not taken up again
            self._pending.append(
                lambda conn: steps.step_done(
                    conn,
                    self._run_id,
                    self._owner,
                    seq,
                    commit.step,
                    commit.value,
                    commit.warnings,
                    found=commit.outcome == "already",
                    fenced=True,
                )
            )
        now = self._database.clock.now()
        for who, fields in commit.remember.items():
            self._remember(who, dict(fields), now)

    def _remember(self, who: str, fields: dict[str, Any], now: float) -> None:
        subject = self._subjects.get(who)
        if subject is not None:
            kind: Any = who
            self._pending.append(
                lambda conn: people.remember(conn, self._tenant, kind, subject, fields, now=now)
            )

    async def flush(self, leaving: Call | None) -> None:
        changes = self.taken()
        if leaving is not None and leaving.journal is not None:
            self.began = True
            changes.append(self._started(leaving.journal, again=leaving.again))
        if changes:
            await self._database.write(lambda conn: self._apply_fenced(conn, changes))

    def _apply_fenced(self, conn: Connection, changes: Sequence[Change]) -> None:
        steps.require_ours(conn, self._run_id, self._owner)
        apply(conn, changes)

    def _started(self, name: str, *, again: bool) -> Change:
        seq, now = self._seq[name.partition("/")[0]], self._database.clock.now()
        return lambda conn: steps.step_started(
            conn, self._run_id, self._owner, seq, name, now, again=again, fenced=True
        )

    async def not_sent(self, call: Call) -> None:
        """The write certainly did not happen; noted with whatever is committed next."""
        assert call.journal is not None
        seq = self._seq[call.journal.partition("/")[0]]
        self._pending.append(
            lambda conn: steps.step_not_sent(conn, self._run_id, self._owner, seq, fenced=True)
        )

    def taken(self) -> list[Change]:
        """What has not been stored yet, handed over to the caller's own commit."""
        changes, self._pending = self._pending, []
        return changes

    def put_back(self, changes: Sequence[Change]) -> None:
        """The caller's commit came to nothing: they still wait to be stored."""
        self._pending[:0] = changes


def apply(conn: Connection, changes: Sequence[Change]) -> None:
    """What a journal has gathered; the caller's transaction is fenced by what it does to the run itself."""
    for change in changes:
        change(conn)


def fits(form: Sequence[Step], stored: Sequence[steps.Step]) -> bool:
    """Whether the steps a run has begun are those of this form still, each in its place."""
    places = {step.id: seq for seq, step in enumerate(form)}
    return all(
        places.get(step.name.partition("/")[0]) == step.seq for step in stored if step.state != "failed"
    )


def resume(stored: Sequence[steps.Step], *, settle_only: bool) -> Resume:
    """Where a run of which the store has these steps starts from."""
    finished = {
        # a step of branches was started under `step/branch`, and keeps that name when it is done
        step.name.partition("/")[0]: StepResult(
            value=step.value,
            outcome="already" if step.found else "ok",
            warnings=tuple(step.warnings),
            undo=step.found is False,
        )
        for step in stored
        if step.state == "done"
    }
    doubt = None
    for step in stored:
        if step.state == "started":
            name, _, branch = step.name.partition("/")
            doubt = Doubt(step=name, branch=branch or None, left_at=step.left_at or 0.0)
    return Resume(finished=finished, doubt=doubt, settle_only=settle_only)
