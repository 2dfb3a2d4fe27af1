"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gateway.store import migrate
from gateway.store.engines import parse_url, sqlite_engine

MADE = text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
BY_ALEMBIC = migrate._run


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for all: the gateway runs on asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def tables_made_at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite file gets the tables that Alembic made in a first one: it takes longer than most tests."""
    made = _made_by_alembic(tmp_path_factory.mktemp("tables") / "gateway.db")

    def run(conn: Connection) -> None:
        if conn.dialect.name != "sqlite" or conn.execute(MADE).first() is not None:
            return BY_ALEMBIC(conn)
        for statement in made:
            conn.exec_driver_sql(statement)
        conn.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": migrate.HEAD})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_run", run)
        yield


@pytest.fixture
def alembic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every upgrade is Alembic's own."""
    monkeypatch.setattr(migrate, "_run", BY_ALEMBIC)


def _made_by_alembic(file: Path) -> list[str]:
    url = f"sqlite:///{file}"
    migrate.upgrade(url)
    engine = sqlite_engine(parse_url(url), writes=False)
    with engine.connect() as conn:
        made = [row.sql for row in conn.execute(MADE)]
    engine.dispose()
    return made
