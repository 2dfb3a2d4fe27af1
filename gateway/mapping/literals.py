"""Arguments that are checked when an expression is compiled: patterns of `matches`, formats of `date`."""

from __future__ import annotations

from typing import Any

import re2

from gateway.errors import ExpressionError
from gateway.mapping import tree
from gateway.mapping.dates import DateFormat
from gateway.mapping.tree import Node

_MEMORY = 1 << 20


def compile_pattern(node: Node) -> Any:
    """The RE2 pattern in a literal. Raises ExpressionError (type, value)."""
    literal = tree.bare(node)
    if not isinstance(literal, tree.Literal) or not isinstance(literal.value, str):
        raise _refused(node, "type", "The pattern of `matches()` is a text written here, in single quotes.")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    try:
        return re2.compile(literal.value, options)
    except (re2.error, UnicodeError) as problem:
        reason = problem.args[0] if problem.args else ""
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise _refused(node, "value", f"This pattern does not work: {said}.") from None


def check_format(node: Node) -> None:
    """A format written as a literal is checked at once. Raises ExpressionError (value)."""
    literal = tree.bare(node)
    if isinstance(literal, tree.Literal) and isinstance(literal.value, str):
        try:
            DateFormat.read(literal.value)
        except ValueError as problem:
            raise _refused(node, "value", str(problem)) from None


def _refused(node: Node, kind: str, message: str) -> ExpressionError:
    return ExpressionError(message, kind=kind, offset=node.start, width=max(node.end - node.start, 1))
