"""Bodies of webhooks as values."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.progress.bodies import MAX_FIELDS, Unreadable, fields, parse

LATIN = "application/json; charset=iso-8859-1"


def b64(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        pytest.param("json", b'{"a":[1,2.0,null]}', {"a": [1, 2.0, None]}, id="object"),
        pytest.param("json", b"[1]", [1], id="list"),
        pytest.param("json", b" 7 ", 7, id="number"),
        pytest.param("json", b"null", None, id="null"),
        pytest.param("json", b'\xef\xbb\xbf{"a":1}', {"a": 1}, id="byte-order-mark"),
        pytest.param("json", '{"a":"é"}'.encode("utf-16"), {"a": "é"}, id="utf-16"),
        pytest.param("json", b'{"id":18446744073709551617}', {"id": 18446744073709551617}, id="long-id"),
        pytest.param("form", b"a=1&b=x+y%26&c=", {"a": "1", "b": "x y&", "c": ""}, id="form"),
        pytest.param("form", b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}, id="form-several"),
        pytest.param("form", b"payload=%7B%22a%22%3A1%7D", {"payload": '{"a":1}'}, id="form-with-json"),
        pytest.param("form", b"a=%FF\xfe", {"a": "��"}, id="form-not-utf-8"),
        pytest.param("jwt", b"x." + b64('{"n":1}') + b".y\n", {"n": 1}, id="claims"),
        pytest.param("jwt", b"x." + b64('{"é":"é??>"}') + b".y", {"é": "é??>"}, id="claims-other-alphabet"),
    ],
)
def test_a_body_is_read_as_its_kind(kind, raw, value):
    assert parse(kind, raw) == value


def test_latin_text_is_read_where_the_content_type_says_so():
    assert parse("json", b'{"a":"\xe9"}', LATIN) == {"a": "é"}


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        pytest.param("json", b"", id="empty"),
        pytest.param("json", b" \n", id="blank"),
        pytest.param("json", b'{"a":1', id="cut"),
        pytest.param("json", b'{"modules":[{"id":71},],}', id="comma-too-many"),
        pytest.param("json", b'{"a":NaN}', id="nan"),
        pytest.param("json", b'{"a":"\xff"}', id="not-utf-8"),
        pytest.param("json", b"[" * 101 + b"]" * 101, id="deep"),
        pytest.param("json", b"[" * 400_000, id="very-deep"),
        pytest.param("json", b"<a/>", id="xml"),
        pytest.param("json", b"9" * 5000, id="endless-number"),
        pytest.param("form", b"", id="form-empty"),
        pytest.param("form", b"a&" * (MAX_FIELDS + 1), id="form-many"),
        pytest.param("jwt", b"", id="jwt-empty"),
        pytest.param("jwt", b"a.b", id="jwt-two-parts"),
        pytest.param("jwt", b"a.!.c", id="jwt-not-base64"),
        pytest.param("jwt", b"a.AAAAA.c", id="jwt-odd-length"),
        pytest.param("jwt", b"a." + b64("{") + b".c", id="jwt-not-json"),
    ],
)
def test_a_body_that_cannot_be_read_is_unreadable_and_its_message_holds_nothing_of_it(kind, raw):
    with pytest.raises(Unreadable) as caught:
        parse(kind, raw)
    assert "71" not in str(caught.value) and len(str(caught.value)) < 200


def test_fields_can_keep_bytes_that_are_not_utf_8():
    found = fields(b"a=%FF", errors="surrogateescape")
    assert found["a"].encode("utf-8", "surrogateescape") == b"\xff"


@given(st.sampled_from(["json", "form", "jwt"]), st.binary(max_size=80), st.text(max_size=40))
def test_no_body_does_anything_but_parse_or_be_unreadable(kind, raw, content_type):
    with contextlib.suppress(Unreadable):
        parse(kind, raw, content_type)
