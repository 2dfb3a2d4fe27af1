"""RTOPilot's progress endpoint in the bench's own process: takes every PUT, and says when it came."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vendor import content_length

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"updated":1}'


@dataclass(slots=True)
class Office:
    """What came: `taken` counts the PUTs, the times are those of time.monotonic. `url` is its origin."""

    url: str = ""
    taken: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    _expected: dict[tuple[str, int], asyncio.Future[float]] = field(default_factory=dict)

    def expect(self, id: str, value: int) -> asyncio.Future[float]:
        """When this value of this enrolment has come."""
        return self._expected.setdefault((id, value), asyncio.get_running_loop().create_future())

    def forget(self) -> None:
        self.taken, self.first_at, self.last_at = 0, 0.0, 0.0

    def take(self, body: bytes) -> None:
        now = time.monotonic()
        self.taken += 1
        self.first_at, self.last_at = self.first_at or now, now
        said = json.loads(body)
        waiting = self._expected.pop((said["lmsEnrolmentId"], said["progress"]), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(now)


class _Wire(asyncio.Protocol):
    """Whole requests with Content-Length, one at a time, kept alive."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._waiting = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        size = content_length(head)
        if not end or len(rest) < size:
            return
        self._waiting = rest[size:]
        self._office.take(rest[:size])
        self._transport.write(_ANSWER)


@asynccontextmanager
async def open_office() -> AsyncIterator[Office]:
    office = Office()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Wire(office), "127.0.0.1", 0, backlog=2048
    )
    office.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield office
    finally:
        server.close()
