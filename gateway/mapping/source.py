"""One YAML document being compiled: it hands out compiled expressions and gathers every problem.

Nothing here stops at the first mistake: a broken expression is replaced by `null` and compiling goes on,
so that an author sees the whole list at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.errors import ExpressionError, Problem
from gateway.mapping import names as naming
from gateway.mapping.expressions import Expression, compile_expression
from gateway.mapping.names import Names
from gateway.mapping.templates import Path, Template, compile_template
from gateway.yamlfile import Document

ITEM_KEYS = ("keep", "pick")
"""Where bare names are fields of a list's item."""
_HEADER = re.compile(r"\bheaders\.[A-Za-z0-9_]+-[A-Za-z0-9_-]+")
NOTHING = compile_expression("null")


@dataclass(slots=True)
class Source:
    """A document, the problems found in it so far, and the expressions compiled from it by their places.

    `broken`: places the schema has refused, which nobody needs to complain of again.
    `template_settings`: the settings filled in for each person, which need a `student` where they are used.
    """

    document: Document
    problems: list[Problem] = field(default_factory=list)
    secret_settings: frozenset[str] = frozenset()
    template_settings: frozenset[str] = frozenset()
    broken: set[Path] = field(default_factory=set)
    compiled: dict[Path, list[Expression]] = field(default_factory=dict)
    _seen: set[tuple[int, int, str]] = field(default_factory=set)

    def problem(
        self,
        path: Path,
        message: str,
        *,
        fix: str | None = None,
        severity: str = "error",
        offset: int | None = None,
        width: int = 1,
        key: bool = False,
        show: bool = True,
    ) -> None:
        """Note one problem, once: at one character of the scalar at `path`, at its key, or at the value.

        A whole object or list is shown without its first line, which would say nothing; and no line is shown
        with `show` off, because a secret may stand in it.
        """
        found = self.document.problem(
            path, message, fix=fix, key=key, offset=offset, width=width, severity=severity
        )
        whole = offset is None and not key and self.document.node(path).text is None
        if whole or not show:
            found = replace(found, source=None)
        where = (found.line, found.column, message)
        if where not in self._seen:
            self._seen.add(where)
            self.problems.append(found)

    def warning(
        self, path: Path, message: str, *, fix: str | None = None, key: bool = False, show: bool = True
    ) -> None:
        self.problem(path, message, fix=fix, key=key, show=show, severity="warning")

    def is_broken(self, path: Path) -> bool:
        """Whether the schema has refused what stands here, or something around it."""
        return any(path[:depth] in self.broken for depth in range(1, len(path) + 1))

    def at(self, path: Path) -> Any:
        """What the author wrote at this path, None if nothing."""
        value = self.document.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def names_in(self, *path: str) -> dict[str, None] | None:
        """The names a section gives: none when it is missing, None (anything) when it cannot be told."""
        written = self.at(path)
        if isinstance(written, dict):
            return dict.fromkeys(written)
        return None if self.is_broken(path) else {}

    def mentions(self, around: Path, root: str) -> bool:
        """Whether an expression compiled below `around` uses the root."""
        return any(
            root in expression.roots
            for path, expressions in self.compiled.items()
            if path[: len(around)] == around and path[-1] not in ITEM_KEYS
            for expression in expressions
        )

    def dotted(self, path: Path) -> str:
        """A path as messages write it, with the ids of steps: `operations.createEnrolment.steps.user`."""
        return self.document.dotted(path)

    def line(self, path: Path) -> int:
        return self.document.place(path).line

    def expression(
        self, text: Any, path: Path, names: Names, *, offset: int = 0, item: bool = False
    ) -> Expression:
        """Compile one expression and check every name in it.

        `offset` is where it starts in its scalar; with `item` bare names are fields of a list's item.
        """
        written = text if isinstance(text, str) else json.dumps(text)
        try:
            compiled = compile_expression(written)
        except ExpressionError as error:
            self._refused(path, _hyphen(written, error) or error, offset)
            return NOTHING
        self.compiled.setdefault(path, []).append(compiled)
        for complaint in naming.check(compiled, names, item=item, needs_student=self.template_settings):
            self.problem(
                path,
                complaint.message,
                fix=complaint.fix,
                offset=offset + complaint.offset,
                width=complaint.width,
                severity=complaint.severity,
            )
        return compiled

    def _refused(self, path: Path, error: ExpressionError, offset: int) -> None:
        self.problem(path, error.message, fix=error.fix, offset=offset + error.offset, width=error.width)

    def template(
        self, value: Any, path: Path, names: Names, *, literal_keys: bool = True, nulls: bool = False
    ) -> Template:
        """Compile data with `${…}` in it; `$each` adds its own name for what it gives.

        `literal_keys`: `$$x` becomes `$x` here; bodies in XML leave that to their codec. `nulls`: whether
        the author may write null.
        """

        def compile_here(text: str, where: Path, offset: int) -> Expression:
            local = names.plus(**dict.fromkeys(item_names(value, where[len(path) :])))
            return self.expression(text, where, local, offset=offset)

        def refused(where: Path, error: ExpressionError) -> None:
            self._refused(where, error, 0)

        return compile_template(
            value,
            path,
            compile_here,
            self.label,
            refused=refused,
            place_of=self.dotted,
            literal_keys=literal_keys,
            nulls=nulls,
        )

    def optional_expression(
        self, node: dict[str, Any], key: str, path: Path, names: Names, *, item: bool = False
    ) -> Expression | None:
        return self.expression(node[key], (*path, key), names, item=item) if key in node else None

    def optional_template(self, node: dict[str, Any], key: str, path: Path, names: Names) -> Template | None:
        return self.template(node[key], (*path, key), names) if key in node else None

    def label(self, expression: Expression) -> str | None:
        """The label under which a trace masks this expression's result, or None."""
        for path in expression.names:
            root, name = path.parts[0], path.parts[1] if len(path.parts) > 1 else ""
            if root == "secrets":
                return f"‹secret {name}›"
            if root == "token":
                return "‹token›"
            if root == "settings" and name in self.secret_settings:
                return f"‹setting {name}›"
        return "‹password›" if any(name == "password" for name, _ in expression.functions) else None


def _hyphen(text: str, error: ExpressionError) -> ExpressionError | None:
    """What to say of `headers.X-Sig`; None when something else is wrong."""
    for match in _HEADER.finditer(text):
        if match.start() <= error.offset < match.end():
            right = naming.header_name(match[0])
            at, width = match.start(), len(match[0])
            return ExpressionError(naming.HEADERS, fix=f"Write `{right}`.", offset=at, width=width)
    return None


def item_names(value: Any, steps: Path) -> list[str]:
    """The `$as` names in force at a place inside a template (only below its `$give`)."""
    found: list[str] = []
    node = value
    for step in steps:
        if isinstance(node, dict) and step == "$give" and "$each" in node:
            name = node.get("$as")
            found.append(name if isinstance(name, str) else "item")
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            break
    return found
