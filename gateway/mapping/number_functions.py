"""Functions that read and make numbers and switches out of what vendors send. Sums are done in decimals."""

from __future__ import annotations

import math
import re
from decimal import Decimal, localcontext

from gateway.errors import ExpressionError
from gateway.mapping.closures import Unreadable
from gateway.mapping.limits import Run
from gateway.mapping.signatures import function
from gateway.mapping.values import scalar_text, whole

_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?)\s*%?")
_LONGEST = 200
_EXACT_DIGITS = 15
_TRUE = frozenset({"true", "1", "yes", "y", "t", "on"})
_FALSE = frozenset({"false", "0", "no", "n", "f", "off"})

Numeric = int | float | str


def read_number(value: Numeric) -> int | float | None:
    """The number in a number or text; None for empty text. Raises Unreadable."""
    if not isinstance(value, str):
        return _finite(value)
    if len(value) <= _EXACT_DIGITS and value.isdecimal() and value.isascii():
        return int(value)
    text = value.strip() if len(value) <= _LONGEST else value
    if not text:
        return None
    found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise Unreadable("the text is not a number")
    digits = found[1]
    return int(digits) if digits.lstrip("+-").isdigit() else _finite(float(digits))


def _finite(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise Unreadable("the number is too large")
    return whole(value)


def _decimal(value: int | float) -> Decimal:
    # By way of text: 0.57 is meant, not the binary fraction nearest to it.
    return Decimal(str(value))


def _out(value: Decimal) -> int | float:
    if value == value.to_integral_value() and abs(value) < 10**15:
        return int(value)
    return _finite(float(value))


@function("text", "text|number|boolean")
def _text(run: Run, value: Numeric | bool) -> str:
    return scalar_text(value)


@function("number", "number|text")
def _number(run: Run, value: Numeric) -> int | float | None:
    return read_number(value)


@function("boolean", "boolean|number|text")
def _boolean(run: Run, value: bool | Numeric) -> bool | None:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else scalar_text(value)
    if not word:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Unreadable("it is neither yes nor no")


@function("scale", "number|text", "number|text")
def _scale(run: Run, value: Numeric, by: Numeric) -> int | float | None:
    number, factor = read_number(value), read_number(by)
    if number is None or factor is None:
        return None
    with localcontext(prec=40):
        return _out(_decimal(number) * _decimal(factor))


@function("percent", "number|text", "number|text")
def _percent(run: Run, done: Numeric, total: Numeric) -> int | float | None:
    part, everything = read_number(done), read_number(total)
    if part is None or everything is None or everything == 0:
        return None
    with localcontext(prec=40):
        return _out(100 * _decimal(part) / _decimal(everything))


@function("clamp", "number", "number", "number")
def _clamp(run: Run, value: float, low: float, high: float) -> float:
    if low > high:
        raise ExpressionError("`clamp()` takes the lower bound first.", kind="value")
    return min(max(value, low), high)
