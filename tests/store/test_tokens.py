"""Session tokens: one login for all, compare-and-swap, pause, and encryption."""

import pytest
from sqlalchemy import select

from gateway.store import tokens
from gateway.store.tables import token

KEY = tokens.derive_key("configured secret")


def save(conn, failed, value="abc", **more):
    return tokens.save(conn, "acme", "auth1", failed, {"session": value}, KEY, now=10.0, **more)


def claim(conn, failed, owner="me", now=0.0):
    return tokens.claim_renewal(conn, "acme", "auth1", failed, owner, now, 30.0)


def load(conn, key=KEY):
    return tokens.load(conn, "acme", "auth1", key)


def test_saved_token_is_loaded_with_its_version(conn):
    assert load(conn) == tokens.NO_TOKEN
    assert save(conn, 0, expires_at=99.0)
    found = load(conn)
    assert (found.version, found.value, found.saved_at, found.expires_at) == (
        1,
        {"session": "abc"},
        10.0,
        99.0,
    )


def test_only_the_first_save_over_a_version_that_failed_holds(conn):
    assert save(conn, 0, "first")
    assert not save(conn, 0, "second")
    assert load(conn).value == {"session": "first"}
    assert save(conn, 1, "third")
    assert (load(conn).version, load(conn).value) == (2, {"session": "third"})


def test_one_renewal_at_a_time(conn):
    assert claim(conn, 0, "me") == "yours"
    assert claim(conn, 0, "other") == "wait"
    assert claim(conn, 0, "other", now=30.0) == "yours"
    assert save(conn, 0)
    assert claim(conn, 0, "me", now=31.0) == "renewed"
    assert claim(conn, 1, "me", now=31.0) == "yours"


def test_failed_login_pauses_everybody(conn):
    assert claim(conn, 0) == "yours"
    assert tokens.pause(conn, "acme", "auth1", "me", 30.0, "wrong password")
    assert claim(conn, 0, "other", now=29.0) == "paused"
    assert (load(conn).paused_until, load(conn).pause_reason) == (30.0, "wrong password")
    assert claim(conn, 0, "other", now=30.0) == "yours"
    assert not tokens.pause(conn, "acme", "auth1", "me", 99.0, "late")


def test_login_that_succeeds_ends_the_pause(conn):
    claim(conn, 0)
    tokens.pause(conn, "acme", "auth1", "me", 30.0, "wrong password")
    assert save(conn, 0)
    assert (load(conn).paused_until, load(conn).pause_reason) == (None, None)


def test_token_is_encrypted_at_rest_and_hidden_in_repr(conn):
    save(conn, 0, "MARKER")
    assert b"MARKER" not in conn.execute(select(token.c.sealed)).scalar_one()
    assert "MARKER" not in repr(load(conn))


def test_token_sealed_with_another_secret_counts_as_none_but_keeps_its_version(conn):
    save(conn, 0)
    found = load(conn, tokens.derive_key("changed"))
    assert (found.version, found.value) == (1, None)


@pytest.mark.parametrize(("tenant", "auth"), [("beta", "auth1"), ("acme", "auth2")])
def test_tokens_are_apart_for_each_tenant_and_auth(conn, tenant, auth):
    save(conn, 0)
    assert tokens.load(conn, tenant, auth, KEY) == tokens.NO_TOKEN
