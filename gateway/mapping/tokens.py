"""Expression text to tokens."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.errors import ExpressionError

_TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\r\n]+ )
    | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number>  -?[0-9]+ (?: \.[0-9]+ )? (?: [eE][+-]?[0-9]+ )? )
    | (?P<raw>     ' (?: \\. | [^'\\] )* ' )
    | (?P<quoted>  " (?: \\. | [^"\\] )* " )
    | (?P<literal> ` (?: \\. | [^`\\] )* ` )
    | (?P<sign>    \[\? | \[\] | \?\? | \|\| | && | == | != | <= | >= | [][.*(){},:@$|&<>!?] )
    """,
    re.VERBOSE | re.DOTALL,
)

_CLOSERS = {"'": "a text in single quotes", '"': "a name in double quotes", "`": "a literal in backticks"}
_HINTS = {
    "=": "Write `==` to compare.",
    "+": "There are no sums here; to put texts together use `join('', [a, b])`.",
    "-": 'A name with a hyphen goes in double quotes: `"first-name"`. There are no sums here.',
    "/": "There are no sums here; see `percent()` and `scale()`.",
    "%": "There are no sums here; see `percent()` and `scale()`.",
    "#": "YAML reads ` #` as a comment; put the whole expression in double quotes.",
    ";": "One place holds one expression.",
    "^": "Patterns are written with `matches(text, 'pattern')`.",
    "~": "Patterns are written with `matches(text, 'pattern')`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`kind` is `name`, `quoted`, `number`, `literal`, `end` or the sign itself; `value` what it means."""

    kind: str
    value: Any
    start: int
    end: int


def tokenise(text: str) -> list[Token]:
    """All tokens and an `end`. Raises ExpressionError (syntax)."""
    tokens = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            _refuse(text, at)
        kind = str(found.lastgroup)
        if kind != "space":
            tokens.append(_token(kind, found.group(), at))
        at = found.end()
    tokens.append(Token(kind="end", value="", start=len(text), end=len(text)))
    return tokens


def _token(kind: str, lexeme: str, start: int) -> Token:
    end = start + len(lexeme)
    match kind:
        case "sign":
            return Token(kind=lexeme, value=lexeme, start=start, end=end)
        case "raw":
            return Token(kind="literal", value=lexeme[1:-1].replace("\\'", "'"), start=start, end=end)
        case "quoted":
            return Token(kind=kind, value=_json(lexeme, lexeme, start), start=start, end=end)
        case "literal":
            value = _json(lexeme[1:-1].replace("\\`", "`"), lexeme, start)
            return Token(kind=kind, value=value, start=start, end=end)
        case "number":
            return Token(kind=kind, value=_number(lexeme, start), start=start, end=end)
    return Token(kind=kind, value=lexeme, start=start, end=end)


def _number(lexeme: str, start: int) -> int | float:
    if lexeme.lstrip("-").isdigit():
        return int(lexeme)
    try:
        return _finite(lexeme)
    except ValueError:
        raise ExpressionError(
            "This number is too large.", kind="syntax", offset=start, width=len(lexeme)
        ) from None


def _json(source: str, lexeme: str, start: int) -> Any:
    try:
        return json.loads(source, parse_constant=_no_constant, parse_float=_finite)
    except ValueError:
        fix = "Between backticks stands JSON: `5`, `[]`. Plain text goes in single quotes: 'text'."
        raise ExpressionError(
            "This is not valid JSON.", kind="syntax", offset=start, width=len(lexeme), fix=fix
        ) from None


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(digits)
    return value


def _refuse(text: str, at: int) -> NoReturn:
    sign = text[at]
    if sign in _CLOSERS:
        raise ExpressionError(
            f"{_CLOSERS[sign].capitalize()} begins here and does not end.",
            kind="syntax",
            offset=at,
            width=len(text) - at,
            fix=f"Close it with {sign} .",
        )
    raise ExpressionError(f"`{sign}` means nothing here.", kind="syntax", offset=at, fix=_HINTS.get(sign))
