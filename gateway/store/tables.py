"""Every table of the store, and the one list of the columns that hold personal data.

Times are Unix seconds of the gateway's clock (`clock.py`). JSON only where shapes are free; never pickle.
Several gateways share these tables, so work is claimed with a lease: `owner` and `lease_until`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_LIVE_ONLY = text("state IN ('running', 'in_doubt')")
IS_LIVE = text("run.state IN ('running', 'in_doubt')")
"""Whether a run stands in the way of a second one for the same request.

As text: a bound list would be expanded anew at every execution, which costs more than the query.
"""
_OPEN_ONLY = text("state = 'open'")
_PENDING_ONLY = text("state = 'pending'")


def insert(table: Table) -> postgresql.Insert:
    """An INSERT that knows ON CONFLICT on both databases, and how many rows it wrote."""
    # PostgreSQL's insert compiles to the same words on SQLite; the reverse fails. Without preserve_rowcount
    # SQLAlchemy answers -1 on PostgreSQL: "nothing inserted" would read as "inserted".
    return postgresql.insert(table).execution_options(preserve_rowcount=True)


def _free() -> JSON:
    return JSON(none_as_null=True)


run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("input", _free()),
    Column("output", _free()),
    Column("error", _free()),
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
    Index(
        "uq_run_live",
        "tenant",
        "fingerprint",
        unique=True,
        sqlite_where=_LIVE_ONLY,
        postgresql_where=_LIVE_ONLY,
    ),
    Index("ix_run_live_state", "state", "lease_until", sqlite_where=_LIVE_ONLY, postgresql_where=_LIVE_ONLY),
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
    Column("value", _free()),
    Column("warnings", _free()),
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
    Column("record", _free()),
    Column("course_id", Text),
    Column("student_id", Text),
    Column("completed", Boolean, nullable=False),
    Column("adopted", Boolean, nullable=False),
    Column("last_progress", Integer),
    Column("moved_to", Text),
    Column("seen_at", Double),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    UniqueConstraint("tenant", "alias", "key", "generation"),
    Index(None, "vendor_account", "key"),
    Index(None, "tenant", "student_id"),
)

known = Table(
    "known",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("fields", _free()),
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
    Column("exchange", _free()),
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
        sqlite_where=_OPEN_ONLY,
        postgresql_where=_OPEN_ONLY,
    ),
    Index(None, "done_at"),
)

task = Table(
    "task",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", _free()),
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
    Index("ix_task_due", "due_at", sqlite_where=_PENDING_ONLY, postgresql_where=_PENDING_ONLY),
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
}
"""Columns that may hold a student's data, by table: what `lms-gateway forget` empties or deletes."""

NOT_PERSONAL = frozenset({lease, token, budget})
"""Tables without personal data: lease names are hashed, tokens belong to an account."""
