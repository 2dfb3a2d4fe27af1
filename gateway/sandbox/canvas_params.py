"""Parameters of a request: query, form with brackets, or JSON, all read as one nested object.

Source: vendors/canvas.md 1 (either encoding, same result; the words for true and false).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from gateway.sandbox import canvas_errors as say
from gateway.sandbox.canvas_errors import Refused

MAX_FIELDS = 2000
FORM = "application/x-www-form-urlencoded"
TRUE_WORDS = ("true", "t", "yes", "y", "on", "1")
NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
Nested = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Params:
    """What was sent, wherever it stood; `enrollment[user_id]` is asked for as ("enrollment", "user_id")."""

    given: Mapping[str, Any]

    def found(self, *names: str) -> Any:
        """The value as it came, None when it is missing."""
        value: Any = self.given
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def text(self, *names: str) -> str | None:
        """A text, number or truth value as text without outer spaces; None when missing, null or blank."""
        return _text(self.found(*names))

    def texts(self, *names: str) -> list[str]:
        """All values of a list; a single one counts as a list of one."""
        value = self.found(*names)
        values = value if isinstance(value, list) else [value]
        return [text for text in map(_text, values) if text is not None]

    def truth(self, *names: str, default: bool = False) -> bool:
        text = self.text(*names)
        return default if text is None else text.lower() in TRUE_WORDS

    def inner(self, *names: str) -> Mapping[str, Any]:
        """The object under this name; empty when there is none."""
        value = self.found(*names)
        return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value).strip() or None
    return None


def params_of(query: str, content_type: str, body: bytes) -> Params:
    """Query and body together; what stands in the body wins. Raises Refused (400) for an unreadable body."""
    kind = content_type.partition(";")[0].strip().lower()
    given = nested(_pairs(query))
    if kind == FORM:
        return Params(given | nested(_pairs(body.decode("utf-8", "replace"))))
    if kind == "application/json" and body:
        return Params(given | _json_object(body))
    return Params(given)


def _json_object(body: bytes) -> Nested:
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise Refused(400, say.errors(say.BAD_BODY)) from exc
    if not isinstance(value, dict):
        raise Refused(400, say.errors(say.BAD_BODY))
    return value


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as exc:
        raise Refused(400, say.errors(say.BAD_BODY)) from exc


def nested(pairs: Iterable[tuple[str, str]]) -> Nested:
    """`a[b]=1&c[]=2` as `{"a": {"b": "1"}, "c": ["2"]}`. Raises Refused (400) when two names contradict."""
    found: Nested = {}
    for name, value in pairs:
        parts = NAME.fullmatch(name)
        if parts is None:
            found[name] = value
        else:
            _put(found, [parts[1], *re.findall(r"\[([^\[\]]*)\]", parts[2])], value)
    return found


def _put(into: Nested, names: list[str], value: str) -> None:
    head, *rest = names
    if not rest:
        into[head] = value
    elif rest == [""]:
        _same(into.setdefault(head, []), list).append(value)
    else:
        _put(_same(into.setdefault(head, {}), dict), rest, value)


def _same(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Refused(400, say.errors(say.BAD_BODY))
    return value
