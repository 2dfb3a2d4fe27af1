"""Claiming rows that are due, for any table with `owner` and `lease_until`."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Table, Update, bindparam, select, update


class LostLease(Exception):
    """The row is no longer ours: its lease ran out and somebody else took it, or it is finished."""


def claim_statement(table: Table, due: ColumnElement[bool], order: Column[float]) -> Update:
    """UPDATE … RETURNING that makes up to `:limit` due rows ours: owner `:new_owner`, lease `:new_until`.

    Other gateways skip what is being claimed; SQLite has one writer, and SQLAlchemy drops the words there.
    """
    chosen = select(table.c.id).where(due).order_by(order).limit(bindparam("limit"))
    return (
        update(table)
        .where(table.c.id.in_(chosen.with_for_update(skip_locked=True)))
        .values(owner=bindparam("new_owner"), lease_until=bindparam("new_until"))
        .returning(*table.c)
    )
