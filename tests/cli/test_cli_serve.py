"""`lms-gateway serve` as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gateway.config import load_config
from gateway.listen import BoundedProtocol, bound, url_of
from gateway.serving import serve
from tests.support.waiting import until

TOKEN = "inbound-token-of-these-tests-0123456789"
WAIT_S = 60.0


class Serving:
    """A running `serve`, its announced addresses, and everything it wrote."""

    def __init__(self, config: Path, *options: str) -> None:
        command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        self.urls: dict[str, str] = {}
        assert self.process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, lines: Any) -> None:
        self.log.extend(line.rstrip() for line in lines)

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        while "listening" not in self.urls:
            line = self.process.stdout.readline()
            assert line, "\n".join(self.log)
            word, _, url = line.strip().partition(" on ")
            self.urls[word] = url

    def get(self, path: str, *, token: str = TOKEN) -> tuple[int, Any, Any]:
        return ask(self.urls["listening"] + path, token=token)

    def end(self) -> int:
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code


def ask(url: str, *, token: str = TOKEN, body: Any = None) -> tuple[int, Any, Any]:
    request = Request(url, headers={"authorization": f"Bearer {token}"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urlopen(request, timeout=WAIT_S) as response:
            return response.status, json.load(response), response.headers
    except HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


@contextmanager
def serving(config: Path, *options: str) -> Iterator[Serving]:
    server = Serving(config, *options)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
        assert server.process.stdout is not None and server.process.stderr is not None
        server.process.stdout.close()
        server._reader.join(WAIT_S)
        server.process.stderr.close()


def test_serve_prints_its_real_addresses_answers_and_ends_on_sigterm(deployment: Any) -> None:
    with serving(deployment.config) as server:
        status, courses, headers = server.get("/t/college/courses?q=certificate")
        assert status == 200 and courses[0].keys() == {"id", "name"}
        assert "server" not in headers
        assert ask(server.urls["admin"] + "/health")[1]["tenants"]["college"]["mapping"] == "talentlms"
        assert server.get("/t/college/courses", token="wrong")[0] == 401
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    log = "\n".join(server.log)
    assert "mapping talentlms, hash " in log and "talentlms.yaml" in log
    assert "GET /courses tenant=college 200" in log
    assert "certificate" not in log and TOKEN not in log and "127.0.0.1" not in log
    assert log.rstrip().endswith("stopped")


def test_serve_in_this_process_announces_both_listeners(deployment: Any) -> None:
    announced: list[str] = []

    def announce(line: str) -> None:
        announced.append(line)
        if line.startswith("listening"):
            os.kill(os.getpid(), signal.SIGTERM)

    serve(load_config(deployment.config), announce=announce)
    assert [line.split(" on ")[0] for line in announced] == ["admin", "listening"]


def test_serve_without_an_admin_listener_has_one_address(deployment: Any) -> None:
    config = json.loads(deployment.config.read_bytes()) | {"admin": "off"}
    deployment.config.write_text(json.dumps(config))
    announced: list[str] = []

    def announce(line: str) -> None:
        announced.append(line)
        os.kill(os.getpid(), signal.SIGINT)

    serve(load_config(deployment.config), announce=announce)
    assert len(announced) == 1


def test_a_taken_port_is_not_hidden_in_a_group(deployment: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = json.loads(deployment.config.read_bytes()) | {"listen": {"host": "127.0.0.1", "port": port}}
        deployment.config.write_text(json.dumps(config))
        ran = deployment.run("serve")
    assert ran.code == 1 and "Write another port" in ran.err


def test_serve_writes_json_lines_when_asked(deployment: Any) -> None:
    with serving(deployment.config, "--log-json") as server:
        server.get("/t/college/courses")
        server.process.send_signal(signal.SIGINT)
        assert server.end() == 0
    assert all(json.loads(line).keys() == {"at", "level", "logger", "message"} for line in server.log)


def test_a_write_under_way_comes_to_its_end_after_sigterm(deployment: Any) -> None:
    ask(
        deployment.url + "/_control/faults",
        body=[{"kind": "slow_answer", "seconds": 1.5, "path": "/addusertocourse"}],
    )
    student = {"id": "s1", "firstName": "Joana", "lastName": "Silva"}
    answers: list[Any] = []
    with serving(deployment.config) as server:
        url = server.urls["listening"] + "/t/college/enrolments"
        asking = threading.Thread(
            target=lambda: answers.append(ask(url, body={"courseId": "126", "student": student}))
        )
        asking.start()
        until(
            lambda: any(
                entry.raw_path.endswith("addusertocourse") for entry in deployment.standin.journal.entries
            )
        )
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
        asking.join(WAIT_S)
    assert answers[0][0] == 200
    assert deployment.standin.journal.effect_counts["user_enrolled"] == 1


def test_a_port_that_is_taken_is_a_sentence_and_exit_1(deployment: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = json.loads(deployment.config.read_bytes()) | {"listen": {"host": "127.0.0.1", "port": port}}
        deployment.config.write_text(json.dumps(config))
        server = Serving(deployment.config)
        assert server.end() == 1
    assert server.process.stdout is not None and server.process.stderr is not None
    server.process.stdout.close()
    server.process.stderr.close()
    assert any(f"Cannot listen on 127.0.0.1:{port}" in line for line in server.log)
    assert "Traceback" not in "\n".join(server.log)


def test_a_broken_configuration_starts_nothing(deployment: Any) -> None:
    deployment.write(secrets={})
    ran = deployment.run("serve")
    assert ran.code == 1
    assert "The secret `apiKey` is missing" in ran.err


def test_serve_loads_neither_workbench_nor_sandbox_nor_operator() -> None:
    code = (
        "import sys, gateway.cli, gateway.serving, gateway.logs\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('gateway.')}\n"
        "print(*sorted(rooms))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms = set(ran.stdout.split())
    assert "app" in rooms and not rooms & {"workbench", "sandbox", "operator"}


def raw(url: str, data: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """A tiny application behind our own listener, in a thread."""
    import asyncio

    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from gateway.listen import listening

    async def answer(_: Any) -> JSONResponse:
        return JSONResponse({})

    urls: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        async with listening(Starlette(routes=[Route("/", answer)]), "127.0.0.1", 0) as url:
            urls.append(url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(WAIT_S)
    yield urls[0]
    stop.set()
    thread.join(WAIT_S)


def test_endless_headers_are_refused(echo: str) -> None:
    answer = raw(
        echo,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(90)),
    )
    assert answer.startswith(b"HTTP/1.1 400")


def test_headers_that_never_end_are_cut_off(echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.listen.HEAD_TIMEOUT_S", 0.2)
    assert raw(echo, b"GET / HTTP/1.1\r\nHost: x\r\n") == b""


def test_a_second_request_on_one_connection_has_its_own_bounds(echo: str) -> None:
    one = b"GET / HTTP/1.1\r\nHost: x\r\nX-Pad: " + b"y" * 40_000 + b"\r\n"
    answer = raw(echo, one + b"\r\n" + one + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 2


def test_the_bounds_are_those_of_our_protocol() -> None:
    assert BoundedProtocol.__mro__[1].__name__ == "HttpToolsProtocol"


def test_an_address_is_written_as_urls_are() -> None:
    with bound("127.0.0.1", 0) as four:
        assert url_of(four).startswith("http://127.0.0.1:")
    with bound("::1", 0) as six:
        assert url_of(six).startswith("http://[::1]:")
