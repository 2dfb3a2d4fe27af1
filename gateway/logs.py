"""The log of one process: one line per event on standard error, without addresses, names or secrets.

Whoever logs names the route's template, never the URL; the libraries that would log URLs are kept quiet,
and of an exception only its type and its frames are written, because its text may quote a request.
Source: design 3 (14); style 4.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

import orjson

LEVELS = ("debug", "info", "warning", "error")
QUIET = ("httpx", "httpcore", "aiohttp", "asyncio", "uvicorn", "sqlalchemy", "alembic")
"""Loggers of libraries: at INFO some of them write whole addresses."""
MAX_LINE = 8_000

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """`2026-11-21T11:40:00.123Z INFO    gateway.operations  text`; line ends inside become ` | `."""

    def format(self, record: logging.LogRecord) -> str:
        text = _one_line(_message(record))
        return f"{_time(record)} {record.levelname:<7} {record.name}  {text}"


class JsonFormatter(logging.Formatter):
    """The same as one JSON object a line, for whatever collects logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record)[:MAX_LINE],
        }
        return orjson.dumps(line).decode()


def set_up(level: str = "info", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send the whole process's log to `stream` (standard error), from this level on."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    # No line says which thread or process wrote it, and to find that out takes a third of writing one.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    return text if not record.exc_info else f"{text}\n{_where(record.exc_info)}"


def _where(info: ErrorInfo) -> str:
    kind, _, frames = info
    name = "no exception" if kind is None else kind.__name__
    return name + "\n" + "".join(traceback.format_tb(frames))


def _one_line(text: str) -> str:
    """Whatever came from outside can neither forge a line nor move the terminal's cursor."""
    joined = " | ".join(part.strip() for part in text.splitlines() if part.strip())
    if not joined.isprintable():
        joined = "".join(char if char.isprintable() else "�" for char in joined)
    return joined[:MAX_LINE]
