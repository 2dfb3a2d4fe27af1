"""Templates: data with `${…}` in it, compiled once and filled in for each use.

The null policy lives here (docs/mapping-language.md, "Null"): a null that would go into a request, a
record or a reply is an error that names the broken link, unless its key ends in `?`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, Runtime
from gateway.mapping.placeholders import Span, split
from gateway.mapping.values import kind_of

Path = tuple[str | int, ...]
Compile = Callable[[str, Path, int], Expression]
"""Expression text, path of its node, offset there -> compiled; what is wrong with it is the caller's."""
Refused = Callable[[Path, ExpressionError], None]
"""Told of what cannot be compiled, and where."""
Label = Callable[[Expression], str | None]
"""The label under which an expression's result must be masked, or None."""

LIST_KEYS = frozenset({"$each", "$as", "$give"})
XML_KEYS = frozenset({"$attr", "$text", "$ref", "$value", "$array", "$items", "$nil"})
_SETTING_KEY = re.compile(r"\$\{ *settings\.[A-Za-z][A-Za-z0-9]* *\}")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


class _Omit:
    """The value of an optional key that turned out null."""


OMIT = _Omit()


@dataclass(slots=True)
class Context:
    """What one rendering sees, and what it learns: `sensitive` collects values a trace must mask."""

    scope: Mapping[str, Any]
    runtime: Runtime
    sensitive: dict[str, str] = field(default_factory=dict)

    def plus(self, **names: Any) -> Context:
        """The same context with more names at the root; learnt values stay shared."""
        return Context({**self.scope, **names}, self.runtime, self.sensitive)


Render = Callable[[Context], Any]


@dataclass(frozen=True, slots=True)
class Template:
    """Compiled data. `render` fills it in; `expressions` are all in it, `constant` when there is none.

    `render` raises ExpressionError: `NullHere` for a null that needs a value, else `type` or `value`.
    """

    place: str
    render: Render
    expressions: tuple[Expression, ...] = ()

    @property
    def constant(self) -> bool:
        return not self.expressions


class NullHere(ExpressionError):
    """A null in a place that needs a value; the message names the broken link."""

    def __init__(self, place: str, expression: Expression, context: Context) -> None:
        self.roots = expression.roots
        self.place, self._expression, self._context = place, expression, context
        super().__init__(place, kind="null")

    def __str__(self) -> str:
        # walked only when somebody reads it: an optional key costs nothing
        reason = self._expression.reason(self._context.scope, self._context.runtime)
        return f"{self.place}: {reason}"


