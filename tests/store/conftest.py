"""A store to test with: SQLite in a file, or whatever LMS_GATEWAY_TEST_STORE names (emptied first)."""

import os

import pytest
from sqlalchemy import text

from gateway.store.database import Database, upgrade
from gateway.store.engines import is_sqlite, parse_url, postgres_engine, sqlite_engine
from gateway.store.tables import metadata


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def store_url(tmp_path):
    url = os.environ.get("LMS_GATEWAY_TEST_STORE")
    if url is None:
        return f"sqlite:///{tmp_path}/gateway.db"
    engine = postgres_engine(parse_url(url))
    with engine.begin() as conn:
        conn.execute(text("DROP TABLE IF EXISTS alembic_version"))
        metadata.drop_all(conn)
    engine.dispose()
    return url


@pytest.fixture
def engine(store_url):
    """An engine over all tables, empty."""
    upgrade(store_url)
    parsed = parse_url(store_url)
    made = (
        sqlite_engine(parsed, writes=True, synchronous="OFF")
        if is_sqlite(parsed)
        else postgres_engine(parsed)
    )
    yield made
    made.dispose()


@pytest.fixture
def conn(engine):
    """One open transaction."""
    with engine.begin() as opened:
        yield opened


@pytest.fixture
async def database(store_url):
    upgrade(store_url)
    opened = Database.open(store_url)
    yield opened
    await opened.close()
