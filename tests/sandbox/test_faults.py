"""Fault switches, journal, control surface and server shared by all stand-ins, around a two-line vendor."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import JSONResponse

from gateway.sandbox import faults as faults_module
from gateway.sandbox import journal as journal_module
from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.faults import AnswerLost, Fault, FaultList, token_expired
from gateway.sandbox.journal import Journal
from gateway.sandbox.serve import running

ROOT = Path(faults_module.__file__).parents[2]
START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    limit: int = 10
    word: str = "on"
    fields: tuple[str, ...] = ()


class Shop:
    """A vendor that counts what it is told to add."""

    def __init__(self, journal):
        self.journal = journal
        self.actions = {"put": self.put}
        self.reset()

    def reset(self):
        self.switches = Switches()
        self.items = []

    def state(self):
        return {"items": self.items}

    def put(self, *, name):
        self.items.append(name)
        return name

    def error_body(self, status):
        return "application/json", json.dumps({"error": {"message": f"status {status}"}}).encode()

    async def __call__(self, scope, receive, send):
        message = await receive()
        if token_expired(scope):
            answer = JSONResponse({"error": "expired"}, status_code=401)
        else:
            if scope["method"] == "POST":
                self.items.append(message["body"].decode("latin-1"))
                self.journal.effect("added", self.items[-1])
            answer = JSONResponse({"items": self.items})
        await answer(scope, receive, send)


@pytest.fixture
def shop():
    journal = Journal()
    return StandIn(Shop(journal), journal=journal, clock=Clock(START))


@pytest.fixture
async def client(shop):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop), base_url="http://shop.test") as client:
        yield client


def raw_exchange(url, request):
    """Everything the peer sends until it closes; ConnectionResetError if it resets."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        sock.sendall(request)
        received = b""
        while part := sock.recv(65536):
            received += part
        return received


POST_TEA = b"POST /items HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntea"


@pytest.mark.parametrize(
    ("fault", "hit"),
    [
        pytest.param({}, True, id="no condition matches all"),
        pytest.param({"method": "post"}, True, id="method in any case"),
        pytest.param({"method": "GET"}, False, id="other method"),
        pytest.param({"path": "/it"}, True, id="part of the path"),
        pytest.param({"path": "/other"}, False, id="not part of the path"),
        pytest.param({"path_regex": "^/items/[0-9]+$"}, True, id="regex"),
        pytest.param({"path_regex": "^/items$"}, False, id="regex that differs"),
        pytest.param({"body_has": "te"}, True, id="part of the body"),
        pytest.param({"body_has": "coffee"}, False, id="not in the body"),
        pytest.param({"path": "/it", "method": "PUT"}, False, id="all conditions must agree"),
    ],
)
def test_fault_matches_when_every_given_condition_agrees(fault, hit):
    assert Fault(kind="null", **fault).matches("POST", "/items/7", b"tea") is hit


def test_fault_list_skips_then_hits_then_is_used_up():
    armed = FaultList()
    armed.arm(Fault(kind="null", skip=1, count=2))
    taken = [armed.take("GET", "/") is not None for _ in range(4)]
    assert taken == [False, True, True, False]
    assert armed.as_json() == []


def test_fault_list_hits_each_third_of_those_it_does_not_skip():
    armed = FaultList()
    armed.arm(Fault(kind="null", skip=1, every=3, count=2))
    taken = [armed.take("GET", "/") is not None for _ in range(11)]
    assert [at for at, hit in enumerate(taken) if hit] == [3, 6]


def test_fault_list_gives_the_first_match_and_then_the_next():
    armed = FaultList()
    armed.arm(Fault(kind="null", path="/a"), Fault(kind="empty", count=None))
    kinds = [armed.take("GET", "/a").kind for _ in range(3)]
    assert kinds == ["null", "empty", "empty"]


