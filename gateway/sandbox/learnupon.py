"""A stand-in of LearnUpon, API v1 after the ILT Center change, with both webhooks: stateful, in memory.

`create_learnupon()` makes the ASGI app; `python -m gateway.sandbox.learnupon` serves it, with switches
such as `--switches '{"hook_v2_url": "http://…"}'`. Switches: learnupon_switches.py; seed: learnupon_seed.py.
Faults: faults.py. Control surface: control.py, with the actions of learnupon_actions.py (learners and their
enrolments), learnupon_office.py (people, courses, sessions) and learnupon_hook_actions.py (webhooks by hand).
Source: vendors/learnupon.md, nothing else.

Effects in the journal: user_created and user_changed (user); enrolled, unenrolled, history_removed,
dates_changed and result_set (course,user); group_created (group), group_joined and group_left (group,user);
session_joined (session,user). `unenrolled` is the end of an active enrolment, whether its record stays
or not; `history_removed` that of a finished or already unenrolled record.
"""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.sandbox import learnupon_courses as courses
from gateway.sandbox import learnupon_enrolments as enrolments
from gateway.sandbox import learnupon_errors as say
from gateway.sandbox import learnupon_groups as groups
from gateway.sandbox import learnupon_marks as marks
from gateway.sandbox import learnupon_users as users
from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import HTML_PAGE, token_expired
from gateway.sandbox.journal import Journal, raw_path
from gateway.sandbox.learnupon_actions import LearnerActions
from gateway.sandbox.learnupon_allowance import Allowance
from gateway.sandbox.learnupon_call import Call, Endpoint, Listed, Made, Nothing
from gateway.sandbox.learnupon_errors import Refused, UnknownPath
from gateway.sandbox.learnupon_hook_actions import HookActions
from gateway.sandbox.learnupon_hooks import Hooks
from gateway.sandbox.learnupon_office import OfficeActions
from gateway.sandbox.learnupon_seed import seeded
from gateway.sandbox.learnupon_switches import Switches
from gateway.sandbox.learnupon_wire import BASE, authorised, json_of, page_of, query_of, route_of
from gateway.sandbox.serve import add_port_options, serve

USERNAME, PASSWORD = "lu_user_sandbox", "lu_pass_sandbox"
PORTAL = {"id": 1201, "name": "Sandbox Training", "subdomain": "sandbox", "enabled": True}


def portals(call: Call) -> Listed:
    """The portal of the key, and no other."""
    return Listed("portals", [PORTAL])


ENDPOINTS: Mapping[str, Endpoint] = {
    "GET portals": portals,
    "GET users": users.users,
    "GET users/search": users.search,
    "GET users/ID": users.user,
    "POST users": users.create,
    "PUT users/ID": users.change,
    "GET courses": courses.courses,
    "GET modules": courses.modules,
    "GET live-learnings/sessions/search": courses.sessions,
    "POST live-learnings/sessions/ID/add_to_session": courses.add_to_session,
    "POST enrollments": enrolments.create,
    "GET enrollments": enrolments.listing,
    "GET enrollments/search": enrolments.search,
    "GET enrollments/ID": enrolments.enrolment,
    "GET enrollments/ID/modules": enrolments.modules,
    "PATCH enrollments/ID": enrolments.change_dates,
    "DELETE enrollments/ID": enrolments.delete,
    "GET audit-trails": enrolments.audit_trail,
    "POST markcompletes": marks.create,
    "GET markcompletes": marks.marks,
    "GET groups": groups.groups,
    "POST groups": groups.create,
    "GET group_memberships": groups.memberships,
    "POST group_memberships": groups.join,
    "DELETE group_memberships/ID": groups.leave,
}


def create_learnupon(
    switches: Switches | None = None,
    *,
    username: str = USERNAME,
    password: str = PASSWORD,
    start: datetime | None = None,
) -> StandIn:
    """The stand-in as an ASGI app, its clock fixed at `start` (aware) or running in real time.

    In process: `.faults.arm(...)`, `.journal`, `.clock.advance(...)`, `.vendor.portal`, `.vendor.switches`,
    `.vendor.hooks.idle()`, `.vendor.actions[...]`, `.reset()`.
    """
    clock, journal = Clock(start), Journal(label=endpoint_label)
    vendor = LearnUpon((username, password), switches or Switches(), clock, journal)
    return StandIn(vendor, journal=journal, clock=clock)


