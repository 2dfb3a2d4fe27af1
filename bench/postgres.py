"""A PostgreSQL server for the bench: on disk and with every commit synced, unlike the one of the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import make_template, new_database
from tests.support.postgres_server import MISSING, Server, missing, server_account

SAFE = "\nfsync = on\nfull_page_writes = on\nautovacuum = on\n"


@contextmanager
def database() -> Iterator[str | None]:
    """The URL of a migrated database on a server of its own; None, with what to type, where there is none."""
    if missing():
        print(f"PostgreSQL is left out: type  {MISSING.rpartition('type:')[2].partition(chr(10))[0].strip()}")
        yield None
        return
    home = Path(tempfile.mkdtemp(prefix="lms-gateway-bench-"))
    if account := server_account():
        shutil.chown(home, account)
    server = Server(home)
    try:
        server.start()
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.write(SAFE)
        server.control("restart")
        make_template(server)
        with new_database(server) as url:
            yield url
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
