"""RTOPilot's signatures: schemes against vectors that other programs computed, and what a verdict depends on.

The first three vectors are those of vendors/rtopilot.md 5.4. All of them were computed with OpenSSL, and the
ones marked `node` with Node too:

    B='{"event":"student.created","data":{"id":"stu-104"}}'; S=tst-secret-0001; T=1767225600
    printf %s "$B"    | openssl dgst -sha256 -hmac "$S"                      # hex; node
    printf %s "$B"    | openssl dgst -sha256 -hmac "$S" -binary | base64
    printf %s "$T.$B" | openssl dgst -sha256 -hmac "$S"
    printf %s "$B"    | openssl dgst -sha512 -hmac "$S"
    printf %s "$B"    | openssl dgst -sha1   -hmac "$S" -binary | base64
    printf %s "$T.$B" | openssl dgst -sha512 -hmac "$S" -binary | base64 -w0 | tr '+/' '-_' | tr -d =   # node
    printf %s "$B"    | openssl dgst -sha256 -mac HMAC -macopt hexkey:$K     # K as below
    printf %s "$T.$B" | openssl dgst -sha1   -mac HMAC -macopt hexkey:$K
    node -e 'process.stdout.write(require("crypto").createHmac("sha256", S).update(B).digest("hex"))'
"""

from dataclasses import replace
from typing import Any

import pytest

from gateway.progress.signatures import (
    MAX_CANDIDATES,
    HookRules,
    HookScheme,
    candidates,
    check_signature,
    key_of,
    listed,
    time_of,
)
from gateway.progress.verify import Delivery, Verdict
from gateway.rtopilot.credentials import bearer, open_door
from gateway.secret import Secret

BODY = b'{"event":"student.created","data":{"id":"stu-104"}}'
SECRET = Secret("tst-secret-0001")
KEY_HEX = "7473742d7365637265742d30303031ff00"
KEY_BASE64 = "dHN0LXNlY3JldC0wMDAx/wA="
NOW = 1767225600.0

RAW_HEX = b"5027b44f04cd6a3627a958771b201ca5584cf1b9fdd20f1c4a39f429d0579f2c"
RAW_BASE64 = b"UCe0TwTNajYnqVh3GyAcpVhM8bn90g8cSjn0KdBXnyw="
TIMED_HEX = b"f5cf1e1d7589d8f81f3b6babb9994c28037052f1895ac6be4fc55d66dd774a49"
RAW_512 = (
    b"f72b68a3e70f7ac024aa95c9aee45e8684df5106929e2c291899e285789a69ed"
    b"b31832b9f412d9c3d8b054929e5313299834ba0464486645443ac103b99343ce"
)
RAW_SHA1 = b"JJoyoHJ76sn7yLkZrK32KmcCCf4="
TIMED_512 = b"Yp4HHByvI7bRzRH2gAIQMw8FECE1aIho1xoFWA8PzZSZjByKyW-ROS3vsHWRcrSVF1_OMrw7ZCt1XPdWj0NWeg"
KEYED_HEX = b"8903cbc730fb5b79bb1191c04ace8cd4946cc06a1ebdc834dc19cd8b5b79b462"
KEYED_SHA1 = b"4f358de90d0f16ef0cb83282b3bdded2d636c593"
STAMP = (b"x-time", b"1767225600")

PLAIN = HookScheme(header="x-sig")
TIMED = HookScheme(header="x-sig", signed="timestamp.raw", timestamp_header="x-time")
LISTED = HookScheme(header="x-sig", signed="timestamp.raw", prefix="v1=")


def sent(*headers: tuple[bytes, bytes], raw: bytes = BODY, event: str | None = "student.created") -> Delivery:
    return Delivery(raw=raw, headers=headers, event=event)


def verdict(scheme: HookScheme, *headers: tuple[bytes, bytes], raw: bytes = BODY, **more: Any) -> Verdict:
    secrets = more.pop("secrets", (SECRET,))
    return check_signature(scheme, secrets, sent(*headers, raw=raw), more.pop("now", NOW))


