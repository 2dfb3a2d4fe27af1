"""What only one transaction at a time may do, on a database where several write at once.

A transaction that looks for something and then writes misses what another one has written and not committed
yet. A row that is there can be locked (`FOR UPDATE`); what is not there yet needs a name to lock.
"""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import BigInteger, Connection, bindparam, func, select


def several_writers(conn: Connection) -> bool:
    """Whether others may write while this transaction does; SQLite lets in one after the other."""
    return conn.dialect.name == "postgresql"


def one_at_a_time(conn: Connection, *name: str) -> None:
    """Whoever takes the same name waits here until this transaction ends, and then sees what it wrote.

    Take names of one kind in one order, so that nobody waits for each other.
    """
    if several_writers(conn):
        conn.execute(_LOCK, {"key": _key(name)})


def _key(name: tuple[str, ...]) -> int:
    digest = sha256("\0".join(name).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


_LOCK = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))
