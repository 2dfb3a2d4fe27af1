"""The manual list by reason: what is open, what was dealt with, and what is true no longer."""

import pytest

from gateway.store import manual


def add(conn, sentence, *, tenant="acme", reason="missing", now=1.0):
    return manual.add(conn, tenant=tenant, enrolment_id="e", reason=reason, sentence=sentence, now=now)


def of_reason(conn, *, done_since=0.0):
    return [
        (item.sentence, item.state)
        for item in manual.of_reason(conn, "acme", "missing", done_since=done_since)
    ]


def by_sentence(conn, sentence):
    return next(item for item in manual.list_items(conn, limit=1000) if item.sentence == sentence)


def test_items_of_a_tenant_and_a_reason_are_found_oldest_first(conn):
    add(conn, "b", now=2.0)
    add(conn, "a", now=3.0)
    add(conn, "first", now=1.0)
    add(conn, "x", tenant="beta")
    add(conn, "y", reason="other")
    assert of_reason(conn) == [("first", "open"), ("b", "open"), ("a", "open")]


def test_items_done_are_among_them_for_as_long_as_asked(conn):
    add(conn, "a")
    manual.done(conn, by_sentence(conn, "a").id, 50.0)
    assert of_reason(conn, done_since=49.9) == [("a", "done")]
    assert of_reason(conn, done_since=50.0) == []


@pytest.mark.parametrize("done", [False, True], ids=["open", "done"])
def test_withdrawn_item_is_gone_from_the_list_and_may_come_up_anew(conn, done):
    add(conn, "a")
    item = by_sentence(conn, "a")
    if done:
        manual.done(conn, item.id, 2.0)
    assert manual.withdraw(conn, item.id, 3.0)
    assert not manual.withdraw(conn, item.id, 4.0)
    assert not manual.done(conn, item.id, 4.0)
    assert (of_reason(conn), manual.list_items(conn)) == ([], [])
    assert add(conn, "a", now=5.0)
    assert of_reason(conn) == [("a", "open")]
