"""Steps that send nothing: what ends an operation early, and values that are worked out once."""

from __future__ import annotations

import pytest

from gateway.engine import operations
from gateway.engine.calls import Reply
from gateway.engine.doubt import Doubt, InDoubt, Resume, StepResult
from gateway.errors import GatewayError, InternalError, NotFound, Refused, VendorFault

END = '\nrecord: {id: "${courseId}"}\nkey: [id]'


def ok(body=None) -> Reply:
    return Reply(status=200, body=body)


def form(check: str, more: str = "", *, end: str = END) -> str:
    return f"steps: [{{id: fit, {check}}}, {{id: go, call: GET /go}}{more}]{end}"


def test_without_a_rule_that_holds_the_step_gives_its_value_and_sends_nothing(make_frame, run_steps):
    rules = "check: [{if: length(student.id) > 5, say: Too long.}, {if: settings.word == 'two', say: No.}]"
    frame = make_frame(form(f'{rules}, value: {{login: "rto-${{student.id}}", "gone?": "${{null}}"}}'))
    played = run_steps(frame, ok())
    assert played.asked == ["GET /go"]
    assert frame.steps["fit"] == {"login": "rto-204"}
    assert (played.commits[0].effect, played.commits[0].value) == ("read", {"login": "rto-204"})


@pytest.mark.parametrize(
    "check", ["check: []", "check: [{if: 'false', say: No.}]"], ids=["no rule", "none holds"]
)
def test_without_a_value_it_gives_an_empty_one(make_frame, run_steps, check):
    frame = make_frame(form(check))
    run_steps(frame, ok())
    assert frame.steps["fit"] == {}


def test_a_value_alone_is_worked_out_once_for_all_later_steps(make_frame, run_steps):
    more = ", {id: more, value: {twice: '${steps.fit.login}${steps.fit.login}'}}, {id: last, call: 'GET /x/${steps.more.twice}'}"
    frame = make_frame(form('value: {login: "a${student.id}"}', more))
    assert run_steps(frame, ok(), ok()).asked == ["GET /go", "GET /x/a204a204"]


def test_the_first_rule_that_holds_ends_the_step(make_frame, run_steps):
    rules = '[{if: "false", say: First.}, {if: "true", say: "Student ${student.id} no."}, {if: "true", say: Third.}]'
    played = run_steps(make_frame(form(f"check: {rules}")))
    assert (type(played.error), played.error.code) == (Refused, "check_refused")
    assert played.error.message == "Student 204 no."
    assert played.calls == played.commits == []


@pytest.mark.parametrize(
    ("operation", "is_", "error", "code"),
    [
        ("createEnrolment", "refused", Refused, "check_refused"),
        ("createEnrolment", "absent", Refused, "vendor_absent"),
        ("createEnrolment", "fail", VendorFault, "vendor_fault"),
        ("cancelEnrolment", "refused", Refused, "check_refused"),
        ("cancelEnrolment", "fail", VendorFault, "vendor_fault"),
        ("getEnrolment", "absent", NotFound, "unknown_enrolment"),
    ],
)
def test_each_outcome_ends_it_with_the_mappings_own_sentence(
    make_frame, run_steps, operation, is_, error, code
):
    check, end = f'check: [{{if: "true", say: Own words., is: {is_}}}]', ""
    if operation == "createEnrolment":
        end = END
    last = ", {id: z, call: GET /z, value: {completed: true, percent: 1}}" * (operation == "getEnrolment")
    played = run_steps(make_frame(form(check, last, end=end), operation))
    assert (type(played.error), played.error.code, played.error.message) == (error, code, "Own words.")


def test_absent_in_a_cancel_counts_as_done_and_needs_no_sentence(make_frame, run_steps):
    frame = make_frame(form('check: [{if: "true", is: absent}]', end=""), "cancelEnrolment")
    played = run_steps(frame, ok())
    assert (played.error, played.asked) == (None, ["GET /go"])
    assert (frame.results["fit"].outcome, frame.steps["fit"]) == ("absent", {})


def test_absent_elsewhere_without_a_sentence_has_the_usual_one(make_frame, run_steps):
    played = run_steps(make_frame(form('check: [{if: "true", is: absent}]')))
    assert played.error.message == "The LMS does not have what this request is about."


