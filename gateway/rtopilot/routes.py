"""RTOPilot's side of the gateway as one ASGI application below `/t/{tenant}`.

    route -> credentials -> request checked -> perform -> reply checked -> 200

Every answer is JSON, errors in one shape; there are no redirects, and a closing slash changes nothing.
Source: design 3 (1, 12); vendors/rtopilot.md 2.5, 3.2, 3.3 and 8 (row 20).
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.contract import Inputs, Operation, Result
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    Unauthorised,
)
from gateway.rtopilot import credentials, replies, requests
from gateway.rtopilot.credentials import Accepted
from gateway.rtopilot.operations import SPECS, OperationSpec
from gateway.rtopilot.replies import CourseListBytes, ExtraFields

MAX_BODY_BYTES = 1_000_000
BODY_TIMEOUT_S = 10.0
SECRET_PATH = re.compile("[A-Za-z0-9_-]{22,64}")
"""What a path must look like to stand in for a credential: 128 bits or more in base64url."""

log = logging.getLogger(__name__)


class Performer(Protocol):
    """One operation for one tenant, within the answer deadline. Raises GatewayError."""

    async def __call__(
        self, tenant: str, operation: Operation, inputs: Inputs, *, reference: str
    ) -> Result: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDoor:
    """How RTOPilot reaches one tenant.

    `path` is the segment after `/t/`, usually the tenant's name; where some operation takes calls without
    a credential it must be unguessable (SECRET_PATH). Raises ValueError if it is not.
    """

    tenant: str
    path: str
    accepted: Accepted
    off: frozenset[Operation] = frozenset()
    extra_fields: Mapping[Operation, ExtraFields] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.accepted.any_open() and not SECRET_PATH.fullmatch(self.path):
            raise ValueError(f"tenant {self.tenant}: auth kind none needs a path of 22 random characters")


def routes(
    tenants: Mapping[str, TenantDoor], perform: Performer, *, new_reference: Callable[[], str] | None = None
) -> list[Route]:
    """RTOPilot's routes, for a Starlette application with `redirect_slashes` off and EXCEPTION_HANDLERS."""
    return [Route("/t/{rest:path}", endpoint=Front(tenants, perform, new_reference or _new_reference))]


class Front:
    """The ASGI application behind `/t/`. It knows tenants by their path and operations by their shape."""

    def __init__(
        self, tenants: Mapping[str, TenantDoor], perform: Performer, new_reference: Callable[[], str]
    ) -> None:
        self._doors = {door.path: door for door in tenants.values()}
        if len(self._doors) != len(tenants):
            raise ValueError("two tenants have the same path")
        self._perform = perform
        self._new_reference = new_reference
        self._course_lists = CourseListBytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        reference = self._new_reference()
        call = _Call(scope)
        try:
            status, body = 200, await self._answer(call, receive, reference)
        except ClientDisconnect:
            return
        except GatewayError as error:
            status, body = error.status, replies.error_bytes(error, reference)
            _log_error(error, reference)
        except Exception as exc:  # noqa: BLE001 - the last stop before RTOPilot: a fixed sentence, no details
            status, body = 500, replies.error_bytes(InternalError(), reference)
            log_crash(exc, reference)
        await send_json(send, status, body, call.extra_headers(status, reference))
        log.info(
            "%s %s tenant=%s %d %.1f ms %s",
            call.method,
            call.route,
            call.tenant,
            status,
            (time.perf_counter() - started) * 1000,
            reference,
        )

    async def _answer(self, call: _Call, receive: Receive, reference: str) -> bytes:
        door = self._doors.get(call.path)
        if door is None:
            raise NotFound("This gateway has no such tenant.", code="unknown_tenant")
        call.tenant = door.tenant
        spec = call.find()
        call.accepted = door.accepted.of(spec.operation)
        if not credentials.permits(call.accepted, call.headers):
            raise Unauthorised()
        if spec.operation in door.off:
            raise NotFound(
                f"This operation is switched off here. Leave the slot {spec.slot} blank in RTOPilot.",
                code="operation_off",
            )
        body = await read_body(call.headers, receive) if spec.method == "POST" else b""
        inputs = requests.read(spec, path_id=call.id, query=call.query, body=body)
        result = await self._perform(door.tenant, spec.operation, inputs, reference=reference)
        return self._reply(door, spec.operation, result)

    def _reply(self, door: TenantDoor, operation: Operation, result: Result) -> bytes:
        extra = door.extra_fields.get(operation)
        if isinstance(result, list) and operation is Operation.GET_COURSES:
            return self._course_lists.body(result, tenant=door.tenant, extra=extra)
        return replies.result_bytes(operation, result, extra=extra)


