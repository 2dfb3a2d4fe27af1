"""Vendor sessions in the store."""

import pytest

from gateway.perform.keeper import StoreKeeper
from gateway.store import tokens


@pytest.fixture
def keepers(gateway):
    key = tokens.derive_key("x" * 32)
    return [StoreKeeper(gateway.database, "acme", "auth", owner, key) for owner in ("one", "two")]


async def test_session_saved_by_one_gateway_is_loaded_by_another(keepers):
    one, two = keepers
    assert await one.load() is None
    assert await one.version() == 0
    await one.claim(0)
    saved = await one.save(0, {"id": "s"}, None)
    assert (saved.version, (await two.load()).parts) == (1, {"id": "s"})
    assert await two.save(0, {"id": "late"}, None) is None


async def test_login_that_was_refused_pauses_all_gateways(keepers):
    one, two = keepers
    await one.claim(0)
    await one.pause(60.0, "refused" * 100)
    assert await two.claim(0) == "paused"
