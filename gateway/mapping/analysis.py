"""What an expression will look up, told from its text alone: for lint, "did you mean" and the `$` trap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.mapping import tree
from gateway.mapping.tree import Node

# Where a bare name would be looked up: at the top, on an item, or on an item but written after a dot.
Place = Literal["top", "item", "dotted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Names as far as the text tells them: `reply.body[0].id` is `reply.body`. `dollar`: written `$.…`."""

    parts: tuple[str, ...]
    offset: int
    width: int
    dollar: bool = False

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that is allowed and probably not meant."""

    offset: int
    width: int
    message: str
    fix: str


class Lookups:
    """All lookups of a tree. `whole_scope`: the scope itself is used (`$` or `@` and no name behind it)."""

    def __init__(self, node: Node) -> None:
        self.names: list[Path] = []
        self.item_names: list[Path] = []
        self.whole_scope = False
        self._visit(node, "top")

    def _visit(self, node: Node, place: Place) -> None:
        match node:
            case tree.Field() | tree.Sub():
                self._path(node, place)
            case tree.Root():
                self.whole_scope = True
            case tree.Current():
                self.whole_scope = self.whole_scope or place == "top"
            case tree.Pipe(left=left, right=right):
                self._visit(left, place)
                self._visit(right, "item")
            case tree.Reference(inner=inner):
                self._visit(inner, "item")
            case tree.Project(left=left, right=right) | tree.ProjectValues(left=left, right=right):
                self._project(left, right, place)
            case tree.Filter(left=left, condition=condition, right=right):
                self._project(left, right, place)
                self._visit(condition, "item")
            case tree.Index(left=left) | tree.Slice(left=left) | tree.Flatten(left=left):
                self._visit(left, place)
            case _:
                for child in tree.children(node):
                    self._visit(child, "item" if place == "dotted" else place)

    def _project(self, left: Node, right: Node | None, place: Place) -> None:
        self._visit(left, place)
        if right is not None:
            self._visit(right, "dotted")

    def _path(self, node: Node, place: Place) -> None:
        base, names = tree.field_chain(node)
        path = Path(
            parts=names, offset=node.start, width=node.end - node.start, dollar=isinstance(base, tree.Root)
        )
        if isinstance(node, tree.Sub) and not names:
            self._visit(node.left, place)
            self._visit(node.right, "item")
        elif path.dollar or (place == "top" and (base is None or isinstance(base, tree.Current))):
            self.names.append(path)
        elif base is None and place == "item":
            self.item_names.append(path)
        elif base is not None and not isinstance(base, tree.Current):
            self._visit(base, place)


def called(node: Node) -> tuple[tuple[str, int], ...]:
    """Every function called, and where."""
    calls = (part for part, _ in tree.everything(node) if isinstance(part, tree.Call))
    return tuple(sorted(((call.name, call.start) for call in calls), key=lambda call: call[1]))


def makes_values(node: Node) -> bool:
    """Whether the result may hold more than the data: new things, or one thing many times."""
    match node:
        case tree.Call() | tree.MultiList() | tree.MultiObject():
            return True
        case tree.Compare() | tree.Not():
            return False
        case tree.Filter(left=left, right=right):
            return makes_values(left) or (right is not None and makes_values(right))
        case tree.Choose(then=then, otherwise=otherwise):
            return makes_values(then) or makes_values(otherwise)
    return any(makes_values(child) for child in tree.children(node))


def notices(node: Node, text: str) -> tuple[Notice, ...]:
    found = [notice for part, _ in tree.everything(node) for notice in _notices(part, text)]
    return tuple(sorted(found, key=lambda notice: notice.offset))


def _notices(node: Node, text: str) -> Iterator[Notice]:
    match node:
        case tree.Coalesce():
            yield from _unclear_brackets(node, text)
        case tree.Compare():
            yield from (
                _quoted_name(side, text)
                for side in (node.left, node.right)
                if isinstance(side, tree.Field) and side.quoted
            )


_BINARY = (tree.Compare, tree.And, tree.Or)


def _unclear_brackets(node: tree.Coalesce, text: str) -> Iterator[Notice]:
    left, right = _source(node.left, text), _source(node.right, text)
    if isinstance(node.right, _BINARY):
        inner, last = _source(node.right.left, text), _source(node.right.right, text)
        meant = f"({left} ?? {inner}) {_sign(node.right)} {last}"
        yield _brackets(node, f"{left} ?? ({right})", meant)
    elif isinstance(node.left, _BINARY):
        first, inner = _source(node.left.left, text), _source(node.left.right, text)
        meant = f"{first} {_sign(node.left)} ({inner} ?? {right})"
        yield _brackets(node, f"({left}) ?? {right}", meant)


def _brackets(node: Node, read_as: str, meant: str) -> Notice:
    return Notice(
        offset=node.start,
        width=node.end - node.start,
        message=f"This is read as `{read_as}`.",
        fix=f"Write the brackets; probably `{meant}`.",
    )


def _quoted_name(node: tree.Field, text: str) -> Notice:
    return Notice(
        offset=node.start,
        width=node.end - node.start,
        message=f"{_source(node, text)} is the name of a field, not a text.",
        fix=f"A text goes in single quotes: '{node.name}'.",
    )


def _sign(node: tree.Compare | tree.And | tree.Or) -> str:
    if isinstance(node, tree.Compare):
        return node.operator
    return "&&" if isinstance(node, tree.And) else "||"


def _source(node: Node, text: str) -> str:
    return text[node.start : node.end]
