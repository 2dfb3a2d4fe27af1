"""Loading a mapping file: the shipped ones, the form of its errors, and what hostile files do."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.contract import Operation
from gateway.errors import ProblemsFound
from gateway.mapping.load import MAX_PROBLEMS, load_mapping, parse_mapping
from gateway.mapping.spec import MappingSpec
from gateway.yamlfile import read_yaml

ROOT = Path(__file__).parents[2]
TEXTS = ROOT / "tests" / "data" / "mapping-texts"
SHIPPED = sorted((ROOT / "mappings").glob("*.yaml"))
LONG = os.environ.get("LMS_GATEWAY_LONG") == "1"
WHOLE = (TEXTS / "whole.yaml").read_text()


def loaded(text: str = WHOLE) -> MappingSpec:
    return parse_mapping(text).mapping


def problems_of(text: str) -> str:
    with pytest.raises(ProblemsFound) as found:
        parse_mapping(text, "mappings/small.yaml")
    return str(found.value)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_mapping_loads_without_a_word(file: Path) -> None:
    found = load_mapping(file)
    assert found.mapping.name == file.stem
    assert found.warnings == ()


# How errors read: docs/mapping-language.md, "When something is wrong".


def test_a_misspelt_name_is_underlined_and_corrected() -> None:
    text = WHOLE.replace('json: {user: "${student.id}"}', 'json: {user: "${known.studnet.userId}"}')
    assert problems_of(text) == (
        "mappings/small.yaml:12:74  operations.createEnrolment.steps.enrol.json.user\n"
        "    12 |     steps: [{id: enrol, call: POST /enrol, repeat: safe, "
        'json: {user: "${known.studnet.userId}"}}]\n'
        "       | " + " " * 73 + "^^^^^^^^^^^^^\n"
        "    `known` has no `studnet` here. It has: course, enrolment, student.\n"
        "    Write `known.student.userId`."
    )


def test_a_write_without_a_promise_is_told_its_three_choices() -> None:
    assert problems_of(WHOLE.replace("repeat: safe, ", "")) == (
        "mappings/small.yaml:12:13  operations.createEnrolment.steps.enrol\n"
        "    A write needs to say what happens when its answer is lost.\n"
        "    Add one of:  confirm: (look it up)   repeat: safe   repeat: never"
    )


def test_an_expression_that_yaml_took_is_shown_in_quotes() -> None:
    text = WHOLE.replace(
        "    steps: [{id: all, call: GET /courses, items: reply.body}]",
        "    steps:\n"
        "      - id: all\n        call: GET /courses\n        items: reply.body\n"
        "        keep: !$.settings.onlyActive || status == 'active'",
    )
    assert problems_of(text) == (
        "mappings/small.yaml:12:15  operations.getCourses.steps.all.keep\n"
        "    12 |         keep: !$.settings.onlyActive || status == 'active'\n"
        "       |               ^\n"
        "    YAML reads `!` itself. Put the expression in double quotes:\n"
        "            keep: \"!$.settings.onlyActive || status == 'active'\""
    )


def test_a_plain_secret_is_not_printed() -> None:
    text = WHOLE.replace("hosts: [", "headers: {A: sk9aB3xQ7pLm2ZtR8vNc4Yd6}, hosts: [")
    (warning,) = parse_mapping(text).warnings
    assert "sk9aB3xQ7pLm2ZtR8vNc4Yd6" not in str(warning)


def test_very_many_problems_are_cut_off_and_counted() -> None:
    wrong = "\n".join(f"wrong{number}: 1" for number in range(MAX_PROBLEMS + 5))
    with pytest.raises(ProblemsFound) as found:
        parse_mapping(WHOLE + wrong)
    assert len(found.value.problems) == MAX_PROBLEMS + 1
    assert found.value.problems[-1].message == "There are 5 more problems."


# What comes out.


def test_a_whole_mapping_is_frozen_data() -> None:
    mapping = loaded()
    create = mapping.operations[Operation.CREATE_ENROLMENT]
    assert (mapping.name, mapping.version, mapping.vendor) == ("small", "1.0.0", {"name": "Small"})
    assert (create.kind, create.key, create.course_field) == ("steps", ("userId", "courseId"), "courseId")
    assert create.steps[0].place == "operations.createEnrolment.steps.enrol"
    assert create.steps[0].line == 12
    assert create.steps[0].action is not None and create.steps[0].action.writes
    assert mapping.operations[Operation.CANCEL_ENROLMENT].kind == "refuse"


def test_the_digest_follows_the_content_and_not_the_comments() -> None:
    assert loaded().digest == loaded("# a comment\n" + WHOLE).digest
    assert loaded().digest != loaded(WHOLE.replace("POST /enrol", "POST /enroll")).digest


def test_a_text_setting_keeps_the_spelling_of_its_default() -> None:
    text = WHOLE + "settings: {a: {type: text, default: 1.10}, b: {type: number, default: 1.10}}\n"
    found = loaded(text).settings
    assert (found["a"].default, found["b"].default) == ("1.10", 1.1)


def test_a_file_without_sections_or_that_is_a_list_is_told_so() -> None:
    assert "This needs `server`." in problems_of("format: 1\n")
    assert problems_of("- a\n- b\n").endswith(
        "A mapping file is an object with keys such as `format` and `server`."
    )


# Hostile files.

JUNK: list[Any] = [
    None, True, 0, -1, 1.5, "", "x", "${", "${secrets.k}", "${a.b.c}", "$x", [], {}, [None], [[]], [{}],
    {"x": None}, {"$each": 1}, {"$each": "x", "$as": []}, {"use": "nope"}, "earlier", "restart",
    "GET /x", "${settings.x}/h", "9" * 5000, {"kind": "session"}, {"type": "text"}, ["a", "a"], {"": ""},
    "`", "[?", "(" * 60,
]  # fmt: skip
DOCUMENTS: list[Any] = [read_yaml(file).data for file in [*SHIPPED, TEXTS / "whole.yaml"]]
KEYS = sorted(
    {key for document in DOCUMENTS for key in json.dumps(document).split('"') if key.isidentifier()}
)


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    found: list[tuple[Any, Any]] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, value in pairs:
            found.append((part, key))
            waiting.append(value)
    return found


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """A good mapping in which some parts were replaced, taken out, renamed or added."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 5))):
        container, key = draw(st.sampled_from(places(document) or [(document, "x")]))
        change = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if change == "replace":
            container[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        elif change == "remove" or isinstance(container, list):
            del container[key]
        elif change == "rename":
            container[draw(st.sampled_from(KEYS))] = container.pop(key)
        else:
            container[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    return document


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=40,
)


def loads_or_says_why(text: str) -> None:
    try:
        parse_mapping(text)
    except ProblemsFound as found:
        assert found.problems
        assert all(problem.message for problem in found.problems)
        str(found)


@pytest.mark.no_cover  # whole mappings: counting branches would treble the time
@given(mutants())
@settings(max_examples=1000 if LONG else 60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mapping_gone_wrong_anywhere_loads_or_says_why(document: Any) -> None:
    loads_or_says_why(json.dumps(document))


@given(anything)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example({"operations": {"createEnrolment": None}, "server": [], "settings": {"a": {}}})
def test_any_document_at_all_loads_or_says_why(document: Any) -> None:
    loads_or_says_why(json.dumps(document))


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_at_all_loads_or_says_why(text: str) -> None:
    loads_or_says_why(text)


@pytest.mark.parametrize("depth", [20, 59, 200])
def test_deep_nesting_is_refused_or_loads_but_never_crashes(depth: int) -> None:
    deep = "{a: " * depth + "1" + "}" * depth
    loads_or_says_why(WHOLE.replace('json: {user: "${student.id}"}', f"json: {deep}"))
