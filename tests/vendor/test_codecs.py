"""The public face: bytes out for every kind of body, and a Decoded for any bytes at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.calls import Body, FormStyle, SoapStyle, XmlStyle
from gateway.vendor import codecs
from gateway.vendor.codecs import Decoded, decode, encode, encode_query

STYLE = XmlStyle(resolve_href=True, empty_absent=True, max_depth=60)
ENVELOPE = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><R><a>1</a></R></e:Body></e:Envelope>'


def read(content: bytes, content_type: str = "", *, expect="json", xml=STYLE, unwrap=None) -> Decoded:
    return decode(content, {"Content-Type": content_type}, expect=expect, xml=xml, unwrap=unwrap)


# ---- encode


@pytest.mark.parametrize(
    ("body", "content", "headers"),
    [
        pytest.param(Body(kind="none"), b"", {}, id="none"),
        pytest.param(
            Body(kind="json", data={"a": "Zoë", "n": 2**70, "$x": None}),
            '{"a":"Zoë","n":1180591620717411303424,"$x":null}'.encode(),
            {"content-type": "application/json"},
            id="json",
        ),
        pytest.param(
            Body(kind="form", data={"a": ["x y"]}),
            b"a%5B0%5D=x+y",
            {"content-type": "application/x-www-form-urlencoded"},
            id="form",
        ),
        pytest.param(
            Body(kind="xml", data={"a": {"b": "x"}}),
            b'<?xml version="1.0" encoding="UTF-8"?>\n<a><b>x</b></a>',
            {"content-type": "application/xml; charset=utf-8"},
            id="xml",
        ),
    ],
)
def test_encode_of_a_body_gives_bytes_and_the_headers_that_describe_them(body, content, headers):
    encoded = encode(body, FormStyle())
    assert (encoded.content, encoded.headers) == (content, headers)


@pytest.mark.parametrize(
    ("action", "header"),
    [pytest.param("", '""', id="empty"), pytest.param("urn:x#Do", '"urn:x#Do"', id="given")],
)
def test_encode_of_soap_sends_the_action_in_quotation_marks(action, header):
    encoded = encode(Body(kind="soap", data={"{urn:x}Do": {}}, soap=SoapStyle(action=action)), FormStyle())
    assert encoded.headers == {"content-type": "text/xml; charset=utf-8", "SOAPAction": header}


@pytest.mark.parametrize("action", ['a"b', "a\r\nX: y", "é"])
def test_encode_of_soap_with_an_action_no_header_can_carry_is_refused(action):
    with pytest.raises(ValueError, match=r"soap\.action"):
        encode(Body(kind="soap", data={"Do": {}}, soap=SoapStyle(action=action)), FormStyle())


def nested_lists(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"a": float("nan")}, id="nan"),
        pytest.param({"a": "secret\ud800"}, id="surrogate"),
        pytest.param({"a": b"secret"}, id="bytes"),
        pytest.param(nested_lists(20_000), id="deep"),
    ],
)
def test_encode_of_json_that_cannot_be_written_is_refused_without_quoting_it(data):
    with pytest.raises(ValueError) as refused:
        encode(Body(kind="json", data=data), FormStyle())
    assert "secret" not in str(refused.value)


def test_encode_query_flattens_nested_values_and_keeps_pairs_in_order():
    pairs = encode_query([("q", "a b"), ("state[]", ["x"]), ("on", True)], FormStyle(booleans=("1", "0")))
    assert pairs == [("q", "a b"), ("state[][0]", "x"), ("on", "1")]


# ---- decode: JSON


@pytest.mark.parametrize(
    ("content", "value"),
    [
        pytest.param(b'{"a":1}', {"a": 1}, id="object"),
        pytest.param(b" [1]\r\n", [1], id="blanks_around"),
        pytest.param(b"null", None, id="null"),
        pytest.param(b"0", 0, id="bare_number"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b" \r\n ", None, id="blank"),
        pytest.param(b'{"a":1,"a":2}', {"a": 2}, id="last_duplicate_wins"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', {"a": 1}, id="byte_order_mark"),
        pytest.param('{"a":"ë"}'.encode("utf-16"), {"a": "ë"}, id="utf16"),
        pytest.param(b"[18446744073709551617]", [2**64 + 1], id="beyond_64_bits"),
        pytest.param(b"[-9223372036854775809]", [-(2**63) - 1], id="below_64_bits"),
        pytest.param(b"[18446744073709551615]", [2**64 - 1], id="unsigned_64_bits"),
        pytest.param(nested := b"[" * 100 + b"]" * 100, json.loads(nested), id="as_deep_as_allowed"),
    ],
)
def test_decode_of_json_gives_the_value(content, value):
    decoded = read(content, "application/json")
    assert (decoded.body, decoded.undecodable) == (value, None)
    assert type(decoded.body) is type(value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"<html>secret</html>", "not JSON: unexpected character", id="html"),
        pytest.param(b'{"a":1,}', "not JSON: trailing comma", id="trailing_comma"),
        pytest.param(b"[NaN]", "not JSON: ", id="nan"),
        pytest.param(b"[1e999]", "not JSON: ", id="infinite"),
        pytest.param(b"1" * 5000, "not JSON: ", id="more_digits_than_python_reads"),
        pytest.param(b'["\\ud800"]', "not JSON: ", id="surrogate"),
        pytest.param(b'{"a":1', "not JSON: ", id="cut_off"),
        pytest.param(b'["\xe9"]', "not JSON: ", id="not_utf8"),
        pytest.param(b"\xff\xfe[\x00\x00\xd8]\x00", "not JSON: not utf-16 text", id="broken_utf16"),
        pytest.param(b"[" * 101 + b"]" * 101, "deeper than 100 levels", id="deep"),
        pytest.param(b"[" * 100_000, "not JSON: depth limit", id="very_deep"),
        pytest.param(b"[" + b"[]," * 500_000 + b"1]", "more than 500000 lists and objects", id="wide"),
    ],
)
def test_decode_of_what_is_not_json_says_why_and_never_raises(content, why):
    decoded = read(content)
    assert decoded.body is None
    assert decoded.undecodable is not None
    assert decoded.undecodable.startswith(why)
    assert "secret" not in decoded.undecodable


def test_decode_of_too_much_json_is_undecodable(monkeypatch):
    monkeypatch.setattr(codecs, "MAX_JSON_BYTES", 10)
    assert read(b'["0123456789"]').undecodable == "larger than 10 bytes"


@pytest.mark.parametrize(
    ("content_type", "value"),
    [
        pytest.param("application/json; charset=ISO-8859-1", "é", id="latin1_as_declared"),
        pytest.param('application/json; charset="windows-1252"', "é", id="quoted"),
        pytest.param("application/json; charset=bz2", None, id="no_text_encoding"),
        pytest.param("application/json; charset=utf-8", None, id="declared_utf8_but_is_not"),
        pytest.param("application/json; charset=us-ascii", None, id="declared_ascii_but_is_not"),
    ],
)
def test_decode_of_json_in_another_charset_follows_the_header(content_type, value):
    decoded = read(b'"\xe9"', content_type)
    assert decoded.body == value
    assert (decoded.undecodable is None) == (value is not None)


def test_decode_of_utf8_json_under_a_wrong_header_still_reads_utf8():
    assert read('"é"'.encode(), "application/json; charset=iso-8859-1").body == "é"


def test_decode_names_the_content_type_of_an_undecodable_page():
    decoded = read(b"<html></html>", "Text/HTML; charset=utf-8")
    assert decoded.undecodable is not None
    assert decoded.undecodable.endswith("(content type text/html)")


def test_decode_reads_json_whatever_the_content_type_says():
    assert read(b"{}", "text/html").body == {}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        pytest.param(b'{"data":[1],"x":2}', [1], id="there"),
        pytest.param(b'{"x":2}', {"x": 2}, id="endpoint_without_envelope"),
        pytest.param(b"[1]", [1], id="list"),
        pytest.param(b'{"data":null}', None, id="null_inside"),
    ],
)
def test_decode_with_unwrap_gives_the_value_under_the_key(content, value):
    assert read(content, unwrap="data").body == value


# ---- decode: XML and SOAP


def test_decode_of_xml_gives_the_tree_as_body_and_xml():
    decoded = read(b"<Users><User><Id>1</Id></User></Users>", expect="xml")
    assert decoded.xml == {"Users": {"User": {"Id": "1"}}}
    assert decoded.body is decoded.xml
    assert decoded.soap is None


def test_decode_of_soap_gives_header_body_and_fault():
    decoded = read(ENVELOPE, expect="soap")
    assert decoded.soap == {"header": {}, "body": {"R": {"a": "1"}}, "fault": None}
    assert decoded.body is decoded.soap
    assert decoded.undecodable is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(
            b"<html><body><p>Proxy error<br></body></html>", "not well-formed XML at line 1", id="html"
        ),
        pytest.param(b"<html><body>secret</body></html>", "not a SOAP envelope", id="well_formed_html"),
        pytest.param(b"<!DOCTYPE html><html/>", "declares a DTD", id="doctype"),
        pytest.param(b"oops", "not well-formed XML at line 1", id="text"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"  \n", "empty", id="blank"),
        pytest.param(b'{"a":1}', "not well-formed XML", id="json"),
    ],
)
def test_decode_of_what_is_no_envelope_leaves_soap_null_and_says_why(content, why):
    decoded = read(content, "text/html", expect="soap")
    assert (decoded.soap, decoded.body) == (None, None)
    assert decoded.undecodable is not None
    assert decoded.undecodable.startswith(why)


def test_decode_of_other_xml_where_soap_was_expected_still_shows_its_tree():
    assert read(b"<error><code>7</code></error>", expect="soap").xml == {"error": {"code": "7"}}


def test_decode_of_an_empty_body_where_xml_was_expected_is_null_and_not_undecodable():
    assert read(b"", expect="xml") == Decoded(body=None, text="")


def test_decode_of_latin1_xml_without_a_declaration_follows_the_header():
    assert read(b"<a>\xe9</a>", "text/xml; charset=iso-8859-1", expect="xml").xml == {"a": "é"}


# ---- decode: the first text


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        pytest.param(b"abc\xff", "", "abc\ufffd", id="broken_bytes_are_replaced"),
        pytest.param(b"\xe9", "text/html; charset=iso-8859-1", "é", id="charset_of_the_header"),
        pytest.param(b"\xe9", "text/html; charset=rot13", "\ufffd", id="no_text_encoding"),
        pytest.param("é".encode("utf-16"), "", "é", id="utf16"),
        pytest.param(b"\xef\xbb\xbfhi", "", "hi", id="byte_order_mark"),
        pytest.param(b"x" * 5000, "", "x" * 2048, id="first_2_kB"),
        pytest.param(b"x" * 2047 + "é".encode(), "", "x" * 2047, id="a_cut_character_is_dropped"),
        pytest.param(b"", "", "", id="empty"),
    ],
)
@pytest.mark.parametrize("expect", ["json", "soap"])
def test_decode_always_gives_the_first_text(content, content_type, text, expect):
    assert read(content, content_type, expect=expect).text == text


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "content_type"])
def test_decode_finds_the_content_type_however_the_header_is_spelled(name):
    decoded = decode(
        b'"\xe9"', {"x": "y", name: "a/b; charset=iso-8859-1"}, expect="json", xml=STYLE, unwrap=None
    )
    assert decoded.body == "é"


# ---- hostile bytes


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="<>/a \"'=&;[]{},:1e!-#\x00é", max_size=80).map(str.encode),
        st.integers(0, len(ENVELOPE)).flatmap(
            lambda cut: st.binary(max_size=4).map(lambda noise: ENVELOPE[:cut] + noise + ENVELOPE[cut + 1 :])
        ),
    ),
    st.sampled_from(["json", "form", "none", "xml", "soap"]),
    st.text(max_size=40),
)
def test_decode_of_any_bytes_never_raises(content, expect, content_type):
    decoded = read(content, content_type, expect=expect)
    assert decoded.undecodable is None or decoded.body is None
    assert len(decoded.text) <= 2048
