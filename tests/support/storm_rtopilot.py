"""RTOPilot in bad weather, and the vendor's list, in one quick process: hundreds of organisations, all noted.

`PUT /api/enrolments/lms-progress` is answered as `Weather` says, a share of the answers being faults; some
requests take their time and are applied though nobody waits for the answer any more, as by a real server.
`GET /v1/enrolments`, the vendor's list of changes, is always empty: polls are counted here, not answered.
Source: vendors/rtopilot.md 4 and 7.2.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from random import Random
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, urlsplit

import uvloop

from tests.support.gateway_process import CONTEXT

START_S = 90.0
ANSWER_S = 0.003
"""How long RTOPilot thinks about each request, so that a kill finds some on their way."""

Kind = Literal[
    "taken", "500", "502", "503", "429", "429 with Retry-After", "lost before", "lost after", "401"
]
FAULTS: tuple[Kind, ...] = ("500", "502", "503", "429", "429 with Retry-After", "lost before", "lost after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """`faults` is the share of answers that are one of `kinds`."""

    faults: float = 0.0
    kinds: tuple[Kind, ...] = FAULTS
    retry_after_s: tuple[int, int] = (1, 90)


CALM = Weather()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One push as it came: times are of the machine's monotonic clock. `applied`: RTOPilot holds the value.

    `organisation` is empty when nobody has the key.
    """

    organisation: str
    id: str
    value: int
    began: float
    ended: float
    kind: Kind
    applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One call for the vendor's list: whose key, and the time asked about, Unix seconds."""

    key: str
    since: float
    until: float


@dataclass(slots=True, kw_only=True)
class Seen:
    """All that happened: pushes in the order they were applied or refused, and what must never happen."""

    arrivals: list[Arrival] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)

    def held(self) -> dict[tuple[str, str], int]:
        """What RTOPilot holds in the end, by organisation and id."""
        return {(one.organisation, one.id): one.value for one in self.arrivals if one.applied}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`idle_s`: since the last push came or was answered. `pushes`: how many came so far.

    `longest_s`: for how long the oldest of those in flight has been.
    """

    idle_s: float
    in_flight: int
    longest_s: float
    pushes: int
    listings: int


class Rtopilot:
    """The process. `organisations` is key -> name; `url` its origin."""

    def __init__(self, organisations: Mapping[str, str], *, weather: Weather, seed: int) -> None:
        self._ours, theirs = CONTEXT.Pipe()
        arguments = (dict(organisations), weather, seed, theirs)
        self._process = CONTEXT.Process(target=child, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.url = str(self._hear())

    def status(self) -> Status:
        return self._ask("status")  # type: ignore[no-any-return]

    def seen(self) -> Seen:
        return self._ask("seen")  # type: ignore[no-any-return]

    def turn(self, weather: Weather) -> None:
        self._ask("turn", weather)

    def ponder(self, count: int, seconds: float) -> float:
        """The next so many pushes are thought about for so long, and then taken. Since when that is so."""
        return float(self._ask("ponder", count, seconds))

    def leave(self) -> None:
        """Gone: connections are refused from now on, at the same address."""
        self._ask("leave")

    def come_back(self) -> None:
        self._ask("come_back")

    def replace_key(self, old: str, new: str) -> None:
        """The organisation's key is another one now, and the old one is dead."""
        self._ask("replace_key", old, new)

    def close(self) -> None:
        self._process.kill()
        self._process.join(10.0)

    def _ask(self, name: str, *arguments: Any) -> Any:
        self._ours.send((name, arguments))
        return self._hear()

    def _hear(self) -> Any:
        assert self._ours.poll(START_S), "the stand-in does not answer"
        return self._ours.recv()


@contextmanager
def rtopilot_running(
    organisations: Mapping[str, str], *, weather: Weather = CALM, seed: int = 1
) -> Iterator[Rtopilot]:
    process = Rtopilot(organisations, weather=weather, seed=seed)
    try:
        yield process
    finally:
        process.close()


# -- the process itself -------------------------------------------------------------------------------


def child(organisations: dict[str, str], weather: Weather, seed: int, pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(Office(organisations, weather, seed), pipe))


async def _serve(office: Office, pipe: Connection) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    await office.come_back()

    async def obey(name: str, arguments: tuple[Any, ...]) -> None:
        found = getattr(office, name)(*arguments)
        os.set_blocking(pipe.fileno(), True)  # uvloop reads it without; what is sent may be large
        pipe.send(await found if asyncio.iscoroutine(found) else found)

    tasks: set[asyncio.Task[None]] = set()

    def hear() -> None:
        try:
            name, arguments = pipe.recv()
        except EOFError:  # the test has gone
            stop.set()
            return
        task = loop.create_task(obey(name, arguments))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    pipe.send(f"http://127.0.0.1:{office.port}")
    loop.add_reader(pipe.fileno(), hear)
    await stop.wait()


