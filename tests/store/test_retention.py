"""Retention: old finished work goes in chunks; what is live, open or an enrolment stays."""

import pytest
from sqlalchemy import func, select

from gateway.store import enrolments, inbox, leases, manual, outbox, retention, runs, steps, tasks, traces
from gateway.store.retention import DAY_S
from gateway.store.tables import enrolment, lease, run, step, task, trace
from gateway.store.tables import manual as manual_table
from gateway.store.traces import Traced

TABLES = (run, step, trace, task, manual_table, lease, enrolment)


def begin(conn, n, now=0.0):
    begun = runs.begin(
        conn,
        tenant="acme",
        operation="createEnrolment",
        fingerprint=str(n),
        input={},
        owner="me",
        now=now,
        lease_s=90.0,
        mapping_hash="h",
    )
    steps.step_done(conn, begun.run.id, "me", 0, "s", {})
    return begun.run.id


def fill(conn, count, at):
    """`count` of everything, finished at `at`."""
    for n in range(count):
        runs.finish(conn, begin(conn, f"{at}/{n}", at), "me", {}, now=at)
        traces.add(
            conn, f"{at}/{n}", [Traced(tenant="acme", operation="x", at=at, exchange={}) for _ in range(2)]
        )
        task_id = tasks.add(conn, tenant="acme", kind="undo", payload={}, sentence="s", now=at)
        tasks.claim_due(conn, "me", at, 60.0)
        tasks.done(conn, task_id, "me", at)
        manual.add(conn, tenant="acme", enrolment_id=str(n), reason="r", sentence="s", now=at)
        for item in manual.list_items(conn):
            manual.done(conn, item.id, at)


def counts(conn):
    return [conn.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]


def test_old_finished_work_is_deleted_in_chunks_and_the_rest_stays(conn):
    now = 40 * DAY_S
    fill(conn, 3, at=9 * DAY_S)
    fill(conn, 1, at=11 * DAY_S)
    in_doubt = begin(conn, "doubt")
    runs.in_doubt(conn, in_doubt, "me", None)
    begin(conn, "running")
    tasks.add(conn, tenant="acme", kind="undo", payload={}, sentence="s", now=0.0)
    manual.add(conn, tenant="acme", enrolment_id="open", reason="r", sentence="s", now=0.0)
    leases.acquire(conn, "acme", "ran out", "me", 0.0, 60.0)
    leases.acquire(conn, "acme", "held", "me", now, 60.0)
    enrolments.add(
        conn, tenant="acme", vendor_account="a", key="k", make_id=lambda n: "7", record={}, now=0.0
    )
    assert retention.retention(conn, now, chunk=2) == 2 + 2 + 2 + 2 + 1
    assert retention.retention(conn, now, chunk=2) == 1 + 2 + 1 + 1
    assert retention.retention(conn, now, chunk=2) == 2
    assert retention.retention(conn, now, chunk=2) == 0
    assert counts(conn) == [3, 3, 2, 2, 2, 1, 1]
    assert runs.get(conn, in_doubt) is not None


def test_days_to_keep_are_a_parameter(conn):
    fill(conn, 1, at=9 * DAY_S)
    assert retention.retention(conn, 10 * DAY_S, days=2) == 0
    assert retention.retention(conn, 12 * DAY_S, days=2) == 5


def receive(conn, state, at):
    """A webhook that came to this state at that time; its id."""
    quarantined = "no signature" if state == "quarantined" else None
    id = inbox.store(
        conn, tenant="acme", source="lms", raw=b"{}", headers={}, now=at, quarantined=quarantined
    )
    if state == "done":
        inbox.claim(conn, "me", at, 60.0)
        inbox.finish(conn, id, "me", at)
    return id


@pytest.mark.parametrize(
    ("state", "age", "days", "kept"),
    [
        pytest.param("done", 6.9, 30, True, id="worked off this week"),
        pytest.param("done", 7.1, 30, False, id="worked off before"),
        pytest.param("done", 2.1, 2, False, id="nothing is kept for longer than said"),
        pytest.param("quarantined", 29.9, 30, True, id="set apart"),
        pytest.param("quarantined", 30.1, 30, False, id="set apart long ago"),
        pytest.param("new", 400, 30, True, id="not worked off yet"),
    ],
)
def test_received_webhooks_are_kept_for_a_week_or_until_somebody_looked(conn, state, age, days, kept):
    now = 500 * DAY_S
    id = receive(conn, state, now - age * DAY_S)
    assert retention.retention(conn, now, days=days) == int(not kept)
    assert (inbox.get(conn, id) is not None) is kept


def test_event_ids_are_remembered_for_a_week(conn):
    inbox.mark_seen(conn, "acme", "lms", "old", 1 * DAY_S)
    inbox.mark_seen(conn, "acme", "lms", "new", 3 * DAY_S)
    assert retention.retention(conn, 9 * DAY_S) == 1
    assert [inbox.seen(conn, "acme", "lms", id) for id in ("old", "new")] == [False, True]


def test_changes_of_ended_enrolments_are_let_go(conn):
    enrolments.add(
        conn,
        tenant="acme",
        vendor_account="a",
        key="k",
        make_id=lambda n: "7",
        record={},
        now=0.0,
        push_from=0.0,
    )
    outbox.put(conn, "acme", "7", 40, 1.0)
    assert retention.retention(conn, 2.0) == 0
    enrolments.cancel(conn, "acme", "7", 3.0)
    assert retention.retention(conn, 4.0) == 1
    assert outbox.get(conn, "acme", "7").state == "done"
