"""Reading a list page by page: which page comes next, and when to stop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from gateway.engine.calls import Body, Call, Reply
from gateway.engine.frame import Frame, mismade
from gateway.errors import ExpressionError, VendorFault
from gateway.mapping.expressions import truthy
from gateway.mapping.spec import Pages
from gateway.mapping.templates import as_text

NONE = Pages(kind="none")
MAX_LINK_HEADER = 8192
# Source: RFC 8288 section 3. Neither pattern can backtrack far: each part begins with its own sign.
LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+(?:\s*=\s*(?:"[^"]*"|[^\s;,"<]+))?)*)')
REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
PRINTABLE = "%/:@!$&'()*+,;=~-._?[]"


def step_of(pages: Pages | None, frame: Frame, **scope: Any) -> int | None:
    """How much the page number grows by the mapping's `step`; None where it does not say.

    Raises InternalError for anything but a whole number of 1 or more.
    """
    if pages is None or pages.step is None:
        return None
    try:
        value = pages.step.render(frame.context(**scope))
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 1 or value % 1:
            raise ExpressionError("a whole number of 1 or more is needed")
    except ExpressionError as error:
        raise mismade(error, pages.step.place) from error
    return int(value)


class Pager:
    """Follows the pages of one list. `start` shapes the first call, `next` the following one or None.

    `step` is how much the page number or offset grows, None as usual. Raises VendorFault when there are more
    than `limit` pages or fewer items than `total`, when a page repeats the last one, or when a link leaves
    the mapping's hosts: a list cut short must never pass for a whole one.
    """

    def __init__(self, pages: Pages | None, frame: Frame, *, step: int | None = None) -> None:
        self._pages = pages or NONE
        self._frame = frame
        self._at = self._pages.first
        self._step = step
        self._read = 0
        self._total: float | None = None
        self._last_items: list[Any] = []
        self._last_next: Any = None
        self.count = 0

    def start(self, call: Call) -> Call:
        pages = self._pages
        if pages.per is not None and pages.size_where is not None:
            call = put(call, pages.size_where, pages.per)
        if pages.kind in ("page", "until-empty", "offset") and pages.where is not None:
            call = put(call, pages.where, self._at)
        return call

    def next(self, call: Call, reply: Reply, items: list[Any], scope: Mapping[str, Any]) -> Call | None:
        """The call for the page after this one, or None when this was the last.

        `items` are all of the page, before `keep`; `scope` is what `stop` and `next` see.
        Raises VendorFault, and ExpressionError when `stop`, `next` or `total` cannot be evaluated.
        """
        self.count += 1
        self._read += len(items)
        if items or self.count == 1:  # beyond the end some vendors tell a total of 0
            self._note_total(scope)
        following = None if self._pages.kind == "none" else self._next(call, reply, items, scope)
        if following is None and self._total is not None and self._read < self._total:
            raise VendorFault(detail=f"pages: {self._read} items came, of {self._total:g}")
        return following

    def _note_total(self, scope: Mapping[str, Any]) -> None:
        """The newest total that a page tells: a list may change while it is read."""
        total = self._pages.total
        value = None if total is None else total.evaluate(scope, self._frame.runtime)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise VendorFault(detail="pages: the total is not a number")
        self._total = value

    def _next(self, call: Call, reply: Reply, items: list[Any], scope: Mapping[str, Any]) -> Call | None:
        if items and items == self._last_items:
            raise VendorFault(detail="pages: a page repeats the one before")
        self._last_items = items
        following = self._following(call, reply, items, scope)
        if following is not None and self.count >= self._pages.limit:
            raise VendorFault(detail=f"pages: there are more than {self._pages.limit}")
        return following

    def _following(self, call: Call, reply: Reply, items: list[Any], scope: Mapping[str, Any]) -> Call | None:
        pages, runtime = self._pages, self._frame.runtime
        if pages.stop_short and pages.per is not None and len(items) < pages.per:
            return None
        if pages.stop is not None and truthy(pages.stop.evaluate(scope, runtime)):
            return None
        match pages.kind:
            case "page" | "until-empty" | "offset":
                return self._counted(call, items)
            case "link":
                return self._by_address(call, linked(reply.headers.get("link", ""), pages.rel))
        assert pages.next is not None
        following = pages.next.evaluate(scope, runtime)
        return (
            self._by_cursor(call, following) if pages.kind == "cursor" else self._by_address(call, following)
        )

    def _counted(self, call: Call, items: list[Any]) -> Call | None:
        pages = self._pages
        # a filtered page may be empty with more behind it, but only a `stop` can know that
        if not items and (pages.kind != "page" or pages.stop is None):
            return None
        # the rows that came, not the rows asked for: a vendor that gives fewer must not make us skip some
        self._at += self._step or (len(items) if pages.kind == "offset" else 1)
        assert pages.where is not None
        return put(call, pages.where, self._at)

    def _by_cursor(self, call: Call, cursor: Any) -> Call | None:
        if cursor is None or cursor == "":  # 0 is a cursor like any other
            return None
        if isinstance(cursor, list | dict | bool):
            raise VendorFault(detail="pages: the next cursor is not text or a number")
        self._check_new(cursor)
        assert self._pages.where is not None
        return put(call, self._pages.where, cursor)

    def _by_address(self, call: Call, address: Any) -> Call | None:
        if address is None or address == "":
            return None
        if not isinstance(address, str):
            raise VendorFault(detail="pages: the next page's address is not text")
        self._check_new(address)
        try:
            url = urlsplit(urljoin(call.base + call.target, address))
            base = self._allowed(url)
        except ValueError:
            raise VendorFault(detail="pages: the next page's address cannot be read") from None
        target = quote(url.path or "/", safe=PRINTABLE) + (
            f"?{quote(url.query, safe=PRINTABLE)}" if url.query else ""
        )
        return replace(call, base=base, target=target, query=())

    def _allowed(self, url: SplitResult) -> str:
        """Where the address leads, when that is the vendor's own host or another of the mapping's."""
        here = urlsplit(self._frame.base)
        if url.scheme != here.scheme or "@" in url.netloc:
            raise VendorFault(detail="pages: the next page is not at a plain address of the vendor's scheme")
        if url.netloc.lower() != here.netloc.lower():
            hosts = {host.lower().partition(":")[0] for host in self._frame.hosts}
            if self._pages.same_host or url.port is not None or (url.hostname or "") not in hosts:
                raise VendorFault(detail=f"pages: the next page is on another host: {url.netloc[:100]}")
        return f"{url.scheme}://{url.netloc}"

    def _check_new(self, following: Any) -> None:
        if following == self._last_next:
            raise VendorFault(detail="pages: the same next page is given twice")
        self._last_next = following


def put(call: Call, where: tuple[str, str], value: Any) -> Call:
    """The call with one value set in its query or body."""
    part, name = where
    if part == "query":
        rest = tuple(pair for pair in call.query if pair[0] != name)
        return replace(call, query=(*rest, (name, as_text(value))))
    body = Body(kind="json" if part == "json" else "form") if call.body.kind == "none" else call.body
    data = body.data if isinstance(body.data, dict) else {}
    return replace(call, body=replace(body, data={**data, name: value}))


def linked(header: str, rel: str) -> str | None:
    """The address of one relation in a `Link` header (RFC 8288)."""
    for address, attributes in LINK.findall(header[:MAX_LINK_HEADER]):
        for quoted, bare in REL.findall(attributes):
            if rel.lower() in (quoted or bare).lower().split():
                return str(address)
    return None
