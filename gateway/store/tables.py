"""The tables of runs and what they leave, and the one list of columns that hold personal data.

Times are Unix seconds of the gateway's clock (`clock.py`). JSON only where shapes are free; never pickle.
Several gateways share these tables, so work is claimed with a lease: `owner` and `lease_until`.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.store.base import free, insert, metadata, only
from gateway.store.tables_progress import (
    inbox,
    merged_student,
    outbox,
    pause,
    reply_sample,
    schedule,
    seen_event,
    unit_result,
)

__all__ = [
    "IS_ACTIVE",
    "IS_LIVE",
    "NOT_PERSONAL",
    "PERSONAL",
    "budget",
    "enrolment",
    "insert",
    "known",
    "lease",
    "manual",
    "metadata",
    "run",
    "step",
    "task",
    "token",
    "trace",
]

_LIVE_ONLY = only("state IN ('running', 'in_doubt')")
IS_LIVE = text("run.state IN ('running', 'in_doubt')")
"""Whether a run stands in the way of a second one for the same request.

As text: a bound list would be expanded anew at every execution, which costs more than the query.
"""
IS_ACTIVE = text("enrolment.state = 'active'")
"""As text, so that the index of active enrolments is used (see `base.only`)."""
_PENDING_ONLY = only("state = 'pending'")

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("input", free()),
    Column("output", free()),
    Column("error", free()),
    Column("enrolment_id", Text),
    Column("student_id", Text),
    Column("mapping_hash", Text, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("due_at", Double),
    Column("tries", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("told_error_at", Double),
    Column("repeated_at", Double),
    Column("listed_at", Double),
    Index("uq_run_live", "tenant", "fingerprint", unique=True, **_LIVE_ONLY),
    Index("ix_run_live_state", "state", "lease_until", **_LIVE_ONLY),
    Index(None, "tenant", "fingerprint", "finished_at"),
    Index(None, "tenant", "created_at"),
    Index(None, "finished_at"),
)

step = Table(
    "step",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("left_at", Double),
    Column("value", free()),
    Column("warnings", free()),
    Column("found", Boolean),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("alias", Text, nullable=False),
    Column("vendor_account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("record", free()),
    Column("course_id", Text),
    Column("student_id", Text),
    Column("completed", Boolean, nullable=False),
    Column("adopted", Boolean, nullable=False),
    Column("last_progress", Integer),
    Column("moved_to", Text),
    Column("seen_at", Double),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("push_from", Double),
    Column("read_at", Double),
    Column("event_at", Double),
    Column("units_due", Boolean),
    UniqueConstraint("tenant", "alias", "key", "generation"),
    Index(None, "vendor_account", "key"),
    Index(None, "tenant", "student_id"),
    Index("ix_enrolment_active", "tenant", "course_id", "id", **only("state = 'active'")),
)

known = Table(
    "known",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("fields", free()),
    Column("updated_at", Double, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("lease_until", Double, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("auth", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("sealed", LargeBinary),
    Column("saved_at", Double),
    Column("expires_at", Double),
    Column("paused_until", Double),
    Column("pause_reason", Text),
    Column("owner", Text),
    Column("lease_until", Double),
)

budget = Table(
    "budget",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("rate", Text, primary_key=True),
    Column("window_start", Double, nullable=False),
    Column("used", Integer, nullable=False),
)

trace = Table(
    "trace",
    metadata,
    Column("reference", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("exchange", free()),
    Index(None, "tenant", "at"),
    Index(None, "at"),
)

manual = Table(
    "manual",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("enrolment_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_id", Text),
    Column("created_at", Double, nullable=False),
    Column("done_at", Double),
    Index(
        "uq_manual_open",
        "tenant",
        "enrolment_id",
        "reason",
        "sentence",
        unique=True,
        **only("state = 'open'"),
    ),
    Index(None, "done_at"),
)

task = Table(
    "task",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", free()),
    Column("run_id", Text),
    Column("enrolment_id", Text),
    Column("sentence", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("last_error", Text),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Index("ix_task_due", "due_at", **_PENDING_ONLY),
    Index(None, "finished_at"),
)

PERSONAL: dict[Table, tuple[str, ...]] = {
    run: ("fingerprint", "input", "output", "error", "student_id"),
    step: ("value", "warnings"),
    enrolment: ("key", "record", "student_id"),
    known: ("subject_id", "fields"),
    trace: ("exchange",),
    manual: ("sentence",),
    task: ("payload", "last_error", "sentence"),
    outbox: ("last_error",),
    reply_sample: ("body",),
    inbox: ("raw", "headers", "query", "reason", "last_error"),
    schedule: ("last_error",),
    unit_result: ("outcome", "date"),
    merged_student: ("from_id", "to_id"),
}
"""Columns that may hold a student's data, by table: what `lms-gateway forget` empties or deletes."""

NOT_PERSONAL = frozenset({lease, token, budget, pause, seen_event})
"""Tables without personal data: lease names and event ids are hashed, tokens belong to an account."""
