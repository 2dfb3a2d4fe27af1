"""What expressions know about a value: its kind, whether it counts as true, equality, its text."""

from __future__ import annotations

import math
from typing import Any

from gateway.mapping.limits import Run

NUMBERS = frozenset({int, float})
_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}
_EXACT = 10**15


def kind_of(value: Any) -> str:
    """What to call a value in a message; never the value itself."""
    return _KINDS.get(type(value), "something else")


def truthy(value: Any) -> bool:
    """JMESPath's truth: null, false, `""`, `[]` and `{}` are false, 0 is true."""
    return bool(value) or (type(value) in NUMBERS)


def equal(left: Any, right: Any, run: Run) -> bool:
    """Exact equality, all the way down: no coercion, and true is not 1."""
    kind = type(left)
    if kind is not type(right):
        return kind in NUMBERS and type(right) in NUMBERS and bool(left == right)
    if kind is str:
        if len(left) > 1024:
            run.spend(len(left) >> 10)
        return bool(left == right)
    if kind is list:
        return _equal_lists(left, right, run)
    if kind is dict:
        return _equal_objects(left, right, run)
    return bool(left == right)


def _equal_lists(left: list[Any], right: list[Any], run: Run) -> bool:
    if len(left) != len(right):
        return False
    run.spend(len(left))
    return all(equal(one, other, run) for one, other in zip(left, right, strict=True))


def _equal_objects(left: dict[str, Any], right: dict[str, Any], run: Run) -> bool:
    if len(left) != len(right):
        return False
    run.spend(len(left))
    return all(key in right and equal(value, right[key], run) for key, value in left.items())


def whole(number: int | float) -> int | float:
    """An int where a float has no fraction and is exact."""
    if isinstance(number, float) and number.is_integer() and abs(number) < _EXACT:
        return int(number)
    return number


def scalar_text(value: str | int | float | bool) -> str:
    """Text as it is, `true` and `false`, a number in its shortest JSON form."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number without end has no text")
    return str(whole(value)).replace("e+", "e")
