"""What /health says of progress, from a real store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.operator.health import snapshot
from gateway.progress.push import open_target
from gateway.progress.rtopilot_key import KeySource, fingerprint
from gateway.secret import Secret
from gateway.store import enrolments, inbox, outbox, pauses, schedules
from gateway.store.database import Database
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)

NOW = 1_780_000_000.0
KEY = Secret("rtop_" + "a" * 64)


@pytest.fixture
def target() -> Iterator[Any]:
    made = open_target("http://127.0.0.1:9/api", KeySource(KEY), production=False)
    yield made
    asyncio.run(made.pool.aclose())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'gateway.db'}"
    return found if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def report(url: str, fill: Any, target: Any = None) -> dict[str, Any]:
    async def filled() -> dict[str, Any]:
        database = Database.open(url)
        try:
            await database.write(fill)
            return (await database.read(snapshot)).of("acme", target, NOW)
        finally:
            await database.close()

    return asyncio.run(filled())


def nothing(conn: Any) -> None:
    pass


def busy(conn: Any) -> None:
    for number in (7, 8):
        id = f"{number}-126"
        enrolments.add(
            conn,
            tenant="acme",
            vendor_account="v",
            key=id,
            make_id=lambda _: id,  # noqa: B023 (used at once)
            record={},
            now=NOW,
            push_from=NOW,
        )
        outbox.put(conn, "acme", id, 40, NOW - 90)
    [item] = outbox.claim(conn, "acme", "me", NOW, 30.0, 1)
    outbox.dead(conn, "acme", item.id, "me", status=422, error="no", cause="refused", now=NOW)
    pauses.pause(conn, "acme", fingerprint(KEY), "RTOPilot answered 401.", NOW)
    for body, why in ((b"{}", None), (b"[]", "no-scheme")):
        inbox.store(conn, tenant="acme", source="lms", raw=body, headers={}, now=NOW, quarantined=why)
    schedules.ensure(conn, "acme", "poll", NOW - 700)
    [turn] = schedules.claim(conn, "me", NOW, 60.0, 1)
    state: dict[str, Any] = {
        "cursor": None,
        "started_at": NOW - 700,
        "failures": 2,
        "error": "vendor_timeout",
    }
    schedules.finish(conn, "acme", turn.name, "me", next_due=NOW - 20, last_ok_at=NOW - 3600, **state)


def test_a_tenant_without_anything_is_all_zeros(url: str) -> None:
    assert report(url, nothing) == {
        "pushed": False,
        "paused": False,
        "waiting": 0,
        "oldest_waiting_s": None,
        "dead_letters": 0,
        "webhooks": {"waiting": 0, "kept_aside": 0},
        "polls": {},
    }


def test_everything_that_waits_fails_or_is_kept_aside_is_counted(url: str, target: Any) -> None:
    assert report(url, busy, target) == {
        "pushed": True,
        "paused": True,
        "waiting": 1,
        "oldest_waiting_s": 90,
        "dead_letters": 1,
        "webhooks": {"waiting": 1, "kept_aside": 1},
        "polls": {"poll": {"last_ok_s": 3600, "failures": 2, "error": "vendor_timeout", "late_s": 20}},
    }


def test_a_pause_of_a_replaced_key_is_none(url: str, target: Any) -> None:
    def before(conn: Any) -> None:
        pauses.pause(conn, "acme", fingerprint(Secret("rtop_" + "b" * 64)), "RTOPilot answered 401.", NOW)

    assert report(url, before, target)["paused"] is False
