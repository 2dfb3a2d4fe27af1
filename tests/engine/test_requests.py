"""From a call in a mapping to a request: every value escaped by its place, or refused before anything leaves."""

from __future__ import annotations

import pytest

from gateway.engine.ask import question
from gateway.engine.calls import AuthPlace, Body, Reply, SoapStyle
from gateway.errors import InternalError, Refused

SERVER = """
server:
  base: "https://lms.example/api"
  hosts: [lms.example]
  timeout: 4s
  path: {keep: "@", refuse: ",:"}
  headers: {Accept: application/json, X-Word: "${settings.word}"}
  query: {v: 1, size: 10}
  json: {omit_empty: true}
"""


@pytest.fixture
def built(make_frame):
    def build(step: str, *, server: str = SERVER, extra: str = "", **more):
        form = f'steps: [{{id: go, {step}}}]\nrecord: {{id: "${{courseId}}"}}\nkey: [id]'
        frame = make_frame(form, server=server, extra=extra, **more)
        spec = frame.mapping.operations[frame.operation].steps[0].action.call
        return question(frame, spec, step="createEnrolment.go", journal="go").call

    return build


@pytest.mark.parametrize(
    ("value", "target"),
    [
        pytest.param("126", "/u/id:126/x", id="plain"),
        pytest.param("a b", "/u/id:a%20b/x", id="space"),
        pytest.param("a/b", "/u/id:a%2Fb/x", id="slash stays inside its segment"),
        pytest.param("a?b#c%41", "/u/id:a%3Fb%23c%2541/x", id="query, fragment and percent signs"),
        pytest.param("ana@x.example", "/u/id:ana@x.example/x", id="kept literally"),
        pytest.param("Zoë", "/u/id:Zo%C3%AB/x", id="not ASCII"),
        pytest.param(7, "/u/id:7/x", id="number"),
        pytest.param(7.0, "/u/id:7/x", id="whole decimal"),
        pytest.param(True, "/u/id:true/x", id="boolean"),
        pytest.param("..", "/u/id:../x", id="dots that are only part of a segment"),
        pytest.param("x" * 500, f"/u/id:{'x' * 500}/x", id="500 characters"),
    ],
)
def test_a_path_value_is_one_segment_or_part_of_one(built, value, target):
    call = built("call: 'GET /u/id:${courseId}/x'", root={"courseId": value})
    assert call.target == target


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("/u/${courseId}", "", id="empty"),
        pytest.param("/u/${courseId}", ".", id="dot"),
        pytest.param("/u/${courseId}/x", "..", id="two dots"),
        pytest.param("/u/${courseId}?x=1", "..", id="two dots before a query"),
        pytest.param("/u/.${courseId}", ".", id="two dots in two parts"),
        pytest.param("/u/${courseId}", "../admin", id="dots with a slash"),
        pytest.param("/u/${courseId}", "a\\..\\b", id="dots with backslashes"),
        pytest.param("/u/${courseId}", "..;x", id="dots with a path parameter"),
        pytest.param("/u/${courseId}", "a,b", id="refused character"),
        pytest.param("/u/${courseId}", "a:b", id="another refused character"),
        pytest.param("/u/${courseId}", "a\r\nHost: x", id="line break"),
        pytest.param("/u/${courseId}", "a\x00", id="control character"),
        pytest.param("/u/${courseId}", "x" * 501, id="more than 500 characters"),
        pytest.param("/u/${courseId}", "\ud800", id="half a character"),
        pytest.param("/u/${courseId}", ["a"], id="list"),
        pytest.param("/u/${courseId}", {"a": 1}, id="object"),
    ],
)
def test_a_path_value_that_could_leave_its_segment_is_refused(built, path, value):
    with pytest.raises(Refused) as caught:
        built(f"call: 'GET {path}'", root={"courseId": value})
    assert (caught.value.code, caught.value.status) == ("unsendable_value", 422)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\x00b", "Zoë", "\x7f"])
def test_a_header_value_that_http_cannot_carry_is_refused(built, value):
    with pytest.raises(Refused):
        built("call: GET /go, headers: {X-Id: '${courseId}'}", root={"courseId": value})


@pytest.mark.parametrize("value", [{"a": 1}, [["a"]], "\ud800"])
def test_a_query_argument_that_cannot_be_written_is_refused(built, value):
    with pytest.raises(Refused):
        built("call: GET /go, query: {q: '${courseId}'}", root={"courseId": value})


