"""Leases of processes that were killed on this machine: freed at the next start, not when they run out.

An owner is `host:pid:random` (`gateway.app.owner_name`), with a suffix after `/` for leases of one run.
"""

from __future__ import annotations

import os

from sqlalchemy import Connection, Table, select, update

from gateway.store.tables import lease, run, task, token
from gateway.store.tables_progress import inbox, schedule

_LEASED: tuple[Table, ...] = (run, task, lease, token, inbox, schedule)
"""Not the outbox: RTOPilot may still be at work on a request of the dead one, and a newer value that
overtook it would be the one that is lost. Those leases run out by themselves, in half a minute.
"""


def release_dead(conn: Connection, me: str, now: float) -> int:
    """End the leases of owners that ran on this host and do not any more; returns how many owners those were.

    Only for a store that one machine uses: elsewhere another host may have the same name.
    A process that got the dead one's number meanwhile keeps its leases until they run out.
    """
    owners = {owner for table in _LEASED for owner in _owners(conn, table, now) if _is_dead(owner, me)}
    for table in _LEASED:
        for owner in owners:
            conn.execute(update(table).where(table.c.owner == owner).values(lease_until=now))
    return len(owners)


def _owners(conn: Connection, table: Table, now: float) -> list[str]:
    held = select(table.c.owner).where(table.c.owner.is_not(None), table.c.lease_until > now).distinct()
    return list(conn.execute(held).scalars())


def _is_dead(owner: str, me: str) -> bool:
    process = owner.partition("/")[0]
    host, _, rest = process.rpartition(":")[0].rpartition(":")
    if process == me or host != me.rpartition(":")[0].rpartition(":")[0] or not rest.isdigit():
        return False
    return not _alive(int(rest)) or int(rest) == os.getpid()  # our number, and not us: it was here before


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
