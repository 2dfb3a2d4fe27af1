"""The outside of the API: paths with encoded keys, ids as text on demand, times, the bearer token.

Source: vendors/canvas.md 1, 2 and 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from gateway.sandbox.canvas_errors import Refused, not_found

BASE = "/api/v1"
JSON_TYPE = "application/json; charset=utf-8"
STRING_IDS = "application/json+canvas-string-ids"


def segments_of(raw_path: str, *, raw_dots_refused: bool = False) -> list[str]:
    """The parts of a path under the base, each percent-decoded once, a `.json` at the end left out.

    Cutting comes before decoding, so `%2F` stays within its part. Raises Refused (404) for a path outside the
    base, or one that is no UTF-8.
    """
    if not raw_path.startswith(f"{BASE}/"):
        raise not_found()
    path = raw_path[len(BASE) + 1 :].removesuffix(".json")
    if raw_dots_refused and "." in path:
        raise not_found()
    try:
        return [unquote(part, errors="strict") for part in path.split("/")]
    except UnicodeDecodeError as exc:
        raise not_found() from exc


def bearer(headers: Mapping[str, str], params_token: str | None) -> str:
    """The token from the header or, as also works, from the parameters; "" without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return params_token or ""


def with_text_ids(value: Any) -> Any:
    """The same answer with every id a text: `id`, `…_id`, and the lists `…_ids`."""
    if isinstance(value, list):
        return [with_text_ids(each) for each in value]
    if isinstance(value, dict):
        return {name: _id_text(name, inner) for name, inner in value.items()}
    return value


def _id_text(name: str, value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool)
    if number and (name == "id" or name.endswith("_id")):
        return str(value)
    if isinstance(value, list) and name.endswith("_ids"):
        return [str(each) if isinstance(each, int) else each for each in value]
    return with_text_ids(value)


def written(value: Any) -> bytes:
    """JSON as the answer carries it; beyond 2**53 the digits of an id are all there."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def iso(at: datetime | None) -> str | None:
    """UTC in whole seconds, `2026-03-02T01:10:00Z`."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str | None) -> datetime | None:
    """An ISO time, in UTC where it names no zone; None for anything else, which is left aside [I]."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def refusal_body(refusal: Refused) -> tuple[str, bytes]:
    """Content type and body; a text goes out as it is."""
    if isinstance(refusal.body, str):
        return "text/plain; charset=utf-8", refusal.body.encode()
    return JSON_TYPE, written(refusal.body)
