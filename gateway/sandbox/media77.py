"""A stand-in of 77media: launch links, Activity Progress API and webhook; stateful, in memory.

`create_media77()` makes the ASGI app; `python -m gateway.sandbox.media77 --token UUID` serves it.
Switches: media77_switches.py. Seed data: media77_seed.py. Faults: faults.py. Control surface: control.py,
with the actions of media77_actions.py. Source: vendors/77media.md, nothing else.

| request | answer |
|---|---|
| POST /api/reports/progress, with or without a last slash | the report; the token is in the JSON body |
| GET /c/COURSE/, with or without its last slash | a course's page; a link's parameters never get here |

There is no call that enrols: the action `launch` opens a whole launch link as a browser would. The GET form
of the report is left out on purpose, for it would put the token into logs.

Effects in the journal: launched (reg,course) when a registration comes into being, resumed (reg,course) at
each later launch, violation (kind,reg,course) for a rule that a well-made link breaks; its kinds are those of
media77_launches.py. `state()` holds `registrations`, `violations`, `courses` with their addresses,
`calls_today`, `deliveries` of the webhook and how many are `waiting`.
"""

from __future__ import annotations

import argparse
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import HTML_PAGE, token_expired
from gateway.sandbox.journal import Journal
from gateway.sandbox.media77_actions import Actions, shown
from gateway.sandbox.media77_allowance import Allowance
from gateway.sandbox.media77_hooks import Hooks
from gateway.sandbox.media77_page import course_page
from gateway.sandbox.media77_reports import Refused, empty_report, question_of, report
from gateway.sandbox.media77_rows import address
from gateway.sandbox.media77_seed import seeded
from gateway.sandbox.media77_switches import TOKEN, Switches
from gateway.sandbox.serve import add_port_options, serve

REPORT = "/api/reports/progress"


def create_media77(
    *, token: str = TOKEN, switches: Switches | None = None, start: datetime | None = None
) -> StandIn:
    """The stand-in as an ASGI app, its clock fixed at `start` (aware) or running in real time.

    In process: `.faults.arm(...)`, `.journal`, `.clock.advance(...)`, `.vendor.platform`, `.vendor.switches`,
    `.vendor.actions[...]`, `.vendor.hooks.postman.idle()`, `.reset()`.
    """
    clock, journal = Clock(start), Journal(label=endpoint_label)
    return StandIn(Media77(token, switches or Switches(), clock, journal), journal=journal, clock=clock)


class Media77:
    """The vendor's half: platform, allowance, report and webhook of one organisation."""

    def __init__(self, token: str, switches: Switches, clock: Clock, journal: Journal) -> None:
        self._token = token
        self._first_switches = switches
        self._clock = clock
        self.hooks = Hooks(lambda: self.switches, token, clock.now)
        self.actions = Actions(self, journal, clock.now).table()
        self._app = Starlette(
            routes=[
                Route(REPORT, self._report, methods=["POST"]),
                Route(f"{REPORT}/", self._report, methods=["POST"]),
                Route("/c/{course}", self._page, methods=["GET"]),
                Route("/c/{course}/", self._page, methods=["GET"]),
            ],
            exception_handlers={Refused: self._refused, HTTPException: self._refused},
        )
        self.reset()

    def reset(self) -> None:
        self.switches = self._first_switches
        self.platform = seeded(self._clock.now())
        self.allowance = Allowance()
        self.hooks.clear()

    def error_body(self, status: int, message: str = "Something went wrong") -> tuple[str, bytes]:
        """The vendor's form is not known; the switch `error_form` chooses one."""
        match self.switches.error_form:
            case "json":
                return "application/json", json.dumps({"message": message}).encode()
            case "html":
                return "text/html; charset=utf-8", HTML_PAGE
            case _:
                return "text/plain", b""

    def state(self) -> dict[str, Any]:
        """Everything as plain values, dates as text."""
        rolling = self.switches.day == "rolling"
        return {
            "registrations": [shown(place) for place in self.platform.registrations.values()],
            "violations": [asdict(each) for each in self.platform.violations],
            "courses": [
                {**asdict(course), "address": address(course, self.switches)}
                for course in self.platform.courses.values()
            ],
            "calls_today": self.allowance.used(self._clock.now(), rolling=rolling),
            "deliveries": [each.as_json() for each in list(self.hooks.postman.journal)],
            "waiting": self.hooks.postman.waiting,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _report(self, request: Request) -> Response:
        asked = _json_object(request.headers.get("content-type", ""), await request.body())
        self._admit(request, asked.get("token"))
        self._spend()
        return JSONResponse(report(self.platform, question_of(asked), self.switches))

    async def _page(self, request: Request) -> Response:
        course = self.platform.courses.get(request.path_params["course"])
        if course is None:
            return HTMLResponse(HTML_PAGE, 404)
        return HTMLResponse(course_page(course))

    def _admit(self, request: Request, token: object) -> None:
        right = isinstance(token, str) and hmac.compare_digest(token.encode(), self._token.encode())
        if not right or token_expired(request.scope):
            raise Refused(self.switches.bad_token_status, "The token is not known")

    def _spend(self) -> None:
        limits = self.switches
        rolling = limits.day == "rolling"
        if not self.allowance.spend(self._clock.now(), limit=limits.daily_limit, rolling=rolling):
            raise Refused(limits.used_up_status, "The limit of calls for this day is reached")

    async def _refused(self, _: Request, exc: Exception) -> Response:
        if isinstance(exc, HTTPException):
            content_type, body = self.error_body(exc.status_code, exc.detail)
            return Response(body, exc.status_code, exc.headers, content_type)
        assert isinstance(exc, Refused)
        if exc.status == 200:
            return JSONResponse(empty_report())
        content_type, body = self.error_body(exc.status, exc.message)
        return Response(body, exc.status, media_type=content_type)


def endpoint_label(method: str, path: str, _body: bytes) -> str:
    """The endpoint of a request, without the course and a last slash: `GET /c/COURSE`."""
    plain = path.rstrip("/") or "/"
    return f"{method} {'/c/COURSE' if plain.startswith('/c/') else plain}"


def _json_object(content_type: str, body: bytes) -> Mapping[str, Any]:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(400, "The content type is not application/json")
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise Refused(400, "The body is not JSON") from exc
    if not isinstance(value, dict):
        raise Refused(400, "The body is not a JSON object")
    return value


def main(arguments: list[str] | None = None) -> None:
    """Serve the stand-in until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox.media77", description=__doc__)
    add_port_options(parser)
    parser.add_argument("--token", default=TOKEN, help="the organisation's token (default %(default)s)")
    parser.add_argument("--switches", default="{}", help="switches, as a JSON object")
    chosen = parser.parse_args(arguments)
    switches = switched(Switches(), json.loads(chosen.switches))
    serve(create_media77(token=chosen.token, switches=switches), port=chosen.port, host=chosen.host)


if __name__ == "__main__":
    main()
