"""The control surface of every stand-in, under a private path outside the vendor's API.

| request | does |
|---|---|
| GET /_control/journal | requests in arrival order, effects, counts of effects by kind, calls by endpoint |
| GET /_control/calls | how often each endpoint was called: `{"courses": 3}` |
| GET /_control/state | the vendor's whole state, as the stand-in chooses to show it |
| GET /_control/faults | faults still armed |
| POST /_control/faults | arms a JSON list of faults (fields of `faults.Fault`), behind those armed already |
| DELETE /_control/faults | disarms all, ends every slow wait |
| GET /_control/switches | the switches as they stand |
| POST /_control/switches | changes some: a JSON object of the vendor's switch names |
| POST /_control/clock | `{"advance": seconds}`; answers `{"now": "..."}` |
| POST /_control/act/NAME | one of the stand-in's own actions; the JSON object gives its arguments |
| POST /_control/reset | seed data, first switches and clock again; no faults, empty journal |

A bad request is 400 with `{"error": "..."}`. Nothing here is journaled, faulted or authenticated: a stand-in
listens on loopback and holds made-up data.

A stand-in is made of a vendor (protocol `Vendor` below) and this wrapper:
`StandIn(vendor, journal=journal, clock=clock)` is the ASGI app to serve or to test.
"""

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox.faults import Fault, FaultList, FaultyApp
from gateway.sandbox.journal import Journal, raw_path

PREFIX = "/_control/"
MAX_ADVANCE_S = 10 * 366 * 86400


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=_Dataclass)


class Clock:
    """The stand-in's time: real time, or fixed at `start` (aware), plus whatever it was advanced by."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._offset = timedelta()

    def now(self) -> datetime:
        return (self._start or datetime.now(UTC)) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        self._offset = timedelta()


class Vendor(Protocol):
    """What a vendor's half of a stand-in offers the shared half.

    `switches` is a frozen dataclass; `actions` maps a name to a function of keyword arguments that returns
    something JSON can show and raises ValueError for bad values; `error_body(status)` is the vendor's error
    form as (content type, body); `reset` restores the seed data and the first switches.
    """

    switches: Any

    @property
    def actions(self) -> Mapping[str, Callable[..., Any]]: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    def error_body(self, status: int) -> tuple[str, bytes]: ...
    def state(self) -> Any: ...
    def reset(self) -> None: ...


class StandIn:
    """ASGI app: the vendor behind fault switches and journal, beside its control surface."""

    def __init__(self, vendor: Vendor, *, journal: Journal, clock: Clock) -> None:
        self.vendor = vendor
        self.journal = journal
        self.clock = clock
        self.faults = FaultList()
        self._api = FaultyApp(
            vendor, faults=self.faults, journal=journal, error_body=vendor.error_body, now=clock.now
        )
        self._control = Starlette(routes=self._routes(), exception_handlers={ValueError: _refused})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and raw_path(scope).startswith(PREFIX):
            await self._control(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    def reset(self) -> None:
        """Seed data, first switches, clock as started; no faults, empty journal."""
        self.disarm()
        self.clock.reset()
        self.vendor.reset()
        self.journal.clear()

    def disarm(self) -> None:
        self.faults.clear()
        self._api.release()

    def _routes(self) -> list[Route]:
        table: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "journal", self._get_journal),
            ("GET", "calls", self._get_calls),
            ("GET", "state", self._get_state),
            ("GET", "faults", self._get_faults),
            ("POST", "faults", self._post_faults),
            ("DELETE", "faults", self._delete_faults),
            ("GET", "switches", self._get_switches),
            ("POST", "switches", self._post_switches),
            ("POST", "clock", self._post_clock),
            ("POST", "act/{name}", self._post_act),
            ("POST", "reset", self._post_reset),
        ]
        return [Route(PREFIX + path, handler, methods=[method]) for method, path, handler in table]

    async def _get_journal(self, _: Request) -> Response:
        return JSONResponse(self.journal.as_json())

    async def _get_calls(self, _: Request) -> Response:
        return JSONResponse(dict(self.journal.calls))

    async def _get_state(self, _: Request) -> Response:
        return JSONResponse(self.vendor.state())

    async def _get_faults(self, _: Request) -> Response:
        return JSONResponse(self.faults.as_json())

    async def _post_faults(self, request: Request) -> Response:
        rows = await _json_of(request, list)
        self.faults.arm(*[_fault(row) for row in rows])
        return JSONResponse(self.faults.as_json())

    async def _delete_faults(self, _: Request) -> Response:
        self.disarm()
        return JSONResponse([])

    async def _get_switches(self, _: Request) -> Response:
        return JSONResponse(dataclasses.asdict(self.vendor.switches))

    async def _post_switches(self, request: Request) -> Response:
        self.vendor.switches = switched(self.vendor.switches, await _json_of(request, dict))
        return await self._get_switches(request)

    async def _post_clock(self, request: Request) -> Response:
        seconds = (await _json_of(request, dict)).get("advance")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or abs(seconds) > MAX_ADVANCE_S:
            raise ValueError('expected {"advance": seconds}')
        self.clock.advance(seconds)
        return JSONResponse({"now": self.clock.now().isoformat()})

    async def _post_act(self, request: Request) -> Response:
        name = request.path_params["name"]
        action = self.vendor.actions.get(name)
        if action is None:
            raise ValueError(f"no action {name!r}; there are {', '.join(sorted(self.vendor.actions))}")
        arguments = await _json_of(request, dict)
        try:
            inspect.signature(action).bind(**arguments)
        except TypeError as exc:
            raise ValueError(f"{name}: {exc}") from exc
        return JSONResponse(action(**arguments))

    async def _post_reset(self, _: Request) -> Response:
        self.reset()
        return JSONResponse({})


def switched(switches: S, changes: Mapping[str, object]) -> S:
    """A copy of the frozen dataclass with these fields changed.

    Raises ValueError for a name it does not have, or a value of another type than the present one.
    """
    for name, value in changes.items():
        if name not in switches.__dataclass_fields__:
            raise ValueError(f"no switch {name!r}; there are {', '.join(switches.__dataclass_fields__)}")
        present = getattr(switches, name)
        expected = list if isinstance(present, tuple) else type(present)
        if type(value) is not expected:
            raise ValueError(f"switch {name!r} takes a {expected.__name__}")
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    return dataclasses.replace(switches, **plain)


def _fault(row: object) -> Fault:
    if not isinstance(row, dict):
        raise ValueError("a fault is a JSON object")
    try:
        return Fault(**row)
    except TypeError as exc:
        raise ValueError(f"bad fault: {exc}") from exc


async def _json_of(request: Request, kind: type) -> Any:
    try:
        value = json.loads(await request.body() or b"{}")
    except ValueError as exc:
        raise ValueError("the body is not JSON") from exc
    if not isinstance(value, kind):
        raise ValueError(f"the body must be a JSON {'list' if kind is list else 'object'}")
    return value


async def _refused(_: Request, exc: Exception) -> Response:
    return JSONResponse({"error": str(exc)}, status_code=400)
