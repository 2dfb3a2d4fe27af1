"""RTOPilot's side over ASGI: every address, every refusal, one error shape."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import jsonschema
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gateway.contract import Course, Done, Enrolment, Inputs, Operation, Person
from gateway.errors import Conflict, OutcomeUnknown, Refused, VendorFault, VendorTimeout, VendorUnavailable
from gateway.mapping.schema import load_schema
from gateway.rtopilot import routes as routes_module
from gateway.rtopilot.credentials import Accepted, basic, bearer, custom_header, open_door
from gateway.rtopilot.replies import ExtraFields
from gateway.rtopilot.routes import EXCEPTION_HANDLERS, Front, TenantDoor, routes

SECRET = "q7Yt0fZk1uV9mWxR2sPd4A"
BEARER = {"Authorization": "Bearer tok"}
STUDENT = {"courseId": "126", "student": {"id": "204", "firstName": "Joana", "lastName": "Reis"}}
TARGET = {"to": {"id": "205", "firstName": "Ana", "lastName": ""}}
JOANA = Person(id="204", first_name="Joana", last_name="Reis")


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Perform:
    """Answers every operation, or raises what it was told to; remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.error = None
        self.results = {
            Operation.GET_COURSES: [Course(id="126", name="Safety")],
            Operation.GET_COURSE: Course(id="126", name="Safety"),
            Operation.GET_ENROLMENT: Enrolment(id="7-126", progress=40),
        }

    async def __call__(self, tenant, operation, inputs, *, reference):
        self.asked.append((tenant, operation, inputs))
        if self.error is not None:
            raise self.error
        return self.results.get(operation, Done(id="7-126"))


def door(tenant, **changes):
    values = {"path": tenant, "accepted": Accepted(default=(bearer("tok"),))} | changes
    return TenantDoor(tenant=tenant, **values)


TENANTS = {
    "acme": door("acme"),
    "open": door("open", path=SECRET, accepted=Accepted(default=(open_door(),))),
    "mixed": door(
        "mixed",
        accepted=Accepted(
            default=(basic("rto", "pass"),),
            per_operation={
                Operation.GET_COURSES: (custom_header("X-Key", "old"), custom_header("X-Key", "new"))
            },
        ),
        off=frozenset({Operation.UPDATE_MARKING}),
        extra_fields={Operation.CREATE_ENROLMENT: ExtraFields(add={"status": "active"})},
    ),
}


async def crash(request):
    raise RuntimeError("Joana Reis")


async def teapot(request):
    raise HTTPException(418)


@pytest.fixture
def perform():
    return Perform()


@pytest.fixture
async def client(perform):
    app = Starlette(
        routes=[*routes(TENANTS, perform), Route("/crash", crash), Route("/teapot", teapot)],
        exception_handlers=dict(EXCEPTION_HANDLERS),
    )
    app.router.redirect_slashes = False
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client


