"""What the four additions mean, how things bind, what is refused and how it is said."""

import dataclasses
import types

import pytest

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Runtime, compile_expression, nearest, truthy

SCOPE = {
    "courseId": "2",
    "n": 0,
    "none": None,
    "empty": "",
    "list": [],
    "no": False,
    "yes": True,
    "body": {"total": None, "true": "a field", "role": "learner"},
    "courses": [
        {"id": "1", "visible": 1, "status": "active", "courseId": "1"},
        {"id": "2", "visible": 0, "status": "closed", "courseId": "9"},
        {"id": "3", "visible": True, "status": "active"},
    ],
    "settings": {"onlyActive": True, "courses": [{"id": "7", "live": "https://live"}]},
    "enrolment": {"course": "7"},
    "unit": {"Units": [{"Mandatory": "Yes", "UnitUUID": "u1"}, {"Mandatory": "no", "UnitUUID": "u2"}]},
}


def value(expression, scope=SCOPE):
    return compile_expression(expression).evaluate(scope, Runtime())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # plain words and numbers
        ("courses[?visible == 1].id", ["1"]),
        ("courses[?visible == true].id", ["3"]),
        ("5", 5),
        ("-2.5", -2.5),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("body.true", "a field"),
        ("body.null", None),
        ("{true: n, b: 3}", {"true": 0, "b": 3}),
        ("[true, null]", [True, None]),
        ("[n == 0, yes]", [True, True]),
        ("[0 == n, yes]", [True, True]),
        ("list[0]", None),
        # ??
        ("body.total ?? 0", 0),
        ("missing.deep ?? 'x'", "x"),
        ("empty ?? 'x'", ""),
        ("list ?? 'x'", []),
        ("no ?? 'x'", False),
        ("none ?? missing ?? 3", 3),
        ("empty || 'x'", "x"),
        ("courses[?id == '2'].nothing ?? `[1]`", []),
        # ? :
        ("n == 0 ? 'none' : 'some'", "none"),
        ("n ? 'zero is true' : 'x'", "zero is true"),
        ("no ? 1 : yes ? 2 : 3", 2),
        ("yes ? no ? 1 : 2 : 3", 2),
        ("yes ? courses[0].id : null", "1"),
        ("no ? 1 : courses[0:1].id", ["1"]),
        ("yes?courses[?id=='2'].id:list", ["2"]),
        ("yes ? [n] : list", [0]),
        ("yes ? none : 1 ?? 2", None),
        ("courses[0] | id ? 'a' : 'b'", "a"),
        # $
        ("courses[?id == courseId].id", ["1"]),
        ("courses[?id == $.courseId].id", ["2"]),
        ("courses[*].[id, $.n]", [["1", 0], ["2", 0], ["3", 0]]),
        ("body | $.courseId", "2"),
        ("map(&$.n, courses)", [0, 0, 0]),
        ("$.courses[1].id", "2"),
        ("$ == @", True),
        # as mappings use them
        ("unit.Units[?boolean(Mandatory)].UnitUUID ?? `[]`", ["u1"]),
        ("missing[?boolean(Mandatory)].UnitUUID ?? `[]`", []),
        ("(settings.courses[?id == $.enrolment.course].live | [0])", "https://live"),
        ("(number(missing) ?? 0) > 0 || matches(lower(body.role), '^learn')", True),
        ("(body.total ?? '') == '' ? 0 : number(body.total)", 0),
        ("!ends_with(body.role, '.invalid')", True),
    ],
)
def test_addition_means_what_its_table_says(expression, expected):
    result = value(expression)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "brackets"),
    [
        ("a ?? b == c", "a ?? (b == c)"),
        ("a ?? b || c", "a ?? (b || c)"),
        ("a || b && c", "a || (b && c)"),
        ("a && b == c", "a && (b == c)"),
        ("!a == b", "(!a) == b"),
        ("!a.b", "!(a.b)"),
        ("!a[?b].c", "!(a[?b].c)"),
        ("!$.a.b || c", "(!($.a.b)) || c"),
        ("a ?? b ? c : d", "(a ?? b) ? c : d"),
        ("a ? b : c ?? d", "a ? b : (c ?? d)"),
        ("a ? b : c ? d : e", "a ? b : (c ? d : e)"),
        ("a | b ? c : d", "a | (b ? c : d)"),
        ("a ? b : c | d", "(a ? b : c) | d"),
        ("a == b == c", "(a == b) == c"),
        ("a[*].b ?? c", "(a[*].b) ?? c"),
        ("a[*].b || c", "(a[*].b) || c"),
    ],
)
def test_expression_binds_like_the_one_with_brackets(expression, brackets):
    trees = [_shape(compile_expression(text).tree) for text in (expression, brackets)]
    assert trees[0] == trees[1]


def _shape(node):
    """The tree without brackets and offsets."""
    if type(node).__name__ == "Group":
        return _shape(node.inner)
    if isinstance(node, tuple):
        return tuple(_shape(part) for part in node)
    if not dataclasses.is_dataclass(node):
        return node
    parts = [field.name for field in dataclasses.fields(node) if field.name not in ("start", "end")]
    return (type(node).__name__, *(_shape(getattr(node, name)) for name in parts))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("true", "1", False),
        ("false", "0", False),
        ("`[true]`", "`[1]`", False),
        ('`{"a": [1]}`', '`{"a": [1.0]}`', True),
        ('`{"a": 1}`', '`{"b": 1}`', False),
        ('`{"a": 1}`', '`{"a": 1, "b": 1}`', False),
        ("`[1, 2]`", "`[1]`", False),
        ("1", "1.0", True),
        ("'1'", "1", False),
        ("'A'", "'a'", False),
        ("null", "missing", True),
        ("''", "null", False),
    ],
)
def test_equality_is_exact(left, right, same):
    assert value(f"{left} == {right}") is same
    assert value(f"{left} != {right}") is not same
    assert value(f"({left}) == ({right})") is same


