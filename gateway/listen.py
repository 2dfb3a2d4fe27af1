"""Listening: applications on sockets of this machine, several in one event loop, stopped gracefully.

    async with listening(app, "127.0.0.1", 0) as url: ...

uvicorn without its access log (it writes URLs), its signal handlers (there is more than one server) and its
lifespan (whoever opened the application closes it). httptools sets no bounds by itself; BoundedProtocol does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together."""
HEAD_TIMEOUT_S = 10.0
"""From the first connection, or the first byte of a request, to the end of its headers."""
MAX_CONNECTIONS = 1_000
STOP_S = 10.0


class CannotListen(Exception):
    """The address is taken, or is not one of this machine; `str` says so in a sentence."""


class BoundedProtocol(HttpToolsProtocol):
    """httptools with bounds: a head is at most MAX_HEAD_BYTES, and arrives within HEAD_TIMEOUT_S."""

    _head_bytes = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # Counted in what arrived, so a body sent along with its head does not matter: then the head is over.
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_slow)

    def _head_arrived(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """A server that leaves signals alone and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to an address of this machine. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named: asyncio only turns Nagle off (40 ms a request) where it is
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        reason = error.strerror or "it cannot be used"
        raise CannotListen(f"Cannot listen on {host}:{port}: {reason}.") from error
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a bound socket is reached, with its real port: `http://127.0.0.1:8080`."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def listening(app: ASGIApp, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application for the length of the block, which receives its URL.

    Leaving the block stops accepting at once, and waits up to STOP_S for requests under way.
    """
    sock = bound(host, port)
    server = _Server(_config(app))
    task = asyncio.create_task(server.serve(sockets=[sock]), name=f"listen {host}:{port}")
    try:
        url = url_of(sock)
        await server.ready.wait()
        yield url
    finally:
        server.should_exit = True
        await task
        sock.close()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(STOP_S),
    )
