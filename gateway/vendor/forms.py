"""Nested data as flat pairs of name and value, for forms and query strings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.engine.calls import FormStyle

MAX_DEPTH = 50

Pairs = list[tuple[str, str]]


def flatten(data: Any, style: FormStyle) -> Pairs:
    """The pairs a form or a query string is made of, in the order of the data, not yet percent-encoded.

    `data` is an object, or a list of (name, value) whose values may be nested. `brackets` gives
    `users[0][name]`, `dots` gives `users.0.name`; `repeat` gives each item of a list the same name and
    nests objects as `brackets` does. Empty lists and objects give no pair;
    `omit_empty` leaves out empty text too.
    Raises ValueError, naming the pair, for null, a number that is not finite, an object inside a list under
    `repeat`, and anything nested deeper than 50.
    """
    entries: Iterable[tuple[Any, Any]]
    if isinstance(data, Mapping):
        entries = data.items()
    elif isinstance(data, list | tuple):
        entries = data
    else:
        raise ValueError(f"a form needs an object, not {kind(data)}")
    return [pair for name, value in entries for pair in _pairs(str(name), value, style, 1)]


def write(data: Any, style: FormStyle) -> bytes:
    """`application/x-www-form-urlencoded`: UTF-8, a space as `+`. Raises ValueError as `flatten` does."""
    return urlencode(flatten(data, style)).encode("ascii")


def scalar_text(value: Any, place: str, booleans: tuple[str, str] = ("true", "false")) -> str:
    """Text as it is, a number in shortest form, a boolean as (true, false) of `booleans`.

    Raises ValueError naming `place`, never the value: it may be personal or secret.
    """
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"`{place}`: the text holds half a character (a lone surrogate)")
        return value
    if isinstance(value, bool):
        return booleans[0] if value else booleans[1]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    raise ValueError(f"`{place}`: {kind(value)} cannot be sent as text")


def kind(value: Any) -> str:
    """What a value is, as messages say it."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    return type(value).__name__


def _pairs(name: str, value: Any, style: FormStyle, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        raise ValueError(f"`{name[:60]}…`: nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pairs(_inner(name, key, style), item, style, depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _pairs(_item_name(name, index, item, style), item, style, depth + 1)
    else:
        text = scalar_text(value, name, style.booleans)
        if text or not style.omit_empty:
            yield name, text


def _inner(name: str, key: object, style: FormStyle) -> str:
    return f"{name}.{key}" if style.nested == "dots" else f"{name}[{key}]"


def _item_name(name: str, index: int, item: Any, style: FormStyle) -> str:
    if style.nested != "repeat":
        return _inner(name, index, style)
    if isinstance(item, Mapping | list | tuple):
        # `users[name]=a&users[name]=b`: the receiver could not tell which value belongs to which item
        raise ValueError(f"`{name}[{index}]`: {kind(item)} inside a list cannot be sent as `repeat`")
    return name