class Office:
    """What the process knows and decides."""

    def __init__(self, organisations: dict[str, str], weather: Weather, seed: int) -> None:
        self.organisations = organisations
        self.weather = weather
        self.random = Random(seed)
        self.port = 0
        self.record = Seen()
        self.in_flight: dict[tuple[str, str], list[float]] = {}
        self.pondered = (0, 0.0)
        self.last = time.monotonic()
        self.pushes = 0
        self.connections: set[Wire] = set()
        self._server: asyncio.Server | None = None

    async def come_back(self) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self._server = await loop.create_server(lambda: Wire(self), sock=sock, backlog=2048)
        self.port = sock.getsockname()[1]

    def leave(self) -> None:
        assert self._server is not None
        self._server.close()
        for wire in list(self.connections):
            wire.close()

    def turn(self, weather: Weather) -> None:
        self.weather = weather

    def ponder(self, count: int, seconds: float) -> float:
        self.pondered = count, seconds
        return time.monotonic()  # told here: no push comes in between

    def replace_key(self, old: str, new: str) -> None:
        self.organisations[new] = self.organisations.pop(old)

    def status(self) -> Status:
        now, since = time.monotonic(), [began for each in self.in_flight.values() for began in each]
        return Status(
            idle_s=now - self.last,
            in_flight=len(since),
            longest_s=now - min(since, default=now),
            pushes=self.pushes,
            listings=len(self.record.listings),
        )

    def seen(self) -> Seen:
        return self.record

    # -- one request

    def take(self, wire: Wire, method: str, target: str, key: str, body: bytes) -> None:
        if method == "GET" and target.startswith("/v1/enrolments?"):
            asked = dict(parse_qsl(urlsplit(target).query))
            since, until = _unix(asked["changed_since"]), _unix(asked["changed_before"])
            self.record.listings.append(Listing(key=key, since=since, until=until))
            wire.answer(200, b'{"data":[],"next_page":null}')
            return
        if method != "PUT" or target != "/api/enrolments/lms-progress":
            self.record.malformed.append(f"{method} {target}")
            wire.answer(404, b"{}")
            return
        self._push(wire, key, body)

    def _push(self, wire: Wire, key: str, body: bytes) -> None:
        self.last = began = time.monotonic()
        self.pushes += 1
        said = json.loads(body)
        id, value, organisation = said["lmsEnrolmentId"], said["progress"], self.organisations.get(key, "")
        if type(value) is not int or not 0 <= value <= 100 or set(said) != {"lmsEnrolmentId", "progress"}:
            self.record.malformed.append(body.decode())
        which = (organisation, id)
        others = self.in_flight.setdefault(which, [])
        others.append(began)
        if len(others) > 1:
            self.record.overlaps.append(f"{organisation}/{id}: {value}")
        kind, wait_s = self._decide()
        if kind == "taken" and not organisation:
            kind = "401"
        asyncio.get_running_loop().call_later(wait_s, self._settle, wire, which, value, began, kind)

    def _decide(self) -> tuple[Kind, float]:
        count, seconds = self.pondered
        if count:
            self.pondered = count - 1, seconds
            return "taken", seconds
        if self.random.random() < self.weather.faults:
            return self.random.choice(self.weather.kinds), ANSWER_S
        return "taken", ANSWER_S

    def _settle(self, wire: Wire, which: tuple[str, str], value: int, began: float, kind: Kind) -> None:
        self.last = ended = time.monotonic()
        self.in_flight[which].remove(began)
        if not self.in_flight[which]:
            del self.in_flight[which]
        applied = kind in ("taken", "lost after")
        self.record.arrivals.append(
            Arrival(
                organisation=which[0],
                id=which[1],
                value=value,
                began=began,
                ended=ended,
                kind=kind,
                applied=applied,
            )
        )
        if kind == "taken":
            wire.answer(200, b'{"updated":1}')
        elif kind.startswith("lost"):
            wire.close()
        elif kind == "429 with Retry-After":
            wire.answer(429, b"", self.random.randint(*self.weather.retry_after_s))
        else:
            wire.answer(int(kind), b'{"message":"Something went wrong."}')


class Wire(asyncio.Protocol):
    """One connection, HTTP/1.1, one request after the other."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._transport: asyncio.Transport | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._office.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._office.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            return
        self._data = rest[size:]
        method, target, _ = first.split(" ")
        key = headers.get("authorization", "").removeprefix("Bearer ")
        self._office.take(self, method, target, key, rest[:size])

    def answer(self, status: int, body: bytes, retry_after_s: int | None = None) -> None:
        if self._transport is None:
            return  # who asked has gone
        more = f"retry-after: {retry_after_s}\r\n" if retry_after_s is not None else ""
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
