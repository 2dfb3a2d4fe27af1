"""Expressions of mapping files: JMESPath with four additions, compiled once, bounded, and able to say why.

`$` is the scope; bare names start at the current node, which is the scope too unless an item is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import ExpressionError

# All but `analysis` declare functions.
from gateway.mapping import (  # noqa: F401
    analysis,
    date_functions,
    functions,
    json_function,
    more_functions,
    number_functions,
)
from gateway.mapping.analysis import Lookups, Notice, Path
from gateway.mapping.closures import Closure
from gateway.mapping.evaluate import close, follow
from gateway.mapping.limits import Run, Runtime
from gateway.mapping.parser import parse
from gateway.mapping.reasons import nearest, reason
from gateway.mapping.signatures import FUNCTIONS
from gateway.mapping.tree import Current, Node, field_chain
from gateway.mapping.values import truthy

__all__ = [
    "Expression",
    "Notice",
    "Path",
    "Runtime",
    "compile_expression",
    "nearest",
    "truthy",
    "FUNCTION_NAMES",
]

FUNCTION_NAMES = frozenset(FUNCTIONS)
_DEFAULT = Runtime()
_SCOPE: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expression:
    """A compiled expression.

    `names`: dotted paths that start at the top, bare or with `$`; `roots`: their first names.
    `item_names`: bare names looked up on an item inside a filter, pipe, `&` or `[*].{…}`.
    `functions`: names with offsets. `whole_scope`: all of the scope is used, by `$` or `@` alone.
    """

    text: str
    roots: frozenset[str]
    names: tuple[Path, ...]
    item_names: tuple[Path, ...]
    functions: tuple[tuple[str, int], ...]
    warnings: tuple[Notice, ...]
    whole_scope: bool
    tree: Node = field(repr=False)
    closure: Closure = field(repr=False)
    plain_path: tuple[str, ...] | None = field(repr=False)
    measured: bool = field(repr=False)

    def search(self, data: Any) -> Any:
        """The value for any data, as JMESPath has it. Raises ExpressionError."""
        return self._value(data, data, _DEFAULT)

    def evaluate(self, scope: Mapping[str, Any], runtime: Runtime = _DEFAULT, *, item: Any = _SCOPE) -> Any:
        """The value in a scope; with `item` (for `keep`, `pick`) bare names are looked up there.

        The result may share parts with the data: do not change it. Raises ExpressionError.
        """
        return self._value(scope if item is _SCOPE else item, scope, runtime)

    def reason(self, scope: Any, runtime: Runtime = _DEFAULT, *, item: Any = _SCOPE) -> str:
        """One line on why the value is null; names of keys, never values."""
        return reason(self.tree, self.text, scope if item is _SCOPE else item, scope, runtime)

    def _value(self, here: Any, root: Any, runtime: Runtime) -> Any:
        if self.plain_path is not None:
            return follow(here, self.plain_path)
        run = Run(root, runtime)
        try:
            value = self.closure(here, run)
            if self.measured and isinstance(value, (list, dict)):
                run.measure(value)
            return value
        except RecursionError:
            raise ExpressionError("The data is nested too deeply.", kind="limit") from None
        except (ArithmeticError, ValueError):
            raise ExpressionError("A number is too large, or a text cannot be used.", kind="value") from None


def compile_expression(text: str) -> Expression:
    """Raises ExpressionError (syntax, unknown-function, arity, type, value, limit)."""
    try:
        tree = parse(text)
        closure = close(tree)
        lookups = Lookups(tree)
        return Expression(
            text=text,
            roots=frozenset(path.parts[0] for path in lookups.names),
            names=tuple(lookups.names),
            item_names=tuple(lookups.item_names),
            functions=analysis.called(tree),
            warnings=analysis.notices(tree, text),
            whole_scope=lookups.whole_scope,
            tree=tree,
            closure=closure,
            plain_path=_plain_path(tree),
            measured=analysis.makes_values(tree),
        )
    except RecursionError:
        raise ExpressionError("The expression is nested too deeply.", kind="limit", width=len(text)) from None


def _plain_path(tree: Node) -> tuple[str, ...] | None:
    base, names = field_chain(tree)
    return names if names and (base is None or isinstance(base, Current)) else None