# -- vectors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "secret", "headers"),
    [
        (PLAIN, "tst-secret-0001", [(b"x-sig", RAW_HEX)]),
        (replace(PLAIN, encoding="base64"), "tst-secret-0001", [(b"x-sig", RAW_BASE64)]),
        (TIMED, "tst-secret-0001", [(b"x-sig", TIMED_HEX), STAMP]),
        (replace(PLAIN, algorithm="hmac-sha512"), "tst-secret-0001", [(b"x-sig", RAW_512)]),
        (
            replace(PLAIN, algorithm="hmac-sha1", encoding="base64"),
            "tst-secret-0001",
            [(b"x-sig", RAW_SHA1)],
        ),
        (
            replace(TIMED, algorithm="hmac-sha512", encoding="base64url"),
            "tst-secret-0001",
            [(b"x-sig", TIMED_512), STAMP],
        ),
        (replace(PLAIN, key="hex"), KEY_HEX, [(b"x-sig", KEYED_HEX)]),
        (replace(PLAIN, key="base64"), KEY_BASE64, [(b"x-sig", KEYED_HEX)]),
        (
            replace(TIMED, algorithm="hmac-sha1", key="base64"),
            KEY_BASE64,
            [(b"x-sig", KEYED_SHA1), STAMP],
        ),
        (replace(PLAIN, prefix="sha256="), "tst-secret-0001", [(b"x-sig", b"sha256=" + RAW_HEX)]),
        (LISTED, "tst-secret-0001", [(b"x-sig", b"t=1767225600,v1=" + TIMED_HEX)]),
        (LISTED, "tst-secret-0001", [(b"x-sig", b"v1=" + TIMED_HEX + b" , t=1767225600")]),
        (LISTED, "tst-secret-0001", [(b"x-sig", b"t=1767225600,v1=0000,v0=1,v1=" + TIMED_HEX)]),
        (PLAIN, "tst-secret-0001", [(b"x-sig", b" " + RAW_HEX.upper() + b" ")]),
        (replace(PLAIN, encoding="base64"), "tst-secret-0001", [(b"x-sig", RAW_BASE64.rstrip(b"="))]),
        (
            replace(TIMED, algorithm="hmac-sha512", encoding="base64"),
            "tst-secret-0001",
            [(b"x-sig", TIMED_512), STAMP],
        ),
    ],
    ids=[
        "hex", "base64", "timestamp", "sha512", "sha1", "base64url", "hex key", "base64 key",
        "sha1 timestamp base64 key", "prefix", "list", "list the other way round", "list with more",
        "upper case", "without padding", "the other alphabet",
    ],
)  # fmt: skip
def test_a_genuine_signature_is_verified(
    scheme: HookScheme, secret: str, headers: list[tuple[bytes, bytes]]
) -> None:
    assert verdict(scheme, *headers, secrets=(Secret(secret),)) == Verdict(kind="verified")
    assert verdict(scheme, *headers, secrets=(Secret("00ff"),)).reason == "mismatch"
    assert verdict(scheme, *headers, secrets=(Secret(secret),), raw=BODY + b"\n").reason == "mismatch"


@pytest.mark.parametrize("scheme", [PLAIN, replace(PLAIN, algorithm="hmac-sha512")], ids=["sha256", "sha512"])
def test_bytes_are_signed_not_what_they_mean(scheme: HookScheme) -> None:
    again = BODY.replace(b":", b": ")
    assert verdict(PLAIN, (b"x-sig", RAW_HEX), raw=again).reason == "mismatch"


