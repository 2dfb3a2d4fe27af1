"""Runs: the same request again, fencing, doubt, and what the office must hear of."""

import pytest

from gateway.store import enrolments, runs
from gateway.store.claims import LostLease

LEASE_S = 90.0
WINDOW_S = 900.0


def begin(conn, now=1000.0, owner="me", fingerprint="create:126:S1", **more):
    return runs.begin(
        conn,
        tenant="acme",
        operation="createEnrolment",
        fingerprint=fingerprint,
        input={"courseId": "126", "student": {"id": "S1"}},
        owner=owner,
        now=now,
        lease_s=LEASE_S,
        mapping_hash="h1",
        **more,
    )


def enrol(conn, key="7-126", now=1000.0):
    return enrolments.add(
        conn,
        tenant="acme",
        vendor_account="acme.example",
        key=key,
        make_id=lambda generation: key if generation == 1 else f"{key}_{generation}",
        record={"user": "7"},
        now=now,
    ).id


def done(conn, at=1000.0, made=True):
    """A finished run, with the enrolment it made."""
    run_id = begin(conn, at).run.id
    enrolment_id = enrol(conn, now=at) if made else None
    runs.finish(conn, run_id, "me", {"id": enrolment_id}, now=at, enrolment_id=enrolment_id)
    return run_id, enrolment_id


def nothing(conn, run_id, enrolment_id):
    pass


def seen(conn, run_id, enrolment_id):
    enrolments.mark_seen(conn, "acme", enrolment_id, 1100.0)


def cancelled(conn, run_id, enrolment_id):
    enrolments.cancel(conn, "acme", enrolment_id, 1100.0)


def moved(conn, run_id, enrolment_id):
    enrolments.move(conn, "acme", enrolment_id, "7-200", 1100.0)


INSIDE, OUTSIDE, NEXT_YEAR = 1000.0 + WINDOW_S - 1, 1000.0 + WINDOW_S + 1, 1000.0 + 366 * 86_400


@pytest.mark.parametrize(
    ("meanwhile", "again_at", "while_active", "expected"),
    [
        pytest.param(nothing, INSIDE, False, "answered", id="unseen, inside the window"),
        pytest.param(nothing, NEXT_YEAR, False, "answered", id="never seen, long after the window"),
        pytest.param(seen, INSIDE, False, "answered", id="seen, inside the window"),
        pytest.param(seen, OUTSIDE, False, "new", id="seen, after the window"),
        pytest.param(cancelled, INSIDE, False, "new", id="cancelled, inside the window"),
        pytest.param(moved, INSIDE, False, "new", id="moved, inside the window"),
        pytest.param(seen, NEXT_YEAR, True, "answered", id="transfer, seen, still active"),
        pytest.param(cancelled, INSIDE, True, "new", id="transfer, result cancelled"),
        pytest.param(moved, INSIDE, True, "new", id="transfer, result moved on"),
    ],
)
def test_same_request_after_a_finished_run(conn, meanwhile, again_at, while_active, expected):
    run_id, enrolment_id = done(conn)
    meanwhile(conn, run_id, enrolment_id)
    again = begin(conn, again_at, "other", while_active=while_active, repeat_window_s=WINDOW_S)
    assert again.kind == expected
    assert (again.run.id == run_id) is (expected == "answered")
    assert again.run.output == ({"id": enrolment_id} if expected == "answered" else None)
    assert len(runs.list_runs(conn)) == (1 if expected == "answered" else 2)


@pytest.mark.parametrize(
    ("again_at", "window_s", "expected"),
    [
        pytest.param(INSIDE, WINDOW_S, "answered", id="inside the window"),
        pytest.param(OUTSIDE, WINDOW_S, "new", id="after the window"),
        pytest.param(1000.0, 0.0, "new", id="no window at all"),
    ],
)
def test_same_request_after_a_run_that_made_no_enrolment(conn, again_at, window_s, expected):
    done(conn, made=False)
    assert begin(conn, again_at, repeat_window_s=window_s).kind == expected


def test_answer_whose_enrolment_left_the_store_is_not_given_again(conn):
    run_id = begin(conn).run.id
    runs.finish(conn, run_id, "me", {"id": "7-126"}, now=1000.0, enrolment_id="7-126")
    assert begin(conn, 1001.0).kind == "new"


