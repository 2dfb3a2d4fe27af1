"""A simulated clock, a scripted pool instead of the network, and a tenant's frame."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import orjson
import pytest

from gateway.contract import Operation
from gateway.engine.calls import Call, Reply, Verdict
from gateway.engine.frame import Frame
from gateway.mapping.expressions import Runtime
from gateway.mapping.load import parse_mapping
from gateway.outbound import Answer

BASE = "https://lms.example/api"
MAPPING = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
settings: {list: {type: list, item: {id: text}, default: []}}
secrets: {user: {help: u}, pass: {help: p}}
operations:
  getCourses: {each: settings.list, as: c, give: {id: "${c.id}", name: "${c.id}"}}
  createEnrolment: {steps: [{id: go, call: POST /go, effect: write, repeat: safe}], record: {id: "${courseId}"}, key: [id]}
  transferEnrolment: {refuse: "no"}
  cancelEnrolment: {refuse: "no"}
server:
  base: "https://lms.example/api"
  hosts: [lms.example]
"""


class Clock:
    """Time that only `pause` moves."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.at

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


class ScriptedPool:
    """Answers from a script: an Answer, an exception, or a function of the request that gives one."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.sent: list[dict[str, Any]] = []

    async def send(self, method: str, base: str, target: str, **more: Any) -> Answer:
        request = {"method": method, "base": base, "target": target, **more}
        self.sent.append(request)
        await asyncio.sleep(0)
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        reply = reply(request) if callable(reply) else reply
        if isinstance(reply, BaseException):
            raise reply
        return reply


def _answer(status: int = 200, body: Any = None, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    return Answer(
        status=status,
        headers={name.lower(): value for name, value in headers.items()},
        content=content,
        elapsed_s=0.0,
    )


def _frame(server: str = "", **more: Any) -> Frame:
    text = MAPPING + "".join(f"  {line}\n" for line in server.strip().splitlines())
    return Frame(
        mapping=parse_mapping(text).mapping,
        operation=Operation.CREATE_ENROLMENT,
        base=BASE,
        hosts=frozenset({"lms.example"}),
        runtime=Runtime(now=1000.0, random=Random(1)),
        root={"settings": {}, "bundle": {}, "probe": {}},
        **{"secrets": {"user": "ws-user", "pass": "p:ss wörd"}, **more},
    )


def judge_by_status(reply: Reply) -> Verdict:
    if isinstance(reply.body, dict) and "is" in reply.body:
        return Verdict(outcome=reply.body["is"], wait_s=reply.body.get("wait"))
    if reply.lost is not None or reply.status >= 500:
        return Verdict(outcome="retry" if reply.lost == "not_sent" else "unknown")
    return Verdict(outcome={401: "relogin", 429: "throttled", 400: "refused"}.get(reply.status, "ok"))


def _call(effect: str = "read", **more: Any) -> Call:
    fields: dict[str, Any] = {
        "step": "op.go",
        "method": "GET" if effect == "read" else "POST",
        "base": BASE,
        "target": "/go",
        "effect": effect,
        "judge": judge_by_status,
    }
    return Call(**{**fields, **more})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pool():
    return ScriptedPool


@pytest.fixture
def answer():
    return _answer


@pytest.fixture
def make_frame():
    return _frame


@pytest.fixture
def make_call():
    return _call
