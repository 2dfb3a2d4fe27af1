"""Migrations: Alembic, configured in code, run inside one transaction."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreError
from gateway.store.engines import is_sqlite, parse_url, postgres_engine, sqlite_engine
from gateway.store.faults import store_error

HEAD = "0002"
"""The newest revision, so that an up-to-date store opens without importing Alembic."""

SCRIPTS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7155331)")
_REVISION = text("SELECT version_num FROM alembic_version")


def revision(conn: Connection) -> str | None:
    """The revision the database is at; None when it has no tables yet."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(_REVISION).scalar_one_or_none()


def require_current(conn: Connection) -> None:
    """Raises StoreError unless the tables are those of this version."""
    found = revision(conn)
    if found is None or found < HEAD:
        raise StoreError("The database needs an upgrade. Run `lms-gateway db upgrade`, then start again.")
    _refuse_newer(found)


def upgrade(url: str) -> None:
    """Create or upgrade the tables; does nothing when they are current. Safe to run twice at once.

    Raises StoreError when the database cannot be reached, or belongs to a newer gateway.
    """
    parsed = parse_url(url)
    engine = sqlite_engine(parsed, writes=True) if is_sqlite(parsed) else postgres_engine(parsed)
    try:
        with engine.begin() as conn:
            if engine.dialect.name == "postgresql":
                conn.execute(_ONE_AT_A_TIME)
            found = revision(conn)
            _refuse_newer(found)
            if found != HEAD:
                _run(conn)
    except SQLAlchemyError as exc:
        raise (store_error(exc) or exc) from exc
    finally:
        engine.dispose()


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise StoreError(
            f"The database was upgraded by a newer gateway (revision {found}, this one knows {HEAD}). "
            "Run that version, or restore the backup made before the upgrade."
        )


def _run(conn: Connection) -> None:
    from alembic import command  # a tenth of a second of CPU, needed once in a version's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
