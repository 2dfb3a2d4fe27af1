"""Why a value is null: names of keys, places and kinds, never values."""

import pytest

from gateway.mapping.expressions import Runtime, compile_expression

SCOPE = {
    "student": {"id": "S-204", "firstName": "Secret", "lastName": None},
    "body": {"courses": [{"id": 1}, {"id": 2}], "n": "Secret", "nulls": [None], "blank": " "},
    "m": {},
    "wide": {f"key{number:02d}": None for number in range(20)},
}


def why(expression, **more):
    return compile_expression(expression).reason(SCOPE, Runtime(), **more)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "student.fristName",
            "`student.fristName`: `student` has no `fristName`; it has firstName, id, lastName."
            " Did you mean `firstName`?",
        ),
        ("body.courses[5].id", "`body.courses[5].id`: `body.courses` has 2 items, item 5 was asked for"),
        (
            "studnet.id",
            "`studnet.id`: there is no `studnet` here; there is body, m, student, wide."
            " Did you mean `student`?",
        ),
        (
            "$.studnet.id",
            "`$.studnet.id`: there is no `studnet` here; there is body, m, student, wide."
            " Did you mean `student`?",
        ),
        ("student.lastName", "`student.lastName` is null."),
        ("$.student.lastName", "`$.student.lastName` is null."),
        ("student.lastName.x.y", "`student.lastName.x.y`: `student.lastName` is null."),
        ("student.id.x", "`student.id.x`: `student.id` is text, it has no `x`."),
        ("m.x", "`m.x`: `m` has no `x`; it is empty."),
        (
            "body.courses.id",
            "`body.courses.id`: `body.courses` is a list of 2 items;"
            " for one write `body.courses[0].id`, for all `body.courses[*].id`.",
        ),
        ("body.courses[0].name", "`body.courses[0].name`: `body.courses[0]` has no `name`; it has id."),
        ("body.nulls[0]", "`body.nulls[0]`: item 0 of `body.nulls` is null."),
        ("body.nulls[-2]", "`body.nulls[-2]`: `body.nulls` has 1 item, item -2 was asked for"),
        ("body.n[0]", "`body.n[0]`: `body.n` is text, not a list."),
        ("body.n[*].x", "`body.n[*].x`: `body.n` is text, not a list."),
        ("body.x[*].y", "`body.x[*].y`: `body` has no `x`; it has blank, courses, n, nulls."),
        ("body.n[?a]", "`body.n[?a]`: `body.n` is text, not a list."),
        ("body.n[1:]", "`body.n[1:]`: `body.n` is text, not a list."),
        ("body.n[]", "`body.n[]`: `body.n` is text, not a list."),
        ("body.courses.*", "`body.courses.*`: `body.courses` is a list, not an object."),
        (
            "body.n < 5",
            "`body.n < 5`: text and a number have no order; only two numbers or two texts have one.",
        ),
        ("m.x < 5", "`m.x`: `m` has no `x`; it is empty."),
        ("5 < m.x", "`m.x`: `m` has no `x`; it is empty."),
        ("m.x && true", "`m.x`: `m` has no `x`; it is empty."),
        ("true && m.x", "`m.x`: `m` has no `x`; it is empty."),
        ("m || m.x", "`m.x`: `m` has no `x`; it is empty."),
        ("m.x ?? m.y", "`m.x`: `m` has no `x`; it is empty. And `m.y`: `m` has no `y`; it is empty."),
        ("body ? m.x : 1", "`m.x`: `m` has no `x`; it is empty."),
        ("m ? 1 : m.x", "`m.x`: `m` has no `x`; it is empty."),
        ("(m.x)", "`m.x`: `m` has no `x`; it is empty."),
        ("null", "`null` is null."),
        ("m.x.{a: b}", "`m.x.{a: b}`: `m` has no `x`; it is empty."),
        ("m.x | {a: b}", "`m.x`: `m` has no `x`; it is empty."),
        ("m.x | [0]", "`m.x`: `m` has no `x`; it is empty."),
        ("m | x", "`m | x`: `m` has no `x`; it is empty."),
        (
            "body.courses[?id == '1'] | [0]",
            "`body.courses[?id == '1'] | [0]`: `body.courses[?id == '1']` has 0 items, item 0 was asked for;"
            " no item passed the filter.",
        ),
        (
            "body.courses[?id == 2].nam | [0]",
            "`body.courses[?id == 2].nam | [0]`: `body.courses[?id == 2].nam` has 0 items,"
            " item 0 was asked for; `nam`: `body.courses[…]` has no `nam`; it has id.",
        ),
        (
            "body.courses[*].nam | [0]",
            "`body.courses[*].nam | [0]`: `body.courses[*].nam` has 0 items, item 0 was asked for;"
            " `nam`: `body.courses[0]` has no `nam`; it has id.",
        ),
        ("m.x.length(@)", "`length()` takes text or a list or an object as argument 1, not null."),
        ("lower(student.nme)", "`student.nme`: `student` has no `nme`; it has firstName, id, lastName."),
        (
            "lookup(student, body.n)",
            "`lookup(student, body.n)`: `student` has no such key; it has firstName, id, lastName.",
        ),
        ("number(body.n)", "`number(body.n)`: the text is not a number."),
        ("number(body.blank)", "`number(body.blank)`: the text is empty."),
        ("json(body.n)", "`json(body.n)`: the text is not JSON."),
        ("json(body.blank)", "`json(body.blank)`: the text is empty, or says null."),
        ("boolean(body.n)", "`boolean(body.n)`: it is neither yes nor no."),
        ("date(body.n, 'iso')", "`date(body.n, 'iso')`: the text is not a time."),
        ("date(m.t, 'iso')", "`m.t`: `m` has no `t`; it is empty."),
        ("epoch('0')", "`epoch('0')`: the time is empty or 0."),
        ("percent(1, 0)", "`percent(1, 0)`: the whole is 0 or empty."),
        ("fill(m.x, body.blank)", "`fill(m.x, body.blank)`: all of its texts are null or blank."),
        (
            "pick_by(body.courses, 'id', 9)",
            "`pick_by(body.courses, 'id', 9)`: no item of the list has that value.",
        ),
        ("slug('-')", "`slug('-')`: no ASCII letter or digit is left."),
        ("max(`[]`)", "`max(`[]`)`: the list is empty."),
        ("student.not_null(x)", "`not_null(x)`: all of its values are null."),
        ("student.length(@).y", "`student.length(@).y`: `student.length(@)` is a number, it has no `y`."),
        ("max_by(`[]`, &id)", "`max_by(`[]`, &id)`: the list is empty."),
        ("student.id", "`student.id` is not null."),
    ],
)
def test_reason_names_the_first_null(expression, expected):
    told = why(expression)
    assert told == expected
    assert "Secret" not in told
    assert "S-204" not in told


def test_reason_shows_at_most_twelve_names():
    told = why("wide.nothing")
    assert "key11 and 8 more." in told
    assert "key12" not in told


def test_reason_for_an_item_speaks_of_the_item():
    told = why("missing", item={"id": 1})
    assert told == "`missing`: there is no `missing` here; there is id."


def test_reason_survives_data_that_is_too_deep():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert "too deep" in compile_expression("to_string(@)").reason(deep, Runtime())


def test_reason_does_not_count_a_vendor_fault():
    faults = []
    compile_expression("number(body.n)").reason(SCOPE, Runtime(vendor_fault=faults.append))
    assert faults == []
