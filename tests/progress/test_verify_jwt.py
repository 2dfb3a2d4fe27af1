"""Tokens: which algorithm and key may have signed one, and what else must hold."""

from __future__ import annotations

import base64
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.progress.verify_jwt import MAX_KEYS, BadToken, check_token, claimed_kid, read_keys

NOW = 1767225600.0
RSA = rsa.generate_private_key(65537, 2048)
RSA_2 = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
EC_384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
CLAIMS = {"iss": "https://lms.example", "aud": "gateway-7", "exp": NOW + 300, "iat": NOW}


def jwk(key, kid="k1", **more):
    algorithm = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    writer = next((one for kind, one in algorithm.items() if isinstance(key, kind)), OKPAlgorithm)
    return {**json.loads(writer.to_jwk(key.public_key())), "kid": kid, **more}


def jwks(*entries):
    return read_keys({"keys": list(entries)})


def b64(data):
    return (
        base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode())
        .rstrip(b"=")
        .decode()
    )


def why(token, *, keys=None, now=NOW, **more):
    """The reason of a refusal, None when the token is good."""
    expected = {
        "issuer": None,
        "audience": None,
        "secrets": (),
        "algorithms": ("RS256", "ES256", "EdDSA"),
        **more,
    }
    try:
        check_token(token, keys=keys, now=now, **expected)
    except BadToken as bad:
        return bad.reason
    return None


def signed(key=RSA, algorithm="RS256", claims=None, **header):
    return jwt.encode(CLAIMS if claims is None else claims, key, algorithm, headers={"kid": "k1", **header})


def test_a_token_is_good_with_the_key_it_names_and_among_several():
    keys = jwks(jwk(RSA_2, "k0"), jwk(RSA), jwk(EC, "k2"), jwk(ED, "k3"))
    assert why(signed(), keys=keys) is None
    assert why(signed(EC, "ES256", kid="k2"), keys=keys) is None
    assert why(signed(ED, "EdDSA", kid="k3"), keys=keys) is None


def test_a_token_or_key_without_an_id_is_tried_with_every_key_that_fits():
    token = jwt.encode(CLAIMS, RSA, "RS256")
    assert why(token, keys=jwks(jwk(RSA_2, "k0"), jwk(RSA))) is None
    unnamed = {name: value for name, value in jwk(RSA).items() if name != "kid"}
    assert why(signed(), keys=jwks(unnamed)) is None


def test_a_token_signed_by_another_key_is_refused():
    assert why(signed(RSA_2), keys=jwks(jwk(RSA))) == "signature"
    assert why(signed(RSA_2, kid="k0"), keys=jwks(jwk(RSA))) == "unknown-key"
    assert why(signed(), keys=()) == "unknown-key"


def test_no_algorithm_none_in_any_spelling():
    for name in ("none", "None", "NONE", "nOnE", ""):
        token = f"{b64({'alg': name, 'kid': 'k1'})}.{b64(CLAIMS)}."
        assert why(token, keys=jwks(jwk(RSA)), algorithms=("RS256", name)) == "no-token"
        assert why(token + "AA", keys=jwks(jwk(RSA)), algorithms=("RS256", name)) == "algorithm"
        assert why(token + "AA", secrets=("s" * 40,), algorithms=("HS256", name)) == "algorithm"


@pytest.mark.parametrize("allowed", [("RS256",), ("RS256", "HS256"), ("HS256",)], ids=str)
def test_a_public_key_is_never_an_hmac_secret(allowed):
    """RFC 8725, 2.1: the forger signs with the public key, in any of its spellings, as if it were a secret."""
    public = RSA.public_key()
    spellings = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk(RSA)).encode(),
        jwk(RSA)["n"].encode(),
    ]
    head = f"{b64({'alg': 'HS256', 'kid': 'k1'})}.{b64(CLAIMS)}"
    for spelling in spellings:
        forged = f"{head}.{b64(base64.b16decode(_hmac(spelling, head)))}"
        assert why(forged, keys=jwks(jwk(RSA)), algorithms=allowed) == "algorithm"
        assert why(forged, keys=jwks(jwk(RSA)), algorithms=allowed, secrets=("s" * 40,)) == "algorithm"


def _hmac(key, text):
    return hmac.new(key, text.encode(), "sha256").hexdigest().upper().encode()


def test_a_shared_secret_takes_only_hs_algorithms_and_only_long_secrets():
    good, short = "a" * 32, "a" * 31
    both = {"secrets": ("b" * 32, good), "algorithms": ("HS256", "RS256")}
    assert why(jwt.encode(CLAIMS, good, "HS256"), **both) is None
    assert why(signed(), **both) == "algorithm"
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        weak = jwt.encode(CLAIMS, short, "HS256")
    assert why(weak, secrets=(short,), algorithms=("HS256",)) == "signature"
    assert why(weak, secrets=(), algorithms=("HS256",)) == "no-secret"


def test_an_algorithm_that_the_mapping_does_not_list_is_refused():
    assert why(signed(algorithm="RS512"), keys=jwks(jwk(RSA))) == "algorithm"
    assert why(signed(algorithm="PS256"), keys=jwks(jwk(RSA)), algorithms=("RS256",)) == "algorithm"
    assert why(signed(), keys=jwks(jwk(RSA)), algorithms=()) == "algorithm"


