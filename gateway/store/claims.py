"""Claiming rows that are due, for any table with `owner` and `lease_until`."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, FromClause, Table, Update, and_, bindparam, select, update


class LostLease(Exception):
    """The row is no longer ours: its lease ran out and somebody else took it, or it is finished."""


def claim_statement(
    table: Table, due: ColumnElement[bool], order: Column[float], within: FromClause | None = None
) -> Update:
    """UPDATE … RETURNING that makes up to `:limit` due rows ours: owner `:new_owner`, lease `:new_until`.

    Other gateways skip what is being claimed; SQLite has one writer, and SQLAlchemy drops the words there.
    `within` is the table joined with what else `due` looks at, of which nothing is locked.
    """
    key = tuple(table.primary_key.columns)
    # A common table expression, because PostgreSQL may run a sub-select with SKIP LOCKED more than once
    # in one statement, and then claims more than the limit.
    chosen = (
        select(*key)
        .select_from(table if within is None else within)
        .where(due)
        .order_by(order)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True, of=table)
        .cte("chosen")
    )
    return (
        update(table)
        .where(and_(*(column == chosen.c[column.name] for column in key)))
        .values(owner=bindparam("new_owner"), lease_until=bindparam("new_until"))
        .returning(*table.c)
    )
