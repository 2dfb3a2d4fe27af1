"""One reading of an enrolment's progress, however it was learnt: kept, and queued for RTOPilot.

Never a stale value after a newer one, never a fall the policy holds, never a 100 that was not declared.
Source: vendors/rtopilot.md 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.engine.shape import Progress
from gateway.perform.tenant import Tenant
from gateway.store import enrolments, outbox
from gateway.store.enrolments import StoredEnrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the vendor said of one enrolment.

    `read_at` is when the question left, or the event arrived, on the gateway's clock; `event_at` the
    vendor's own stamp of an event that carries its value. `with_units`: unit results were read with it;
    without them they are still to be read, which a poll does.
    """

    progress: Progress
    read_at: float
    event_at: float | None = None
    with_units: bool = False


def kept_percent(tenant: Tenant, last: int | None, progress: Progress | None) -> int | None:
    """The per cent known after a reading, None while none is; it falls only where the policy lets it."""
    read = progress.percent if progress is not None else None
    if read is None or last is None:
        return last if read is None else read
    return max(read, last) if tenant.policy.fall == "hold" else read


def told_percent(tenant: Tenant, stored: StoredEnrolment, percent: int) -> int:
    """The per cent RTOPilot is told.

    An enrolment that was taken over when it was already completed is held at 99 unless the tenant says
    `adopted_completed: push`, because a 100 can issue a certificate.
    """
    held = stored.adopted and stored.completed and tenant.spec.adopted_completed == "hold"
    return min(percent, 99) if held else percent


def is_news(tenant: Tenant, stored: StoredEnrolment, progress: Progress) -> bool:
    """Whether a reading would change what is known: most do not, and those cost no commit."""
    percent = kept_percent(tenant, stored.last_progress, progress)
    return percent is not None and percent != stored.last_progress


def note(conn: Connection, tenant: Tenant, enrolment_id: str, reading: Reading, now: float) -> bool:
    """Keep a reading of an active enrolment and queue it; True when RTOPilot is to be told something new.

    A reading that is older than what is known changes nothing.
    """
    stored = enrolments.locked(conn, tenant.name, enrolment_id)
    if stored is None or stored.state != "active" or _is_old(stored, reading):
        return False
    percent = kept_percent(tenant, stored.last_progress, reading.progress)
    if percent is None:
        return False
    # of an adopted one it says whether it was completed when it was taken over: see `told_percent`
    completed = stored.completed or (reading.progress.completed and not stored.adopted)
    enrolments.keep_reading(
        conn,
        tenant.name,
        stored.id,
        percent,
        completed,
        reading.read_at,
        reading.event_at,
        units_due=True if tenant.wants_units and percent and not reading.with_units else None,
    )
    if not tenant.spec.pushes and outbox.get(conn, tenant.name, stored.id) is None:
        return False  # RTOPilot never heard of it; of what it heard once, it will hear the rest
    return outbox.put(conn, tenant.name, stored.id, told_percent(tenant, stored, percent), now)


def told(conn: Connection, tenant: Tenant, enrolment_id: str, now: float) -> None:
    """RTOPilot is told this id: progress may be pushed after the grace, also what it once did not know."""
    enrolments.told(conn, tenant.name, enrolment_id, now + tenant.spec.grace_s)
    outbox.replay(conn, tenant=tenant.name, id=enrolment_id, cause="not_found", now=now)


def _is_old(stored: StoredEnrolment, reading: Reading) -> bool:
    if reading.event_at is not None and stored.event_at is not None:
        if reading.event_at < stored.event_at:
            return True
        if reading.event_at == stored.event_at and _is_behind(stored, reading.progress):
            return True  # both in one second, say: which was first is not known, and progress rises
    return stored.read_at is not None and reading.read_at < stored.read_at


def _is_behind(stored: StoredEnrolment, progress: Progress) -> bool:
    last, read = stored.last_progress, progress.percent
    return last is not None and read is not None and read < last
