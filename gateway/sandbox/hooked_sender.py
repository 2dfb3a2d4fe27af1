"""Sends the webhooks of a stand-in, from a thread of its own, so that it also works beside a test's loop.

A delivery looks as its vendor makes it (`Mail`); here is what can go wrong on its way (`Way`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from gateway.sandbox.client import new_client
from gateway.sandbox.hooked_proof import Parcel
from gateway.sandbox.hooked_switches import MAX_AT_ONCE

JOURNAL_LENGTH = 20_000
Event = Mapping[str, Any]


class Way(Protocol):
    """The way to a receiver; HookedSwitches says what each of these does."""

    @property
    def hook_url(self) -> str: ...
    @property
    def linger_s(self) -> float: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def reverse(self) -> bool: ...
    @property
    def delay_s(self) -> float: ...
    @property
    def lost(self) -> bool: ...
    @property
    def retries(self) -> tuple[float, ...]: ...
    @property
    def at_once(self) -> int: ...
    @property
    def timeout_s(self) -> float: ...


class Mail(Protocol):
    """How a vendor makes deliveries of events; every one is asked for anew at each attempt."""

    def batches(self, events: Sequence[Event]) -> Sequence[Sequence[Event]]: ...
    def message(self, number: int) -> str:
        """The id of the delivery of this number, counted from 1; its duplicates and retries share it."""

    def parcel(self, events: Sequence[Event], message: str, attempt: int, now: float) -> Parcel: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One attempt at one delivery; `status` None when no answer came, `error` then says why."""

    message: str
    events: tuple[str, ...]
    attempt: int
    status: int | None
    reply: str
    error: str

    def as_json(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "events": list(self.events),
            "attempt": self.attempt,
            "status": self.status,
            "reply": self.reply,
            "error": self.error,
        }


class Postman:
    """Gathers events for a moment, makes deliveries of them, and sends them with all that can go wrong.

    `waiting` is how many deliveries, or gathered events, are still on their way; 0 when all is quiet.
    """

    def __init__(self, way: Callable[[], Way], mail: Mail, now: Callable[[], float]) -> None:
        self._way, self._mail, self._now = way, mail, now
        self.journal: deque[Sent] = deque(maxlen=JOURNAL_LENGTH)
        self.last: deque[Parcel] = deque(maxlen=1000)
        self._gathered: list[Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._waiting = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        with self._lock:
            return self._waiting

    def post(self, event: Event) -> None:
        """Take one event; it is sent soon."""
        way = self._way()
        if not way.hook_url or way.lost:
            return
        self._add(1)
        loop = self._running()
        loop.call_soon_threadsafe(self._gather, event, way)

    def idle(self, within_s: float = 10.0) -> bool:
        """Wait until nothing is on its way; whether that came about."""
        end = time.monotonic() + within_s
        while self.waiting and time.monotonic() < end:
            time.sleep(0.005)
        return self.waiting == 0

    def clear(self) -> None:
        self.journal.clear()
        self.last.clear()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # daemon: a stand-in has nothing to lose
                threading.Thread(target=self._run, args=(self._loop,), name="postman", daemon=True).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        limits = httpx.Limits(max_connections=MAX_AT_ONCE, max_keepalive_connections=MAX_AT_ONCE)
        self._client = new_client(limits=limits)
        loop.run_forever()

    def _gather(self, event: Event, way: Way) -> None:
        self._gathered.append(event)
        if len(self._gathered) == 1:
            asyncio.get_running_loop().call_later(way.linger_s, self._flush, way)

    def _flush(self, way: Way) -> None:
        events, self._gathered = self._gathered, []
        batches = list(self._mail.batches(events))
        self._add(len(batches) * (1 + way.duplicates) - len(events))
        if way.reverse:
            batches.reverse()
        self._start(self._send_all(batches, way))

    async def _send_all(self, batches: Sequence[Sequence[Event]], way: Way) -> None:
        """First attempts in order, `at_once` at a time; what fails is tried again beside them."""
        await asyncio.sleep(way.delay_s)
        jobs = deque(
            (events, message)
            for events in batches
            for message in [self._new_message()] * (1 + way.duplicates)
        )

        async def work() -> None:
            while jobs:
                await self._deliver(*jobs.popleft(), way)

        await asyncio.gather(*(work() for _ in range(way.at_once)))

    async def _deliver(self, events: Sequence[Event], message: str, way: Way) -> None:
        if await self._attempt(events, message, 1):
            self._add(-1)
        else:
            self._start(self._try_again(events, message, way))

    async def _try_again(self, events: Sequence[Event], message: str, way: Way) -> None:
        try:
            for number, wait in enumerate(way.retries, 2):
                await asyncio.sleep(wait)
                if await self._attempt(events, message, number):
                    return
        finally:
            self._add(-1)

    async def _attempt(self, events: Sequence[Event], message: str, number: int) -> bool:
        made = self._mail.parcel(events, message, number, self._now())  # a retry is signed anew
        self.last.append(made)
        status, reply, error = None, "", ""
        try:
            answer = await self._client.post(
                made.url,
                content=made.body,
                headers=[(name.encode(), value.encode()) for name, value in made.headers],
                timeout=self._way().timeout_s,
            )
            status, reply = answer.status_code, answer.text[:2000]
        except httpx.HTTPError as exc:
            error = f"{type(exc).__name__}: {exc}"
        ids = tuple(str(event.get("id")) for event in events)
        self.journal.append(
            Sent(message=message, events=ids, attempt=number, status=status, reply=reply, error=error)
        )
        return status is not None and 200 <= status <= 299

    def _new_message(self) -> str:
        self._numbers += 1
        return self._mail.message(self._numbers)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _add(self, number: int) -> None:
        with self._lock:
            self._waiting += number
