"""The syntax tree of an expression: one frozen class for each thing that can be written.

`start` and `end` are offsets in the expression's text. A missing left side (`[0]`) is an empty `Current`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Node):
    value: Any
    bare_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Node):
    name: str
    quoted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Current(Node):
    """`@`, or the node that an expression without a left side works on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root(Node):
    """`$`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sub(Node):
    """`left.right`"""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Node):
    left: Node
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Node):
    left: Node
    bounds: tuple[int | None, int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Node):
    left: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Node):
    """`left[*]right`, and what follows a slice or `[]`; without `right` the items themselves."""

    left: Node
    right: Node | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectValues(Node):
    """`left.*right`"""

    left: Node
    right: Node | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(Node):
    """`left[?condition]right`"""

    left: Node
    condition: Node
    right: Node | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Node):
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Node):
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Coalesce(Node):
    """`left ?? right`"""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose(Node):
    """`condition ? then : otherwise`"""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Node):
    inner: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe(Node):
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiList(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiObject(Node):
    pairs: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Node):
    """`&inner`, an argument that a function evaluates for each item."""

    inner: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Node):
    """`(inner)`: no meaning of its own, kept because lint tells written brackets from implied ones."""

    inner: Node


def children(node: Node) -> Iterator[Node]:
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for entry in value:
                part = entry[1] if isinstance(entry, tuple) else entry
                if isinstance(part, Node):
                    yield part


def everything(node: Node) -> Iterator[tuple[Node, int]]:
    """The node and all below it, each with its depth (1 = the node itself); without recursion."""
    waiting = [(node, 1)]
    while waiting:
        current, depth = waiting.pop()
        yield current, depth
        waiting.extend((child, depth + 1) for child in children(current))


def size(node: Node | None) -> int:
    return 0 if node is None else sum(1 for _ in everything(node))


def bare(node: Node) -> Node:
    """The node without the brackets written around it."""
    while isinstance(node, Group):
        node = node.inner
    return node


def field_chain(node: Node) -> tuple[Node | None, tuple[str, ...]]:
    """`a.b.c` as (None, names), `base.b.c` as (base, names): the plain names at the right end."""
    names: list[str] = []
    while isinstance(node, Sub) and isinstance(node.right, Field):
        names.append(node.right.name)
        node = node.left
    if isinstance(node, Field):
        return None, (node.name, *reversed(names))
    return node, tuple(reversed(names))
