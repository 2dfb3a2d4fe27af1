"""A vendor for the bench: answers like an LMS, from memory, in a few microseconds.

`python bench/vendor.py --port 0 --delay-ms 0` prints its port. After `GET /_delay/50` every answer waits
50 ms, so that one process serves the fast and the slow rounds; `GET /_asked` says how many calls came, and
learners.py what `/_learners`, `/_percent` and `/_anew` do. Values are made up.
Source of the shapes: vendors/talentlms.md 3.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from urllib.parse import parse_qs, unquote

import uvloop
from learners import Learners

COURSES = 500
API = "/api/v1/"
_TOPICS = ("Safety", "Care", "Baking", "Welding")
_FILLER = "Covers the units of competency needed at induction."


def listed(number: int) -> dict[str, object]:
    """A list item; 500 of them weigh about 292 kB, as a real portal's do."""
    return {
        "id": str(number),
        "name": f"Certificate {number % 5 + 1} in {_TOPICS[number % 4]} {number}",
        "code": f"CRS{number:05d}",
        "category_id": str(number % 12),
        "description": _FILLER[:22],
        "price": "$0",
        "status": "active",
        "creation_date": "02/03/2026, 09:15:00",
        "last_update_on": "02/03/2026, 09:15:00",
        "creator_id": "1",
        "hide_from_catalog": "0",
        "time_limit": "0",
        "start_datetime": None,
        "expiration_datetime": None,
        "level": None,
        "shared": "0",
        "shared_url": "",
        "avatar": "https://demo.lms.example/pages/images/unknown_small.png",
        "big_avatar": "https://demo.lms.example/pages/images/unknown_big.png",
        "certification": None,
        "certification_duration": None,
    }


def _course_details(number: int) -> dict[str, object]:
    user = {
        "name": "M. Tan",
        "role": "learner",
        "enrolled_on": "02/03/2026, 09:16:00",
        "completion_percentage": "40",
    }
    return {
        **listed(number),
        "users": [{"id": str(each), **user} for each in range(7, 12)],
        "units": [{"id": str(900 + each), "type": "Content", "name": f"Part {each}"} for each in range(6)],
        "rules": ["You must complete all content"],
        "prerequisites": [],
        "prerequisite_rule_sets": [],
    }


def _status(percent: int = 40, code: str = "") -> dict[str, object]:
    unit = {
        "type": "Content",
        "completion_status": "Completed",
        "completed_on_timestamp": "1772576100",
        "score": "100",
    }
    return {
        "role": "learner",
        "enrolled_on": "02/03/2026, 09:16:00",
        "enrolled_on_timestamp": "1772414160",
        "completion_status": "In progress",
        "completion_percentage": str(percent),
        "completed_on": "",
        "completed_on_timestamp": None,
        "expired_on": "",
        "expired_on_timestamp": None,
        "total_time": "7m 31s",
        "total_time_seconds": 451,
        "units": [{"id": str(900 + each), "name": f"{code}Part {each}", **unit} for each in range(6)],
    }


def _user(number: int, login: str, email: str) -> dict[str, object]:
    return {
        "id": str(number),
        "login": login,
        "first_name": "Mia",
        "last_name": "Tan",
        "email": email,
        "restrict_email": "0",
        "user_type": "Learner-Type",
        "timezone": "(GMT +08:00) Perth, Australia",
        "language": "English",
        "status": "active",
        "created_on": "02/03/2026, 09:15:00",
        "last_updated_timestamp": "1772414100",
        "courses": [],
        "groups": [],
    }


def _answer(value: object, status: str = "200 OK") -> bytes:
    body = json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()
    return _framed(body, "application/json", status)


