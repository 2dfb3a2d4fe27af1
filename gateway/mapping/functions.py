"""JMESPath's 26 functions with their own rules: null and every other wrong type is an error.

Source: jmespath.org/specification, "Built-in Functions".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping.closures import Each
from gateway.mapping.limits import Run
from gateway.mapping.signatures import Work
from gateway.mapping.signatures import function as declare
from gateway.mapping.values import NUMBERS, equal, kind_of

_TYPE_NAMES = {str: "string", bool: "boolean", list: "array", dict: "object", int: "number", float: "number"}


def function(name: str, *words: str, scans: bool = True) -> Callable[[Work], Work]:
    return declare(name, *words, nulls="error", scans=scans)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ExpressionError("The result is larger than a number can be.", kind="value")
    return value


@function("abs", "number")
def _abs(run: Run, number: float) -> float:
    return abs(number)


@function("avg", "numbers")
def _avg(run: Run, numbers: list[float]) -> float | None:
    return _finite(sum(numbers) / len(numbers)) if numbers else None


@function("ceil", "number")
def _ceil(run: Run, number: float) -> int:
    return math.ceil(number)


@function("contains", "list|text", "any")
def _contains(run: Run, where: list[Any] | str, what: Any) -> bool:
    if isinstance(where, str):
        return isinstance(what, str) and what in where
    return any(equal(item, what, run) for item in where)


@function("ends_with", "text", "text")
def _ends_with(run: Run, text: str, end: str) -> bool:
    return text.endswith(end)


@function("floor", "number")
def _floor(run: Run, number: float) -> int:
    return math.floor(number)


@function("join", "text", "texts")
def _join(run: Run, between: str, texts: list[str]) -> str:
    # Counted before it is built: a long separator multiplies.
    run.write(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


@function("keys", "object")
def _keys(run: Run, thing: dict[str, Any]) -> list[str]:
    return list(thing)


@function("length", "text|list|object", scans=False)
def _length(run: Run, thing: str | list[Any] | dict[str, Any]) -> int:
    return len(thing)


@function("map", "each", "list")
def _map(run: Run, each: Each, items: list[Any]) -> list[Any]:
    return each.of(items)


@function("max", "numbers|texts")
def _max(run: Run, items: list[Any]) -> Any:
    return max(items, default=None)


@function("min", "numbers|texts")
def _min(run: Run, items: list[Any]) -> Any:
    return min(items, default=None)


def _sort_keys(name: str, items: list[Any], each: Each) -> list[Any]:
    keys = each.of(items)
    kinds = set(map(type, keys))
    if not (kinds <= NUMBERS or kinds <= {str}):
        raise ExpressionError(
            f"`{name}()` can only order numbers, or texts; its expression gave {_mixture(keys)}.", kind="type"
        )
    return keys


def _mixture(keys: list[Any]) -> str:
    return " and ".join(sorted({kind_of(key) for key in keys}))


@function("max_by", "list", "each")
def _max_by(run: Run, items: list[Any], each: Each) -> Any:
    keys = _sort_keys("max_by", items, each)
    return items[max(range(len(keys)), key=keys.__getitem__)] if items else None


@function("min_by", "list", "each")
def _min_by(run: Run, items: list[Any], each: Each) -> Any:
    keys = _sort_keys("min_by", items, each)
    return items[min(range(len(keys)), key=keys.__getitem__)] if items else None


@function("merge", "object+")
def _merge(run: Run, *objects: dict[str, Any]) -> dict[str, Any]:
    run.build(sum(map(len, objects)))
    merged: dict[str, Any] = {}
    for part in objects:
        merged.update(part)
    return merged


@declare("not_null", "any+", nulls="own", scans=False)
def _not_null(run: Run, *values: Any) -> Any:
    return next((value for value in values if value is not None), None)


@function("reverse", "list|text")
def _reverse(run: Run, thing: list[Any] | str) -> list[Any] | str:
    return thing[::-1]


@function("sort", "numbers|texts")
def _sort(run: Run, items: list[Any]) -> list[Any]:
    return sorted(items)


@function("sort_by", "list", "each")
def _sort_by(run: Run, items: list[Any], each: Each) -> list[Any]:
    keys = _sort_keys("sort_by", items, each)
    return [items[place] for place in sorted(range(len(keys)), key=keys.__getitem__)]


@function("starts_with", "text", "text")
def _starts_with(run: Run, text: str, start: str) -> bool:
    return text.startswith(start)


@function("sum", "numbers")
def _sum(run: Run, numbers: list[float]) -> float:
    total = sum(numbers)
    return _finite(total) if isinstance(total, float) else total


@declare("to_array", "any", nulls="own", scans=False)
def _to_array(run: Run, value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@declare("to_number", "any", nulls="own", scans=False)
def _to_number(run: Run, value: Any) -> int | float | None:
    if isinstance(value, str):
        return _read_number(value)
    return value if type(value) in NUMBERS else None


def _read_number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@declare("to_string", "any", nulls="own")
def _to_string(run: Run, value: Any) -> str:
    if isinstance(value, str):
        return value
    run.measure(value)
    return json.dumps(value, separators=(",", ":"))


@declare("type", "any", nulls="own", scans=False)
def _type(run: Run, value: Any) -> str:
    return _TYPE_NAMES.get(type(value), "null")


@function("values", "object")
def _values(run: Run, thing: dict[str, Any]) -> list[Any]:
    return list(thing.values())
