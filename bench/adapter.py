"""The yardstick: the adapter a good programmer writes in an afternoon, with Starlette and httpx.

One client for all calls, httpx's own transport with its default limits; a bearer token checked in constant
time; ids checked; the course list remembered for five minutes under `/t/bench`, asked for every time under
`/t/plain`. No journal, no trace, no validation of what it sends: that is the point of the comparison.

`python bench/adapter.py --port 8090 --vendor http://127.0.0.1:8091/api/v1 --token s3cret`
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LIST_TTL_S = 300
_ID = re.compile(r"[0-9]{1,18}")
_ENROLMENT = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")

Handler = Callable[[Request], Awaitable[JSONResponse]]


class Adapter:
    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self._client = client
        self._expected = f"Bearer {token}".encode()
        self._courses: list[dict[str, str]] = []
        self._read_at = float("-inf")

    async def courses(self, request: Request) -> JSONResponse:
        self._check(request)
        if request.path_params["tenant"] == "plain" or time.monotonic() - self._read_at > LIST_TTL_S:
            found = await self._call("GET", "/courses")
            courses = [{"id": str(each["id"]), "name": str(each["name"])} for each in found]
            self._courses = sorted(courses, key=lambda each: each["name"])
            self._read_at = time.monotonic()
        wanted = request.query_params.get("q", "").lower()
        return JSONResponse([each for each in self._courses if wanted in each["name"].lower()])

    async def course(self, request: Request) -> JSONResponse:
        self._check(request)
        number = _checked(_ID, request.path_params["id"])[0]
        found = await self._call("GET", f"/courses/id:{number}")
        return JSONResponse({"id": str(found["id"]), "name": str(found["name"])})

    async def enrolment(self, request: Request) -> JSONResponse:
        self._check(request)
        enrolment = request.path_params["id"]
        user, course = _checked(_ENROLMENT, enrolment).groups()
        found = await self._call("GET", f"/getuserstatusincourse/course_id:{course},user_id:{user}")
        completed = bool(found["completed_on_timestamp"]) or found["completion_status"] == "Completed"
        progress = 100 if completed else min(99, int(float(found["completion_percentage"] or 0)))
        return JSONResponse({**_ids(enrolment), "courseId": course, "progress": progress})

    async def create(self, request: Request) -> JSONResponse:
        self._check(request)
        asked = await request.json()
        student, course = asked["student"], _checked(_ID, str(asked["courseId"]))[0]
        login = f"rtop-{student['id']}"
        user = await self._call("GET", f"/users/username:{login}", missing_is=None)
        if user is None:
            form = {
                "first_name": student["firstName"],
                "last_name": student["lastName"],
                "email": f"{login}@learners.invalid",
                "login": login,
                "password": f"Aa1-{login}-{time.time_ns()}",
            }
            user = await self._call("POST", "/usersignup", data=form)
        await self._call("POST", "/addusertocourse", data={"user_id": user["id"], "course_id": course})
        return JSONResponse(_ids(f"{user['id']}-{course}"))

    def _check(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._expected):
            raise HTTPException(401)

    async def _call(self, method: str, path: str, *, missing_is: Any = ..., **given: Any) -> Any:
        try:
            response = await self._client.request(method, path, **given)
        except httpx.HTTPError as exc:
            raise HTTPException(502) from exc
        if response.status_code == 404 and missing_is is not ...:
            return missing_is
        if response.status_code != 200:
            raise HTTPException(404 if response.status_code == 404 else 502)
        return response.json()


def _checked(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise HTTPException(404)
    return match


def _ids(enrolment: str) -> dict[str, str]:
    return {"id": enrolment, "enrolmentId": enrolment, "lmsEnrolmentId": enrolment}


def create_app(vendor: str, token: str) -> Starlette:
    client = httpx.AsyncClient(base_url=vendor, auth=("k3yMadeUp", ""), timeout=httpx.Timeout(5, connect=2))
    adapter = Adapter(client, token)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(
        routes=[
            Route("/t/{tenant}/courses", adapter.courses),
            Route("/t/{tenant}/courses/{id}", adapter.course),
            Route("/t/{tenant}/enrolments/{id}", adapter.enrolment),
            Route("/t/{tenant}/enrolments", adapter.create, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--vendor", required=True)
    parser.add_argument("--token", required=True)
    given = parser.parse_args()
    uvicorn.run(
        create_app(given.vendor, given.token),
        port=given.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
