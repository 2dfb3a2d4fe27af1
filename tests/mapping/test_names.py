"""Names: what is known where, and what is said about the rest."""

from __future__ import annotations

import pytest

from gateway.mapping.expressions import compile_expression
from gateway.mapping.names import Names, check

NAMES = Names({"student": {"id": None, "name": {"first": None}}, "courseId": None, "steps": {"one": None}})


def complaints(text: str, names: Names = NAMES, **options: object) -> list[str]:
    found = check(compile_expression(text), names, **options)  # type: ignore[arg-type]
    return [f"{c.offset}+{c.width} {c.severity}: {c.message} {c.fix or ''}".strip() for c in found]


@pytest.mark.parametrize(
    "text",
    [
        "student.id",
        "courseId.anything.at.all",
        "steps.one.x",
        "$.student.name.first",
        "student[?id == $.courseId]",
    ],
)
def test_a_known_name_is_fine(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("studnet.id", "0+7 error: `studnet` is not known here. Known here: courseId, steps, student."),
        ("studnet.id", "Write `student.id`."),
        (
            "student.name.frist",
            "`student.name` has no `frist` here. It has: first. Write `student.name.first`.",
        ),
        (
            "lower(student.idd)",
            "6+11 error: `student` has no `idd` here. It has: id, name. Write `student.id`.",
        ),
        ("$.studnet.id", "0+9 error: `studnet` is not known"),
        ('student."idd"', "0+13 error: `student` has no `idd`"),
        ("student.nmae.first", "0+12 error: `student` has no `nmae`"),
        ("reply.body", "It stands only after a call"),
        ("secrets.key", "It stands only in `auth`, `headers`, `query` and bodies"),
        ("uuid()", "use a step with `mint: {name: uuid}`"),
        ("password(12)", "`password()` gives something new each time"),
    ],
)
def test_what_is_not_known_is_told_with_what_there_is(text: str, says: str) -> None:
    (complaint,) = complaints(text)
    assert says in complaint


def test_a_step_that_comes_later_is_told_apart_from_an_unknown_one() -> None:
    names = Names(NAMES.tree, later=frozenset({"two"}))
    assert "comes later" in complaints("steps.two.x", names)[0]
    assert "has no `tow`" in complaints("steps.tow.x", names)[0]


def test_something_random_may_stand_in_a_write() -> None:
    assert complaints("password(12)", Names({}, random=True)) == []


def test_items_own_their_bare_names_and_the_scope_needs_a_dollar() -> None:
    assert complaints("anything == $.courseId", item=True) == []
    assert complaints("$.nothing", item=True) != []
    (trap,) = complaints("courseId == 'x'", item=True)
    assert "warning: `courseId` here is a field of the list's item" in trap
    (trap,) = complaints("student[?id == courseId]")
    assert trap.endswith("Write `$.courseId` if the operation's is meant.")


def test_everything_at_once_may_not_be_taken_where_secrets_are_known() -> None:
    secret = NAMES.plus(secrets={"key": None})
    assert "are everything, secrets too" in complaints("to_string($)", secret)[0]
    assert "one is needed" in complaints("values(secrets)", secret)[0]
    assert complaints("to_string($)") == []
    assert complaints("secrets.key", secret) == []


def test_a_setting_filled_in_for_a_student_needs_one() -> None:
    names = Names({"settings": {"email": None, "zone": None}})
    needing = frozenset({"email"})
    assert "filled in for a student" in complaints("settings.email", names, needs_student=needing)[0]
    for fine in ("settings.zone", "settings"):
        assert complaints(fine, names, needs_student=needing) == []
    assert complaints("settings.email", names.plus(student=None), needs_student=needing) == []


def test_names_of_an_inner_place_are_made_from_those_around_it() -> None:
    assert NAMES.plus(item=None).tree.keys() == {"student", "courseId", "steps", "item"}
    assert NAMES.without("steps", "student").tree.keys() == {"courseId"}
