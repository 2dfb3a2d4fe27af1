"""What came of a poll or a webhook: what is known of each enrolment, what is queued, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.contract import Enrolment, Operation
from gateway.engine.events import Events, events
from gateway.perform.reading import told_percent
from gateway.progress import bodies
from gateway.progress.refresh import refresh
from gateway.progress.webhooks import reader_of
from gateway.store import enrolments, inbox, letters, units
from gateway.store.enrolments import StoredEnrolment
from gateway.workbench.cases_stage import NAME, Heard, Stage

MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One active enrolment afterwards.

    `percent` is what is known, as RTOPilot would be told it; `pushed` what is queued. None: nothing.
    """

    id: str
    record: Mapping[str, Any]
    percent: int | None
    completed: bool
    pushed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the store holds at the end. `pushed` is what waits for RTOPilot, by enrolment id."""

    known: tuple[Known, ...]
    pushed: Mapping[str, int]
    units: tuple[Mapping[str, Any], ...]

    @property
    def percents(self) -> dict[str, int | None]:
        return {one.id: one.percent for one in self.known}


async def told(stage: Stage) -> Told:
    tenant = stage.process.tenant

    def percent(stored: StoredEnrolment) -> int | None:
        last = stored.last_progress
        return None if last is None else told_percent(tenant, stored, last)

    def look(conn: Connection) -> Told:
        pushed = {item.id: item.value for item in letters.list_items(conn, tenant=NAME, limit=MOST)}
        return Told(
            known=tuple(
                Known(
                    id=one.id,
                    record=one.record,
                    percent=percent(one),
                    completed=one.completed,
                    pushed=pushed.get(one.id),
                )
                for one in enrolments.active(conn, NAME, limit=MOST)
            ),
            pushed=pushed,
            units=tuple(
                {
                    "code": one.code,
                    "id": one.unit_id,
                    "name": one.name,
                    "outcome": one.outcome,
                    "date": one.date,
                }
                for one in units.of_tenant(conn, NAME, limit=MOST)
            ),
        )

    return await stage.bench.reads.run(look)


async def findings(stage: Stage, heard: Heard) -> dict[str, Any]:
    """What a case may expect of a poll or webhook, by the names it uses; `progress` is a Told."""
    counts, polled = stage.process.back.intake.counts, stage.process.back.poller.counts
    arrived = await stage.bench.reads.run(lambda conn: inbox.list_items(conn, tenant=NAME, limit=1))
    newest, known = arrived[0] if arrived else None, await told(stage)
    return {
        "progress": known,
        "pushed": known.pushed,
        "unmatched": counts.unmatched + polled.unmatched,
        "dropped": counts.dropped + polled.dropped,
        "repeated": counts.repeated,
        "verified": _verified(heard, newest),
        "aside": None if newest is None or newest.state != "quarantined" else newest.reason,
        "events": None if newest is None else _events(stage, newest),
    }


def _verified(heard: Heard, newest: inbox.Delivery | None) -> Any:
    if heard.status != 200 or newest is None:
        return False
    return "quarantine" if newest.reason == "unverifiable" else True


def _events(stage: Stage, delivery: inbox.Delivery) -> list[dict[str, Any]]:
    """The events as the intake reads them; none where the body cannot be read."""
    progress = stage.process.tenant.mapping.progress
    webhook = reader_of(delivery.source, () if progress is None else progress.webhooks)
    assert webhook is not None  # it was taken by one of them
    try:
        body = bodies.parse(webhook.body, delivery.raw, delivery.headers.get("content_type", ""))
    except bodies.Unreadable:
        return []
    frame = stage.process.tenant.frame(Operation.GET_ENROLMENT)
    read: Events = events(frame, webhook, body, delivery.headers)
    return [{"id": one.id, "find": dict(one.find), "value": one.value} for one in read.events]


async def refreshed(stage: Stage, heard: Heard) -> None:
    """Read a getEnrolment's enrolment once more, as when it has moved on: that is what keeps its units."""
    stored = await stage.stored(heard)
    if stored is None or not isinstance(heard.result, Enrolment):
        return
    stage.vendor.strict = False
    await refresh(stage.process.tenant, stored)


# -- comparing ----------------------------------------------------------------------------------------


def wrong_progress(wanted: Any, found: Told) -> list[str]:
    """The differences to `expect.progress`: by id, or a list of what records come to. All must be named."""
    if isinstance(wanted, int):
        return ["expect.progress: of a poll or webhook it is a map or a list, one for each enrolment"]
    if isinstance(wanted, Mapping):
        same = found.percents == dict(wanted)
        return [] if same else [f"expect.progress: {dict(wanted)!r} was expected, it is {found.percents!r}"]
    problems = [problem for one in wanted for problem in _wrong_one(one, found)]
    if len(wanted) != len(found.known):
        problems.append(
            f"expect.progress: {len(wanted)} enrolments were expected, there are {len(found.known)}"
        )
    return problems


def _wrong_one(wanted: Mapping[str, Any], found: Told) -> list[str]:
    record = wanted["record"]
    fitting = [one for one in found.known if record.items() <= one.record.items()]
    if len(fitting) != 1:
        return [f"expect.progress: {len(fitting)} enrolments have {record!r}, and it must be one"]
    [one] = fitting
    found_of = {"percent": one.percent, "completed": one.completed, "pushed": one.pushed}
    return [
        f"expect.progress: {name} {value!r} for {record!r}, it is {found_of[name]!r}"
        for name, value in wanted.items()
        if name != "record" and value != found_of[name]
    ]


def wrong_parts(
    name: str, wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The differences to a list of things, of which only what is named is compared."""
    shown = [{key: one.get(key) for key in some} for some, one in zip(wanted, found, strict=False)]
    if len(wanted) == len(found) and shown == [dict(some) for some in wanted]:
        return []
    texts = [repr([dict(one) for one in some]) for some in (wanted, found)]
    return [f"expect.{name}: {texts[0]} was expected, it is {texts[1]}"]
