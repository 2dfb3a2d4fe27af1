"""Writes whose answer was lost: looked up, never sent again blindly. Source: docs/durability.md 2."""

from __future__ import annotations

import pytest

from gateway.engine.calls import Reply
from gateway.engine.doubt import Doubt, InDoubt, NotDone, Resume, StepResult
from gateway.errors import Refused, VendorFault, VendorTimeout, VendorUnavailable

END = '\nrecord: {id: "${steps.go.id}"}\nkey: [id]'
ABSENT = "replies: [{if: reply.status == 404, is: absent}, {if: reply.status == 409, is: already}, {if: reply.status == 429, is: throttled}]"
CONFIRM = f"confirm: {{call: GET /look, done: reply.body.done, {ABSENT}, value: {{id: '${{reply.body.id}}'}}, after: 20s}}"


def form(how: str, *, more: str = "", rest: str = "") -> str:
    return f"steps: [{{id: go, call: POST /go, effect: write, {ABSENT}, value: {{id: '${{reply.body.id}}'}}, {how}{more}}}{rest}]{END}"


def at(second: float, body=None, status: int = 200) -> Reply:
    return Reply(status=status, body=body, left_at=second)


LOST = Reply(lost="timeout", left_at=100.0)
DONE = {"done": True, "id": "7"}
SENT, LOOKED = "POST /go", "GET /look"
DOUBT = Doubt(step="go", branch=None, left_at=100.0)


def resumed(**more) -> Resume:
    return Resume(doubt=DOUBT, **more)


# ---- confirm: look it up


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(LOST, id="time-out"),
        pytest.param(Reply(lost="reset", left_at=100.0), id="reset"),
        pytest.param(Reply(lost="too_large", left_at=100.0), id="too large"),
        *[pytest.param(at(100.0, status=status), id=str(status)) for status in (500, 502, 503, 504)],
        pytest.param(at(100.0, {"name": "x"}), id="2xx whose value has a null"),
        pytest.param(Reply(status=200, undecodable="not JSON", left_at=100.0), id="2xx that cannot be read"),
    ],
)
def test_a_lost_answer_is_looked_up_at_once_and_supplies_the_value(make_frame, run_steps, lost):
    frame = make_frame(form(CONFIRM))
    played = run_steps(frame, lost, at(101.0, DONE))
    assert played.asked == [SENT, LOOKED]
    assert frame.steps["go"] == {"id": "7"}
    assert [call.journal for call in played.calls] == ["go", None]
    assert (played.commits[0].outcome, played.calls[1].effect) == ("ok", "read")


LOOKS = [
    pytest.param(at(101.0, DONE), "done", id="done"),
    pytest.param(at(101.0, {"id": "7"}, status=409), "done", id="already"),
    pytest.param(at(119.9, {"done": False}), "unknown", id="not done, asked too soon"),
    pytest.param(at(120.0, {"done": False}), "not done", id="not done, asked late enough"),
    pytest.param(at(119.9, status=404), "unknown", id="absent, asked too soon"),
    pytest.param(at(120.0, status=404), "not done", id="absent, asked late enough"),
    pytest.param(at(120.0, {"done": None}), "unknown", id="a null is not a no"),
    pytest.param(at(120.0, {"done": True}), "unknown", id="done, but its value has a null"),
    pytest.param(at(120.0, status=400), "unknown", id="refused"),
    pytest.param(at(120.0, status=429), "unknown", id="throttled"),
    pytest.param(at(120.0, status=500), "unknown", id="broken"),
    pytest.param(at(120.0, status=403), "unknown", id="fail"),
    pytest.param(Reply(lost="timeout", left_at=120.0), "unknown", id="time-out"),
    pytest.param(VendorUnavailable(code="breaker_open"), "unknown", id="cannot be asked"),
    pytest.param(VendorFault(code="vendor_login"), "unknown", id="no login"),
]


@pytest.mark.parametrize(("look", "known"), LOOKS)
def test_a_look_up_in_the_same_run_proves_only_what_it_can(make_frame, run_steps, look, known):
    frame = make_frame(form(CONFIRM))
    played = run_steps(frame, LOST, look)
    assert played.asked == [SENT, LOOKED]
    if known == "done":
        assert frame.steps["go"] == {"id": "7"}
    elif known == "not done":
        assert type(played.error) is VendorTimeout
    else:
        assert (type(played.error), played.error.look_again_at) == (InDoubt, 120.0)
        assert played.error.doubt == DOUBT


