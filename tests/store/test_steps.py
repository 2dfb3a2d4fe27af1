"""Steps: intent, outcome, doubt and the fence around them."""

import pytest

from gateway.store import runs, steps
from gateway.store.claims import LostLease
from gateway.store.steps import StepInDoubt


@pytest.fixture
def run_id(conn):
    return runs.begin(
        conn,
        tenant="acme",
        operation="createEnrolment",
        fingerprint="f",
        input=None,
        owner="me",
        now=0.0,
        lease_s=90.0,
        mapping_hash="h",
    ).run.id


def states(conn, run_id):
    return [(step.seq, step.name, step.state) for step in steps.steps_of(conn, run_id)]


def test_step_is_started_then_done_with_its_value(conn, run_id):
    steps.step_started(conn, run_id, "me", 1, "enrol", 12.5)
    assert states(conn, run_id) == [(1, "enrol", "started")]
    steps.step_done(conn, run_id, "me", 1, "enrol", {"id": 7}, ["slow"])
    (step,) = steps.steps_of(conn, run_id)
    assert (step.state, step.left_at, step.value, step.warnings) == ("done", 12.5, {"id": 7}, ["slow"])


def test_step_that_only_read_is_done_without_having_started(conn, run_id):
    steps.step_done(conn, run_id, "me", 0, "find", {"users": []})
    (step,) = steps.steps_of(conn, run_id)
    assert (step.state, step.left_at, step.warnings) == ("done", None, [])


def test_steps_come_back_in_order(conn, run_id):
    for seq in (2, 0, 1):
        steps.step_done(conn, run_id, "me", seq, f"s{seq}", None)
    assert [step.seq for step in steps.steps_of(conn, run_id)] == [0, 1, 2]


def test_write_in_doubt_is_not_started_again_until_it_is_known_not_to_have_happened(conn, run_id):
    steps.step_started(conn, run_id, "me", 1, "enrol", 1.0)
    with pytest.raises(StepInDoubt):
        steps.step_started(conn, run_id, "me", 1, "enrol", 2.0)
    steps.step_not_sent(conn, run_id, "me", 1)
    assert states(conn, run_id) == [(1, "enrol", "failed")]
    steps.step_started(conn, run_id, "me", 1, "enrol", 3.0)
    assert steps.steps_of(conn, run_id)[0].left_at == 3.0


def test_repeatable_write_may_be_started_again_but_not_once_done(conn, run_id):
    steps.step_started(conn, run_id, "me", 1, "enrol", 1.0)
    steps.step_started(conn, run_id, "me", 1, "enrol", 2.0, again=True)
    steps.step_done(conn, run_id, "me", 1, "enrol", {})
    with pytest.raises(StepInDoubt):
        steps.step_started(conn, run_id, "me", 1, "enrol", 3.0, again=True)


def test_finished_step_is_not_taken_back(conn, run_id):
    steps.step_done(conn, run_id, "me", 1, "enrol", {"id": 1})
    steps.step_not_sent(conn, run_id, "me", 1)
    assert states(conn, run_id) == [(1, "enrol", "done")]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda conn, run: steps.step_started(conn, run, "me", 2, "x", 1.0), id="started"),
        pytest.param(lambda conn, run: steps.step_not_sent(conn, run, "me", 1), id="not sent"),
        pytest.param(lambda conn, run: steps.step_done(conn, run, "me", 1, "x", {}), id="done"),
    ],
)
def test_steps_of_a_run_that_is_no_longer_ours_cannot_be_written(conn, run_id, change):
    steps.step_started(conn, run_id, "me", 1, "x", 1.0)
    assert runs.claim_due(conn, "other", 100.0, 90.0)
    with pytest.raises(LostLease):
        change(conn, run_id)
    assert states(conn, run_id) == [(1, "x", "started")]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"n": 2**70}, id="number beyond 64 bits"),
        pytest.param({"t": "Zoë\u0001 \u2028"}, id="control characters"),
        pytest.param(126, id="bare number"),
        pytest.param("0126", id="text of digits"),
        pytest.param(None, id="nothing"),
        pytest.param([1.5, True, {"a": None}], id="list"),
    ],
)
def test_values_come_back_as_they_went_in(conn, run_id, value):
    steps.step_done(conn, run_id, "me", 1, "x", value)
    assert steps.steps_of(conn, run_id)[0].value == value


@pytest.mark.parametrize("found", [None, False, True])
def test_step_says_whether_it_was_found_done(conn, run_id, found):
    steps.step_done(conn, run_id, "me", 1, "enrol", {"id": 7}, found=found)
    assert steps.steps_of(conn, run_id)[0].found is found
