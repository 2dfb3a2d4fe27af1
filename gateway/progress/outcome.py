"""What follows from one push: for the tenant's lane, for the store, and for whoever reads the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy import Connection

from gateway.progress.lane import Figures, Lane
from gateway.progress.pacing import Rules, next_wait_s
from gateway.progress.push import Tried, scrubbed
from gateway.progress.rtopilot_key import fingerprint
from gateway.secret import Secret
from gateway.store import outbox, pauses
from gateway.store.claims import LostLease
from gateway.store.outbox import Cause, Item

log = logging.getLogger("gateway.delivery")

_CAUSES: Mapping[str, Cause] = {
    "retry": "transient",
    "not_found": "not_found",
    "refused": "refused",
    "config": "config",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One push and what it came to.

    `due_at` is the next try; None where there is none, or it is not a matter of time. `sample` is the first
    body of its status, scrubbed. `back`: RTOPilot is there, after it was away or nobody knew.
    """

    item: Item
    tried: Tried
    key: Secret
    at: float
    due_at: float | None
    sample: str | None
    back: bool
    was_away: bool

    def store(self, conn: Connection, owner: str) -> bool:
        """Write it down, if the row is still ours; whether it is a dead letter now."""
        tenant, status = self.item.tenant, self.tried.verdict.status
        if self.sample is not None and status is not None:
            outbox.keep_reply(conn, tenant, status, self.sample, self.at)
        if self.tried.verdict.kind == "pause":
            pauses.pause(conn, tenant, fingerprint(self.key), self.tried.reason, self.at)
        if self.back:
            outbox.awake(conn, tenant, self.at)
            pauses.lift(conn, tenant)
        try:
            return self._settle(conn, owner)
        except LostLease:
            return False  # whoever has the row now sends the same or a newer value, and hears for itself

    def _settle(self, conn: Connection, owner: str) -> bool:
        item, kind, status = self.item, self.tried.verdict.kind, self.tried.verdict.status
        this = (conn, item.tenant, item.id, owner)
        if kind == "accepted":
            assert status is not None
            outbox.sent(*this, version=item.version, value=item.value, status=status, now=self.at)
            return False
        if kind == "pause":
            outbox.release(*this)  # it is the key's fault, not its own
            return False
        failure: dict[str, Any] = {"status": status, "error": self.tried.reason, "cause": _CAUSES[kind]}
        if self.due_at is None:
            return outbox.dead(*this, **failure, version=item.version, now=self.at)
        outbox.later(*this, **failure, due_at=self.due_at, now=self.at)
        return False


def learn(
    lane: Lane, item: Item, key: Secret, tried: Tried, *, rules: Rules, random: Random, now: float
) -> Outcome:
    """Let the lane know, and say what follows."""
    answer = tried.verdict
    found = Outcome(
        item=item,
        tried=tried,
        key=key,
        at=now,
        due_at=_due_at(item, tried, rules, random, now),
        sample=_sample(lane, item, key, tried),
        back=lane.unsure and answer.kind == "accepted",
        was_away=lane.breaker.is_open,
    )
    lane.breaker.note(fault=answer.is_fault)
    if answer.kind == "accepted":
        lane.unsure, lane.throttled = False, 0
    elif lane.breaker.is_open or answer.kind == "pause":
        lane.unsure = True
    if answer.kind == "pause":
        lane.stopped = True
    elif answer.is_throttle:
        lane.throttle(answer.wait_s, now)
    return found


def tell(lane: Lane, outcome: Outcome, figures: Figures, *, is_dead: bool, now: float) -> None:
    """Count it, and log what an operator should know; ids only."""
    kind, reason = outcome.tried.verdict.kind, outcome.tried.reason
    if kind == "accepted":
        figures.sent += 1
        figures.latencies_s.append(now - outcome.item.since)
        if outcome.was_away:
            log.info("tenant %s: RTOPilot is back", lane.tenant)
        return
    figures.failed[_CAUSES.get(kind, "paused")] += 1
    if kind == "config":
        log.error("tenant %s: %s The queue is kept.", lane.tenant, reason)
    elif is_dead:
        log.warning("tenant %s: %s is a dead letter: %s", lane.tenant, outcome.item.id, reason)
    elif lane.breaker.is_open and not outcome.was_away:
        log.warning("tenant %s: RTOPilot seems to be away: %s", lane.tenant, reason)


def _due_at(item: Item, tried: Tried, rules: Rules, random: Random, now: float) -> float | None:
    kind = tried.verdict.kind
    if kind in ("accepted", "pause"):
        return None
    cause = _CAUSES[kind]
    wait_s = next_wait_s(
        cause,
        item.tries if item.cause in (None, cause) else 0,
        failing_s=now - (item.first_failed_at or now),
        told_s=tried.verdict.wait_s,
        rules=rules,
        random=random,
    )
    return None if wait_s is None else now + wait_s


def _sample(lane: Lane, item: Item, key: Secret, tried: Tried) -> str | None:
    """The answer, scrubbed, if it is the first of its status that this process sees."""
    status = tried.verdict.status
    if status is None or status in lane.statuses:
        return None
    lane.statuses.add(status)
    return scrubbed(tried.body, key=key, id=item.id)
