"""RTOPilot's webhooks: subscriptions of one event each, signed deliveries, retries, the Test button.

What is not documented is a switch. Source: vendors/rtopilot.md 2.4, 5 and 7.3.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self

import httpx

from gateway.sandbox.client import new_client
from gateway.sandbox.control import Clock
from gateway.sandbox.rtopilot_events import MERGED_KEYS, Envelope, example
from gateway.sandbox.rtopilot_slots import Auth
from gateway.sandbox.signing import Encoding, Hash, KeyForm, key_bytes, sign

TEST_EVERY = timedelta(seconds=10)
MAX_REPLY_BYTES = 64_000
JOURNAL_LENGTH = 10_000
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A candidate signature scheme.

    `{t}` in `prefix` stands for the timestamp, so that `t={t},v1=` writes the list of that form;
    `timestamp_header` is the header of its own that carries it, if any. Times are Unix seconds.
    """

    header: str = "X-Signature"
    algorithm: Literal["hmac-sha256", "hmac-sha512", "hmac-sha1"] = "hmac-sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    signed: Literal["raw", "timestamp.raw"] = "raw"
    timestamp_header: str = ""
    key: KeyForm = "text"

    def headers(self, body: bytes, secret: str, at: int) -> list[tuple[str, str]]:
        """The headers that prove this body. Raises ValueError when the secret is not of the key's form."""
        name: Hash = self.algorithm.removeprefix("hmac-")  # type: ignore[assignment]
        message = f"{at}.".encode() + body if self.signed == "timestamp.raw" else body
        signature = sign(message, key_bytes(secret, self.key), hash=name, encoding=self.encoding)
        stamped = [(self.timestamp_header, str(at))] if self.timestamp_header else []
        return [*stamped, (self.header, self.prefix.replace("{t}", str(at)) + signature)]

    def new_secret(self) -> str:
        """A secret of the form this scheme reads."""
        raw = secrets.token_bytes(32)
        return {"hex": raw.hex(), "base64": base64.b64encode(raw).decode()}.get(self.key, raw.hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSwitches:
    """What is not known about the sender.

    `retries` are the waits before each further attempt, in seconds, compressed for tests. A retry carries the
    same bytes and headers, or, with `new_timestamp`, is made anew. `signature` None: not signed.
    """

    envelope: Envelope = Envelope()
    signature: Scheme | None = Scheme()
    retries: tuple[float, ...] = (0.02, 0.05, 0.1)
    new_timestamp: bool = False
    timeout_s: float = 10.0
    merged_key: str = MERGED_KEYS[0]
    content_type: str = "application/json"


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One webhook: one event, one address, one secret that cannot be changed."""

    number: int
    event: str
    url: str
    secret: str = field(repr=False)
    auth: Auth = Auth()
    active: bool = True
    tested_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One line of the journal: what was sent and what RTOPilot's administrators see of the answer.

    `delivery` is the same for all attempts of one event at one subscription. Without an answer `status` is
    None and `error` says why.
    """

    delivery: str
    subscription: int
    event: str
    number: int
    test: bool
    sent_at: datetime
    headers: Headers = field(repr=False)
    body: bytes
    status: int | None = None
    reply: bytes = b""
    error: str = ""

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status <= 299


class TestTooSoon(Exception):
    """The Test button was pressed within 10 seconds of the last time."""

    __test__ = False  # its name looks like a test's


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The bytes of one request, made once for a delivery or, if switched so, once for each attempt."""

    headers: Headers
    body: bytes


class WebhookSender:
    """Posts events to the subscriptions that want them, and keeps a journal of every attempt.

    Use it as an async context manager, or pass a `client` of your own, which is then left open.
    """

    def __init__(
        self,
        *,
        switches: WebhookSwitches | None = None,
        clock: Clock | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.switches = switches if switches is not None else WebhookSwitches()
        self.clock = clock if clock is not None else Clock()
        self.subscriptions: list[Subscription] = []
        self.journal: deque[Attempt] = deque(maxlen=JOURNAL_LENGTH)
        self._deliveries = 0
        self._owned = client is None
        self._client = client if client is not None else new_client()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._owned:
            await self._client.aclose()

    def subscribe(
        self, event: str, url: str, *, auth: Auth | None = None, secret: str | None = None
    ) -> Subscription:
        """Make a webhook for one event; its secret is made here unless given."""
        scheme = self.switches.signature or Scheme()
        made = Subscription(
            number=len(self.subscriptions) + 1,
            event=event,
            url=url,
            secret=scheme.new_secret() if secret is None else secret,
            auth=auth if auth is not None else Auth(),
        )
        self.subscriptions.append(made)
        return made

    def subscribe_all(
        self, base_url: str, tenant: str, events: Iterable[str], *, auth: Auth | None = None
    ) -> dict[str, Subscription]:
        """A webhook for each event at `{base_url}/t/{tenant}/hooks/{event}`, by event."""
        base = f"{base_url.rstrip('/')}/t/{tenant}/hooks"
        return {event: self.subscribe(event, f"{base}/{event}", auth=auth) for event in events}

    async def emit(
        self, event: str, data: Mapping[str, Any] | None = None, *, copies: int = 1
    ) -> list[Attempt]:
        """Send one event to every active subscription of it, retries and all; the last attempt of each.

        `copies` sends the very same delivery several times at once.
        """
        found = [each for each in self.subscriptions if each.active and each.event == event]
        chosen = example(event, merged_key=self.switches.merged_key) if data is None else data
        sent = [self._delivered(each, self._new_delivery(), chosen, copies) for each in found]
        return [attempt for attempts in await asyncio.gather(*sent) for attempt in attempts]

    async def test(self, subscription: Subscription) -> Attempt:
        """The Test button: example data, once. Raises TestTooSoon within 10 seconds of the last."""
        now, last = self.clock.now(), subscription.tested_at
        if last is not None and now - last < TEST_EVERY:
            raise TestTooSoon(f"webhook {subscription.number} was tested less than 10 seconds ago")
        subscription.tested_at = now
        data = example(subscription.event, merged_key=self.switches.merged_key)
        delivery = self._new_delivery()
        message = self.message(subscription, delivery, data)
        return await self._attempt(subscription, delivery, message, number=1, test=True)

    def message(self, subscription: Subscription, delivery: str, data: Mapping[str, Any]) -> Message:
        """The request as it would leave now."""
        at = int(self.clock.now().timestamp())
        value = self.switches.envelope.around(subscription.event, data, id=delivery, at=at)
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        scheme = self.switches.signature
        signed = scheme.headers(body, subscription.secret, at) if scheme is not None else []
        labelled = ("Content-Type", self.switches.content_type)
        return Message(headers=(labelled, *subscription.auth.headers(), *signed), body=body)

    async def again(self, attempt: Attempt) -> Attempt:
        """Send the bytes of an earlier attempt once more, as a late retry or somebody who listened would."""
        subscription = self.subscriptions[attempt.subscription - 1]
        message = Message(headers=attempt.headers, body=attempt.body)
        return await self._attempt(subscription, attempt.delivery, message, number=attempt.number + 1)

    def attempts(self, event: str | None = None) -> list[Attempt]:
        return [each for each in self.journal if event in (None, each.event)]

    async def _delivered(
        self, subscription: Subscription, delivery: str, data: Mapping[str, Any], copies: int
    ) -> list[Attempt]:
        first = self.message(subscription, delivery, data)
        each = (self._tried(subscription, delivery, data, first) for _ in range(copies))
        return list(await asyncio.gather(*each))

    async def _tried(
        self, subscription: Subscription, delivery: str, data: Mapping[str, Any], message: Message
    ) -> Attempt:
        attempt = await self._attempt(subscription, delivery, message, number=1)
        for number, wait in enumerate(self.switches.retries, 2):
            if attempt.delivered:
                break
            await asyncio.sleep(wait)
            if self.switches.new_timestamp:
                message = self.message(subscription, delivery, data)
            attempt = await self._attempt(subscription, delivery, message, number=number)
        return attempt

    async def _attempt(
        self, subscription: Subscription, delivery: str, message: Message, *, number: int, test: bool = False
    ) -> Attempt:
        attempt = Attempt(
            delivery=delivery,
            subscription=subscription.number,
            event=subscription.event,
            number=number,
            test=test,
            sent_at=self.clock.now(),
            headers=message.headers,
            body=message.body,
        )
        self.journal.append(attempt)
        try:
            answer = await self._client.post(
                subscription.url,
                headers=[(name.encode(), value.encode()) for name, value in message.headers],
                content=message.body,
                timeout=self.switches.timeout_s,
            )
        except httpx.HTTPError as exc:
            attempt.error = f"{type(exc).__name__}: {exc}"
        else:
            attempt.status, attempt.reply = answer.status_code, answer.content[:MAX_REPLY_BYTES]
        return attempt

    def _new_delivery(self) -> str:
        self._deliveries += 1
        return f"whd_{self._deliveries}"
