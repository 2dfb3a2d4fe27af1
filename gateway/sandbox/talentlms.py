"""A stand-in of TalentLMS, API v1: stateful, in memory, with the traps its fact sheet tells of.

`create_talentlms()` makes the ASGI app; `python -m gateway.sandbox.talentlms --api-key KEY` serves it.
Switches: talentlms_switches.py. Seed data: talentlms_seed.py. Faults: faults.py. Control surface: control.py,
with the actions of talentlms_actions.py. Source: vendors/talentlms.md, nothing else.

Effects in the journal: user_registered (user), user_edited (user), user_status_set (user,status),
user_enrolled, user_unenrolled and progress_reset (course,user), group_joined and group_left (group,user).
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.sandbox import (
    talentlms_courses,
    talentlms_groups,
    talentlms_site,
    talentlms_users,
)
from gateway.sandbox import talentlms_errors as say
from gateway.sandbox.control import Clock, StandIn
from gateway.sandbox.faults import token_expired
from gateway.sandbox.journal import Journal, raw_path
from gateway.sandbox.serve import add_port_options, serve
from gateway.sandbox.talentlms_actions import Actions
from gateway.sandbox.talentlms_allowance import Allowance
from gateway.sandbox.talentlms_call import Call, Endpoint
from gateway.sandbox.talentlms_errors import Refused, WebPage, invalid_arguments
from gateway.sandbox.talentlms_seed import seeded
from gateway.sandbox.talentlms_switches import Switches
from gateway.sandbox.talentlms_wire import (
    APP_PAGE,
    BASE,
    authorised,
    endpoint_of,
    form_arguments,
    path_arguments,
    php_json,
    query_arguments,
)

API_KEY = "k3y-of-the-sandbox"
ENDPOINTS: Mapping[str, Endpoint] = {
    **talentlms_users.ENDPOINTS,
    **talentlms_courses.ENDPOINTS,
    **talentlms_groups.ENDPOINTS,
    **talentlms_site.ENDPOINTS,
}


def create_talentlms(
    *, api_key: str = API_KEY, switches: Switches | None = None, start: datetime | None = None
) -> StandIn:
    """The stand-in as an ASGI app, its clock fixed at `start` (aware) or running in real time.

    In process: `.faults.arm(...)`, `.journal`, `.clock.advance(...)`, `.vendor.portal`, `.vendor.switches`,
    `.vendor.actions[...]`, `.reset()`.
    """
    clock, journal = Clock(start), Journal(label=endpoint_label)
    return StandIn(TalentLMS(api_key, switches or Switches(), clock, journal), journal=journal, clock=clock)


class TalentLMS:
    """The vendor's half: portal, allowance and API."""

    def __init__(self, api_key: str, switches: Switches, clock: Clock, journal: Journal) -> None:
        self._api_key = api_key
        self._first_switches = switches
        self._clock = clock
        self._journal = journal
        self.actions = Actions(lambda: self.portal, clock.now).table()
        self.reset()

    def reset(self) -> None:
        self.switches = self._first_switches
        self.portal = seeded(self._clock.now())
        self.allowance = Allowance(self._clock.now())

    def error_body(self, status: int, message: str = "Something went wrong") -> tuple[str, bytes]:
        """`{"error": {"type", "message"}}`; faults on the vendor's side are of type api_error."""
        kind = "api_error" if status >= 500 else "invalid_request_error"
        text = say.USED_UP if status == 429 else message
        return "application/json", php_json({"error": {"type": kind, "message": text}})

    def state(self) -> dict[str, Any]:
        """Users, courses, groups and enrolments as plain values, dates as text."""
        return {
            "users": [_plain(user) for user in self.portal.users.values()],
            "courses": [_plain(course) for course in self.portal.courses.values()],
            "groups": [_plain(group) for group in self.portal.groups.values()],
            "enrolments": [
                {"user_id": user_id, "course_id": course_id, **_plain(enrolment)}
                for (user_id, course_id), enrolment in self.portal.enrolments.items()
            ],
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = self._response(request, await request.body())
        await response(scope, receive, send)

    def _response(self, request: Request, body: bytes) -> Response:
        try:
            answer = self._answer(request, body)
        except Refused as refusal:
            content_type, content = self.error_body(refusal.status, refusal.message)
            return Response(content, refusal.status, media_type=content_type)
        except WebPage as page:
            return HTMLResponse(page.page, page.status)
        return Response(php_json(answer), media_type="application/json")

    def _answer(self, request: Request, body: bytes) -> Any:
        name, segment = endpoint_of(
            raw_path(request.scope), encoded_at_accepted=self.switches.encoded_at_accepted
        )
        self._admit(request)
        if name != "ratelimit":
            self._spend()
        endpoint = ENDPOINTS.get(name)
        if endpoint is None:
            raise Refused(404, say.NO_SUCH_ACTION)
        if request.method != endpoint.method:
            raise invalid_arguments()
        return endpoint.run(self._call(self._arguments(request, segment, body)))

    def _admit(self, request: Request) -> None:
        if not self.switches.api_enabled:
            raise Refused(403, say.API_DISABLED)
        header = request.headers.get("authorization", "")
        if token_expired(request.scope) or not authorised(header, self._api_key):
            raise Refused(401, say.INVALID_KEY)

    def _spend(self) -> None:
        limits = self.switches
        if self.allowance.spend(self._clock.now(), hourly=limits.hourly_limit, burst=limits.burst_limit):
            return
        if limits.used_up_status == 503:
            raise WebPage(503, APP_PAGE.replace("was not found", "is not available"))
        raise Refused(limits.used_up_status, say.USED_UP)

    def _arguments(self, request: Request, segment: str, body: bytes) -> dict[str, str]:
        if request.method == "POST":
            return form_arguments(request.headers.get("content-type", ""), body)
        query = query_arguments(request.url.query) if self.switches.query_arguments else {}
        return query | path_arguments(segment)

    def _call(self, arguments: Mapping[str, str]) -> Call:
        return Call(
            arguments=arguments,
            portal=self.portal,
            switches=self.switches,
            allowance=self.allowance,
            journal=self._journal,
            now=self._clock.now(),
        )


def endpoint_label(_method: str, path: str, _body: bytes) -> str:
    """The endpoint's name, such as `courses`; what is asked for by id apart from the list: `courses/id`."""
    if not path.startswith(BASE):
        return path
    name, slash, arguments = path[len(BASE) :].partition("/")
    return f"{name.lower()}/id" if slash and arguments.startswith("id:") else name.lower()


def _plain(thing: Any) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(thing).items()
        if name != "results"
    }


def main(arguments: list[str] | None = None) -> None:
    """Serve the stand-in until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox.talentlms", description=__doc__)
    add_port_options(parser)
    parser.add_argument("--api-key", default=API_KEY, help="the portal's key (default %(default)s)")
    chosen = parser.parse_args(arguments)
    serve(create_talentlms(api_key=chosen.api_key), port=chosen.port, host=chosen.host)


if __name__ == "__main__":
    main()
