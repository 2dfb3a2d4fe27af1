"""Durable leases: one holder at a time."""

from sqlalchemy import select

from gateway.store import leases
from gateway.store.tables import lease


def test_lease_has_one_holder_until_it_is_released(conn):
    assert leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0)
    assert not leases.acquire(conn, "acme", "S1", "other", 59.0, 60.0)
    leases.release(conn, "acme", "S1", "me")
    assert leases.acquire(conn, "acme", "S1", "other", 59.0, 60.0)


def test_lease_that_ran_out_goes_to_the_next_and_is_not_released_by_the_first(conn):
    assert leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0)
    assert leases.acquire(conn, "acme", "S1", "other", 60.0, 60.0)
    leases.release(conn, "acme", "S1", "me")
    assert not leases.acquire(conn, "acme", "S1", "me", 61.0, 60.0)


def test_holder_renews_by_acquiring_again(conn):
    assert leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0)
    assert leases.acquire(conn, "acme", "S1", "me", 50.0, 60.0)
    assert not leases.acquire(conn, "acme", "S1", "other", 100.0, 60.0)


def test_leases_are_apart_for_each_tenant_and_text(conn):
    assert leases.acquire(conn, "acme", "S1", "me", 0.0, 60.0)
    assert leases.acquire(conn, "acme", "S2", "other", 0.0, 60.0)
    assert leases.acquire(conn, "beta", "S1", "other", 0.0, 60.0)


def test_text_of_a_lease_is_not_stored(conn):
    leases.acquire(conn, "acme", "Joana Silva", "me", 0.0, 60.0)
    assert "Joana" not in str(conn.execute(select(lease)).all())