def test_headers_and_query_of_the_call_go_over_the_servers(built):
    call = built(
        "call: GET /go, headers: {X-Word: two, X-N: 5}, query: {size: 20, 'state[]': [a, b], flag: true}"
    )
    assert call.headers == {"Accept": "application/json", "X-Word": "two", "X-N": "5"}
    assert call.query == (("v", "1"), ("size", "20"), ("state[]", "a"), ("state[]", "b"), ("flag", "true"))
    assert (call.method, call.base, call.timeout_s) == ("GET", "https://lms.example/api", 4.0)


def test_a_null_in_a_request_is_our_own_mistake_and_names_the_link(built):
    with pytest.raises(InternalError, match="steps.go.query.q: `student.firstName`") as caught:
        built("call: GET /go, query: {q: '${student.firstName}'}", root={"student": {"id": "204"}})
    assert caught.value.code == "mapping_failed"


def test_an_optional_key_is_left_out_when_null_and_sent_when_empty(built):
    call = built(
        "call: POST /go, effect: read, form: {'q?': '${student.firstName}', 'e?': '${student.lastName}'}",
        root={"student": {"id": "1", "firstName": None, "lastName": ""}},
    )  # fmt: skip
    assert call.body == Body(kind="form", data={"e": ""})


def test_omit_empty_leaves_out_what_is_empty_all_the_way_down(built):
    call = built(
        "call: POST /go, effect: read, json: {a: '', b: [], c: {d: ''}, e: 0, f: false, g: [{h: '', i: 1}]}"
    )
    assert call.body == Body(kind="json", data={"e": 0, "f": False, "g": [{"i": 1}]})


def test_a_soap_call_carries_its_action_and_style(built):
    server = SERVER + "  soap: {action: 'urn:x', encoded: true}\n"
    call = built(
        "call: POST /go, effect: read, soap: {body: {'{urn:x}Get': {id: '${courseId}'}}}", server=server
    )
    assert call.body == Body(
        kind="soap", data={"{urn:x}Get": {"id": "126"}}, soap=SoapStyle(action="urn:x", encoded=True)
    )
    assert built("call: POST /go, effect: read, soap: {action: own, encoded: false, body: {}}", server=server).body.soap == SoapStyle(action="own")  # fmt: skip


def test_everything_secret_in_a_request_is_known_as_sensitive(built):
    call = built(
        "call: POST /go, effect: write, repeat: never, form: {p: '${password(16)}', k: '${hash(secrets.apiKey)}'}"
    )
    data = call.body.data
    assert call.sensitive == {
        "KEY-123456": "‹secret apiKey›",
        data["p"]: "‹password›",
        data["k"]: "‹secret apiKey›",
    }
    assert call.personal == {"Ana": "‹first name›", "Diaz": "‹last name›"}


def test_a_tenants_wire_names_rename_whole_path_segments(built):
    call = built("call: 'GET /user.cfc/${courseId}/user'", wire_names={"user.cfc": "people.cfc", "126": "no"})
    assert call.target == "/people.cfc/126/user"


def test_a_shared_call_sees_its_arguments_in_request_and_rules(built, make_frame):
    extra = """
    calls:
      find: {call: 'GET /find/${args.who}', query: {q: '${args.who}'}, replies: [{if: reply.body.name != args.who, is: absent}]}
    """
    call = built("use: find, args: {who: '${student.id}'}", extra=extra)
    assert (call.target, call.query[-1]) == ("/find/204", ("q", "204"))

    assert call.judge(Reply(status=200, body={"name": "x"})).outcome == "absent"
    assert call.judge(Reply(status=200, body={"name": "204"})).outcome == "ok"


def test_a_step_may_put_the_token_elsewhere(built):
    server = """
    server:
      base: "https://lms.example/api"
      hosts: [lms.example]
      auth:
        kind: session
        login: {call: POST /login, form: {}, token: {id: "${reply.body.id}"}}
        place: {headers: {X-Session: "${token.id}"}}
    """
    step = """call: GET /go, auth: {place: {headers: {X-Other: "${token.id}"}, query: {t: "${token.id}"}, field: {f: "${token.id}"}, soap_header: {"{urn:x}auth": "${token.id}"}}}"""
    place = built(step, server=server).place
    assert place({"id": "T1"}) == AuthPlace(
        headers={"X-Other": "T1"},
        query=(("t", "T1"),),
        field=(("f", "T1"),),
        soap_header={"{urn:x}auth": "T1"},
    )
    assert built("call: GET /go", server=server).place is None
    with pytest.raises(Refused):
        place({"id": "T\r\n1"})
