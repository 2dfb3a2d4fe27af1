"""One call to one reply: encoded, sent, decoded, with whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from gateway.engine.calls import Body, Reply
from gateway.errors import AnswerLost, HostRefused, InternalError, NotSent, Refused, ReplyTooLarge
from gateway.vendor.client import Client, renamed


@pytest.fixture
def exchange(pool, make_frame, clock, make_call):
    async def send(reply, *, wire_names=None, server="", **call):
        scripted = pool(reply)
        client = Client(scripted, make_frame(server).mapping.server, clock, wire_names)
        return await client.exchange(make_call(**call), 3.0), scripted.sent[0]

    return send


async def test_a_call_leaves_as_it_is_written(exchange, answer):
    reply, sent = await exchange(
        answer(201, {"a": 1}, X_Y="z"),
        effect="write",
        query=(("q", "1"),),
        headers={"X": "y"},
        body=Body(kind="json", data={"b": 2}),
    )
    assert sent == {
        "method": "POST",
        "base": "https://lms.example/api",
        "target": "/go",
        "query": (("q", "1"),),
        "headers": {"content-type": "application/json", "X": "y"},
        "content": b'{"b":2}',
        "timeout_s": 3.0,
        "max_bytes": None,
    }
    assert reply == Reply(status=201, headers={"x_y": "z"}, body={"a": 1}, text='{"a":1}', left_at=1000.0)


def timed_out() -> AnswerLost:
    error = AnswerLost("x")
    error.__cause__ = TimeoutError()
    return error


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (NotSent("x"), "not_sent"),
        (ReplyTooLarge("x"), "too_large"),
        (AnswerLost("x"), "reset"),
        (timed_out(), "timeout"),
    ],
    ids=["not sent", "too large", "reset", "time-out"],
)
async def test_what_goes_wrong_on_the_way_is_in_the_reply(exchange, error, lost):
    reply, _ = await exchange(error)
    assert reply == Reply(lost=lost, left_at=1000.0)


@pytest.mark.parametrize(
    ("given", "body", "error"),
    [
        pytest.param(HostRefused("x"), Body(kind="none"), InternalError, id="host"),
        pytest.param(ValueError("header"), Body(kind="none"), Refused, id="header"),
        pytest.param(None, Body(kind="json", data=float("nan")), Refused, id="body"),
    ],
)
async def test_what_cannot_be_sent_is_refused(exchange, given, body, error):
    with pytest.raises(error):
        await exchange(given, body=body)


XML = b"<a><b>1</b></a>"


@pytest.mark.parametrize(
    ("kind", "content_type", "tree"),
    [
        ("xml", "text/plain", {"b": "1"}),
        ("none", "text/xml; charset=utf-8", {"b": "1"}),
        ("form", "application/atom+xml", {"b": "1"}),
        ("none", "application/xhtml+xml", None),
        ("none", "text/html", None),
        ("json", "text/xml", None),
    ],
)
async def test_a_reply_is_read_as_the_request_or_its_type_says(exchange, answer, kind, content_type, tree):
    data = {"a": "x"} if kind != "none" else None
    reply, sent = await exchange(answer(200, XML, Content_Type=content_type), body=Body(kind=kind, data=data))
    assert (None if reply.xml is None else reply.xml.get("a", reply.xml)) == tree or reply.xml == {"a": tree}
    assert (reply.undecodable is None) == (tree is not None)
    assert (sent["max_bytes"] is not None) == (kind == "xml")


async def test_wire_names_are_put_out_and_taken_back(exchange, answer):
    names = {"Get": "Fetch", "User": "Person", "urn:x": "urn:y"}
    reply, sent = await exchange(
        answer(200, b"<Fetch><Person>1</Person></Fetch>"),
        body=Body(kind="xml", data={"{urn:x}Get": {"User": ["1"]}}),
        wire_names=names,
    )
    assert b"Fetch" in sent["content"] and b"urn:y" in sent["content"] and b"Person" in sent["content"]
    assert "User" in str(reply.xml) and "Person" not in str(reply.xml)
    plain, sent = await exchange(
        answer(200, {"Person": 1}), body=Body(kind="json", data={"User": 1}), wire_names=names
    )
    assert (sent["content"], plain.body) == (b'{"User":1}', {"User": 1})


def test_type_names_are_renamed_too():
    names = {"T": "U", "urn:x": "urn:y"}
    assert renamed({"$ref": "{urn:x}T", "$value": [{"T": "T"}], "$array": 5}, names) == {
        "$ref": "{urn:y}U",
        "$value": [{"U": "T"}],
        "$array": 5,
    }


async def test_a_renamed_element_is_a_list_where_the_mapping_says_so(exchange, answer):
    reply, _ = await exchange(
        answer(200, b"<Staff><Person>Ana</Person></Staff>"),
        server="xml: {lists: [Users/User]}",
        body=Body(kind="xml", data={"Get": {}}),
        wire_names={"Users": "Staff", "User": "Person"},
    )
    assert reply.xml == {"Users": {"User": ["Ana"]}}
