"""RTOPilot's calls on real sockets: the very bytes on the wire, one attempt, each failure by its name."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.contract import Operation
from gateway.sandbox import rtopilot_caller
from gateway.sandbox.rtopilot_caller import Caller, ServerError
from gateway.sandbox.rtopilot_inputs import NAMES, SEARCH_TERMS
from gateway.sandbox.rtopilot_slots import PUBLISHED, Auth, Slots
from gateway.sandbox.rtopilot_switches import Switches, all_switch_combinations, switch_id
from gateway.sandbox.rtopilot_templates import TemplateError

SEARCH, CANCEL, CREATE = Operation.GET_COURSES, Operation.CANCEL_ENROLMENT, Operation.CREATE_ENROLMENT
IDS = b'{"id":"e","enrolmentId":"e","lmsEnrolmentId":"e"}'
PERSON = {"courseId": "c", "student.id": "7", "student.firstName": "Ana", "student.lastName": "Citizen"}


def reply(body: bytes = b"[]", status: str = "200 OK", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Listener:
    """Gives each request the next canned answer (the last one for ever), and keeps the raw requests."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.open: list[asyncio.Task] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self.exchange(reader, writer):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = [row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
        body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        self.requests.append(head + body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await reader.read()  # silence, until the client leaves
        writer.write(answer or b"")
        return bool(answer)

    def head(self, number: int = -1) -> list[str]:
        return self.requests[number].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    def line(self, number: int = -1) -> str:
        return self.head(number)[0]

    def headers(self, number: int = -1) -> dict[str, str]:
        pairs = (row.partition(": ") for row in self.head(number)[1:])
        return {name.lower(): value for name, _, value in pairs}

    def body(self, number: int = -1) -> bytes:
        return self.requests[number].partition(b"\r\n\r\n")[2]


@contextlib.asynccontextmanager
async def listening(*answers: bytes | None) -> AsyncIterator[tuple[Listener, str]]:
    listener = Listener(*answers)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    try:
        yield listener, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        # The clients have left by now; an unclosed writer would be a ResourceWarning somewhere else.
        await asyncio.gather(*listener.open)


@contextlib.asynccontextmanager
async def calling(*answers: bytes | None, auth: Auth | None = None, **switches):
    async with listening(*answers) as (listener, base):
        slots = Slots.published(base, "acme", auth)
        async with Caller(slots, switches=Switches(**switches)) as caller:
            yield caller, listener


@pytest.mark.parametrize(
    "term, component, raw",
    [
        pytest.param("white card", "white%20card", "white%20card", id="space"),
        pytest.param("R&D #1", "R%26D%20%231", "R&D%20", id="ampersand_and_hash"),
        pytest.param("50% + GST", "50%25%20%2B%20GST", "50%%20+%20GST", id="percent_and_plus"),
        pytest.param("Māori", "M%C4%81ori", "M%C4%81ori", id="macron"),
        pytest.param('{"x"}|^`[', "%7B%22x%22%7D%7C%5E%60%5B", "{%22x%22}|^`[", id="delimiters"),
        pytest.param("", "", "", id="empty"),
    ],
)
async def test_the_request_line_is_sent_exactly_as_rendered(term, component, raw):
    for url, query in (("component", component), ("raw", raw)):
        async with calling(reply(), url=url) as (caller, listener):
            await caller.call(SEARCH, {"searchTerm": term})
            assert listener.line() == f"GET /t/acme/courses?q={query} HTTP/1.1"
            assert caller.journal[-1].sent.url.endswith(f"/t/acme/courses?q={query}")


@pytest.mark.parametrize(
    "id, path", [("a/b", "a/b"), ("a%2Fb", "a%2Fb"), ("%%", "%%"), ("a//b", "a//b"), ("a b", "a%20b")]
)
async def test_raw_path_values_reach_the_wire_untidied(id, path):
    async with calling(reply(b""), reply(b"{}"), url="raw") as (caller, listener):
        with pytest.raises(ServerError):
            await caller.call(CANCEL, {"enrolmentId": id})
        assert listener.line() == f"POST /t/acme/enrolments/{path}/cancel HTTP/1.1"


@pytest.mark.parametrize("url", ["component", "raw"])
async def test_every_difficult_search_term_can_be_sent(url):
    async with calling(reply(), url=url) as (caller, listener):
        for term in SEARCH_TERMS.values():
            await caller.call(SEARCH, {"searchTerm": term})
        assert len(listener.requests) == len(SEARCH_TERMS)


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
async def test_a_body_arrives_byte_for_byte_as_the_journal_has_it(names):
    async with calling(reply(IDS)) as (caller, listener):
        await caller.call(CREATE, PERSON | {"student.firstName": names[0], "student.lastName": names[1]})
        assert listener.body() == caller.journal[0].sent.body
        student = json.loads(listener.body(), strict=False)["student"]
        assert (student["firstName"], student["lastName"]) == names


async def test_a_get_has_no_body_and_a_post_says_it_is_json():
    async with calling(reply(), reply(IDS)) as (caller, listener):
        await caller.call(SEARCH, {"searchTerm": ""})
        await caller.call(CREATE, PERSON)
    assert listener.body(0) == b"" and "content-type" not in listener.headers(0)
    assert listener.headers(1)["content-type"] == "application/json"


async def test_the_content_type_can_be_left_out():
    async with calling(reply(IDS), content_type=False) as (caller, listener):
        await caller.call(CREATE, PERSON)
        assert "content-type" not in listener.headers()


@pytest.mark.parametrize(
    "auth, name, value",
    [
        (Auth(kind="NONE", token="unused"), "authorization", None),
        (
            Auth(kind="BASIC", username="rtopilot", password="s3cret"),
            "authorization",
            "Basic cnRvcGlsb3Q6czNjcmV0",
        ),
        (Auth(kind="BEARER", token="t-1"), "authorization", "Bearer t-1"),
        (Auth(kind="CUSTOM_HEADER", header="X-Gateway-Key", value="v-1"), "x-gateway-key", "v-1"),
    ],
    ids=["none", "basic", "bearer", "custom_header"],
)
async def test_each_kind_of_credential_is_sent_as_the_fact_sheet_has_it(auth, name, value):
    async with calling(reply(), auth=auth) as (caller, listener):
        await caller.call(SEARCH, {"searchTerm": ""})
        assert listener.headers().get(name) == value


def test_secrets_do_not_show_in_a_credentials_text():
    auth = Auth(kind="BASIC", username="u", password="marker-1", token="marker-2", value="marker-3")
    assert "marker" not in repr(Slots.published("http://h", "acme", auth))


@pytest.mark.parametrize(
    "answer, reason, status",
    [
        pytest.param(reply(b"", "500 Internal Server Error"), "status", 500, id="500"),
        pytest.param(reply(b"[]", "404 Not Found"), "status", 404, id="404"),
        pytest.param(reply(b"", "307 Temporary Redirect", "Location: /x"), "status", 307, id="redirect"),
        pytest.param(reply(b"<html>"), "json", 200, id="html"),
        pytest.param(reply(b""), "json", 200, id="empty"),
        pytest.param(reply(b'{"data":[]}'), "schema", 200, id="wrapped"),
        pytest.param(b"", "connect", None, id="dropped"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "timeout", None, id="half_an_answer"),
        pytest.param(None, "timeout", None, id="silence"),
    ],
)
async def test_a_failure_is_named_and_never_repeated(answer, reason, status):
    async with calling(answer, timeout_s=0.2) as (caller, listener):
        with pytest.raises(ServerError) as caught:
            await caller.call(SEARCH, {"searchTerm": ""})
        assert (caught.value.operation, caught.value.reason, caught.value.status) == (SEARCH, reason, status)
        assert caught.value.complaints or reason == "timeout"
        assert len(listener.requests) == len(caller.journal) == 1
        assert caller.journal[0].error is caught.value
        assert (caller.journal[0].answer is None) == (status is None)
        assert caller.journal[0].ended_at is not None


async def test_nobody_listening_is_a_failure_to_connect():
    async with listening(reply()) as (_, base):
        pass
    async with Caller(Slots.published(base, "acme")) as caller:
        with pytest.raises(ServerError, match="connect"):
            await caller.call(SEARCH, {"searchTerm": ""})


async def test_a_dripping_answer_is_cut_off_by_the_total_time():
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"[")
                await writer.drain()
                await asyncio.sleep(0.02)
        left.set()

    left = asyncio.Event()
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    slots = Slots.published(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "acme")
    async with server, Caller(slots, switches=Switches(timeout_s=0.2)) as caller:
        with pytest.raises(ServerError, match="timeout"):
            await caller.call(SEARCH, {"searchTerm": ""})
        await asyncio.wait_for(left.wait(), 5)


