"""What may be seen of an exchange: nothing secret, nothing personal, in whatever disguise."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import orjson
import pytest

from gateway.engine.calls import Body, Reply, Verdict
from gateway.vendor.masking import Masker, unnamed
from gateway.vendor.trace import Exchange, Trace

SECRET = "s3cr+t/ä&<k>"
SECRETS = {SECRET: "‹secret›"}


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(SECRET, id="plain"),
        pytest.param(f"x{SECRET}y", id="inside a word"),
        pytest.param(quote(SECRET, safe=""), id="percent-encoded"),
        pytest.param(quote_plus(SECRET), id="form-encoded"),
        pytest.param(base64.b64encode(SECRET.encode()).decode(), id="base64"),
        pytest.param(base64.b64encode(SECRET.encode()).decode().rstrip("="), id="base64 without padding"),
        pytest.param(base64.urlsafe_b64encode(SECRET.encode()).decode(), id="base64 for URLs"),
        pytest.param(base64.b64encode(f"{SECRET}:".encode()).decode(), id="base64 as a user"),
        pytest.param("s3cr+t/\\u00e4&<k>", id="in JSON"),
        pytest.param("s3cr+t/ä&amp;&lt;k&gt;", id="in XML"),
    ],
)
def test_a_secret_is_hidden_in_every_disguise(form):
    assert "‹secret›" in Masker(SECRETS, {})(f"a {form} b")
    assert "s3cr" not in Masker(SECRETS, {})(f"a {form} b")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Al is already here", "‹name› is already here"),
        ("AL, al; (Al)", "‹name›, ‹name›; (‹name›)"),
        ("al_diaz rto-al", "‹name›_diaz rto-‹name›"),
        ("Maria%20Al%2C", "Maria%20‹name›%2C"),
        ("O%27Brien O'Brien O&#x27;Brien", "‹surname› ‹surname› ‹surname›"),
        ("session 7, 77 and 47x", "session 7, ‹id› and 47x"),
        ("x", "x"),
    ],
)
def test_people_and_short_secrets_are_hidden_as_whole_words(text, shown):
    mask = Masker({"77": "‹id›", "7": "‹never›"}, {"Al": "‹name›", "O'Brien": "‹surname›", "x": "‹never›"})
    assert mask(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "two words", "a": 1}', '{"password": ‹hidden›, "a": 1}'),
        ("wstoken=abc&x=1", "wstoken=‹hidden›&x=1"),
        ('{"login_key":"https://x"}', '{"login_key":‹hidden›}'),
        ('{"access_token":"abc', '{"access_token":‹hidden›'),
        (
            "<h:authToken a='1'><id>5</id></h:authToken><b>1</b>",
            "<h:authToken a='1'>‹hidden›</h:authToken><b>1</b>",
        ),
        ("<authToken><id>5", "<authToken>‹hidden›"),
        ('{"CandidateUUID": "P7"}', '{"CandidateUUID": "P7"}'),
        ('{"password": "‹password›"}', '{"password": "‹password›"}'),
    ],
)
def test_values_that_are_secret_by_name_are_hidden(text, shown):
    assert unnamed(text) == shown


def test_names_that_go_on_for_ever_take_no_time():
    assert unnamed("x-" * 1000 + "<" * 1000) == "x-" * 1000 + "<" * 1000


def exchange(make_call, reply=None, **call) -> Exchange:
    return Exchange(call=make_call(**call), reply=reply or Reply(status=200), tries=1, elapsed_s=0.01234)


def test_an_exchange_shows_what_was_asked_and_what_came_of_it(make_call):
    reply = Reply(status=200, text='{"id":7}', left_at=5.0, verdict=Verdict(outcome="ok", rule="r"))
    shown = exchange(
        make_call,
        reply,
        query=(("a", "b c"),),
        headers={"Accept": "x"},
        body=Body(kind="json", data={"n": [1, None]}),
    ).shown({})
    assert shown == {
        "step": "op.go",
        "effect": "read",
        "request": "GET https://lms.example/api/go?a=b c",
        "headers": {"Accept": "x"},
        "body": {"n": [1, None]},
        "status": 200,
        "lost": None,
        "reply": '{"id":7}',
        "outcome": "ok",
        "rule": "r",
        "undecodable": None,
        "tries": 1,
        "ms": 12.3,
        "left_at": 5.0,
    }
    lost = exchange(make_call, Reply(lost="timeout")).shown({})
    assert (lost["status"], lost["lost"], lost["outcome"], lost["rule"], lost["body"]) == (
        None,
        "timeout",
        None,
        None,
        None,
    )


def test_nothing_secret_or_personal_is_left_anywhere_in_an_exchange(make_call):
    pair = base64.b64encode(b"MARKER-1:pw").decode()
    call = {
        "target": "/u/MARKER-1/Ana",
        "query": (("k", "MARKER-1"), ("token", "unknown"), ("who", "ANA")),
        "headers": {"Authorization": f"Basic {pair}", "X-Api-Key": "unknown", "Cookie": "unknown", "X-Session": "MARKER-2", "X-Who": "ana"},
        "body": Body(kind="soap", data={"p": "MARKER-1", "password": "unknown", "l": ["x MARKER-2"], "who": {"n": "Ana"}}, header={"auth": "MARKER-3"}),
        "sensitive": {"MARKER-1": "‹secret›", "MARKER-2": "‹token›"},
        "personal": {"Ana": "‹first name›"},
    }  # fmt: skip
    shown = exchange(
        make_call, Reply(status=200, text="you sent MARKER-1, MARKER-2, Ana and token=unknown"), **call
    )
    text = orjson.dumps(shown.shown({})).decode()
    assert not any(word in text for word in ("MARKER", "unknown", "Ana", "ANA", "ana", pair))


def test_a_reply_is_cut_at_two_kilobytes_and_never_through_a_secret(make_call):
    def shown(text):
        return exchange(make_call, Reply(status=200, text=text), sensitive={"MARKER-123": "‹secret›"}).shown(
            {}
        )["reply"]

    assert shown("x" * 3000) == "x" * 2048
    assert shown("x" * 2042 + "MARKER-123") == "x" * 2042 + "‹secret›"
    assert shown("x" * 2042 + "MARKER") == "x" * 2042 + "‹secret›"
    assert shown("x" * 2045 + "MAR" + "y") == "x" * 2045 + "MAR"


def test_a_large_body_is_shown_by_its_beginning(make_call):
    shown = exchange(make_call, body=Body(kind="json", data={"a": "y" * 5000})).shown({})
    assert len(shown["body"]) == 2048


def test_a_trace_masks_each_exchange_by_what_all_of_them_know(make_call):
    seen = []
    trace = Trace(personal={"Diaz": "‹last name›"}, watch=seen.append, limit=2)
    first = exchange(make_call, Reply(status=200, text="new TOKEN-9 for Diaz and Ana"))
    second = exchange(make_call, sensitive={"TOKEN-9": "‹token›"}, personal={"Ana": "‹first name›"})
    for one in (first, second, second):
        trace.add(one)
    assert [row["reply"] for row in trace.shown()] == ["new ‹token› for ‹last name› and ‹first name›", ""]
    assert (len(seen), len(trace.exchanges)) == (3, 2)