@pytest.mark.parametrize(("look", "known"), LOOKS)
@pytest.mark.parametrize("settle_only", [False, True])
def test_a_run_found_in_doubt_is_looked_up_before_anything_is_sent(
    make_frame, run_steps, look, known, settle_only
):
    frame = make_frame(form(CONFIRM))
    played = run_steps(frame, look, at(121.0, {"id": "8"}), resume=resumed(settle_only=settle_only))
    assert played.asked[0] == LOOKED
    if known == "done":
        assert (frame.steps["go"], played.asked) == ({"id": "7"}, [LOOKED])
    elif known == "unknown":
        assert isinstance(played.error, InDoubt)
        assert played.asked == [LOOKED]
    elif settle_only:
        assert isinstance(played.error, NotDone)
        assert played.asked == [LOOKED]
    else:
        assert (frame.steps["go"], played.asked) == ({"id": "8"}, [LOOKED, SENT])
        assert played.calls[1].again


def test_settling_carries_the_remaining_steps_to_their_end(make_frame, run_steps):
    rest = ", {id: after, call: POST /after, effect: write, repeat: safe}"
    played = run_steps(
        make_frame(form(CONFIRM, rest=rest)), at(101.0, DONE), at(102.0), resume=resumed(settle_only=True)
    )
    assert played.asked == [LOOKED, "POST /after"]
    assert played.error is None


@pytest.mark.parametrize(
    ("confirm", "error"),
    [
        pytest.param(
            "confirm: {call: 'GET /look/${enrolment.x}', done: 'true'}",
            None,
            id="a request that cannot be built",
        ),
        pytest.param(
            "confirm: {call: GET /look, items: reply.body, pick: id == '7', done: item.id != null}",
            None,
            id="not a list",
        ),
        pytest.param(
            "confirm: {call: GET /look, done: upper(reply.body.n) == 'X'}", None, id="done that fails"
        ),
    ],
)
def test_a_look_up_that_cannot_be_used_leaves_it_unknown(make_frame, run_steps, confirm, error):
    confirm = confirm.replace("enrolment.x", "student.firstName")
    text = f"steps: [{{id: go, call: POST /go, effect: write, {confirm}}}]\nrecord: {{id: '${{courseId}}'}}\nkey: [id]"
    frame = make_frame(text, root={"student": {"id": "1", "firstName": None}})
    played = run_steps(frame, LOST, at(200.0, {"n": 1}))
    assert isinstance(played.error, InDoubt)


def test_a_look_up_picks_among_items_and_sees_its_arguments(make_frame, run_steps):
    extra = "calls: {all: {call: 'GET /all/${args.q}', items: reply.body, pick: id == $.courseId}}"
    confirm = "confirm: {use: all, args: {q: '${courseId}'}, done: item.on && args.q == '126', value: {id: '${item.id}-${args.q}'}}"
    frame = make_frame(form(confirm), extra=extra)
    played = run_steps(frame, LOST, at(101.0, [{"id": "1"}, {"id": "126", "on": True}]))
    assert played.asked == [SENT, "GET /all/126"]
    assert frame.steps["go"] == {"id": "126-126"}
    assert isinstance(run_steps(make_frame(form(confirm), extra=extra), LOST, at(119.0, [])).error, InDoubt)


def test_warnings_of_the_lost_answer_are_kept(make_frame, run_steps):
    text = form(CONFIRM).replace(
        "{if: reply.status == 404, is: absent}", "{if: reply.status == 201, is: unknown, warn: odd}", 1
    )
    frame = make_frame(text)
    run_steps(frame, at(100.0, status=201), at(101.0, DONE))
    assert frame.warnings == ["odd"]


# ---- already, with a confirm


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        pytest.param(at(101.0, DONE), "already", id="it supplies the value"),
        pytest.param(at(101.0, {"id": "7"}, status=409), "already", id="already there too"),
        pytest.param(at(101.0, {"done": False}), Refused, id="not as this request needs it"),
        pytest.param(at(101.0, status=404), Refused, id="not there"),
        pytest.param(at(101.0, status=500), VendorUnavailable, id="cannot be looked up"),
        pytest.param(at(101.0, {"done": True}), VendorUnavailable, id="without its value"),
    ],
)
def test_already_is_looked_up_where_there_is_a_confirm(make_frame, run_steps, look, expected):
    frame = make_frame(form(CONFIRM))
    played = run_steps(frame, at(100.0, status=409), look)
    assert played.asked == [SENT, LOOKED]
    if expected == "already":
        assert (frame.steps["go"], frame.results["go"].outcome) == ({"id": "7"}, "already")
    else:
        assert type(played.error) is expected


