"""Hostile expressions and hostile data stop early, with little time and memory."""

import pytest

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Runtime, compile_expression
from tests.support.cpu import usual_seconds


def _deep():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep


SCOPE = {
    "big": [{"a": number} for number in range(100_000)],
    "list": list(range(1000)),
    "text": "x" * 1_000_000,
    "json": "[" + "1," * 10_000 + "1]",
    "many": "[" + "1," * 600_000 + "1]",
    "long": '"' + "x" * 9_000_000 + '"',
    "texts": ["x" * 100 for _ in range(50_000)],
    "deep": _deep(),
    "deeper": [_deep()],
    "copy": {"big": [{"a": number} for number in range(100_000)], "text": "x" * 1_000_000},
}
DOUBLING = "|".join(["[@,@]"] * 40)


@pytest.mark.parametrize(
    "expression",
    [
        "big[*].[a, a, a, a, a, a]",
        "list[*].[$.list[*].[$.list]]",
        "list[?$.big == $.copy.big]",
        "big[?$.text == $.copy.text]",
        "big[?$.text <= $.copy.text]",
        "join(text, texts)",
        "replace(text, 'x', text)",
        DOUBLING,
        f"to_string({DOUBLING})",
        f"leaves({DOUBLING})",
        f"descend({DOUBLING}, 'a')",
        "|".join(["{a: @, b: @}"] * 40),
        "map(&$.big, list)",
        "map(&map(&map(&@, $.list), $.list), list)",
        "list[*].to_array($.big)",
        "list[*].to_array($.text)",
        "list[?$.list[?$.list[?@ == `1`]]]",
        "list[?$.list[?contains($.list, 'x')]]",
        "list[?sum($.list) == `1`]",
        "list[*].sort($.texts)",
        "list[*].reverse($.texts)",
        "list[*].upper($.text)",
        "list[?matches($.text, '(x+x+)+y')]",
        "big[?contains($.text, 'y')]",
        "split(text, 'x')",
        "ascii(text)",
        "map(&json($.json), list)",
        "json(many)",
        "json(long)",
        "map(&[@, @], list) | [@, @, @, @][] | [@, @, @, @][] | [@, @, @, @][] | [@, @, @, @][]",
        "list[*].merge($.copy, $.copy) | map(&$.big, @)",
        "pick_by(big, 'b', `1`) ?? pick_by(big, 'b', `1`) ?? pick_by(big, 'b', `1`)",
        "deep == deeper",
        "to_string(deep)",
    ],
)
@pytest.mark.no_cover
def test_hostile_expression_stops_with_a_limit(expression):
    compiled = compile_expression(expression)

    def evaluate():
        with pytest.raises(ExpressionError) as caught:
            compiled.evaluate(SCOPE, Runtime())
        assert caught.value.kind == "limit"

    assert usual_seconds(evaluate) < 1.5


@pytest.mark.parametrize("expression", ["deep", "leaves(deep)", "[deep]", "deep[0][0][0]"])
def test_deep_data_may_pass_through(expression):
    assert isinstance(compile_expression(expression).evaluate(SCOPE, Runtime()), list)


def test_limits_are_those_of_the_runtime():
    compiled = compile_expression("list[*].[@]")
    assert len(compiled.evaluate(SCOPE, Runtime())) == 1000
    for runtime in (Runtime(max_steps=900), Runtime(max_nodes=900)):
        with pytest.raises(ExpressionError, match="900"):
            compiled.evaluate(SCOPE, runtime)
    with pytest.raises(ExpressionError, match="50"):
        compile_expression("join('-', ['aaaa', 'bbbb']) | [@, @, @, @, @, @]").evaluate(
            {}, Runtime(max_bytes=50)
        )


def test_everyday_sizes_are_far_from_the_limits():
    courses = [{"id": str(number), "name": "A course", "status": "active"} for number in range(1000)]
    expression = "courses[?status == 'active' && matches(name, 'c')].{id: text(id), name: unhtml(name)}"
    result = compile_expression(expression).evaluate({"courses": courses}, Runtime(max_steps=20_000))
    assert len(result) == 1000


@pytest.mark.no_cover
def test_tags_are_dropped_in_one_pass():
    hostile = "< " * 500_000 + "<!--<a>" * 100_000
    assert usual_seconds(lambda: compile_expression("unhtml(@)").search(hostile)) < 2


@pytest.mark.parametrize("expression", ["sum([@, @])", "avg([@, @])"])
def test_a_number_without_end_never_leaves(expression):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(expression).search(1e308)
    assert caught.value.kind == "value"


def test_a_number_too_large_for_division_is_an_error_of_the_expression():
    with pytest.raises(ExpressionError) as caught:
        compile_expression("avg([@, @])").search(10**400)
    assert caught.value.kind == "value"
