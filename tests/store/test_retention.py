"""Retention: old finished work goes in chunks; what is live, open or an enrolment stays."""

from sqlalchemy import func, select

from gateway.store import enrolments, leases, manual, retention, runs, steps, tasks, traces
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
