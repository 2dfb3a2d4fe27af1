"""RTOPilot's outgoing calls: render the slot's templates, send once, judge the answer, keep a journal.

Source: vendors/rtopilot.md 2.2, 2.4 and 7.1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from gateway.contract import Operation
from gateway.sandbox.client import new_client
from gateway.sandbox.rtopilot_slots import GETS, Slot, Slots
from gateway.sandbox.rtopilot_switches import Switches
from gateway.sandbox.rtopilot_templates import Values, render_body, render_url, whatwg_url
from gateway.sandbox.rtopilot_validators import Reason, judge

MAX_ANSWER_BYTES = 20_000_000
MAX_HOPS = 5
JOURNAL_LENGTH = 10_000

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request as rendered: `url` is absolute and holds the very characters of the request line."""

    operation: Operation
    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response, whole."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One line of the journal.

    `answer` is None if there was none; `error` is set if the operation failed with this exchange.
    """

    number: int
    sent: Sent
    sent_at: datetime
    answer: Answer | None = None
    ended_at: datetime | None = None
    error: ServerError | None = None


class ServerError(Exception):
    """The operation failed, and the person doing it sees an error. `status` is None without an answer."""

    def __init__(
        self,
        operation: Operation,
        reason: Reason,
        *,
        status: int | None = None,
        complaints: tuple[str, ...] = (),
    ) -> None:
        self.operation = operation
        self.reason = reason
        self.status = status
        self.complaints = complaints
        super().__init__(f"{operation} failed ({reason}, status {status}): {'; '.join(complaints)}")


class Caller:
    """Calls the endpoints in `slots`, each exactly once per operation, whatever happens.

    Use it as an async context manager, or pass a `client` of your own, which is then left open. Only a client
    with a real connection puts raw URLs on the wire unchanged.
    """

    def __init__(
        self,
        slots: Slots,
        *,
        switches: Switches | None = None,
        client: httpx.AsyncClient | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.slots = slots
        self.switches = switches if switches is not None else Switches()
        self.journal: deque[Exchange] = deque(maxlen=JOURNAL_LENGTH)
        self.now = now
        self._count = 0
        self._owned = client is None
        self._client = client if client is not None else new_client()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._owned:
            await self._client.aclose()

    async def call(self, operation: Operation, values: Values) -> Answer:
        """Do `operation` once; the answer has passed every validator.

        Raises TemplateError (nothing was sent), ServerError, or LookupError if the slot is blank.
        """
        slot = self.slots.get(operation)
        if slot is None:
            raise LookupError(f"the slot of {operation} is blank")
        sent = self.render(operation, slot, values)
        trail: list[Exchange] = []
        try:
            async with asyncio.timeout(self.switches.timeout_s):
                answer = await self._send_following(sent, trail)
        except TimeoutError:
            raise failed(trail[-1], "timeout", ()) from None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise failed(trail[-1], "connect", (f"{type(exc).__name__}: {exc}",)) from exc
        verdict = judge(operation, answer.status, answer.body)
        if verdict.reason is not None:
            raise failed(trail[-1], verdict.reason, verdict.complaints)
        return answer

    def render(self, operation: Operation, slot: Slot, values: Values) -> Sent:
        """The request that `values` make of a slot. Raises TemplateError."""
        headers = slot.auth.headers()
        is_get = operation in GETS
        if not is_get and self.switches.content_type:
            headers.append(("Content-Type", "application/json"))
        return Sent(
            operation=operation,
            method="GET" if is_get else "POST",
            url=render_url(slot.url, operation, values, self.switches),
            headers=tuple(headers),
            body=b"" if is_get else render_body(slot.body, operation, values, self.switches),
        )

    async def _send_following(self, sent: Sent, trail: list[Exchange]) -> Answer:
        answer = await self._send(sent, trail)
        # By hand: httpx would send the old request line to the new address.
        while (
            self.switches.follow_redirects and len(trail) <= MAX_HOPS and (onward := redirected(sent, answer))
        ):
            sent = onward
            answer = await self._send(sent, trail)
        return answer

    async def _send(self, sent: Sent, trail: list[Exchange]) -> Answer:
        self._count += 1
        exchange = Exchange(number=self._count, sent=sent, sent_at=self.now())
        self.journal.append(exchange)
        trail.append(exchange)
        try:
            exchange.answer = await self._receive(sent)
        finally:
            exchange.ended_at = self.now()
        return exchange.answer

    async def _receive(self, sent: Sent) -> Answer:
        request = self._client.build_request(
            sent.method,
            sent.url,
            headers=[(name.encode(), value.encode()) for name, value in sent.headers],
            content=sent.body if sent.method == "POST" else None,
            timeout=None,  # httpx counts per read; `call` counts in all
            # httpx tidies URLs; the extension puts the request line on the wire as it is.
            extensions={"target": target_of(sent.url)},
        )
        response = await self._client.send(request, stream=True)
        try:
            body = await read_capped(response)
        finally:
            await response.aclose()
        return Answer(status=response.status_code, headers=tuple(response.headers.items()), body=body)


def failed(exchange: Exchange, reason: Reason, complaints: tuple[str, ...]) -> ServerError:
    """The error this exchange ends in, noted in the journal too."""
    status = None if exchange.answer is None else exchange.answer.status
    exchange.error = ServerError(exchange.sent.operation, reason, status=status, complaints=complaints)
    return exchange.error


async def read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise httpx.ReadError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def target_of(url: str) -> bytes:
    """Path and query of an absolute URL, character for character."""
    _, _, rest = url.partition("://")
    _, slash, target = rest.partition("/")
    return (slash + target).encode("ascii")


def redirected(sent: Sent, answer: Answer) -> Sent | None:
    """The next request a redirect asks for, or None. Credentials stay with the origin they were meant for."""
    location = answer.header("location")
    if answer.status not in (301, 302, 303, 307, 308) or location is None:
        return None
    url = whatwg_url(urljoin(sent.url, location))
    repeat = answer.status in (307, 308)
    same_origin = urlsplit(url)[:2] == urlsplit(sent.url)[:2]
    return Sent(
        operation=sent.operation,
        method=sent.method if repeat else "GET",
        url=url,
        headers=tuple(
            (name, value)
            for name, value in sent.headers
            if (repeat if name == "Content-Type" else same_origin)
        ),
        body=sent.body if repeat else b"",
    )
