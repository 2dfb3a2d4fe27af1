"""Functions for texts, lists, trees and secrets. Null gives null unless the declaration says otherwise."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import string
import unicodedata
import uuid
from collections.abc import Iterator
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping.limits import Run
from gateway.mapping.signatures import function
from gateway.mapping.values import equal, scalar_text

# Letters that have no accent to drop but a usual spelling in ASCII.
_SPELT = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"}
    | {"’": "'", "‘": "'", "–": "-", "—": "-"}
)
_TAG_BEGINS = re.compile("<[A-Za-z/!?]")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_PASSWORD = string.ascii_uppercase, string.ascii_lowercase, string.digits
_LONGEST_PASSWORD = 128


@function("lower", "text")
def _lower(run: Run, text: str) -> str:
    return text.lower()


@function("upper", "text")
def _upper(run: Run, text: str) -> str:
    return text.upper()


@function("trim", "text")
def _trim(run: Run, text: str) -> str:
    return text.strip()


@function("truncate", "text", "number")
def _truncate(run: Run, text: str, length: float) -> str:
    return text[: _whole("truncate", length, at_least=0)]


def _whole(name: str, number: float, at_least: int) -> int:
    if number != number // 1 or number < at_least:
        raise ExpressionError(f"`{name}()` takes a whole number, at least {at_least}.", kind="value")
    return int(number)


@function("split", "text", "text")
def _split(run: Run, text: str, separator: str) -> list[str]:
    if not separator:
        raise ExpressionError("`split()` needs a separator that is not empty.", kind="value")
    run.build(text.count(separator))
    run.write(len(text))
    return text.split(separator)


@function("replace", "text", "text", "text")
def _replace(run: Run, text: str, old: str, new: str) -> str:
    if not old:
        raise ExpressionError("`replace()` needs a text to look for.", kind="value")
    # Counted before it is built: each hit may grow.
    run.write(len(text) + text.count(old) * max(len(new) - len(old), 0))
    return text.replace(old, new)


@function("matches", "text|null", "pattern", nulls="own")
def _matches(run: Run, text: str | None, pattern: Any) -> bool:
    if text is None:
        return False
    run.spend(len(text) >> 6)
    # Bytes: given a str, the binding works out where in it each group began, which nobody asks for.
    return pattern.search(text.encode("utf-8", "replace")) is not None


@function("ascii", "text")
def _ascii(run: Run, text: str) -> str | None:
    return _to_ascii(run, text) or None


def _to_ascii(run: Run, text: str) -> str:
    # One sign may be taken apart into 18.
    run.write(18 * len(text))
    return unicodedata.normalize("NFKD", text.translate(_SPELT)).encode("ascii", "ignore").decode().strip()


@function("slug", "text")
def _slug(run: Run, text: str) -> str | None:
    return _NOT_SLUG.sub("-", _to_ascii(run, text).lower()).strip("-") or None


@function("unhtml", "text")
def _unhtml(run: Run, text: str) -> str:
    if "<" not in text and "&" not in text:
        return text.replace("\xa0", " ").strip()
    return html.unescape("".join(_outside_tags(text))).replace("\xa0", " ").strip()


def _outside_tags(text: str) -> Iterator[str]:
    """The text between tags and comments. By hand: no search may go over the same text twice."""
    at, comments = 0, True
    while (opened := text.find("<", at)) >= 0:
        if not _TAG_BEGINS.match(text, opened):
            yield text[at : opened + 1]
            at = opened + 1
            continue
        if (closed := text.find(">", opened)) < 0:
            break
        yield text[at:opened]
        if comments and text.startswith("<!--", opened):
            comments = (end := text.find("-->", opened + 4)) >= 0
            closed = end + 2 if comments else closed
        at = closed + 1
    yield text[at:]


@function("fill", "text|null", "text|null*", nulls="own")
def _fill(run: Run, *texts: str | None) -> str | None:
    return next((text.strip() for text in texts if text is not None and text.strip()), None)


@function("lookup", "object", "text|number|boolean", scans=False)
def _lookup(run: Run, table: dict[str, Any], key: str | float | bool) -> Any:
    return table.get(scalar_text(key))


@function("pick_by", "list", "text", "any")
def _pick_by(run: Run, items: list[Any], field: str, value: Any) -> Any:
    run.spend(len(items))
    for item in items:
        if isinstance(item, dict) and equal(item.get(field), value, run):
            return item
    return None


@function("only", "object", "text+", scans=False)
def _only(run: Run, thing: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: thing[name] for name in names if name in thing}


@function("count", "list|object", null_gives=0, scans=False)
def _count(run: Run, thing: list[Any] | dict[str, Any]) -> int:
    return len(thing)


@function("distinct", "list")
def _distinct(run: Run, items: list[Any]) -> list[Any]:
    """Plain values are told apart by a key, so that a long list of ids takes no longer than it must."""
    seen: set[tuple[bool, Any]] = set()
    found: list[Any] = []
    for item in items:
        if isinstance(item, list | dict):
            run.spend(len(found))
            known = any(equal(item, other, run) for other in found if isinstance(other, list | dict))
        else:
            key = (isinstance(item, bool), item)  # in Python true equals 1
            known = key in seen
            seen.add(key)
        if not known:
            found.append(item)
    return found


@function("descend", "any", "text", nulls="own")
def _descend(run: Run, tree: Any, name: str) -> list[str]:
    wanted = name.lower()
    found = (value for key, value in _walk(run, tree) if key is not None and _local(key).lower() == wanted)
    return [text for value in found for text in _texts(value)]


@function("leaves", "any", nulls="own")
def _leaves(run: Run, tree: Any) -> list[str]:
    return [text for _, value in _walk(run, tree) for text in _texts(value)]


def _walk(run: Run, tree: Any) -> Iterator[tuple[str | None, Any]]:
    """Every value in document order with the key it, or the list it is in, stands under."""
    waiting: list[tuple[str | None, Any]] = [(None, tree)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            run.spend(len(value))
            waiting.extend(reversed(value.items()))
        elif isinstance(value, list):
            run.spend(len(value))
            waiting.extend((key, item) for item in reversed(value))


def _local(name: str) -> str:
    """The name without `{namespace}` or `prefix:`."""
    return name.rpartition("}")[2].rpartition(":")[2]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, (str, int, float)):
        text = scalar_text(value).strip()
        if text:
            yield text


@function("hash", "text")
def _hash(run: Run, text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


@function("base64", "text")
def _base64(run: Run, text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


@function("uuid")
def _uuid(run: Run) -> str:
    return str(uuid.UUID(int=run.runtime.random.getrandbits(128), version=4))


@function("password", "number")
def _password(run: Run, length: float) -> str:
    count = _whole("password", length, at_least=12)
    if count > _LONGEST_PASSWORD:
        raise ExpressionError(f"`password()` makes at most {_LONGEST_PASSWORD} characters.", kind="value")
    random = run.runtime.random
    signs = [random.choice(kind) for kind in _PASSWORD]
    signs += [random.choice("".join(_PASSWORD)) for _ in range(count - len(signs))]
    random.shuffle(signs)
    return "".join(signs)
