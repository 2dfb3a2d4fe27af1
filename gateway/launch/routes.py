"""The page of an enrolment: `GET /launch/{tenant}/{token}`, for its learner.

    token -> enrolment -> still active -> link -> page

It stands beside `/t/`, for what stands there may be RTOPilot's secret. The log names neither address nor
learner nor link. Whoever has no right token is told nothing, and costs neither the store nor the LMS a call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.errors import GatewayError, InternalError, NotFound, StoreError
from gateway.launch import links, page, token
from gateway.launch.page import Words
from gateway.launch.terms import LaunchConfig
from gateway.perform.tenant import Tenant
from gateway.rtopilot.routes import log_crash
from gateway.store import enrolments
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.retry import Deadline

METHODS = ("GET", "HEAD")
RETRY_AFTER_S = 60
SHAPE = "/launch/{tenant}/{token}"
ANSWER_S = 8.0

Find = Callable[[str, str], Tenant | None]
"""Tenant as in the address, enrolment id -> the tenant at work whose enrolment that would be."""

log = logging.getLogger("gateway.launch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launches:
    """What pages are made from.

    `key` proves tokens; `terms` are those of each tenant at work, by its name; `contacts` whom learners of an
    organisation ask, by its name in addresses: of one that is not in it there are no pages.
    """

    key: bytes = field(repr=False)
    find: Find
    terms: Mapping[str, LaunchConfig]
    contacts: Mapping[str, str | None]
    answer_s: float = ANSWER_S


def launch_routes(
    launches: Callable[[], Launches], *, new_reference: Callable[[], str] | None = None
) -> list[Route]:
    """The routes; `launches` is asked on each request."""
    desk = Desk(launches, new_reference or (lambda: secrets.token_hex(6)))
    return [Route(f"{SHAPE}{slash}", endpoint=desk) for slash in ("", "/")]


class _Closed(Exception):
    """The course cannot be opened: what the page says, and what the log does."""

    def __init__(self, words: Words, why: str) -> None:
        self.words, self.why = words, why
        super().__init__(why)


@dataclass(slots=True)
class _Line:
    """What is known of one request so far: for the log, and for whom to ask."""

    tenant: str = "-"
    contact: str | None = None
    outcome: str = "opened"


class Desk:
    """The ASGI application behind the pages of all enrolments."""

    def __init__(self, launches: Callable[[], Launches], new_reference: Callable[[], str]) -> None:
        self._launches = launches
        self._new_reference = new_reference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, reference, line = time.perf_counter(), self._new_reference(), _Line()
        try:
            status, text = 200, await self._answer(scope, line, reference)
        except _Closed as closed:
            status, line.outcome = closed.words.status, closed.why
            text = page.closed_page(closed.words, line.contact, reference)
        except Exception as exc:  # noqa: BLE001 - the last stop before the learner: a fixed sentence
            status, line.outcome = 500, InternalError.code
            text = page.closed_page(page.BROKEN, line.contact, reference)
            log_crash(exc, reference)
        await _send(send, status, text, reference, head=scope["method"] == "HEAD")
        log.log(
            logging.WARNING if status >= 500 else logging.INFO,
            "%s %s tenant=%s %d %.1f ms %s: %s",
            scope["method"],
            SHAPE,
            line.tenant,
            status,
            (time.perf_counter() - started) * 1000,
            reference,
            line.outcome,
        )

    async def _answer(self, scope: Scope, line: _Line, reference: str) -> str:
        """The page with the link. Raises _Closed where there is none."""
        if scope["method"] not in METHODS:
            raise _Closed(page.ONLY_READ, "method_not_allowed")
        launches = self._launches()
        try:
            async with asyncio.timeout(launches.answer_s):
                return await _open(launches, scope["path_params"], line, reference)
        except TimeoutError:
            raise _Closed(page.LATER, "no answer in time") from None
        except StoreError as error:
            raise _Closed(page.LATER, f"the store cannot be used: {error}") from error
        except GatewayError as error:
            raise _Closed(_words(error), error.detail or error.code) from error


def _words(error: GatewayError) -> Words:
    match error:
        case NotFound():
            return page.UNKNOWN
        case InternalError():
            return page.BROKEN
        case _:  # the mapping's own read: whatever it says, it may say otherwise later
            return page.LATER


async def _open(launches: Launches, path: Mapping[str, str], line: _Line, reference: str) -> str:
    tenant, stored = await _enrolment(launches, path, line)
    terms = launches.terms.get(tenant.name, LaunchConfig())
    line.contact = terms.contact or line.contact
    if stored.state != "active":
        raise _Closed(page.ENDED, f"the enrolment is {stored.state}")
    ends = terms.expires_at(stored)
    if ends is not None and tenant.database.clock.now() >= ends:
        raise _Closed(page.EXPIRED, "expired")
    deadline = Deadline(launches.answer_s)
    link = await links.link_of(tenant, stored, deadline)
    name = await links.course_name(tenant, stored, deadline)
    return page.open_page(link, name, line.contact, _help(tenant, stored, reference))


async def _enrolment(
    launches: Launches, path: Mapping[str, str], line: _Line
) -> tuple[Tenant, StoredEnrolment]:
    """Whose page this is. Raises _Closed, the same for a wrong token as for an unknown enrolment."""
    organisation = path["tenant"]
    if organisation in launches.contacts:
        line.tenant, line.contact = organisation, launches.contacts[organisation]
    enrolment_id = token.read(launches.key, organisation, path["token"])
    if enrolment_id is None:
        raise _Closed(page.UNKNOWN, "the token is not right")
    tenant = launches.find(organisation, enrolment_id)
    if tenant is None or tenant.mapping.launch is None:
        raise _Closed(page.UNKNOWN, "no launch links here")
    stored = await tenant.database.read(lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id))
    if stored is None:
        raise _Closed(page.UNKNOWN, "the enrolment is not in the store")
    line.tenant = tenant.name
    return tenant, stored


def _help(tenant: Tenant, stored: StoredEnrolment, reference: str) -> str | None:
    try:
        return links.help_of(tenant, stored)
    except InternalError as error:  # the course can be opened without it
        log.warning("%s tenant=%s no help is shown: %s", reference, tenant.name, error.detail or error.code)
        return None


async def _send(send: Send, status: int, text: str, reference: str, *, head: bool) -> None:
    body = text.encode("utf-8", "replace")
    headers = {**page.HEADERS, "content-length": str(len(body)), "x-reference": reference}
    if status == 503:
        headers["retry-after"] = str(RETRY_AFTER_S)
    if status == 405:
        headers["allow"] = ", ".join(METHODS)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if head else body})
