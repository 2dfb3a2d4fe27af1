"""A stand-in of the Learning Assistant e-portfolio's SOAP services, for tests and rehearsals.

Run it: `python -m gateway.sandbox.learning_assistant --port 0 --username U --password P`; control surface and
fault switches: `control.py` and `faults.py`; behaviour switches: `LearningAssistantSwitches`. Actions, for
`POST /_control/act/NAME`:

| action | arguments |
|---|---|
| set_progress | candidate_uuid, course_uuid, percent (0..100), units ({unit UUID: percent}), completed |
| show_percent | candidate_uuid, course_uuid, text (GetProgress shows it until set_progress; null for nil) |
| reset_progress | candidate_uuid, course_uuid |
| set_status | candidate_uuid, course_uuid, status (Active, Suspended, Withdrawn, Completed) |
| withdraw | candidate_uuid, course_uuid |
| mark_test | candidate_uuid, course_uuid, test (default true) |
| expire_tokens | |
| unlock | |

Effects in the journal: logged_in, login_failed, enrolled, updated, withdrawn (by UpdateEnrolment).
Source: vendors/learning-assistant.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import token_expired
from gateway.sandbox.journal import Journal
from gateway.sandbox.learning_assistant_methods import HANDLERS
from gateway.sandbox.learning_assistant_replies import fault_reply, not_logged_in_reply, reply
from gateway.sandbox.learning_assistant_seed import seeded_centre
from gateway.sandbox.learning_assistant_sessions import Sessions
from gateway.sandbox.learning_assistant_soap import SoapFault, SoapRequest, application_fault, read_request
from gateway.sandbox.learning_assistant_state import STATUSES, Enrolment
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.learning_assistant_wire import Wire
from gateway.sandbox.learning_assistant_wsdl import wsdl
from gateway.sandbox.serve import add_port_options, serve

PATH = "/webservices/soap/"
_XML = "text/xml;charset=utf-8"
_METHOD = re.compile(rb"<(?:[\w.-]+:)?Body\b[^>]*>\s*<(?:[\w.-]+:)?([A-Za-z]+)")


def create_learning_assistant(
    switches: LearningAssistantSwitches | None = None, *, clock: Clock | None = None
) -> StandIn:
    """The ASGI app: services under `/webservices/soap/`, control surface under `/_control/`."""
    journal, clock = Journal(label=method_label), clock or Clock()
    vendor = LearningAssistant(switches or LearningAssistantSwitches(), journal=journal, clock=clock)
    return StandIn(vendor, journal=journal, clock=clock)


class LearningAssistant:
    """The vendor's half of the stand-in."""

    def __init__(self, switches: LearningAssistantSwitches, *, journal: Journal, clock: Clock) -> None:
        self._first_switches = switches
        self._journal = journal
        self._clock = clock
        self.actions: Mapping[str, Callable[..., Any]] = {
            "set_progress": self.set_progress,
            "show_percent": self.show_percent,
            "reset_progress": self.reset_progress,
            "set_status": self.set_status,
            "withdraw": self.withdraw,
            "mark_test": self.mark_test,
            "expire_tokens": self.expire_tokens,
            "unlock": self.unlock,
        }
        routes = [
            Route(PATH + "{file}", self._get, methods=["GET"]),
            Route(PATH + "{file}", self._post, methods=["POST"]),
        ]
        self._app = Starlette(routes=routes, exception_handlers={HTTPException: _html_error})
        self.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    @property
    def switches(self) -> LearningAssistantSwitches:
        return self._switches

    @switches.setter
    def switches(self, switches: LearningAssistantSwitches) -> None:
        self._wire = Wire(switches)
        self._switches = switches

    def reset(self) -> None:
        self.switches = self._first_switches
        self.sessions = Sessions(self._clock.now)
        self.centre = seeded_centre()

    def error_body(self, status: int) -> tuple[str, bytes]:
        return _XML, fault_reply(application_fault("Application", f"The service failed ({status})."))

    def state(self) -> dict[str, Any]:
        logins = [{"at": login.at.isoformat(), "ok": login.ok} for login in self.sessions.logins]
        return {
            "enrolments": self.centre.described(),
            "logins": logins,
            "locked": self.sessions.locked(self.switches),
            "welcome_emails": self.centre.welcome_emails,
        }

    async def _get(self, request: Request) -> Response:
        service = self._service(request)
        if "wsdl" not in {name.lower() for name in request.query_params}:
            return HTMLResponse("<html><head><title>Component Browser</title></head><body></body></html>")
        address = str(request.url.replace(query=""))
        return Response(wsdl(service, address, self._wire), media_type=_XML)

    async def _post(self, request: Request) -> Response:
        service = self._service(request)
        try:
            if self.switches.soap_action_required and "soapaction" not in request.headers:
                raise SoapFault("no SOAPAction header!", code="soapenv:Client.NoSOAPAction")
            call = read_request(await request.body(), service, self._wire, self.switches)
            expired = token_expired(request.scope)
            return Response(self._answer(call, expired=expired), media_type=_XML)
        except SoapFault as fault:
            return Response(fault_reply(fault), status_code=500, media_type=_XML)

    def _service(self, request: Request) -> str:
        for service in self._wire.services:
            if request.path_params["file"] == self._wire.name(service):
                return service
        raise HTTPException(404)

    def _answer(self, call: SoapRequest, *, expired: bool) -> bytes:
        if call.method.name == "Authenticate":
            return self._authenticate(call)
        token = call.token
        if token is None or expired or not self.sessions.is_open(self.switches, token):
            return self._not_logged_in(call)
        outcome = HANDLERS[call.method.name](self.centre, call.arguments, self.switches, self._wire)
        if outcome.effect:
            self._journal.effect(outcome.effect, outcome.what)
        if not outcome.refused:
            token = self.sessions.succeeded(self.switches, token)
        return reply(call.method, outcome.value, token, self._wire, self.switches)

    def _authenticate(self, call: SoapRequest) -> bytes:
        username, password = (call.arguments[name] for name in ("szUsername", "szPassword"))
        token = self.sessions.log_in(self.switches, str(username or ""), str(password or ""))
        self._journal.effect("logged_in" if token else "login_failed")
        if token is None and self.switches.bad_login == "fault":
            raise application_fault("Application", "Invalid username or password.")
        return reply(call.method, "YES" if token else "NO", token, self._wire, self.switches)

    def _not_logged_in(self, call: SoapRequest) -> bytes:
        if self.switches.expiry == "fault":
            raise application_fault("Application", self.switches.expiry_fault_text)
        return not_logged_in_reply(call.method, self._wire, self.switches)

    def set_progress(
        self,
        candidate_uuid: str,
        course_uuid: str,
        percent: float | None = None,
        units: Mapping[str, float] | None = None,
        completed: bool = False,
    ) -> None:
        """Percentages are 0..100. Raises ValueError for an unknown enrolment or unit, or another number."""
        enrolment = self._enrolment(candidate_uuid, course_uuid)
        new_units = {**(units or {})}
        unknown = new_units.keys() - {unit.uuid for unit in enrolment.course.units}
        if unknown:
            raise ValueError(f"no such unit on this course: {', '.join(sorted(unknown))}")
        checked = _percent(enrolment.percent if percent is None else percent)
        enrolment.unit_percents.update({uuid: _percent(value) for uuid, value in new_units.items()})
        enrolment.percent, enrolment.odd_percent = checked, ()
        if completed:
            enrolment.status = "Completed"

    def show_percent(self, candidate_uuid: str, course_uuid: str, text: str | None) -> None:
        self._enrolment(candidate_uuid, course_uuid).odd_percent = (text,)

    def reset_progress(self, candidate_uuid: str, course_uuid: str) -> None:
        enrolment = self._enrolment(candidate_uuid, course_uuid)
        enrolment.percent, enrolment.odd_percent, enrolment.status = 0.0, (), "Active"
        enrolment.unit_percents.clear()

    def set_status(self, candidate_uuid: str, course_uuid: str, status: str) -> None:
        if status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}")
        self._enrolment(candidate_uuid, course_uuid).status = status

    def withdraw(self, candidate_uuid: str, course_uuid: str) -> None:
        self.set_status(candidate_uuid, course_uuid, "Withdrawn")

    def mark_test(self, candidate_uuid: str, course_uuid: str, test: bool = True) -> None:
        self._enrolment(candidate_uuid, course_uuid).test = test

    def expire_tokens(self) -> int:
        return self.sessions.expire_all()

    def unlock(self) -> None:
        self.sessions.failures = 0

    def _enrolment(self, candidate_uuid: str, course_uuid: str) -> Enrolment:
        enrolment = self.centre.enrolment(candidate_uuid, course_uuid)
        if enrolment is None:
            raise ValueError("no enrolment of this candidate on this course")
        return enrolment


def method_label(method: str, path: str, body: bytes) -> str:
    """The SOAP method called, such as `GetProgress`; anything else by method and path."""
    called = _METHOD.search(body) if method == "POST" else None
    return called[1].decode() if called else f"{method} {path}"


def _percent(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError("a percentage is a number from 0 to 100")
    return float(value)


async def _html_error(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return HTMLResponse(f"<html><body><h1>HTTP Error {status}</h1></body></html>", status_code=status)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Stand-in of the Learning Assistant SOAP services.")
    add_port_options(parser)
    parser.add_argument("--username", default=LearningAssistantSwitches().username)
    parser.add_argument("--password", default=LearningAssistantSwitches().password)
    parser.add_argument("--switches", default="{}", help="other switches, as a JSON object")
    options = parser.parse_args(arguments)
    own = LearningAssistantSwitches(username=options.username, password=options.password)
    app = create_learning_assistant(switched(own, json.loads(options.switches)))
    serve(app, host=options.host, port=options.port)


if __name__ == "__main__":
    main()