def test_fault_list_refuses_more_than_its_bound(monkeypatch):
    monkeypatch.setattr(faults_module, "MAX_FAULTS", 1)
    armed = FaultList()
    armed.arm(Fault(kind="null"))
    with pytest.raises(ValueError, match="at most 1"):
        armed.arm(Fault(kind="null"))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"kind": "fire"}, "unknown fault kind", id="kind"),
        pytest.param({"kind": "null", "seconds": -1}, "seconds", id="seconds"),
        pytest.param({"kind": "null", "count": 0}, "count", id="count"),
        pytest.param({"kind": "null", "skip": -1}, "skip", id="skip"),
        pytest.param({"kind": "null", "every": 0}, "every", id="every"),
        pytest.param({"kind": "null", "status": 42}, "status", id="status"),
        pytest.param({"kind": "null", "path_regex": "("}, "path_regex", id="regex"),
    ],
)
def test_fault_out_of_range_is_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        Fault(**values)


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "body"),
    [
        pytest.param(
            {"kind": "error"}, 500, "application/json", b'{"error": {"message": "status 500"}}', id="error"
        ),
        pytest.param(
            {"kind": "error", "status": 503},
            503,
            "application/json",
            b'{"error": {"message": "status 503"}}',
            id="error 503",
        ),
        pytest.param({"kind": "html"}, 200, "text/html; charset=UTF-8", faults_module.HTML_PAGE, id="html"),
        pytest.param(
            {"kind": "html", "status": 502},
            502,
            "text/html; charset=UTF-8",
            faults_module.HTML_PAGE,
            id="html 502",
        ),
        pytest.param(
            {"kind": "malformed"}, 200, "application/json", b'{"error": {"messag', id="malformed breaks off"
        ),
        pytest.param({"kind": "null"}, 200, "application/json", b"null", id="null"),
        pytest.param({"kind": "empty"}, 200, "application/json", b"", id="empty"),
        pytest.param(
            {"kind": "answer", "body": "hi", "content_type": "text/plain", "status": 201},
            201,
            "text/plain",
            b"hi",
            id="answer",
        ),
    ],
)
async def test_made_up_answer_replaces_the_right_one_and_applies_nothing(
    shop, client, fault, status, content_type, body
):
    shop.faults.arm(Fault(**fault))
    answer = await client.post("/items", content="tea")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        status,
        content_type,
        body,
    )
    assert shop.vendor.items == []
    assert (await client.post("/items", content="tea")).json() == {"items": ["tea"]}


async def test_made_up_answer_after_applying_leaves_the_effect(shop, client):
    shop.faults.arm(Fault(kind="error", applied=True))
    assert (await client.post("/items", content="tea")).status_code == 500
    assert shop.vendor.items == ["tea"]


@pytest.mark.parametrize(
    ("fault", "header"),
    [
        pytest.param({}, None, id="no header"),
        pytest.param({"retry_after": 30}, "30", id="seconds"),
        pytest.param(
            {"retry_after": 30, "retry_after_date": True}, "Wed, 04 Mar 2026 01:00:30 GMT", id="date"
        ),
        pytest.param({"headers": [["retry-after", "soon"]]}, "soon", id="any text"),
    ],
)
async def test_too_many_carries_the_retry_after_asked_for(shop, client, fault, header):
    shop.faults.arm(Fault(kind="too_many", **fault))
    answer = await client.get("/items")
    assert answer.status_code == 429
    assert answer.headers.get("retry-after") == header
    assert answer.json()["error"]["message"] == "status 429"


async def test_expired_token_is_answered_in_the_vendors_own_way(shop, client):
    shop.faults.arm(Fault(kind="expired_token"))
    assert (await client.post("/items", content="tea")).json() == {"error": "expired"}
    assert shop.vendor.items == []


@pytest.mark.parametrize(("kind", "items"), [("lost_answer", ["tea"]), ("lost_request", [])])
async def test_lost_connection_in_process_raises(shop, client, kind, items):
    shop.faults.arm(Fault(kind=kind))
    with pytest.raises(AnswerLost):
        await client.post("/items", content="tea")
    assert shop.vendor.items == items
    assert shop.journal.entries[0].status is None


@pytest.mark.parametrize(("kind", "items"), [("lost_answer", ["tea"]), ("lost_request", [])])
def test_lost_connection_on_a_socket_sends_not_one_byte(shop, kind, items):
    shop.faults.arm(Fault(kind=kind))
    with running(shop) as url:
        assert raw_exchange(url, POST_TEA) == b""
    assert shop.vendor.items == items


def test_lost_connection_with_reset_is_seen_as_a_reset(shop):
    shop.faults.arm(Fault(kind="lost_answer", reset=True))
    with running(shop) as url, pytest.raises(ConnectionResetError):
        raw_exchange(url, POST_TEA)
    assert shop.vendor.items == ["tea"]


