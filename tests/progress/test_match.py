"""`hooks match`: a captured request gives away its scheme, whichever it is."""

import base64
import hashlib
import hmac
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from gateway.progress.match import (
    MAX_HEADERS,
    Captured,
    as_yaml,
    find_schemes,
    parse_headers,
    parse_request,
    stored_headers,
    tried,
)
from gateway.progress.signatures import HookScheme, check_signature
from gateway.progress.verify import Delivery
from gateway.secret import Secret
from gateway.yamlfile import parse_yaml

BODY = b'{"event":"student.created","data":{"id":"stu-104"}}'
NOW = 1767225600.0
STAMP = b"1767225600"
AROUND = (
    (b"host", b"gw.example.net"),
    (b"content-type", b"application/json"),
    (b"content-length", b"51"),
    (b"user-agent", b"rtopilot"),
    (b"x-request-id", b"7f3c0d52-9c0a-4b7e-8f57-0d0c2ab1f1b0"),
    (b"date", b"Thu, 01 Jan 2026 00:00:00 GMT"),
)
SECRETS = {"text": "tst-secret-0001", "hex": "7473742d7365ff00", "base64": "dHN0LXNlY3JldC0wMDAx/wA="}
KEYS = {
    "text": b"tst-secret-0001",
    "hex": bytes.fromhex(SECRETS["hex"]),
    "base64": b"tst-secret-0001\xff\x00",
}


