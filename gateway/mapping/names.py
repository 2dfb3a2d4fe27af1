"""Which names an expression may use in a given place, and what is wrong when it uses another.

A `Names` tree maps a root to what may follow it: None means anything, a mapping means only these.
Source: docs/mapping-language.md, "Names".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.mapping.expressions import Expression, Path, nearest

Tree = Mapping[str, Any]

SOAP: Tree = {"header": None, "body": None, "fault": None}
REPLY: Tree = {"status": None, "headers": None, "body": None, "text": None, "xml": None, "soap": SOAP}
PERSON: Tree = {"id": None, "firstName": None, "lastName": None, "email": None}
"""`email` is null unless one of RTOPilot's webhooks carried an address."""

HEADERS = "Names of headers are in lower case here, with `_` for `-`."
RANDOM = ("password", "uuid")
_SECRET = ("secrets", "token")
_ELSEWHERE = {
    "args": "in a call under `calls`",
    "body": "in a webhook; that of an answer is `reply.body`",
    "courseId": "in createEnrolment, getCourse and polls per course",
    "enrolment": "in operations on an enrolment, progress and launch",
    "enrolments": "in a poll of plan `chunks`",
    "headers": "in a webhook; those of an answer are `reply.headers`",
    "item": "after `pick`",
    "items": "after `items`",
    "query": "in `verify` of a webhook",
    "quizResults": "in updateMarking",
    "reply": "after a call: in `replies`, `items`, `value`, `done`",
    "searchTerm": "in getCourses",
    "secret": "in `signed` of `verify`, kind `digest`",
    "secrets": "in `auth`, `headers`, `query` and bodies",
    "steps": "in operations with steps",
    "student": "in createEnrolment and transferEnrolment",
    "to": "in transferEnrolment",
    "token": "in a session's `place`",
    "value": "in `remember`",
    "window": "in a poll of plan `delta`",
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names known in one place; `plus` and `without` make the names of a place inside it.

    `random`: `uuid()` and `password()` may stand here. `later`: ids of steps that are not done yet.
    """

    tree: Tree
    random: bool = False
    later: frozenset[str] = frozenset()

    def plus(self, **more: Any) -> Names:
        return replace(self, tree={**self.tree, **more})

    def without(self, *names: str) -> Names:
        return replace(self, tree={name: below for name, below in self.tree.items() if name not in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing wrong with an expression, `offset` and `width` inside its text."""

    message: str
    fix: str | None
    offset: int
    width: int
    severity: str = "error"


def check(
    expression: Expression,
    names: Names,
    *,
    item: bool = False,
    needs_student: frozenset[str] = frozenset(),
) -> Iterator[Complaint]:
    """Everything wrong with the names and functions of an expression, then what is probably not meant.

    With `item`, bare names belong to the list's item and only `$.` is checked. `needs_student` are the
    settings that can only be filled in where a `student` is known.
    """
    for path in expression.names:
        if path.dollar or not item:
            yield from _unknown(path, names)
            yield from _header(path)
            yield from _needs_student(path, names, needs_student)
    yield from _random(expression, names)
    yield from _everything(expression, names, item)
    yield from _item_trap(expression, names, item)
    for notice in expression.warnings:
        yield Complaint(
            message=notice.message,
            fix=notice.fix,
            offset=notice.offset,
            width=notice.width,
            severity="warning",
        )


def _unknown(path: Path, names: Names) -> Iterator[Complaint]:
    level: Tree | None = names.tree
    for depth, part in enumerate(path.parts):
        if level is None:
            return
        if part not in level:
            message, fix = _message(path.parts, depth, level, names)
            width = path.width if depth == len(path.parts) - 1 else _width(path, depth)
            yield Complaint(message=message, fix=fix, offset=path.offset, width=width)
            return
        level = level[part]
    if path.parts == ("secrets",):
        yield Complaint(
            message="`secrets` alone is all of them; one is needed.",
            fix="Write `secrets.` and a name.",
            offset=path.offset,
            width=path.width,
        )


def header_name(written: str) -> str:
    """A header's name as expressions write it: `X-Sig` is `x_sig`."""
    return written.lower().replace("-", "_")


def _header(path: Path) -> Iterator[Complaint]:
    depth = {"headers": 1, "reply": 2}.get(path.parts[0], 0)
    if not depth or path.parts[depth - 1 : depth] != ("headers",) or len(path.parts) <= depth:
        return
    name = header_name(path.parts[depth])
    if name != path.parts[depth]:
        yield Complaint(
            message=HEADERS,
            fix=f"Write `{'.'.join([*path.parts[:depth], name, *path.parts[depth + 1 :]])}`.",
            offset=path.offset,
            width=path.width,
        )


def _width(path: Path, depth: int) -> int:
    """As far as the wrong name, when the path is written without quotes and spaces."""
    written = ("$." if path.dollar else "") + ".".join(path.parts)
    shorter = len(written) - len(".".join(path.parts[depth + 1 :])) - 1
    return shorter if len(written) == path.width else path.width


def _message(parts: tuple[str, ...], depth: int, level: Tree, names: Names) -> tuple[str, str | None]:
    part, known = parts[depth], ", ".join(sorted(level)) or "nothing"
    if depth == 1 and parts[0] == "steps" and part in names.later:
        return f"The step `{part}` comes later, so it has no value here.", "Change the order of the steps."
    near = nearest(part, level)
    fix = f"Write `{'.'.join([*parts[:depth], near, *parts[depth + 1 :]])}`." if near else None
    if depth > 0:
        return f"`{'.'.join(parts[:depth])}` has no `{part}` here. It has: {known}.", fix
    where = f" It stands only {_ELSEWHERE[part]}." if part in _ELSEWHERE else ""
    return f"`{part}` is not known here.{where} Known here: {known}.", None if where else fix


def _needs_student(path: Path, names: Names, needing: frozenset[str]) -> Iterator[Complaint]:
    if "student" in names.tree or path.parts[0] != "settings" or path.parts[1:2] == ():
        return
    if path.parts[1] in needing:
        yield Complaint(
            message=f"`{'.'.join(path.parts[:2])}` is filled in for a student, and there is none here.",
            fix="Keep what is needed in `record`, and read it as `enrolment.…`.",
            offset=path.offset,
            width=path.width,
        )


def _random(expression: Expression, names: Names) -> Iterator[Complaint]:
    for name, offset in expression.functions if not names.random else ():
        if name in RANDOM:
            yield Complaint(
                message=f"`{name}()` gives something new each time, so it stands only in what a write sends.",
                fix="For a value that is made once and kept, use a step with `mint: {name: uuid}`."
                if name == "uuid"
                else None,
                offset=offset,
                width=len(name),
            )


def _everything(expression: Expression, names: Names, item: bool) -> Iterator[Complaint]:
    secret = [name for name in _SECRET if name in names.tree]
    if expression.whole_scope and secret and not item:
        yield Complaint(
            message="`$` and `@` alone are everything, secrets too.",
            fix="Name what is needed.",
            offset=0,
            width=len(expression.text),
        )


def _item_trap(expression: Expression, names: Names, item: bool) -> Iterator[Complaint]:
    bare = [path for path in expression.names if item and not path.dollar]
    for path in [*expression.item_names, *bare]:
        if path.parts and path.parts[0] in names.tree:
            name = path.parts[0]
            yield Complaint(
                message=f"`{name}` here is a field of the list's item, not the `{name}` of the operation.",
                fix=f"Write `$.{name}` if the operation's is meant.",
                offset=path.offset,
                width=path.width,
                severity="warning",
            )