class LearnUpon:
    """The vendor's half: portal, allowance, webhooks and API."""

    def __init__(self, key: tuple[str, str], switches: Switches, clock: Clock, journal: Journal) -> None:
        self._key = key
        self._first_switches = switches
        self._clock = clock
        self._journal = journal
        self.hooks = Hooks(lambda: self.switches, lambda: self.portal, clock.now)
        tables = (LearnerActions(self, clock.now), OfficeActions(self, clock.now), HookActions(self))
        self.actions = {name: action for each in tables for name, action in each.table().items()}
        self.reset()

    def reset(self) -> None:
        self.switches = self._first_switches
        self.portal = seeded(self._clock.now())
        self.allowance = Allowance()
        self.hooks.clear()
        self._requests = 0

    def error_body(self, status: int) -> tuple[str, bytes]:
        text = {401: say.UNAUTHORISED, 404: say.NOT_FOUND, 429: say.TOO_MANY}.get(status, say.INTERNAL)
        return "application/json; charset=utf-8", _json(say.envelope(status, text))

    def state(self) -> dict[str, Any]:
        """Plain values, dates as text. Enrolments carry the learner's e-mail and username as sent."""
        portal = self.portal
        return {
            "users": [_plain(each) for each in portal.users.values()],
            "courses": [_plain(each) for each in portal.courses.values()],
            "enrolments": [self._enrolment_state(id) for id in portal.enrolments],
            "removed": list(portal.removed),
            "marks": [_plain(each) for each in portal.marks.values()],
            "groups": [_plain(each) for each in portal.groups.values()],
            "memberships": [_plain(each) for each in portal.memberships.values()],
            "deliveries": self.hooks.deliveries,
            "waiting": self.hooks.waiting,
        }

    def _enrolment_state(self, id: int) -> dict[str, Any]:
        found = self.portal.enrolments[id]
        user, course = self.portal.users[found.user_id], self.portal.courses[found.course_id]
        return {
            **_plain(found),
            "email": user.email,
            "username": user.username,
            "course_source_id": course.source,
            "active": found.active,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = self._response(request, await request.body())
        self._requests += 1
        response.headers["X-Request-Id"] = str(uuid.UUID(int=self._requests))
        await response(scope, receive, send)

    def _response(self, request: Request, body: bytes) -> Response:
        try:
            response = self._answer(request, body)
        except UnknownPath as unknown:
            return (
                HTMLResponse(HTML_PAGE, 404) if self.switches.unknown_path_html else _sent(404, unknown.body)
            )
        except Refused as refusal:
            response = _sent(refusal.status, refusal.body)
            if refusal.status == 429 and self.switches.retry_after_s:
                response.headers["Retry-After"] = str(self.switches.retry_after_s)
            return response
        response.headers.update(self.allowance.headers(self._clock.now(), *self._limits()))
        return response

    def _answer(self, request: Request, body: bytes) -> Response:
        header = request.headers.get("authorization", "")
        if token_expired(request.scope) or not authorised(header, *self._key):
            raise Refused(401, say.UNAUTHORISED)
        if not self.allowance.spend(self._clock.now(), *self._limits()):
            raise Refused(429, say.TOO_MANY)
        given = json_of(request, body, self.switches)
        route, id = route_of(raw_path(request.scope))
        endpoint = ENDPOINTS.get(f"{request.method} {route}")
        if endpoint is None:
            raise UnknownPath
        query = query_of(request)
        return self._written(endpoint(self._call(query, given, id)), query)

    def _limits(self) -> tuple[int, int]:
        return self.switches.minute_limit, self.switches.week_limit

    def _written(
        self, answer: Listed | Made | Nothing | dict[str, Any], query: Mapping[str, str]
    ) -> Response:
        match answer:
            case Listed():
                body, headers = page_of(answer, query, self.switches)
                return _sent(200, body, headers)
            case Made():
                return _sent(self.switches.created_status, answer.body)
            case Nothing():
                return Response(status_code=200)
            case _:
                return _sent(200, answer)

    def _call(self, query: Mapping[str, str], body: Any, id: int) -> Call:
        return Call(
            query=query,
            body=body,
            id=id,
            portal=self.portal,
            switches=self.switches,
            journal=self._journal,
            now=self._clock.now(),
            tell=self.hooks.tell,
        )


def endpoint_label(method: str, path: str, _body: bytes) -> str:
    """The endpoint of a request, ids left out: `GET enrollments/ID`."""
    return f"{method} {route_of(path)[0] if path.startswith(BASE) else path}"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _sent(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_json(body), status, dict(headers or {}), "application/json; charset=utf-8")


def _plain(thing: Any) -> dict[str, Any]:
    """A dataclass as JSON can show it."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(thing), default=datetime.isoformat))
    return plain


def main(arguments: list[str] | None = None) -> None:
    """Serve the stand-in until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.learnupon", description="A stand-in of LearnUpon."
    )
    add_port_options(parser)
    parser.add_argument("--username", default=USERNAME, help="user-name key (default %(default)s)")
    parser.add_argument("--password", default=PASSWORD, help="password key (default %(default)s)")
    parser.add_argument("--switches", default="{}", help="switches, as a JSON object")
    chosen = parser.parse_args(arguments)
    switches = switched(Switches(), json.loads(chosen.switches))
    app = create_learnupon(switches, username=chosen.username, password=chosen.password)
    serve(app, port=chosen.port, host=chosen.host)


if __name__ == "__main__":
    main()
