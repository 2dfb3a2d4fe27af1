"""Fault switches for every stand-in: a wrapper around its ASGI app that makes it slow, lossy or wrong.

Arm a fault in process (`stand_in.faults.arm(Fault(kind="lost_answer", path="/usersignup"))`) or over HTTP
(`POST /_control/faults` with a JSON list of the same fields). Each request takes at most one fault: the first
armed one that matches and has not been used up.

| kind | what the client meets | did the stand-in apply the request? |
|---|---|---|
| slow_answer | the right answer, `seconds` late | yes, at once |
| slow_request | the right answer, `seconds` late | yes, only after the wait, even if the client has gone |
| lost_answer | connection closed, not one byte of answer | yes |
| lost_request | connection closed, not one byte of answer | no |
| truncated | status line, headers and half of the right body, then closed | yes |
| error | `status` (500) with the vendor's own error body | if `applied` |
| too_many | 429 with the vendor's own error body, and Retry-After if `retry_after` is given | if `applied` |
| html | `status` (200) with an HTML page | if `applied` |
| malformed | `status` (200), content type of the vendor, a body that breaks off | if `applied` |
| null | `status` (200), the literal body `null` | if `applied` |
| empty | `status` (200), a body of no bytes | if `applied` |
| answer | `status` (200), `body` and `content_type` as given | if `applied` |
| expired_token | whatever the vendor says to an expired token | no: the stand-in decides |

`expired_token` is a hook: the request reaches the stand-in with the fault in its ASGI scope, and the stand-in
asks `token_expired(scope)` where it checks credentials. `seconds` delays the answer of every other kind too.
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, get_args

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox.journal import Entry, Journal

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_SECONDS = 600.0
MAX_FAULTS = 200
SCOPE_KEY = "sandbox.fault"

Kind = Literal[
    "slow_answer",
    "slow_request",
    "lost_answer",
    "lost_request",
    "truncated",
    "error",
    "too_many",
    "html",
    "malformed",
    "null",
    "empty",
    "answer",
    "expired_token",
]
KINDS: tuple[str, ...] = get_args(Kind)
ALWAYS_APPLIED = ("slow_answer", "slow_request", "lost_answer", "truncated", "expired_token")
DEFAULT_STATUS = {"error": 500, "too_many": 429}
HTML_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sorry</title></head><body>Something happened</body></html>\n"
)

ErrorBody = Callable[[int], tuple[str, bytes]]
"""Status -> (content type, body) of an error as this vendor writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, for which requests, and how often.

    A request matches when all that is given agrees: `method`; `path`, a substring of the raw path;
    `path_regex`, searched in it; `body_has`, a substring of the body. The first `skip` matches pass
    unharmed; of the others each `every`th is hit, `count` times (None: always), then the fault is used up.
    `reset` closes a lost connection with a TCP reset, not an orderly end. `retry_after` is in seconds,
    sent as an HTTP date if `retry_after_date`. `headers` are added to an answer made here.
    Raises ValueError for an unknown kind or a value out of range.
    """

    kind: Kind
    method: str | None = None
    path: str | None = None
    path_regex: str | None = None
    body_has: str | None = None
    skip: int = 0
    count: int | None = 1
    every: int = 1
    seconds: float = 0.0
    applied: bool = False
    reset: bool = False
    status: int | None = None
    body: str | None = None
    content_type: str = "application/json"
    headers: Sequence[Sequence[str]] = ()
    retry_after: int | None = None
    retry_after_date: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; one of {', '.join(KINDS)}")
        if not 0 <= self.seconds <= MAX_SECONDS:
            raise ValueError(f"seconds must be 0 to {MAX_SECONDS:g}")
        if self.skip < 0 or (self.count is not None and self.count < 1):
            raise ValueError("skip must be 0 or more, count 1 or more or null")
        if self.every < 1:
            raise ValueError("every must be 1 or more")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status must be 200 to 599")
        _compiled(self.path_regex or "")

    def matches(self, method: str, path: str, body: bytes) -> bool:
        return (
            (self.method is None or self.method.upper() == method.upper())
            and (self.path is None or self.path in path)
            and (self.path_regex is None or re.search(self.path_regex, path) is not None)
            and (self.body_has is None or self.body_has.encode() in body)
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"path_regex does not compile: {exc}") from exc


@dataclass(slots=True)
class _Armed:
    fault: Fault
    to_skip: int
    left: int | None
    seen: int = 0


class FaultList:
    """The faults now armed, in the order they were armed."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def arm(self, *faults: Fault) -> None:
        """Add faults behind those already armed. Raises ValueError beyond MAX_FAULTS."""
        if len(self._armed) + len(faults) > MAX_FAULTS:
            raise ValueError(f"at most {MAX_FAULTS} faults at a time")
        self._armed += [_Armed(fault, fault.skip, fault.count) for fault in faults]

    def clear(self) -> None:
        self._armed.clear()

    def take(self, method: str, path: str, body: bytes = b"") -> Fault | None:
        """The fault for this request, if any; counts one use of it."""
        for armed in self._armed:
            if armed.left == 0 or not armed.fault.matches(method, path, body):
                continue
            if armed.to_skip:
                armed.to_skip -= 1
                continue
            armed.seen += 1
            if armed.seen % armed.fault.every:
                continue
            if armed.left is not None:
                armed.left -= 1
            return armed.fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """What is armed and still has uses left."""
        return [
            {"kind": armed.fault.kind, "path": armed.fault.path, "skip": armed.to_skip, "left": armed.left}
            for armed in self._armed
            if armed.left != 0
        ]


