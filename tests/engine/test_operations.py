"""Operations in all their forms, and the two shipped mappings played against canned replies."""

from __future__ import annotations

import json

import pytest

from gateway.contract import Operation
from gateway.engine import operations
from gateway.engine.calls import Reply
from gateway.engine.doubt import Resume
from gateway.engine.operations import Outcome
from gateway.errors import InternalError, NotFound, Refused, VendorFault


def ok(body=None, **more) -> Reply:
    return Reply(status=200, body=body, text=json.dumps(body), **more)


def perform(frame, play, *replies):
    spec = operations.form(frame, frame.operation)
    return play(operations.perform(frame, spec, Resume()), *replies)


CHOICE = """
choose: settings.word
of:
  one: {acknowledge: "Nothing to do."}
  two: {refuse: "Please do it there, ${student.firstName}."}
  three: {manual: "Tell them about ${student.firstName}."}
  four: {choose: settings.email, of: {x: {acknowledge: "deep"}}}
"""


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("one", Outcome()),
        ("three", Outcome(manual="Tell them about Ana.")),
        ("two", Refused("Please do it there, Ana.", code="operation_refused")),
    ],
)
def test_the_tenants_choice_picks_the_form(make_frame, play, word, expected):
    frame = make_frame(CHOICE, "transferEnrolment")
    frame.root["settings"]["word"] = word
    played = perform(frame, play)
    if isinstance(expected, Outcome):
        assert played.result == expected
    else:
        assert (type(played.error), played.error.message, played.error.code) == (
            type(expected),
            expected.message,
            expected.code,
        )


@pytest.mark.parametrize("word", ["nine", None])
def test_a_choice_without_a_form_is_our_own_mistake(make_frame, word):
    frame = make_frame(CHOICE, "transferEnrolment")
    frame.root["settings"]["word"] = word
    with pytest.raises(InternalError):
        operations.form(frame, frame.operation)


def test_choices_may_be_nested(make_frame, play):
    frame = make_frame(CHOICE, "transferEnrolment")
    frame.root["settings"] |= {"word": "four", "email": "x"}
    assert operations.form(frame, frame.operation).kind == "acknowledge"


def test_a_choice_or_sentence_that_cannot_be_made_is_our_own_mistake(make_frame, play):
    frame = make_frame(CHOICE.replace("settings.word", "upper(settings.word)", 1), "transferEnrolment")
    frame.root["settings"]["word"] = 5
    with pytest.raises(InternalError):
        operations.form(frame, frame.operation)
    frame = make_frame(CHOICE, "transferEnrolment", root={"student": {"id": "1"}})
    frame.root["settings"]["word"] = "two"
    assert isinstance(perform(frame, play).error, InternalError)


def test_an_operation_the_mapping_leaves_out_has_no_form(make_frame):
    assert operations.form(make_frame(), Operation.UPDATE_MARKING) is None


def test_a_constant_catalogue_needs_no_call(make_frame, play):
    frame = make_frame(
        operation="getCourses",
        form='{each: settings.list, as: course, give: {id: "${course.id}", name: "${course.id}"}}',
    )
    frame.root["settings"]["list"] = [{"id": "a"}, {"id": "b"}]
    played = perform(frame, play)
    assert [row.vendor_id for row in played.result.courses.rows] == ["a", "b"]
    assert played.calls == []


CREATE = """
steps: [{id: go, call: GET /go, value: {"id?": "${reply.body.id}"}, replies: [{if: "true", is: ok, warn: noted}]}]
record: {id: "${steps.go.id}", course: "${courseId}", who: "${student.firstName}"}
key: [id, course]
"""


def test_a_create_gives_record_key_and_warnings(make_frame, play):
    assert perform(make_frame(CREATE), play, ok({"id": 7.0})).result == Outcome(
        record={"id": 7.0, "course": "126", "who": "Ana"}, key=("7", "126"), warnings=("noted",)
    )


@pytest.mark.parametrize("given", ["", ["7"], {"a": 1}])
def test_a_key_that_is_missing_or_no_text_is_a_fault(make_frame, play, given):
    assert isinstance(perform(make_frame(CREATE), play, ok({"id": given})).error, VendorFault)


def test_a_record_with_a_null_is_a_fault_that_names_the_link(make_frame, play):
    played = perform(make_frame(CREATE), play, ok({}))
    assert isinstance(played.error, VendorFault)
    assert "`steps.go`" in played.error.detail


# ---- reading progress

