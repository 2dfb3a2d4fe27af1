"""A stand-in of Moodle: the core web services over REST that a student system needs, stateful, in memory.

`create_moodle()` makes the ASGI app; `python -m gateway.sandbox.moodle` serves it, with switches such as
`--switches '{"version": "4.5"}'`. Switches: moodle_switches.py; releases: moodle_versions.py; seed data:
moodle_seed.py. Faults: faults.py. Control surface: control.py, with the actions of moodle_actions.py
(learners), moodle_office.py (people, courses, grade items) and moodle_hook_actions.py (webhooks by hand).
Source: vendors/moodle.md and recordings of a real Moodle 4.3, which win where the two differ.

Everything is `/webservice/rest/server.php`, and `/login/token.php`. Functions that are not here are either
not in the token's service (ELSEWHERE) or unknown.

Effects in the journal, real changes only: user_created, user_updated, user_suspended and user_unsuspended
(user); enrolled, suspended, unsuspended, dates_changed and unenrolled (course,user); role_assigned
(course,user,role); grade_set (course,user,cmid). Enrolling who is enrolled is none of them unless it changes
something; what rivals of a race, learners and staff do is none.
"""

from __future__ import annotations

import argparse
import inspect
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.sandbox import moodle_completion as completion
from gateway.sandbox import moodle_courses as courses
from gateway.sandbox import moodle_enrolled as enrolled
from gateway.sandbox import moodle_enrolment as enrolment
from gateway.sandbox import moodle_errors as say
from gateway.sandbox import moodle_grades as grades
from gateway.sandbox import moodle_user_creation as user_creation
from gateway.sandbox import moodle_users as users
from gateway.sandbox import moodle_wire as wire
from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import HTML_PAGE, token_expired
from gateway.sandbox.journal import Journal, raw_path
from gateway.sandbox.moodle_actions import LearnerActions
from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_completion_rules import progress
from gateway.sandbox.moodle_errors import Refused
from gateway.sandbox.moodle_hook_actions import HookActions
from gateway.sandbox.moodle_hooks import Hooks
from gateway.sandbox.moodle_office import OfficeActions
from gateway.sandbox.moodle_parameters import Rules, checked
from gateway.sandbox.moodle_seed import PASSWORD, seeded
from gateway.sandbox.moodle_site import info, login, login_error
from gateway.sandbox.moodle_state import SERVICE
from gateway.sandbox.moodle_switches import Switches
from gateway.sandbox.serve import add_port_options, serve

TOKEN = "5a4db0c5e7f8091a2b3c4d5e6f708192"
SERVER, LOGIN = "/webservice/rest/server.php", "/login/token.php"
INFO = "core_webservice_get_site_info"
SETTINGS = tuple(f"moodlewssetting{name}" for name in ("raw", "fileurl", "filter", "lang", "timezone"))
# Functions of core that the service of the token never has here.
ELSEWHERE = (
    "core_course_get_courses",
    "core_course_get_contents",
    "core_user_get_users",
    "core_user_delete_users",
    "core_group_get_course_groups",
    "core_completion_override_activity_completion_status",
    "core_completion_mark_course_self_completed",
    "core_enrol_unenrol_user_enrolment",
)
FUNCTIONS: dict[str, Function] = {
    **courses.FUNCTIONS,
    **users.FUNCTIONS,
    **user_creation.FUNCTIONS,
    **enrolment.FUNCTIONS,
    **enrolled.FUNCTIONS,
    **completion.FUNCTIONS,
    **grades.FUNCTIONS,
}
FUNCTIONS[INFO] = info(FUNCTIONS)
MAINTENANCE_S = "300"


def create_moodle(
    switches: Switches | None = None,
    *,
    token: str = TOKEN,
    password: str = PASSWORD,
    start: datetime | None = None,
) -> StandIn:
    """The stand-in as an ASGI app, its clock fixed at `start` (aware) or running in real time.

    In process: `.faults.arm(...)`, `.journal`, `.clock.advance(...)`, `.vendor.site`, `.vendor.switches`,
    `.vendor.hooks.idle()`, `.vendor.actions[...]`, `.reset()`.
    """
    clock, journal = Clock(start), Journal(label=endpoint_label)
    vendor = Moodle(token, password, switches or Switches(), clock, journal)
    return StandIn(vendor, journal=journal, clock=clock)


