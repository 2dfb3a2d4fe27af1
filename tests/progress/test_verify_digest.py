"""Plain hashes with the secret in them, signatures that stand inside what they sign, and tokens in any of several places."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import quote, urlencode

import pytest

from gateway.mapping.expressions import compile_expression
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.progress.cutting import without_member
from gateway.progress.verify import VERIFIED, Delivery, verify

NOW = 1767225600.0
SECRET, OLD = "otter-lamp-42", "otter-lamp-41"
# printf %s "$BODY:otter-lamp-42" | md5sum, with the signature's member and the comma before it taken out of $BODY
BODY = b'{"header":{"source":"LearnUpon","version":1,"webhookId":90017,"attempt":1,"lastAttemptAt":"2026-03-04T01:02:03Z","webHookType":"course_completion","signature":"b0e0142ac6380a9ab8873804f92a8cf3"},"user":{"userId":5501,"email":"mia.tan@example.org"},"enrollmentId":880231,"courseId":3310,"percentage":100,"enrollmentStatus":"passed","modules":[{"id":71,"percentage":100.0}]}'
MEMBER = b'"signature":"b0e0142ac6380a9ab8873804f92a8cf3"'
WORDS = ("raw", "secret")


def hook(kind="digest", *, body="json", signed=("raw", "':'", "secret"), tokens=(), **more):
    for name in ("signature", "fresh_at"):
        more[name] = compile_expression(more[name]) if name in more else None
    how = Verify(
        kind=kind, secrets=("webhook", "webhookOld"), tokens=tuple(map(compile_expression, tokens)),
        signed=tuple(part if part in WORDS else compile_expression(part) for part in signed), **more,
    )  # fmt: skip
    return Webhook(place="progress.webhook", line=1, verify=how, body=body)


def judge(webhook, raw=b"", *, headers=None, query=b"", webhook_secret=SECRET, old=OLD, now=NOW):
    sent = tuple((name.encode(), value.encode()) for name, value in (headers or {}).items())
    delivery = Delivery(raw=raw, headers=sent, query=query)
    secrets = {"webhook": webhook_secret, "webhookOld": old}
    return verify(webhook, delivery, secrets=secrets, scope={"settings": {}}, now=now)


INSIDE = hook(hash="md5", signature="body.header.signature", without="signature")


# -- a signature inside the body


def test_a_body_signed_before_the_signature_was_put_into_it_is_verified_byte_for_byte():
    assert judge(INSIDE, BODY) == VERIFIED
    assert judge(INSIDE, BODY, webhook_secret="another", old=SECRET) == VERIFIED
    assert judge(INSIDE, BODY.replace(b"100.0", b"100")).reason == "mismatch"
    assert judge(INSIDE, BODY, webhook_secret="another").reason == "mismatch"
    assert judge(INSIDE, BODY, webhook_secret="", old="").reason == "no-secret"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(BODY[:-1], "unreadable-body", id="cut"),
        pytest.param(b"", "unreadable-body", id="empty"),
        pytest.param(b"[" * 100_000, "unreadable-body", id="deep"),
        pytest.param(BODY + b" ", "mismatch", id="longer"),
        pytest.param(BODY.replace(b"," + MEMBER, b""), "no-signature", id="no signature"),
        pytest.param(BODY.replace(MEMBER, b'"signature":null'), "no-signature", id="null"),
        pytest.param(BODY.replace(MEMBER, b'"signature":["a","b"]'), "too-many-signatures", id="several"),
        pytest.param(BODY.replace(MEMBER, MEMBER + b"," + MEMBER), "no-member-to-cut", id="twice"),
        pytest.param(BODY.replace(b"signature", b"si\\u0067nature"), "no-member-to-cut", id="another name"),
        pytest.param(BODY.replace(b"b0e0142a", b"b0e0142\\u0061"), "no-member-to-cut", id="written with escapes"),
        pytest.param(BODY.replace(b"b0e0142a", b"b0e0142b"), "mismatch", id="another signature"),
        pytest.param(BODY.replace(b'{"header"', b'{"x":{' + MEMBER + b'},"header"'), "no-member-to-cut", id="elsewhere too"),
    ],
)  # fmt: skip
def test_what_was_not_signed_like_this_is_refused(raw, reason):
    verdict = judge(INSIDE, raw)
    assert (verdict.kind, verdict.reason) == ("refused", reason)


@pytest.mark.parametrize(
    ("raw", "cut"),
    [
        (b'{"a":1,"sig":"x"}', b'{"a":1}'),
        (b'{"a":1,"sig":"x","b":2}', b'{"a":1,"b":2}'),
        (b'{"sig":"x","b":2}', b'{"b":2}'),
        (b'{"sig":"x"}', b"{}"),
        (b'{ "sig" : "x" , "b":2 }', b'{ "b":2 }'),
        (b'{\n  "a": 1.0,\n  "sig": "x"\n}', b'{\n  "a": 1.0\n}'),
        (b'{"a":1 , "sig":\t"x" }', b'{"a":1  }'),
        (b'[{"sig":"x"},1]', b"[{},1]"),
        (b'{"a":1,"sig":"y"}', None),
        (b'{"a":1,"sig":"xx"}', None),
        (b'{"a":1,"sig":x}', None),
        (b'{"a":1,"sign":"x"}', None),
        (b'{"a":1,"sig":"x","b":{"sig":"x"}}', None),
        (b'{"a\\"sig":"x"}', None),
        (b'["sig":"x"]', None),
        (b"", None),
    ],
)  # fmt: skip
def test_a_member_is_cut_out_with_one_comma_where_it_stands_once(raw, cut):
    assert without_member(raw, "sig", b"x") == cut


def test_names_and_signatures_are_no_patterns():
    assert without_member(b'{"s.g":"a+/="}', "s.g", b"a+/=") == b"{}"
    assert without_member(b'{"sig":"aa"}', "s.g", b"a+") is None


def test_a_body_full_of_names_is_looked_through_quickly():
    raw = b'{"sig"' + b" " * 500_000 + b'"sig"   :  "' * 40_000
    began = time.perf_counter()
    assert without_member(raw, "sig", b"x") is None
    assert time.perf_counter() - began < 2


# -- a signature elsewhere


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
def test_a_hash_in_a_header_is_verified_whatever_hash_and_encoding(name, encoding):
    digest = hashlib.new(name, b"17" + SECRET.encode() + b'{"n":1}', usedforsecurity=False).digest()
    text = {"hex": digest.hex(), "base64": base64.b64encode(digest).decode(), "base64url": base64.urlsafe_b64encode(digest).decode()}  # fmt: skip
    webhook = hook(signed=("headers.x_at", "secret", "raw"), signature="headers.x_sig", hash=name, encoding=encoding, prefix="v=")  # fmt: skip
    sent = {"x-at": "17", "x-sig": f"v={text[encoding]}"}
    assert judge(webhook, b'{"n":1}', headers=sent) == VERIFIED
    assert judge(webhook, b'{"n":2}', headers=sent).reason == "mismatch"
    assert judge(webhook, b'{"n":1}', headers={**sent, "x-at": "18"}).reason == "mismatch"
    assert judge(webhook, b'{"n":1}', headers={**sent, "x-sig": text[encoding]}).reason == "no-signature"
    assert judge(webhook, b'{"n":1}', headers={"x-sig": sent["x-sig"]}).reason == "no-signed-part"


def test_the_word_secret_is_the_secret_and_not_a_text():
    webhook = hook(signed=("raw", "secret"), signature="headers.x_sig", hash="md5")
    forged = hashlib.md5(b"xsecret", usedforsecurity=False).hexdigest()
    assert judge(webhook, b"x", headers={"x-sig": forged}).reason == "mismatch"


FORM = hook(
    body="form", hash="md5", signed=("body.payload", "':'", "secret"),
    signature="json(body.payload).header.signature", without="signature",
)  # fmt: skip


def form(payload: bytes, **more):
    return ("&".join([f"a=1&payload={quote(payload)}", *(f"{k}={v}" for k, v in more.items())])).encode()


def test_a_field_of_a_form_is_signed_exactly_as_it_came():
    assert judge(FORM, form(BODY)) == VERIFIED
    assert judge(FORM, form(BODY, z="2")) == VERIFIED
    assert judge(FORM, urlencode({"payload": BODY}).encode()) == VERIFIED
    assert judge(FORM, form(BODY.replace(b"100.0", b"100"))).reason == "mismatch"
    assert judge(FORM, form(BODY[:-1])).reason == "no-signature"
    assert judge(FORM, form(BODY) + b"&payload=x").kind == "refused"
    assert judge(FORM, b"a=1").reason == "no-signed-part"
    assert judge(FORM, b"").reason == "unreadable-body"


def test_bytes_of_a_form_that_are_not_utf_8_are_signed_as_they_came():
    webhook = hook(body="form", signed=("body.note", "secret"), signature="body.sig", hash="sha1")
    digest = hashlib.sha1(b"caf\xe9 \xc3\xa9" + SECRET.encode(), usedforsecurity=False).hexdigest()
    assert judge(webhook, b"note=caf%E9+%C3%A9&sig=" + digest.encode()) == VERIFIED
    assert judge(webhook, b"note=caf%EF%BF%BD+%C3%A9&sig=" + digest.encode()).reason == "mismatch"


def test_a_hash_may_be_over_fields_and_fresh_by_one_of_them():
    webhook = hook(
        signed=("body.id", "secret", "body.at"), signature="body.sig", fresh_at="body.at", fresh_within_s=60.0
    )
    digest = hashlib.sha256(f"7{SECRET}1767225600".encode()).hexdigest()
    raw = json.dumps({"id": "7", "at": 1767225600, "sig": digest}).encode()
    assert judge(webhook, raw, now=NOW + 60) == VERIFIED
    assert judge(webhook, raw, now=NOW + 61).reason == "stale"
    later = raw.replace(b"1767225600", b"1767225700")
    assert judge(webhook, later, now=NOW + 61).reason == "mismatch"


def test_every_secret_is_hashed_and_compared_whichever_matches(monkeypatch):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append(1) or compare(one, other))
    for secrets in ({}, {"webhook_secret": "x", "old": SECRET}, {"webhook_secret": "x"}):
        compared.clear()
        judge(INSIDE, BODY, **secrets)
        assert len(compared) == 2


# -- a token in any of several places

PLACES = hook(
    "shared-token", tokens=("body.token", "(body.rows ?? body)[0].token", "headers.authorization"), prefix="Bearer "
)  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "authorization"),
    [
        pytest.param({"token": SECRET}, None, id="first"),
        pytest.param({"rows": [{"token": SECRET}]}, None, id="in rows"),
        pytest.param([{"token": OLD}, {}], None, id="in a list"),
        pytest.param({}, f"Bearer {SECRET}", id="header"),
        pytest.param({}, f"bEARER   {SECRET}", id="scheme in other letters"),
        pytest.param({}, SECRET, id="without its scheme"),
        pytest.param(None, f"Bearer {SECRET}", id="body that cannot be read"),
        pytest.param({"token": "wrong"}, SECRET, id="beside a wrong one"),
        pytest.param({"token": "", "rows": [{"token": None}]}, SECRET, id="beside empty ones"),
        pytest.param({"token": {"a": 1}, "rows": [{"token": True}]}, SECRET, id="beside what is no token"),
    ],
)
def test_a_token_is_taken_from_any_of_its_places(raw, authorization):
    posted = b"{" if raw is None else json.dumps(raw).encode()
    headers = {} if authorization is None else {"authorization": authorization}
    assert judge(PLACES, posted, headers=headers) == VERIFIED


@pytest.mark.parametrize(
    ("raw", "authorization", "reason"),
    [
        pytest.param(b"{}", None, "no-token", id="nowhere"),
        pytest.param(b"{}", "Bearer ", "mismatch", id="the scheme alone"),
        pytest.param(b"{}", f"Token {SECRET}", "mismatch", id="another scheme"),
        pytest.param(b"{}", f"Bearer Bearer {SECRET}", "mismatch", id="the scheme twice"),
        pytest.param(b"{", None, "unreadable-body", id="unreadable"),
        pytest.param(b'{"token":"a"}', "Bearer b", "mismatch", id="all wrong"),
    ],
)
def test_a_token_in_none_of_its_places_is_refused(raw, authorization, reason):
    headers = {} if authorization is None else {"authorization": authorization}
    verdict = judge(PLACES, raw, headers=headers)
    assert (verdict.kind, verdict.reason) == ("refused", reason)


def test_a_place_that_fails_does_not_spoil_the_others():
    webhook = hook("shared-token", tokens=("join('', body)", "query.token"))
    assert judge(webhook, b'{"a":1}', query=b"token=" + SECRET.encode()) == VERIFIED
    assert judge(webhook, b'{"a":1}').reason == "unreadable"
