"""The outside of the REST server: parameters as PHP reads them, answers as JSON or XML.

Source: vendors/moodle.md 1, 1.1 and 3, and the recordings of 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.parser import BytesParser
from typing import Any
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from gateway.sandbox.talentlms_wire import php_json

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON_TYPE, XML_TYPE = "application/json", "application/xml; charset=utf-8"
MAX_DEPTH = 20
HEADERS = {
    "Cache-Control": "private, must-revalidate, pre-check=0, post-check=0, max-age=0",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    "Pragma": "no-cache",
    "Access-Control-Allow-Origin": "*",
}
Tree = dict[str, Any]
"""Parameters by name; a nested dict for every bracket, so that lists have the keys "0", "1"."""


def parameters(query: str, content_type: str, body: bytes, *, at_most: int) -> Tree:
    """Query and body merged, the body winning; a body of another type than a form has none.

    Beyond `at_most` pairs of either PHP drops the rest.
    """
    kind = content_type.partition(";")[0].strip().lower()
    pairs = _pairs(body.decode("utf-8", "replace")) if kind == FORM else []
    if kind == MULTIPART:
        pairs = _parts(content_type, body)
    return _tree(_pairs(query)[:at_most]) | _tree(pairs[:at_most])


def _pairs(text: str) -> list[tuple[str, str]]:
    halves = [pair.partition("=") for pair in text.split("&") if pair]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in halves]


def _parts(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser().parsebytes(head + body)
    found: list[tuple[str, str]] = []
    for part in message.get_payload() if message.is_multipart() else []:
        if isinstance(part, str):
            continue
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            found.append((name, value.decode("utf-8", "replace")))
    return found


def _tree(pairs: Sequence[tuple[str, str]]) -> Tree:
    tree: Tree = {}
    for name, value in pairs:
        _place(tree, _path(name), value)
    return tree


def _path(name: str) -> list[str]:
    """`users[0][email]` as users, 0, email; `ids[]` ends in an empty key."""
    head, bracket, rest = name.partition("[")
    head = re.sub(r"[ .]", "_", head.lstrip(" "))
    keys = re.match(r"[^\]]*\](?:\[[^\]]*\])*", rest)
    if keys is None:
        return [f"{head}_{rest}" if bracket else head]
    return [head, *re.findall(r"\[?([^\]]*)\]", keys[0])][:MAX_DEPTH]


def _place(tree: Tree, path: Sequence[str], value: str) -> None:
    if not path[0]:
        return
    for key in path[:-1]:
        key = key if key else _next(tree)
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1] if path[-1] else _next(tree)] = value


def _next(tree: Tree) -> str:
    return str(max((int(key) for key in tree if key.isdecimal()), default=-1) + 1)


def as_json(value: Any) -> bytes:
    """JSON as PHP writes it: slashes escaped, ASCII only, and a float without a fraction as an integer."""
    return php_json(_whole(value))


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_xml(value: Any) -> bytes:
    """A RESPONSE of SINGLE, MULTIPLE, KEY and VALUE elements; nothing inside for null."""
    inner = "" if value is None else _element(value)
    return f'<?xml version="1.0" encoding="UTF-8" ?>\n<RESPONSE>\n{inner}</RESPONSE>\n'.encode()


def _element(value: Any) -> str:
    if isinstance(value, Mapping):
        keys = "".join(f'<KEY name="{key}">{_element(item)}</KEY>\n' for key, item in value.items())
        return f"<SINGLE>\n{keys}</SINGLE>\n"
    if isinstance(value, list):
        return f"<MULTIPLE>\n{''.join(map(_element, value))}</MULTIPLE>\n"
    if value is None:
        return '<VALUE null="null"/>\n'
    plain = int(value) if isinstance(value, bool) else _whole(value)
    return f"<VALUE>{escape(str(plain))}</VALUE>\n"


def error_as_xml(error: Mapping[str, str]) -> bytes:
    """An EXCEPTION element."""
    lines = [
        f'<EXCEPTION class="{error["exception"]}">',
        f"<ERRORCODE>{escape(error['errorcode'])}</ERRORCODE>",
        f"<MESSAGE>{escape(error['message'])}</MESSAGE>",
        *([f"<DEBUGINFO>{escape(error['debuginfo'])}</DEBUGINFO>"] if "debuginfo" in error else []),
        "</EXCEPTION>",
    ]
    return ('<?xml version="1.0" encoding="UTF-8" ?>\n' + "\n".join(lines) + "\n").encode()


def function_of(body: bytes) -> str:
    """The function a form body names, "" if it names none."""
    for name, value in _pairs(body.decode("utf-8", "replace")):
        if name == "wsfunction":
            return value
    return ""
