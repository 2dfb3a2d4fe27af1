"""The outbox as an operator reads it: what waits, what is dead and why, and what to do about it.

Nothing personal is in it: enrolments are ids, and RTOPilot's reasons were scrubbed before they were stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.operator.run_report import stamp
from gateway.store import enrolments, outbox, pauses
from gateway.store.enrolments import StoredEnrolment
from gateway.store.outbox import DeadCause, Item
from gateway.store.pauses import Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLine:
    """One tenant's queue. `oldest` is since when its oldest change waits; `pause` a key that was refused."""

    tenant: str
    counts: Mapping[str, int]
    oldest: float | None
    pause: Pause | None

    @property
    def waiting(self) -> int:
        return self.counts.get("pending", 0)

    @property
    def dead(self) -> int:
        return self.counts.get("dead", 0)

    @property
    def advice(self) -> str:
        """What to do, in a sentence or two; empty when there is nothing."""
        if self.pause is not None:
            return key_advice(self.pause)
        if self.dead:
            return f"Read why: `lms-gateway outbox list {self.tenant} --state dead`."
        return ""

    def as_json(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "waiting": self.waiting,
            "dead": self.dead,
            "delivered": self.counts.get("done", 0),
            "oldest": stamp(self.oldest),
            "paused": stamp(self.pause.at) if self.pause is not None else None,
            "todo": self.advice,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Every tenant's queue, why letters are dead, and the rows that were asked for."""

    tenants: tuple[TenantLine, ...]
    causes: tuple[DeadCause, ...]
    items: tuple[Item, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "tenants": [each.as_json() for each in self.tenants],
            "dead": [cause_json(each) for each in self.causes],
            "items": [item_json(each) for each in self.items],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReport:
    """One enrolment's value with what stands in its way."""

    item: Item
    enrolment: StoredEnrolment | None
    pause: Pause | None

    def advice(self, now: float) -> str:
        """What to do, in a sentence or two."""
        item = self.item
        if self.enrolment is None or self.enrolment.state != "active":
            return "Nothing: the enrolment is not active any more, so nothing is sent for it."
        if item.state == "done":
            return "Nothing: RTOPilot has accepted this value."
        if item.state == "dead":
            return _advice_when_dead(item)
        return self._advice_when_waiting(now)

    def _advice_when_waiting(self, now: float) -> str:
        item, push_from = self.item, self.enrolment.push_from if self.enrolment is not None else None
        if push_from is None:
            return (
                "Nothing: it is sent once RTOPilot has been told this id, by a create, a transfer or a look."
            )
        if self.pause is not None:
            return key_advice(self.pause)
        if item.lease_until is not None and item.lease_until > now:
            return "Nothing: a gateway is sending it."
        again = max(item.due_at, push_from)
        if item.cause == "config":
            return f"Correct `rtopilot.base_url` in config.yaml. It is tried again at {stamp(again)}."
        if again > now:
            return f"Nothing: the gateway sends it at {stamp(again)}."
        return "Nothing: it is due, and a running gateway sends it in its turn."

    def as_json(self, now: float) -> dict[str, Any]:
        return {
            **item_json(self.item),
            "first_failed": stamp(self.item.first_failed_at),
            "delivered_at": stamp(self.item.sent_at),
            "enrolment_state": self.enrolment.state if self.enrolment is not None else None,
            "push_from": stamp(self.enrolment.push_from) if self.enrolment is not None else None,
            "todo": self.advice(now),
        }


def overview(
    conn: Connection,
    *,
    tenant: str | None,
    states: Sequence[outbox.State],
    cause: outbox.Cause | None,
    limit: int,
) -> Overview:
    """All of it, or one tenant's; at most `limit` rows of each state."""
    counts, oldest, paused = outbox.counts(conn), outbox.oldest(conn), _first_pauses(conn)
    names = sorted({*counts, *paused}) if tenant is None else [tenant]
    items = [
        item
        for state in states
        for item in outbox.list_items(conn, tenant=tenant, state=state, cause=cause, limit=limit)
    ]
    return Overview(
        tenants=tuple(
            TenantLine(
                tenant=name, counts=counts.get(name, {}), oldest=oldest.get(name), pause=paused.get(name)
            )
            for name in names
        ),
        causes=tuple(outbox.causes(conn, tenant)),
        items=tuple(items),
    )


def load(conn: Connection, tenant: str, id: str) -> ItemReport | None:
    """The value of this enrolment, or None when nothing was ever queued for it."""
    item = outbox.get(conn, tenant, id)
    if item is None:
        return None
    return ItemReport(
        item=item, enrolment=enrolments.by_id(conn, tenant, id), pause=_first_pauses(conn).get(tenant)
    )


def key_advice(pause: Pause) -> str:
    """What to do about a key that RTOPilot refuses."""
    return (
        f"RTOPilot has refused the API key since {stamp(pause.at)}: give this tenant its new key, and it "
        f"goes on by itself. If the key was right: `lms-gateway outbox resume {pause.tenant}`."
    )


def replay_command(dead: DeadCause) -> str:
    """The command that tries these letters again."""
    status = f" --status {dead.status}" if dead.status is not None else ""
    return f"lms-gateway outbox replay {dead.tenant} --cause {dead.cause}{status}"


def cause_json(dead: DeadCause) -> dict[str, Any]:
    return {
        "tenant": dead.tenant,
        "cause": dead.cause,
        "status": dead.status,
        "count": dead.n,
        "example": dead.example,
        "replay": replay_command(dead),
    }


def item_json(item: Item) -> dict[str, Any]:
    return {
        "tenant": item.tenant,
        "enrolment": item.id,
        "state": item.state,
        "value": item.value,
        "delivered": item.sent_value,
        "since": stamp(item.since),
        "due": stamp(item.due_at) if item.state == "pending" else None,
        "tries": item.tries,
        "cause": item.cause,
        "status": item.status,
        "error": item.last_error,
    }


def _first_pauses(conn: Connection) -> dict[str, Pause]:
    """The earliest pause of each tenant."""
    found: dict[str, Pause] = {}
    for each in pauses.all_paused(conn):
        found.setdefault(each.tenant, each)
    return found


def _advice_when_dead(item: Item) -> str:
    again = f"`lms-gateway outbox replay {item.tenant} {item.id}`"
    match item.cause:
        case "not_found":
            return f"RTOPilot does not know this id. Look for it on the enrolment there, then {again}."
        case "transient":
            return f"RTOPilot failed on it for 14 days. When it works again: {again}."
        case _:
            return f"RTOPilot refuses this value; another one is tried by itself. When it would not: {again}."
