"""The function that opens a JSON text inside what a vendor sends, within the limits of one evaluation."""

from __future__ import annotations

import json
from typing import Any

import orjson

from gateway.mapping.closures import Unreadable
from gateway.mapping.limits import Run
from gateway.mapping.signatures import function

MAX_DEPTH = 100
"""As deep as the body of an answer may be."""
_DIGITS = str.maketrans("123456789", "000000000")
_LONG_NUMBER = "0" * 19


@function("json", "text")
def _json(run: Run, text: str) -> Any:
    run.write(len(text))
    run.build(text.count(",") + text.count("[") + text.count("{"))  # at least one for each value there is
    if not text.strip():
        return None
    value = _value(text)
    if _deeper_than(value, MAX_DEPTH):
        raise Unreadable(f"the text has more than {MAX_DEPTH} levels")
    # orjson reads a whole number beyond 64 bits as a float: two ids would become one
    return json.loads(text) if _LONG_NUMBER in text.translate(_DIGITS) else value


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        raise Unreadable("the text is not JSON") from None


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested deeper; not recursive, since that is what it guards."""
    level = _holders([value])
    for _ in range(limit):
        level = [each for holder in level for each in _holders(holder)]
    return bool(level)


def _holders(holder: list[Any] | dict[str, Any]) -> list[Any]:
    items = holder if isinstance(holder, list) else holder.values()
    return [item for item in items if isinstance(item, list | dict)]
