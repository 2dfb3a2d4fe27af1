"""What lint is told about an expression without running it."""

import pytest

from gateway.mapping.expressions import compile_expression


@pytest.mark.parametrize(
    ("expression", "names", "items"),
    [
        ("steps.user.userId", ["steps.user.userId"], []),
        ("$.steps.user.userId", ["steps.user.userId"], []),
        ("@.courseId", ["courseId"], []),
        ("reply.body[0].user_id", ["reply.body"], []),
        ("reply.body.*.id", ["reply.body"], []),
        ("reply.body[].id[0]", ["reply.body"], []),
        ("reply.body[1:2].id", ["reply.body"], []),
        ("courses[?id == courseId]", ["courses"], ["id", "courseId"]),
        ("courses[?id == $.courseId].name.text", ["courses", "courseId"], ["id"]),
        ("courses[?a.b].c[?d]", ["courses"], ["a.b", "d"]),
        ("courses[*].{id: courseId, n: lower(name)}", ["courses"], ["courseId", "name"]),
        ("courses[*].length(name)", ["courses"], ["name"]),
        ("courses[*].a.[b]", ["courses"], ["b"]),
        ("courses | id", ["courses"], ["id"]),
        ("courses | [0].id", ["courses"], []),
        ("courses[?@.id == 'x']", ["courses"], []),
        ("map(&text(id), reply.body)", ["reply.body"], ["id"]),
        ("[courseId, {a: student.id}]", ["courseId", "student.id"], []),
        ("student.{a: id}", ["student"], ["id"]),
        ("a ?? b ? c : !d", ["a", "b", "c", "d"], []),
        ("lookup(settings.groupKeys, courseId) != null", ["settings.groupKeys", "courseId"], []),
        ("(a.b).c", ["a.b"], []),
        ('"a b".c', ["a b.c"], []),
    ],
)
def test_names_are_told_apart_from_item_names(expression, names, items):
    compiled = compile_expression(expression)
    assert sorted(str(path) for path in compiled.names) == sorted(names)
    assert sorted(str(path) for path in compiled.item_names) == sorted(items)
    assert compiled.roots == {name.split(".")[0] for name in names}


def test_path_has_its_place_and_says_whether_a_dollar_was_written():
    expression = compile_expression("a.b == $.known.studnet.userId[0]")
    bare, dollar = expression.names
    assert (bare.parts, bare.offset, bare.width, bare.dollar) == (("a", "b"), 0, 3, False)
    assert expression.text[dollar.offset : dollar.offset + dollar.width] == "$.known.studnet.userId"
    assert dollar.dollar


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$", True),
        ("@", True),
        ("to_string($)", True),
        ("*.id", True),
        ("a[?b == $]", True),
        ("$.a", False),
        ("@.a", False),
        ("a[?@ == 1]", False),
        ("a | @", False),
    ],
)
def test_use_of_the_whole_scope_is_known(expression, expected):
    assert compile_expression(expression).whole_scope is expected


def test_functions_are_listed_with_their_places():
    assert compile_expression("a[?matches(x, 'y')] ?? [uuid()]").functions == (("matches", 3), ("uuid", 24))


@pytest.mark.parametrize(
    ("expression", "message", "fix"),
    [
        ("a ?? '' == 'x'", "a ?? ('' == 'x')", "(a ?? '') == 'x'"),
        ("x == a ?? b", "(x == a) ?? b", "x == (a ?? b)"),
        ("a ?? b || c", "a ?? (b || c)", "(a ?? b) || c"),
        ("a && b ?? c", "(a && b) ?? c", "a && (b ?? c)"),
        ('status == "active"', "name of a field", "'active'"),
    ],
)
def test_warning_shows_what_was_read_and_what_was_probably_meant(expression, message, fix):
    (warning,) = compile_expression(expression).warnings
    assert message in warning.message
    assert fix in warning.fix
    assert 0 <= warning.offset < warning.offset + warning.width <= len(expression)


@pytest.mark.parametrize(
    "expression", ["(a ?? '') == 'x'", "a ?? ('' == 'x')", "a ?? b ?? c", "a ?? b ? c : d"]
)
def test_clear_expression_has_no_warning(expression):
    assert compile_expression(expression).warnings == ()