# -- forged, replayed, truncated, stale ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "headers", "reason"),
    [
        (PLAIN, [], "no-signature"),
        (PLAIN, [(b"x-sig", b"")], "no-signature"),
        (PLAIN, [(b"x-sig", RAW_HEX), (b"x-sig", RAW_HEX)], "no-signature"),
        (PLAIN, [(b"x-other", RAW_HEX)], "no-signature"),
        (PLAIN, [(b"x-sig", RAW_HEX[:-1])], "mismatch"),
        (PLAIN, [(b"x-sig", RAW_HEX[:8])], "mismatch"),
        (PLAIN, [(b"x-sig", b"\xff\xfe")], "mismatch"),
        (PLAIN, [(b"x-sig", b"sha256=" + RAW_HEX)], "mismatch"),
        (PLAIN, [(b"x-sig", RAW_BASE64)], "mismatch"),
        (replace(PLAIN, prefix="sha256="), [(b"x-sig", RAW_HEX)], "mismatch"),
        (replace(PLAIN, prefix="sha256="), [(b"x-sig", b"sha256=")], "mismatch"),
        (PLAIN, [(b"x-sig", TIMED_HEX), STAMP], "mismatch"),
        (TIMED, [(b"x-sig", TIMED_HEX)], "no-timestamp"),
        (TIMED, [(b"x-sig", TIMED_HEX), STAMP, STAMP], "no-timestamp"),
        (TIMED, [(b"x-sig", TIMED_HEX), (b"x-time", b"1767225601")], "mismatch"),
        (TIMED, [(b"x-sig", b"t=1767225600," + TIMED_HEX)], "no-timestamp"),
        (LISTED, [(b"x-sig", b"v1=" + TIMED_HEX), STAMP], "no-timestamp"),
        (LISTED, [(b"x-sig", b"t=,v1=" + TIMED_HEX)], "no-timestamp"),
        (LISTED, [(b"x-sig", b"t=1767225600,t=1767225600,v1=" + TIMED_HEX)], "no-timestamp"),
        (LISTED, [(b"x-sig", b"t=1767225600,v1=0,v1=0,v1=0,v1=0,v1=0,v1=" + TIMED_HEX)], "mismatch"),
    ],
)
def test_whatever_is_missing_or_wrong_is_refused(
    scheme: HookScheme, headers: list[tuple[bytes, bytes]], reason: str
) -> None:
    assert verdict(scheme, *headers) == Verdict(kind="refused", reason=reason)


@pytest.mark.parametrize("away", [-301, 301, 3600, -1e9])
def test_a_genuine_signature_of_another_time_is_kept_aside(away: float) -> None:
    headers = ((b"x-sig", TIMED_HEX), STAMP)
    assert verdict(TIMED, *headers, now=NOW + away) == Verdict(kind="quarantine", reason="stale")
    assert verdict(TIMED, *headers, now=NOW + away, raw=b"{}").kind == "refused"


@pytest.mark.parametrize("away", [-300, 0, 300])
def test_a_time_within_the_tolerance_passes(away: float) -> None:
    assert verdict(TIMED, (b"x-sig", TIMED_HEX), STAMP, now=NOW + away).kind == "verified"


def test_the_tolerance_is_the_schemes() -> None:
    narrow = replace(TIMED, tolerance_s=10.0)
    assert verdict(narrow, (b"x-sig", TIMED_HEX), STAMP, now=NOW + 11).reason == "stale"


def test_two_secrets_are_valid_at_once() -> None:
    for secrets in ((Secret("newer"), SECRET), (SECRET, Secret("newer"))):
        assert verdict(PLAIN, (b"x-sig", RAW_HEX), secrets=secrets).kind == "verified"
    assert verdict(PLAIN, (b"x-sig", RAW_HEX), secrets=(Secret("a"), Secret("b"))).kind == "refused"


# -- a tenant's rules ----------------------------------------------------------------------------------

TOKEN = (b"authorization", b"Bearer inbound-token")
RULES = HookRules(accepted=(bearer("inbound-token"),), scheme=PLAIN, secrets={"student.created": (SECRET,)})