READING = """
progress:
  policy: {outside: clamp}
  read:
    steps:
      - {id: find, call: GET /find, when: enrolment.courseId != 'skip', value: {n: "${reply.body.n}"}, replies: [{if: reply.status == 404, is: absent}]}
      - {id: read, call: "GET /read/${steps.find.n}", when: enrolment.courseId != 'skip', value: {percent: "${reply.body.p}", completed: "${reply.body.c}"}}
"""


def test_progress_is_read_by_its_own_steps_whatever_the_operation(make_frame, play):
    for operation in ("cancelEnrolment", "createEnrolment"):
        frame = make_frame(None, operation, extra=READING)
        frame.steps["go"] = {"kept": 1}
        played = play(operations.read_progress(frame), ok({"n": 3}), ok({"p": 140, "c": False}))
        assert played.asked == ["GET /find", "GET /read/3"]
        assert played.result.progress.percent == 99
        assert played.result.reading == {"percent": 140, "completed": False}
        assert frame.steps == {"go": {"kept": 1}}
        absent = play(operations.read_progress(frame), Reply(status=404))
        assert (type(absent.error), absent.error.code) == (NotFound, "unknown_enrolment")


def test_a_reading_that_was_skipped_says_nothing(make_frame, play):
    frame = make_frame(extra=READING, root={"enrolment": {"courseId": "skip"}})
    played = play(operations.read_progress(frame))
    assert (played.result.reading, played.result.progress.percent, played.calls) == (None, None, [])


def test_get_enrolment_with_steps_of_its_own_reads_by_them(make_frame, play):
    form = 'steps: [{id: own, call: GET /own, value: {percent: "${reply.body.p}", completed: false}}]'
    frame = make_frame(form, "getEnrolment", extra=READING)
    played = play(operations.read_progress(frame), ok({"p": 5}))
    assert (played.asked, played.result.progress.percent) == (["GET /own"], 5)


# ---- the shipped mappings


@pytest.fixture
def talent(real_frame):
    def make(operation, **more):
        settings = {
            "domain": "lms.example",
            "email": "204@learners.invalid",
            "firstPassword": None,
            **more.pop("settings", {}),
        }
        return real_frame(
            "talentlms", operation, settings=settings, base="https://lms.example/api/v1", **more
        )

    return make


def error(message: str, status: int = 404) -> Reply:
    return Reply(status=status, body={"error": {"type": "x", "message": message}}, text=message)


NO_USER = error("The requested user does not exist")
ENROLLED = ok([{"user_id": "7", "course_id": "126", "role": "learner"}])


def test_a_new_learner_is_made_enrolled_and_put_in_the_group(talent, play):
    frame = talent("createEnrolment", settings={"groupKeys": {"126": "WHS-2026"}})
    played = perform(
        frame,
        play,
        NO_USER,
        ok({"id": 7, "login": "rto-204"}),
        ENROLLED,
        ok({"user_id": "7", "group_id": "3"}),
    )
    assert played.asked == [
        "GET /users/username:rto-204",
        "POST /usersignup",
        "POST /addusertocourse",
        "GET /addusertogroup/user_id:7,group_key:WHS-2026",
    ]
    assert played.result == Outcome(
        record={"userId": "7", "courseId": "126", "groupId": "3"}, key=("7", "126")
    )
    assert [commit.step for commit in played.commits] == ["user", "enrol", "group"]
    assert played.commits[0].remember == {"student": {"userId": "7"}}
    password = played.calls[1].body.data["password"]
    assert (len(password), played.calls[1].sensitive[password]) == (24, "‹setting firstPassword›")
    assert [call.journal for call in played.calls] == [None, "user/make", "enrol", "group"]


@pytest.mark.parametrize(
    ("replies", "code", "asked"),
    [
        pytest.param([Reply(status=404, text="<html>", undecodable="not JSON")], "vendor_fault", 1, id="a 404 page is our own mistake"),
        pytest.param([NO_USER, error("A user with the same login already exists", 400), NO_USER, error("A user with the same login already exists", 400)], "vendor_refused", 4, id="restart used up"),
        pytest.param([NO_USER, ok({"id": 7}), error("The requested course does not exist")], "vendor_absent", 3, id="no such course"),
        pytest.param([NO_USER, ok({"id": 7}), error("User Ana is not allowed", 400)], "vendor_refused", 3, id="refused"),
        pytest.param([error("API calls limit", 403)], "vendor_throttled", 1, id="throttled"),
        pytest.param([Reply(status=401)], "vendor_fault", 1, id="key refused"),
    ],
)  # fmt: skip
def test_talents_documented_failures_end_the_create(talent, play, replies, code, asked):
    played = perform(talent("createEnrolment"), play, *replies)
    assert (played.error.code, len(played.calls)) == (code, asked)
    assert "Ana" not in played.error.message


