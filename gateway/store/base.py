"""What every table definition is made of: the metadata, and the few forms they share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, MetaData, Table, text
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def insert(table: Table) -> postgresql.Insert:
    """An INSERT that knows ON CONFLICT on both databases, and how many rows it wrote."""
    # PostgreSQL's insert compiles to the same words on SQLite; the reverse fails. Without preserve_rowcount
    # SQLAlchemy answers -1 on PostgreSQL: "nothing inserted" would read as "inserted".
    return postgresql.insert(table).execution_options(preserve_rowcount=True)


def free() -> JSON:
    """A column whose shape is the mapping's or RTOPilot's."""
    return JSON(none_as_null=True)


def only(condition: str) -> dict[str, Any]:
    """The condition of a partial index, for both databases.

    A statement uses that index only if it says the same as text: a bound value proves nothing beforehand.
    """
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
