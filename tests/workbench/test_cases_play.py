"""The case player: what holds, what must fail, and how a failure reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProblemsFound
from gateway.workbench.cases_play import play
from gateway.workbench.cases_stage import Heard, Stage


def test_good_cases_hold_with_all_their_hard_ones(small, write_cases):
    heard = []
    report = play(write_cases(), mapping_file=small, progress=lambda name, ok: heard.append((name, ok)))
    assert report.ok, str(report)
    assert report.cases == 3
    assert report.hard > 60
    assert len(heard) == report.cases + report.hard and all(ok for _, ok in heard)
    assert str(report).endswith("no failed")


def test_hard_cases_say_what_was_done(small, write_cases):
    names = []
    play(write_cases(), mapping_file=small, progress=lambda name, ok: names.append(name))
    for name in (
        "a learner is enrolled: stopped just before call 1 (POST /enrolments) left, then repeated",
        "a learner is enrolled: stopped after call 1 (POST /enrolments), then settled and repeated",
        "a learner is enrolled: answer 1 (POST /enrolments) timed out, with the write done",
        "a learner is enrolled: answer 1 (POST /enrolments) timed out, with the write done later",
        "a learner is enrolled: answer 2 (POST /enrolments/9/welcome) was a 502, with the write not done",
        "a learner is enrolled: answer 1 (POST /enrolments) is null",
        "a learner is enrolled: asked twice at once",
        "a learner is enrolled: asked of two gateways at once",
        "a learner is enrolled: asked again with the first name corrected",
        "a learner is enrolled: cancelled, and asked for again",
        "a learner is enrolled: no secret in any output",
    ):
        assert name in names


def test_a_500_on_the_way_fails_a_hard_case_whatever_comes_of_it(small, write_cases, monkeypatch):
    restart = Stage.restart

    async def restarted(stage: Stage) -> None:
        await restart(stage)
        stage.heard.append(Heard(status=500, code="mapping_failed", say="Null."))

    monkeypatch.setattr(Stage, "restart", restarted)
    report = play(write_cases(), mapping_file=small, only="enrolled: stopped after call 1")
    assert [failure.text for failure in report.failures] == ["RTOPilot heard 500 mapping_failed: Null."] * 2


def test_checks_hold_in_every_hard_case_too(small, write_cases):
    """Stopped anywhere, they run again; what they refuse sends nothing."""
    text = small.read_text()
    check = """- id: fit
        check: [{if: length(student.lastName) > 20, say: The surname is too long.}]
        value: {name: "${student.firstName}"}
      - id: enrol"""
    small.write_text(
        text.replace("- id: enrol", check).replace(
            '"${student.firstName}"}\n        value: {id', '"${steps.fit.name}"}\n        value: {id'
        )
    )
    refused = """  - name: a surname is too long
    run: createEnrolment
    with: {courseId: "5", student: {id: s1, firstName: Ana, lastName: Featherstonehaugh-Cholmondeley}}
    vendor: []
    expect: {error: 422, code: check_refused, say: too long}
    also: [crash_everywhere, repeat_everywhere]
  - name: progress is read"""
    report = play(write_cases("  - name: progress is read", refused), mapping_file=small)
    assert "${steps.fit.name}" in small.read_text()
    assert report.ok, str(report)
    assert report.cases == 4
    assert report.hard > 60


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            'json: {course: "5", student: s1, name: Ana}',
            'json: {course: "6", student: s1, name: Ana, age: 5}',
            ['json.course: expected "6", sent "5"', "json.age: expected 5, sent nothing"],
            id="another body",
        ),
        pytest.param(
            "POST /enrolments/9/welcome",
            "POST /enrolments/8/welcome",
            ["path: expected /enrolments/8/welcome, sent /enrolments/9/welcome"],
            id="another path",
        ),
        pytest.param(
            "Bearer not-a-real-key",
            "Bearer other",
            ['headers.authorization: expected "Bearer other", sent "Bearer not-a-real-key"'],
            id="another header",
        ),
        pytest.param('record: {id: "9"', 'record: {id: "8"', ["expect.record"], id="another record"),
        pytest.param("id: 9-5,", "id: 8-5,", ["expect.id: '8-5' was expected, it is '9-5'"], id="another id"),
        pytest.param("progress: 40", "progress: 41", ["expect.progress"], id="another per cent"),
        pytest.param("error: 422", "error: 502", ["expect.error"], id="another error"),
        pytest.param("not_say: Bo", "not_say: full", ["expect.not_say: 'full'"], id="a word that was said"),
        pytest.param("say: is full", "say: is empty", ["expect.say: 'is empty'"], id="a word that was not"),
        pytest.param(
            "sent_writes: 2", "sent_writes: 1", ["expect.sent_writes"], id="another count of writes"
        ),
        pytest.param(
            "    vendor:\n      - ask: POST /enrolments\n",
            "    vendor:\n      - {ask: GET /never, answer: {}}\n      - ask: POST /enrolments\n",
            ["never asked: GET /never"],
            id="a line that is never asked",
        ),
    ],
)
def test_a_case_that_does_not_hold_says_how_it_differs(small, write_cases, old, new, says):
    report = play(write_cases(old, new), mapping_file=small)
    assert not report.ok
    for text in says:
        assert text in str(report)
    assert "small.yaml:" in str(report)


def test_only_plays_the_cases_whose_names_contain_the_word(small, write_cases):
    report = play(write_cases(), mapping_file=small, only="is null")
    assert (report.cases, report.hard) == (0, 2)


# -- mappings that are broken on purpose ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "done: item.id != null",
            "done: item.id == null",
            "sent again although it had been done: POST /enrolments",
            id="a look-up that never finds anything",
        ),
        pytest.param(
            "after: 20s",
            "after: 0s",
            "done 2 times: POST /enrolments",
            id="a look-up that takes absence for proof at once",
        ),
        pytest.param(
            "pick: student == $.student.id",
            "pick: student != $.student.id",
            "done 2 times: POST /enrolments",
            id="a look-up for somebody else",
        ),
        pytest.param(
            "effect: write\n        json",
            "effect: read\n        json",
            "expect.sent_writes",
            id="a write that calls itself a read",
        ),
        pytest.param(
            '- {if: "reply.status == 200 && reply.body == null", is: unknown}',
            '- {if: "reply.status == 200 && reply.body == null", is: refused}',
            "taken for a plain no: 422",
            id="a malformed answer taken for a refusal",
        ),
        pytest.param(
            'texts: "[reply.body.error]"',
            'texts: "[reply.body.error]", warn: "${reply.text}"',
            "",
            id="nothing wrong",
        ),
        pytest.param(
            '        value: {id: "${text(reply.body.id)}"}\n',
            '        value: {id: "${text(reply.body.id)}"}\n'
            '        replies: [{if: "reply.status == 422", is: refused, say: "Not ${student.firstName}: is full."}]\n',
            "a name stands in what RTOPilot heard",
            id="a sentence with the learner's name",
        ),
    ],
)
def test_the_hard_cases_notice_a_mapping_that_is_wrong(small, write_cases, old, new, says):
    text = small.read_text()
    assert old in text
    small.write_text(text.replace(old, new))
    try:
        report = play(write_cases(), mapping_file=small)
    except ProblemsFound as refused:
        assert says == "", str(refused)
        return
    assert says in str(report)
    assert report.ok is (says == ""), str(report)


def test_a_lookup_declared_needless_makes_duplicates_and_is_noticed(small, write_cases):
    text = small.read_text()
    start, end = text.index("        confirm:"), text.index("      - {id: welcome")
    small.write_text(text[:start] + "        repeat: safe\n" + text[end:])
    report = play(write_cases(), mapping_file=small)
    assert "done 2 times: POST /enrolments" in str(report)


def test_a_secret_that_is_kept_is_noticed(small, write_cases):
    text = small.read_text().replace(
        '{id: "${text(reply.body.id)}"}', '{id: "9", note: "${reply.body.note}"}'
    )
    text = text.replace('{id: "${text(item.id)}"}', '{id: "9", note: none}')
    small.write_text(text.replace("record: {id", 'record: {note: "${steps.enrol.note}", id'))
    cases = write_cases("answer: {json: {id: 9}}", "answer: {json: {id: 9, note: not-a-real-key}}")
    cases.write_text(cases.read_text().replace("record: {", "record: {note: not-a-real-key, "))
    report = play(cases, mapping_file=small, only="no secret in any output")
    assert "a secret stands in a row of `enrolment`" in str(report)


UNDO = """
mapping: small
tests:
  - name: an enrolment is taken back when the welcome is refused
    run: createEnrolment
    with: {courseId: "5", student: {id: s1, firstName: Ana, lastName: Diaz}}
    vendor:
      - ask: POST /enrolments
        answer: {json: {id: 9}}
        makes: [{ask: GET /enrolments, query: {course: "5"}, answer: {json: [{id: 9, student: s1}]}}]
      - {ask: GET /enrolments, query: {course: "5"}, maybe: true, answer: {json: []}}
      - {ask: POST /enrolments/9/welcome, changes: false, answer: {status: 422, json: {error: No mail box}}}
      - ask: DELETE /enrolments/9
        answer: {json: {}}
        makes:
          - {ask: DELETE /enrolments/9, answer: {status: 404, json: {error: gone}}}
          - {ask: GET /enrolments, query: {course: "5"}, answer: {json: []}}
          - {ask: POST /enrolments/9/welcome, answer: {status: 404, json: {error: gone}}}
    expect: {error: 422, say: No mail box, sent_writes: 3}
    also: [time_out_everywhere]
