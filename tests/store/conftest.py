"""A store to test with: every test runs on SQLite and on PostgreSQL."""

import pytest

from gateway.store.database import Database, upgrade
from gateway.store.engines import is_sqlite, parse_url, postgres_engine, sqlite_engine
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def sqlite_url(tmp_path):
    """A database of the test's own, with its tables and empty; `tmp_path / "gateway.db"`."""
    upgrade(url := f"sqlite:///{tmp_path}/gateway.db")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request):
    """The same on each database in turn."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


@pytest.fixture
def engine(store_url):
    """An engine over all tables, empty."""
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
    opened = Database.open(store_url)
    yield opened
    await opened.close()