@pytest.mark.parametrize("pair", ["'a' < 1", "true < false", "null < 1", "`[]` < `[]`"])
def test_ordering_of_unlike_or_unordered_values_is_null(pair):
    assert value(pair) is None


def test_ordering_compares_numbers_and_texts():
    assert value("[`1` < `2.5`, 'a' < 'b', 'b' <= 'a', `2` >= `2`, `3` > `4`]") == [
        True,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("thing", "expected"), [(0, True), (0.0, True), ("", False), ([], False), ({}, False)]
)
def test_truth_is_jmespaths(thing, expected):
    assert truthy(thing) is expected
    assert compile_expression("!x").evaluate({"x": thing}, Runtime()) is not expected


def test_item_is_the_current_node_and_dollar_stays_the_scope():
    keep = compile_expression("!$.settings.onlyActive || status == 'active'")
    kept = [item["id"] for item in SCOPE["courses"] if keep.evaluate(SCOPE, Runtime(), item=item)]
    assert kept == ["1", "3"]


def test_a_null_item_is_an_item():
    assert compile_expression("n").evaluate(SCOPE, Runtime(), item=None) is None


def test_any_mapping_may_be_the_scope():
    scope = types.MappingProxyType(SCOPE)
    assert value("body.role", scope) == "learner"
    assert value("$.body.role == 'learner' && courseId == '2'", scope) is True
    assert value("length(*)", scope) == len([entry for entry in SCOPE.values() if entry is not None])


@pytest.mark.parametrize(
    ("expression", "kind", "offset", "fix"),
    [
        ("", "syntax", 0, None),
        ("  ", "syntax", 2, None),
        ("a = b", "syntax", 2, "Write `==`"),
        ("a + b", "syntax", 2, "join"),
        ("a and b", "syntax", 2, "Write `&&`"),
        ("first-name", "syntax", 5, "double quotes"),
        ("list.0", "syntax", 5, "list[0]"),
        ("'open", "syntax", 0, "Close it"),
        ("a[1", "syntax", 3, None),
        ("a[1.5]", "syntax", 2, None),
        ("a[b]", "syntax", 2, None),
        ("[a, 1]", "syntax", 4, "backticks"),
        ("007", "syntax", 0, "single quotes"),
        ("`{bad`", "syntax", 0, "single quotes"),
        ("`NaN`", "syntax", 0, None),
        ("`1e999`", "syntax", 0, None),
        ("1e999", "syntax", 0, None),
        ("&a", "syntax", 0, None),
        ("a ? b", "syntax", 5, None),
        ("a 'b'", "syntax", 2, None),
        ('"lower"(a)', "syntax", 7, "lower"),
        ("lower(a b)", "syntax", 8, None),
        ("a[::0]", "value", 4, None),
        ("a[1:2:3:4]", "syntax", 7, None),
        ("lowr(a)", "unknown-function", 0, "lower"),
        ("qqqqqq(a)", "unknown-function", 0, None),
        ("a.lower(b, c)", "arity", 2, None),
        ("date(a)", "arity", 0, None),
        ("not_null()", "arity", 0, None),
        ("uuid(1)", "arity", 0, None),
        ("sort_by(a, b)", "type", 11, "`&`"),
        ("lower(&a)", "type", 6, "Leave out"),
        ("matches(a, b)", "type", 11, None),
        ("matches(a, '(')", "value", 11, None),
        ("date(a, 'QQ')", "value", 8, None),
        ("date(a, '//')", "value", 8, None),
        ("a" * 2049, "limit", 0, None),
        ("(" * 51 + "a" + ")" * 51, "limit", 51, None),
        ("a" + "||a" * 200, "limit", 0, None),
        ("!" * 200 + "a", "limit", None, None),
        ("a" + "[*]" * 400, "limit", None, None),
        ("`" + "[" * 1000 + "]" * 1000 + "`", "limit", 0, None),
    ],
)
def test_bad_expression_is_refused_with_its_place(expression, kind, offset, fix):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(expression)
    assert caught.value.kind == kind
    assert offset is None or caught.value.offset == offset
    assert caught.value.width >= 1
    assert fix is None or fix in caught.value.fix


def test_fifty_brackets_are_allowed():
    assert value("(" * 50 + "n" + ")" * 50) == 0


def test_error_at_evaluation_points_at_the_argument():
    with pytest.raises(ExpressionError) as caught:
        value("courseId == join('', [courseId, none])")
    problem = caught.value
    assert (problem.kind, problem.offset, problem.width) == ("type", 21, 16)
    assert problem.message == "`join()` takes a list of texts as argument 2, not a list of null and text."


def test_error_inside_a_function_is_placed_at_the_call():
    with pytest.raises(ExpressionError) as caught:
        value("n == 0 && split(body.role, '')")
    assert (caught.value.kind, caught.value.offset, caught.value.width) == ("value", 10, 20)


def test_expression_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        compile_expression("a").text = "b"


def test_nearest_name_ignores_case():
    assert nearest("FIRSTNAME", ["firstName", "id"]) == "firstName"
    assert nearest("zzz", ["firstName"]) is None
