"""One vector for each kind of `verify`, computed by other tools than ours.

The constants were printed by the commands beside them (OpenSSL 3.0, Node 20); nothing here is computed by
the gateway's own code or its libraries.
"""

from __future__ import annotations

import json

import pytest

from gateway.mapping.expressions import compile_expression
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.templates import Template
from gateway.progress.verify import VERIFIED, Delivery, Verdict, verify
from gateway.progress.verify_jwt import read_keys

NOW = 1767225600.0
CREATED = b'{"event":"student.created","data":{"id":"stu-104"}}'
COMPLETED = b'{"data":[{"webhookType":"course_completion","eventCreated":"2026-03-04T01:02:03.000Z","enrollmentId":880231,"courseId":3310,"enrollmentStatus":"passed"}]}'


def hook(kind, **more):
    for name in ("token", "signature", "fresh_at"):
        if name in more:
            more[name] = compile_expression(more[name])
    if kind == "shared-token":
        more["tokens"] = (more.pop("token"),)
    if "signed" in more:
        more["signed"] = tuple(
            part if part in ("raw", "secret") else compile_expression(part) for part in more["signed"]
        )
    for name in ("user", "issuer", "audience", "keys"):
        if name in more:
            more[name] = Template(name, lambda _context, value=more[name]: value)
    more.setdefault("secrets", ("webhook",))
    return Webhook(place="progress.webhook", line=1, verify=Verify(kind=kind, **more))


def judge(webhook, delivery, *, secret="", now=NOW, keys=None):
    return verify(webhook, delivery, secrets={"webhook": secret}, scope={}, now=now, keys=keys)


STAMPED = {"signed": ("headers.x_stamp", "'.'", "raw")}
HMACS = [
    # printf %s "$COMPLETED" | openssl dgst -sha256 -hmac otter-lamp-42 -hex          (learnupon.md 5.2)
    pytest.param(
        COMPLETED,
        "otter-lamp-42",
        {},
        "fa80c9b12d7bec796d97f370ba3768b6fca857135616388ab3ed5a7b4467f604",
        id="raw-hex",
    ),
    # printf %s "$CREATED" | openssl dgst -sha256 -hmac tst-secret-0001 -hex           (rtopilot.md 5.4)
    pytest.param(
        CREATED,
        "tst-secret-0001",
        {},
        "5027b44f04cd6a3627a958771b201ca5584cf1b9fdd20f1c4a39f429d0579f2c",
        id="raw-hex-2",
    ),
    # printf %s "$CREATED" | openssl dgst -sha256 -hmac tst-secret-0001 -binary | openssl base64 -A
    pytest.param(
        CREATED,
        "tst-secret-0001",
        {"encoding": "base64"},
        "UCe0TwTNajYnqVh3GyAcpVhM8bn90g8cSjn0KdBXnyw=",
        id="raw-base64",
    ),
    # printf %s "1767225600.$CREATED" | openssl dgst -sha256 -hmac tst-secret-0001 -hex
    pytest.param(
        CREATED,
        "tst-secret-0001",
        STAMPED,
        "f5cf1e1d7589d8f81f3b6babb9994c28037052f1895ac6be4fc55d66dd774a49",
        id="stamped-hex",
    ),
    # printf %s "1767225600.$CREATED" | openssl dgst -sha512 -mac HMAC -macopt hexkey:00112233445566778899aabbccddeeff -binary | openssl base64 -A
    pytest.param(
        CREATED,
        "00112233445566778899aabbccddeeff",
        {**STAMPED, "hash": "sha512", "encoding": "base64", "key": "hex"},
        "cNiI/xH6XxrReFSK5t2RRSOAJ5eJ5x2Bbve6XhJIm/AhlU2Go2pikuUMM927gciUNLPNA7mZSUNwJuFAstdFdA==",
        id="sha512-hex-key",
    ),
    # node -e 'console.log(require("crypto").createHmac("sha1",Buffer.from("b3R0ZXItbGFtcC00Mg==","base64")).update(process.argv[1]).digest("base64url"))' "$CREATED"
    pytest.param(
        CREATED,
        "b3R0ZXItbGFtcC00Mg==",
        {"hash": "sha1", "encoding": "base64url", "key": "base64", "prefix": "sha1="},
        "sha1=AXy6bR2tEkxWr9VhCs5FltFyfHo",
        id="sha1-base64-key-prefix",
    ),
    # printf '1767225600.\xff\xfe{}' | openssl dgst -sha256 -hmac tst-secret-0001 -hex
    pytest.param(
        b"\xff\xfe{}",
        "tst-secret-0001",
        STAMPED,
        "2763669ca3a159f98bffce0e272573da6dbfc7446da675bca5e977794b3a5104",
        id="not-utf-8",
    ),
]