def test_the_latest_answer_counts(conn):
    _, first = done(conn)
    enrolments.cancel(conn, "acme", first, 1100.0)
    _, second = done(conn, 1200.0)
    again = begin(conn, 1300.0)
    assert (again.kind, again.run.output) == ("answered", {"id": "7-126_2"})
    assert second == "7-126_2"


def test_first_request_is_new_and_keeps_what_it_was_given(conn):
    begun = begin(conn, student_id="S1", run_id="0a")
    assert begun.kind == "new"
    assert begun.run == runs.get(conn, "0a")
    assert (begun.run.state, begun.run.lease_until, begun.run.student_id) == ("running", 1090.0, "S1")


def test_same_request_while_running_joins_it(conn):
    first = begin(conn)
    again = begin(conn, 1010.0, "other")
    assert (again.kind, again.run.id, again.run.owner) == ("joined", first.run.id, "me")


def test_same_request_after_the_owner_died_takes_the_run_over_for_settling(conn):
    first = begin(conn)
    again = begin(conn, 1000.0 + LEASE_S, "other")
    assert (again.kind, again.run.id, again.run.owner) == ("in_doubt", first.run.id, "other")
    assert begin(conn, 1000.0 + LEASE_S + 1, "third").kind == "joined"


@pytest.mark.parametrize("due_at", [5000.0, None], ids=["not yet due", "waits for a person"])
def test_same_request_in_doubt_is_settled_first(conn, due_at):
    first = begin(conn).run
    runs.in_doubt(conn, first.id, "me", due_at, error={"code": "outcome_unknown"})
    again = begin(conn, 1010.0, "other")
    assert (again.kind, again.run.id, again.run.state) == ("in_doubt", first.id, "running")
    assert (again.run.tries, again.run.error) == (1, {"code": "outcome_unknown"})


def test_same_request_while_the_settler_looks_joins_it(conn):
    first = begin(conn).run
    runs.in_doubt(conn, first.id, "me", 1005.0)
    assert [run.id for run in runs.claim_due(conn, "settler", 1006.0, LEASE_S)] == [first.id]
    assert begin(conn, 1007.0, "other").kind == "joined"


def test_same_request_after_a_failure_is_a_new_run(conn):
    first = begin(conn).run
    runs.fail(conn, first.id, "me", {"code": "refused"}, now=1001.0)
    again = begin(conn, 1002.0)
    assert again.kind == "new"
    assert runs.get(conn, first.id).error == {"code": "refused"}


def test_another_fingerprint_or_tenant_is_another_run(conn):
    begin(conn)
    assert begin(conn, fingerprint="create:127:S1").kind == "new"


def test_begin_gives_up_when_the_run_in_the_way_can_never_be_seen(conn):
    begin(conn, run_id="same")
    with pytest.raises(LostLease):
        begin(conn, fingerprint="other", run_id="same")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda conn, run: runs.finish(conn, run, "me", {}, now=1.0), id="finish"),
        pytest.param(lambda conn, run: runs.fail(conn, run, "me", {}, now=1.0), id="fail"),
        pytest.param(lambda conn, run: runs.in_doubt(conn, run, "me", 1.0), id="in doubt"),
        pytest.param(lambda conn, run: runs.renew_lease(conn, run, "me", 1.0), id="renew"),
    ],
)
def test_writes_after_the_lease_was_lost_are_refused(conn, change):
    first = begin(conn).run
    change(conn, begin(conn, fingerprint="ours").run.id)
    begin(conn, 1000.0 + LEASE_S, "other")
    held = runs.get(conn, first.id)
    with pytest.raises(LostLease):
        change(conn, first.id)
    assert runs.get(conn, first.id) == held


def test_a_finished_run_cannot_be_changed(conn):
    run_id, _ = done(conn)
    with pytest.raises(LostLease):
        runs.fail(conn, run_id, "me", {}, now=1.0)


def test_renewed_lease_keeps_others_away(conn):
    first = begin(conn).run
    runs.renew_lease(conn, first.id, "me", 5000.0)
    assert begin(conn, 4999.0, "other").kind == "joined"
    assert runs.claim_due(conn, "settler", 4999.0, LEASE_S) == []


