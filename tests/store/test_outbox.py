"""The outbox: the newest value of each enrolment, sent in order of age, never a stale one after a newer."""

import pytest
from sqlalchemy.dialects import sqlite

from gateway.store import enrolments, outbox
from gateway.store.claims import LostLease
from gateway.store.engines import parse_url, sqlite_engine

TENANT = "acme"
FAILED = {"status": 503, "error": "unavailable", "cause": "transient"}
REFUSED = {"status": 422, "error": "no such value", "cause": "refused"}


def enrol(conn, id="7-126", tenant=TENANT, push_from=0.0):
    return enrolments.add(
        conn,
        tenant=tenant,
        vendor_account="a",
        key=id,
        make_id=lambda generation: id,
        record={},
        now=0.0,
        push_from=push_from,
    )


def put(conn, value, now=10.0, id="7-126", tenant=TENANT):
    return outbox.put(conn, tenant, id, value, now)


def claim(conn, owner="me", now=10.0, limit=10, tenant=TENANT, lease_s=60.0):
    return outbox.claim(conn, tenant, owner, now, lease_s, limit)


def claimed_ids(conn, **more):
    return [item.id for item in claim(conn, **more)]


def get(conn, id="7-126", tenant=TENANT):
    return outbox.get(conn, tenant, id)


def accept(conn, version, value, owner="me", now=11.0, id="7-126"):
    return outbox.sent(conn, TENANT, id, owner, version=version, value=value, status=200, now=now)


def fail(conn, due_at, now=11.0, owner="me", **more):
    outbox.later(conn, TENANT, "7-126", owner, due_at=due_at, now=now, **FAILED | more)


def refuse(conn, now=11.0, owner="me", **more):
    return outbox.dead(conn, TENANT, "7-126", owner, now=now, **REFUSED | more)


def brought_to(conn, state):
    """An outbox where the enrolment stands at 40 in this state."""
    enrol(conn)
    if state == "nothing":
        return
    put(conn, 40)
    if state == "pending":
        return
    claim(conn)
    if state == "backing off":
        fail(conn, due_at=500.0)
    elif state == "done":
        accept(conn, 1, 40)
    elif state == "dead":
        refuse(conn)


# What a value put at 100 s makes of each state: news?, state, value, version, since, due, tries
PUTS = [
    pytest.param("nothing", 0, False, None, id="first 0 is not told"),
    pytest.param("nothing", 1, True, ("pending", 1, 1, 100.0, 100.0, 0), id="first value"),
    pytest.param("pending", 40, False, ("pending", 40, 1, 10.0, 10.0, 0), id="same while it waits"),
    pytest.param("pending", 41, True, ("pending", 41, 2, 10.0, 10.0, 0), id="newer while it waits"),
    pytest.param("pending", 0, True, ("pending", 0, 2, 10.0, 10.0, 0), id="fall to 0 while it waits"),
    pytest.param("on its way", 40, False, ("pending", 40, 1, 10.0, 10.0, 0), id="same on its way"),
    pytest.param("on its way", 41, True, ("pending", 41, 2, 10.0, 10.0, 0), id="newer on its way"),
    pytest.param("backing off", 40, False, ("pending", 40, 1, 10.0, 500.0, 1), id="same in a back-off"),
    pytest.param("backing off", 41, True, ("pending", 41, 2, 10.0, 500.0, 1), id="back-off is kept"),
    pytest.param("done", 40, False, ("done", 40, 1, 10.0, 11.0, 0), id="what RTOPilot knows"),
    pytest.param("done", 41, True, ("pending", 41, 2, 100.0, 100.0, 0), id="news"),
    pytest.param("done", 0, True, ("pending", 0, 2, 100.0, 100.0, 0), id="fall to 0"),
    pytest.param("dead", 40, False, ("dead", 40, 1, 10.0, 11.0, 1), id="refused value again"),
    pytest.param("dead", 41, True, ("pending", 41, 2, 100.0, 100.0, 0), id="another than the refused"),
]


@pytest.mark.parametrize(("state", "value", "news", "after"), PUTS)
def test_put_tells_news_once_and_keeps_a_back_off(conn, state, value, news, after):
    brought_to(conn, state)
    assert put(conn, value, now=100.0) is news
    found = get(conn)
    row = found and (found.state, found.value, found.version, found.since, found.due_at, found.tries)
    assert row == after


