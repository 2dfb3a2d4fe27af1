"""Hooked LMS: an invented vendor with a plain REST API that sends webhooks of every kind there is.

Run it: `python -m gateway.sandbox.hooked --port 0 --api-key KEY --switches '{"hook_url": "http://…"}'`.
Control surface and faults: control.py, faults.py; switches: hooked_switches.py; seed data: hooked_state.py.

The API, behind `Authorization: Bearer KEY`; JSON, times in RFC 3339, errors `{"error": {"code", "message"}}`:

| request | answer |
|---|---|
| GET /v1/ping | `{"ok": true}` |
| GET /v1/courses, /v1/courses/ID | `{id, title, active}`; lists are paged |
| GET /v1/users?external_id= | users: `{id, external_id, first_name, last_name, email}` |
| POST /v1/users | 201 the user; 409 `user_exists` with `user_id` for an external_id that is taken |
| POST /v1/enrolments `{user_id, course_id}` | 201 the enrolment; 409 `already_enrolled` with `enrolment_id` |
| GET /v1/enrolments/ID | the enrolment with its `modules` (id, name, completed_at) |
| DELETE /v1/enrolments/ID | 204; 404 `no_enrolment` |
| GET /v1/enrolments?changed_since=&changed_before=&course_id= | enrolments without modules, paged |
| POST /v1/enrolments/status `{"ids": [...]}` | `{"data": [...]}` without unknown ids; beyond 25 ids 400 |
| GET /.well-known/jwks.json | the public keys of its tokens; no credential |

Lists are `{"data": [...], "next_page": 2 or null}`, with `page` from 1 and `per_page` up to 50. An enrolment
is `{id, user_id, external_id, course_id, status, percent, completed_at, updated_at}`; `status` is active,
completed or cancelled, and a list of changes has the cancelled too.

An event is `{id, type, created_at, enrolment}`, the enrolment as above; `type` is enrolment.created,
enrolment.progressed, enrolment.completed or enrolment.cancelled, or course.published without an enrolment. A
form has flat names such as `enrolment_percent`. The claims of a token are `events`, `jti`, `iat`, `exp`,
`iss` and `aud`.

Actions, for `POST /_control/act/NAME`, are in hooked_actions.py. Effects in the journal: user_created (id),
enrolled and unenrolled (enrolment id).
"""

from __future__ import annotations

import argparse
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import token_expired
from gateway.sandbox.hooked_actions import Actions
from gateway.sandbox.hooked_proof import HookedMail, Keys
from gateway.sandbox.hooked_sender import Postman
from gateway.sandbox.hooked_state import (
    Course,
    Enrolment,
    Refused,
    User,
    modules_shown,
    seeded,
    shown,
)
from gateway.sandbox.hooked_switches import API_KEY, HookedSwitches
from gateway.sandbox.journal import Journal
from gateway.sandbox.serve import add_port_options, serve

MAX_BODY_BYTES = 1_000_000
JWKS = "/.well-known/jwks.json"


def create_hooked(
    switches: HookedSwitches | None = None, *, api_key: str = API_KEY, clock: Clock | None = None
) -> StandIn:
    """The ASGI app: API under `/v1/`, keys under `/.well-known/`, control surface under `/_control/`."""
    journal, clock = Journal(label=endpoint_label), clock or Clock()
    vendor = Hooked(switches or HookedSwitches(), api_key=api_key, journal=journal, clock=clock)
    return StandIn(vendor, journal=journal, clock=clock)