def test_claim_due_takes_what_is_due_or_orphaned_and_nothing_else(conn):
    orphan, live, due, later, manual = (begin(conn, fingerprint=str(n)).run.id for n in range(5))
    runs.renew_lease(conn, live, "me", 5000.0)
    runs.in_doubt(conn, due, "me", 1200.0)
    runs.in_doubt(conn, later, "me", 1300.0)
    runs.in_doubt(conn, manual, "me", None)
    claimed = runs.claim_due(conn, "settler", 1200.0, LEASE_S)
    assert {run.id: run.state for run in claimed} == {orphan: "running", due: "in_doubt"}
    assert {(run.owner, run.lease_until) for run in claimed} == {("settler", 1290.0)}
    assert runs.claim_due(conn, "another", 1201.0, LEASE_S) == []
    runs.finish(conn, due, "settler", {}, now=1202.0)


def test_claim_due_takes_no_more_than_asked(conn):
    for n in range(3):
        begin(conn, fingerprint=str(n))
    assert len(runs.claim_due(conn, "settler", 2000.0, LEASE_S, limit=2)) == 2
    assert len(runs.claim_due(conn, "settler", 2000.0, LEASE_S, limit=2)) == 1


def test_claim_of_one_run_needs_nobody_at_work_on_it(conn):
    first = begin(conn).run
    with pytest.raises(LostLease):
        runs.claim(conn, first.id, "office", 1001.0, LEASE_S)
    runs.in_doubt(conn, first.id, "me", None)
    assert runs.claim(conn, first.id, "office", 1002.0, LEASE_S).owner == "office"


def late(conn, told=True, again_at=None, told_again_at=None):
    """A create that RTOPilot heard an error for, and that was done afterwards."""
    first = begin(conn).run
    if told:
        runs.told_error(conn, first.id, 1008.0)
    if again_at is not None:
        begin(conn, again_at, "other")
    if told_again_at is not None:
        runs.told_error(conn, first.id, told_again_at)
    runs.finish(conn, first.id, "me", {"id": "7"}, now=1050.0)
    return first.id


@pytest.mark.parametrize(
    ("story", "listed"),
    [
        pytest.param({}, True, id="told an error, not repeated"),
        pytest.param({"told": False}, False, id="never told an error"),
        pytest.param({"again_at": 1020.0}, False, id="repeated, so it was answered"),
        pytest.param({"again_at": 1020.0, "told_again_at": 1028.0}, True, id="repeated, told again"),
    ],
)
def test_enrolments_rtopilot_never_heard_of_are_found_after_a_day(conn, story, listed):
    run_id = late(conn, **story)
    operations = ["createEnrolment"]
    assert runs.unheard(conn, 1030.0 + 86_000, operations=operations) == []
    found = runs.unheard(conn, 1030.0 + 86_400, operations=operations)
    assert [run.id for run in found] == ([run_id] if listed else [])
    assert runs.unheard(conn, 1e9, operations=["transferEnrolment"]) == []
    runs.mark_listed(conn, run_id, 1e9)
    assert runs.unheard(conn, 1e9, operations=operations) == []


def test_an_answer_given_again_counts_as_heard(conn):
    run_id = begin(conn).run.id
    runs.told_error(conn, run_id, 1008.0)
    enrolment_id = enrol(conn)
    runs.finish(conn, run_id, "me", {"id": enrolment_id}, now=1050.0, enrolment_id=enrolment_id)
    assert begin(conn, 1100.0).kind == "answered"
    assert runs.unheard(conn, 1e9, operations=["createEnrolment"]) == []


def test_list_runs_filters_and_pages_newest_first(conn):
    ids = [begin(conn, 1000.0 + n, fingerprint=str(n)).run.id for n in range(3)]
    runs.fail(conn, ids[0], "me", {}, now=1.0)
    assert [run.id for run in runs.list_runs(conn)] == ids[::-1]
    assert [run.id for run in runs.list_runs(conn, state="failed", tenant="acme")] == ids[:1]
    assert [run.id for run in runs.list_runs(conn, before=1002.0, limit=1)] == [ids[1]]
    assert runs.list_runs(conn, operation="cancelEnrolment") == []
    assert runs.get(conn, "unknown") is None
