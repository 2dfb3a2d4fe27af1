"""Tables: migrations make exactly these, both databases take every statement, personal data is named."""

import importlib
import os
import pkgutil
import sqlite3
import stat

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.expression import Executable

import gateway.store
from gateway.errors import StoreError
from gateway.store import migrate
from gateway.store.database import Database, upgrade
from gateway.store.engines import is_sqlite, parse_url, postgres_engine, sqlite_engine
from gateway.store.tables import NOT_PERSONAL, PERSONAL, metadata


def statements():
    for module in pkgutil.iter_modules(gateway.store.__path__, "gateway.store."):
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if isinstance(value, Executable) and hasattr(value, "compile"):
                yield pytest.param(value, id=f"{module.name.removeprefix('gateway.store.')}.{name}")


@pytest.mark.parametrize("statement", list(statements()))
@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
def test_every_statement_compiles_for_both_databases(statement, dialect):
    assert str(statement.compile(dialect=dialect))


def test_claims_skip_locked_rows_where_there_is_more_than_one_writer():
    from gateway.store.runs import _CLAIM

    assert "FOR UPDATE OF run SKIP LOCKED" in str(_CLAIM.compile(dialect=postgresql.dialect()))
    assert "FOR UPDATE" not in str(_CLAIM.compile(dialect=sqlite.dialect()))


def test_migrations_and_metadata_agree(conn):
    context = MigrationContext.configure(conn, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []


def schema(path):
    with sqlite3.connect(path) as raw:
        rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%'").fetchall()
    raw.close()
    return {name: " ".join((sql or "").split()) for name, sql in rows if not name.startswith("sqlite_")}


def test_migrated_sqlite_file_is_word_for_word_what_metadata_creates(tmp_path, alembic):
    upgrade(f"sqlite:///{tmp_path}/migrated.db")
    created = sqlite_engine(parse_url(f"sqlite:///{tmp_path}/created.db"), writes=True)
    with created.begin() as conn:
        metadata.create_all(conn)
    created.dispose()
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "created.db")


def test_head_names_the_newest_migration():
    assert ScriptDirectory(str(migrate.SCRIPTS)).get_current_head() == migrate.HEAD


def test_every_table_says_which_columns_are_personal():
    assert set(PERSONAL) | NOT_PERSONAL == set(metadata.tables.values())
    assert not set(PERSONAL) & NOT_PERSONAL
    for table, columns in PERSONAL.items():
        assert set(columns) <= set(table.c.keys())


def test_upgrade_twice_changes_nothing(store_url):
    upgrade(store_url)
    upgrade(store_url)
    parsed = parse_url(store_url)
    engine = sqlite_engine(parsed, writes=False) if is_sqlite(parsed) else postgres_engine(parsed)
    with engine.connect() as conn:
        migrate.require_current(conn)
        assert set(inspect(conn).get_table_names()) == {*metadata.tables, "alembic_version"}
    engine.dispose()


def test_store_of_a_newer_gateway_is_refused(engine, store_url):
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer gateway"):
        Database.open(store_url)


def test_store_without_tables_is_told_to_upgrade(tmp_path):
    engine = sqlite_engine(parse_url(f"sqlite:///{tmp_path}/empty.db"), writes=True)
    with engine.connect() as conn, pytest.raises(StoreError, match="db upgrade"):
        migrate.require_current(conn)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        pytest.param("nonsense", "cannot be read", id="no URL"),
        pytest.param("mysql://x", "not supported", id="another database"),
        pytest.param("sqlite://", "must be a file", id="memory"),
        pytest.param("sqlite:///:memory:", "must be a file", id="memory by name"),
        pytest.param("sqlite:////no/such/folder/g.db", "folder exists", id="folder missing"),
        pytest.param("postgresql://u:MARKER@127.0.0.1:1/g", "cannot be used just now", id="nobody listens"),
    ],
)
def test_store_that_cannot_be_opened_says_what_to_do(url, sentence):
    with pytest.raises(StoreError, match=sentence) as caught:
        Database.open(url)
    assert "MARKER" not in str(caught.value)


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "g.db").write_text("not a database, only a text file that is long enough to be looked at" * 9)
    with pytest.raises(StoreError, match="is not a database"):
        Database.open(f"sqlite:///{tmp_path}/g.db")


def test_new_database_file_is_private(tmp_path):
    before = os.umask(0)
    try:
        upgrade(f"sqlite:///{tmp_path}/g.db")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "g.db").stat().st_mode) == 0o600


def test_postgres_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"lms-gateway\[postgres\]"):
        postgres_engine(parse_url("postgresql://u@127.0.0.1/g"))
