"""The tables of progress on its way back: what came in, when to ask, what RTOPilot is to be told.

Rules of all tables: see `tables.py`.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, LargeBinary, Table, Text

from gateway.store.base import free, metadata, only

outbox = Table(
    "outbox",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("value", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sent_version", Integer, nullable=False),
    Column("sent_value", Integer),
    Column("state", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("cause", Text),
    Column("status", Integer),
    Column("last_error", Text),
    Column("first_failed_at", Double),
    Column("sent_at", Double),
    Column("updated_at", Double, nullable=False),
    # By age, to send; by due time, to see at a glance whether a tenant has anything to send
    Index("ix_outbox_since", "tenant", "since", **only("state = 'pending'")),
    Index("ix_outbox_due", "tenant", "due_at", **only("state = 'pending'")),
    Index("ix_outbox_dead", "tenant", "cause", "status", **only("state = 'dead'")),
)

reply_sample = Table(
    "reply_sample",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("at", Double, nullable=False),
)

pause = Table(
    "pause",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key_hash", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("headers", free()),
    Column("query", Text, nullable=False),
    Column("reason", Text),
    Column("dedupe", Text),
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("last_error", Text),
    Column("received_at", Double, nullable=False),
    Column("finished_at", Double),
    Index("ix_inbox_due", "due_at", **only("state = 'new'")),
    Index("ix_inbox_quarantined", "received_at", **only("state = 'quarantined'")),
    Index("uq_inbox_waiting", "tenant", "source", "dedupe", unique=True, **only("dedupe IS NOT NULL")),
    Index(None, "tenant", "received_at"),
    Index(None, "finished_at"),
)

seen_event = Table(
    "seen_event",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("id_hash", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Index(None, "at"),
)

schedule = Table(
    "schedule",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("next_due", Double, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("started_at", Double),
    Column("cursor", free()),
    Column("last_ok_at", Double),
    Column("failures", Integer, nullable=False),
    Column("last_error", Text),
    Index(None, "next_due"),
)

unit_result = Table(
    "unit_result",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("enrolment_id", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("unit_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("date", Text),
    Column("source", Text, nullable=False),
    Column("source_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
)

merged_student = Table(
    "merged_student",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("from_id", Text, primary_key=True),
    Column("to_id", Text, nullable=False),
    Column("at", Double, nullable=False),
)