@pytest.mark.parametrize(("raw", "secret", "how", "signature"), HMACS)
def test_an_hmac_that_another_tool_made_is_verified_and_one_byte_more_is_not(raw, secret, how, signature):
    headers = ((b"x-stamp", b"1767225600"), (b"x-signature", signature.encode()))
    webhook = hook("hmac", signature="headers.x_signature", **how)
    assert judge(webhook, Delivery(raw=raw, headers=headers), secret=secret) == VERIFIED
    longer = judge(webhook, Delivery(raw=raw + b" ", headers=headers), secret=secret)
    assert longer == Verdict(kind="refused", reason="mismatch")


# Published with Standard Webhooks' and Svix's own libraries; confirmed by
# (printf 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.'; printf '{"test": 2432232314}') | openssl dgst -sha256
#   -mac HMAC -macopt hexkey:$(printf MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | openssl base64 -d -A | xxd -p) -binary | openssl base64 -A
STANDARD = Delivery(
    raw=b'{"test": 2432232314}',
    headers=(
        (b"webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (b"webhook-timestamp", b"1614265330"),
        (
            b"webhook-signature",
            b"v2,AAAA v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ),
)


@pytest.mark.parametrize(
    "secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_the_published_standard_webhook_is_verified_for_five_minutes(secret):
    webhook = hook("standard-webhooks")
    for now in (1614265330 - 300, 1614265330, 1614265330 + 300):
        assert judge(webhook, STANDARD, secret=secret, now=now) == VERIFIED
    for now in (1614265330 - 301, 1614265330 + 301):
        assert judge(webhook, STANDARD, secret=secret, now=now).reason == "stale"


def test_basic_as_openssl_writes_it_is_verified():
    # printf 'lms-7:otter-lamp-42' | openssl base64 -A
    headers = ((b"authorization", b"Basic bG1zLTc6b3R0ZXItbGFtcC00Mg=="),)
    webhook = hook("basic", user="lms-7")
    assert judge(webhook, Delivery(raw=b"", headers=headers), secret="otter-lamp-42") == VERIFIED


@pytest.mark.parametrize(
    ("webhook", "delivery"),
    [
        (hook("secret-path"), Delivery(raw=b"x", path_secret="otter-lamp-42")),
        (hook("bearer"), Delivery(raw=b"x", headers=((b"authorization", b"Bearer otter-lamp-42"),))),
        (hook("shared-token", token="headers.x_token"), Delivery(raw=b"x", headers=((b"x-token", b"otter-lamp-42"),))),
        (hook("shared-token", token="query.token"), Delivery(raw=b"x", query=b"token=otter-lamp-42")),
        (hook("shared-token", token="body.token"), Delivery(raw=b'{"token":"otter-lamp-42"}')),
    ],
    ids=["secret-path", "bearer", "token-in-header", "token-in-query", "token-in-body"],
)  # fmt: skip
def test_a_secret_that_is_sent_as_it_is_is_verified(webhook, delivery):
    assert judge(webhook, delivery, secret="otter-lamp-42") == VERIFIED
    assert judge(webhook, delivery, secret="otter-lamp-43").reason == "mismatch"


# Keys and tokens made with Node's crypto: generateKeyPairSync(…).publicKey.export({format: "jwk"}), then
# header + "." + claims in base64url, signed by crypto.sign (RS256: "sha256"; PS256: RSA_PKCS1_PSS_PADDING,
# saltLength 32; ES256: dsaEncoding "ieee-p1363"; EdDSA: null), or by createHmac for HS256.
# Claims: iss https://lms.example, aud gateway-7, iat 1767225600, exp 1767229200, metadata, body.
JWKS = json.loads("""
{"keys": [
  {"kty": "RSA", "n": "rSC2tFiVkCbfmIUP6ENo3THSrvfRmvm4Z91AuQuMMVi6xJDBs4yIaVd9caKNlp4RMRE3jzMo2egf_CX5vo9dEBMAsX6ARBZ4vaEOKEeW64gmOKxsbL-35OERbW3loM9R4YMTH4ekjqI10gRRvuu3NQ5_xhLpwYL3wpdXtMvWL_jIcFIHrrJnN0Xjv1I7hTk-WxQxhBRXAB3WllJ0GJF-W7uvQcq0n001v13z0-3_t7PabKWF7SoC_cwIxJ5YpMv3mOepXH3v0cCM7BDAiAUaqdWogJd_U8zBCvH0hJ3vViO75DVj8Duu1_ndLv6L9BClKfWtH2_P_tneFj0pwYIhSQ", "e": "AQAB", "kid": "rsa-1", "use": "sig"},
  {"kty": "EC", "x": "2ODEGF8GM6cnG5UOwZtUWonjlSnV_zjNA_aRofJqPjw", "y": "nU_uYBPQPxYb5bmr8YqujuOW_WU1p3cYZvb7yFXxEyE", "crv": "P-256", "kid": "ec-1", "use": "sig"},
  {"crv": "Ed25519", "x": "J4vxJ0Y8gyq12en8FXftb9pk7jeRuezjw7oB58E6vhA", "kty": "OKP", "kid": "ed-1", "use": "sig"}
]}
""")
TOKENS = {
    "RS256": "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoiZ2F0ZXdheS03IiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjkyMDAsIm1ldGFkYXRhIjp7ImV2ZW50X25hbWUiOiJjb3Vyc2VfcHJvZ3Jlc3MifSwiYm9keSI6eyJjb3Vyc2UiOnsiaWQiOiIzMSJ9LCJ1c2VyIjp7ImlkIjoiMjA0In19fQ.pAYv-wLxTRx6slwecIHGqJr4hCQSF3tw45FZKLsC5skiQ0cx9o0xZIEKzd9NCjeu4RU9PtPPfRjIpf7Ag1_-VbLONt9YMn-U3Lda1TRL63CRRM0fn6O3jU62ZvkZ2pdCog--k0XcCsgbeY7fuUedHzegAImSEzqwCb5ywTPYN8n_Df1Z4XnHtI92fooB1m_ND38a4FXUuDOG0W4JMSyfsTfkXcAFcHIaPj3KNy-NioVb1izKwvPWYnC1Nk_rTYO5Y2kYfb23CglK0g6d0L8PJ8SXCwUg9cLb5sVOp3NjHqltopWkmoK5k_UMIKa-U4Yo2R3i-wE8SZTVzFLIuauAgA",
    "PS256": "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYS0xIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoiZ2F0ZXdheS03IiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjkyMDAsIm1ldGFkYXRhIjp7ImV2ZW50X25hbWUiOiJjb3Vyc2VfcHJvZ3Jlc3MifSwiYm9keSI6eyJjb3Vyc2UiOnsiaWQiOiIzMSJ9LCJ1c2VyIjp7ImlkIjoiMjA0In19fQ.QgstGraddeepHw0uLFU6Y5ZsHEdwBAZl0DDHiHwThj65Gu5W0RT3sdeo30FXtz54aRS_f7wCfavHdjcQ78qnBl3CYY3NgOYLYXkI05aRiUQDHEGAfY0EiXzKFp9hcoQZvOnf_tB8qyNtz747YN2NbFhoyzg443RLDEczDNZcKIgaSGrF7ItWTaVOAiw88xwvfCwZQAqWPVehcehc_6MWPWwdYtDCmwEjrz-dMKLfmR-_rx6lr8EO54R4NDTutsNWmJMkBcJfFI_Vi-9y6vwhQq8aXG9kRqMebamg0qDSOhuilt3UgBJInnUXqGMGAwjDAoR5zNtrVY89w6wODVPnlw",
    "ES256": "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjLTEiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoiZ2F0ZXdheS03IiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjkyMDAsIm1ldGFkYXRhIjp7ImV2ZW50X25hbWUiOiJjb3Vyc2VfcHJvZ3Jlc3MifSwiYm9keSI6eyJjb3Vyc2UiOnsiaWQiOiIzMSJ9LCJ1c2VyIjp7ImlkIjoiMjA0In19fQ.89PqpSJRurjuBiplgNb2iwqfUYSxJU7VpaRKc1DJUHnBw0hVeBO2mgeWlOlbP9MLzbxW5NQGlcHtWp4CMPTYng",
    "EdDSA": "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkLTEiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoiZ2F0ZXdheS03IiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjkyMDAsIm1ldGFkYXRhIjp7ImV2ZW50X25hbWUiOiJjb3Vyc2VfcHJvZ3Jlc3MifSwiYm9keSI6eyJjb3Vyc2UiOnsiaWQiOiIzMSJ9LCJ1c2VyIjp7ImlkIjoiMjA0In19fQ.HgO9QL_-PaIBOx4P9EpFdgSrticoxoPfVGiRnGz76pI9wDU619UFhu300hhHgeTaX_QkVaprEVf6W4IrydhwDw",
    "HS256": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoiZ2F0ZXdheS03IiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjkyMDAsIm1ldGFkYXRhIjp7ImV2ZW50X25hbWUiOiJjb3Vyc2VfcHJvZ3Jlc3MifSwiYm9keSI6eyJjb3Vyc2UiOnsiaWQiOiIzMSJ9LCJ1c2VyIjp7ImlkIjoiMjA0In19fQ.r7Bl_6F_PXn4aLvK5wPQFOawrBWRE2A8WWxepAMbrx8",
}
HS_SECRET = "shared-secret-of-thirty-two-bytes"


def token_verdict(algorithm, token, *, now=NOW, **more):
    keys = None if algorithm == "HS256" else read_keys(JWKS)
    if keys is not None:
        more["keys"] = "https://lms.example/jwks"
    webhook = hook("jwt", algorithms=(algorithm,), issuer="https://lms.example", audience="gateway-7", **more)
    return judge(webhook, Delivery(raw=token.encode()), secret=HS_SECRET, now=now, keys=keys)


@pytest.mark.parametrize(("algorithm", "token"), TOKENS.items(), ids=TOKENS)
def test_a_token_that_node_signed_is_verified_until_it_expires(algorithm, token):
    assert token_verdict(algorithm, token) == VERIFIED
    assert token_verdict(algorithm, token + "\n") == VERIFIED  # some senders end the body with a line end
    assert token_verdict(algorithm, token, now=1767229200 + 59) == VERIFIED
    assert token_verdict(algorithm, token, now=1767229200 + 61).reason == "stale"
    assert token_verdict(algorithm, token, now=NOW - 61).reason == "not-yet"


@pytest.mark.parametrize(("algorithm", "token"), TOKENS.items(), ids=TOKENS)
def test_a_token_with_a_changed_letter_in_any_part_is_refused(algorithm, token):
    for at in (5, token.index(".") + 30, len(token) - 20):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert token_verdict(algorithm, other).kind == "refused"
    assert token_verdict(algorithm, token[: len(token) // 2]).kind == "refused"
