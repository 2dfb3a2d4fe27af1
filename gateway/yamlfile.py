"""Strict YAML: no duplicate keys, ids stay text, and every value remembers where it stands.

Plain scalars are typed as JSON would: `true`, `false`, `null` (or nothing at all), and integers and decimals
of at most 15 digits without leading zeros. All else is text: dates, `NO`, `on`, `0123`, `12:30`, `1e5`.
Keys are always text. Anchors may be used again a bounded number of times; merge keys and tags are refused.
Source: mapping-language.md 1.1; the traps are style.md 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from gateway.errors import Problem, ProblemsFound
from gateway.yamldocument import Document, Mark, Node, Place, dotted, shown
from gateway.yamlhint import quoted_line

__all__ = ["Document", "Mark", "Place", "parse_yaml", "read_source", "read_yaml"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 60
MAX_NODES = 100_000
MAX_PROBLEMS = 100

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
_MAX_DIGITS = 15
_CONSTANTS = {"": None, "null": None, "true": True, "false": False}
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_yaml(path: Path) -> Document:
    """The file at `path`. Raises ProblemsFound, with every problem that could be told apart."""
    return parse_yaml(read_source(path), file=path)


def read_source(path: Path) -> bytes:
    """What stands in the file, cut just past the size that `parse_yaml` takes. Raises ProblemsFound."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _whole_file(path, f"The file cannot be read: {exc.strerror or 'unknown reason'}.") from exc


def parse_yaml(source: bytes | str, *, file: Path | str) -> Document:
    """YAML that is already in memory; `file` is the name that problems carry. Raises ProblemsFound."""
    text = _decoded(source, file)
    lines = _LINE_BREAK.split(text)
    _refuse_control_characters(text, lines, file)
    reader = _Reader(text, file, lines)
    root = reader.read()
    if reader.problems:
        raise ProblemsFound(reader.problems)
    return Document(root, file=file, lines=lines)


