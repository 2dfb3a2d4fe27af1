"""PostgreSQL for tests: `postgres_url` is a database of the test's own, migrated and empty.

The server is shared by all workers of a session. A conftest takes the fixtures in by importing them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gateway.store.database import upgrade
from tests.support.postgres_server import SUPERUSER, Server, joined, missing

TEMPLATE = "gateway"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The session's server. Fails, with what to type, where PostgreSQL is not installed."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # the one that all workers know
    with running(folder) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """A new database with the tables of this version; dropped afterwards."""
    with new_database(postgres) as url:
        yield url


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server for the block, shared by all who name this folder; ready for `new_database`."""
    if reason := missing():
        pytest.fail(reason, pytrace=False)
    with joined(folder, make_template) as server:
        yield server


@contextlib.contextmanager
def new_database(server: Server) -> Iterator[str]:
    """The URL of a copy of the template, about 30 ms old."""
    name = f"test_{uuid4().hex[:12]}"
    order(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER gateway")
    try:
        yield server.url(name)
    finally:
        order(server, f"DROP DATABASE {name} WITH (FORCE)")


def make_template(server: Server) -> None:
    order(server, "CREATE ROLE gateway LOGIN")
    order(server, f"CREATE DATABASE {TEMPLATE} OWNER gateway")
    upgrade(server.url(TEMPLATE))


def order(server: Server, statement: str) -> None:
    """Have the server's owner do something outside of any transaction."""
    with psycopg.connect(host=str(server.home), user=SUPERUSER, dbname="postgres", autocommit=True) as conn:
        conn.execute(statement.encode())
