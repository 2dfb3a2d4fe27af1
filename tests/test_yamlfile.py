"""Strict YAML: what is typed, what is refused, and where everything stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProblemsFound
from gateway.yamlfile import MAX_PROBLEMS, Document, Mark, parse_yaml, read_yaml
from tests.support.cpu import usual_seconds


def parse(text: str | bytes) -> Document:
    return parse_yaml(text, file="mappings/x.yaml")


def problems_of(text: str | bytes):
    with pytest.raises(ProblemsFound) as found:
        parse(text)
    return found.value.problems


@pytest.mark.parametrize(
    ("spelt", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("126", 126),
        ("-3", -3),
        ("0", 0),
        ("1.10", 1.1),
        ("123456789012345", 123456789012345),
        ("1234567890123456", "1234567890123456"),
        ("0.1234567890123456", "0.1234567890123456"),
        ("0123", "0123"),
        ("-01", "-01"),
        ("+1", "+1"),
        ("1.", "1."),
        (".5", ".5"),
        ("1e5", "1e5"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        (".inf", ".inf"),
        ("NO", "NO"),
        ("on", "on"),
        ("True", "True"),
        ("~", "~"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ('"126"', "126"),
        ("'true'", "true"),
        ("|\n  126\n", "126\n"),
        ("a == b ? c", "a == b ? c"),
    ],
)
def test_scalar_is_typed_as_json_would_and_else_is_text(spelt, value):
    found = parse(f"k: {spelt}\n").data["k"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("key", ["on", "NO", "1", "true", "null", "1.10", "2026-01-01", "<<x", '"<<"', '""'])
def test_key_is_always_text(key):
    assert list(parse(f"{key}: 1\n").data) == [key.strip('"')]


@pytest.mark.parametrize(
    ("text", "data"), [("", None), ("# nothing\n", None), ("---\n- 1\n", [1]), ("\ufeffa: 1", {"a": 1})]
)
def test_odd_but_sound_document_is_read(text, data):
    assert parse(text).data == data


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.text("ab:#'\"\\ \n!{[é0", max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("abc ?'é1", min_size=1, max_size=4), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_what_another_writer_writes_is_read_back(data, flow):
    text = json.dumps(data) if flow else yaml.safe_dump(data, allow_unicode=True)
    assert parse(text).data == data


SOURCE = """\
# a comment
operations:
  getCourses:
    steps:
      - id: all
        call: GET /courses
        quoted: "a\\tb \\u00e9 c"
        single: 'it''s x'
        block: |
          one
          two
        count: 1.10
        shared: &s  number(x)
      - {use: *s, "middle?": [1, 22]}