class Moodle:
    """The vendor's half: the site, its web services and its webhooks."""

    def __init__(self, token: str, password: str, switches: Switches, clock: Clock, journal: Journal) -> None:
        self._token, self._password = token, password
        self._first_switches = switches
        self._clock, self._journal = clock, journal
        self.hooks = Hooks(lambda: self.switches, lambda: clock.now().timestamp())
        tables = (LearnerActions(self, clock.now), OfficeActions(self, clock.now), HookActions(self))
        self.actions = {name: action for each in tables for name, action in each.table().items()}
        self.reset()

    def reset(self) -> None:
        self.switches = self._first_switches
        self.site = seeded(self._now())
        self.hooks.clear()

    def error_body(self, status: int) -> tuple[str, bytes]:
        """An error object; the site itself gives them status 200, a server before it would not."""
        refusal = say.general("generalexceptionmessage", f"Exception - something went wrong ({status})")
        return wire.JSON_TYPE, wire.as_json(refusal.shown(self.switches))

    def state(self) -> dict[str, Any]:
        """Plain values. Enrolments name the user's username, idnumber and e-mail as they were sent."""
        site = self.site
        return {
            "users": [asdict(each) for each in site.users.values()],
            "courses": [asdict(each) for each in site.courses.values()],
            "enrolments": [self._enrolment_state(id) for id in site.enrolments],
            "completed": [[*pair, at] for pair, at in site.completed.items()],
            "results": [[*pair, each.state] for pair, each in site.results.items()],
            "grades": [[*pair, each.raw] for pair, each in site.grades.items()],
            "deliveries": [each.as_json() for each in list(self.hooks.postman.journal)],
            "waiting": self.hooks.postman.waiting,
        }

    def _enrolment_state(self, id: int) -> dict[str, Any]:
        found, now = self.site.enrolments[id], self._now()
        user, course = self.site.users[found.user_id], self.site.courses[found.course_id]
        return {
            **asdict(found),
            "username": user.username,
            "idnumber": user.idnumber,
            "email": user.email,
            "shortname": course.shortname,
            "active": found.active(now),
            "roles": sorted(self.site.roles.get((course.id, user.id), ())),
            "progress": progress(self.site, course, user, now),
            "completed": (course.id, user.id) in self.site.completed,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._response(request, await request.body())
        await response(scope, receive, send)

    async def _response(self, request: Request, body: bytes) -> Response:
        path = raw_path(request.scope)
        if path not in (SERVER, LOGIN):
            return HTMLResponse(HTML_PAGE, 404)
        if self.switches.html_page:
            return HTMLResponse(HTML_PAGE)
        if self.switches.maintenance == "page":
            return HTMLResponse(HTML_PAGE, 503, {"Retry-After": MAINTENANCE_S})
        if not self.switches.rest_enabled:
            return HTMLResponse(b"", 403)
        kind = request.headers.get("content-type", "")
        given = wire.parameters(request.url.query, kind, body, at_most=self.switches.max_input_vars)
        self.hooks.host = url = str(request.base_url).rstrip("/")
        return self._logged_in(given) if path == LOGIN else await self._served(given, request, url)

    def _logged_in(self, given: wire.Tree) -> Response:
        name = self.site.users[SERVICE].username
        answer = login(given, username=name, password=self._password, token=self._token)
        if self.switches.maintenance == "error":
            answer = login_error("sitemaintenance")
        return Response(wire.as_json(answer), media_type=f"{wire.JSON_TYPE}; charset=utf-8")

    async def _served(self, given: wire.Tree, request: Request, url: str) -> Response:
        """The answer of a function, or an error: in JSON if that was asked for, in XML otherwise."""
        in_json = given.pop("moodlewsrestformat", None) == "json"
        try:
            answer = await self._run(given, request, url)
        except Refused as refusal:
            error = refusal.shown(self.switches)
            content = wire.as_json(error) if in_json else wire.error_as_xml(error)
        else:
            content = wire.as_json(answer) if in_json else wire.as_xml(answer)
        headers = {**wire.HEADERS, "Content-Type": wire.JSON_TYPE if in_json else wire.XML_TYPE}
        if not in_json:
            headers["Content-Disposition"] = 'inline; filename="response.xml"'
        return Response(content, headers=headers)

    async def _run(self, given: wire.Tree, request: Request, url: str) -> Any:
        if self.switches.database_down:
            raise say.database_down()
        token, name = given.pop("wstoken", ""), given.pop("wsfunction", "")
        self._admit(token, expired=token_expired(request.scope))
        function = self._function(name)
        rules = Rules(version=self.switches.release, extended_usernames=self.switches.extended_usernames)
        raw = given.get("moodlewssettingraw") in ("1", "true")
        arguments = checked(
            function.parameters, {key: each for key, each in given.items() if key not in SETTINGS}, rules
        )
        answer = function.run(self._call(arguments, rules, url, raw=raw))
        return await answer if inspect.isawaitable(answer) else answer

    def _admit(self, token: object, *, expired: bool) -> None:
        """Raises Refused for a token that does not let in; one that has expired is deleted by its use."""
        trouble = self.switches.token_trouble
        deleted = trouble == "expired" and self.site.token_deleted
        if token != self._token or trouble == "unknown" or deleted:
            raise say.invalid_token()
        if expired:
            raise say.no_access("Invalid token - token expired")
        if trouble == "expired":
            self.site.token_deleted = True
            raise say.no_access("Invalid token - token expired")
        if trouble == "ip":
            raise say.no_access("Invalid token - IP is not supported")
        if self.switches.maintenance == "error":
            raise say.general(
                "sitemaintenance", "The site is undergoing maintenance and is currently not available"
            )
        if trouble == "suspended":
            raise say.suspended_user(self.site.users[SERVICE].username)
        if "webservice/rest:use" in self.switches.lacks:
            raise say.no_access("The user may not use the REST protocol")

    def _function(self, name: object) -> Function:
        """Raises Refused for a function that is missing, unknown or not in the service."""
        if not isinstance(name, str) or not name:
            raise say.invalid("Missing function name")
        if name in self.switches.left_out or name in ELSEWHERE:
            raise say.no_access(f"Access to the function {name}() is not allowed.")
        if name not in FUNCTIONS:
            raise say.no_record("external_functions")
        return FUNCTIONS[name]

    def _call(self, arguments: dict[str, Any], rules: Rules, url: str, *, raw: bool) -> Call:
        return Call(
            arguments=arguments,
            site=self.site,
            switches=self.switches,
            journal=self._journal,
            now=self._now(),
            url=url,
            raw=raw,
            rules=rules,
            tell=self.hooks.tell,
        )

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def endpoint_label(method: str, path: str, body: bytes) -> str:
    """The function a form body names; otherwise method and path."""
    name = wire.function_of(body) if path == SERVER else ""
    return name or f"{method} {path}"


def main(arguments: list[str] | None = None) -> None:
    """Serve the stand-in until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.moodle", description="A stand-in of Moodle."
    )
    add_port_options(parser)
    parser.add_argument("--token", default=TOKEN, help="the token of the service (default %(default)s)")
    parser.add_argument("--password", default=PASSWORD, help="of the service user (default %(default)s)")
    parser.add_argument("--switches", default="{}", help="switches, as a JSON object")
    chosen = parser.parse_args(arguments)
    switches = switched(Switches(), json.loads(chosen.switches))
    app = create_moodle(switches, token=chosen.token, password=chosen.password)
    serve(app, port=chosen.port, host=chosen.host)


if __name__ == "__main__":
    main()