def assert_canonical_error(response, status, code):
    """The one shape of every error, whoever produced it."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    jsonschema.validate(response.json(), load_schema("rtopilot/error.json"))
    error = response.json()["error"]
    assert error["code"] == code
    assert error["reference"] == response.headers["x-reference"]
    assert "Joana" not in response.text and "Traceback" not in response.text


CALLS = [
    ("GET", "/courses", None, Operation.GET_COURSES, Inputs()),
    ("GET", "/courses?q=white%20card", None, Operation.GET_COURSES, Inputs(search_term="white card")),
    ("GET", "/courses/126", None, Operation.GET_COURSE, Inputs(course_id="126")),
    ("GET", "/enrolments/7-126", None, Operation.GET_ENROLMENT, Inputs(enrolment_id="7-126")),
    ("POST", "/enrolments", STUDENT, Operation.CREATE_ENROLMENT, Inputs(course_id="126", person=JOANA)),
    (
        "POST",
        "/enrolments/7-126/transfer",
        TARGET,
        Operation.TRANSFER_ENROLMENT,
        Inputs(enrolment_id="7-126", person=Person(id="205", first_name="Ana", last_name="")),
    ),
    ("POST", "/enrolments/7-126/cancel", None, Operation.CANCEL_ENROLMENT, Inputs(enrolment_id="7-126")),
    (
        "POST",
        "/enrolments/7-126/marking",
        {"quizResults": [1]},
        Operation.UPDATE_MARKING,
        Inputs(enrolment_id="7-126", quiz_results=[1]),
    ),
]


@pytest.mark.parametrize("slash", ["", "/"], ids=["plain", "closing slash"])
@pytest.mark.parametrize(("method", "url", "body", "operation", "inputs"), CALLS, ids=[c[1] for c in CALLS])
async def test_call_reaches_its_operation(client, perform, method, url, body, operation, inputs, slash):
    path, _, query = url.partition("?")
    response = await client.request(method, f"/t/acme{path}{slash}?{query}", json=body, headers=BEARER)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert len(response.headers["x-reference"]) == 12
    jsonschema.validate(response.json(), load_schema(f"rtopilot/{operation}.reply.json"))
    assert perform.asked == [("acme", operation, inputs)]


async def test_body_is_read_whatever_its_content_type(client, perform):
    headers = BEARER | {"Content-Type": "text/plain"}
    response = await client.post("/t/acme/enrolments", content=json.dumps(STUDENT), headers=headers)
    assert response.status_code == 200


async def test_tenant_behind_a_secret_path_needs_no_credential(client, perform):
    assert (await client.get(f"/t/{SECRET}/courses")).status_code == 200
    assert perform.asked[0][0] == "open"
    assert_canonical_error(await client.get("/t/open/courses"), 404, "unknown_tenant")


async def test_operation_has_its_own_credentials(client):
    for value in ("old", "new"):
        assert (await client.get("/t/mixed/courses", headers={"x-key": value})).status_code == 200
    assert_canonical_error(await client.get("/t/mixed/courses", auth=("rto", "pass")), 401, "unauthorised")
    assert (await client.get("/t/mixed/courses/126", auth=("rto", "pass"))).status_code == 200


async def test_extra_fields_are_added(client):
    response = await client.post("/t/mixed/enrolments", json=STUDENT, auth=("rto", "pass"))
    assert response.json()["status"] == "active"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/t", 404, "not_found"),
        ("GET", "/t/", 404, "unknown_tenant"),
        ("GET", "/t//courses", 404, "unknown_tenant"),
        ("GET", "/t/nobody/courses", 404, "unknown_tenant"),
        ("GET", "/t/acme", 404, "not_found"),
        ("GET", "/t/acme/", 404, "not_found"),
        ("GET", "/t/acme//", 404, "not_found"),
        ("GET", "/t/acme/nothing", 404, "not_found"),
        ("GET", "/t/acme/courses/a/b", 404, "not_found"),
        ("GET", "/t/acme/courses/a%2Fb", 404, "not_found"),
        ("GET", "/t/acme/courses/%2e%2e", 404, "unknown_course"),
        ("GET", "/t/acme/courses/%252e", 404, "unknown_course"),
        ("GET", "/t/acme/courses/M%C4%81ori", 404, "unknown_course"),
        ("GET", "/t/acme/courses/%FF", 404, "unknown_course"),
        ("GET", "/t/acme/courses//", 404, "unknown_course"),
        ("GET", "/t/acme/enrolments/" + "7" * 300, 404, "unknown_enrolment"),
        ("POST", "/t/acme/enrolments//cancel", 404, "unknown_enrolment"),
        ("POST", "/t/acme/enrolments/a/b/cancel", 404, "not_found"),
        ("POST", "/t/acme/enrolments/7/delete", 404, "not_found"),
        ("POST", "/t/acme/enrolments/${enrolmentId}/cancel", 400, "unresolved_variable"),
        ("GET", "/t/acme/courses/$%7BcourseId%7D", 400, "unresolved_variable"),
        ("POST", "/t/acme/enrolments", 400, "not_json"),
        ("POST", "/t/acme/courses", 405, "method_not_allowed"),
        ("DELETE", "/t/acme/enrolments/7-126", 405, "method_not_allowed"),
        ("GET", "/t/acme/enrolments/7-126/cancel", 405, "method_not_allowed"),
        ("DELETE", "/crash", 405, "method_not_allowed"),
        ("GET", "/crash", 500, "internal_error"),
        ("GET", "/teapot", 400, "bad_request"),
    ],
)
async def test_refusal_has_the_canonical_shape(client, perform, method, path, status, code):
    response = await client.request(method, path, headers=BEARER)
    assert_canonical_error(response, status, code)
    assert perform.asked == []


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer no"}, {"Authorization": "Basic dG9rOnRvaw=="}]
)
async def test_wrong_credential_is_refused_before_the_body_is_read(client, perform, headers):
    async def body():
        raise AssertionError("the body was read")
        yield b""

    response = await client.post("/t/acme/enrolments", content=body(), headers=headers)
    assert_canonical_error(response, 401, "unauthorised")
    assert response.headers["www-authenticate"] == "Bearer"
    assert perform.asked == []


async def test_head_is_not_a_way_to_read(client):
    assert (await client.head("/t/acme/courses", headers=BEARER)).status_code == 405


async def test_method_not_allowed_says_which_are(client):
    response = await client.put("/t/acme/courses", headers=BEARER)
    assert response.headers["allow"] == "GET"


async def test_operation_switched_off_says_which_slot_to_leave_blank(client, perform):
    response = await client.post(
        "/t/mixed/enrolments/7-126/marking", json={"quizResults": []}, auth=("rto", "pass")
    )
    assert_canonical_error(response, 404, "operation_off")
    assert "Leave the slot Update LMS Enrolment Marking blank" in response.json()["error"]["message"]
    assert perform.asked == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict(), 409, "conflict"),
        (Refused("The course is full."), 422, "refused"),
        (VendorFault(detail="Joana Reis"), 502, "vendor_fault"),
        (VendorUnavailable(), 503, "vendor_unavailable"),
        (VendorTimeout(), 504, "vendor_timeout"),
        (OutcomeUnknown(), 504, "outcome_unknown"),
        (RuntimeError("Joana Reis"), 500, "internal_error"),
        (RecursionError(), 500, "internal_error"),
    ],
)
async def test_error_of_an_operation_has_the_canonical_shape(client, perform, error, status, code):
    perform.error = error
    response = await client.post("/t/acme/enrolments", json=STUDENT, headers=BEARER)
    assert_canonical_error(response, status, code)


async def test_misshapen_result_is_an_internal_error(client, perform):
    perform.results[Operation.CREATE_ENROLMENT] = Done(id="a b")
    response = await client.post("/t/acme/enrolments", json=STUDENT, headers=BEARER)
    assert_canonical_error(response, 500, "bad_reply")


async def test_result_of_another_operation_is_an_internal_error(client, perform):
    perform.results[Operation.CREATE_ENROLMENT] = [Course(id="1", name="x")]
    response = await client.post("/t/acme/enrolments", json=STUDENT, headers=BEARER)
    assert_canonical_error(response, 500, "bad_reply")


async def test_crash_is_logged_without_its_text(client, perform, caplog):
    perform.error = RuntimeError("Joana Reis")
    with caplog.at_level(logging.INFO):
        response = await client.post("/t/acme/enrolments", json=STUDENT, headers=BEARER)
    assert "RuntimeError" in caplog.text and "test_routes.py" in caplog.text
    assert response.headers["x-reference"] in caplog.text
    assert "Joana" not in caplog.text


async def test_access_log_has_the_route_but_not_the_address(client, caplog):
    with caplog.at_level(logging.INFO):
        await client.get(f"/t/{SECRET}/courses/126?q=Joana")
    assert "GET /courses/{courseId} tenant=open 200" in caplog.text
    gateway_lines = [record.getMessage() for record in caplog.records if record.name.startswith("gateway")]
    assert not any(SECRET in line or "126" in line or "Joana" in line for line in gateway_lines)


@pytest.mark.parametrize("size", [1_000_001, 3_000_000])
async def test_body_over_the_limit_is_refused(client, perform, size):
    response = await client.post("/t/acme/enrolments/7-1/cancel", content=b"x" * size, headers=BEARER)
    assert_canonical_error(response, 413, "body_too_large")
    assert perform.asked == []


async def test_endless_body_is_refused_at_the_limit(client):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    async with asyncio.timeout(10):
        response = await client.post("/t/acme/enrolments/7-1/cancel", content=endless(), headers=BEARER)
    assert_canonical_error(response, 413, "body_too_large")
    assert sent <= 1_200_000


async def test_body_of_one_megabyte_is_taken(client):
    response = await client.post("/t/acme/enrolments/7-1/cancel", content=b"x" * 1_000_000, headers=BEARER)
    assert response.status_code == 200


def front_call(path="acme/enrolments/7-1/cancel"):
    return {
        "type": "http",
        "method": "POST",
        "path_params": {"rest": path},
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer tok")],
    }


async def test_dripping_body_is_given_up(perform, monkeypatch):
    monkeypatch.setattr(routes_module, "BODY_TIMEOUT_S", 0.01)
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    await Front(TENANTS, perform, lambda: "ref1")(front_call(), receive, send)
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["error"]["code"] == "slow_body"


async def test_caller_that_hangs_up_gets_nothing_and_nothing_is_done(perform):
    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    await Front(TENANTS, perform, lambda: "ref1")(front_call(), receive, send)
    assert perform.asked == []


async def test_reference_reaches_the_performer(client, perform):
    seen = []

    async def performer(tenant, operation, inputs, *, reference):
        seen.append(reference)
        return Done(id="7-1")

    app = Starlette(routes=routes(TENANTS, performer, new_reference=lambda: "ref-9"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test") as other:
        response = await other.post("/t/acme/enrolments/7-1/cancel", headers=BEARER)
    assert (seen, response.headers["x-reference"]) == (["ref-9"], "ref-9")


@pytest.mark.parametrize("path", ["open", "short", "x" * 21, "a/b" + "x" * 30, "x" * 65])
def test_open_door_needs_an_unguessable_path(path):
    with pytest.raises(ValueError, match="22 random characters"):
        door("open", path=path, accepted=Accepted(default=(open_door(),)))


def test_two_tenants_cannot_share_a_path(perform):
    with pytest.raises(ValueError, match="same path"):
        routes({"a": door("a", path="x"), "b": door("b", path="x")}, perform)
