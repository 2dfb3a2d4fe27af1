"""Running an ASGI app on a free port of this machine: as a process, or in a thread beside a test."""

import argparse
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"
STOP_S = 10.0


class _Server(uvicorn.Server):
    """A uvicorn server that says when it has begun to accept connections."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def serve(app: ASGIApp, *, port: int = 0, host: str = HOST) -> None:
    """Serve until SIGINT or SIGTERM; prints one line, `listening on http://HOST:PORT`, when ready."""
    with _bound(host, port) as sock:
        url = _url(sock)
        server = _server(app, lambda: print(f"listening on {url}", flush=True))
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[sock])


@contextlib.contextmanager
def running(app: ASGIApp, *, port: int = 0, host: str = HOST) -> Iterator[str]:
    """Serve in a thread for the length of a `with` block, which receives the base URL (no trailing slash)."""
    ready = threading.Event()
    with _bound(host, port) as sock:
        url = _url(sock)
        server = _server(app, ready.set)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [sock]}, name=f"serve {url}", daemon=True
        )
        thread.start()
        try:
            if not ready.wait(STOP_S):
                raise RuntimeError(f"{url} did not start")
            yield url
        finally:
            server.should_exit = True
            thread.join(STOP_S)


def add_port_options(parser: argparse.ArgumentParser) -> None:
    """The options every stand-in's own command line shares."""
    parser.add_argument("--host", default=HOST, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")


def _server(app: ASGIApp, on_ready: Callable[[], None]) -> _Server:
    # One second for open requests, so that a stand-in kept waiting by a slow fault still stops.
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    return _Server(config, on_ready)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named: asyncio only turns Nagle off (40 ms a request) where it is
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