def dotted(path: Path) -> str:
    """A path as messages write it: `steps[0].call`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _raise(_where: Path, error: ExpressionError) -> NoReturn:
    raise error


def compile_template(
    value: Any,
    path: Path,
    compile_expression: Compile,
    tainted: Label,
    *,
    refused: Refused = _raise,
    place_of: Callable[[Path], str] = dotted,
    literal_keys: bool = True,
    nulls: bool = True,
) -> Template:
    """Compile data from a mapping or a tenant's settings.

    `literal_keys`: `$$x` becomes `$x` here; in XML and SOAP bodies the codec does it, and its own `$` keys
    are allowed. `nulls`: whether a null written by the author may be sent.
    Without `refused`, raises ExpressionError for what cannot be compiled.
    """
    found: list[Expression] = []

    def expression(text: str, where: Path, offset: int) -> Expression:
        compiled = compile_expression(text, where, offset)
        found.append(compiled)
        return compiled

    builder = _Builder(expression, tainted, refused, place_of, literal_keys, nulls)
    return Template(place_of(path), builder.node(value, path), tuple(found))


@dataclass(frozen=True, slots=True)
class _Builder:
    """From data to a function that fills it in."""

    expression: Compile
    tainted: Label
    refused: Refused
    place_of: Callable[[Path], str]
    literal_keys: bool
    nulls: bool

    def node(self, value: Any, path: Path) -> Render:
        match value:
            case str():
                return self._text(value, path)
            case list():
                return self._list(value, path)
            case dict() if "$each" in value:
                return self._each(value, path)
            case dict():
                return self._object(value, path)
        if value is None and not self.nulls:
            self._refuse(path, "Nothing stands here.", "Give a value, or leave the key out.")
        return lambda context: value

    def _refuse(self, path: Path, message: str, fix: str | None = None) -> None:
        self.refused(path, ExpressionError(message, fix=fix))

    def _list(self, value: list[Any], path: Path) -> Render:
        items = [self.node(item, (*path, index)) for index, item in enumerate(value)]
        return lambda context: [item(context) for item in items]

    def _object(self, value: dict[str, Any], path: Path) -> Render:
        entries = [self._entry(key, item, path) for key, item in value.items()]
        for key in value:
            if f"{key}?" in value:
                self._refuse((*path, f"{key}?"), f"`{key}` stands here already.", "Remove one of the two.")

        def render(context: Context) -> dict[str, Any]:
            filled: dict[str, Any] = {}
            for name, item in entries:
                rendered = item(context)
                if rendered is not OMIT:
                    filled[name if isinstance(name, str) else name(context)] = rendered
            return filled

        return render

    # Keys.

    def _entry(self, key: str, value: Any, path: Path) -> tuple[str | Render, Render]:
        where = (*path, key)
        name = key.removesuffix("?")
        render = self.node(value, where)
        if name != key:
            render = _optional(render, self.place_of(where))
        return self._key(name, where), render

    def _key(self, name: str, where: Path) -> str | Render:
        if "${" in name.replace("$${", ""):
            return self._setting_key(name, where)
        if name.startswith("$$"):
            return name[1:] if self.literal_keys else name
        if name in LIST_KEYS:
            self._refuse(where, f"`{name}` stands only beside `$each`.", f"Add `$each`, or write `${name}`.")
        elif name.startswith("$") and not self._structural(name):
            self._refuse(where, f"`{name}` means nothing here.", f"A key of that name is written `${name}`.")
        return name

    def _structural(self, name: str) -> bool:
        return not self.literal_keys and name in XML_KEYS

    def _setting_key(self, name: str, where: Path) -> str | Render:
        if not _SETTING_KEY.fullmatch(name):
            self._refuse(where, "In a key, only one `${settings.…}` may stand, alone.", "Write the name out.")
            return name
        render = self._text(name, where)

        def filled(context: Context) -> str:
            text = render(context)
            if not isinstance(text, str) or not _PLAIN_NAME.fullmatch(text):
                raise ExpressionError(f"`{name}` stands as a key, so it must give a plain name")
            return text

        return filled

    # Lists.

    def _each(self, value: dict[str, Any], path: Path) -> Render:
        """List mapping: `$each` gives the items, `$as` names each, `$give` makes one."""
        where = (*path, "$each")
        name, text = value.get("$as", "item"), value["$each"]
        if not isinstance(text, str):
            self._refuse(where, "`$each` is an expression.", "Put it in double quotes.")
            text = "null"
        if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
            self._refuse((*path, "$as"), "`$as` is a plain name.")
            name = "item"
        source = self.expression(text, where, 0)
        give = self.node(value.get("$give", f"${{{name}}}"), (*path, "$give"))
        rest = {key: item for key, item in value.items() if key not in LIST_KEYS}
        around = self._around(rest, path)
        place = self.place_of(where)

        def render(context: Context) -> Any:
            items = source.evaluate(context.scope, context.runtime)
            if items is None:
                raise NullHere(place, source, context)
            if not isinstance(items, list):
                raise ExpressionError(
                    f"{place}: `{source.text}` gives {kind_of(items)}; a list is needed", kind="type"
                )
            filled = [give(context.plus(**{name: item})) for item in items]
            return filled if around is None else {**around(context), "$items": filled}

        return render

    def _around(self, rest: dict[str, Any], path: Path) -> Render | None:
        """What stands beside `$each`: only an encoded SOAP array has something there."""
        if not rest:
            return None
        if self.literal_keys or rest.keys() != {"$array"}:
            names = ", ".join(f"`{key}`" for key in rest)
            self._refuse(path, f"Beside `$each` stand only `$as` and `$give`, not {names}.")
        return self._object(rest, path)

    # Text.

    def _text(self, value: str, path: Path) -> Render:
        try:
            pieces = tuple(split(value))
        except ExpressionError as error:
            self.refused(path, error)
            pieces = ()
        if len(pieces) == 1 and isinstance(pieces[0], Span):
            return self._whole(pieces[0], path)
        parts = [piece if isinstance(piece, str) else self._inside(piece, path) for piece in pieces]
        if all(isinstance(part, str) for part in parts):
            literal = "".join(part for part in parts if isinstance(part, str))
            return lambda context: literal
        return lambda context: "".join(part if isinstance(part, str) else part(context) for part in parts)

    def _whole(self, span: Span, path: Path) -> Render:
        """`${x}` alone: the value keeps its type."""
        expression = self.expression(span.text, path, span.offset)
        place, label = self.place_of(path), self.tainted(expression)

        def render(context: Context) -> Any:
            value = expression.evaluate(context.scope, context.runtime)
            if value is None:
                raise NullHere(place, expression, context)
            if label is not None:
                learn(context.sensitive, value, label)
            return value

        return render

    def _inside(self, span: Span, path: Path) -> Render:
        """`${x}` inside text: only text, numbers and booleans may stand there."""
        whole, place = self._whole(span, path), self.place_of(path)

        def render(context: Context) -> str:
            value = whole(context)
            if isinstance(value, (list, dict)):
                raise ExpressionError(
                    f"{place}: `{span.text}` gives {kind_of(value)}; "
                    "inside text only text, numbers and booleans may stand",
                    kind="type",
                )
            return as_text(value)

        return render


def _optional(render: Render, place: str) -> Render:
    """Leave the key out when its own value is null; a null deeper inside stays an error."""
    own = (place, f"{place}.$each")

    def filled(context: Context) -> Any:
        try:
            return render(context)
        except NullHere as null:
            if null.place not in own:
                raise
            return OMIT

    return filled


def as_text(value: Any) -> str:
    """Text as it is, numbers in shortest JSON form, booleans as `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def learn(sensitive: dict[str, str], value: Any, label: str) -> None:
    """Note every text inside a value as something to mask."""
    if isinstance(value, dict):
        for item in value.values():
            learn(sensitive, item, label)
    elif isinstance(value, list):
        for item in value:
            learn(sensitive, item, label)
    elif value is not None and not isinstance(value, bool):
        text = as_text(value)
        if text:
            sensitive.setdefault(text, label)
