"""The value of an expression in a scope, or why it is null."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import ExpressionError, RequestError
from gateway.mapping.expressions import Expression, Runtime, compile_expression

MAX_SCOPE_BYTES = 10_000_000


def read_scope(file: Path) -> dict[str, Any]:
    """A scope from a JSON file. Raises RequestError when it is not one object."""
    try:
        with file.open("rb") as stream:
            scope = json.loads(stream.read(MAX_SCOPE_BYTES))
    except (OSError, ValueError) as error:
        raise RequestError(f"`{file}` cannot be read as JSON.") from error
    if not isinstance(scope, dict):
        raise RequestError(f'`{file}` must hold one object, such as {{"reply": {{…}}}}.')
    return scope


def explain(expression: str, scope: Mapping[str, Any]) -> str:
    """What the expression gives in this scope, with all there is to say about it."""
    try:
        compiled = compile_expression(_bare(expression))
    except ExpressionError as error:
        return _pointed(_bare(expression), error.offset, error.width, error.message, error.fix)
    return "\n\n".join([_outcome(compiled, scope), *_warnings(compiled)])


def _bare(text: str) -> str:
    """The expression in `${…}`, when somebody pasted that whole."""
    stripped = text.strip()
    return stripped[2:-1] if stripped.startswith("${") and stripped.endswith("}") else text


def _outcome(expression: Expression, scope: Mapping[str, Any]) -> str:
    faults: list[str] = []
    runtime = Runtime(vendor_fault=faults.append)
    try:
        value = expression.evaluate(scope, runtime)
        text = (
            json.dumps(value, ensure_ascii=False, indent=2) if value is not None else _null(expression, scope)
        )
    except ExpressionError as error:
        return _pointed(expression.text, error.offset, error.width, error.message, error.fix)
    return "\n".join([text, *(f"vendor fault: {fault}" for fault in faults)])


def _null(expression: Expression, scope: Mapping[str, Any]) -> str:
    return f"null\n{expression.reason(scope)}"


def _warnings(expression: Expression) -> list[str]:
    return [
        _pointed(expression.text, notice.offset, notice.width, f"warning: {notice.message}", notice.fix)
        for notice in expression.warnings
    ]


def _pointed(text: str, offset: int, width: int, message: str, fix: str | None) -> str:
    """The line of the expression with the place underlined."""
    line_start = text.rfind("\n", 0, offset) + 1
    line = text[line_start:].split("\n", 1)[0]
    caret = " " * (offset - line_start) + "^" * max(min(width, len(line) - (offset - line_start)), 1)
    return "\n".join(["  " + line, "  " + caret, message, *([fix] if fix else [])])