def test_lost_connection_raises_a_transport_error_in_an_http_client(shop):
    shop.faults.arm(Fault(kind="lost_answer"))
    with running(shop) as url, httpx.Client(base_url=url, trust_env=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/items", content="tea")
        assert client.get("/items").json() == {"items": ["tea"]}


def test_truncated_answer_announces_more_than_it_sends(shop):
    shop.faults.arm(Fault(kind="truncated"))
    with running(shop) as url:
        head, _, body = raw_exchange(url, POST_TEA).partition(b"\r\n\r\n")
    whole = b'{"items":["tea"]}'
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: %d" % (len(whole) + 1) in head.lower()
    assert body == whole[: len(whole) // 2]


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


async def test_slow_answer_applies_at_once_and_answers_after_the_wait(shop, client):
    shop.faults.arm(Fault(kind="slow_answer", seconds=300))
    call = asyncio.ensure_future(client.post("/items", content="tea"))
    await until(lambda: shop.vendor.items)
    assert not call.done()
    shop.disarm()
    assert (await call).json() == {"items": ["tea"]}


async def test_slow_request_applies_only_after_the_wait(shop, client):
    shop.faults.arm(Fault(kind="slow_request", seconds=300))
    call = asyncio.ensure_future(client.post("/items", content="tea"))
    await until(lambda: shop.journal.entries)
    assert shop.vendor.items == []
    shop.disarm()
    assert (await call).json() == {"items": ["tea"]}


async def test_slow_answer_is_cancelled_with_its_caller(shop, client):
    shop.faults.arm(Fault(kind="slow_answer", seconds=300))
    call = asyncio.ensure_future(client.post("/items", content="tea"))
    await until(lambda: shop.vendor.items)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await client.get("/items")).status_code == 200


async def test_slow_answer_comes_by_itself_when_its_time_is_over(shop, client):
    shop.faults.arm(Fault(kind="slow_answer", seconds=0.02))
    before = time.monotonic()
    assert (await client.get("/items")).status_code == 200
    assert time.monotonic() - before >= 0.02


def test_server_stops_while_a_slow_answer_is_pending(shop):
    shop.faults.arm(Fault(kind="slow_answer", seconds=300))
    before = time.monotonic()
    with (
        running(shop) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=0.05) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post("/items", content="tea")
    assert time.monotonic() - before < 10


async def test_journal_keeps_each_request_as_it_arrived(shop, client):
    await client.post("/items/a%3Ab?x=%201", content=b"te\xff", headers={"authorization": "Basic abc"})
    [entry] = shop.journal.entries
    assert (entry.number, entry.method, entry.raw_path, entry.query) == (1, "POST", "/items/a%3Ab", "x=%201")
    assert ("authorization", "Basic abc") in entry.headers
    assert (entry.body, entry.status, entry.time) == (b"te\xff", 200, START)


async def test_calls_are_counted_by_endpoint_and_the_names_are_bounded(shop, client, monkeypatch):
    monkeypatch.setattr(journal_module, "MAX_LABELS", 2)
    for path in ("/a", "/b", "/a", "/c", "/d"):
        await client.get(path)
    counted = (await client.get("/_control/calls")).json()
    assert counted == {"GET /a": 2, "GET /b": 1, "(others)": 2}
    shop.reset()
    assert not shop.journal.calls


async def test_a_request_ends_when_it_is_answered(shop, client):
    await client.get("/items")
    entry = shop.journal.entries[0]
    assert entry.ended is not None and 0 <= entry.ended - entry.began < 5
    first = entry.ended
    entry.end()
    assert entry.ended == first


async def test_journal_is_bounded_but_goes_on_counting():
    journal = Journal(keep=2)
    scope = {"method": "GET", "path": "/x", "query_string": b"", "headers": []}
    for _ in range(3):
        journal.arrived(scope, b"", START)
        journal.effect("added")
    assert [entry.number for entry in journal.entries] == [2, 3]
    assert len(journal.effects) == 2
    assert journal.effect_counts == {"added": 3}


async def test_control_shows_journal_state_and_effects_and_is_not_journaled(shop, client):
    shop.faults.arm(Fault(kind="null", path="/never"))
    await client.post("/items", content="tea")
    seen = (await client.get("/_control/journal")).json()
    assert [(row["method"], row["body"], row["body_base64"]) for row in seen["requests"]] == [
        ("POST", "tea", "dGVh")
    ]
    assert seen["effects"] == [{"kind": "added", "what": "tea"}]
    assert seen["effect_counts"] == {"added": 1}
    assert (await client.get("/_control/state")).json() == {"items": ["tea"]}


async def test_control_arms_lists_and_disarms_faults(client):
    rows = [{"kind": "null", "path": "/items", "count": 2, "skip": 1}]
    shown = [{"kind": "null", "path": "/items", "skip": 1, "left": 2}]
    assert (await client.post("/_control/faults", json=rows)).json() == shown
    assert (await client.get("/_control/faults")).json() == shown
    assert (await client.delete("/_control/faults")).json() == []
    assert (await client.get("/_control/faults")).json() == []


async def test_control_changes_switches_clock_and_runs_actions(shop, client):
    assert (await client.post("/_control/switches", json={"limit": 3, "fields": ["a"]})).json() == {
        "limit": 3,
        "word": "on",
        "fields": ["a"],
    }
    assert shop.vendor.switches == Switches(limit=3, fields=("a",))
    assert (await client.post("/_control/clock", json={"advance": 60})).json() == {
        "now": "2026-03-04T01:01:00+00:00"
    }
    assert (await client.post("/_control/act/put", json={"name": "cup"})).json() == "cup"
    assert shop.vendor.items == ["cup"]


async def test_control_reset_restores_the_beginning(shop, client):
    shop.faults.arm(Fault(kind="lost_answer", path="/never"))
    shop.clock.advance(5)
    await client.post("/items", content="tea")
    await client.post("/_control/reset")
    assert shop.vendor.items == []
    assert shop.clock.now() == START
    assert not shop.journal.entries
    assert not shop.journal.effect_counts
    assert shop.faults.as_json() == []


@pytest.mark.parametrize(
    ("path", "content", "complaint"),
    [
        pytest.param("faults", "{}", "JSON list", id="faults not a list"),
        pytest.param("faults", "[3]", "a fault is a JSON object", id="fault not an object"),
        pytest.param("faults", '[{"kind":"null","colour":1}]', "bad fault", id="unknown field"),
        pytest.param("faults", "[{]", "not JSON", id="not json"),
        pytest.param("switches", '{"colour":1}', "limit, word", id="unknown switch"),
        pytest.param("switches", '{"limit":"3"}', "takes a int", id="wrong type"),
        pytest.param("clock", '{"advance":"1h"}', "seconds", id="clock"),
        pytest.param("act/fly", "{}", "there are put", id="unknown action"),
        pytest.param("act/put", '{"colour":1}', "put:", id="wrong arguments"),
    ],
)
async def test_control_refuses_what_it_does_not_know(client, path, content, complaint):
    answer = await client.post(f"/_control/{path}", content=content)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


def test_switched_takes_no_boolean_for_a_number():
    with pytest.raises(ValueError, match="limit"):
        switched(Switches(), {"limit": True})


def test_clock_without_a_start_is_real_time_plus_what_it_was_advanced_by():
    clock = Clock()
    clock.advance(3600)
    assert 3590 < (clock.now() - datetime.now(UTC)).total_seconds() < 3610


async def test_request_too_long_for_a_stand_in_is_refused(shop, client, monkeypatch):
    monkeypatch.setattr(faults_module, "MAX_BODY_BYTES", 2)
    with pytest.raises(ValueError, match="too long"):
        await client.post("/items", content="tea")


async def test_request_whose_client_left_is_neither_journaled_nor_applied(shop):
    async def receive():
        return {"type": "http.disconnect"}

    await shop({"type": "http", "path": "/items", "raw_path": b"/items"}, receive, None)
    assert not shop.journal.entries


async def test_messages_other_than_http_reach_the_vendor_untouched():
    seen = []

    class Vendor(Shop):
        async def __call__(self, scope, receive, send):
            seen.append(scope["type"])

    journal = Journal()
    await StandIn(Vendor(journal), journal=journal, clock=Clock())({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


@contextmanager
def process(*arguments):
    child = subprocess.Popen(
        [sys.executable, "-c", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    try:
        yield child
    finally:
        child.terminate()
        child.communicate(timeout=10)


def test_serve_prints_its_address_when_ready():
    program = (
        "from starlette.applications import Starlette; from gateway.sandbox.serve import serve;"
        "serve(Starlette())"
    )
    with process(program) as child:
        line = child.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        assert httpx.get(line.split()[-1], trust_env=False).status_code == 404


def test_serve_on_a_port_in_use_fails(shop):
    with running(shop) as url, pytest.raises(OSError, match="in use"), running(shop, port=urlsplit(url).port):
        pass