def test_news_after_a_refusal_forgets_why(conn):
    brought_to(conn, "dead")
    put(conn, 41)
    found = get(conn)
    assert (found.cause, found.status, found.last_error, found.first_failed_at) == (None, None, None, None)


def test_oldest_change_is_claimed_first_and_no_more_than_asked(conn):
    for n, since in enumerate((30.0, 10.0, 20.0)):
        enrol(conn, f"{n}")
        put(conn, 5, since, f"{n}")
    put(conn, 6, 40.0, "1")  # a newer value keeps the age of the change
    assert claimed_ids(conn, now=50.0, limit=2) == ["1", "2"]
    assert claimed_ids(conn, now=50.0, limit=2) == ["0"]


def test_claim_is_of_one_tenant(conn):
    enrol(conn, tenant="beta")
    put(conn, 5, tenant="beta")
    assert claim(conn) == []
    assert claimed_ids(conn, tenant="beta") == ["7-126"]


@pytest.mark.parametrize(
    ("push_from", "now", "claimed"),
    [
        pytest.param(None, 1e9, False, id="RTOPilot has not been told the id"),
        pytest.param(40.0, 39.9, False, id="within the grace"),
        pytest.param(40.0, 40.0, True, id="after the grace"),
    ],
)
def test_progress_is_pushed_only_once_rtopilot_knows_the_enrolment(conn, push_from, now, claimed):
    enrol(conn, push_from=push_from)
    put(conn, 5)
    assert outbox.busy(conn, now) == ([TENANT] if claimed else [])
    assert bool(claim(conn, now=now)) is claimed


def test_value_put_before_rtopilot_was_told_goes_once_it_was(conn):
    enrol(conn, push_from=None)
    put(conn, 5)
    assert enrolments.told(conn, TENANT, "7-126", 40.0)
    assert not enrolments.told(conn, TENANT, "7-126", 90.0)
    assert claimed_ids(conn, now=40.0) == ["7-126"]


@pytest.mark.parametrize(
    "end",
    [enrolments.cancel, lambda *args: enrolments.move(*args[:3], "8-126", args[3])],
    ids=["cancelled", "moved"],
)
def test_nothing_is_sent_of_an_enrolment_that_ended(conn, end):
    enrol(conn)
    put(conn, 5)
    claim(conn)
    assert outbox.current(conn, TENANT, "7-126", "me").value == 5
    end(conn, TENANT, "7-126", 12.0)
    assert outbox.current(conn, TENANT, "7-126", "me") is None
    assert claim(conn, now=99.0) == []
    assert outbox.busy(conn, 99.0) == []


def test_due_row_is_held_by_one_until_its_lease_runs_out(conn):
    brought_to(conn, "pending")
    assert claimed_ids(conn) == ["7-126"]
    assert claimed_ids(conn, owner="other", now=69.9) == []
    assert claimed_ids(conn, owner="other", now=70.0) == ["7-126"]
    assert outbox.current(conn, TENANT, "7-126", "me") is None


def test_backing_off_row_is_not_claimed_before_it_is_due(conn):
    brought_to(conn, "backing off")
    assert claim(conn, now=499.9) == []
    assert outbox.busy(conn, 499.9) == []
    assert outbox.busy(conn, 500.0) == [TENANT]
    assert claimed_ids(conn, now=500.0) == ["7-126"]


def test_newest_value_is_read_right_before_it_leaves(conn):
    brought_to(conn, "on its way")
    put(conn, 41)
    item = outbox.current(conn, TENANT, "7-126", "me")
    assert (item.value, item.version, item.owner) == (41, 2, "me")


def test_delivered_newest_value_is_done(conn):
    brought_to(conn, "backing off")
    claim(conn, now=500.0)
    assert accept(conn, 1, 40, now=501.0) is True
    found = get(conn)
    assert (found.state, found.sent_version, found.sent_value, found.sent_at) == ("done", 1, 40, 501.0)
    assert (found.owner, found.tries, found.cause, found.status, found.last_error) == (
        None,
        0,
        None,
        200,
        None,
    )
    assert claim(conn, now=1e9) == []


def test_acknowledged_older_value_leaves_the_newer_pending(conn):
    brought_to(conn, "on its way")
    put(conn, 41, 12.0)
    assert accept(conn, 1, 40, now=13.0) is False
    found = get(conn)
    assert (found.state, found.value, found.sent_value, found.since, found.due_at) == (
        "pending",
        41,
        40,
        12.0,
        13.0,
    )
    assert claimed_ids(conn, owner="other", now=13.0) == ["7-126"]