class _Call:
    """One request, taken apart: `/t/{path}/{shape}`, where the shape has at most one id."""

    def __init__(self, scope: Scope) -> None:
        segments = scope["path_params"]["rest"].split("/")
        if len(segments) > 1 and not segments[-1]:
            segments.pop()
        self.path: str = segments[0]
        self.id: str | None = segments[2] if len(segments) > 2 else None
        self.method: str = scope["method"]
        self.query: bytes = scope["query_string"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.tenant = "-"
        self.route = "-"
        self.allowed: tuple[str, ...] = ()
        self.accepted: tuple[credentials.Credential, ...] = ()
        self._shape = tuple("{}" if index == 1 else part for index, part in enumerate(segments[1:]))

    def find(self) -> OperationSpec:
        """The operation of this method and shape. Raises NotFound or MethodNotAllowed."""
        methods = _SHAPES.get(self._shape)
        if methods is None:
            raise NotFound()
        self.route = next(iter(methods.values())).route
        spec = methods.get(self.method)
        if spec is None:
            self.allowed = tuple(methods)
            raise MethodNotAllowed()
        return spec

    def extra_headers(self, status: int, reference: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-reference", reference.encode())]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", ", ".join(self.allowed).encode()))
        if status == HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", credentials.challenge(self.accepted)))
        return headers


def _shapes() -> dict[tuple[str, ...], dict[str, OperationSpec]]:
    found: dict[tuple[str, ...], dict[str, OperationSpec]] = {}
    for spec in SPECS.values():
        shape = tuple("{}" if part.startswith("{") else part for part in spec.route.split("/")[1:])
        found.setdefault(shape, {})[spec.method] = spec
    return found


_SHAPES = _shapes()


async def read_body(headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
    """The body, at most MAX_BODY_BYTES, read within BODY_TIMEOUT_S."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > MAX_BODY_BYTES:
            raise BodyTooLarge()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _receive_all(receive)
    except TimeoutError as exc:
        raise RequestError("The request did not arrive in time.", code="slow_body") from exc


async def _receive_all(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge()
        if not message.get("more_body", False):
            return b"".join(chunks)


async def send_json(send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log_error(error: GatewayError, reference: str) -> None:
    level = logging.WARNING if error.status >= 500 else logging.INFO
    log.log(level, "%s %d %s %s", reference, error.status, error.code, error.detail or "")


def log_crash(exc: Exception, reference: str) -> None:
    """Where it happened, but not the exception's text: that may quote the request."""
    where = "".join(traceback.format_tb(exc.__traceback__))
    log.error("%s 500 internal_error: %s\n%s", reference, type(exc).__name__, where)


def _new_reference() -> str:
    return secrets.token_hex(6)


_HTTP_ERRORS: dict[int, type[GatewayError]] = {404: NotFound, 405: MethodNotAllowed}


async def answer_http_exception(request: Request, exc: Exception) -> Response:
    """Starlette's own 404 and 405, which are plain text, in the canonical shape."""
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    error = _HTTP_ERRORS.get(status, InternalError if status >= 500 else RequestError)()
    headers = dict(getattr(exc, "headers", None) or {})
    return _json_response(error, _new_reference(), headers)


async def answer_crash(request: Request, exc: Exception) -> Response:
    """Anything unforeseen, in the canonical shape and without its text."""
    reference = _new_reference()
    log_crash(exc, reference)
    return _json_response(InternalError(), reference, {})


def _json_response(error: GatewayError, reference: str, headers: dict[str, str]) -> Response:
    return Response(
        replies.error_bytes(error, reference),
        status_code=error.status,
        headers={**headers, "x-reference": reference},
        media_type="application/json; charset=utf-8",
    )


EXCEPTION_HANDLERS: Mapping[Any, Any] = {HTTPException: answer_http_exception, Exception: answer_crash}
"""For `Starlette(exception_handlers=...)`, so that what is outside `/t/` answers in the same shape."""
