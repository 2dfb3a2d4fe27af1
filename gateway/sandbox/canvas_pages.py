"""Pages and their Link header: numbered ones, and bookmarks that nobody can compute.

Source: vendors/canvas.md 1.1 and 5.3.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway.sandbox.canvas_errors import not_found
from gateway.sandbox.canvas_params import Params
from gateway.sandbox.canvas_switches import Switches

MARK = "bookmark:"
NOT_REPEATED = ("page", "per_page", "access_token")
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list answer, cut into pages by whoever sends it; rows stand under the key they are sorted by."""

    rows: Sequence[tuple[Key, dict[str, Any]]]
    bookmarked: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """Where a list was asked for: scheme and host, the raw path, the raw query."""

    base: str
    path: str
    query: str

    def link(self, page: str, size: int, *, base: str = "") -> str:
        """The same list at another page; a token that stood in the query is left out."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        kept = [pair for pair in pairs if pair[0] not in NOT_REPEATED]
        asked = urlencode([*kept, ("page", page), ("per_page", size)])
        return f"{base or self.base}{self.path}?{asked}"


def page_of(
    listed: Listed, params: Params, address: Address, switches: Switches
) -> tuple[list[dict[str, Any]], str]:
    """The rows of the page that was asked for, and the value of its Link header.

    Raises Refused (404) for a bookmark, or a page number, that means nothing here.
    """
    size = _size(params, switches)
    rows = sorted(listed.rows, key=lambda row: row[0])
    if listed.bookmarked or switches.bookmarks == "all":
        found, pages = _marked(rows, params.text("page"), size)
    else:
        found, pages = _numbered(rows, params.text("page"), size, with_last=not switches.last_left_out)
    return [row for _, row in found], ",".join(
        f'<{address.link(page, size, base=switches.foreign_next if rel == "next" else "")}>; rel="{rel}"'
        for rel, page in pages.items()
    )


def _size(params: Params, switches: Switches) -> int:
    wanted = params.text("per_page") or ""
    number = int(wanted[:9]) if wanted.isascii() and wanted.isdecimal() else 0
    return min(number or switches.per_page, switches.per_page_cap)


def _numbered(
    rows: Sequence[Any], page: str | None, size: int, *, with_last: bool
) -> tuple[Sequence[Any], Mapping[str, str]]:
    text = page or "1"
    number = int(text[:9]) if text.isascii() and text.isdecimal() else 0
    if number < 1:
        raise not_found()
    last = max(-(-len(rows) // size), 1)
    pages = {"current": number, "next": number + 1, "prev": number - 1, "first": 1, "last": last}
    if number >= last:
        del pages["next"]
    if number == 1:
        del pages["prev"]
    if not with_last:
        del pages["last"]
    return rows[(number - 1) * size : number * size], {rel: str(each) for rel, each in pages.items()}


def _marked(rows: Sequence[Any], page: str | None, size: int) -> tuple[Sequence[Any], Mapping[str, str]]:
    after = None if page in (None, "first", "1") else _key_of(page or "")
    rest = [row for row in rows if after is None or row[0] > after]
    found = rest[:size]
    pages = {"current": page or "first", "first": "first"}
    if len(rest) > size:
        pages = {"current": pages["current"], "next": _mark_of(found[-1][0]), "first": "first"}
    return found, pages


def _mark_of(key: Key) -> str:
    return MARK + base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _key_of(page: str) -> Key:
    if not page.startswith(MARK):
        raise not_found()
    try:
        name, id = json.loads(base64.urlsafe_b64decode(page.removeprefix(MARK)))
    except (ValueError, TypeError) as exc:
        raise not_found() from exc
    if not isinstance(name, str) or not isinstance(id, int):
        raise not_found()
    return name, id