def test_a_sentence_with_a_null_in_it_still_refuses(make_frame, run_steps):
    played = run_steps(make_frame(form('check: [{if: "true", say: "No ${settings.list[0].id}."}]')))
    assert (type(played.error), played.error.message) == (Refused, Refused.message)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param("check: [{if: upper(settings.list) == 'A', say: No.}]", id="a rule"),
        pytest.param('value: {x: "${settings.list[0].id}"}', id="a value that is null"),
    ],
)
def test_what_cannot_be_told_is_never_taken_for_fine(make_frame, run_steps, check):
    played = run_steps(make_frame(form(check)))
    assert (type(played.error), played.error.code, played.calls) == (InternalError, "mapping_failed", [])


def test_when_it_does_not_hold_the_check_is_skipped(make_frame, run_steps):
    frame = make_frame(form("when: settings.word == 'two', check: [{if: 'true', say: No.}]"))
    assert run_steps(frame, ok()).asked == ["GET /go"]
    assert frame.steps["fit"] is None


def test_a_check_may_stand_on_what_an_earlier_read_gave(make_frame, run_steps):
    steps = """steps: [{id: seats, call: GET /seats, value: {left: "${reply.body.left}"}},
      {id: fit, check: [{if: steps.seats.left == 0, say: The course is full.}]}, {id: go, call: POST /go, repeat: never}]"""
    assert run_steps(make_frame(steps + END), ok({"left": 1}), ok()).asked == ["GET /seats", "POST /go"]
    played = run_steps(make_frame(steps + END), ok({"left": 0}))
    assert (played.asked, played.error.message) == (["GET /seats"], "The course is full.")


def test_what_it_gives_is_remembered(make_frame, run_steps):
    check = 'value: {login: "a${student.id}"}, remember: {student: {login: "${value.login}"}}'
    played = run_steps(make_frame(form(check)), ok())
    assert played.commits[0].remember == {"student": {"login": "a204"}}


def test_after_a_crash_it_simply_runs_again(make_frame, run_steps):
    frame = make_frame(form('value: {login: "a${student.id}"}'))
    played = run_steps(frame, resume=Resume(finished={"go": StepResult(value={})}))
    assert (played.asked, frame.steps["fit"]) == ([], {"login": "a204"})


def test_a_write_that_has_become_a_check_stays_in_doubt(make_frame, run_steps):
    doubt = Doubt(step="fit", branch=None, left_at=1.0)
    played = run_steps(make_frame(form("check: []")), resume=Resume(doubt=doubt))
    assert isinstance(played.error, InDoubt)


# -- readings -----------------------------------------------------------------------------------------

READ = """
steps:
  - {id: see, when: "settings.word == '%s'", call: GET /see, value: {done: "${reply.body.done}"}}
  - {id: told, value: {completed: "${steps.see.done ?? false}", percent: 50}}
  - {id: fit, check: [{if: steps.told.percent > 100, say: No.}], value: {completed: false, percent: 50}}"""


def test_a_reading_may_be_worked_out_by_its_last_step(make_frame, play):
    frame = make_frame(READ.replace("%s", "one"), "getEnrolment")
    outcome = play(operations.read_progress(frame), ok({"done": True})).result
    assert (outcome.progress.percent, outcome.reading) == (50, {"completed": False, "percent": 50})


def test_a_reading_without_a_question_has_seen_nothing_at_the_vendor(make_frame, play):
    frame = make_frame(READ.replace("%s", "two"), "getEnrolment")
    outcome = play(operations.read_progress(frame)).result
    assert (outcome.progress.percent, outcome.reading) == (50, None)


def test_a_check_without_a_value_is_no_reading(make_frame, play):
    steps = """steps:
  - {id: see, call: GET /see, value: {completed: false, percent: "${reply.body.percent}"}}
  - {id: fit, check: [{if: steps.see.percent > 100, say: Odd., is: fail}]}
  - {id: more, when: "false", call: GET /more, value: {completed: false, percent: 1}}"""
    read = operations.read_progress
    assert play(read(make_frame(steps, "getEnrolment")), ok({"percent": 7})).result.progress.percent == 7
    failed = play(read(make_frame(steps, "getEnrolment")), ok({"percent": 700})).error
    assert isinstance(failed, GatewayError)
    assert failed.status == 502