def test_a_key_serves_only_its_own_algorithm_curve_and_kind():
    assert (
        why(signed(algorithm="RS512"), keys=jwks(jwk(RSA, alg="RS256")), algorithms=("RS512",))
        == "unknown-key"
    )
    assert why(signed(EC, "ES256"), keys=jwks(jwk(EC_384)), algorithms=("ES256",)) == "unknown-key"
    assert why(signed(EC_384, "ES384"), keys=jwks(jwk(EC_384)), algorithms=("ES384",)) is None
    assert why(signed(EC, "ES256"), keys=jwks(jwk(RSA))) == "unknown-key"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": NOW - 61}, "stale"),
        ({"exp": NOW - 60}, "stale"),
        ({"exp": NOW - 59}, None),
        ({"exp": str(NOW)}, "bad-time"),
        ({"exp": True}, "bad-time"),
        ({"exp": None}, "bad-time"),
        ({"exp": float("nan")}, "bad-time"),
        ({"nbf": NOW + 61}, "not-yet"),
        ({"nbf": NOW + 59}, None),
        ({"iat": NOW + 61}, "not-yet"),
        ({"iat": [NOW]}, "bad-time"),
        ({"sub": 7, "jti": 8}, None),
    ],
    ids=str,
)
def test_the_times_of_a_token_hold_with_a_minutes_leeway(change, reason):
    assert why(signed(claims={**CLAIMS, **change}), keys=jwks(jwk(RSA))) == reason


def test_a_token_without_times_is_good():
    assert why(signed(claims={"n": 1}), keys=jwks(jwk(RSA))) is None


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["other"]},
        {"aud": []},
    ],
    ids=str,
)
def test_a_token_for_somebody_else_is_refused(change):
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    expected = {"issuer": "https://lms.example", "audience": "gateway-7"}
    assert why(signed(), keys=jwks(jwk(RSA)), **expected) is None
    assert why(signed(claims={**CLAIMS, "aud": ["x", "gateway-7"]}), keys=jwks(jwk(RSA)), **expected) is None
    assert why(signed(claims=claims), keys=jwks(jwk(RSA_2, "k1"), jwk(RSA)), **expected) == "addressee"


def test_nobody_is_asked_for_where_the_mapping_says_nothing():
    assert why(signed(claims={"aud": "x", "iss": "y"}), keys=jwks(jwk(RSA))) is None


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.b.c", "a b.c.d", f"{b64({'alg': 'RS256'})}.{b64('x')}.AA",
        f"{b64([])}.{b64({})}.AA", f"{b64({'alg': ['RS256']})}.{b64({})}.AA", f"{b64({'alg': 'RS256', 'kid': 7})}.{b64({})}.AA",
        f"{b64({'alg': 'RS256', 'crit': ['x'], 'x': 1})}.{b64({})}.AA", f"{b64({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}.{b64({})}.AA",
        f"{b64(b'[' * 100_000)}.{b64({})}.AA",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(token):
    assert why(token, keys=jwks(jwk(RSA))) is not None
    assert claimed_kid(token) is None


def test_a_signed_payload_that_is_no_object_is_refused():
    head = f"{b64({'alg': 'RS256', 'kid': 'k1'})}.{b64([1])}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(head.encode(), RSA)
    assert why(f"{head}.{b64(signature)}", keys=jwks(jwk(RSA))) == "signature"


def test_padding_that_changes_the_text_of_a_token_is_refused():
    head, payload, signature = signed().split(".")
    assert why(f"{head}.{payload}.{signature}==", keys=jwks(jwk(RSA))) == "no-token"


def test_the_key_id_can_be_read_before_anything_is_verified():
    assert claimed_kid(signed(kid="key-9")) == "key-9"
    assert claimed_kid(jwt.encode(CLAIMS, RSA, "RS256")) is None


@given(st.text(alphabet="eyJ.AQ_-0", max_size=60))
def test_no_text_crashes_the_check_or_passes_it(text):
    assert why(text, keys=jwks(jwk(EC)), algorithms=("ES256",)) is not None


# -- JWKS documents


def test_only_public_keys_for_signatures_are_read():
    small = rsa.generate_private_key(65537, 1024)
    private = json.loads(RSAAlgorithm.to_jwk(RSA))
    entries = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, jwk(RSA_2, "enc", use="enc"), jwk(small, "small"),
        {"kty": "RSA", "kid": "half", "n": "AQAB"}, {"kty": "RSA", "kid": "odd", "n": "!", "e": "!"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "point"}, {"kty": ["RSA"]}, "text", None, {},
        {**json.loads(OKPAlgorithm.to_jwk(ED.public_key())), "crv": "X25519", "x": b64(x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()), "kid": "x"},
        {**private, "kid": "private"}, jwk(EC, "ec"), jwk(ED, "ed", use="sig"),
    ]  # fmt: skip
    found = jwks(*entries)
    assert [key.kid for key in found] == ["private", "ec", "ed"]
    assert isinstance(found[0].public, rsa.RSAPublicKey)


@pytest.mark.parametrize(
    "document",
    [None, [], "x", {}, {"keys": {}}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}]}],
    ids=str,
)
def test_a_document_without_usable_keys_is_an_error(document):
    with pytest.raises(ValueError, match="JWKS"):
        read_keys(document)


def test_at_most_so_many_keys_are_read():
    assert len(jwks(*[jwk(EC, str(number)) for number in range(MAX_KEYS + 10)])) == MAX_KEYS
