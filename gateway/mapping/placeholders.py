"""Where the `${…}` stand in a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import ExpressionError


@dataclass(frozen=True, slots=True)
class Span:
    """One `${…}` in a text: the expression inside it and where it starts."""

    text: str
    offset: int


def split(text: str) -> Iterator[str | Span]:
    """Cut a text into literal pieces and expressions; `$${` is a literal `${`.

    Raises ExpressionError when a `${` is never closed.
    """
    literal, position = "", 0
    while (start := text.find("${", position)) >= 0:
        if start > position and text[start - 1] == "$":
            literal += text[position : start - 1] + "${"
            position = start + 2
            continue
        literal += text[position:start]
        if literal:
            yield literal
            literal = ""
        end = _closing_brace(text, start + 2)
        yield Span(text[start + 2 : end], start + 2)
        position = end + 1
    literal += text[position:]
    if literal:
        yield literal


def _closing_brace(text: str, opened: int) -> int:
    """Where the `}` of a `${` stands, past quoted text and nested braces."""
    position, depth = opened, 1
    while position < len(text):
        letter = text[position]
        if letter in "'\"`":
            position = _closing_quote(text, position)
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return position
        position += 1
    raise ExpressionError(
        "This `${` is never closed.", kind="syntax", offset=opened - 2, width=2, fix="Add the closing `}`."
    )


def _closing_quote(text: str, start: int) -> int:
    position = start + 1
    while position < len(text) and text[position] != text[start]:
        position += 2 if text[position] == "\\" else 1
    return position