"""


def test_a_step_that_is_taken_back_is_taken_back_whatever_happens(small, write_cases):
    undo = '        undo: {call: "DELETE /enrolments/${steps.enrol.id}", effect: write, repeat: safe}\n'
    text = small.read_text()
    small.write_text(text.replace("      - {id: welcome", undo + "      - {id: welcome"))
    cases = write_cases(text=UNDO)
    report = play(cases, mapping_file=small)
    assert report.ok, str(report)


# -- recorded conversations ----------------------------------------------------------------------------

CASSETTE = """
version: 1
interactions:
- request:
    method: POST
    uri: https://api.small.example/v1/enrolments
    headers: {Content-Type: [application/json]}
    body: '{"course": "5", "student": "s1", "name": "Ana"}'
  response:
    status: {code: 200, message: OK}
    headers: {Content-Type: [application/json]}
    body: {string: '{"id": 9}'}
- request:
    method: POST
    uri: https://api.small.example/v1/enrolments/9/welcome
    headers: {Content-Type: [application/json]}
    body: '{"mail": false}'
  response:
    status: {code: 200, message: OK}
    headers: {}
    body: {string: '{}'}
"""
RECORDED = """
mapping: small
tests:
  - name: a learner is enrolled, as recorded
    run: createEnrolment
    with: {courseId: "5", student: {id: s1, firstName: Ana}}
    cassette: small/create.yaml
    expect: {id: 9-5, sent: 2}