# ---- confirm: earlier

EARLIER = f"""
steps:
  - id: go
    first:
      - {{name: a, when: settings.word == 'one', call: GET /a, {ABSENT}, value: {{id: "${{reply.body.id}}"}}}}
      - {{name: b, call: GET /b, when: settings.word != 'none', {ABSENT}, value: {{id: "${{reply.body.id}}"}}}}
      - {{name: make, call: POST /make, effect: write, confirm: earlier, {ABSENT}, value: {{id: "${{reply.body.id}}"}}}}
{END}"""
MISS = [at(90.0, status=404), at(91.0, status=404)]
MADE = Doubt(step="go", branch="make", left_at=100.0)


@pytest.mark.parametrize(
    ("looks", "asked", "known"),
    [
        pytest.param([at(101.0, {"id": "7"})], ["GET /a"], "done", id="the first branch finds it"),
        pytest.param([at(101.0, status=404), at(102.0, {"id": "7"})], ["GET /a", "GET /b"], "done", id="the second finds it"),
        pytest.param([at(120.0, status=404), at(121.0, status=404)], ["GET /a", "GET /b"], "not done", id="none, asked late enough"),
        pytest.param([at(119.0, status=404), at(121.0, status=404)], ["GET /a", "GET /b"], "unknown", id="none, one asked too soon"),
        pytest.param([at(120.0, status=400)], ["GET /a"], "unknown", id="refused"),
        pytest.param([at(120.0, {"x": 1})], ["GET /a"], "unknown", id="found without its value"),
        pytest.param([VendorUnavailable()], ["GET /a"], "unknown", id="cannot be asked"),
    ],
)  # fmt: skip
def test_confirm_earlier_runs_the_read_branches_again(make_frame, run_steps, looks, asked, known):
    frame = make_frame(EARLIER)
    played = run_steps(frame, *MISS, LOST, *looks)
    assert played.asked == ["GET /a", "GET /b", "POST /make", *asked]
    assert played.calls[2].journal == "go/make"
    if known == "done":
        assert frame.steps["go"] == {"id": "7"}
    elif known == "not done":
        assert type(played.error) is VendorTimeout
    else:
        assert (type(played.error), played.error.look_again_at, played.error.doubt) == (InDoubt, 120.0, MADE)


def test_a_resumed_run_settles_its_branch_and_starts_again_when_it_was_not_done(make_frame, run_steps):
    late = [at(130.0, status=404), at(131.0, status=404)]
    again = [at(132.0, status=404), at(133.0, status=404), at(134.0, {"id": "9"})]
    frame = make_frame(EARLIER)
    played = run_steps(frame, *late, *again, resume=Resume(doubt=MADE))
    assert played.asked == ["GET /a", "GET /b"] * 2 + ["POST /make"]
    assert played.calls[-1].again
    assert frame.steps["go"] == {"id": "9"}
    settled = run_steps(make_frame(EARLIER), *late, resume=Resume(doubt=MADE, settle_only=True))
    assert isinstance(settled.error, NotDone)
    found = make_frame(EARLIER)
    assert run_steps(found, at(101.0, {"id": "7"}), resume=Resume(doubt=MADE, settle_only=True)).asked == [
        "GET /a"
    ]
    assert found.steps["go"] == {"id": "7"}


def test_confirm_earlier_without_a_branch_that_can_be_asked_is_for_a_person(make_frame, run_steps):
    frame = make_frame(EARLIER)
    frame.root["settings"]["word"] = "none"
    played = run_steps(frame, LOST)
    assert (type(played.error), played.error.look_again_at, played.asked) == (InDoubt, None, ["POST /make"])


def test_a_doubt_about_a_branch_that_is_no_longer_there_is_for_a_person(make_frame, run_steps):
    for branch in ("gone", "a", None):
        played = run_steps(
            make_frame(EARLIER), resume=Resume(doubt=Doubt(step="go", branch=branch, left_at=1.0))
        )
        assert (type(played.error), played.calls) == (InDoubt, [])


# ---- repeat: safe and never


