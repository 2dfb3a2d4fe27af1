"""One pool of connections for one tenant and one vendor: which calls, for how long, how much comes back."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from gateway.errors import AnswerLost, NotSent, ReplyTooLarge
from gateway.outbound.addresses import Base, checked_base, checked_target
from gateway.outbound.transport import AiohttpTransport

MAX_BASES = 256
# Headers that say where a message goes and where it ends: set here and nowhere else.
_OWN_HEADERS = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_DEFAULT_HEADERS = {"user-agent": "lms-gateway", "accept": "*/*", "accept-encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a vendor answered, whole.

    `headers` have lower-case names with "_" for "-", repeated ones joined by ", "; `content` is decompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed_s: float


class Pool:
    """Calls to the hosts of one mapping, for one tenant. An async context manager, or `aclose()`.

    `hosts` are exact names without ports. A host in `public_only_hosts` must resolve to public addresses.
    `connect_s` bounds waiting for a connection, name look-up, TCP and TLS together; `read_s` each silence.
    `tls` replaces the usual certificates; `transport` the network (tests).
    """

    def __init__(
        self,
        *,
        hosts: Iterable[str],
        public_only_hosts: Iterable[str] = (),
        connect_s: float = 2.0,
        read_s: float = 5.0,
        max_bytes: int = 10_000_000,
        max_connections: int = 100,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._public_only_hosts = frozenset(host.lower() for host in public_only_hosts)
        self._max_bytes = max_bytes
        self._bases: dict[str, tuple[Base, httpx.URL]] = {}
        self._transport = transport or AiohttpTransport(
            public_only_hosts=self._public_only_hosts,
            connect_s=connect_s,
            read_s=read_s,
            max_connections=max_connections,
            tls=tls,
        )

    async def send(
        self,
        method: str,
        base: str,
        target: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout_s: float,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request, once, and read the whole answer, whatever its status.

        `base` is `https://host[:port][/path]`; `target` is encoded already, and leaves byte for byte;
        `query` is encoded here. Redirects are answers like any other; cookies are not kept.

        Raises NotSent (nothing can have arrived), AnswerLost (it may have), ReplyTooLarge, HostRefused,
        and ValueError for a header that HTTP cannot carry or that the gateway sets itself.
        """
        request = self._request(method, base, target, query, headers, content)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._transport.handle_async_request(request)
                body = await _whole(response, self._max_bytes if max_bytes is None else max_bytes)
        except TimeoutError as exc:
            if request.extensions.get("sent", True):
                raise AnswerLost(f"no whole answer within {timeout_s:g} s") from exc
            raise NotSent(f"no connection within {timeout_s:g} s") from exc
        return Answer(
            status=response.status_code,
            headers=_flat(response.headers.raw),
            content=body,
            elapsed_s=time.perf_counter() - started,
        )

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _request(
        self,
        method: str,
        base: str,
        target: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None,
        content: bytes,
    ) -> httpx.Request:
        checked, origin = self._bases.get(base) or self._base(base)
        # The address is parsed once per base: httpx takes the rest as its `target` extension, unparsed.
        wire = checked_target(checked, target, query).encode("ascii")
        # Given a stream, httpx leaves Host and Content-Length to the transport, which would set them anyway.
        return httpx.Request(
            method,
            origin,
            headers=_sendable(headers) if headers else _DEFAULT_HEADERS,
            stream=httpx.ByteStream(content),
            extensions={"target": wire},
        )

    def _base(self, text: str) -> tuple[Base, httpx.URL]:
        checked = checked_base(text, hosts=self._hosts, public_only_hosts=self._public_only_hosts)
        if len(self._bases) >= MAX_BASES:
            self._bases.clear()
        self._bases[text] = (checked, httpx.URL(checked.origin))
        return self._bases[text]


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    whole = dict(_DEFAULT_HEADERS)
    for name, value in headers.items():
        lower = name.lower()
        if lower in _OWN_HEADERS:
            raise ValueError(f"the header {lower!r} is set by the gateway")
        if not _HEADER_NAME.fullmatch(lower) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {lower!r} has characters that HTTP cannot carry")
        whole[lower] = value
    return whole


async def _whole(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, read to its end and never past `max_bytes`; whatever goes wrong closes the connection."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    pieces: list[bytes] = []
    room = max_bytes
    try:
        async for piece in stream:
            room -= len(piece)
            if room < 0:
                raise ReplyTooLarge(f"the answer is larger than {max_bytes} bytes")
            pieces.append(piece)
    finally:
        await stream.aclose()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _flat(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1").lower().replace("-", "_")
        text = value.decode("latin-1")
        flat[key] = f"{flat[key]}, {text}" if key in flat else text
    return flat
