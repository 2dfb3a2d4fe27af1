"""An httpx transport on aiohttp's connection pool: the fast half of every outgoing call.

httpx's own pool does work that grows with the number of connections and of waiting requests; aiohttp's
does not. Two traps are avoided: addresses are never parsed again (`%2F` leaves as written), and nothing is
sent twice by a library (aiohttp repeats a GET, PUT or DELETE when a kept connection turns out to be closed).
"""

from __future__ import annotations

import functools
import logging
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from gateway.errors import AnswerLost, HostRefused, NotSent, TransportError
from gateway.outbound.addresses import is_public

# At INFO these write whole addresses, with whatever secret stands in them.
for _name in ("httpx", "httpcore", "aiohttp"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MAX_HEADER_LINE_BYTES = 16_384
MAX_HEADERS = 128
# Just below the shortest usual keep-alive of servers (Apache and Node: 5 s): a write on a connection that
# the server is closing is a write in doubt.
KEEP_ALIVE_S = 4.0

# Most specific first; the first match holds. NotSent only where a connection was never made.
OUTCOMES: tuple[tuple[type[Exception], type[TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, NotSent),
    (aiohttp.ClientConnectorError, NotSent),
    (aiohttp.ServerFingerprintMismatch, NotSent),
    (aiohttp.RedirectClientError, AnswerLost),
    (aiohttp.InvalidURL, HostRefused),
    (aiohttp.NonHttpUrlClientError, HostRefused),
    (aiohttp.ClientError, AnswerLost),
    (HttpProcessingError, AnswerLost),
    (OSError, AnswerLost),
)
_KNOWN = tuple(theirs for theirs, _ in OUTCOMES)


def outcome(exc: Exception) -> TransportError:
    """What a failure of the library means for us.

    Its text stays behind in the cause: it may hold an address, and the address a secret.
    """
    ours = next(ours for theirs, ours in OUTCOMES if isinstance(exc, theirs))
    return ours(type(exc).__name__)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends `httpx.Request`s through aiohttp; opens its connector at the first request.

    Two request extensions: `target` (bytes; httpx's own) is the path and query as they go on the wire; `sent`
    is kept here, False until there is a connection, so that whoever cuts the call short knows what it means.
    Raises NotSent, AnswerLost or HostRefused instead of httpx's errors. No cookies, no proxies, no redirects;
    gzip and deflate are decoded here, in pieces of bounded size.
    """

    def __init__(
        self,
        *,
        public_only_hosts: frozenset[str],
        connect_s: float,
        read_s: float,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._public_only_hosts = public_only_hosts
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=read_s)
        self._max_connections = max_connections
        self._tls = tls
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        session = self._session or self._open()
        request.extensions["sent"] = False
        target: bytes = request.extensions.get("target") or request.url.raw_path
        answer = await session.request(
            request.method,
            URL(_origin(request.url) + target.decode("ascii"), encoded=True),
            headers=[(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.headers.raw],
            data=await _content(request) or None,
            allow_redirects=False,
            middlewares=(_Once(request),),
        )
        # The body arrives decoded, so nobody may read this response but through its stream.
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise NotSent("the pool is closed")
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            keepalive_timeout=KEEP_ALIVE_S,
            ssl=self._tls or default_tls(),
            resolver=CheckedResolver(self._public_only_hosts, self._resolver or aiohttp.ThreadedResolver()),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=_Outgoing,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=self._timeout,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            max_line_size=MAX_HEADER_LINE_BYTES,
            max_field_size=MAX_HEADER_LINE_BYTES,
            max_headers=MAX_HEADERS,
        )
        return self._session


class CheckedResolver(AbstractResolver):
    """Looks names up, and refuses the hosts named here if any of their addresses is not public.

    The connector dials the very addresses returned, so a second look-up cannot say something else.
    """

    def __init__(self, public_only_hosts: frozenset[str], inner: AbstractResolver) -> None:
        self._public_only_hosts = public_only_hosts
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if host in self._public_only_hosts and not all(is_public(each["host"]) for each in found):
            raise HostRefused(f"host {host!r} has an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


class _Outgoing(aiohttp.ClientRequest):
    """One request of aiohttp's, which tells the httpx request it came from that it has a connection."""

    origin: httpx.Request

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        self.origin.extensions["sent"] = True
        return await super().send(conn)


class _Once:
    """Client middleware: one request, one attempt.

    aiohttp sends a GET, PUT or DELETE again when a kept connection turns out to be closed, but vendors change
    things with GET. The errors that make it try again never reach it: they leave here as ours.
    """

    __slots__ = ("_origin",)

    def __init__(self, origin: httpx.Request) -> None:
        self._origin = origin

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        assert isinstance(request, _Outgoing)
        request.origin = self._origin
        try:
            return await handler(request)
        except _KNOWN as exc:
            raise outcome(exc) from exc


class _Body(httpx.AsyncByteStream):
    """The answer's decoded body in pieces; its connection is kept if it was read to the end."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._answer.content.readany()
        except _KNOWN as exc:
            raise outcome(exc) from exc
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._answer.close()


async def _content(request: httpx.Request) -> bytes:
    if isinstance(request.stream, httpx.SyncByteStream):
        return b"".join(request.stream)  # plain bytes: 7 µs less than reading them asynchronously
    return await request.aread()


@functools.lru_cache(maxsize=256)
def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


@functools.cache
def default_tls() -> ssl.SSLContext:
    """One context for all pools: SSL_CERT_FILE or SSL_CERT_DIR if set, else the certificates httpx brings."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