async def test_an_answer_beyond_the_cap_is_a_failure(monkeypatch):
    monkeypatch.setattr(rtopilot_caller, "MAX_ANSWER_BYTES", 10)
    async with calling(reply(b"[" + b" " * 20 + b"]")) as (caller, _):
        with pytest.raises(ServerError, match="larger than 10 bytes"):
            await caller.call(SEARCH, {"searchTerm": ""})


async def test_a_template_error_sends_nothing():
    async with calling(reply(IDS)) as (caller, listener):
        caller.slots = caller.slots.changed(CREATE, body="${enrolmentId}")
        with pytest.raises(TemplateError):
            await caller.call(CREATE, PERSON)
        assert listener.requests == [] and not caller.journal


async def test_a_blank_slot_cannot_be_called():
    async with calling(reply()) as (caller, _):
        caller.slots = caller.slots.without(CANCEL)
        with pytest.raises(LookupError):
            await caller.call(CANCEL, {"enrolmentId": "e"})


@pytest.mark.parametrize(
    "status, line", [("303 See Other", "GET"), ("302 Found", "GET"), ("308 Permanent", "POST")]
)
async def test_a_redirect_is_followed_when_switched_on(status, line):
    onward = reply(b"", status, "Location: /else where?x=1#f")
    async with calling(onward, reply(IDS), auth=Auth(kind="BEARER", token="t"), follow_redirects=True) as (
        caller,
        listener,
    ):
        answer = await caller.call(CREATE, PERSON)
        assert answer.body == IDS
        assert listener.line() == f"{line} /else%20where?x=1 HTTP/1.1"
        assert listener.headers()["authorization"] == "Bearer t"
        assert (listener.body() == listener.body(0)) == (line == "POST")
        assert ("content-type" in listener.headers()) == (line == "POST")
        assert [each.answer.status for each in caller.journal] == [int(status[:3]), 200]


