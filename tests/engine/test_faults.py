"""What a reply means: every row of the default table, and how rules are read."""

from __future__ import annotations

import pytest

from gateway.engine import failures, faults
from gateway.engine.calls import Reply, Verdict
from gateway.errors import NotFound, Refused, VendorFault, VendorTimeout, VendorUnavailable
from gateway.mapping.spec import Auth

SESSION = """
server:
  base: "https://lms.example/api"
  hosts: [lms.example]
  auth:
    kind: session
    login: {call: POST /login, form: {key: "${secrets.apiKey}"}, token: {id: "${reply.body.id}"}}
    expired: {sure: reply.body.session == 'over', maybe: "matches(lower(reply.body.fault), 'session')"}
    place: {headers: {X-Session: "${token.id}"}}
"""


@pytest.fixture
def judged(make_frame):
    def judge(
        reply: Reply,
        effect: str = "read",
        rules: str = "[]",
        *,
        auth: Auth | None = None,
        server: str | None = None,
    ):
        confirm = ", effect: write, repeat: never" if effect == "write" else ", effect: read"
        form = f'{{steps: [{{id: go, call: POST /go{confirm}, replies: {rules}}}], record: {{id: "${{courseId}}"}}, key: [id]}}'
        frame = make_frame(form, **({"server": server} if server else {}))
        step = frame.mapping.operations[frame.operation].steps[0]
        return faults.judge(
            reply,
            rules=(*step.action.call.replies, *frame.mapping.server.replies),
            auth=auth or frame.mapping.server.auth,
            effect=effect,
            context=frame.context(),
        )

    return judge


UNREADABLE = Reply(status=200, undecodable="not JSON", text="<html>")


@pytest.mark.parametrize(
    ("reply", "read", "write"),
    [
        pytest.param(Reply(status=200), "ok", "ok", id="200"),
        pytest.param(Reply(status=204), "ok", "ok", id="204 without a body"),
        pytest.param(Reply(status=100), "fail", "fail", id="1xx"),
        pytest.param(Reply(status=302), "fail", "fail", id="redirects are never followed"),
        pytest.param(Reply(status=400), "refused", "refused", id="400"),
        pytest.param(Reply(status=401), "fail", "fail", id="401 without a login"),
        pytest.param(Reply(status=403), "fail", "fail", id="403"),
        pytest.param(Reply(status=404), "fail", "fail", id="404 is never absent by itself"),
        pytest.param(Reply(status=408), "throttled", "throttled", id="408"),
        pytest.param(Reply(status=409), "refused", "refused", id="409"),
        pytest.param(Reply(status=429), "throttled", "throttled", id="429"),
        pytest.param(Reply(status=500), "retry", "unknown", id="500"),
        pytest.param(Reply(status=502), "retry", "unknown", id="502"),
        pytest.param(Reply(status=503), "retry", "unknown", id="503"),
        pytest.param(Reply(status=503, headers={"retry_after": "5"}), "throttled", "throttled", id="503 with Retry-After"),
        pytest.param(Reply(lost="timeout"), "retry", "unknown", id="time-out"),
        pytest.param(Reply(lost="reset"), "retry", "unknown", id="reset"),
        pytest.param(Reply(lost="not_sent"), "retry", "retry", id="connection not made"),
        pytest.param(Reply(lost="too_large"), "fail", "unknown", id="larger than the cap"),
        pytest.param(UNREADABLE, "fail", "unknown", id="2xx that cannot be read"),
        pytest.param(Reply(status=400, undecodable="not JSON"), "refused", "refused", id="4xx that cannot be read"),
    ],
)  # fmt: skip
def test_without_a_rule_the_default_table_holds(judged, reply, read, write):
    assert (judged(reply, "read").outcome, judged(reply, "write").outcome) == (read, write)


@pytest.mark.parametrize(
    ("body", "read", "write"),
    [
        pytest.param({"session": "over"}, "relogin", "relogin", id="surely expired: both log in again"),
        pytest.param(
            {"fault": "no such session"}, "relogin", "unknown", id="maybe expired: only reads are repeated"
        ),
        pytest.param({"fault": {"odd": 1}}, "ok", "ok", id="a condition that fails does not hold"),
        pytest.param({}, "ok", "ok", id="still good"),
    ],
)
def test_the_end_of_a_session_is_seen_before_any_rule(judged, body, read, write):
    reply = Reply(status=200, body=body)
    assert judged(reply, "read", server=SESSION).outcome == read
    assert judged(reply, "write", server=SESSION).outcome == write


def test_a_401_logs_in_again_where_there_is_a_login(judged):
    assert judged(Reply(status=401), server=SESSION).outcome == "relogin"
    assert judged(Reply(status=401), auth=Auth(kind="basic")).outcome == "fail"


def test_the_first_rule_that_holds_wins_and_the_steps_rules_come_before_the_servers(judged):
    server = 'server: {base: "https://lms.example/api", hosts: [lms.example], replies: [{if: reply.status == 409, is: refused}, {if: reply.status == 410, is: absent}]}'
    rules = "[{if: reply.status == 400, is: absent}, {if: reply.status == 400, is: already}, {if: reply.status == 409, is: already}]"
    assert judged(Reply(status=400), rules=rules, server=server).outcome == "absent"
    assert judged(Reply(status=409), rules=rules, server=server).outcome == "already"
    assert judged(Reply(status=410), rules=rules, server=server).outcome == "absent"


