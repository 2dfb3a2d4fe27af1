"""Steps in order, branches, optional steps, restarts, what is remembered: every cell of the outcome table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gateway.engine import operations, steps
from gateway.engine.calls import Reply
from gateway.engine.doubt import Doubt, InDoubt, Resume, StepResult
from gateway.errors import InternalError, NotFound, Refused, VendorFault, VendorTimeout, VendorUnavailable


def ok(body=None, **more) -> Reply:
    return Reply(status=200, body=body, **more)


LOGIN = """
server:
  base: "https://lms.example/api"
  hosts: [lms.example]
  auth:
    kind: session
    login: {call: POST /login, form: {key: "${secrets.apiKey}"}, token: {id: "${reply.body.id}"}}
    place: {headers: {X-Session: "${token.id}"}}
"""


@pytest.fixture
def make_frame(make_frame):
    """The same, of a vendor one logs in to: then every outcome may be written."""
    return partial(make_frame, server=LOGIN)


END = '\nrecord: {id: "${courseId}"}\nkey: [id]'
RULES = """[{if: reply.body.is == 'ok', is: ok}, {if: reply.body.is == 'already', is: already}, {if: reply.body.is == 'absent', is: absent},
  {if: reply.body.is == 'refused', is: refused, say: "Vendor says no."}, {if: reply.body.is == 'throttled', is: throttled}, {if: reply.body.is == 'retry', is: retry},
  {if: reply.body.is == 'unknown', is: unknown}, {if: reply.body.is == 'relogin', is: relogin}, {if: reply.body.is == 'fail', is: fail}]"""


def said(word: str, **more) -> Reply:
    return Reply(status=200, body={"is": word, "id": "7"}, left_at=100.0, **more)


READ = f"{{id: go, call: GET /go, replies: {RULES}, value: {{id: '${{reply.body.id}}'}}"
WRITE = f"{{id: go, call: POST /go, effect: write, repeat: never, replies: {RULES}, value: {{id: '${{reply.body.id}}'}}"


@pytest.mark.parametrize(
    ("word", "read", "write"),
    [
        ("ok", {"id": "7"}, {"id": "7"}),
        ("already", {"id": "7"}, {"id": "7"}),
        ("absent", Refused, Refused),
        ("refused", Refused, Refused),
        ("throttled", VendorUnavailable, VendorUnavailable),
        ("retry", VendorFault, VendorFault),
        ("unknown", VendorFault, InDoubt),
        ("relogin", VendorFault, VendorFault),
        ("fail", VendorFault, VendorFault),
    ],
)
def test_each_outcome_of_a_plain_step_goes_on_or_ends_it(make_frame, run_steps, word, read, write):
    for step, expected in ((READ, read), (WRITE, write)):
        frame = make_frame(f"steps: [{step}}}]{END}")
        played = run_steps(frame, said(word))
        if isinstance(expected, dict):
            assert played.error is None
            assert frame.steps == {"go": expected}
            assert frame.results["go"].outcome == word
        else:
            assert type(played.error) is expected


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("ok", "ok"),
        ("already", "already"),
        ("absent", "fail"),
        ("refused", "fail"),
        ("throttled", "fail"),
        ("retry", "fail"),
        ("unknown", "unknown"),
        ("relogin", "fail"),
        ("fail", "fail"),
    ],
)
@pytest.mark.parametrize("operation", ["createEnrolment", "cancelEnrolment"])
def test_each_bad_outcome_of_an_optional_step_is_a_warning(make_frame, run_steps, word, outcome, operation):
    end = END if operation == "createEnrolment" else ""
    frame = make_frame(f"steps: [{WRITE}, optional: true}}, {{id: next, call: GET /next}}]{end}", operation)
    played = run_steps(frame, said(word), ok())
    assert played.error is None
    assert played.asked == ["POST /go", "GET /next"]
    assert played.commits[0].outcome == frame.results["go"].outcome == outcome
    assert (frame.steps["go"] is None) == (outcome not in ("ok", "already"))
    assert len(frame.warnings) == (outcome not in ("ok", "already"))


BRANCHES = f"""
steps:
  - id: user
    first:
      - {{name: one, call: GET /one, replies: {RULES}, value: {{id: "${{reply.body.id}}"}}}}
      - {{name: two, call: GET /two, replies: {RULES}, value: {{id: "${{reply.body.id}}"}}}}
    remember: {{student: {{userId: "${{value.id}}"}}}}
{END}"""


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ok", ["GET /one"]),
        ("already", ["GET /one"]),
        ("absent", ["GET /one", "GET /two"]),
        ("refused", Refused),
        ("throttled", VendorUnavailable),
        ("retry", VendorFault),
        ("unknown", VendorFault),
        ("relogin", VendorFault),
        ("fail", VendorFault),
    ],
)
def test_each_outcome_of_a_branch_yields_goes_on_or_ends_the_step(make_frame, run_steps, word, expected):
    frame = make_frame(BRANCHES)
    played = run_steps(frame, said(word), said("ok"))
    if isinstance(expected, list):
        assert played.asked == expected
        assert frame.steps["user"] == {"id": "7"}
        assert played.commits[0].remember == {"student": {"userId": "7"}}
    else:
        assert type(played.error) is expected
        assert played.asked == ["GET /one"]


def test_a_branch_whose_value_has_a_null_ends_the_step_and_names_the_link(make_frame, run_steps):
    played = run_steps(make_frame(BRANCHES), ok({"is": "ok", "name": "x"}))
    assert isinstance(played.error, VendorFault)
    assert "`reply.body` has no `id`" in played.error.detail


def test_no_branch_left_is_absent(make_frame, run_steps):
    played = run_steps(make_frame(BRANCHES), said("absent"), said("absent"))
    assert (type(played.error), played.error.code) == (Refused, "vendor_absent")


def test_branches_whose_when_is_false_are_not_tried(make_frame, run_steps):
    form = f"""
    steps:
      - id: user
        first:
          - {{name: one, when: courseId == 'x', call: GET /one, value: {{id: "1"}}}}
          - {{name: two, when: courseId == $.courseId && settings.word == 'one', call: GET /two, value: {{id: "2"}}}}
    {END.replace(chr(10), chr(10) + "    ")}"""
    assert run_steps(make_frame(form), ok()).asked == ["GET /two"]
    frame = make_frame(form)
    frame.root["settings"]["word"] = "other"
    assert run_steps(frame).error.code == "vendor_absent"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("cancelEnrolment", None),
        ("updateMarking", Refused),
        ("transferEnrolment", Refused),
        ("getEnrolment", NotFound),
    ],
)
def test_absent_counts_as_done_only_when_cancelling(make_frame, run_steps, operation, expected):
    reading = ", value: {completed: false, percent: 1}" if operation == "getEnrolment" else ""
    frame = make_frame(f"steps: [{WRITE}}}, {{id: next, call: GET /next{reading}}}]", operation)
    played = run_steps(frame, said("absent"), ok())
    if expected is None:
        assert (frame.steps["go"], frame.results["go"].outcome, played.asked) == (
            {},
            "absent",
            ["POST /go", "GET /next"],
        )
    else:
        assert type(played.error) is expected


def test_branches_that_are_all_absent_count_as_done_when_cancelling(make_frame, run_steps):
    form = "steps: [{id: go, first: [{name: a, when: courseId == 'x', call: GET /a}]}]".replace(
        "courseId", "enrolment.courseId"
    )
    frame = make_frame(form, "cancelEnrolment")
    assert run_steps(frame).error is None
    assert frame.results["go"].outcome == "absent"


# ---- restart

RESTART = f"""
steps:
  - id: user
    first:
      - {{name: find, call: GET /find, replies: [{{if: reply.status == 404, is: absent, warn: looked}}], value: {{id: "${{reply.body.id}}"}}}}
      - name: make
        call: POST /make
        effect: write
        confirm: earlier
        replies: [{{if: reply.status == 400, is: restart, limit: 2, say: "It is taken.", texts: "[reply.body.m]"}}]
        value: {{id: "${{reply.body.id}}"}}
{END}"""
GONE, TAKEN = Reply(status=404), Reply(status=400, body={"m": "taken by Ana"})


def test_restart_begins_the_step_again_from_the_top(make_frame, run_steps):
    frame = make_frame(RESTART)
    played = run_steps(frame, GONE, TAKEN, ok({"id": "7"}))
    assert played.asked == ["GET /find", "POST /make", "GET /find"]
    assert frame.steps["user"] == {"id": "7"}


def test_restart_used_up_is_refused_with_the_rules_sentence(make_frame, run_steps):
    played = run_steps(make_frame(RESTART), GONE, TAKEN, GONE, TAKEN, GONE, TAKEN)
    assert (type(played.error), played.error.message) == (Refused, "It is taken. taken by ‹first name›")
    assert len(played.calls) == 6


def test_restart_where_there_is_no_branch_ends_the_step(make_frame, run_steps):
    frame = make_frame(RESTART)
    rules = frame.mapping.operations[frame.operation].steps[0].first[1].call.replies
    frame = make_frame(f"steps: [{WRITE}}}]{END}")
    frame.mapping = replace(frame.mapping, server=replace(frame.mapping.server, replies=rules))
    assert type(run_steps(frame, TAKEN).error) is Refused


# ---- order, skipping, resuming

TWO = f"""
steps:
  - {{id: a, call: GET /a, value: {{x: "${{reply.body.x}}"}}, replies: [{{if: "true", is: ok, warn: noted}}]}}
  - {{id: b, when: steps.a.x == 1, call: "GET /b/${{steps.a.x}}", value: {{y: "${{steps.a.x}}"}}}}
  - {{id: c, call: GET /c}}
{END}"""


def test_later_steps_see_earlier_values_and_a_skipped_one_is_null(make_frame, run_steps):
    frame = make_frame(TWO)
    assert run_steps(frame, ok({"x": 1}), ok(), ok()).asked == ["GET /a", "GET /b/1", "GET /c"]
    assert frame.steps == {"a": {"x": 1}, "b": {"y": 1}, "c": {}}
    frame = make_frame(TWO)
    assert run_steps(frame, ok({"x": 2}), ok()).asked == ["GET /a", "GET /c"]
    assert frame.steps["b"] is None
    assert frame.warnings == ["noted"]


def test_finished_steps_are_not_done_again(make_frame, run_steps):
    frame = make_frame(TWO)
    finished = {"a": StepResult(value={"x": 1}, warnings=("noted then",)), "b": StepResult(value=None)}
    played = run_steps(frame, ok(), resume=Resume(finished=finished))
    assert played.asked == ["GET /c"]
    assert frame.steps == {"a": {"x": 1}, "b": None, "c": {}}
    assert frame.warnings == ["noted then"]
    assert [commit.step for commit in played.commits] == ["c"]


def test_a_doubt_about_a_step_that_is_no_longer_there_is_for_a_person(make_frame, run_steps):
    played = run_steps(make_frame(TWO), resume=Resume(doubt=Doubt(step="gone", branch=None, left_at=1.0)))
    assert isinstance(played.error, InDoubt)
    assert played.error.look_again_at is None
    assert played.calls == []


def test_a_when_that_cannot_be_evaluated_is_our_own_mistake(make_frame, run_steps):
    form = f"steps: [{{id: a, when: upper(courseId) == 'X', call: GET /a}}]{END}"
    played = run_steps(make_frame(form, root={"courseId": 5}))
    assert (type(played.error), played.error.code) == (InternalError, "mapping_failed")


def test_minted_values_are_made_once_and_kept(make_frame, run_steps):
    form = f"steps: [{{id: ids, mint: {{reg: uuid, other: uuid}}}}, {{id: go, call: 'GET /x/${{steps.ids.reg}}'}}]{END}"
    frame = make_frame(form)
    played = run_steps(frame, ok())
    assert (played.commits[0].step, played.commits[0].effect) == ("ids", "write")
    assert played.asked == [f"GET /x/{frame.steps['ids']['reg']}"]
    assert frame.steps["ids"]["reg"] != frame.steps["ids"]["other"]
    again = make_frame(form)
    resumed = Resume(finished={"ids": StepResult(value=frame.steps["ids"])})
    assert run_steps(again, ok(), resume=resumed).asked == played.asked


def test_warnings_are_noted_shortened_and_without_names(make_frame, run_steps):
    form = f"steps: [{{id: go, call: GET /go, replies: [{{if: 'true', is: ok, warn: '${{reply.body.w}}'}}]}}]{END}"
    frame = make_frame(form)
    played = run_steps(frame, ok({"w": ["Ana is here", "y" * 300]}))
    assert frame.warnings == ["‹first name› is here", "y" * 200]
    assert played.commits[0].warnings == tuple(frame.warnings)


def test_the_warnings_of_absent_branches_stay_on_the_record(make_frame, run_steps):
    frame = make_frame(RESTART)
    run_steps(frame, GONE, ok({"id": "7"}))
    assert frame.warnings == ["looked"]


def test_what_cannot_be_remembered_is_a_warning_because_the_step_is_done(make_frame, run_steps):
    form = f"steps: [{{id: go, call: GET /go, value: {{'id?': '${{reply.body.id}}'}}, remember: {{student: {{userId: '${{value.id}}'}}}}}}]{END}"
    frame = make_frame(form)
    played = run_steps(frame, ok({}))
    assert played.commits[0].remember == {}
    assert "nothing remembered" in frame.warnings[0]
    assert played.commits[0].warnings == tuple(frame.warnings)


# ---- lists

LISTED = f"""
steps:
  - id: go
    call: GET /go
    items: reply.body
    keep: role == 'learner'
    pick: id == $.courseId
    value: {{name: "${{item.name}}", all: "${{items[].id}}"}}
{END}"""


def test_items_are_kept_and_picked_with_the_item_as_the_current_node(make_frame, run_steps):
    rows = [
        {"id": "126", "role": "trainer", "name": "T"},
        {"id": "1", "role": "learner", "name": "A"},
        {"id": "126", "role": "learner", "name": "B"},
    ]
    frame = make_frame(LISTED)
    assert run_steps(frame, ok(rows)).error is None
    assert frame.steps["go"] == {"items": rows[1:], "item": rows[2], "name": "B", "all": ["1", "126"]}


@pytest.mark.parametrize(
    ("none", "code"),
    [("", "vendor_absent"), ("none: refused, ", "vendor_refused"), ("none: fail, ", "vendor_fault")],
)
def test_nothing_picked_is_the_outcome_that_none_names(make_frame, run_steps, none, code):
    form = f"steps: [{{id: go, call: GET /go, {none}items: reply.body, pick: id == 'x'}}]{END}"
    assert run_steps(make_frame(form), ok([{"id": "1"}])).error.code == code


@pytest.mark.parametrize(
    ("more", "body"),
    [
        pytest.param("", {}, id="not a list"),
        pytest.param("", None, id="null"),
        pytest.param(", keep: upper(id) == 'X'", [{"id": 1}], id="keep fails"),
        pytest.param(", pick: upper(id) == 'X'", [{"id": 1}], id="pick fails"),
        pytest.param(", value: {x: '${items[0].id}'}", [], id="value is null"),
    ],
)
def test_a_list_that_cannot_be_used_fails_a_read_and_leaves_a_write_in_doubt(
    make_frame, run_steps, more, body
):
    for effect, error in (("effect: read", VendorFault), ("effect: write, repeat: never", InDoubt)):
        form = f"steps: [{{id: go, call: POST /go, {effect}, items: reply.body{more}}}]{END}"
        assert type(run_steps(make_frame(form), ok(body)).error) is error


def test_an_error_thrown_at_a_call_ends_the_step_unless_it_is_optional(make_frame, run_steps):
    busy = VendorUnavailable(code="breaker_open")
    assert run_steps(make_frame(f"steps: [{WRITE}}}]{END}"), busy).error is busy
    frame = make_frame(f"steps: [{WRITE}, optional: true}}]{END}")
    assert run_steps(frame, busy).error is None
    assert frame.warnings == [f"go: {busy.message}"]


# ---- undo

UNDO = f"""
steps:
  - id: user
    first:
      - {{name: find, call: GET /find, replies: [{{if: reply.status == 404, is: absent}}], value: {{id: "${{reply.body.id}}"}}}}
      - {{name: make, call: POST /make, effect: write, confirm: earlier, value: {{id: "${{reply.body.id}}"}}}}
    undo: {{call: "POST /remove/${{steps.user.id}}", effect: write, repeat: safe, replies: [{{if: reply.status == 404, is: absent}}]}}
  - {{id: seat, call: POST /seat, effect: write, repeat: safe, replies: [{{if: reply.status == 409, is: already}}], undo: {{call: POST /leave, effect: write, repeat: safe}}}}
  - {{id: more, when: courseId == 'x', call: POST /more, effect: write, repeat: safe, undo: {{call: POST /less, effect: write, repeat: safe}}}}
  - {{id: last, call: GET /last}}
{END}"""


@pytest.mark.parametrize(
    ("replies", "undoable"),
    [
        pytest.param([GONE, ok({"id": "7"}), ok()], ["seat", "user"], id="made here: newest first"),
        pytest.param([ok({"id": "7"}), ok()], ["seat"], id="found by a read: not ours to remove"),
        pytest.param([GONE, ok({"id": "7"}), Reply(status=409)], ["user"], id="already: not ours either"),
    ],
)
def test_only_what_this_run_did_itself_can_be_taken_back(make_frame, run_steps, replies, undoable):
    frame = make_frame(UNDO)
    played = run_steps(frame, *replies, Reply(status=500))
    spec = operations.form(frame, frame.operation)
    assert isinstance(played.error, VendorFault)
    assert [step.id for step in operations.undoable(frame, spec)] == undoable
    assert [commit.step for commit in reversed(played.commits) if commit.undo] == undoable


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [(ok(), "ok"), (Reply(status=404), "ok"), (Reply(lost="timeout"), InDoubt), (Reply(status=400), Refused)],
)
def test_undo_takes_a_step_back_and_absent_counts_as_done(make_frame, play, reply, outcome):
    frame = make_frame(UNDO)
    frame.steps["user"] = {"id": "7"}
    step = operations.form(frame, frame.operation).steps[0]
    played = play(operations.undo(frame, step), reply, Reply(lost="timeout"))
    assert (played.asked[0], played.calls[0].journal) == ("POST /remove/7", "user/undo")
    if isinstance(outcome, str):
        assert played.result.outcome == outcome
    else:
        assert isinstance(played.error, outcome)


def test_undoable_steps_survive_a_restart_of_the_run(make_frame, run_steps):
    frame = make_frame(UNDO)
    finished = {"user": StepResult(value={"id": "7"}, undo=True), "seat": StepResult(value={})}
    run_steps(frame, Reply(status=500), resume=Resume(finished=finished))
    assert [step.id for step in operations.undoable(frame, operations.form(frame, frame.operation))] == [
        "user"
    ]


def test_mint_gives_a_uuid_of_version_4(make_frame):
    from uuid import UUID

    assert UUID(steps.mint(make_frame())).version == 4


def test_a_read_that_timed_out_says_that_nothing_was_changed(make_frame, run_steps):
    assert (
        type(run_steps(make_frame(f"steps: [{READ}}}]{END}"), Reply(lost="timeout")).error) is VendorTimeout
    )


@pytest.mark.parametrize(
    ("standing", "kept"),
    [
        pytest.param({"reg": "OLD", "seat": "9"}, True, id="there"),
        pytest.param({"reg": ""}, False, id="empty"),
        pytest.param({"reg": 7}, False, id="not text"),
        pytest.param({"other": "OLD"}, False, id="under another name"),
        pytest.param(None, False, id="no enrolment"),
    ],
)
def test_what_the_active_enrolment_holds_is_taken_over_instead_of_minted(
    make_frame, run_steps, standing, kept
):
    known = {"student": None, "course": None, "enrolment": standing}
    frame = make_frame(f"steps: [{{id: ids, mint: {{reg: uuid, more: uuid}}}}]{END}", root={"known": known})
    run_steps(frame)
    value = frame.steps["ids"]
    assert (value["reg"] == "OLD") is kept
    assert {len(value["reg"]), len(value["more"])} <= {3 if kept else 36, 36}
