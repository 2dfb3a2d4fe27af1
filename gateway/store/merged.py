"""Students that RTOPilot merged: who an id stands for since. Source: vendors/rtopilot.md 5."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from gateway.store.base import insert
from gateway.store.tables_progress import merged_student

MAX_CHAIN = 20


def keep(conn: Connection, tenant: str, from_id: str, to_id: str, now: float) -> bool:
    """`from_id` is `to_id` from now on, over what was said before; False when it would lead in a circle."""
    if survivor(conn, tenant, to_id) == from_id:
        return False
    row = {"tenant": tenant, "from_id": from_id, "to_id": to_id, "at": now}
    conn.execute(_KEEP, row)
    return True


def survivor(conn: Connection, tenant: str, id: str) -> str:
    """Who the student is after all merges: the id itself when there were none. At most 20 are followed."""
    met = {id}
    for _ in range(MAX_CHAIN):
        into = conn.execute(_INTO, {"in_tenant": tenant, "of_id": id}).scalar_one_or_none()
        if into is None or into in met:
            break
        met.add(into)
        id = into
    return id


_NEW = insert(merged_student)
_KEEP = _NEW.on_conflict_do_update(
    index_elements=[merged_student.c.tenant, merged_student.c.from_id],
    set_={"to_id": _NEW.excluded.to_id, "at": _NEW.excluded.at},
)
_INTO = select(merged_student.c.to_id).where(
    merged_student.c.tenant == bindparam("in_tenant"), merged_student.c.from_id == bindparam("of_id")
)
