"""A database error -> a StoreError that says what to do."""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    PendingRollbackError,
    ProgrammingError,
    TimeoutError,
)

from gateway.errors import StoreError

_SQLITE = {
    sqlite3.SQLITE_FULL: "The disk that holds the database is full. Free some space; no restart is needed.",
    sqlite3.SQLITE_BUSY: (
        "The database is locked by another process. Close whatever holds it (a backup, a sqlite3 shell); "
        "several gateways at once belong on PostgreSQL."
    ),
    sqlite3.SQLITE_LOCKED: "The database is locked by another connection. Please try again.",
    sqlite3.SQLITE_READONLY: (
        "The database file may not be written. Check that its owner is the gateway's user, and that the "
        "file system is not mounted read-only."
    ),
    sqlite3.SQLITE_IOERR: "The disk reported an error. Check it, and restore the last backup if need be.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Stop the gateway and restore the last backup.",
    sqlite3.SQLITE_NOTADB: "The file named under `store` is not a database. Check the path in config.yaml.",
    sqlite3.SQLITE_CANTOPEN: (
        "The database file cannot be opened. Check that the folder under `store` exists and may be written."
    ),
}
_RESTARTED = "The database server was stopped or is starting. Please try again in a moment."
_POSTGRES = {
    "53100": "The disk of the database server is full. Free some space there.",
    "53300": "The database server takes no more connections. Raise max_connections or run fewer gateways.",
    "28P01": "The database server refused the password. Check `store` in config.yaml.",
    "3D000": "The database named under `store` does not exist. Create it, then run `lms-gateway db upgrade`.",
    "42P01": "The database has no gateway tables yet. Run `lms-gateway db upgrade`.",
    "55P03": "Something else locks the database (a backup, a psql shell?). Please try again.",
    "57P01": _RESTARTED,
    "57P02": _RESTARTED,
    "57P03": _RESTARTED,
    "25006": "The database server is read-only just now (a standby?). Point `store` at the primary.",
}
# A connection that is refused comes without a code, only with the server's own words (in its language).
_REFUSED = {
    "password authentication failed": "28P01",
    "too many (clients|connections)|remaining connection slots": "53300",
    'database "[^"]*" does not exist': "3D000",
    "the database system is": "57P03",
}
_ELSE = "The database cannot be used just now. Check that it is running and reachable."
_OURS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
_REPEATABLE = frozenset({"40001", "40P01"})


def store_error(exc: BaseException) -> StoreError | None:
    """The StoreError for an error of the database itself; None when `exc` is somebody's mistake instead."""
    if isinstance(exc, StoreError):
        return exc
    if isinstance(exc, TimeoutError):
        return StoreError("No database connection became free in time. The gateway is overloaded.")
    if isinstance(exc, PendingRollbackError):
        return StoreError(_ELSE)
    if not isinstance(exc, DBAPIError):
        return None
    sentence = _sentence(exc.orig)
    if sentence is None and (isinstance(exc, _OURS) or not isinstance(exc, DatabaseError)):
        return None
    error = StoreError(sentence or _ELSE)
    error.__cause__ = exc
    return error


def is_repeatable(exc: BaseException) -> bool:
    """Whether the whole transaction may simply be run again: a deadlock or a serialisation failure."""
    return isinstance(exc, DBAPIError) and getattr(exc.orig, "sqlstate", None) in _REPEATABLE


def _sentence(orig: BaseException | None) -> str | None:
    code = getattr(orig, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF)  # the low byte is the primary code of an extended one
    return _POSTGRES.get(getattr(orig, "sqlstate", None) or _code_of_words(str(orig)))


def _code_of_words(text: str) -> str:
    return next((code for words, code in _REFUSED.items() if re.search(words, text)), "")
