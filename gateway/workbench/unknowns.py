"""A mapping whose requests say by name what cannot be known before the vendor has answered.

Each `${…}` in a request is evaluated by the production engine over what is known. One that reaches for
something else is replaced by a marker; the rest is compiled, filled in and encoded by production code, so
that what a plan shows is what would be sent.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, Runtime, compile_expression
from gateway.mapping.placeholders import Span, split
from gateway.mapping.templates import Context, compile_template

REQUEST_KEYS = ("call", "query", "headers", "form", "json", "xml", "soap")
AUTH_KEYS = ("user", "password", "token", "value", "place", "token_url", "client_id", "client_secret")
OAUTH2_KEYS = ("scope", "username", "refresh_token")
MAX_ITEMS = 50
LEFT_OUT = ", left out when null"


class Unknown(Exception):
    """An expression needs something that is not known yet. `named`: `shown` says it better than its text."""

    def __init__(self, shown: str, *, named: bool = False) -> None:
        self.shown, self.named = shown, named
        super().__init__(shown)


class Known(Mapping[str, Any]):
    """Names with their values; a name that is not here raises Unknown, it is never null.

    `shown` are names that are not known but have a better text than their own.
    """

    def __init__(self, names: Mapping[str, Any], *, path: str = "", shown: Mapping[str, str] | None = None):
        self._names, self._path, self._shown = dict(names), path, dict(shown or {})

    def __getitem__(self, name: str) -> Any:
        if name in self._names:
            return self._names[name]
        if name in self._shown:
            raise Unknown(self._shown[name], named=True)
        raise Unknown(f"{self._path}{name}")

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    def __iter__(self) -> Iterator[str]:
        raise Unknown(self._path.rstrip(".") or "$")

    def __len__(self) -> int:
        raise Unknown(self._path.rstrip(".") or "$")

    def plus(self, **more: Any) -> Known:
        return Known({**self._names, **more}, path=self._path, shown=self._shown)

    def without(self, name: str) -> Known:
        names = {key: value for key, value in self._names.items() if key != name}
        return Known(names, path=self._path, shown=self._shown)


class NoRandom(Random):
    """What a random function would give is not known."""

    def random(self) -> NoReturn:
        raise Unknown("random")

    def getrandbits(self, k: int, /) -> NoReturn:
        raise Unknown("random")


RUNTIME = Runtime(random=NoRandom())


def value_of(expression: Expression, scope: Known) -> Any:
    """The value, by the production evaluator. Raises Unknown, and ExpressionError as production would."""
    try:
        value = expression.evaluate(scope, RUNTIME)
    except Unknown as unknown:
        # what is computed is shown as it is written
        named = unknown.named and expression.plain_path is not None
        raise Unknown(unknown.shown if named else expression.text.strip()) from None
    except ExpressionError:
        if any(_is_open(_at(scope, path.parts)) for path in expression.names):
            raise Unknown(expression.text.strip()) from None  # a function that would have got all of it
        raise
    if _is_open(value):
        raise Unknown(expression.text.strip())
    return value


def _at(scope: Known, path: tuple[str, ...]) -> Any:
    value: Any = scope
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is_open(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_open, value))
    if isinstance(value, dict):
        return any(map(_is_open, value.values()))
    return isinstance(value, Known)


@dataclass(slots=True)
class Markers:
    """Plain words in place of unknown values: they survive every encoding, and are read back afterwards."""

    texts: dict[str, str] = field(default_factory=dict)

    def mark(self, text: str) -> str:
        marker = f"xUnknown{len(self.texts):04d}x"
        self.texts[marker] = text
        return marker

    def optional(self, marker: str) -> str:
        """The same unknown under a key that may be left out."""
        return self.mark(self.texts[marker] + LEFT_OUT)

    def shown(self, data: Any) -> Any:
        """The data with `‹name›` where a marker stands."""
        if isinstance(data, str):
            for marker, text in self.texts.items():
                data = data.replace(marker, f"‹{text}›")
            return data
        if isinstance(data, Mapping):
            return {self.shown(key): self.shown(item) for key, item in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.shown(item) for item in data]
        return data


@dataclass(slots=True)
class Substitution:
    """Replaces what `scope` does not know in the requests of a mapping's data."""

    scope: Known
    markers: Markers
    _shared: dict[str, Any] = field(default_factory=dict)

    def mapping(self, data: dict[str, Any]) -> dict[str, Any]:
        """A copy of a mapping's data. Each use of a shared call becomes a shared call of its own."""
        data = copy.deepcopy(data)
        self._shared = data.get("calls", {})
        inlined: dict[str, Any] = {}
        self._server(data.get("server", {}))
        for form in (*data.get("operations", {}).values(), data.get("progress", {}).get("read", {})):
            self._form(form, inlined)
        polls = data.get("progress", {}).get("poll", [])
        for poll in polls if isinstance(polls, list) else [polls]:
            self._action(poll, inlined)
        data["calls"] = {**self._shared, **inlined}
        return data

    def _server(self, server: dict[str, Any]) -> None:
        self._parts(server, ("headers", "query"), self.scope)
        auth = server.get("auth", {})
        texts = [key for key in (*AUTH_KEYS, *OAUTH2_KEYS) if isinstance(auth.get(key), str)]
        self._parts(auth, (*texts, "place"), self.scope)
        self._parts(auth.get("login", {}), REQUEST_KEYS, self.scope)

    def _form(self, form: Any, inlined: dict[str, Any]) -> None:
        for other in form.get("of", {}).values():
            self._form(other, inlined)
        for step in form.get("steps") or []:
            for action in (step, *step.get("first", ())):
                self._action(action, inlined)

    def _action(self, action: Any, inlined: dict[str, Any]) -> None:
        """A call with all that hangs on it: its look-up and what takes it back."""
        scope = self.scope
        if "use" in action and action["use"] in self._shared:
            scope = self._arguments(action)
            name = f"{action['use']}_{len(inlined)}"
            inlined[name] = copy.deepcopy(self._shared[action["use"]])
            self._request(inlined[name], scope)
            action["use"] = name
            _drop_unread_arguments(action, inlined[name])
        self._request(action, scope)
        for key in ("confirm", "undo"):
            if isinstance(action.get(key), dict):
                self._action(action[key], inlined)

    def _request(self, node: dict[str, Any], scope: Known) -> None:
        self._parts(node, REQUEST_KEYS, scope)
        if isinstance(node.get("auth"), dict):
            self._parts(node["auth"], ("place",), scope)

    def _parts(self, node: dict[str, Any], keys: tuple[str, ...], scope: Known) -> None:
        for key in keys:
            if key in node:
                node[key] = self.node(node[key], [scope])

    def _arguments(self, action: dict[str, Any]) -> Known:
        """The scope inside a shared call; its arguments are filled in as far as they are known."""
        written = action.get("args", {})
        filled = {key: self.node(value, [self.scope]) for key, value in written.items()}
        values: dict[str, Any] = {}
        shown: dict[str, str] = {}
        for key, value in filled.items():
            name = key.removesuffix("?")
            if value == written[key]:
                values[name] = self._value(value)
            else:
                shown[name] = self.markers.texts.get(str(value), str(written[key]))
        action["args"] = filled
        return self.scope.plus(args=Known(values, path="args.", shown=shown))

    def _value(self, value: Any) -> Any:
        """An argument's value; null where it has none, which production complains of when it must."""
        template = compile_template(value, (), lambda text, *_: compile_expression(text), lambda _: None)
        try:
            return template.render(Context(self.scope, RUNTIME))
        except ExpressionError:
            return None

    # -- data -------------------------------------------------------------------------------------------

    def node(self, value: Any, worlds: list[Known]) -> Any:
        """Data with every unknown replaced. `worlds`: one scope for each item a list mapping goes over."""
        match value:
            case str():
                return self._text(value, worlds)
            case list():
                return [self.node(item, worlds) for item in value]
            case dict() if isinstance(value.get("$each"), str):
                return self._each(value, worlds)
            case dict():
                return {key: self._entry(key, item, worlds) for key, item in value.items()}
        return value

    def _entry(self, key: str, value: Any, worlds: list[Known]) -> Any:
        filled = self.node(value, worlds)
        if key.endswith("?") and isinstance(filled, str) and filled in self.markers.texts:
            return self.markers.optional(filled)
        return filled

    def _text(self, text: str, worlds: list[Known]) -> str:
        return "".join(
            self._span(piece, worlds) if isinstance(piece, Span) else piece.replace("${", "$${")
            for piece in split(text)
        )

    def _span(self, span: Span, worlds: list[Known]) -> str:
        expression = compile_expression(span.text)
        try:
            for scope in worlds:
                value_of(expression, scope)
        except Unknown as unknown:
            return self.markers.mark(unknown.shown)
        except ExpressionError:
            pass  # production says what is wrong, when the request is built
        return "${" + span.text + "}"

    def _each(self, value: dict[str, Any], worlds: list[Known]) -> Any:
        name, give = value.get("$as", "item"), value.get("$give", f"${{{value.get('$as', 'item')}}}")
        expression = compile_expression(value["$each"])
        try:
            inside = [
                scope.plus(**{name: item})
                for scope in worlds
                for item in (value_of(expression, scope) or [])[:MAX_ITEMS]
            ]
        except Unknown as unknown:
            bare = [scope.without(name) for scope in worlds]
            note = self.markers.mark(f"for each `{name}` of {unknown.shown}")
            items = [note, self.node(give, bare)]
            return {"$array": value["$array"], "$items": items} if "$array" in value else items
        return {**value, "$give": self.node(give, inside)} if inside else value


def _drop_unread_arguments(action: dict[str, Any], shared: Any) -> None:
    """An argument that only stood in the request is written there by now; the loader refuses it elsewhere."""
    around = {key: value for key, value in action.items() if key != "args"}
    written = json.dumps([shared, around], ensure_ascii=False)
    action["args"] = {
        key: value for key, value in action["args"].items() if f"args.{key.removesuffix('?')}" in written
    }
