"""A YAML file as plain data that remembers where every value stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gateway.errors import Problem

MAX_SHOWN = 300

Place = tuple[str | int, ...]
"""Keys and list indexes from the top of the document."""

_ANCHOR = re.compile(r"&\S+[ \t]+")
_ESCAPE = {"'": re.compile("''|."), '"': re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|.")}


class Mark(NamedTuple):
    """A place in the source; line and column count from 1, columns in characters."""

    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class Node:
    """One value of a document and where it came from.

    `text` is a scalar's spelling (quoted ones without their quotes), None for lists and objects; `style`
    is YAML's: empty for plain, `'`, `"`, `|` or `>`. `size` and `height` count aliases as if written out.
    """

    data: Any
    start: Mark
    end: Mark
    text: str | None = None
    style: str = ""
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str | int, Mark] = field(default_factory=dict)
    size: int = 1
    height: int = 1

    def add(self, key: str | int, child: Node) -> None:
        self.children[key] = child
        self.size += child.size
        self.height = max(self.height, child.height + 1)


class Document:
    """A YAML file as plain data, with the place of every value.

    Places that do not exist are answered by the nearest enclosing value that does.
    """

    def __init__(self, root: Node, *, file: Path | str, lines: Sequence[str]) -> None:
        self.data: Any = root.data
        self.file = file
        self._root = root
        self._lines = lines

    def node(self, path: Place) -> Node:
        """The value at the path, else the nearest one around it."""
        return self._walk(path)[-1]

    def place(self, path: Place) -> Mark:
        """Where the value stands."""
        return self.node(path).start

    def key_place(self, path: Place) -> Mark:
        """Where the key of the value stands; for an item of a list, the item itself."""
        nodes = self._walk(path)
        if path and len(nodes) == len(path) + 1:
            return nodes[-2].keys.get(path[-1], nodes[-1].start)
        return nodes[-1].start

    def source_line(self, number: int) -> str:
        """Line `number`, counted from 1, without its end; empty outside the file."""
        return self._lines[number - 1] if 1 <= number <= len(self._lines) else ""

    def text_of(self, path: Place) -> str | None:
        """A scalar as it was written (`1.10`, `126`, `NO`), without quotes; None for anything else."""
        nodes = self._walk(path)
        return nodes[-1].text if len(nodes) == len(path) + 1 else None

    def position(self, path: Place, offset: int) -> Mark:
        """Where character `offset` of a scalar's text stands.

        Exact for plain and quoted scalars on one line; the scalar's start for all others.
        """
        node = self.node(path)
        if node.text is None or node.start.line != node.end.line:
            return node.start
        source = self._lines[node.start.line - 1]
        return Mark(node.start.line, _column(source, node, offset))

    def dotted(self, path: Place) -> str:
        """The path as people read it: `operations.createEnrolment.steps.enrol.call`.

        An item of a list that has an `id` is called by it.
        """
        datas = [node.data for node in self._walk(path)[1:]]
        return dotted(path, datas)

    def problem(
        self,
        path: Place,
        message: str,
        *,
        fix: str | None = None,
        key: bool = False,
        offset: int | None = None,
        width: int = 1,
        severity: str = "error",
        code: str = "mapping_error",
    ) -> Problem:
        """A problem at this path: at its value, its key, or at one character of its text."""
        if offset is not None:
            mark = self.position(path, offset)
        else:
            mark = self.key_place(path) if key else self.place(path)
        return Problem(
            file=self.file,
            line=mark.line,
            column=mark.column,
            place=self.dotted(path),
            message=message,
            fix=fix,
            source=shown(self._lines, mark.line),
            width=width,
            severity=severity,
            code=code,
        )

    def _walk(self, path: Place) -> list[Node]:
        nodes = [self._root]
        for part in path:
            child = nodes[-1].children.get(part)
            if child is None:
                break
            nodes.append(child)
        return nodes


def _column(source: str, node: Node, offset: int) -> int:
    """The column, from 1, of a character of a one-line scalar."""
    start = node.start.column - 1
    anchor = _ANCHOR.match(source, start)
    start = anchor.end() if anchor else start
    if not node.style:
        return start + offset + 1
    column = start + 1
    for _ in range(offset):
        match = _ESCAPE[node.style].match(source, column)
        if match is None or match.end() >= node.end.column - 1:
            break
        column = match.end()
    return column + 1


def dotted(path: Sequence[str | int], datas: Sequence[Any]) -> str:
    text = ""
    for index, part in enumerate(path):
        data = datas[index] if index < len(datas) else None
        name = data.get("id") if isinstance(part, int) and isinstance(data, dict) else part
        text += f".{name}" if isinstance(name, str) else f"[{part}]"
    return text.removeprefix(".")


def shown(lines: Sequence[str], number: int) -> str | None:
    """The line as a problem shows it; one that no terminal would show is left out."""
    line = lines[number - 1] if number <= len(lines) else None
    return line if line is not None and len(line) <= MAX_SHOWN else None
