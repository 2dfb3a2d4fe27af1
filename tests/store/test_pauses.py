"""Refused keys stay refused; another key of the same tenant is another matter."""

from gateway.store import pauses


def test_refused_key_pauses_its_tenant_and_no_other(conn):
    assert pauses.pause(conn, "acme", "k1", "401", 10.0)
    assert not pauses.pause(conn, "acme", "k1", "403", 20.0)
    assert pauses.is_paused(conn, "acme", "k1")
    assert not pauses.is_paused(conn, "acme", "k2")
    assert not pauses.is_paused(conn, "beta", "k1")
    assert [(p.tenant, p.reason, p.at) for p in pauses.all_paused(conn)] == [("acme", "401", 10.0)]


def test_lifted_pause_lets_every_key_be_tried_again(conn):
    for tenant, key in (("beta", "k1"), ("acme", "k2"), ("acme", "k1")):
        pauses.pause(conn, tenant, key, "401", 20.0 if key == "k2" else 10.0)
    assert [(p.tenant, p.key_hash) for p in pauses.all_paused(conn)] == [
        ("acme", "k1"),
        ("acme", "k2"),
        ("beta", "k1"),
    ]
    assert pauses.lift(conn, "acme") == 2
    assert pauses.lift(conn, "acme") == 0
    assert not pauses.is_paused(conn, "acme", "k1")
    assert pauses.is_paused(conn, "beta", "k1")