def sign(scheme: HookScheme, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as a sender of this scheme writes them, by other code than what checks them."""
    signed = body if scheme.signed == "raw" else STAMP + b"." + body
    name = scheme.algorithm.partition("-")[2]
    value = hmac.new(KEYS[scheme.key], signed, getattr(hashlib, name)).digest()
    text = {
        "hex": value.hex().encode(),
        "base64": base64.b64encode(value),
        "base64url": base64.urlsafe_b64encode(value).rstrip(b"="),
    }[scheme.encoding]
    text = scheme.prefix.encode() + text
    if scheme.signed == "raw":
        return ((scheme.header.encode(), text),)
    if scheme.timestamp_header is None:
        return ((scheme.header.encode(), b"t=" + STAMP + b"," + text),)
    return ((scheme.timestamp_header.encode(), STAMP), (scheme.header.encode(), text))


def every_scheme() -> list[HookScheme]:
    """The whole table of vendors/rtopilot.md 5.4."""
    places: list[dict[str, Any]] = [
        {"signed": "raw"},
        {"signed": "timestamp.raw", "timestamp_header": "x-hook-time"},
        {"signed": "timestamp.raw"},
    ]
    made = []
    for algorithm, encoding, prefix, key, place in product(
        ("hmac-sha256", "hmac-sha512", "hmac-sha1"),
        ("hex", "base64", "base64url"),
        ("", "sha256=", "v1="),
        ("text", "hex", "base64"),
        places,
    ):
        scheme: Any = {"algorithm": algorithm, "encoding": encoding, "prefix": prefix, "key": key, **place}
        made.append(HookScheme(header="x-hook-signature", **scheme))
    return made


# -- finding -------------------------------------------------------------------------------------------


def test_every_scheme_of_the_table_is_found_and_then_verifies() -> None:
    for scheme in every_scheme():
        headers = AROUND + sign(scheme, BODY)
        secret = Secret(SECRETS[scheme.key])
        found = find_schemes(Captured(headers=headers, body=BODY), {"mine": secret})
        assert found, scheme
        for match in found:
            assert (match.secret, match.body) == ("mine", "")
            delivery = Delivery(raw=BODY, headers=headers)
            assert check_signature(match.scheme, (secret,), delivery, NOW).kind == "verified"
        # an encoding without - and _ is the same in both alphabets; a text may be readable as another key
        same = {replace(match.scheme, encoding="hex", key="text") for match in found}
        assert same == {replace(scheme, encoding="hex", key="text")}
        assert scheme.key in {match.scheme.key for match in found}


def test_the_secret_that_signed_is_named() -> None:
    headers = sign(HookScheme(header="x-sig"), BODY)
    secrets = {"student.merged": Secret("another"), "student.created": Secret(SECRETS["text"])}
    (found,) = find_schemes(Captured(headers=headers, body=BODY), secrets)
    assert (found.secret, found.scheme) == ("student.created", HookScheme(header="x-sig"))


@pytest.mark.parametrize(
    ("signed", "captured", "note"),
    [
        (BODY, BODY, ""),
        (BODY, BODY + b"\n", "without the line end behind it"),
        (BODY, BODY + b"\r\n", "without the line end behind it"),
        (b"{\n}", b"{\r\n}", "with \\n for \\r\\n"),
        (b"{\r\n}", b"{\n}\n", "with \\r\\n for \\n"),
        (b"", b"", ""),
    ],
)
def test_a_body_whose_line_ends_a_tool_touched_is_still_found(
    signed: bytes, captured: bytes, note: str
) -> None:
    headers = AROUND + sign(HookScheme(header="x-sig"), signed)
    (found,) = find_schemes(Captured(headers=headers, body=captured), {"mine": Secret(SECRETS["text"])})
    assert found.body == note


def test_a_prefix_nobody_thought_of_is_found() -> None:
    scheme = HookScheme(header="x-sig", prefix="HMAC-SHA256 sig:")
    headers = AROUND + sign(scheme, BODY)
    (found,) = find_schemes(Captured(headers=headers, body=BODY), {"mine": Secret(SECRETS["text"])})
    assert found.scheme == scheme


@pytest.mark.parametrize(
    ("headers", "body", "secret"),
    [
        (sign(HookScheme(header="x-sig"), BODY), BODY.replace(b":", b": "), SECRETS["text"]),
        (sign(HookScheme(header="x-sig"), BODY), BODY, "another"),
        (AROUND, BODY, SECRETS["text"]),
        (((b"x-sig", sign(HookScheme(header="x-sig"), BODY)[0][1][:-1]),), BODY, SECRETS["text"]),
        (((b"x-sig", b"-" * 40 + sign(HookScheme(header="x-sig"), BODY)[0][1]),), BODY, SECRETS["text"]),
    ],
    ids=["body written anew", "another secret", "no signature", "cut short", "far behind"],
)
def test_nothing_fits_where_nothing_should(headers: Any, body: bytes, secret: str) -> None:
    assert find_schemes(Captured(headers=headers, body=body), {"mine": Secret(secret)}) == []


def test_the_time_of_one_list_does_not_serve_a_signature_elsewhere() -> None:
    scheme = HookScheme(header="x-sig", signed="timestamp.raw", timestamp_header="x-hook-time")
    (_, signature) = sign(scheme, BODY)
    headers = ((b"x-list", b"t=" + STAMP + b",v1=0"), signature)
    assert find_schemes(Captured(headers=headers, body=BODY), {"mine": Secret(SECRETS["text"])}) == []


# -- what is pasted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme",
    [
        HookScheme(header="x-sig"),
        HookScheme(header="x-sig", prefix='a"b\\', encoding="base64url", key="hex"),
        HookScheme(header="x-sig", signed="timestamp.raw", prefix="v1=", algorithm="hmac-sha1"),
        HookScheme(header="x-sig", signed="timestamp.raw", timestamp_header="x-time", key="base64"),
    ],
)
def test_the_yaml_says_the_scheme(scheme: HookScheme) -> None:
    data = parse_yaml(as_yaml(scheme), file="pasted").data
    written = data["rtopilot"]["hooks"]["signature"]
    tolerance = written.pop("tolerance", "300s")
    written["header"] = written["header"].lower()
    if "timestamp_header" in written:
        written["timestamp_header"] = written["timestamp_header"].lower()
    assert HookScheme(**written, tolerance_s=float(tolerance.removesuffix("s"))) == scheme


def test_what_was_tried_names_headers_and_secrets_but_no_values() -> None:
    headers = (*AROUND, (b"x-time", STAMP), (b"authorization", b"Bearer hush-marker"))
    said = tried(Captured(headers=headers, body=BODY), ["student.merged"])
    assert "hmac-sha1" in said and "51 bytes" in said and "1 times" in said
    assert "Authorization" in said and "student.merged" in said
    assert "hush-marker" not in said


# -- reading a request ---------------------------------------------------------------------------------

REQUEST = b"""POST /t/acme/hooks/student.merged HTTP/1.1\r
Host: gw.example.net\r
X-Sig:  abc \r
\r
{"a":\r
\r
1}\n"""


@pytest.mark.parametrize(
    ("raw", "headers", "body", "address"),
    [
        (
            REQUEST,
            [(b"host", b"gw.example.net"), (b"x-sig", b"abc")],
            b'{"a":\r\n\r\n1}\n',
            ("acme", "student.merged"),
        ),
        (
            b"POST https://gw.example.net/t/acme/hooks/x.y?z=1\nA: b\n\nbody",
            [(b"a", b"b")],
            b"body",
            ("acme", "x.y"),
        ),
        (b"A: b\nC: d:e\n\n", [(b"a", b"b"), (b"c", b"d:e")], b"", (None, None)),
        (b"POST /elsewhere HTTP/1.1\nA: b\nnonsense\n : c", [(b"a", b"b")], b"", (None, None)),
    ],
    ids=["as sent", "whole address", "no request line", "no body"],
)
def test_a_request_is_read_as_tools_show_it(
    raw: bytes, headers: list[tuple[bytes, bytes]], body: bytes, address: tuple[str | None, str | None]
) -> None:
    read = parse_request(raw)
    assert (list(read.headers), read.body, (read.door, read.event)) == (headers, body, address)


@pytest.mark.parametrize("raw", [b"", b"\n\n{}", b"POST / HTTP/1.1\n\n{}", b'{"a":1}'[:0] + b"words"])
def test_a_text_without_headers_is_no_request(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no header"):
        parse_request(raw)


def test_headers_are_bounded() -> None:
    assert len(parse_headers(b"A: b\n" * 500)) == MAX_HEADERS


def test_stored_headers_get_their_hyphens_back() -> None:
    assert stored_headers({"x_hook_signature": "é"}) == ((b"x-hook-signature", "é".encode()),)