"""


def _record(cases: Path, text: str) -> None:
    folder = cases.parent.parent / "cassettes" / "small"
    folder.mkdir(parents=True)
    (folder / "create.yaml").write_text(text)


def test_a_recorded_conversation_is_played(small, write_cases):
    cases = write_cases(text=RECORDED)
    _record(cases, CASSETTE)
    assert play(cases, mapping_file=small).ok


def test_a_recorded_conversation_that_differs_fails(small, write_cases):
    cases = write_cases(text=RECORDED)
    _record(cases, CASSETTE.replace('"name": "Ana"', '"name": "Bo"'))
    assert 'json.name: expected "Bo", sent "Ana"' in str(play(cases, mapping_file=small))


@pytest.mark.parametrize(
    "text", ["not: a cassette", "{", "interactions: [1]"], ids=["other", "broken", "items"]
)
def test_a_cassette_that_is_none_is_a_problem_of_the_file(small, write_cases, text):
    cases = write_cases(text=RECORDED)
    _record(cases, text)
    with pytest.raises(ProblemsFound, match="The cassette cannot be read"):
        play(cases, mapping_file=small)


# -- the file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "run: getEnrolment", "run: getEnrollment", "getEnrolment", id="an operation that is none"
        ),
        pytest.param(
            "expect: {progress: 40}", "expct: {progress: 40}", "This needs `expect`", id="an unknown key"
        ),
        pytest.param("progress is read", "a learner is refused", "has this name", id="a name twice"),
        pytest.param("ask: GET /enrolments/9,", "ask: FETCH /x,", "FETCH", id="a method that is none"),
        pytest.param(
            "also: [crash_everywhere,", "also: [crash_anywhere,", "crash_anywhere", id="an unknown hard case"
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(small, write_cases, old, new, says):
    with pytest.raises(ProblemsFound) as refused:
        play(write_cases(old, new), mapping_file=small)
    problem = refused.value.problems[0]
    assert says in str(problem)
    assert problem.line > 1 and problem.column > 0
