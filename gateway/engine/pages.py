"""Reading a list page by page: which page comes next, and when to stop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from gateway.engine.calls import Body, Call, Reply
from gateway.engine.frame import Frame, truth
from gateway.errors import VendorFault
from gateway.mapping.spec import Pages

LINK = re.compile(r'<([^>]*)>\s*((?:;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s;,"]+)\s*)*)')
REL = re.compile(r'rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


class Pager:
    """Follows the pages of one list. `start` shapes the first call, `next` the following one or None.

    Raises VendorFault when there are more than `limit` pages, a page repeats the last one, or a link
    leaves the mapping's hosts: a list cut short must never pass for a whole one.
    """

    def __init__(self, pages: Pages | None, frame: Frame) -> None:
        self._pages = pages or Pages(kind="none")
        self._frame = frame
        self._at: int = self._pages.first
        self._count = 0
        self._last_items: list[Any] | None = None
        self._last_next: Any = None

    def start(self, call: Call) -> Call:
        pages = self._pages
        if pages.per is not None and pages.size_where is not None:
            call = put(call, pages.size_where, pages.per)
        if pages.kind in ("page", "until-empty", "offset") and pages.where is not None:
            call = put(call, pages.where, self._at)
        return call

    def next(self, call: Call, reply: Reply, items: list[Any], scope: Mapping[str, Any]) -> Call | None:
        """The call for the page after this one, or None when this was the last."""
        if self._pages.kind == "none":
            return None
        self._count += 1
        if items and items == self._last_items:
            raise VendorFault(detail="a page of the list repeats the one before")
        self._last_items = items
        following = self._following(call, reply, items, {**scope, "reply": reply.scope(), "items": items})
        if following is not None and self._count >= self._pages.limit:
            raise VendorFault(detail=f"the list has more than {self._pages.limit} pages")
        return following

    def _following(self, call: Call, reply: Reply, items: list[Any], scope: Mapping[str, Any]) -> Call | None:
        pages = self._pages
        if pages.stop_short and pages.per is not None and len(items) < pages.per:
            return None
        if pages.stop is not None and truth(pages.stop.evaluate(scope, self._frame.runtime)):
            return None
        match pages.kind:
            case "page" | "until-empty" | "offset":
                return self._counted(call, items)
            case "cursor":
                return self._by_cursor(call, scope)
            case "link":
                return self._by_address(call, linked(reply.headers.get("link", ""), pages.rel))
            case _:
                assert pages.next is not None
                return self._by_address(call, pages.next.evaluate(scope, self._frame.runtime))

    def _counted(self, call: Call, items: list[Any]) -> Call | None:
        pages = self._pages
        bounded = pages.stop is not None or pages.stop_short
        if not items and (pages.kind == "until-empty" or not bounded):
            return None
        if not items and pages.kind == "offset":
            return None
        self._at += (pages.per or len(items)) if pages.kind == "offset" else 1
        assert pages.where is not None
        return put(call, pages.where, self._at)

    def _by_cursor(self, call: Call, scope: Mapping[str, Any]) -> Call | None:
        assert self._pages.next is not None and self._pages.where is not None
        cursor = self._pages.next.evaluate(scope, self._frame.runtime)
        if cursor is None or cursor == "":  # 0 is a cursor like any other
            return None
        self._check_new(cursor)
        return put(call, self._pages.where, cursor)

    def _by_address(self, call: Call, address: Any) -> Call | None:
        if address is None or address == "":
            return None
        if not isinstance(address, str):
            raise VendorFault(detail="the next page's address is not text")
        self._check_new(address)
        url = urlsplit(urljoin(call.base + call.target, address))
        here = urlsplit(call.base)
        same = (url.scheme, url.netloc.lower()) == (here.scheme, here.netloc.lower())
        if not same and (self._pages.same_host or (url.netloc.lower() not in self._frame.hosts) or url.scheme != here.scheme):
            raise VendorFault(detail=f"the next page is on another host: {url.netloc}")
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return replace(call, base=f"{url.scheme}://{url.netloc}", target=target, query=())

    def _check_new(self, following: Any) -> None:
        if following == self._last_next:
            raise VendorFault(detail="the list gives the same next page twice")
        self._last_next = following


def put(call: Call, where: tuple[str, str], value: Any) -> Call:
    """The call with one value set in its query or body."""
    part, name = where
    if part == "query":
        rest = tuple(pair for pair in call.query if pair[0] != name)
        return replace(call, query=(*rest, (name, str(value))))
    kind = "json" if part == "json" else "form"
    data = {**(call.body.data or {}), name: value}
    return replace(call, body=replace(call.body, kind=kind, data=data) if call.body.kind != "none" else Body(kind=kind, data=data))  # type: ignore[arg-type]


def linked(header: str, rel: str) -> str | None:
    """The address of one relation in a `Link` header (RFC 8288)."""
    for address, attributes in LINK.findall(header[:8192]):
        for quoted, bare in REL.findall(attributes):
            if rel.lower() in (quoted or bare).lower().split():
                return str(address)
    return None
