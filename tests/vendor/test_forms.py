"""Nested data as pairs: one row per rule of the three styles."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.calls import FormStyle
from gateway.vendor import forms

USERS = {"users": [{"username": "rtop-204", "roles": ["a", "b"]}, {"username": "rtop-205"}]}


@pytest.mark.parametrize(
    ("nested", "data", "expected"),
    [
        pytest.param("brackets", {"a": "1"}, [("a", "1")], id="flat"),
        pytest.param(
            "brackets",
            USERS,
            [
                ("users[0][username]", "rtop-204"),
                ("users[0][roles][0]", "a"),
                ("users[0][roles][1]", "b"),
                ("users[1][username]", "rtop-205"),
            ],
            id="brackets",
        ),
        pytest.param("brackets", {"values": ["x"]}, [("values[0]", "x")], id="brackets_plain_list"),
        pytest.param("dots", {"a": {"b": ["x", "y"]}}, [("a.b.0", "x"), ("a.b.1", "y")], id="dots"),
        pytest.param(
            "repeat", {"id": ["1", "2"], "z": "3"}, [("id", "1"), ("id", "2"), ("z", "3")], id="repeat"
        ),
        pytest.param(
            "repeat", {"a": {"b": ["1", "2"]}}, [("a[b]", "1"), ("a[b]", "2")], id="repeat_in_object"
        ),
        pytest.param("brackets", {"a": [], "b": {}, "c": ""}, [("c", "")], id="empty_holders_give_nothing"),
        pytest.param("brackets", [("a", "1"), ("a", ["2"])], [("a", "1"), ("a[0]", "2")], id="list_of_pairs"),
        pytest.param(
            "brackets", {"state[]": "available"}, [("state[]", "available")], id="own_brackets_stay"
        ),
    ],
)
def test_flatten_of_nested_data_gives_the_names_of_the_style(nested, data, expected):
    assert forms.flatten(data, FormStyle(nested=nested)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("x y", "x y", id="text"),
        pytest.param(5, "5", id="whole"),
        pytest.param(2**70, str(2**70), id="huge"),
        pytest.param(33.5, "33.5", id="fraction"),
        pytest.param(100.0, "100", id="whole_float"),
        pytest.param(True, "1", id="true"),
        pytest.param(False, "0", id="false"),
    ],
)
def test_flatten_of_a_scalar_gives_its_shortest_text(value, text):
    assert forms.flatten({"a": value}, FormStyle(booleans=("1", "0"))) == [("a", text)]


def test_flatten_with_omit_empty_leaves_out_empty_text_but_not_zero_or_false():
    data = {"a": "", "b": 0, "c": False, "d": {"e": ""}}
    assert forms.flatten(data, FormStyle(omit_empty=True)) == [("b", "0"), ("c", "false")]


@pytest.mark.parametrize(
    ("data", "nested", "message"),
    [
        pytest.param({"a": {"b": None}}, "brackets", r"`a\[b\]`: null", id="null"),
        pytest.param({"a": [float("nan")]}, "brackets", r"`a\[0\]`: a number that is not finite", id="nan"),
        pytest.param({"a": float("inf")}, "brackets", "`a`: a number that is not finite", id="infinity"),
        pytest.param({"a": b"x"}, "brackets", "`a`: bytes", id="bytes"),
        pytest.param({"a": "\ud800"}, "brackets", "`a`: the text holds half a character", id="surrogate"),
        pytest.param(
            {"a": [{"b": 1}]}, "repeat", r"`a\[0\]`: an object inside a list", id="object_in_repeat"
        ),
        pytest.param({"a": [["b"]]}, "repeat", r"`a\[0\]`: a list inside a list", id="list_in_repeat"),
        pytest.param("text", "brackets", "a form needs an object, not str", id="not_an_object"),
    ],
)
def test_flatten_of_what_cannot_be_sent_is_refused_by_name(data, nested, message):
    with pytest.raises(ValueError, match=message):
        forms.flatten(data, FormStyle(nested=nested))


def test_flatten_of_very_deep_data_is_refused():
    data: object = "x"
    for _ in range(60):
        data = {"a": data}
    with pytest.raises(ValueError, match="deeper than 50"):
        forms.flatten(data, FormStyle())


def test_write_encodes_utf8_with_plus_for_a_space_and_keeps_nothing_else_bare():
    written = forms.write({"users": [{"first name": "Zoë & Co+"}]}, FormStyle())
    assert written == b"users%5B0%5D%5Bfirst+name%5D=Zo%C3%AB+%26+Co%2B"


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_write_then_parse_gives_the_same_pairs(data):
    parsed = parse_qsl(
        forms.write(data, FormStyle()).decode(), keep_blank_values=True, strict_parsing=bool(data)
    )
    assert parsed == list(data.items())
