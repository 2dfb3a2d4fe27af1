"""Templates: where values go in, and what a null does there."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, Runtime, compile_expression
from gateway.mapping.placeholders import Span, split
from gateway.mapping.templates import (
    Context,
    NullHere,
    Path,
    Template,
    as_text,
    compile_template,
    dotted,
    learn,
)

SCOPE: dict[str, Any] = {
    "student": {"id": "204", "name": "Ana", "age": 30, "nick": None, "empty": "", "tags": []},
    "settings": {"field": "Status", "odd": "a b"},
    "list": [{"id": 1}, {"id": None}],
    "ids": [1, 2],
    "half": 0.5,
    "whole": 2.0,
    "yes": True,
}


def template(value: Any, **options: Any) -> Template:
    def compiled(text: str, path: Path, offset: int) -> Expression:
        return compile_expression(text)

    def label(expression: Expression) -> str | None:
        return "‹secret›" if "secrets" in expression.roots else None

    return compile_template(value, ("body",), compiled, label, **options)


def context(**more: Any) -> Context:
    return Context({**SCOPE, **more}, Runtime())


def rendered(value: Any, **options: Any) -> Any:
    return template(value, **options).render(context())


@pytest.mark.parametrize(
    ("value", "gives"),
    [
        ("plain", "plain"),
        ("", ""),
        (5, 5),
        (False, False),
        ("${student.age}", 30),
        ("${student.tags}", []),
        ("${ids}", [1, 2]),
        ("a ${student.name} b ${student.age}", "a Ana b 30"),
        ("${half}/${whole}/${yes}", "0.5/2/true"),
        ("$${student.name}", "${student.name}"),
        ("a $${x} ${student.name} $${y}", "a ${x} Ana ${y}"),
        ("cost $5 ${student.age}", "cost $5 30"),
        ("${'}'}x", "}x"),
        ("${{a: student.name}.a}", "Ana"),
        ({"a": ["${student.age}", {"b": "x"}]}, {"a": [30, {"b": "x"}]}),
        ({"$$ref": 1}, {"$ref": 1}),
        ({"${settings.field}": "x"}, {"Status": "x"}),
        ({"${settings.field}?": "${student.nick}"}, {}),
        ({"$each": "ids", "$as": "n", "$give": {"id": "${n}"}}, [{"id": 1}, {"id": 2}]),
        ({"$each": "ids"}, [1, 2]),
    ],
)
def test_a_template_gives_its_data_filled_in(value: Any, gives: Any) -> None:
    assert rendered(value) == gives


def test_a_vendor_text_with_a_placeholder_in_it_is_never_evaluated() -> None:
    assert template("${x}").render(context(x="${student.name}")) == "${student.name}"


def test_keys_of_xml_bodies_are_left_to_their_codec() -> None:
    units = {"$array": "{n}T", "$each": "ids", "$as": "n", "$give": {"U": "${n}"}}
    data = {"$attr": {"a": "1"}, "$$x": "2", "Units": units}
    assert rendered(data, literal_keys=False) == {
        "$attr": {"a": "1"},
        "$$x": "2",
        "Units": {"$array": "{n}T", "$items": [{"U": 1}, {"U": 2}]},
    }


# The null policy.


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("${student.nick}", "body"),
        ({"nick": "${student.nick}"}, "body.nick"),
        ({"a": ["x", "${student.nick}"]}, "body.a[1]"),
        ({"a": "his ${student.nick}"}, "body.a"),
        ({"a?": {"b": "${student.nick}"}}, "body.a?.b"),
        ({"a?": ["${student.nick}"]}, "body.a?[0]"),
        ({"a": {"$each": "student.nick"}}, "body.a.$each"),
        ({"a?": {"$each": "list", "$as": "x", "$give": "${x.id}"}}, "body.a?.$give"),
    ],
)
def test_a_null_is_an_error_that_names_its_place_and_its_link(value: Any, place: str) -> None:
    with pytest.raises(NullHere) as found:
        rendered(value)
    assert found.value.kind == "null"
    assert str(found.value).startswith(f"{place}: ")
    assert "`" in str(found.value)


@pytest.mark.parametrize(
    ("value", "gives"),
    [
        ({"nick?": "${student.nick}"}, {}),
        ({"nick?": "his ${student.nick}"}, {}),
        ({"nick?": "${student.empty}"}, {"nick": ""}),
        ({"tags?": "${student.tags}"}, {"tags": []}),
        ({"nick": "${student.nick ?? ''}"}, {"nick": ""}),
        ({"all?": {"$each": "student.nick"}}, {}),
        ({"all?": {"$each": "student.tags"}}, {"all": []}),
        ({"a": {"b?": "${student.nick}"}}, {"a": {}}),
    ],
)
def test_a_null_under_a_key_with_a_question_mark_leaves_the_key_out(value: Any, gives: Any) -> None:
    assert rendered(value) == gives


def test_a_misspelt_name_is_told_with_what_there_is() -> None:
    with pytest.raises(NullHere) as found:
        rendered({"a": "${student.nmae}"})
    assert "Did you mean `name`?" in str(found.value)


# Wrong values.


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x ${ids}", "inside text only text, numbers and booleans"),
        ("x ${student}", "gives an object"),
        ({"$each": "student"}, "gives an object; a list is needed"),
        ({"${settings.odd}": 1}, "must give a plain name"),
    ],
)
def test_a_value_that_cannot_stand_there_is_refused(value: Any, says: str) -> None:
    with pytest.raises(ExpressionError, match=says):
        rendered(value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a ${x", "never closed"),
        ("${'x}", "never closed"),
        ({"${student.id}": 1}, "one `\\$\\{settings"),
        ({"$x": 1}, r"`\$x` means nothing here"),
        ({"$as": "x"}, "stands only beside"),
        ({"a": 1, "a?": 2}, "stands here already"),
        ({"$each": ["x"]}, "is an expression"),
        ({"$each": "ids", "$as": "1 x"}, "is a plain name"),
        ({"$each": "ids", "more": 1}, "Beside `\\$each`"),
    ],
)
def test_a_template_that_cannot_be_compiled_is_refused(value: Any, says: str) -> None:
    with pytest.raises(ExpressionError) as found:
        template(value)
    assert found.match(says)


def test_a_null_written_by_the_author_is_refused_where_nulls_are_not_sent() -> None:
    assert rendered({"a": None}) == {"a": None}
    with pytest.raises(ExpressionError, match="Nothing stands here"):
        template({"a": None}, nulls=False)


def test_every_refusal_is_told_when_somebody_listens() -> None:
    told: list[Path] = []
    found = template({"a": "${x", "$b": 1, "c": "ok"}, refused=lambda path, error: told.append(path))
    assert told == [("body", "a"), ("body", "$b")]
    assert found.render(context()) == {"a": "", "$b": 1, "c": "ok"}


# What a template knows about itself.


def test_a_template_knows_its_expressions() -> None:
    assert [e.text for e in template({"a": "${x}", "b": ["${y} ${z}"]}).expressions] == ["x", "y", "z"]
    assert template("plain").constant
    assert not template("${x}").constant


def test_sensitive_values_are_learnt_whatever_their_shape() -> None:
    seen = context(secrets={"a": "s1", "b": ["s2", {"c": 3}], "d": True, "e": ""})
    template({"x": "${secrets.a}", "y": "${secrets.b}", "z": "${secrets.d}"}).render(seen)
    assert seen.sensitive == {"s1": "‹secret›", "s2": "‹secret›", "3": "‹secret›"}
    assert seen.plus(more=1).sensitive is seen.sensitive


def test_learning_ignores_what_cannot_be_masked() -> None:
    found: dict[str, str] = {"known": "first"}
    learn(found, {"a": None, "b": False, "c": "", "d": "known"}, "second")
    assert found == {"known": "first"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (True, "true"), (False, "false"), (1, "1"), (1.0, "1"), (0.5, "0.5"), (1e20, "1e+20")],
)
def test_numbers_are_written_as_short_as_they_can_be(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_paths_are_dotted() -> None:
    assert dotted(("steps", 0, "call")) == "steps[0].call"
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("a", ["a"]),
        ("${a}", [Span("a", 2)]),
        ("${a}${b}", [Span("a", 2), Span("b", 6)]),
        ("x${'\\'}'}y", ["x", Span("'\\'}'", 3), "y"]),
        ("$$${a}", ["$${a}"]),
        ("${a}$${b}", [Span("a", 2), "${b}"]),
    ],
)
def test_a_text_is_cut_at_its_placeholders(text: str, pieces: list[Any]) -> None:
    assert list(split(text)) == pieces
