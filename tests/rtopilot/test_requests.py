"""What RTOPilot sends: lenient towards its JSON, strict and helpful towards mistyped templates."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Inputs, Operation, Person
from gateway.errors import GatewayError, NotFound, RequestError
from gateway.rtopilot.operations import SPECS
from gateway.rtopilot.requests import read

CREATE = Operation.CREATE_ENROLMENT
TRANSFER = Operation.TRANSFER_ENROLMENT
CANCEL = Operation.CANCEL_ENROLMENT
MARKING = Operation.UPDATE_MARKING
JOANA = {"id": "204", "firstName": "Joana", "lastName": "Reis"}


def reading(operation, body=b"", *, path_id="7-126", query=b""):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(SPECS[operation], path_id=path_id, query=query, body=raw)


def created(**person):
    return reading(CREATE, {"courseId": "126", "student": JOANA | person})


def refusal(operation, body, **rest):
    with pytest.raises(RequestError) as refused:
        reading(operation, body, **rest)
    assert refused.value.status == 400
    return refused.value


def test_create_gives_course_and_student():
    person = Person(id="204", first_name="Joana", last_name="Reis")
    assert created() == Inputs(course_id="126", person=person)


def test_transfer_gives_enrolment_and_target():
    person = Person(id="204", first_name="Joana", last_name="Reis")
    assert reading(TRANSFER, {"to": JOANA}) == Inputs(enrolment_id="7-126", person=person)


def test_marking_gives_enrolment_and_results():
    results = [{"question": 1, "nested": {"a": [None, True, 1.5]}}]
    assert reading(MARKING, {"quizResults": results}) == Inputs(enrolment_id="7-126", quiz_results=results)


def test_marking_takes_an_empty_list_and_unfilled_looking_answers():
    assert reading(MARKING, {"quizResults": []}).quiz_results == []
    assert reading(MARKING, {"quizResults": ["${x}"]}).quiz_results == ["${x}"]


@pytest.mark.parametrize("operation", [Operation.GET_ENROLMENT, CANCEL])
def test_enrolment_in_the_path_is_enough(operation):
    assert reading(operation) == Inputs(enrolment_id="7-126")


def test_course_in_the_path_is_enough():
    assert reading(Operation.GET_COURSE, path_id="126") == Inputs(course_id="126")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"not json", b"\xff", b'{"a":"${b}"}'])
def test_cancel_takes_any_body(body):
    assert reading(CANCEL, body) == Inputs(enrolment_id="7-126")


def test_unknown_keys_are_ignored():
    body = {"courseId": "1", "student": JOANA | {"email": "x"}, "more": "\ud800"}
    assert reading(CREATE, body).course_id == "1"


@pytest.mark.parametrize(
    ("sent", "read_as"), [(7, "7"), (7.0, "7"), (-1, "-1"), ("007", "007"), (" 7 ", "7")]
)
def test_id_without_quotes_becomes_text(sent, read_as):
    inputs = reading(CREATE, {"courseId": sent, "student": JOANA | {"id": sent}})
    assert (inputs.course_id, inputs.person.id) == (read_as, read_as)


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ('Ana "Annie"', 'Ana "Annie"'),
        ("back\\slash", "back\\slash"),
        ("O'Neil", "O'Neil"),
        ("Zoë 🎓", "Zoë 🎓"),
        ("line\nbreak", "line break"),
        ("tab\there\r\n", "tab here"),
        ("be\x00ll\x07\x9b", "bell"),
        ("half\ud83d", "half"),
        ("", ""),
        ("x" * 255, "x" * 255),
    ],
)
def test_name_is_kept_but_for_control_characters(sent, read_as):
    assert created(firstName=sent).person.first_name == read_as


def test_raw_line_breaks_and_tabs_in_strings_are_taken():
    body = b'{"to":{"id":"204","firstName":"Jo\nana","lastName":"Re\tis"}}'
    assert reading(TRANSFER, body).person.scope() == {"id": "204", "firstName": "Jo ana", "lastName": "Re is"}


def test_byte_order_mark_is_skipped():
    assert reading(TRANSFER, b"\xef\xbb\xbf" + json.dumps({"to": JOANA}).encode()).person.id == "204"


def test_student_without_any_name_is_refused():
    with pytest.raises(RequestError) as refused:
        created(firstName=" ", lastName="\n")
    assert refused.value.code == "nameless_student"


UNFILLED = "${student.id}"


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        pytest.param(CREATE, b"", "not_json", id="empty"),
        pytest.param(CREATE, b"   ", "not_json", id="blank"),
        pytest.param(CREATE, b"{", "not_json", id="cut off"),
        pytest.param(CREATE, b'{"courseId":\xff}', "not_json", id="not UTF-8"),
        pytest.param(CREATE, b'{"courseId":"1","courseId":"2"}', "not_json", id="twin keys"),
        pytest.param(CREATE, b'{"courseId":' + b"9" * 5000 + b"}", "not_json", id="endless number"),
        pytest.param(CREATE, b"null", "bad_body", id="null"),
        pytest.param(CREATE, [], "bad_body", id="list"),
        pytest.param(CREATE, {"courseId": "1"}, "bad_body", id="no student"),
        pytest.param(CREATE, {"courseId": "1", "student": "Joana"}, "bad_body", id="student is text"),
        pytest.param(CREATE, {"student": JOANA}, "bad_body", id="no course"),
        pytest.param(CREATE, {"courseId": True, "student": JOANA}, "bad_body", id="course is a switch"),
        pytest.param(CREATE, {"courseId": " ", "student": JOANA}, "bad_body", id="blank course"),
        pytest.param(CREATE, {"courseId": "x" * 256, "student": JOANA}, "bad_body", id="long course"),
        pytest.param(CREATE, {"courseId": 10**300, "student": JOANA}, "bad_body", id="huge course"),
        pytest.param(CREATE, {"courseId": "1", "student": JOANA | {"id": "a\nb"}}, "bad_body", id="odd id"),
        pytest.param(
            CREATE, {"courseId": "1", "student": JOANA | {"firstName": "x" * 256}}, "bad_body", id="long"
        ),
        pytest.param(
            CREATE, {"courseId": "1", "student": JOANA | {"firstName": None}}, "bad_body", id="null name"
        ),
        pytest.param(
            CREATE, {"courseId": "${courseId}", "student": JOANA}, "unresolved_variable", id="course"
        ),
        pytest.param(
            CREATE, {"courseId": "1", "student": JOANA | {"id": UNFILLED}}, "unresolved_variable", id="id"
        ),
        pytest.param(TRANSFER, {"to": JOANA | {"lastName": "a ${b"}}, "unresolved_variable", id="name"),
        pytest.param(CREATE, b'{"courseId":${courseId}}', "unresolved_variable", id="bare"),
        pytest.param(
            CREATE,
            {"courseId": "1", "studentFirstName": "Joana", "studentLastName": "Reis"},
            "flat_body",
            id="flat as in the worked example",
        ),
        pytest.param(CREATE, {"courseId": "1", "firstName": "Joana"}, "flat_body", id="flat without prefix"),
        pytest.param(TRANSFER, {"toFirstName": "Joana", "toId": "1"}, "flat_body", id="flat transfer"),
        pytest.param(TRANSFER, {"student": JOANA}, "bad_body", id="student instead of to"),
        pytest.param(MARKING, {"quizResults": "[]"}, "quoted_quiz_results", id="quoted, empty"),
        pytest.param(MARKING, b'{"quizResults" : "[{"a":1}]"}', "quoted_quiz_results", id="quoted, full"),
        pytest.param(MARKING, b'{"quizResults":${quizResults}}', "unresolved_variable", id="marks unfilled"),
        pytest.param(MARKING, b'{"quizResults":[NaN]}', "not_json", id="NaN"),
        pytest.param(MARKING, {"quizResults": None}, "bad_body", id="null marks"),
        pytest.param(MARKING, {}, "bad_body", id="no marks"),
        pytest.param(MARKING, [1], "bad_body", id="bare marks"),
        pytest.param(MARKING, {"quizResults": ["\ud800"]}, "bad_body", id="surrogate in marks"),
        pytest.param(MARKING, b'{"quizResults":' + b"[" * 300 + b"]" * 300 + b"}", "bad_body", id="deep"),
        pytest.param(
            MARKING, b'{"quizResults":' + b"[" * 400_000 + b"]" * 400_000 + b"}", "bad_body", id="bomb"
        ),
        pytest.param(MARKING, b'{"a":' * 150_000, "bad_body", id="bomb of objects"),
    ],
)
def test_unusable_body_is_answered_with_the_template_to_paste(operation, body, code):
    error = refusal(operation, body)
    assert error.code == code
    assert SPECS[operation].body in error.message
    assert SPECS[operation].slot in error.message


def test_refusal_names_the_key_but_no_value():
    error = refusal(
        CREATE, {"courseId": "126", "student": {"id": "204", "firstName": ["Joana"], "lastName": ""}}
    )
    assert "`student.firstName` should be text" in error.message
    assert "Joana" not in str(error)


@pytest.mark.parametrize(
    ("key", "words"), [("lastName", "`student.lastName` is missing"), ("id", "`student.id` is missing")]
)
def test_missing_key_is_named(key, words):
    person = {name: value for name, value in JOANA.items() if name != key}
    assert words in refusal(CREATE, {"courseId": "1", "student": person}).message


@pytest.mark.parametrize(
    ("query", "term"),
    [
        (b"", None),
        (b"q=", None),
        (b"q=%20%0A", None),
        (b"other=1", None),
        (b"q=white%20card", "white card"),
        (b"q=white+card", "white card"),
        (b"q=R&D%20", "R"),
        (b"q=R%26D%20%231", "R&D #1"),
        (b"q=50%%20+%20GST", "50%   GST".replace("   ", " ")),
        (b"q=a/b", "a/b"),
        (b"q=M%C4%81ori", "Māori"),
        ("q=Māori".encode(), "Māori"),
        (b"q=%FF%zz", "\ufffd%zz"),
        (b"q=\xff", "\ufffd"),
        (b"q=a&q=b", "b"),
        (b"q=${searchTerm}", None),
        (b"q=" + b"x" * 5000, "x" * 255),
        (b"a&" * 200 + b"q=x", None),
    ],
)
def test_search_never_fails(query, term):
    assert reading(Operation.GET_COURSES, query=query, path_id=None) == Inputs(search_term=term)


@given(st.binary(max_size=80))
def test_search_takes_any_bytes(query):
    reading(Operation.GET_COURSES, query=b"q=" + query, path_id=None)


@given(st.sampled_from([CREATE, TRANSFER, MARKING]), st.binary(max_size=200))
def test_any_bytes_give_inputs_or_a_plain_refusal(operation, body):
    try:
        reading(operation, body)
    except GatewayError as refused:
        assert refused.status == 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, json_values)
def test_any_json_gives_inputs_or_a_plain_refusal(one, two, three):
    body = {"courseId": one, "student": {"id": two, "firstName": three, "lastName": "x"}, "quizResults": one}
    for operation in (CREATE, MARKING):
        try:
            reading(operation, body)
        except GatewayError as refused:
            assert refused.status == 400


@pytest.mark.parametrize("path_id", ["", "a b", "..", "a/b", "é", "7" * 65, "x" * 300, "%2e", "7\n", "1;2"])
@pytest.mark.parametrize(
    ("operation", "code"), [(Operation.GET_COURSE, "unknown_course"), (CANCEL, "unknown_enrolment")]
)
def test_id_this_gateway_never_made_is_not_found(operation, code, path_id):
    with pytest.raises(NotFound) as refused:
        reading(operation, path_id=path_id)
    assert refused.value.code == code


@pytest.mark.parametrize("path_id", ["${enrolmentId}", "x${enrolment", "${}"])
def test_unfilled_variable_in_the_address_is_said(path_id):
    error = refusal(TRANSFER, {"to": JOANA}, path_id=path_id)
    assert error.code == "unresolved_variable"
    assert "${enrolmentId}" in error.message


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.operation)
def test_published_template_filled_in_is_read(spec):
    if spec.body is None:
        assert spec.method == "GET"
        return
    body = spec.body.replace("${quizResults}", '[{"mark": 1}]').replace("${", "").replace('}"', '"')
    assert reading(spec.operation, body.encode())


def test_addresses_to_paste_follow_the_worked_example():
    urls = {spec.operation: spec.url for spec in SPECS.values()}
    assert urls == {
        "getCourses": "/courses?q=${searchTerm}",
        "getCourse": "/courses/${courseId}",
        "getEnrolment": "/enrolments/${enrolmentId}",
        "createEnrolment": "/enrolments",
        "transferEnrolment": "/enrolments/${enrolmentId}/transfer",
        "cancelEnrolment": "/enrolments/${enrolmentId}/cancel",
        "updateMarking": "/enrolments/${enrolmentId}/marking",
    }
    assert {spec.operation for spec in SPECS.values() if not spec.required} == {TRANSFER, CANCEL, MARKING}
    assert SPECS[CREATE].body == (
        '{"courseId":"${courseId}","student":{"id":"${student.id}",'
        '"firstName":"${student.firstName}","lastName":"${student.lastName}"}}'
    )
    assert SPECS[TRANSFER].body == (
        '{"to":{"id":"${to.id}","firstName":"${to.firstName}","lastName":"${to.lastName}"}}'
    )


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.operation)
def test_every_variable_of_a_slot_stands_in_its_templates(spec):
    pasted = spec.url + (spec.body or "")
    assert all(f"${{{name}}}" in pasted for name in spec.variables)
    assert pasted.count("${") == len(spec.variables)
