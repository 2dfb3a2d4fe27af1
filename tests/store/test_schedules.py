"""Schedules: each plan is run by one gateway at a time, and goes on where it stopped."""

import pytest

from gateway.store import schedules
from gateway.store.claims import LostLease


def claim(conn, owner="me", now=10.0, limit=10, plans=None):
    return [(t.tenant, t.name) for t in schedules.claim(conn, owner, now, 60.0, limit, plans)]


def finish(conn, owner="me", tenant="acme", **more):
    values = {
        "next_due": 99.0,
        "cursor": {"after": "7"},
        "started_at": 11.0,
        "last_ok_at": None,
        "failures": 1,
    }
    schedules.finish(conn, tenant, "poll", owner, **values | more)


def test_plan_is_made_once_and_keeps_its_due_time(conn):
    assert schedules.ensure(conn, "acme", "poll", 5.0)
    assert not schedules.ensure(conn, "acme", "poll", 500.0)
    (turn,) = schedules.claim(conn, "me", 10.0, 60.0, 10)
    assert (turn.next_due, turn.cursor, turn.failures, turn.last_ok_at) == (5.0, None, 0, None)
    assert (turn.owner, turn.lease_until) == ("me", 70.0)


def test_longest_due_plans_are_claimed_first_each_by_one_gateway(conn):
    for tenant, due in (("a", 9.0), ("b", 8.0), ("c", 7.0), ("later", 11.0)):
        schedules.ensure(conn, tenant, "poll", due)
    assert claim(conn, limit=2) == [("c", "poll"), ("b", "poll")]
    assert claim(conn, "other") == [("a", "poll")]
    assert claim(conn, "other") == []
    assert claim(conn, "other", now=70.0) == [("c", "poll"), ("b", "poll"), ("a", "poll"), ("later", "poll")]


def test_only_plans_asked_for_are_claimed(conn):
    for tenant, name in (("a", "poll"), ("a", "poll-2"), ("b", "poll"), ("c", "poll-2")):
        schedules.ensure(conn, tenant, name, 5.0)
    assert claim(conn, plans=()) == []
    asked = {("a", "poll"), ("c", "poll"), ("c", "poll-2"), ("unknown", "poll")}
    assert sorted(claim(conn, plans=asked)) == [("a", "poll"), ("c", "poll-2")]


def test_what_an_owner_gives_back_is_free_as_it_stands(conn):
    for tenant in ("a", "b", "c"):
        schedules.ensure(conn, tenant, "poll", 5.0)
    assert len(claim(conn, limit=2)) == 2
    claim(conn, "other")
    held = {turn.tenant: turn.owner for turn in schedules.list_items(conn)}
    before = [turn.tenant for turn in schedules.list_items(conn) if turn.owner == "me"]
    assert schedules.give_back(conn, "me") == 2
    assert schedules.give_back(conn, "me") == 0
    assert sorted(claim(conn, "third")) == [(tenant, "poll") for tenant in before]
    assert sum(owner == "other" for owner in held.values()) == 1


def test_finished_turn_keeps_where_it_stopped(conn):
    schedules.ensure(conn, "acme", "poll", 5.0)
    claim(conn)
    finish(conn, error="x" * 9999)
    (turn,) = schedules.list_items(conn)
    assert (turn.cursor, turn.next_due, turn.started_at, turn.failures) == ({"after": "7"}, 99.0, 11.0, 1)
    assert (turn.owner, len(turn.last_error)) == (None, 500)
    assert claim(conn, now=98.9) == []
    assert claim(conn, now=99.0) == [("acme", "poll")]
    finish(conn, cursor=None, last_ok_at=100.0, failures=0)
    (turn,) = schedules.list_items(conn, "acme")
    assert (turn.cursor, turn.last_ok_at, turn.last_error) == (None, 100.0, None)


def test_renewed_lease_lasts(conn):
    schedules.ensure(conn, "acme", "poll", 5.0)
    claim(conn)
    schedules.renew(conn, "acme", "poll", "me", 200.0)
    assert claim(conn, "other", now=199.9) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda conn: finish(conn), id="finish"),
        pytest.param(lambda conn: schedules.renew(conn, "acme", "poll", "me", 999.0), id="renew"),
    ],
)
def test_whoever_lost_the_lease_changes_nothing(conn, change):
    schedules.ensure(conn, "acme", "poll", 5.0)
    claim(conn)
    claim(conn, "other", now=70.0)
    before = schedules.list_items(conn)
    with pytest.raises(LostLease):
        change(conn)
    assert schedules.list_items(conn) == before


def test_plans_a_mapping_no_longer_has_are_dropped(conn):
    for name in ("poll", "poll-2", "poll-3"):
        schedules.ensure(conn, "acme", name, 5.0)
        schedules.ensure(conn, "beta", name, 5.0)
    assert schedules.drop_others(conn, "acme", ["poll", "new"]) == 2
    assert [turn.name for turn in schedules.list_items(conn, "acme")] == ["poll"]
    assert len(schedules.list_items(conn)) == 4
    assert schedules.drop_others(conn, "acme", ()) == 1
