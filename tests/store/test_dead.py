"""Leases of killed processes are freed at the next start; those of living ones stay."""

import os
import subprocess

import pytest

from gateway.store import enrolments, inbox, leases, outbox, schedules
from gateway.store.dead import release_dead

NOW = 1_000.0
ME = f"box:{os.getpid()}:new"


@pytest.fixture
def dead_pid() -> int:
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


@pytest.mark.parametrize(
    ("owner", "freed"),
    [
        pytest.param("box:{dead}:old", True, id="killed on this machine"),
        pytest.param("box:{dead}:old/fingerprint", True, id="a lease of one of its runs"),
        pytest.param("box:{me}:old", True, id="our own number before a restart"),
        pytest.param("box:{me}:new", False, id="ourselves"),
        pytest.param("box:{parent}:other", False, id="alive beside us"),
        pytest.param("far:{dead}:old", False, id="on another machine"),
        pytest.param("somebody", False, id="not a process's name"),
    ],
)
async def test_only_leases_of_dead_processes_of_this_machine_are_freed(database, dead_pid, owner, freed):
    holder = owner.format(dead=dead_pid, me=os.getpid(), parent=os.getppid())
    await database.write(lambda conn: leases.acquire(conn, "acme", "204", holder, NOW, 90))
    await database.write(lambda conn: release_dead(conn, ME, NOW + 1))
    taken = await database.write(
        lambda conn: leases.acquire(conn, "acme", "204", "someone else", NOW + 2, 90)
    )
    assert taken is freed


def progress_claimed(conn, owner, now):
    """How many rows of progress, one of each table, this owner gets."""
    return [
        len(outbox.claim(conn, "acme", owner, now, 600.0, 9)),
        len(inbox.claim(conn, owner, now, 600.0)),
        len(schedules.claim(conn, owner, now, 600.0, 9)),
    ]


async def test_polls_and_webhooks_of_a_killed_process_go_on_at_once_but_a_push_may_still_be_on_its_way(
    database, dead_pid
):
    def fill(conn):
        enrolments.add(
            conn,
            tenant="acme",
            vendor_account="a",
            key="k",
            make_id=lambda n: "7",
            record={},
            now=0.0,
            push_from=0.0,
        )
        outbox.put(conn, "acme", "7", 40, NOW)
        inbox.store(conn, tenant="acme", source="lms", raw=b"", headers={}, now=NOW)
        schedules.ensure(conn, "acme", "poll", NOW)
        return progress_claimed(conn, f"box:{dead_pid}:old", NOW)

    assert await database.write(fill) == [1, 1, 1]
    assert await database.write(lambda conn: progress_claimed(conn, ME, NOW + 1)) == [0, 0, 0]
    assert await database.write(lambda conn: release_dead(conn, ME, NOW + 1)) == 1
    assert await database.write(lambda conn: progress_claimed(conn, ME, NOW + 1)) == [0, 1, 1]
    assert await database.write(lambda conn: progress_claimed(conn, ME, NOW + 600)) == [1, 0, 0]
