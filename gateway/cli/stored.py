"""The store, for a command that looks into it or changes one thing: opened, used, closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from gateway.cli.options import run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.config import Settings

T = TypeVar("T")


def read(settings: Settings, fn: Callable[[Connection, float], T]) -> T:
    """What a closure reads; it gets the store's time. Raises StoreError."""
    return run(_used(settings, fn, writes=False))


def write(settings: Settings, fn: Callable[[Connection, float], T]) -> T:
    """The same for a closure that changes something."""
    return run(_used(settings, fn, writes=True))


async def _used(settings: Settings, fn: Callable[[Connection, float], T], *, writes: bool) -> T:
    from gateway.store.database import Database

    database = Database.open(settings.store.reveal())
    try:
        now = database.clock.now()
        transaction = database.write if writes else database.read
        return await transaction(lambda conn: fn(conn, now))
    finally:
        await database.close()
