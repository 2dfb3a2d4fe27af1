"""From what the vendor says of an enrolment to the ids RTOPilot holds: record fields, compared as text.

Only active enrolments are found, and all of them: several ids may stand on one vendor enrolment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.mapping.templates import as_text
from gateway.perform.enrolments import canonical_key, create_form
from gateway.perform.tenant import Tenant
from gateway.store import enrolments
from gateway.store.enrolments import StoredEnrolment

Fields = Mapping[str, str]

AT_A_TIME = 100
"""Look-ups in one read, after which others get their turn."""
SEARCHES = 10
"""Look-ups that need a search of the whole tenant: for more of them its enrolments are read once."""
PAGE = 500


def find(conn: Connection, tenant: Tenant, fields: Fields) -> list[StoredEnrolment]:
    """The active enrolments whose record has these fields; none for no fields."""
    if not fields:
        return []
    key = create_form(tenant).key
    if not _by_key(fields, key):
        return enrolments.by_fields(conn, tenant.name, dict(fields))
    text = canonical_key(tuple(fields[name] for name in key))
    return [
        one for one in enrolments.by_key(conn, tenant.name, tenant.alias, text) if _has(one.record, fields)
    ]


async def find_all(tenant: Tenant, asked: Sequence[Fields]) -> list[list[StoredEnrolment]]:
    """The same for many at once, in their order."""
    key = create_form(tenant).key
    searched = [fields for fields in asked if fields and not _by_key(fields, key)]
    if len(searched) > SEARCHES:
        index = await _read_once(tenant, asked)
        return [index.find(fields) for fields in asked]
    found: list[list[StoredEnrolment]] = []
    for start in range(0, len(asked), AT_A_TIME):
        some = asked[start : start + AT_A_TIME]
        found += await tenant.database.read(lambda conn: [find(conn, tenant, fields) for fields in some])  # noqa: B023 (awaited at once)
        await asyncio.sleep(0)
    return found


async def _read_once(tenant: Tenant, asked: Sequence[Fields]) -> Index:
    index, after = Index(asked), ""
    while page := await tenant.database.read(
        lambda conn: enrolments.active(conn, tenant.name, after_id=after, limit=PAGE)  # noqa: B023
    ):
        index.add(page)
        after = page[-1].id
        await asyncio.sleep(0)
    return index


class Index:
    """Which enrolments have which record fields, for the questions it was made for.

    Nothing else is kept, so that it may be shown a hundred thousand enrolments.
    """

    def __init__(self, asked: Iterable[Fields]) -> None:
        self._hits: dict[tuple[str, ...], dict[tuple[str | None, ...], list[StoredEnrolment]]] = {}
        for fields in filter(None, asked):
            names = tuple(sorted(fields))
            self._hits.setdefault(names, {}).setdefault(_values(fields, names), [])

    def add(self, known: Iterable[StoredEnrolment]) -> None:
        for one in known:
            for names, hits in self._hits.items():
                values = tuple(_text(one.record, name) for name in names)
                if values in hits:
                    hits[values].append(one)

    def find(self, fields: Fields) -> list[StoredEnrolment]:
        """Raises KeyError for a question it was not made for."""
        names = tuple(sorted(fields))
        return self._hits[names][_values(fields, names)] if names else []


def _values(fields: Fields, names: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(fields[name] for name in names)


def _by_key(fields: Fields, key: tuple[str, ...]) -> bool:
    return bool(key) and all(name in fields for name in key)


def _has(record: Any, fields: Fields) -> bool:
    return all(_text(record, name) == text for name, text in fields.items())


def _text(record: Any, name: str) -> str | None:
    value = record.get(name) if isinstance(record, Mapping) else None
    return None if value is None or isinstance(value, list | dict) else as_text(value)