def test_a_learner_already_enrolled_is_looked_up_and_keeps_the_seat(talent, play):
    already = error("The user is already enrolled", 400)
    played = perform(talent("createEnrolment"), play, ok({"id": 7}), already, ok({"role": "learner"}))
    assert played.asked[-1] == "GET /getuserstatusincourse/course_id:126,user_id:7"
    assert (played.result.key, played.commits[1].outcome) == (("7", "126"), "already")


def test_an_answer_that_echoes_another_learner_leaves_the_enrolment_in_doubt(talent, play):
    other = ok([{"user_id": "8", "course_id": "126"}], left_at=100.0)
    played = perform(talent("createEnrolment"), play, ok({"id": 7}), other, Reply(status=500, left_at=101.0))
    assert type(played.error).__name__ == "InDoubt"


def test_a_cancel_of_somebody_who_has_left_is_done(talent, play):
    played = perform(talent("cancelEnrolment"), play, error("The user is not enrolled", 400))
    assert (played.error, played.result) == (None, Outcome())


def test_the_progress_of_a_learner_is_read(talent, play):
    body = {
        "role": "learner",
        "completion_status": "In progress",
        "completion_percentage": "100",
        "units": [],
    }
    played = play(operations.read_progress(talent("getEnrolment")), ok(body))
    assert (played.result.progress.percent, played.result.progress.completed) == (99, False)
    done = play(
        operations.read_progress(talent("getEnrolment")), ok(body | {"completion_status": "Completed"})
    )
    assert done.result.progress.percent == 100
    assert isinstance(
        play(operations.read_progress(talent("getEnrolment")), ok(body | {"role": "instructor"})).error,
        NotFound,
    )


def test_only_active_courses_are_listed(talent, play):
    rows = [
        {"id": "1", "name": "A &amp; B", "code": "c", "status": "active"},
        {"id": "2", "name": "x", "status": "inactive"},
    ]
    played = perform(talent("getCourses"), play, ok(rows))
    assert [(row.vendor_id, row.name) for row in played.result.courses.rows] == [("1", "A & B")]


@pytest.fixture
def assistant(real_frame):
    def make(operation, **more):
        settings = {"company": "C1", "assessor": "A1", "verifier": "V1", "email": "204@learners.invalid"}
        secrets = {"username": "ws-user", "password": "ws-pass"}
        known = {"student": None, "course": {"qan": "603/1", "units": ["U1"]}}
        return real_frame(
            "learning-assistant",
            operation,
            settings=settings,
            base="https://lms.example/soap",
            secrets=secrets,
            root={"known": known, "courseId": "K1", "enrolment": {"candidate": "P1", "course": "K1"}},
            **more,
        )

    return make


def soap(body, status=200, **more) -> Reply:
    envelope = {"header": None, "body": body, "fault": body.get("Fault") if isinstance(body, dict) else None}
    return Reply(status=status, soap=envelope, body=envelope, **more)


CANDIDATES = {
    "GetCandidatesResponse": {
        "GetCandidatesReturn": [{"SourceSystemLearnerUUID": "204", "CandidateUUID": "P9"}]
    }
}


def test_a_soap_enrolment_gives_its_candidate(assistant, play):
    played = perform(
        assistant("createEnrolment"),
        play,
        soap({"R": {"SourceSystemLearnerUUID": "204", "CandidateUUID": "P7"}}),
    )
    assert played.result.key == ("P7", "K1")


def test_a_soap_enrolment_without_an_answer_is_looked_up_among_the_candidates(assistant, play):
    played = perform(
        assistant("createEnrolment"), play, soap({"R": None}, left_at=100.0), soap(CANDIDATES, left_at=101.0)
    )
    assert played.asked == ["POST /enrolment.cfc", "POST /user.cfc"]
    assert (
        played.calls[1].body.data["{https://api.learningassistant.com}GetCandidates"]["CourseQAN"] == "603/1"
    )
    assert played.result.key == ("P9", "K1")


def test_messages_refuse_a_soap_enrolment_with_the_vendors_texts(assistant, play):
    reply = soap({"R": {"S": {"MessageList": ["Forename Ana is missing", "Second"]}}})
    played = perform(assistant("createEnrolment"), play, reply)
    assert isinstance(played.error, Refused)
    assert "Forename ‹first name› is missing Second" in played.error.message


def test_a_soap_page_that_is_no_soap_is_a_fault(assistant, play):
    played = perform(assistant("getCourses"), play, Reply(status=404, text="<html>", undecodable="not XML"))
    assert isinstance(played.error, VendorFault)
