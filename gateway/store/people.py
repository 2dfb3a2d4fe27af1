"""Fields remembered for a student or a course beyond one run: `known.student`, `known.course`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from sqlalchemy import Connection, Select, bindparam, select

from gateway.store.locks import several_writers
from gateway.store.tables import insert, known

Kind = Literal["student", "course", "contact"]
Fields = Mapping[str, Any]

MERGED_FROM = "mergedFrom"
"""The field of a student whose other fields come from a student merged away: that one's id."""

CHUNK = 500


def remember(
    conn: Connection, tenant: str, kind: Kind, subject_id: str, fields: Fields, *, now: float
) -> None:
    """Keep `fields` for this student or course, over those of the same name and beside the others."""
    remember_many(conn, tenant, kind, {subject_id: fields}, now=now)


def remember_many(
    conn: Connection, tenant: str, kind: Kind, subjects: Mapping[str, Fields], *, now: float
) -> int:
    """The same for a whole list; writes only what changed, and returns how many that were."""
    return sum(_merge(conn, tenant, kind, part, now) for part in _parts(subjects))


def recall(conn: Connection, tenant: str, kind: Kind, subject_id: str) -> dict[str, Any] | None:
    """What is remembered, or None."""
    values = {"in_tenant": tenant, "of_kind": kind, "subject": subject_id}
    return conn.execute(_RECALL, values).scalar_one_or_none()


def recall_many(
    conn: Connection, tenant: str, kind: Kind, subject_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What is remembered of each; the unknown are left out."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(subject_ids), CHUNK):
        some = list(subject_ids[start : start + CHUNK])
        found.update(_fields(conn, _RECALL_MANY, tenant, kind, some))
    return found


def _merge(conn: Connection, tenant: str, kind: Kind, subjects: Mapping[str, Fields], now: float) -> int:
    existing = _locked(conn, tenant, kind, subjects, now)
    rows = [
        {
            "tenant": tenant,
            "kind": kind,
            "subject_id": subject,
            "fields": {**existing.get(subject, {}), **fields},
            "updated_at": now,
        }
        for subject, fields in subjects.items()
    ]
    changed = [row for row in rows if existing.get(str(row["subject_id"])) != row["fields"]]
    if changed:
        conn.execute(_UPSERT, changed)
    return len(changed)


def _locked(
    conn: Connection, tenant: str, kind: Kind, subjects: Collection[str], now: float
) -> dict[str, dict[str, Any]]:
    """What is remembered of each, ours until the transaction ends; also of those nobody knew so far."""
    found = _lock(conn, tenant, kind, list(subjects))
    missing = [subject for subject in subjects if subject not in found]
    if not missing or not several_writers(conn):
        return found
    # A row that is not there cannot be locked: two who remember something first would not see each other.
    same = {"tenant": tenant, "kind": kind, "fields": {}, "updated_at": now}
    conn.execute(_CREATE, [{"subject_id": subject, **same} for subject in missing])
    return _lock(conn, tenant, kind, list(subjects))


def _lock(conn: Connection, tenant: str, kind: Kind, subjects: list[str]) -> dict[str, dict[str, Any]]:
    if len(subjects) > 1:
        return _fields(conn, _LOCK_MANY, tenant, kind, subjects)
    values = {"in_tenant": tenant, "of_kind": kind, "subject": subjects[0]}
    row = conn.execute(_LOCK_ONE, values).first()
    return {} if row is None else {subjects[0]: row.fields}


def _fields(
    conn: Connection, query: Select[Any], tenant: str, kind: Kind, subjects: list[str]
) -> dict[str, dict[str, Any]]:
    values = {"in_tenant": tenant, "of_kind": kind, "subjects": subjects}
    return {row.subject_id: row.fields for row in conn.execute(query, values)}


def _parts(subjects: Mapping[str, Fields]) -> Iterator[dict[str, Fields]]:
    # Sorted, so that two gateways with the same list take the rows in the same order: no deadlock
    items = iter(sorted(subjects.items()))
    while part := dict(islice(items, CHUNK)):
        yield part


_OF_KIND = (known.c.tenant == bindparam("in_tenant"), known.c.kind == bindparam("of_kind"))
_RECALL = select(known.c.fields).where(*_OF_KIND, known.c.subject_id == bindparam("subject"))
_RECALL_MANY = select(known.c.subject_id, known.c.fields).where(
    *_OF_KIND, known.c.subject_id.in_(bindparam("subjects", expanding=True))
)
_LOCK_MANY = _RECALL_MANY.order_by(known.c.subject_id).with_for_update()
_LOCK_ONE = _RECALL.with_for_update()
_NEW = insert(known)
_CREATE = _NEW.on_conflict_do_nothing()
_UPSERT = _NEW.on_conflict_do_update(
    index_elements=[known.c.tenant, known.c.kind, known.c.subject_id],
    set_={"fields": _NEW.excluded.fields, "updated_at": _NEW.excluded.updated_at},
)