def test_failed_try_waits_and_is_counted_from_the_first(conn):
    brought_to(conn, "backing off")
    claim(conn, now=500.0)
    fail(conn, due_at=900.0, now=501.0, error="x" * 9999)
    found = get(conn)
    assert (found.tries, found.first_failed_at, found.due_at, found.since) == (2, 11.0, 900.0, 10.0)
    assert (found.cause, found.status, len(found.last_error)) == ("transient", 503, 500)


def test_refused_value_is_dead_until_another_comes(conn):
    brought_to(conn, "on its way")
    assert refuse(conn, version=1) is True
    found = get(conn)
    assert (found.state, found.cause, found.status, found.owner) == ("dead", "refused", 422, None)
    assert claim(conn, now=1e9) == []


def test_refusal_of_an_older_value_leaves_the_newer_pending(conn):
    brought_to(conn, "on its way")
    put(conn, 41, 12.0)
    assert refuse(conn, now=13.0, version=1) is False
    found = get(conn)
    assert (found.state, found.value, found.due_at, found.tries, found.cause) == (
        "pending",
        41,
        13.0,
        0,
        None,
    )


def test_given_back_row_is_as_it_was(conn):
    brought_to(conn, "pending")
    before = get(conn)
    claim(conn)
    outbox.release(conn, TENANT, "7-126", "me")
    assert get(conn) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda conn, owner: accept(conn, 1, 40, owner), id="sent"),
        pytest.param(lambda conn, owner: fail(conn, due_at=99.0, owner=owner), id="later"),
        pytest.param(lambda conn, owner: refuse(conn, owner=owner), id="dead"),
        pytest.param(lambda conn, owner: outbox.release(conn, TENANT, "7-126", owner), id="release"),
    ],
)
def test_whoever_lost_the_lease_changes_nothing(conn, change):
    brought_to(conn, "on its way")
    claim(conn, owner="other", now=70.0)
    before = get(conn)
    with pytest.raises(LostLease):
        change(conn, "me")
    assert get(conn) == before
    change(conn, "other")
    with pytest.raises(LostLease):
        change(conn, "other")


def test_tenants_with_something_to_send_are_listed_by_how_long_it_is_due(conn):
    for tenant, due in (("b", 20.0), ("a", 30.0), ("c", 10.0), ("later", 99.0)):
        for id in ("1", "2"):
            enrol(conn, id, tenant)
            put(conn, 5, due, id, tenant)
    assert outbox.busy(conn, 50.0) == ["c", "b", "a"]
    assert outbox.busy(conn, 50.0, limit=2) == ["c", "b"]
    assert outbox.busy(conn, 50.0, limit=2, skip={"c"}) == ["b", "a"]
    claim(conn, tenant="c", now=50.0, limit=1)
    assert outbox.busy(conn, 50.0) == ["c", "b", "a"]
    claim(conn, tenant="c", now=50.0, limit=1)
    assert outbox.busy(conn, 50.0) == ["b", "a"]


def test_returning_rtopilot_wakes_what_waited_for_it_and_nothing_else(conn):
    for id, cause in (("1", "transient"), ("2", "not_found"), ("3", "transient")):
        enrol(conn, id)
        put(conn, 5, id=id)
        claim(conn)
        outbox.later(conn, TENANT, id, "me", due_at=900.0, now=11.0, **FAILED | {"cause": cause})
    assert outbox.awake(conn, "beta", 50.0) == 0
    assert outbox.awake(conn, TENANT, 50.0) == 2
    assert claimed_ids(conn, now=50.0) == ["1", "3"]
    assert get(conn, "1").tries == 1


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        pytest.param(outbox._BUSY, "ix_outbox_due", id="tenants that are due, not those that back off"),
        pytest.param(outbox._CLAIM, "ix_outbox_since (tenant=?)", id="the oldest of a tenant, unsorted"),
    ],
)
def test_rows_that_only_wait_are_not_read(sqlite_url, statement, index):
    engine = sqlite_engine(parse_url(sqlite_url), writes=True)
    compiled = str(statement.compile(dialect=sqlite.dialect()))
    with engine.begin() as conn:
        values = ("x",) * compiled.count("?")
        plan = str(conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values).fetchall())
    engine.dispose()
    assert index in plan
    assert "SCAN outbox" not in plan
    assert "B-TREE" not in plan
