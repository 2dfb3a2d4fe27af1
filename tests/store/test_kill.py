"""kill -9 in the middle of the load: whatever was acknowledged is there, and nothing is there by half."""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

import gateway
from gateway.store.database import Database
from gateway.store.tables import manual, task

ROOT = Path(gateway.__file__).parent.parent
CHILD = """
import asyncio, os, sys
from gateway.store import manual, tasks
from gateway.store.database import Database

async def main(url, name):
    database = Database.open(url)

    async def work(worker):
        for n in range(1_000_000):
            key = f"{name}-{worker}-{n}"
            def both(conn):
                manual.add(conn, tenant="t", enrolment_id=key, reason="r", sentence="s", now=0.0)
                tasks.add(conn, tenant="t", kind="undo", payload={}, sentence="s", now=0.0, enrolment_id=key)
            await database.write(both)
            os.write(1, f"{key}\\n".encode())

    await asyncio.gather(*(work(worker) for worker in range(32)))

asyncio.run(main(*sys.argv[1:]))
"""


def killed_after(url, name, acknowledged):
    """Start a child, kill it once it acknowledged that many writes, return all it acknowledged."""
    command = [sys.executable, "-c", CHILD, url, name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        lines = [child.stdout.readline() for _ in range(acknowledged)]
        child.kill()
        lines += child.stdout.readlines()
    assert child.returncode == -9
    return {line.strip() for line in lines if line.endswith("\n")}


async def test_acknowledged_writes_survive_kill_and_no_closure_is_kept_by_half(store_url):
    acknowledged = set()
    for name, writes in (("first", 50), ("second", 300), ("third", 777)):
        acknowledged |= killed_after(store_url, name, writes)
    database = Database.open(store_url)
    listed = await database.read(lambda conn: set(conn.execute(select(manual.c.enrolment_id)).scalars()))
    queued = await database.read(lambda conn: set(conn.execute(select(task.c.enrolment_id)).scalars()))
    await database.close()
    assert len(acknowledged) >= 50 + 300 + 777
    assert acknowledged <= listed
    assert listed == queued