@pytest.mark.parametrize(
    ("rules", "delivery", "expected"),
    [
        (RULES, sent(TOKEN, (b"x-sig", RAW_HEX)), ("verified", "")),
        (RULES, sent((b"x-sig", RAW_HEX)), ("refused", "credential")),
        (RULES, sent(TOKEN), ("refused", "no-signature")),
        (RULES, sent(TOKEN, (b"x-sig", RAW_HEX), event="student.merged"), ("quarantine", "no-secret")),
        (RULES, sent(TOKEN, (b"x-sig", RAW_HEX), event=None), ("quarantine", "no-secret")),
        (
            replace(RULES, secrets={"student.created": ()}),
            sent(TOKEN, (b"x-sig", RAW_HEX)),
            ("quarantine", "no-secret"),
        ),
        (replace(RULES, scheme=None), sent(TOKEN), ("quarantine", "no-scheme")),
        (replace(RULES, scheme=None), sent(), ("refused", "credential")),
        (replace(RULES, scheme=None, allow_unsigned=True), sent(TOKEN), ("verified", "")),
        (replace(RULES, scheme=None, allow_unsigned=True), sent(), ("refused", "credential")),
        (replace(RULES, accepted=(open_door(),)), sent((b"x-sig", RAW_HEX)), ("verified", "")),
        (replace(RULES, accepted=()), sent(TOKEN, (b"x-sig", RAW_HEX)), ("refused", "credential")),
    ],
    ids=[
        "all is well", "no credential", "no signature", "an event without a secret", "no event",
        "an empty list of secrets", "no scheme", "no scheme and no credential", "unsigned allowed",
        "unsigned allowed without credential", "signed at an open door", "nothing accepted",
    ],
)  # fmt: skip
def test_rules_fail_closed(rules: HookRules, delivery: Delivery, expected: tuple[str, str]) -> None:
    found = rules.check(delivery, NOW)
    assert (found.kind, found.reason) == expected


def test_another_events_secret_does_not_sign(event: str = "student.merged") -> None:
    rules = replace(RULES, secrets={**RULES.secrets, event: (Secret("another"),)})
    assert rules.check(sent(TOKEN, (b"x-sig", RAW_HEX), event=event), NOW).reason == "mismatch"


def test_rules_show_no_secret() -> None:
    assert "tst-secret" not in repr(RULES) and "inbound-token" not in repr(RULES)


# -- parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "form", "key"),
    [
        ("tëxt", "text", "tëxt".encode()),
        ("00FFa0", "hex", b"\x00\xff\xa0"),
        ("/wA=", "base64", b"\xff\x00"),
        ("_wA", "base64", b"\xff\x00"),
    ],
)
def test_a_key_is_read_in_its_form(secret: str, form: Any, key: bytes) -> None:
    assert key_of(secret, form) == key


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ("", "text"),
        ("abc", "hex"),
        ("xy", "hex"),
        ("", "hex"),
        ("a", "base64"),
        ("a b!", "base64"),
        ("ü", "base64"),
    ],
)
def test_a_secret_of_another_form_is_no_key_and_is_not_shown(secret: str, form: Any) -> None:
    with pytest.raises(ValueError, match=f"^this secret cannot be read as {form}$"):
        key_of(secret, form)


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        (b"1767225600", NOW),
        (b"1767225600123", NOW + 0.123),
        (b"2026-01-01T00:00:00Z", NOW),
        (b"2026-01-01T11:00:00.5+11:00", NOW + 0.5),
        (b"2026-01-01T00:00:00", None),
        (b"51", None),
        (b"", None),
        (b"\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2", None),
        (b"-1767225600", None),
        (b"17672256000000000000000000000", None),
    ],
)
def test_times_are_read_as_senders_write_them(stamp: bytes, time: float | None) -> None:
    assert time_of(stamp) == time


def test_a_time_that_cannot_be_read_is_never_fresh() -> None:
    import hashlib
    import hmac

    signature = hmac.new(b"tst-secret-0001", b"soon." + BODY, hashlib.sha256).hexdigest().encode()
    found = verdict(TIMED, (b"x-sig", signature), (b"x-time", b"soon"))
    assert found == Verdict(kind="quarantine", reason="stale")


def test_a_list_is_taken_apart_with_a_bound() -> None:
    assert candidates(b"t=1, v1=a,v1=b", b"v1=") == [b"a", b"b"]
    assert len(candidates(b"v1=a," * 100, b"v1=")) == MAX_CANDIDATES
    assert listed(b"t=1,v1=a", b"t=") == b"1"
