"""A store URL -> SQLAlchemy engines, with every pragma and pool size in one place."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from gateway.errors import StoreError

POSTGRES_THREADS = 16
"""Connections of one gateway. Journalling a run, measured with two cores: beside the server 8 and 16 do the
same, 32 a third less; with 2 ms to the server 8 do 550 a second, 16 do 780, 24 do 1,030.
"""
BUSY_TIMEOUT_S = 5.0
_URL_HELP = "Write `sqlite:///gateway.db` or `postgresql+psycopg://user@host/database`."


def parse_url(url: str) -> URL:
    """The URL with its driver named; raises StoreError for a database this gateway does not run on."""
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise StoreError(f"The store URL cannot be read. {_URL_HELP}") from exc
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise StoreError(f"The store URL names {parsed.drivername}, which is not supported. {_URL_HELP}")
    if is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"The store must be a file: memory does not survive a restart. {_URL_HELP}")
    return parsed


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def sqlite_engine(url: URL, *, writes: bool, synchronous: str = "FULL") -> Engine:
    """An engine whose every transaction is BEGIN IMMEDIATE, or, without `writes`, one read-only snapshot.

    The caller opens one connection and keeps it. FULL survives power loss; NORMAL only a killed process.
    """
    if writes:
        _create_private(str(url.database))
    engine = create_engine(
        url,
        poolclass=NullPool,
        # None: sqlite3 begins nothing by itself, so that the BEGIN below is the only one
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
        **_COMMON,
    )
    pragmas = ["journal_mode=WAL", f"synchronous={synchronous}"] if writes else ["query_only=ON"]
    event.listen(engine, "connect", _pragmas(pragmas))
    # Not by SQLAlchemy's "begin" event: an engine with events spends 5 µs more on every statement.
    engine.dialect.do_begin = _begin("BEGIN IMMEDIATE" if writes else "BEGIN")  # type: ignore[assignment, method-assign]
    return engine


def postgres_engine(url: URL) -> Engine:
    """An engine for threads; raises StoreError when the driver is not installed."""
    own = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            pool_size=POSTGRES_THREADS,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args=own,
            **_COMMON,
        )
    except ImportError as exc:
        raise StoreError("PostgreSQL needs its driver: install `lms-gateway[postgres]`.") from exc
    event.listen(engine, "connect", _replace_nul)
    return engine


def dumps(value: object) -> str:
    """JSON that both databases can look into: what PostgreSQL cannot take becomes U+FFFD."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # whole numbers beyond 64 bits and lone surrogates: rare, and not orjson's
        text = _SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))
    return _NUL.sub("\\1\ufffd", text) if "\\u0000" in text else text


def loads(text: str | bytes | float) -> Any:
    # SQLite gives a column of type JSON numeric affinity: a bare number comes back as one
    if isinstance(text, int | float):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


_SURROGATE = re.compile("[\ud800-\udfff]")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # not where its backslash is the second of an escaped one
_CONNECTION = {
    "application_name": "lms-gateway",
    "connect_timeout": 5,
    # A server that is gone without a word is noticed within about 20 s, not after the system's two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
    # The same the other way round: what a vanished gateway has locked is free again.
    "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s",
}
"""What each connection is opened with, unless the URL says otherwise by the same name."""

_COMMON: dict[str, Any] = {
    "json_serializer": dumps,
    "json_deserializer": loads,
    "hide_parameters": True,  # values are names and marks; they must not reach a log through an exception
}


def _create_private(path: str) -> None:
    """Create the file readable by its owner only; SQLite gives -wal and -shm the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as exc:
        raise StoreError(
            f"The database file {path} cannot be opened ({exc.strerror}). "
            "Check that its folder exists and may be written by the gateway's user."
        ) from exc


def _pragmas(pragmas: list[str]) -> Callable[[Any, Any], None]:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        for pragma in pragmas:
            dbapi_connection.execute(f"PRAGMA {pragma}").close()

    return on_connect


def _replace_nul(dbapi_connection: Any, _record: Any) -> None:
    """Text columns of PostgreSQL cannot hold NUL, and some vendor may send one: U+FFFD, as in `dumps`."""
    from psycopg.types.string import StrDumperUnknown

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    dbapi_connection.adapters.register_dumper(str, Dumper)


def _begin(statement: str) -> Callable[[Any], None]:
    return lambda dbapi_connection: dbapi_connection.execute(statement).close()
