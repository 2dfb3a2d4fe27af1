"""What webhooks brought: kept once, worked off at least once, set apart where it cannot be trusted."""

import pytest

from gateway.store import inbox
from gateway.store.claims import LostLease


def store(conn, n=1, now=10.0, **more):
    values = {"tenant": "acme", "source": "lms", "raw": b"\x00%d" % n, "headers": {"x-event": "é"}}
    return inbox.store(conn, now=now, **values | more)


def claim(conn, owner="me", now=10.0, **more):
    return [item.id for item in inbox.claim(conn, owner, now, 60.0, **more)]


def test_delivery_is_kept_as_it_came(conn):
    id = store(conn, query="a=1&b=%20")
    found = inbox.get(conn, id)
    assert (found.raw, found.headers, found.query) == (b"\x001", {"x-event": "é"}, "a=1&b=%20")
    assert (found.state, found.tries, found.received_at, found.finished_at) == ("new", 0, 10.0, None)
    assert inbox.get(conn, "unknown") is None


def test_deliveries_are_worked_off_by_one_gateway_in_the_order_they_came(conn):
    second, first = store(conn, now=12.0), store(conn, now=11.0)
    assert claim(conn, now=12.0, limit=1) == [first]
    assert claim(conn, "other", now=12.0) == [second]
    assert claim(conn, "other", now=71.9) == []
    assert claim(conn, "other", now=72.0) == [first, second]
    inbox.finish(conn, first, "other", 73.0)
    assert inbox.get(conn, first).state == "done"
    assert claim(conn, now=1e9) == [second]


def test_failed_delivery_is_tried_again_when_it_is_due(conn):
    id = store(conn)
    claim(conn)
    inbox.later(conn, id, "me", 99.0, "x" * 9999)
    assert claim(conn, now=98.9) == []
    assert claim(conn, now=99.0) == [id]
    found = inbox.get(conn, id)
    assert (found.tries, len(found.last_error)) == (1, 500)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda conn, id: inbox.finish(conn, id, "me", 80.0), id="finish"),
        pytest.param(lambda conn, id: inbox.later(conn, id, "me", 99.0, "x"), id="later"),
        pytest.param(lambda conn, id: inbox.quarantine(conn, id, "me", "x", 80.0), id="quarantine"),
    ],
)
def test_whoever_lost_the_lease_changes_nothing(conn, change):
    id = store(conn)
    claim(conn)
    claim(conn, "other", now=70.0)
    before = inbox.get(conn, id)
    with pytest.raises(LostLease):
        change(conn, id)
    assert inbox.get(conn, id) == before


def test_identical_hint_is_kept_once_while_nobody_has_begun_with_it(conn):
    first = store(conn, dedupe="7-126")
    assert store(conn, dedupe="7-126") is None
    assert store(conn, dedupe="8-126")
    assert store(conn, dedupe="7-126", source="rtopilot:student.merged")
    assert store(conn, dedupe="7-126", tenant="beta")
    assert first in claim(conn)
    second = store(conn, dedupe="7-126")
    assert second  # the first may have been read at the vendor before this one came
    inbox.later(conn, first, "me", 10.0, "x")  # both wait now
    assert {first, second} <= set(claim(conn, "other"))


def test_deliveries_without_a_dedupe_are_all_kept(conn):
    assert store(conn) != store(conn)


def test_untrusted_delivery_is_worked_off_only_once_a_person_lets_it(conn):
    id = store(conn, quarantined="no signature", dedupe="7-126")
    assert store(conn, dedupe="7-126")  # it does not stand in the way of one that is trusted
    assert id not in claim(conn)
    assert inbox.get(conn, id).reason == "no signature"
    assert inbox.release_quarantined(conn, id, 50.0)
    assert not inbox.release_quarantined(conn, id, 51.0)
    assert claim(conn, now=50.0) == [id]


def test_delivery_that_cannot_be_understood_is_set_apart(conn):
    id = store(conn)
    claim(conn)
    inbox.quarantine(conn, id, "me", "not JSON", 12.0)
    found = inbox.get(conn, id)
    assert (found.state, found.reason, found.owner, found.finished_at) == (
        "quarantined",
        "not JSON",
        None,
        12.0,
    )
    assert claim(conn, now=1e9) == []


def test_deliveries_are_listed_newest_first_and_counted(conn):
    done, new = store(conn, now=11.0), None
    claim(conn, now=11.0)
    inbox.finish(conn, done, "me", 11.0)
    new = store(conn, now=12.0)
    apart = store(conn, now=13.0, quarantined="x")
    other = store(conn, now=14.0, tenant="beta")

    def listed(**more):
        return [item.id for item in inbox.list_items(conn, **more)]

    assert listed() == [other, apart, new, done]
    assert listed(limit=1) == [other]
    assert listed(tenant="acme") == [apart, new, done]
    assert [listed(tenant="acme", state=state) for state in ("new", "quarantined", "done")] == [
        [new],
        [apart],
        [done],
    ]
    assert inbox.counts(conn) == {"acme": {"new": 1, "quarantined": 1, "done": 1}, "beta": {"new": 1}}


def test_event_id_is_remembered_once_for_each_tenant_and_source(conn):
    assert not inbox.seen(conn, "acme", "lms", "e1")
    assert inbox.mark_seen(conn, "acme", "lms", "e1", 10.0)
    assert not inbox.mark_seen(conn, "acme", "lms", "e1", 11.0)
    assert inbox.seen(conn, "acme", "lms", "e1")
    assert inbox.mark_seen(conn, "beta", "lms", "e1", 10.0)
    assert inbox.mark_seen(conn, "acme", "rtopilot:x", "e1", 10.0)
    assert inbox.mark_seen(conn, "acme", "lms", "\ud800", 10.0)
