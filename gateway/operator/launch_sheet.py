"""The pages of a tenant's learners, one row for each active enrolment; and one enrolment with its link."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import orjson

from gateway.config.tenants import TenantConfig
from gateway.errors import NotFound
from gateway.launch import links, token
from gateway.mapping.templates import as_text
from gateway.perform.enrolments import create_form, unknown
from gateway.perform.tenant import Tenant
from gateway.store import enrolments
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.retry import Deadline

PAGE = 500
READ_S = 30.0
FIRST = ("enrolmentId", "studentId")
LAST = ("courseId", "vendorCourseId", "course", "page", "expires")
HIDDEN = "•••"

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One tenant at work, and what the addresses of its learners' pages are made with."""

    tenant: Tenant
    config: TenantConfig
    key: bytes = field(repr=False)
    public_url: str
    names: dict[str, str] = field(default_factory=dict)
    """Courses' names found so far, by RTOPilot's ids; empty for one that is not known."""

    def address(self, enrolment_id: str) -> str:
        return token.address(self.public_url, self.key, self.config.organisation, enrolment_id)

    async def rows(self, *, course: str | None = None, since: date | None = None) -> AsyncIterator[Row]:
        """A row for each active enrolment, read in pages: of one course, and made on a day or later."""
        if course is not None and (course := course_of(self.tenant, course)) is None:
            return
        start, after = None if since is None else self._start_of(since), ""
        while True:
            page = await self._page(course, after)
            for stored in page:
                if start is None or stored.created_at >= start:
                    yield await self.row(stored)
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def row(self, stored: StoredEnrolment) -> Row:
        """What the list says of one enrolment, a text for each column."""
        expires = self.config.launch.expires_at(stored)
        return {
            "enrolmentId": stored.id,
            "studentId": stored.student_id or "",
            **self._personal(stored),
            "courseId": stored.course_id or "",
            "vendorCourseId": self._vendor_course(stored),
            "course": await self._course_name(stored),
            "page": self.address(stored.id),
            "expires": "" if expires is None else _iso(expires),
        }

    async def stored(self, enrolment_id: str) -> StoredEnrolment:
        """One enrolment of the store, whatever its state. Raises NotFound."""
        tenant = self.tenant
        found = await tenant.database.read(lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id))
        if found is None:
            raise unknown()
        return found

    async def link(self, stored: StoredEnrolment) -> str:
        """The vendor's link itself, made as the page makes it. Raises as `links.link_of`."""
        return await links.link_of(self.tenant, stored, Deadline(READ_S))

    async def _page(self, course: str | None, after: str) -> list[StoredEnrolment]:
        name = self.tenant.name
        return await self.tenant.database.read(
            lambda conn: enrolments.active(conn, name, course_id=course, after_id=after, limit=PAGE)
        )

    def _personal(self, stored: StoredEnrolment) -> Row:
        record = stored.record if isinstance(stored.record, Mapping) else {}
        return {column(name): _cell(record.get(name)) for name in create_form(self.tenant).personal}

    def _vendor_course(self, stored: StoredEnrolment) -> str:
        try:
            return "" if stored.course_id is None else self.tenant.vendor_course(stored.course_id)
        except NotFound:  # one row that is odd must not end the list
            return ""

    async def _course_name(self, stored: StoredEnrolment) -> str:
        known = None if stored.course_id is None else self.names.get(stored.course_id)
        if known is None:
            known = await links.course_name(self.tenant, stored, Deadline(READ_S)) or ""
            if stored.course_id is not None:
                self.names[stored.course_id] = known
        return known

    def _start_of(self, day: date) -> float:
        """The day's first moment where the organisation is, in Unix seconds."""
        return datetime.combine(day, time(), tzinfo=ZoneInfo(self.config.progress.zone)).timestamp()


def columns(sheets: Iterable[Sheet]) -> tuple[str, ...]:
    """The columns of a list over these tenants: each one's personal fields under their own names."""
    personal = [column(name) for sheet in sheets for name in create_form(sheet.tenant).personal]
    return (*FIRST, *dict.fromkeys(personal), *LAST)


def column(name: str) -> str:
    """The column of a record's field; one that the list has already is told apart."""
    return f"record.{name}" if name in (*FIRST, *LAST) else name


def course_of(tenant: Tenant, text: str) -> str | None:
    """RTOPilot's id of a course that is given by it or by the vendor's; None for what can be neither."""
    try:
        tenant.vendor_course(text)
    except NotFound:
        try:
            return tenant.course_id(text)
        except ValueError:
            return None
    return text


def masked(link: str) -> str:
    """The link as it may be shown: where it leads, and the names of its arguments."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}/{HIDDEN}{_names(parts.query, '?')}{_names(parts.fragment, '#')}"


def _names(part: str, mark: str) -> str:
    if not part:
        return ""
    query = part if mark == "?" else part.partition("?")[2]
    shown = "&".join(f"{pair.partition('=')[0]}={HIDDEN}" for pair in query.split("&") if "=" in pair)
    if mark == "#":
        return f"#{HIDDEN}?{shown}" if shown else f"#{HIDDEN}"
    return f"?{shown or HIDDEN}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else as_text(value)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_columns(row: Row, head: Sequence[str]) -> tuple[str, ...]:
    """The cells of a row under this head; empty where its tenant has no such field."""
    return tuple(row.get(name, "") for name in head)
