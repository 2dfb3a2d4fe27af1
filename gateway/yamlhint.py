"""What to write instead, where YAML took a character of an expression for itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(
    r"[ ]*(?:- +)*(?:(?P<key>[^\s:#{}\[\]\"'&*!|>%@`,]+|\"[^\"]*\"|'[^']*'): +|- +)(?P<value>.+)"
)
_FLOW = re.compile(
    r"[{,] *(?:(?P<key>[^\s:,{}\[\]]+): +)(?P<value>[^\s,}\]][^,}\]]*)|[\[,] *(?P<item>[^\s,}\]][^,}\]]*)"
)
_READ_BY_YAML = "!@`%*&|>"
_PAIRED = "[{'\""


@dataclass(frozen=True, slots=True)
class Hint:
    """A corrected `line`, and the `column` (from 0) at which the trouble began."""

    key: str | None
    column: int
    message: str
    line: str


def quoted_line(line: str, column: int) -> Hint | None:
    """The line with its value in double quotes, if that is what the error at `column` (from 0) asks for."""
    return _in_flow(line, column) or _in_block(line, column)


def _in_flow(line: str, column: int) -> Hint | None:
    for match in _FLOW.finditer(line):
        group = "item" if match["item"] else "value"
        if match.start(group) == column and line[column] in _READ_BY_YAML:
            return _hint(line, match["key"], column, match[group])
    return None


def _in_block(line: str, column: int) -> Hint | None:
    match = _BLOCK.match(line)
    if match is None:
        return None
    start, value = match.start("value"), _without_comment(match["value"])
    if not (start <= column <= start + len(value)):
        return None
    if value[0] in _PAIRED:
        wanted = _ends_early(value, column - start)
    else:
        wanted = value[0] in _READ_BY_YAML or ": " in value
    return _hint(line, match["key"], start, value) if wanted else None


def _ends_early(value: str, offset: int) -> bool:
    """Whether the error lies after the bracket or quote that seemed to open the whole value was closed."""
    closing = {"[": "]", "{": "}"}.get(value[0], value[0])
    return closing in value[1:offset]


def _hint(line: str, key: str | None, start: int, value: str) -> Hint:
    value = value.rstrip()
    first = value[0]
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    reason = (
        f"YAML reads `{first}` itself." if first in _READ_BY_YAML + _PAIRED else "YAML reads `: ` itself."
    )
    if first == "`":
        reason = "YAML reads a backtick itself."
    return Hint(
        key=key.strip("\"'") if key else None,
        column=start,
        message=f"{reason} Put the expression in double quotes:",
        line=line[:start] + quoted + line[start + len(value) :],
    )


def _without_comment(value: str) -> str:
    for match in re.finditer(r"\s+#", value):
        before = value[: match.start()]
        if before.count("'") % 2 == 0 and before.count('"') % 2 == 0:
            return before
    return value.rstrip()
