"""Requests against scripts, and scripted answers as bytes."""

from __future__ import annotations

import pytest

from gateway.engine.calls import XmlStyle
from gateway.vendor import codecs
from gateway.workbench.cases import Line, Scripted
from gateway.workbench.cases_answers import content_of, headers_of
from gateway.workbench.cases_match import Request, differences, explain, soap_tree

SOAP = b"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="urn:t">
  <s:Header><t:auth id="h1"><id>7</id></t:auth></s:Header>
  <s:Body>
    <t:Enrol><User href="#id1"/><flag> true </flag><code>A</code><code>B</code></t:Enrol>
    <t:Type_user id="id1"><Name>Ana</Name><Course href="#id2"/></t:Type_user>
    <multiRef id="id2"><Id>5</Id></multiRef>
  </s:Body>
</s:Envelope>"""


def line(ask: str = "POST /x", **fields: object) -> Line:
    method, _, target = ask.partition(" ")
    return Line(place="cases.yaml:1", method=method, target=target, answer=Scripted(), **fields)


def request(**fields: object) -> Request:
    return Request(**{"method": "POST", "target": "/x", "path": "/base/x", **fields})


@pytest.mark.parametrize(
    ("expected", "sent", "differs"),
    [
        pytest.param(line(), request(), [], id="the same"),
        pytest.param(line("POST /base/x"), request(), [], id="a recorded path with the base in it"),
        pytest.param(line(), request(method="PUT"), ["method: expected POST, sent PUT"], id="another method"),
        pytest.param(line("POST /x%20y"), request(target="/x y"), ["path:"], id="encoded otherwise"),
        pytest.param(
            line(),
            request(query=(("a", "1"),)),
            ['query.a: sent "1", not expected'],
            id="a query nobody expects",
        ),
        pytest.param(line(query={"a": "*"}), request(query=(("a", "1"),)), [], id="any value"),
        pytest.param(line(query={"a": "*"}), request(), ["query.a: expected something"], id="no value"),
        pytest.param(
            line(query={"a": ["1", "2"]}),
            request(query=(("a", "1"), ("a", "2"))),
            [],
            id="a repeated argument",
        ),
        pytest.param(
            line(headers={"X-A": "b"}), request(headers={"x-a": "b"}), [], id="a header in any case"
        ),
        pytest.param(
            line(body_kind="form", body={"on": True}), request(content=b"on=true"), [], id="a form field"
        ),
        pytest.param(
            line(body_kind="form", body={}),
            request(content=b"b="),
            ["form.b: sent"],
            id="an empty form field",
        ),
        pytest.param(
            line(body_kind="json", body={"n": 1}),
            request(content=b'{"n": "1"}'),
            ["json.n"],
            id="text, no number",
        ),
        pytest.param(
            line(body_kind="json", body={"n": 1}),
            request(content=b'{"n": true}'),
            ["json.n"],
            id="true is not 1",
        ),
        pytest.param(
            line(body_kind="json", body=[1]), request(content=b"[1, 2]"), ["json:"], id="a longer list"
        ),
        pytest.param(line(body_kind="json", body={}), request(content=b"x"), ["is not JSON"], id="no JSON"),
        pytest.param(
            line(
                body_kind="soap",
                body={"Enrol": {"User": {"Course": {"Id": 5}}, "flag": True, "code": ["A", "B"]}},
            ),
            request(content=SOAP),
            [],
            id="an envelope by its local names",
        ),
        pytest.param(
            line(body_kind="soap", body={"header": {"auth": {"id": "7"}}, "anywhere": {"Name": "Ana"}}),
            request(content=SOAP),
            [],
            id="a header, and a name anywhere",
        ),
        pytest.param(
            line(body_kind="soap", body={"anywhere": {"Name": "Bo"}, "Enrol": {"flag": None}, "Leave": {}}),
            request(content=SOAP),
            ["soap.anywhere.Name", "soap.Enrol.flag: expected nothing", "soap.Leave: expected, not sent"],
            id="an envelope that differs",
        ),
        pytest.param(
            line(body_kind="soap", body=SOAP.decode().replace("Ana", "Bo")),
            request(content=SOAP),
            ['soap.Enrol.User.Name: expected "Bo", sent "Ana"'],
            id="a recorded envelope that differs",
        ),
        pytest.param(
            line(body_kind="soap", body={}),
            request(content=b"<a"),
            ["is not a SOAP envelope"],
            id="no envelope",
        ),
    ],
)
def test_a_request_is_compared_field_by_field(expected, sent, differs):
    found = differences(expected, sent)
    assert len(found) == len(differs), found
    for text, row in zip(differs, found, strict=True):
        assert text in row


def test_the_nearest_line_is_named():
    text = explain([line("GET /other"), line("POST /enrol"), line("POST /x1")], request())
    assert "POST /x" in text and "The nearest is POST /x1 (cases.yaml:1)" in text


def test_an_empty_script_says_so():
    assert "The script is empty" in explain([], request())


def test_references_are_followed_and_cycles_end():
    loop = SOAP.replace(b"<Id>5</Id>", b'<Id href="#id2"/>')
    tree = soap_tree(loop)
    assert tree is not None
    assert soap_tree(b"not xml") is None


XML = XmlStyle()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(Scripted(kind="json", data={"a": 1}), {"a": 1}, id="json"),
        pytest.param(Scripted(kind="text", data="null"), None, id="text"),
        pytest.param(Scripted(), None, id="nothing"),
    ],
)
def test_answers_are_read_by_the_gateway_as_they_were_written(answer, body):
    decoded = codecs.decode(content_of(answer), headers_of(answer), expect="json", xml=XML, unwrap=None)
    assert decoded.body == body and decoded.undecodable is None


def test_an_envelope_written_as_data_is_read_again():
    answer = Scripted(
        kind="soap",
        data={"AResponse": {"AReturn": {"item": ["x", "y"], "ok": True, "none": None}}},
        header={"auth": {"$attr": {"loggedin": "YES"}, "id": "7"}},
        namespace="urn:t",
    )
    read = codecs.decode(content_of(answer), headers_of(answer), expect="soap", xml=XML, unwrap=None).soap
    assert read["header"]["auth"]["loggedin"] == "YES" and read["header"]["auth"]["id"] == "7"
    assert read["body"]["AResponse"]["AReturn"]["item"] == ["x", "y"]
    assert read["body"]["AResponse"]["AReturn"]["ok"] == "true"


@pytest.mark.parametrize("literal", ["<r>1</r>", SOAP.decode()], ids=["a part", "a whole envelope"])
def test_an_envelope_may_be_written_out(literal):
    answer = Scripted(kind="soap", data=literal, header={"auth": {"id": "7"}})
    read = codecs.decode(content_of(answer), headers_of(answer), expect="soap", xml=XML, unwrap=None).soap
    assert read is not None and read["body"]


def test_a_fault_is_a_fault():
    answer = Scripted(kind="soap", status=500, data={"Fault": {"faultcode": "s:Server", "faultstring": "Oh"}})
    read = codecs.decode(content_of(answer), headers_of(answer), expect="soap", xml=XML, unwrap=None).soap
    assert read["fault"]["faultstring"] == "Oh"
