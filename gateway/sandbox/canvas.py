"""A stand-in of Canvas LMS: REST API, OAuth token endpoint and live events; stateful, in memory.

`create_canvas()` makes the ASGI app; `python -m gateway.sandbox.canvas` serves it, with switches such as
`--switches '{"hook_url": "http://…"}'`. Switches: canvas_switches.py; seed: canvas_seed.py; endpoints:
canvas_routes.py. Faults: faults.py. Control surface: control.py, with the actions of canvas_actions.py
(learners, staff, tokens) and canvas_hook_actions.py (live events by hand). Source: vendors/canvas.md, nothing
else.

Beside the API: POST /login/oauth2/token; GET /login/oauth2/auth, which consents at once; and the JWK set of
live events at /live-events/jwks, without a credential (the real address is not known).

Effects in the journal: user_created, user_reactivated and user_changed (user); enrolled (a new record),
re_enrolled (an ended record made live again), enrolment_activated (an invited one made active),
enrolment_changed, enrolment_concluded, enrolment_deleted, enrolment_deactivated and enrolment_reactivated
(course,user); graded and commented (course,assignment,user); job_queued (job); token_issued (grant type).
What already stands as it is asked to be is no effect.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.sandbox import canvas_errors as say
from gateway.sandbox.canvas_actions import Actions
from gateway.sandbox.canvas_allowance import Allowance
from gateway.sandbox.canvas_call import Call
from gateway.sandbox.canvas_errors import Refused, not_found, unauthenticated
from gateway.sandbox.canvas_hook_actions import HookActions
from gateway.sandbox.canvas_hooks import Hooks
from gateway.sandbox.canvas_keys import Keys
from gateway.sandbox.canvas_login import Credentials, Login
from gateway.sandbox.canvas_pages import Address, Listed, page_of
from gateway.sandbox.canvas_params import Params, params_of
from gateway.sandbox.canvas_routes import ENDPOINTS, route_of, within
from gateway.sandbox.canvas_seed import seeded
from gateway.sandbox.canvas_state import Enrolment
from gateway.sandbox.canvas_switches import Switches
from gateway.sandbox.canvas_wire import (
    BASE,
    JSON_TYPE,
    STRING_IDS,
    bearer,
    refusal_body,
    segments_of,
    with_text_ids,
    written,
)
from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import HTML_PAGE, token_expired
from gateway.sandbox.journal import Journal, raw_path
from gateway.sandbox.serve import add_port_options, serve

TOKEN_PATH, CONSENT_PATH, JWKS_PATH = "/login/oauth2/token", "/login/oauth2/auth", "/live-events/jwks"


def create_canvas(
    switches: Switches | None = None,
    *,
    credentials: Credentials | None = None,
    keys: Keys | None = None,
    start: datetime | None = None,
) -> StandIn:
    """The stand-in as an ASGI app, its clock fixed at `start` (aware) or running in real time.

    `keys` sign live events; without them a pair is made when it is first needed, which takes a moment.
    In process: `.faults.arm(...)`, `.journal`, `.clock.advance(...)`, `.vendor.school`, `.vendor.switches`,
    `.vendor.hooks.idle()`, `.vendor.actions[...]`, `.reset()`.
    """
    clock, journal = Clock(start), Journal(label=endpoint_label)
    vendor = Canvas(credentials or Credentials(), switches or Switches(), keys or Keys(), clock, journal)
    return StandIn(vendor, journal=journal, clock=clock)


class Canvas:
    """The vendor's half: school, tokens, allowance, live events and API."""

    def __init__(
        self, credentials: Credentials, switches: Switches, keys: Keys, clock: Clock, journal: Journal
    ) -> None:
        self._credentials = credentials
        self._first_switches = switches
        self._clock = clock
        self._journal = journal
        self.hooks = Hooks(lambda: self.switches, lambda: self.school, clock.now, keys)
        self.actions = Actions(self, clock.now).table() | HookActions(self).table()
        self.reset()

    def reset(self) -> None:
        self.switches = self._first_switches
        self.school = seeded(self._clock.now())
        self.allowance = Allowance()
        self.login = Login(self._credentials)
        self.hooks.clear()

    def error_body(self, status: int) -> tuple[str, bytes]:
        match status:
            case 401:
                return refusal_body(unauthenticated())
            case 403:
                return refusal_body(say.forbidden())
            case 404:
                return refusal_body(not_found())
            case 429:
                return refusal_body(Refused(429, say.TOO_MANY))
            case _:
                return refusal_body(Refused(status, say.errors(say.WENT_WRONG)))

    def state(self) -> dict[str, Any]:
        """Plain values, dates as text. Enrolments carry their learner's login and SIS id as sent."""
        school = self.school
        return {
            "users": [_plain(each) for each in school.users.values()],
            "courses": [_plain(each) for each in school.courses.values()],
            "enrolments": [self._enrolment_state(each) for each in school.enrolments.values()],
            "submissions": [
                {"assignment_id": assignment_id, "user_id": user_id, **_plain(found)}
                for (assignment_id, user_id), found in school.submissions.items()
            ],
            "jobs": [{"id": job.id, "tag": job.tag, "state": job.state} for job in school.jobs.values()],
            "deliveries": [sent.as_json() for sent in list(self.hooks.postman.journal)],
            "waiting": self.hooks.postman.waiting,
            "stream_deactivated": self.hooks.deactivated,
        }

    def _enrolment_state(self, enrolment: Enrolment) -> dict[str, Any]:
        user, course = self.school.users[enrolment.user_id], self.school.courses[enrolment.course_id]
        return {
            **_plain(enrolment),
            "login": user.login,
            "sis_user_id": user.sis_user_id,
            "email": user.email,
            "requirement_count": None if course.requirements is None else len(course.requirements),
            "requirement_completed_count": len(self.school.met(course, user.id)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = self._response(request, await request.body())
        await response(scope, receive, send)

    def _response(self, request: Request, body: bytes) -> Response:
        path = raw_path(request.scope)
        try:
            params = params_of(request.url.query, request.headers.get("content-type", ""), body)
            if path == JWKS_PATH and request.method == "GET":
                return _sent(self.hooks.keys.jwks())
            if path == CONSENT_PATH and request.method == "GET":
                return self._consent(params)
            if path == TOKEN_PATH and request.method == "POST":
                return self._granted(params)
            if not path.startswith(f"{BASE}/"):
                return HTMLResponse(HTML_PAGE, 404)
            return self._api(request, path, params)
        except Refused as refusal:
            return _refused(refusal)

    def _consent(self, params: Params) -> Response:
        """The user agrees at once, and goes back to the client with a code."""
        redirect_uri = params.text("redirect_uri") or ""
        code = self.login.consent(params.text("client_id"), redirect_uri)
        query = {"code": code} | ({"state": params.text("state")} if params.text("state") else {})
        return RedirectResponse(f"{redirect_uri}?{urlencode(query)}", 302)

    def _granted(self, params: Params) -> Response:
        answer = self.login.grant(params, self._clock.now(), self.switches)
        self._journal.effect("token_issued", params.text("grant_type") or "")
        user = self.school.users[self.school.admin_id]
        return _sent(answer | {"user": {"id": user.id, "name": user.name}})

    def _api(self, request: Request, path: str, params: Params) -> Response:
        token = bearer(request.headers, params.text("access_token"))
        throttled = False
        try:
            response = self._answer(request, path, params, token)
        except Refused as refusal:
            response, throttled = _refused(refusal), refusal.body == say.TOO_MANY
        response.headers["X-Request-Cost"] = str(self.switches.request_cost)
        left = self.allowance.left(token, self._clock.now(), self.switches)
        if left is not None:
            # Nothing is left, also where it was refused on demand.
            response.headers["X-Rate-Limit-Remaining"] = str(0.0 if throttled else round(left, 3))
        return response

    def _answer(self, request: Request, path: str, params: Params, token: str) -> Response:
        now, switches = self._clock.now(), self.switches
        if token_expired(request.scope) or not self.login.admits(token, now):
            raise unauthenticated()
        if not self.allowance.spend(token, now, switches):
            raise Refused(switches.throttled_status, say.TOO_MANY)
        segments = segments_of(path, raw_dots_refused=switches.raw_dots_refused)
        name, names = route_of(request.method, segments)
        if not within(switches.scopes, name):
            raise unauthenticated(say.SCOPE)
        address = Address(
            f"{request.url.scheme}://{request.headers.get('host', '')}", path, request.url.query
        )
        answer = ENDPOINTS[name](self._call(names, params, address.base))
        link = ""
        if isinstance(answer, Listed):
            rows, link = page_of(answer, params, address, switches)
            response = self._written(request, rows)
        else:
            response = self._written(request, answer)
        if link:
            header = b"link" if switches.lower_case_link else b"Link"
            response.raw_headers.append((header, link.encode("latin-1")))
        return response

    def _written(self, request: Request, answer: Any) -> Response:
        texts = STRING_IDS in request.headers.get("accept", "")
        return _sent(with_text_ids(answer) if texts else answer)

    def _call(self, names: dict[str, str], params: Params, base: str) -> Call:
        return Call(
            names=names,
            params=params,
            school=self.school,
            switches=self.switches,
            journal=self._journal,
            now=self._clock.now(),
            base=base,
            tell=self.hooks,
        )


def endpoint_label(method: str, path: str, _body: bytes) -> str:
    """The endpoint of a request, ids left out: `GET /courses/:id`; the path itself for any other."""
    try:
        return route_of(method, segments_of(path))[0]
    except Refused:
        return f"{method} {path}"


def _sent(body: Any, status: int = 200) -> Response:
    return Response(written(body), status, media_type=JSON_TYPE)


def _refused(refusal: Refused) -> Response:
    content_type, body = refusal_body(refusal)
    return Response(body, refusal.status, refusal.headers, content_type)


def _plain(thing: Any) -> dict[str, Any]:
    """A dataclass as JSON can show it."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(thing), default=datetime.isoformat))
    return plain


def main(arguments: list[str] | None = None) -> None:
    """Serve the stand-in until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.canvas", description="A stand-in of Canvas LMS."
    )
    add_port_options(parser)
    for field in fields(Credentials):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, default=field.default, help="default: %(default)s")
    parser.add_argument("--switches", default="{}", help="switches, as a JSON object")
    chosen = vars(parser.parse_args(arguments))
    credentials = replace(Credentials(), **{field.name: chosen[field.name] for field in fields(Credentials)})
    switches = switched(Switches(), json.loads(chosen["switches"]))
    serve(create_canvas(switches, credentials=credentials), port=chosen["port"], host=chosen["host"])


if __name__ == "__main__":
    main()
