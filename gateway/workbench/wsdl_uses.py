"""Which SOAP names a mapping uses: what each call sends, and what is read out of its replies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping import tree
from gateway.mapping.expressions import compile_expression
from gateway.mapping.placeholders import Span, split
from gateway.yamldocument import Document

EXPRESSION_KEYS = frozenset(
    {"if", "texts", "wait", "items", "keep", "pick", "done", "each", "good", "sure", "maybe", "$each"}
)
NOT_REPLY = frozenset(
    {"call", "query", "headers", "soap", "args", "auth", "confirm", "undo", "first", "steps", "when", "id"}
)
SCOPE = frozenset(
    {"settings", "bundle", "probe", "known", "student", "to", "courseId", "enrolment", "steps", "args"}
    | {"searchTerm", "quizResults", "secrets", "token", "value", "window"}
)
RESULT = frozenset({"items", "item"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One SOAP call: its service file, its body as written, and the names read out of its replies."""

    place: str
    path: str
    body: dict[str, Any]
    encoded: bool
    action: str
    reads: frozenset[str] = field(default_factory=frozenset)


def uses(document: Document) -> list[Use]:
    """Every SOAP call of a mapping, once for each place."""
    data = document.data
    style = data.get("server", {}).get("soap", {})
    found = _Finder(document, data.get("calls", {}), style)
    return list(found.all(data))


def server_reads(document: Document) -> frozenset[str]:
    """Names that the rules for every reply read."""
    return frozenset(_names_in(document.data.get("server", {}).get("replies", []), set()))


class _Finder:
    def __init__(self, document: Document, shared: dict[str, Any], style: dict[str, Any]) -> None:
        self._document, self._shared, self._style = document, shared, style

    def all(self, data: dict[str, Any]) -> Iterator[Use]:
        login = data.get("server", {}).get("auth", {}).get("login")
        if login is not None:
            yield from self._action(login, ("server", "auth", "login"), {})
        for name, setting in data.get("settings", {}).items():
            if isinstance(setting, dict) and isinstance(setting.get("from"), dict):
                yield from self._action(setting["from"], ("settings", name, "from"), {})
        for name, form in data.get("operations", {}).items():
            yield from self._form(form, ("operations", name))
        yield from self._form(data.get("progress", {}).get("read", {}), ("progress", "read"))
        if isinstance(data.get("probe"), dict):
            yield from self._action(data["probe"], ("probe",), {})

    def _form(self, form: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[Use]:
        for word, other in form.get("of", {}).items():
            yield from self._form(other, (*path, "of", word))
        steps = form.get("steps") or []
        around = {key: value for key, value in form.items() if key in ("as", "give", "remember", "search")}
        for at, step in enumerate(steps):
            last = at == len(steps) - 1
            yield from self._action(step, (*path, "steps", at), around if last else {})

    def _action(
        self, node: dict[str, Any], path: tuple[str | int, ...], around: dict[str, Any]
    ) -> Iterator[Use]:
        for at, branch in enumerate(node.get("first", ())):
            yield from self._action(branch, (*path, "first", at), {})
        whole = {**self._shared.get(node.get("use", ""), {}), **node}
        if isinstance(whole.get("soap"), dict) and isinstance(whole.get("call"), str):
            yield self._use(whole, path, around)
        for key in ("confirm", "undo"):
            if isinstance(node.get(key), dict):
                yield from self._action(node[key], (*path, key), {})

    def _use(self, whole: dict[str, Any], path: tuple[str | int, ...], around: dict[str, Any]) -> Use:
        soap = whole["soap"]
        read = {key: value for key, value in whole.items() if key not in NOT_REPLY}
        return Use(
            place=self._document.dotted(path),
            path=whole["call"].partition(" ")[2],
            body=soap.get("body", {}),
            encoded=soap.get("encoded", self._style.get("encoded", False)),
            action=soap.get("action", self._style.get("action", "")),
            reads=frozenset(_names_in([read, around], set())),
        )


def _names_in(node: Any, items: set[str], key: str = "") -> Iterator[str]:
    """Vendor names in every expression below a node; `items` are names the mapping itself gives to items."""
    if isinstance(node, dict):
        own = {str(node[word]) for word in ("as", "$as") if word in node}
        for name, value in node.items():
            yield from _names_in(value, items | own, name)
    elif isinstance(node, list):
        own = {str(part["as"]) for part in node if isinstance(part, dict) and "as" in part}
        for part in node:
            yield from _names_in(part, items | own, key)
    elif isinstance(node, str):
        texts = [node] if key in EXPRESSION_KEYS else [s.text for s in split(node) if isinstance(s, Span)]
        for text in texts:
            yield from vendor_names(text, items, item=key in ("keep", "pick"))


def vendor_names(text: str, items: set[str], *, item: bool = False) -> Iterator[str]:
    """The names of the vendor's XML in one expression; with `item` its bare names are fields of an item."""
    try:
        expression = compile_expression(text)
    except ExpressionError:
        return
    skipped: set[int] = set()
    fields = sorted(
        (part for part, _ in tree.everything(expression.tree) if isinstance(part, tree.Field)),
        key=lambda part: part.start,
    )
    for path in expression.names:
        inside = [part.start for part in fields if path.offset <= part.start < path.offset + path.width]
        skipped.update(inside[: _own_names(path.parts, items, item=item and not path.dollar)])
    yield from (part.name for part in fields if part.start not in skipped)
    for part, _ in tree.everything(expression.tree):
        if isinstance(part, tree.Call) and part.name == "descend":
            yield from (
                argument.value for argument in part.arguments[1:] if isinstance(argument, tree.Literal)
            )


def _own_names(parts: tuple[str, ...], items: set[str], *, item: bool) -> int:
    """How many names at the beginning of a path are the mapping's own, not the vendor's."""
    if item:
        return 0
    if parts[0] == "reply":
        return 3 if parts[1:3] == ("soap", "body") else len(parts)
    if parts[0] in SCOPE:
        return len(parts)
    return 1 if parts[0] in items or parts[0] in RESULT else 0