def _framed(body: bytes, kind: str, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _error(message: str) -> bytes:
    return _answer({"error": {"type": "invalid_request_error", "message": message}}, "404 Not Found")


NO_USER = _error("The requested user does not exist")
NO_COURSE = _error("The requested course does not exist")
NO_ACTION = _error("The requested API action does not exist")


class Portal:
    """All that the vendor knows."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.learners = Learners()
        self.asked = 0
        self._ids = itertools.count(1000)
        self._users: dict[str, bytes] = {}
        self._list = _answer([listed(number) for number in range(1, COURSES + 1)])
        self._courses = {str(number): _answer(_course_details(number)) for number in range(1, COURSES + 1)}
        self._status = _answer(_status())

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        if target.startswith("/_"):
            return self._obey(*target.removeprefix("/_").split("/"))
        self.asked += 1
        if target.startswith("/v1/"):
            path = target.partition("?")[0].removeprefix("/v1/enrolments").strip("/")
            return _answer(self.learners.hooked(path) if path else {"data": [], "next_page": None})
        if target.startswith("/webservices/"):
            return _framed(self.learners.soap(target), "text/xml;charset=utf-8")
        return self._talentlms(method, target, body)

    def _obey(self, order: str, number: str = "0") -> bytes:
        match order:
            case "delay":
                self.delay_s = float(number) / 1000
            case "anew":
                self.learners = Learners()
            case "learners":
                self.learners.per_course = int(number)
            case "percent":
                self.learners.percent = int(number)
        return _answer(self.asked)

    def _talentlms(self, method: str, target: str, body: bytes) -> bytes:
        action, _, arguments = target.partition("?")[0].removeprefix(API).partition("/")
        match method, action.lower():
            case "GET", "courses" if not arguments:
                return self._list
            case "GET", "courses" if self.learners.per_course:
                number = int(arguments.removeprefix("id:"))
                return _answer({**_course_details(number), "users": self.learners.course_users(number)})
            case "GET", "siteinfo":
                return _answer({"domain_map": "demo.lms.example", "date_format": "DDMMYYYY"})
            case "GET", "getuserstatusincourse" if self.learners.per_course:
                return _answer(_status(self.learners.percent, "TSTABC301 "))
            case "GET", "courses":
                return self._courses.get(arguments.removeprefix("id:"), NO_COURSE)
            case "GET", "getuserstatusincourse":
                return self._status
            case "GET", "users":
                return self._users.get(unquote(arguments).lower(), NO_USER)
            case "POST", "usersignup":
                return self._sign_up(parse_qs(body.decode()))
            case "POST", "addusertocourse":
                form = parse_qs(body.decode())
                user, course = form["user_id"][0], form["course_id"][0]
                return _answer([{"user_id": user, "course_id": course, "role": "learner"}])
        return NO_ACTION

    def _sign_up(self, form: dict[str, list[str]]) -> bytes:
        number, login, email = next(self._ids), form["login"][0], form["email"][0]
        found = _answer(_user(number, login, email))
        for key in (f"id:{number}", f"username:{login.lower()}", f"email:{email.lower()}"):
            self._users[key] = found
        return found


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1: whole requests with Content-Length, one at a time, kept alive."""

    def __init__(self, portal: Portal, loop: asyncio.AbstractEventLoop) -> None:
        self._portal = portal
        self._loop = loop
        self._waiting = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end]
            whole = end + 4 + content_length(head)
            if len(self._waiting) < whole:
                return
            body, self._waiting = self._waiting[end + 4 : whole], self._waiting[whole:]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            answer = self._portal.answer(method, target, body)
            if self._portal.delay_s:
                self._loop.call_later(self._portal.delay_s, self._transport.write, answer)
            else:
                self._transport.write(answer)


def content_length(head: bytes) -> int:
    """Of a request or response head, in whatever case the name is written; 0 if absent."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = lower.find(b"\r\n", at + 17)
    return int(lower[at + 17 : end if end >= 0 else None])


async def main(port: int, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    portal = Portal(delay_s)
    server = await loop.create_server(lambda: Connection(portal, loop), "127.0.0.1", port, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0)
    given = parser.parse_args()
    uvloop.run(main(given.port, given.delay_ms / 1000))