class _Reader:
    """Turns the parser's events into nodes. Depth is checked before each recursion, size at each node."""

    def __init__(self, text: str, file: Path | str, lines: Sequence[str]) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._file = file
        self._lines = lines
        self._path: list[str | int] = []
        self._open: list[Any] = []
        self._anchors: dict[str, Node | None] = {}
        self._total = 0

    def read(self) -> Node:
        """The document. Raises ProblemsFound where reading cannot go on; lesser problems are collected."""
        events = yaml.parse(self._text, Loader=yaml.CSafeLoader)
        try:
            return self._document(events)
        except yaml.MarkedYAMLError as exc:
            raise ProblemsFound([*self.problems, self._syntax_problem(exc)]) from exc
        except yaml.YAMLError as exc:
            raise _whole_file(self._file, "The file cannot be read as YAML.") from exc

    def _document(self, events: Iterator[Any]) -> Node:
        root = Node(data=None, start=Mark(1, 1), end=Mark(1, 1), text="")
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(event, "A file holds one document; a second one begins here.")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events)
        return root

    def _node(self, event: Any, events: Iterator[Any]) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            self._refuse_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # not usable inside itself
        if isinstance(event, yaml.ScalarEvent):
            node = _scalar(event)
            self._count(event, node)
        else:
            node = self._collection(event, events)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _collection(self, event: Any, events: Iterator[Any]) -> Node:
        mapping = isinstance(event, yaml.MappingStartEvent)
        node = Node(data={} if mapping else [], start=_mark(event.start_mark), end=_mark(event.end_mark))
        self._count(event, node)
        self._open.append(node.data)
        if mapping:
            self._fill_mapping(node, events)
        else:
            self._fill_list(node, events)
        self._open.pop()
        return node

    def _fill_list(self, node: Node, events: Iterator[Any]) -> None:
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            index = len(node.data)
            child = self._child(index, event, events)
            node.data.append(child.data)
            node.add(index, child)

    def _fill_mapping(self, node: Node, events: Iterator[Any]) -> None:
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = self._key(event, events)
            known = node.keys.get(key)
            child = self._child(key, next(events), events)
            if known is not None:
                self._add(event, f"`{key}` stands here twice; the first is on line {known.line}.", key)
                continue
            node.keys[key] = _mark(event.start_mark)
            node.data[key] = child.data
            node.add(key, child)

    def _child(self, key: str | int, event: Any, events: Iterator[Any]) -> Node:
        self._path.append(key)
        node = self._node(event, events)
        self._path.pop()
        return node

    def _key(self, event: Any, events: Iterator[Any]) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None:
            raise self._stop(event, "A key is plain text, without lists, objects or anchors.")
        key: str = event.value
        if event.tag is not None:
            self._refuse_tag(event)
        elif key == "<<" and not event.style:
            self._add(
                event,
                "Merge keys (`<<`) are not read. Write the values out, or use an anchor for a whole value.",
                key,
            )
        elif not key and not event.style:
            self._add(event, "A key is missing before the colon.", key)
        return key

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            inside = event.anchor in self._anchors
            message = f"`*{event.anchor}` " + (
                "stands inside itself." if inside else "names an anchor that is not there."
            )
            raise self._stop(event, message, hint=not inside)
        self._count(event, node)
        return node

    def _count(self, event: Any, node: Node) -> None:
        self._total += node.size
        if len(self._open) + node.height > MAX_DEPTH:
            raise self._stop(event, f"This is nested more than {MAX_DEPTH} levels deep.")
        if self._total > MAX_NODES:
            raise self._stop(event, f"The file has more than {MAX_NODES:,} values, aliases written out.")

    def _refuse_tag(self, event: Any) -> None:
        standard = event.tag.startswith("tag:yaml.org,")  # `!!int`: surely no expression
        problem = None if standard else self._hinted(_mark(event.start_mark))
        self._report(problem or self._problem(event, "A tag stands here; tags are not read. Leave it out."))

    def _add(self, event: Any, message: str, key: str) -> None:
        self._path.append(key)
        self._report(self._problem(event, message))
        self._path.pop()

    def _report(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise ProblemsFound(self.problems)

    def _stop(self, event: Any, message: str, *, hint: bool = False) -> ProblemsFound:
        problem = self._hinted(_mark(event.start_mark)) if hint else None
        return ProblemsFound([*self.problems, problem or self._problem(event, message)])

    def _problem(self, event: Any, message: str) -> Problem:
        return self._problem_at(_mark(event.start_mark), message)

    def _problem_at(
        self, mark: Mark, message: str, *, fix: str | None = None, key: str | None = None
    ) -> Problem:
        path = self._path if key is None or self._path[-1:] == [key] else [*self._path, key]
        return Problem(
            file=self._file,
            line=mark.line,
            column=mark.column,
            place=dotted(path, self._open[1:]),
            message=message,
            fix=fix,
            source=shown(self._lines, mark.line),
            code="yaml_error",
        )

    def _syntax_problem(self, exc: yaml.MarkedYAMLError) -> Problem:
        marks = [_mark(mark) for mark in (exc.problem_mark, exc.context_mark) if mark is not None]
        for mark in marks:
            hinted = self._hinted(mark)
            if hinted is not None:
                return hinted
        # Where a key or quote was left open, the place it began says more than the place it was missed.
        began = "simple key" in str(exc.context) or "end of stream" in str(exc.problem)
        mark = marks[-1] if began else marks[0]
        return self._problem_at(mark, _plain_words(exc, self._lines[mark.line - 1 : mark.line]))

    def _hinted(self, mark: Mark) -> Problem | None:
        """The problem as an expression that wants quotes, when the line looks like one."""
        if mark.line > len(self._lines):
            return None
        hint = quoted_line(self._lines[mark.line - 1], mark.column - 1)
        if hint is None:
            return None
        start = Mark(mark.line, hint.column + 1)
        return self._problem_at(start, hint.message, fix=hint.line, key=hint.key)


def _scalar(event: Any) -> Node:
    text: str = event.value
    style: str = event.style or ""
    data = text if style else _typed(text)
    return Node(data=data, start=_mark(event.start_mark), end=_mark(event.end_mark), text=text, style=style)


def _typed(text: str) -> str | int | float | bool | None:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    match = _NUMBER.fullmatch(text)
    if match is None or sum(character.isdigit() for character in text) > _MAX_DIGITS:
        return text
    return float(text) if match[1] else int(text)


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _decoded(source: bytes | str, file: Path | str) -> str:
    raw = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise _whole_file(file, "The file is larger than 1 MB.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise _whole_file(file, f"The file is not UTF-8 text: see line {line}.") from exc


def _refuse_control_characters(text: str, lines: Sequence[str], file: Path | str) -> None:
    match = _NOT_TEXT.search(text)
    if match is None:
        return
    before = _LINE_BREAK.split(text[: match.start()])
    message = (
        f"The character U+{ord(match[0]):04X} cannot stand in YAML. Write it as an escape in double quotes."
    )
    problem = Problem(
        file=file, line=len(before), column=len(before[-1]) + 1, place="", message=message, code="yaml_error"
    )
    raise ProblemsFound([problem])


def _whole_file(file: Path | str, message: str) -> ProblemsFound:
    return ProblemsFound([Problem(file=file, line=0, column=0, place="", message=message, code="yaml_error")])


def _plain_words(exc: yaml.MarkedYAMLError, line: Sequence[str]) -> str:
    if "tab" in str(exc.problem) or any(re.match(r"[ ]*\t", text) for text in line):
        return "YAML indents with spaces; there is a tab here."
    context = f", {exc.context}" if exc.context else ""
    return f"This is not YAML: {exc.problem}{context}."