def test_a_rule_runs_before_an_unreadable_body_is_a_fault(judged):
    rules = "[{if: \"matches(reply.text, 'html')\", is: absent}]"
    assert judged(UNREADABLE, rules=rules).outcome == "absent"


def test_a_rule_that_cannot_be_evaluated_does_not_hold(judged):
    rules = "[{if: upper(reply.body.a) == 'X', is: absent}, {if: reply.body.b == 1, is: already}]"
    assert judged(Reply(status=200, body={"a": [1], "b": 1}), rules=rules).outcome == "already"


@pytest.mark.parametrize(("effect", "outcome"), [("read", "fail"), ("write", "unknown")])
def test_rules_that_need_too_many_steps_are_no_answer_and_never_an_exception(judged, effect, outcome):
    rules = '[{if: "reply.body.a[].b[].c[] != null && length(reply.body.a[*].[b, b, b, b, b, b, b, b, b, b][]) > 0", is: ok}]'
    body = {"a": [{"b": [{"c": [0]}] * 600}] * 600}
    verdict = judged(Reply(status=200, body=body), effect, rules)
    assert verdict.outcome == outcome
    assert "reply rules" in verdict.rule


def test_a_rule_brings_its_sentence_texts_warnings_and_wait(judged):
    rules = """[{if: reply.status == 400, is: throttled, say: "No: ${reply.body.m}", texts: "reply.body.all", warn: "${reply.body.w}", wait: reply.body.s, limit: 3}]"""
    body = {"m": "why", "all": ["a", "", 2, None, "c", "d"], "w": ["x", "y"], "s": 7}
    assert judged(Reply(status=400, body=body), rules=rules) == Verdict(
        outcome="throttled",
        say="No: why",
        texts=("a", "2", "c"),
        warnings=("x", "y"),
        wait_s=7.0,
        rule="operations.createEnrolment.steps.go.replies[0]",
        limit=3,
    )


@pytest.mark.parametrize("wait", ["0", "-1", "true", "'7'", "null", "upper(reply.body)"])
def test_a_wait_that_is_no_positive_number_is_none(judged, wait):
    rules = f'[{{if: reply.status == 400, is: throttled, wait: "{wait}"}}]'
    assert judged(Reply(status=400, body={}), rules=rules).wait_s is None


def test_a_note_that_cannot_be_made_does_not_change_the_outcome(judged):
    rules = """[{if: reply.status == 400, is: already, say: "No: ${reply.body.m}", texts: upper(reply.body), warn: "${reply.body.w}"}]"""
    verdict = judged(Reply(status=400, body={}), rules=rules)
    assert (verdict.outcome, verdict.say, verdict.texts, verdict.warnings) == ("already", None, (), ())


# ---- what RTOPilot hears


@pytest.mark.parametrize(
    ("verdict", "reply", "error", "code"),
    [
        ("refused", Reply(status=400), Refused, "vendor_refused"),
        ("restart", Reply(status=400), Refused, "vendor_refused"),
        ("absent", Reply(status=404), Refused, "vendor_absent"),
        ("throttled", Reply(status=429), VendorUnavailable, "vendor_throttled"),
        ("relogin", Reply(status=401), VendorFault, "vendor_login"),
        ("retry", Reply(lost="not_sent"), VendorUnavailable, "vendor_unreachable"),
        ("retry", Reply(lost="timeout"), VendorTimeout, "vendor_timeout"),
        ("unknown", Reply(lost="reset"), VendorTimeout, "vendor_timeout"),
        ("retry", Reply(status=500), VendorFault, "vendor_fault"),
        ("fail", Reply(status=404), VendorFault, "vendor_fault"),
    ],
)
def test_each_outcome_has_its_error(make_frame, verdict, reply, error, code):
    raised = failures.failure(make_frame(), reply, Verdict(outcome=verdict))
    assert (type(raised), raised.code) == (error, code)


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        ("getEnrolment", NotFound, "unknown_enrolment"),
        ("getCourse", NotFound, "unknown_course"),
        ("getCourses", NotFound, "vendor_absent"),
        ("createEnrolment", Refused, "vendor_absent"),
        ("transferEnrolment", Refused, "vendor_absent"),
        ("updateMarking", Refused, "vendor_absent"),
    ],
)
def test_absent_means_what_rtopilot_wanted(make_frame, make_mapping, operation, error, code):
    frame = make_frame()
    frame.operation = type(frame.operation)(operation)
    raised = failures.absence(frame, "why")
    assert (type(raised), raised.code) == (error, code)


def test_vendor_texts_are_three_of_two_hundred_characters_without_names_and_secrets(make_frame):
    texts = ["Ana  DIAZ\nis not Anabel, KEY-123456x", " ", "y" * 300, "three", "four"]
    said = failures.sentence(make_frame(), Verdict(outcome="refused", say="No.", texts=tuple(texts)))
    assert said == f"No. ‹first name› ‹last name› is not Anabel, ‹secret apiKey›x {'y' * 200} three"


def test_a_secret_is_replaced_before_the_text_is_cut(make_frame):
    text = "x" * 195 + " KEY-123456"
    assert "KEY" not in failures.sentence(make_frame(), Verdict(outcome="refused", texts=(text,)))