def test_repeat_safe_sends_it_once_more_and_says_so(make_frame, run_steps):
    frame = make_frame(form("repeat: safe"))
    played = run_steps(frame, LOST, at(105.0, {"id": "7"}))
    assert [call.again for call in played.calls] == [False, True]
    assert played.calls[0].body == played.calls[1].body
    assert frame.steps["go"] == {"id": "7"}


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(Reply(lost="timeout", left_at=105.0), InDoubt, id="lost again"),
        pytest.param(at(105.0, status=500), InDoubt, id="broken"),
        pytest.param(at(105.0, status=429), InDoubt, id="throttled: the first may have happened"),
        pytest.param(at(105.0, status=403), InDoubt, id="fail: the first may have happened"),
        pytest.param(
            VendorUnavailable(code="breaker_open"), InDoubt, id="never left: the first may have happened"
        ),
        pytest.param(VendorTimeout(), InDoubt, id="no time left"),
        pytest.param(at(105.0, status=400), Refused, id="refused: twice equals once"),
    ],
)
def test_repeat_safe_stays_in_doubt_until_an_answer_says_something(make_frame, run_steps, second, expected):
    for resume, replies in ((None, [LOST, second]), (resumed(), [second, second])):
        played = run_steps(make_frame(form("repeat: safe")), *replies, resume=resume)
        assert type(played.error) is expected
        if expected is InDoubt:
            assert played.error.look_again_at is None


def test_repeat_safe_found_in_doubt_is_sent_again_but_never_in_the_background(make_frame, run_steps):
    frame = make_frame(form("repeat: safe"))
    played = run_steps(frame, at(200.0, {"id": "7"}), resume=resumed())
    assert (played.asked, played.calls[0].again) == ([SENT], True)
    background = run_steps(make_frame(form("repeat: safe")), resume=resumed(settle_only=True))
    assert (type(background.error), background.asked) == (InDoubt, [])


@pytest.mark.parametrize("settle_only", [False, True])
def test_repeat_safe_found_in_doubt_is_left_when_the_steps_before_it_show_no_need(
    make_frame, run_steps, settle_only
):
    look = "{id: look, call: GET /look, value: {there: '${reply.body.there}'}}"
    go = f"{{id: go, when: steps.look.there, call: POST /go, effect: write, repeat: safe, {ABSENT}}}"
    frame = make_frame(f"steps: [{look}, {go}]\nrecord: {{id: '${{courseId}}'}}\nkey: [id]")
    played = run_steps(frame, at(200.0, {"there": False}), resume=resumed(settle_only=settle_only))
    assert (played.error, played.asked, frame.steps["go"]) == (None, [LOOKED], None)


@pytest.mark.parametrize("settle_only", [False, True])
def test_repeat_never_waits_for_a_person(make_frame, run_steps, settle_only):
    assert run_steps(make_frame(form("repeat: never")), LOST).error.look_again_at is None
    played = run_steps(make_frame(form("repeat: never")), resume=resumed(settle_only=settle_only))
    assert (type(played.error), played.error.look_again_at, played.asked) == (InDoubt, None, [])


def test_a_write_that_was_never_sent_is_not_in_doubt(make_frame, run_steps):
    for how in (CONFIRM, "repeat: safe", "repeat: never"):
        played = run_steps(make_frame(form(how)), Reply(lost="not_sent", left_at=100.0))
        assert played.error.code == "vendor_unreachable"
        assert played.asked == [SENT]


# ---- optional


@pytest.mark.parametrize("resume", [None, resumed(settle_only=True)])
def test_an_optional_write_in_doubt_is_a_warning_and_the_run_goes_on(make_frame, run_steps, resume):
    rest = ", {id: after, call: GET /after}"
    text = form("repeat: never", more=", optional: true", rest=rest).replace("${steps.go.id}", "${courseId}")
    frame = make_frame(text)
    played = run_steps(frame, *([] if resume else [LOST]), at(101.0), resume=resume)
    assert played.asked[-1] == "GET /after"
    assert (played.commits[0].outcome, frame.steps["go"]) == ("unknown", None)


def test_a_step_in_doubt_is_settled_even_if_its_condition_no_longer_holds(make_frame, run_steps):
    text = form(CONFIRM, more=", when: settings.word == 'one'")
    frame = make_frame(text)
    frame.root["settings"]["word"] = "two"
    assert run_steps(frame, at(101.0, DONE), resume=resumed()).asked == [LOOKED]


def test_an_earlier_result_of_the_run_wins_over_a_doubt_about_it(make_frame, run_steps):
    finished = {"go": StepResult(value={"id": "5"})}
    played = run_steps(make_frame(form(CONFIRM)), resume=resumed(finished=finished))
    assert (played.asked, played.error) == ([], None)