"""
STEPS = ("operations", "getCourses", "steps")


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ((), (2, 1), (2, 1)),
        (("operations",), (3, 3), (2, 1)),
        ((*STEPS, 0), (5, 9), (5, 9)),
        ((*STEPS, 0, "call"), (6, 15), (6, 9)),
        ((*STEPS, 0, "block"), (9, 16), (9, 9)),
        ((*STEPS, 1), (14, 9), (14, 9)),
        ((*STEPS, 1, "use"), (13, 17), (14, 10)),
        ((*STEPS, 1, "middle?", 1), (14, 34), (14, 34)),
        ((*STEPS, 0, "nowhere", "at all"), (5, 9), (5, 9)),
        ((*STEPS, 9), (5, 7), (5, 7)),
    ],
)
def test_value_and_key_have_their_places(path, value, key):
    document = parse(SOURCE)
    assert document.place(path) == Mark(*value)
    assert document.key_place(path) == Mark(*key)


@pytest.mark.parametrize(
    ("name", "offset", "character"),
    [
        ("call", 4, "/"),
        ("quoted", 0, "a"),
        ("quoted", 2, "b"),
        ("quoted", 6, "c"),
        ("single", 3, "s"),
        ("single", 5, "x"),
        ("shared", 7, "x"),
    ],
)
def test_character_of_a_scalar_is_found_in_the_source(name, offset, character):
    document = parse(SOURCE)
    path = (*STEPS, 0, name)
    assert document.data["operations"]["getCourses"]["steps"][0][name][offset] == character
    line, column = document.position(path, offset)
    assert document.source_line(line)[column - 1] == character


def test_character_beyond_a_quoted_scalar_stays_before_its_closing_quote():
    assert parse('k: "ab"').position(("k",), 99) == Mark(1, 7)


@pytest.mark.parametrize("path", [(*STEPS, 0, "block"), (*STEPS, 0)])
def test_character_of_anything_else_is_its_start(path):
    document = parse(SOURCE)
    assert document.position(path, 3) == document.place(path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((*STEPS, 0, "count"), "1.10"),
        ((*STEPS, 0, "single"), "it's x"),
        ((*STEPS, 1, "middle?", 1), "22"),
        ((*STEPS, 0), None),
        ((*STEPS, 0, "nowhere"), None),
    ],
)
def test_scalar_keeps_its_source_spelling(path, text):
    assert parse(SOURCE).text_of(path) == text


def test_path_reads_with_ids_of_steps():
    document = parse(SOURCE)
    assert document.dotted((*STEPS, 0, "call")) == "operations.getCourses.steps.all.call"
    assert document.dotted((*STEPS, 1, "middle?", 0)) == "operations.getCourses.steps[1].middle?[0]"
    assert document.dotted((*STEPS, 0, "first", 3)) == "operations.getCourses.steps.all.first[3]"


@pytest.mark.parametrize(("number", "line"), [(0, ""), (1, "# a comment"), (99, "")])
def test_source_line_is_counted_from_one(number, line):
    assert parse(SOURCE).source_line(number) == line


def test_problem_points_at_value_key_or_character():
    document = parse(SOURCE)
    path = (*STEPS, 0, "call")
    at_value, at_key = document.problem(path, "Wrong."), document.problem(path, "Wrong.", key=True)
    at_character = document.problem(path, "Wrong.", offset=4, width=8, severity="warning", fix="Right.")
    assert [(p.line, p.column) for p in (at_value, at_key, at_character)] == [(6, 15), (6, 9), (6, 19)]
    assert at_value.place == "operations.getCourses.steps.all.call"
    assert at_value.source == "        call: GET /courses"
    assert (at_character.width, at_character.severity, at_character.fix) == (8, "warning", "Right.")


def test_duplicate_keys_are_all_reported():
    first, second = problems_of("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert (first.line, first.column, first.place) == (2, 11, "b.c")
    assert (second.line, second.place) == (3, "a")
    assert "line 1" in second.message
    assert second.source == "a: 3"


def test_problems_are_capped():
    assert len(problems_of("a: 1\n" * 5000)) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("text", "line", "column", "place", "words"),
    [
        ("a: 1\n<<: {b: 1}\n", 2, 1, "<<", "Merge keys"),
        ("a: !!int 5\n", 1, 4, "a", "tags are not read"),
        ("!!str a: 5\n", 1, 1, "", "tags are not read"),
        ("a:\n---\nb:\n", 2, 1, "", "one document"),
        ("? [a]\n: b\n", 1, 3, "", "A key is plain text"),
        ("&x a: b\n", 1, 1, "", "A key is plain text"),
        ("?\n: b\n", 1, 2, "", "A key is missing"),
        ("a: &x [*x]\n", 1, 8, "a[0]", "inside itself"),
        ("a: [\n*b]\n", 2, 1, "a[0]", "anchor that is not there"),
        ("a: b\n\tc: d\n", 2, 1, "", "tab"),
        ('a: "x\nb: c\n', 1, 4, "", "end of stream"),
        ("a: 1\na b\nc: 2\n", 2, 1, "", "could not find expected ':'"),
        ("k: [a, b\nc: d\n", 2, 2, "k", "expected ',' or ']'"),
        ("x: {: b}\n", 1, 5, "x", "not YAML"),
        ("%WHAT\n--- a\n", 1, 6, "", "directive"),
        ("a: \0\n", 1, 4, "", "U+0000"),
        ("a: b\nc: x\x1b[0m\n", 2, 5, "", "U+001B"),
        (b"a: 1\nb: \xff\n", 0, 0, "", "line 2"),
        ("a: \ud800", 0, 0, "", "UTF-8"),
        ("x" * 1_000_001, 0, 0, "", "1 MB"),
    ],
)
def test_unsound_yaml_is_refused_with_its_place(text, line, column, place, words):
    problem = problems_of(text)[0]
    assert (problem.line, problem.column, problem.place) == (line, column, place)
    assert words in problem.message
    assert problem.file == "mappings/x.yaml"


@pytest.mark.parametrize(
    ("source", "column", "place", "fix"),
    [
        ("keep: !$.only || status == 'active'", 7, "keep", "keep: \"!$.only || status == 'active'\""),
        ("keep: !done", 7, "keep", 'keep: "!done"'),
        ("keep: @.a  # why", 7, "keep", 'keep: "@.a"  # why'),
        ("keep: @.a == 'x #1' #", 7, "keep", "keep: \"@.a == 'x #1'\" #"),
        ("each: `[1]`", 7, "each", 'each: "`[1]`"'),
        ("each: *.items", 7, "each", 'each: "*.items"'),
        ("each: *items", 7, "each", 'each: "*items"'),
        ("pick: [?a == 'b'] | [0]", 7, "pick", "pick: \"[?a == 'b'] | [0]\""),
        ("pick: {a: b}.c", 7, "pick", 'pick: "{a: b}.c"'),
        ("when: 'a' == b", 7, "when", "when: \"'a' == b\""),
        ('when: "a" == b', 7, "when", 'when: "\\"a\\" == b"'),
        ("when: a ? b : c", 7, "when", 'when: "a ? b : c"'),
        ('"when?": @', 10, "when?", '"when?": "@"'),
        ("x: {if: !done, is: fail}", 9, "x.if", 'x: {if: "!done", is: fail}'),
        ("x: [!done, b]", 5, "x[0]", 'x: ["!done", b]'),
        ("- !done", 3, "[0]", '- "!done"'),
    ],
)
def test_expression_that_yaml_took_is_shown_in_quotes(source, column, place, fix):
    problem = problems_of(source + "\n")[0]
    assert (problem.line, problem.column, problem.place, problem.fix) == (1, column, place, fix)
    assert "Put the expression in double quotes:" in problem.message
    assert parse(fix).data


def test_expression_error_reads_as_the_manual_shows():
    text = "operations:\n  getCourses:\n    steps:\n      - id: all\n        keep: !$.a || b == 'c'\n"
    assert str(problems_of(text)[0]).splitlines() == [
        "mappings/x.yaml:5:15  operations.getCourses.steps.all.keep",
        "     5 |         keep: !$.a || b == 'c'",
        "       |               ^",
        "    YAML reads `!` itself. Put the expression in double quotes:",
        "            keep: \"!$.a || b == 'c'\"",
    ]


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 900_000,
        "{a: " * 200_000,
        "- " * 400_000,
        "? " * 400_000,
        "[a, " * 61 + "]" * 61,
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "- &a [1]\n"
        + "".join(
            f"- &{b} [*{a}]\n" for a, b in [("a" if n == 0 else f"n{n - 1}", f"n{n}") for n in range(70)]
        ),
        "- 1\n" * 100_001,
    ],
    ids=[
        "lists",
        "objects",
        "block lists",
        "keys",
        "just too deep",
        "many laughs",
        "deep aliases",
        "many values",
    ],
)
@pytest.mark.no_cover
def test_bomb_is_refused_quickly(bomb):
    problems = []
    assert usual_seconds(lambda: problems.extend(problems_of(bomb))) < 3
    assert len(str(problems[0])) < 2000


def test_alias_is_read_as_its_anchor_within_bounds():
    document = parse("a: &x {b: [1, 2]}\nc: *x\n")
    assert document.data["c"] == {"b": [1, 2]}
    assert document.place(("c", "b", 1)) == Mark(1, 15)


def test_sixty_levels_are_read():
    assert parse("[" * 59 + "1" + "]" * 59).data


def test_file_is_read_under_its_path(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: Zo\xc3\xab\r\nb: 2\r\n")
    document = read_yaml(path)
    assert (document.data, document.file) == ({"name": "Zoë", "b": 2}, path)
    assert document.source_line(2) == "b: 2"


def test_missing_file_is_a_problem_of_the_whole_file():
    with pytest.raises(ProblemsFound, match="cannot be read"):
        read_yaml(Path("/nowhere/x.yaml"))
