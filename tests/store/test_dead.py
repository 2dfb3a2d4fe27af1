"""Leases of killed processes are freed at the next start; those of living ones stay."""

import os
import subprocess

import pytest

from gateway.store import leases
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
