"""A load client that costs little itself: raw HTTP/1.1 over kept-alive sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vendor import content_length


@dataclass(slots=True, kw_only=True)
class Measured:
    """What one burst of requests did; `latencies_s` has one entry per request."""

    wall_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failures: dict[int, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return len(self.latencies_s)

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("nan")

    def add(self, other: Measured) -> None:
        self.wall_s += other.wall_s
        self.latencies_s += other.latencies_s
        for status, count in other.failures.items():
            self.failures[status] = self.failures.get(status, 0) + count


class Socket(asyncio.Protocol):
    """One kept-alive connection; `call` sends a whole request and returns status and body."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = -1
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed before the answer was whole"))

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._missing < 0:
            self._pieces = [data := b"".join(self._pieces)]
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            self._missing = end + 4 + content_length(data[:end])
        self._missing -= len(data)
        if self._missing == 0 and self._answer is not None:
            whole = b"".join(self._pieces)
            self._pieces, self._missing = [], -1
            self._answer.set_result((int(whole[9:12]), whole[whole.find(b"\r\n\r\n") + 4 :]))

    async def call(self, request: bytes) -> tuple[int, bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()


async def opened(port: int) -> Socket:
    _, protocol = await asyncio.get_running_loop().create_connection(Socket, "127.0.0.1", port)
    return protocol


def request(
    method: str, path: str, token: str = "", body: bytes = b"", more: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """A whole request; `more` are headers besides the usual."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench.example\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    head += "".join(f"{name}: {value}\r\n" for name, value in more.items())
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def ordered(vendor: str, what: str) -> int:
    """Tell the bench's vendor, at this origin, what to do (vendor.py); how many calls it has had so far."""
    caller = await opened(int(vendor.rpartition(":")[2]))
    _, body = await caller.call(request("GET", f"/_{what}"))
    caller.close()
    return int(body)


async def burst(port: int, requests: Iterator[bytes], *, callers: int, seconds: float) -> Measured:
    """`callers` sockets, each with one request out at any time, for `seconds`."""
    sockets = [await opened(port) for _ in range(callers)]
    measured = Measured()
    started = time.perf_counter()

    async def caller(socket: Socket) -> None:
        while (at := time.perf_counter()) - started < seconds:
            status, _ = await socket.call(next(requests))
            measured.latencies_s.append(time.perf_counter() - at)
            if status != 200:
                measured.failures[status] = measured.failures.get(status, 0) + 1

    await asyncio.gather(*(caller(socket) for socket in sockets))
    measured.wall_s = time.perf_counter() - started
    for socket in sockets:
        socket.close()
    return measured