def token_expired(scope: Mapping[str, Any]) -> bool:
    """Whether this request is to be answered as if its credentials had just expired."""
    fault = scope.get(SCOPE_KEY)
    return fault is not None and fault.kind == "expired_token"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class AnswerLost(ConnectionResetError):
    """Raised in process, where there is no socket to close, for an answer that must not arrive."""


class FaultyApp:
    """ASGI app around `app`: journals each request, applies the fault armed for it, buffers each answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        faults: FaultList,
        journal: Journal,
        error_body: ErrorBody,
        now: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._faults = faults
        self._journal = journal
        self._error_body = error_body
        self._now = now
        self._released = asyncio.Event()

    def release(self) -> None:
        """End every wait of a slow fault now."""
        self._released.set()
        self._released = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            return
        entry = self._journal.arrived(scope, body, self._now())
        fault = self._faults.take(entry.method, entry.raw_path, body)
        if fault is None:
            await _deliver(await _run(self._app, scope, body), entry, send)
        else:
            entry.fault = fault.kind
            await self._spoil(fault, entry, scope, receive, send)

    async def _spoil(self, fault: Fault, entry: Entry, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "slow_request":
            await self._wait(fault.seconds, entry, receive)
        answer = None
        if fault.applied or fault.kind in ALWAYS_APPLIED:
            answer = await _run(self._app, {**scope, SCOPE_KEY: fault}, entry.body)
        if fault.kind != "slow_request":
            await self._wait(fault.seconds, entry, receive)
        if fault.kind in ("lost_answer", "lost_request"):
            entry.end()
            await _cut(receive, send, reset=fault.reset)
        elif fault.kind == "truncated" and answer is not None:
            entry.end()
            await _break_off(answer, receive, send)
        elif fault.kind in ALWAYS_APPLIED and answer is not None:
            await _deliver(answer, entry, send)
        else:
            await _deliver(self._made_up(fault), entry, send)

    async def _wait(self, seconds: float, entry: Entry, receive: Receive) -> None:
        watching = asyncio.create_task(_notice_leaving(entry, receive))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._released.wait()
        finally:
            watching.cancel()

    def _made_up(self, fault: Fault) -> Answer:
        status = fault.status or DEFAULT_STATUS.get(fault.kind, 200)
        content_type, body = self._made_up_body(fault, status)
        if fault.body is not None:
            body = fault.body.encode()
        headers = [("content-type", content_type), ("content-length", str(len(body)))]
        if fault.retry_after is not None:
            headers.append(("retry-after", self._retry_after(fault.retry_after, fault.retry_after_date)))
        headers += [(name, value) for name, value in fault.headers]
        return Answer(
            status, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers], body
        )

    def _made_up_body(self, fault: Fault, status: int) -> tuple[str, bytes]:
        match fault.kind:
            case "error" | "too_many":
                return self._error_body(status)
            case "html":
                return "text/html; charset=UTF-8", HTML_PAGE
            case "malformed":
                content_type, body = self._error_body(status)
                return content_type, body[: len(body) // 2]
            case "null":
                return fault.content_type, b"null"
            case _:
                return fault.content_type, b""

    def _retry_after(self, seconds: int, as_date: bool) -> str:
        if as_date:
            return format_datetime(self._now() + timedelta(seconds=seconds), usegmt=True)
        return str(seconds)


async def _notice_leaving(entry: Entry, receive: Receive) -> None:
    """A client that gives up during a wait has ended its request, whatever is still done with it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    entry.end()


async def _read_body(receive: Receive) -> bytes | None:
    """The whole request body; None if the client left before its end. Raises ValueError if it is too long."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MAX_BODY_BYTES:
            raise ValueError("request body too long for a stand-in")
        if not message.get("more_body", False):
            return b"".join(parts)


async def _run(app: ASGIApp, scope: MutableMapping[str, Any], body: bytes) -> Answer:
    """Give the app the request and collect its whole answer."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Answer(start["status"], list(start["headers"]), b"".join(m.get("body", b"") for m in sent[1:]))


async def _deliver(answer: Answer, entry: Entry, send: Send) -> None:
    entry.status = answer.status
    entry.end()
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _break_off(answer: Answer, receive: Receive, send: Send) -> None:
    kept = [(name, value) for name, value in answer.headers if name.lower() != b"content-length"]
    headers = [*kept, (b"content-length", str(len(answer.body) + 1).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send(
        {"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True}
    )
    await _cut(receive, send, flush=True)


async def _cut(receive: Receive, send: Send, *, reset: bool = False, flush: bool = False) -> None:
    """Close the client's socket under uvicorn; in process raise AnswerLost.

    ASGI has no message for this, and uvicorn answers 500 for an app that stops without answering, so the
    transport is taken from the object behind `send`.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise AnswerLost("the connection was closed without an answer")
    if reset:
        _reset_on_close(transport.get_extra_info("socket").fileno())
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset_on_close(descriptor: int) -> None:
    # A copy of the descriptor shares the option, and works with event loops that hide their socket.
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
