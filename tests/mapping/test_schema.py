"""The schema of mapping files: every keyword is explained, and a broken part leaves the rest usable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.lint import looks_secret
from gateway.mapping.pruning import Rest, placed, prune
from gateway.mapping.schema import load_schema
from gateway.mapping.units import seconds, size_bytes

SCHEMA = load_schema("mapping-1.json")


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        own = {key: value for key, value in part.items() if key != "$ref"}
        part = {**SCHEMA["$defs"][part["$ref"].rpartition("/")[2]], **own}
    return part


def keywords(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every keyword the schema knows, but for the conditions of `if`."""
    if isinstance(node, dict):
        for name, part in node.get("properties", {}).items():
            yield f"{place}.{name}", resolved(part)
        for key, part in node.items():
            if key != "if":
                yield from keywords(part, f"{place}.{key}")
    elif isinstance(node, list):
        for part in node:
            yield from keywords(part, place)


KEYWORDS = dict(keywords({key: value for key, value in SCHEMA.items() if key != "examples"}, ""))


@pytest.mark.parametrize("place", KEYWORDS)
def test_a_keyword_has_a_title_a_description_and_an_example(place: str) -> None:
    part = KEYWORDS[place]
    assert part.get("title") and part.get("description", "").endswith((".", ". "))
    assert part.get("examples") or "properties" in part, "an example, or keywords that have one"


@pytest.mark.parametrize("place", [place for place in KEYWORDS if KEYWORDS[place].get("examples")])
def test_an_example_is_valid(place: str) -> None:
    for example in KEYWORDS[place]["examples"]:
        part = {**KEYWORDS[place], "$defs": SCHEMA["$defs"]}
        jsonschema.Draft202012Validator(part).validate(example)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


# Going round broken parts.

SMALL = jsonschema.Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "steps": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
                    "additionalProperties": False,
                },
            },
            "any": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "names": {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}},
        },
        "required": ["steps"],
    }
)


@pytest.mark.parametrize(
    ("data", "rest", "broken"),
    [
        ({"steps": [{"id": "a"}]}, {"steps": [{"id": "a"}]}, set()),
        ({"steps": [{"id": "a", "n": "x"}]}, {"steps": [{"id": "a"}]}, {("steps", 0, "n")}),
        ({"steps": [{"id": "a", "m": 1}]}, {"steps": [{"id": "a"}]}, {("steps", 0, "m")}),
        (
            {"steps": [{"id": 1}, {"id": "b"}, 5]},
            {"steps": [{"id": "b"}]},
            {("steps", 0, "id"), ("steps", 0), ("steps", 2)},
        ),
        ({"steps": [5]}, {}, {("steps", 0), ("steps",)}),
        ({"any": []}, {}, {("any",)}),
        ({"names": {"a": 1, "2": 1}}, {"names": {"a": 1}}, {("names", "2")}),
    ],
)
def test_refused_parts_are_taken_out_and_the_rest_keeps_its_places(data: Any, rest: Any, broken: Any) -> None:
    assert prune(data, SMALL) == (rest, broken)


def test_items_know_the_index_they_had() -> None:
    rest, _ = prune({"steps": [{"id": "a"}, 5, {"id": "c"}]}, SMALL)
    assert list(placed(rest["steps"])) == [(0, {"id": "a"}), (2, {"id": "c"})]
    assert list(placed(["x", "y"])) == [(0, "x"), (1, "y")]
    assert list(placed(None)) == []
    assert isinstance(rest["steps"], Rest)


parts = st.recursive(
    st.none() | st.integers() | st.sampled_from(["a", "A1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["steps", "id", "n", "names", "A1"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["steps", "names"]), parts))
@settings(deadline=None)
def test_what_is_left_is_valid_but_for_what_is_missing_at_the_top(data: Any) -> None:
    rest, broken = prune(data, SMALL)
    errors = list(SMALL.iter_errors(rest))
    assert all(error.validator == "required" and not error.path for error in errors)
    assert bool(broken) == (rest != data)


# Small words.


@pytest.mark.parametrize(
    ("text", "value"), [("20s", 20), ("250ms", 0.25), ("5m", 300), ("6h", 21600), ("1d", 86400)]
)
def test_durations_are_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


def test_what_is_not_written_has_its_default() -> None:
    assert (seconds(None, 5.0), size_bytes(None, 7)) == (5.0, 7)
    assert (size_bytes("20MB", 0), size_bytes("64kB", 0)) == (20_000_000, 64_000)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("sk9aB3xQ7pLm2ZtR8vNc4Yd6", True),
        ("Bearer 8fK2mQ9zX4cV7bN1aS5dF3gH", True),
        ("0123456789abcdef0123456789abcdef", True),
        ("hasNewCourseVersionSince2024Enabled", False),
        ("reply.soap.body.GetFrameworksResponse", False),
        ("https://api.vendor.example/webservices/soap/v2", False),
        ("core_user_get_users_by_field_value", False),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", False),
        ("short1A", False),
    ],
)
def test_a_secret_is_told_by_its_randomness(text: str, secret: bool) -> None:
    assert looks_secret(text) is secret
