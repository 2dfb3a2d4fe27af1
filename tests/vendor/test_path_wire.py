"""Path values on the wire: from a mapping to the bytes that a socket receives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.contract import Operation
from gateway.engine.ask import question
from gateway.engine.frame import Frame
from gateway.errors import Refused
from gateway.mapping.expressions import Runtime
from gateway.mapping.load import parse_mapping
from gateway.outbound import Pool
from gateway.vendor.client import Client

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
MAPPING = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
server: {base: "https://lms.example/api", hosts: [lms.example], path: %s}
operations:
  getCourses: {refuse: "no"}
  createEnrolment: {steps: [{id: go, call: "PUT /v1.0/u.id:${courseId}/x", repeat: safe}], record: {id: "${courseId}"}, key: [id]}
  transferEnrolment: {refuse: "no"}
  cancelEnrolment: {refuse: "no"}
"""


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, list[str]]]:
    """An address, and the request targets that arrive there, as they came."""
    targets: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        targets.append(head.split(b" ")[1].decode("ascii"))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", targets


def frame_of(path: str, value: str, base: str = "https://lms.example") -> Frame:
    return Frame(
        mapping=parse_mapping(MAPPING % path).mapping,
        operation=Operation.CREATE_ENROLMENT,
        base=base,
        hosts=frozenset(),
        runtime=Runtime(now=1000.0),
        root={"settings": {}, "bundle": {}, "probe": {}, "courseId": value},
    )


def call_in(frame: Frame):
    action = frame.mapping.operations[Operation.CREATE_ENROLMENT].steps[0].action
    assert action is not None
    return question(frame, action.call, step="go").call


@pytest.mark.parametrize(
    ("path", "value", "arrives"),
    [
        pytest.param("{}", "a.b/c@d", "a.b%2Fc%40d", id="as usual"),
        pytest.param('{encode: "."}', "a.b/c@d", "a%2Eb%2Fc%40d", id="a dot"),
        pytest.param('{encode: "."}', "...", "%2E%2E%2E", id="nothing but dots"),
        pytest.param('{encode: "-._~"}', "-._~%2E", "%2D%2E%5F%7E%252E", id="all four"),
        pytest.param('{encode: ".", keep: "@"}', "a.b@c", "a%2Eb@c", id="beside what is kept"),
    ],
)
async def test_a_path_value_arrives_encoded_as_the_mapping_says(clock, path, value, arrives):
    async with listening() as (base, targets), Pool(hosts=["127.0.0.1"]) as pool:
        frame = frame_of(path, value, base)
        await Client(pool, frame.mapping.server, clock).exchange(call_in(frame), 5.0)
    assert targets == [f"/v1.0/u.id:{arrives}/x"]


@pytest.mark.parametrize("value", ["/../x", "a/../b", "/..;x", "/."])
def test_encoding_dots_does_not_let_them_out_of_their_segment(value):
    with pytest.raises(Refused):
        call_in(frame_of('{encode: ".", keep: "/;"}', value))
