"""The outside of the API: Basic authentication, paths, JSON bodies, pages. Source: vendors/learnupon.md 1."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_call import Listed
from gateway.sandbox.learnupon_errors import BadJson, Refused, UnknownPath
from gateway.sandbox.learnupon_state import number
from gateway.sandbox.learnupon_switches import Switches

BASE = "/api/v1/"
MAX_FIELDS = 100


def authorised(header: str, username: str, password: str) -> bool:
    """Whether an Authorization header carries this pair."""
    scheme, _, coded = header.partition(" ")
    try:
        given = base64.b64decode(coded.strip().encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, f"{username}:{password}".encode())


def route_of(path: str) -> tuple[str, int]:
    """A path under the base as `enrollments/ID/modules` and the number in it, -1 without one.

    Raises UnknownPath for everything that is not under it.
    """
    if not path.startswith(BASE):
        raise UnknownPath
    parts = path[len(BASE) :].split("/")
    ids = [part for part in parts if part.isascii() and part.isdecimal()]
    return "/".join("ID" if part in ids else part for part in parts), number(ids[0]) if ids else -1


def query_of(request: Request) -> dict[str, str]:
    """The last value of each parameter. Raises Refused (400) for too many of them."""
    try:
        return dict(parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as exc:
        raise Refused(400, say.INTERNAL) from exc


def json_of(request: Request, body: bytes, switches: Switches) -> Any:
    """The JSON body; None without one, or when it is not said to be JSON. Raises BadJson."""
    said = "json" in request.headers.get("content-type", "").lower()
    if not body:
        if said and request.method in switches.empty_json_refused:
            raise BadJson
        return None
    if not said and switches.json_type_needed:
        return None
    try:
        return json.loads(body)
    except ValueError as exc:
        raise BadJson from exc


def page_of(listed: Listed, query: Mapping[str, str], switches: Switches) -> tuple[Any, dict[str, str]]:
    """One page as a body and its headers. Raises Refused (404) past the end if switched so."""
    size, page = _size(query, switches), max(number(query.get("page", "1")), 1)
    last = max(-(-len(listed.rows) // size), 1)
    repeats = switches.past_end == "repeat" and page >= last
    if page > last and switches.past_end == "not_found":
        raise Refused(404, say.NOT_FOUND)
    start = (min(page, last) if repeats else page) * size - size
    rows = listed.rows[start : start + size]
    # A list of one page has no next one, whatever the switch: only paging itself can go wrong.
    more = page < last or (repeats and last > 1)
    body = rows if listed.key is None else {listed.key: rows}
    if switches.paging_headers == "never" or (switches.paging_headers == "long" and last == 1):
        return body, {}
    return body, {
        "LU-Current-Page": str(page),
        "LU-Records-Per-Page": str(size),
        "LU-Has-Next-Page": switches.next_page_word if more else "false",
    }


def _size(query: Mapping[str, str], switches: Switches) -> int:
    wanted = number(query.get("per_page")) if switches.per_page_followed else -1
    return min(wanted, switches.page_size) if wanted >= 1 else switches.page_size
