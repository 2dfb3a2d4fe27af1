"""Queued follow-up work and the manual list it ends on."""

import pytest

from gateway.store import manual, tasks
from gateway.store.claims import LostLease
from gateway.store.tasks import BACK_OFF_S

SENTENCE = "End the old enrolment at the LMS."


def add(conn, due_at=None, kind="end_old"):
    return tasks.add(
        conn,
        tenant="acme",
        kind=kind,
        payload={"id": "7-126"},
        sentence=SENTENCE,
        now=10.0,
        due_at=due_at,
        run_id="r1",
        enrolment_id="7-126",
    )


def claim(conn, now, owner="me", **more):
    return [task.id for task in tasks.claim_due(conn, owner, now, 60.0, **more)]


def test_due_tasks_are_claimed_by_one_gateway_in_the_order_they_were_due(conn):
    second, first, later = add(conn, 12.0), add(conn, 11.0), add(conn, 99.0)
    assert claim(conn, 12.0) == [first, second]
    assert claim(conn, 12.0, "other") == []
    assert claim(conn, 99.0, "other") == [first, second, later]  # at lease expiry, and no earlier
    with pytest.raises(LostLease):
        tasks.done(conn, first, "me", 99.0)


def test_claim_takes_no_more_than_asked(conn):
    for _ in range(3):
        add(conn)
    assert [len(claim(conn, 10.0, limit=2)) for _ in range(3)] == [2, 1, 0]


def test_done_task_is_never_claimed_again(conn):
    task_id = add(conn)
    claim(conn, 10.0)
    tasks.done(conn, task_id, "me", 11.0)
    assert claim(conn, 1e9) == []
    found = tasks.get(conn, task_id)
    assert (found.state, found.finished_at, found.owner) == ("done", 11.0, None)


def test_failing_task_is_tried_on_schedule_and_ends_on_the_manual_list(conn):
    task_id, now = add(conn), 10.0
    for wait in BACK_OFF_S:
        assert claim(conn, now) == [task_id]
        assert not tasks.failed(conn, task_id, "me", now, "vendor_unavailable")
        assert claim(conn, now + wait - 1) == []
        now += wait
    claim(conn, now)
    assert manual.list_items(conn) == []
    assert tasks.failed(conn, task_id, "me", now, "x" * 9999)
    (item,) = manual.list_items(conn, tenant="acme")
    assert (item.sentence, item.reason, item.enrolment_id) == (SENTENCE, "end_old_failed", "7-126")
    found = tasks.get(conn, task_id)
    assert (found.state, found.tries, len(found.last_error)) == ("failed", len(BACK_OFF_S) + 1, 500)
    assert claim(conn, 1e9) == []


def test_task_that_cannot_succeed_goes_on_the_manual_list_at_once(conn):
    task_id = add(conn)
    claim(conn, 10.0)
    assert tasks.failed(conn, task_id, "me", 11.0, "refused", final=True)
    assert len(manual.list_items(conn)) == 1


def test_failure_of_a_task_somebody_else_took_is_refused(conn):
    task_id = add(conn)
    claim(conn, 10.0)
    claim(conn, 70.0, "other")
    with pytest.raises(LostLease):
        tasks.failed(conn, task_id, "me", 71.0, "late")
    assert tasks.get(conn, task_id).tries == 0
    assert tasks.get(conn, "unknown") is None


def put(conn, enrolment_id="7-126", reason="moved", tenant="acme"):
    return manual.add(
        conn, tenant=tenant, enrolment_id=enrolment_id, reason=reason, sentence=SENTENCE, now=1.0
    )


def test_same_thing_to_do_stands_once_on_the_manual_list_until_it_is_done(conn):
    assert put(conn)
    assert not put(conn)
    assert put(conn, reason="other")
    assert put(conn, tenant="beta")
    item = manual.list_items(conn, tenant="beta")[0]
    assert manual.done(conn, item.id, 2.0)
    assert not manual.done(conn, item.id, 3.0)
    assert [(done.id, done.done_at) for done in manual.list_items(conn, state="done")] == [(item.id, 2.0)]
    assert put(conn, tenant="beta")


def test_thing_to_do_about_no_enrolment_stands_once_too(conn):
    assert put(conn, enrolment_id=None)
    assert not put(conn, enrolment_id=None)
