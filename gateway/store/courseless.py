"""Active enrolments whose course is not known: adopted ones, where the id does not say it."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from gateway.store.enrolments import StoredEnrolment
from gateway.store.tables import IS_ACTIVE, enrolment


def active(conn: Connection, tenant: str, *, after_id: str = "", limit: int = 500) -> list[StoredEnrolment]:
    """Those of a tenant in the order of their ids; `after_id` gives the next page."""
    values = {"in_tenant": tenant, "after": after_id, "limit": limit}
    return [StoredEnrolment(**row) for row in conn.execute(_ACTIVE, values).mappings()]


def count(conn: Connection, tenant: str) -> int:
    return int(conn.execute(_COUNT, {"in_tenant": tenant}).scalar_one())


_COURSELESS = (enrolment.c.tenant == bindparam("in_tenant"), IS_ACTIVE, enrolment.c.course_id.is_(None))
_ACTIVE = (
    select(enrolment)
    .where(*_COURSELESS, enrolment.c.id > bindparam("after"))
    .order_by(enrolment.c.id)
    .limit(bindparam("limit"))
)
_COUNT = select(func.count()).select_from(enrolment).where(*_COURSELESS)