class Hooked:
    """The vendor's half of the stand-in; `postman.idle()` waits until every webhook is on its way or lost."""

    def __init__(self, switches: HookedSwitches, *, api_key: str, journal: Journal, clock: Clock) -> None:
        self._first_switches = switches
        self._api_key = api_key
        self._journal = journal
        self._clock = clock
        self.keys = Keys()
        mail = HookedMail(lambda: self.switches, self.keys)
        self.postman = Postman(lambda: self.switches, mail, lambda: clock.now().timestamp())
        self._actions = Actions(self, clock.now)
        self.actions = self._actions.table()
        self._app = Starlette(routes=self._routes(), exception_handlers={Refused: _refused})
        self.reset()

    def reset(self) -> None:
        self.switches = self._first_switches
        self.school = seeded(self._clock.now())
        self.postman.clear()

    def error_body(self, status: int) -> tuple[str, bytes]:
        error = {"code": "trouble", "message": "Something went wrong."}
        return "application/json", json.dumps({"error": error}).encode()

    def state(self) -> dict[str, Any]:
        """Enrolments, what was delivered (newest last), and how much is still on its way."""
        return {
            "enrolments": [self._shown(each) for each in self.school.enrolments.values()],
            "users": [_user(each) for each in self.school.users.values()],
            "deliveries": [each.as_json() for each in list(self.postman.journal)],
            "waiting": self.postman.waiting,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.url.path != JWKS and not self._admitted(request):
            refusal = Refused(401, "bad_key", "The key is missing or wrong.")
            await (await _refused(request, refusal))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admitted(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.encode(), self._api_key.encode())
        return scheme.lower() == "bearer" and right and not token_expired(request.scope)

    def _routes(self) -> list[Route]:
        table = [
            ("GET", "/v1/ping", self._ping),
            ("GET", "/v1/courses", self._courses),
            ("GET", "/v1/courses/{id}", self._course),
            ("GET", "/v1/users", self._users),
            ("POST", "/v1/users", self._add_user),
            ("GET", "/v1/enrolments", self._changes),
            ("POST", "/v1/enrolments", self._enrol),
            ("POST", "/v1/enrolments/status", self._status),
            ("GET", "/v1/enrolments/{id}", self._enrolment),
            ("DELETE", "/v1/enrolments/{id}", self._unenrol),
            ("GET", JWKS, self._jwks),
        ]
        return [Route(path, handler, methods=[method]) for method, path, handler in table]

    async def _ping(self, _: Request) -> Response:
        return JSONResponse({"ok": True})

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(self.keys.jwks())

    async def _courses(self, request: Request) -> Response:
        return self._page(request, [_course(each) for each in self.school.courses.values()])

    async def _course(self, request: Request) -> Response:
        return JSONResponse(_course(self.school.course(request.path_params["id"])))

    async def _users(self, request: Request) -> Response:
        wanted = request.query_params.get("external_id")
        found = [each for each in self.school.users.values() if wanted in (None, each.external_id)]
        return self._page(request, [_user(each) for each in found])

    async def _add_user(self, request: Request) -> Response:
        given = await _json_of(request)
        names = ("external_id", "first_name", "last_name", "email")
        values = {name: _text(given, name) for name in names}
        same = [each for each in self.school.users.values() if each.external_id == values["external_id"]]
        if same:
            raise Refused(409, "user_exists", "There is a user with this external_id.", user_id=same[0].id)
        user = User(id=self.school.new_id("usr"), **values)
        self.school.users[user.id] = user
        self._journal.effect("user_created", user.id)
        return JSONResponse(_user(user), 201)

    async def _enrol(self, request: Request) -> Response:
        given = await _json_of(request)
        user = self.school.user(_text(given, "user_id"))
        course = self.school.course(_text(given, "course_id"))
        if not course.active:
            raise Refused(422, "course_closed", "Nobody can be enrolled in this course.")
        earlier = self.school.open_enrolment(user.id, course.id)
        if earlier is not None:
            raise Refused(
                409, "already_enrolled", "The user is enrolled in this course.", enrolment_id=earlier.id
            )
        now, id = self._clock.now(), self.school.new_id("enr")
        enrolment = Enrolment(id=id, user_id=user.id, course_id=course.id, created=now, updated=now)
        self.school.enrolments[id] = enrolment
        self._journal.effect("enrolled", id)
        self._actions.tell("enrolment.created", enrolment)
        return JSONResponse(self._shown(enrolment), 201)

    async def _enrolment(self, request: Request) -> Response:
        enrolment = self.school.enrolment(request.path_params["id"])
        modules = modules_shown(self.school, enrolment)
        return JSONResponse({**self._shown(enrolment), "modules": modules})

    async def _unenrol(self, request: Request) -> Response:
        enrolment = self.school.enrolment(request.path_params["id"])
        self._actions.end(enrolment)
        self._journal.effect("unenrolled", enrolment.id)
        return Response(status_code=204)

    async def _changes(self, request: Request) -> Response:
        asked = request.query_params
        since, before = (_time(asked.get(name)) for name in ("changed_since", "changed_before"))
        found = self.school.changed(since, before, asked.get("course_id", ""))
        return self._page(request, [self._shown(each) for each in found])

    async def _status(self, request: Request) -> Response:
        ids = (await _json_of(request)).get("ids")
        if not isinstance(ids, list):
            raise Refused(400, "bad_request", "ids is not a list.")
        if len(ids) > self.switches.chunk:
            raise Refused(400, "too_many", f"At most {self.switches.chunk} ids.")
        known = [self.school.enrolments[id] for id in ids if id in self.school.enrolments]
        return JSONResponse({"data": [self._shown(each) for each in known]})

    def _page(self, request: Request, items: list[dict[str, Any]]) -> Response:
        page = _number(request.query_params.get("page", "1"))
        size = min(_number(request.query_params.get("per_page", "50")), self.switches.page_size)
        start = (page - 1) * size
        more = len(items) > start + size
        return JSONResponse({"data": items[start : start + size], "next_page": page + 1 if more else None})

    def _shown(self, enrolment: Enrolment) -> dict[str, Any]:
        return shown(self.school, enrolment, fraction=self.switches.fraction)


def endpoint_label(method: str, path: str, _body: bytes) -> str:
    """The endpoint of a request, ids left out: `GET /v1/enrolments/ID`."""
    head, _, last = path.rpartition("/")
    plain = head not in ("/v1/enrolments", "/v1/courses") or last == "status"
    return f"{method} {path if plain else head + '/ID'}"


def _course(course: Course) -> dict[str, Any]:
    return {"id": course.id, "title": course.title, "active": course.active}


def _user(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "external_id": user.external_id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
    }


async def _json_of(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        value = json.loads(body) if len(body) <= MAX_BODY_BYTES else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "bad_request", "The body is not a JSON object.")
    return value


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(422, "missing", f"{name} is missing.")
    return value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) == int(text)):
        raise Refused(400, "bad_request", "A page number is wrong.")
    return int(text)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(400, "bad_request", "A time is not RFC 3339.")
    return at


async def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refused)
    return JSONResponse({"error": {"code": exc.code, "message": exc.message, **exc.more}}, exc.status)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Hooked LMS, an invented vendor that sends webhooks.")
    add_port_options(parser)
    parser.add_argument("--api-key", default=API_KEY, help="the key of its API (default %(default)s)")
    parser.add_argument("--switches", default="{}", help="switches, as a JSON object")
    options = parser.parse_args(arguments)
    app = create_hooked(switched(HookedSwitches(), json.loads(options.switches)), api_key=options.api_key)
    serve(app, host=options.host, port=options.port)


if __name__ == "__main__":
    main()