async def test_a_redirect_to_another_origin_loses_the_credential():
    async with listening(reply()) as (other, elsewhere):
        onward = reply(b"", "307 Temporary Redirect", f"Location: {elsewhere}/x")
        auth = Auth(kind="BEARER", token="t")
        async with calling(onward, auth=auth, follow_redirects=True) as (caller, _):
            await caller.call(SEARCH, {"searchTerm": ""})
        assert "authorization" not in other.headers()


async def test_redirects_in_a_circle_end():
    onward = reply(b"", "307 Temporary Redirect", "Location: /again")
    async with calling(onward, follow_redirects=True) as (caller, listener):
        with pytest.raises(ServerError, match="307"):
            await caller.call(SEARCH, {"searchTerm": ""})
        assert len(listener.requests) == 6


@pytest.mark.parametrize("switches", all_switch_combinations(), ids=switch_id)
async def test_every_combination_of_switches_makes_a_well_formed_request_for_all_seven_slots(switches):
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500)

    values = PERSON | {
        "searchTerm": "R&D #1",
        "enrolmentId": "e_1",
        "quizResults": [{"q": 1}],
        "to.id": 8,
        "to.firstName": None,
        "to.lastName": "x",
    }
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        caller = Caller(Slots.published("http://gateway.test", "acme"), switches=switches, client=client)
        for operation in PUBLISHED:
            with pytest.raises(ServerError):
                await caller.call(operation, values)
    assert len(seen) == len(caller.journal) == 7
    for request in seen:
        if request.method == "POST":
            json.loads(request.content)


async def test_a_client_of_ones_own_is_left_open():
    async with httpx.AsyncClient() as client:
        async with Caller(Slots.published("http://h", "acme"), client=client):
            pass
        assert not client.is_closed


async def test_only_the_switch_decides_how_long_a_call_may_take():
    async with listening(None) as (_, base), httpx.AsyncClient(timeout=0.01) as client:
        caller = Caller(Slots.published(base, "acme"), client=client, switches=Switches(timeout_s=0.2))
        with pytest.raises(ServerError, match="timeout"):
            await caller.call(SEARCH, {"searchTerm": ""})
        exchange = caller.journal[0]
        assert (exchange.ended_at - exchange.sent_at).total_seconds() >= 0.15


def test_the_published_slots_are_those_of_the_fact_sheet():
    slots = Slots.published("https://gw.example.net/", "acme")
    assert {operation: slot.url for operation, slot in slots.filled.items()} == {
        Operation.GET_COURSES: "https://gw.example.net/t/acme/courses?q=${searchTerm}",
        Operation.GET_COURSE: "https://gw.example.net/t/acme/courses/${courseId}",
        Operation.GET_ENROLMENT: "https://gw.example.net/t/acme/enrolments/${enrolmentId}",
        Operation.CREATE_ENROLMENT: "https://gw.example.net/t/acme/enrolments",
        Operation.TRANSFER_ENROLMENT: "https://gw.example.net/t/acme/enrolments/${enrolmentId}/transfer",
        Operation.CANCEL_ENROLMENT: "https://gw.example.net/t/acme/enrolments/${enrolmentId}/cancel",
        Operation.UPDATE_MARKING: "https://gw.example.net/t/acme/enrolments/${enrolmentId}/marking",
    }
    assert slots.filled[Operation.CANCEL_ENROLMENT].body == "{}"


def test_a_changed_slot_leaves_the_others_alone():
    slots = Slots.published("http://h", "acme")
    auth = Auth(kind="BEARER", token="t")
    changed = slots.changed(CANCEL, url="http://other/", auth=auth)
    assert (changed.filled[CANCEL].url, changed.filled[CANCEL].body) == ("http://other/", "{}")
    assert changed.filled[CANCEL].auth == auth
    assert changed.filled[CREATE] == slots.filled[CREATE]
