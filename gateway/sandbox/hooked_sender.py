"""Sends the events of Hooked LMS, from a thread of its own, so that it also works beside a test's loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.sandbox.hooked_proof import Keys, Parcel, parcel
from gateway.sandbox.hooked_switches import MAX_AT_ONCE, HookedSwitches

JOURNAL_LENGTH = 20_000
Event = Mapping[str, Any]


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

    def __init__(self, switches: Callable[[], HookedSwitches], keys: Keys, now: Callable[[], float]) -> None:
        self._switches, self._keys, self._now = switches, keys, now
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
        switches = self._switches()
        if not switches.hook_url or switches.lost:
            return
        self._add(1)
        loop = self._running()
        loop.call_soon_threadsafe(self._gather, event, switches)

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
                threading.Thread(
                    target=self._run, args=(self._loop,), name="hooked postman", daemon=True
                ).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        limits = httpx.Limits(max_connections=MAX_AT_ONCE, max_keepalive_connections=MAX_AT_ONCE)
        # trust_env off: no proxy and no .netrc credential of this machine may join in.
        self._client = httpx.AsyncClient(trust_env=False, limits=limits)
        loop.run_forever()

    def _gather(self, event: Event, switches: HookedSwitches) -> None:
        self._gathered.append(event)
        if len(self._gathered) == 1:
            asyncio.get_running_loop().call_later(switches.linger_s, self._flush, switches)

    def _flush(self, switches: HookedSwitches) -> None:
        events, self._gathered = self._gathered, []
        size = switches.batch if switches.body in ("array", "list", "jwt") else 1
        batches = [events[start : start + size] for start in range(0, len(events), size)]
        self._add(len(batches) * (1 + switches.duplicates) - len(events))
        if switches.reverse:
            batches.reverse()
        self._start(self._send_all(batches, switches))

    async def _send_all(self, batches: Sequence[Sequence[Event]], switches: HookedSwitches) -> None:
        """First attempts in order, `at_once` at a time; what fails is tried again beside them."""
        await asyncio.sleep(switches.delay_s)
        jobs = deque(
            (events, message)
            for events in batches
            for message in [self._new_message()] * (1 + switches.duplicates)
        )

        async def work() -> None:
            while jobs:
                await self._deliver(*jobs.popleft(), switches)

        await asyncio.gather(*(work() for _ in range(switches.at_once)))

    async def _deliver(self, events: Sequence[Event], message: str, switches: HookedSwitches) -> None:
        if await self._attempt(events, message, 1):
            self._add(-1)
        else:
            self._start(self._try_again(events, message, switches))

    async def _try_again(self, events: Sequence[Event], message: str, switches: HookedSwitches) -> None:
        try:
            for number, wait in enumerate(switches.retries, 2):
                await asyncio.sleep(wait)
                if await self._attempt(events, message, number):
                    return
        finally:
            self._add(-1)

    async def _attempt(self, events: Sequence[Event], message: str, number: int) -> bool:
        switches = self._switches()  # those of now: a retry is signed anew
        made = parcel(events, message, self._now(), switches, self._keys)
        self.last.append(made)
        status, reply, error = None, "", ""
        try:
            answer = await self._client.post(
                made.url,
                content=made.body,
                headers=[(name.encode(), value.encode()) for name, value in made.headers],
                timeout=switches.timeout_s,
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
        return f"msg_{self._numbers}"

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _add(self, number: int) -> None:
        with self._lock:
            self._waiting += number
