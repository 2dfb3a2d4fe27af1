"""JSON Web Tokens: which key and algorithm may have signed one, and whether its times hold.

The mapping's list of algorithms decides, never the token: `none` is unknown here, and a public key is
never used as an HMAC secret. Source: RFC 8725 (3.1, 3.2), RFC 7517, RFC 7518 (3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

LEEWAY_S = 60.0
"""How far the sender's clock may be from ours."""

MAX_KEYS = 50
RSA_BITS = range(2048, 8193)

# algorithm -> what key it needs, and on which curve
_PUBLIC: Mapping[str, tuple[str, str | None]] = {
    **{f"{family}{bits}": ("RSA", None) for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", None),
}
_SHARED = frozenset({"HS256", "HS384", "HS512"})
# Private members are left out: a key that has them is used as the public key it also is.
_READERS: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "RSA": (RSAAlgorithm, ("kty", "n", "e")),
    "EC": (ECAlgorithm, ("kty", "crv", "x", "y")),
    "OKP": (OKPAlgorithm, ("kty", "crv", "x")),
}
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_UNCHECKED = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
    "verify_jti": False,
}
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, RecursionError)


class BadToken(Exception):
    """A token that proves nothing; `reason` is a stable word for our log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One public key of a JWKS. `alg` is the only algorithm it is for, where its document says so."""

    kid: str | None
    kty: str
    crv: str | None
    alg: str | None
    public: Any

    def fits(self, alg: str, kid: str | None) -> bool:
        """Whether a token with this algorithm and key id may have been signed by this key's owner."""
        kty, crv = _PUBLIC[alg]
        named = kid is None or self.kid is None or self.kid == kid
        return named and self.kty == kty and crv in (None, self.crv) and self.alg in (None, alg)


def read_keys(document: Any) -> tuple[Key, ...]:
    """The keys of a JWKS document that can check signatures; the others are passed over.

    Shared secrets, keys for encryption and RSA keys of odd sizes are not for this.
    Raises ValueError when no key is left.
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWKS document: it has no list `keys`")
    found = tuple(key for entry in entries[:MAX_KEYS] if (key := _key(entry)) is not None)
    if not found:
        raise ValueError("the JWKS document has no public key for signatures")
    return found


def _key(entry: Any) -> Key | None:
    if not isinstance(entry, Mapping) or entry.get("use", "sig") != "sig":
        return None
    texts = {name: value for name, value in entry.items() if isinstance(value, str)}
    reader, members = _READERS.get(texts.get("kty", ""), (None, ()))
    if reader is None or not texts.keys() >= set(members):
        return None
    try:
        public = reader.from_jwk({name: texts[name] for name in members})
    except _MALFORMED:
        return None
    if texts["kty"] == "RSA" and public.key_size not in RSA_BITS:
        return None
    return Key(
        kid=texts.get("kid"), kty=texts["kty"], crv=texts.get("crv"), alg=texts.get("alg"), public=public
    )


def claimed_kid(token: str) -> str | None:
    """The id of the key a token says it is signed with; nothing is verified."""
    try:
        kid = jwt.get_unverified_header(token).get("kid") if _TOKEN.fullmatch(token) else None
    except _MALFORMED:
        return None
    return kid if isinstance(kid, str) else None


def check_token(
    token: str,
    *,
    keys: Sequence[Key] | None,
    secrets: Sequence[str],
    algorithms: Iterable[str],
    issuer: str | None,
    audience: str | None,
    now: float,
) -> None:
    """Return if the token is signed by one of the keys, meant for us, and of this time.

    `keys` None: it is signed with a shared secret, by an `HS` algorithm; else only public keys count.
    Raises BadToken.
    """
    if not _TOKEN.fullmatch(token):
        raise BadToken("no-token")
    try:
        header = jwt.get_unverified_header(token)
    except _MALFORMED:
        raise BadToken("not-a-token") from None
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in algorithms or alg not in (_SHARED if keys is None else _PUBLIC):
        raise BadToken("algorithm")
    if keys is None:
        able: list[Any] = [secret.encode("utf-8", "surrogateescape") for secret in secrets]
    else:
        able = [key.public for key in keys if key.fits(alg, kid)]
    if not able:
        raise BadToken("no-secret" if keys is None else "unknown-key")
    _check_times(_claims(token, able, alg, issuer, audience), now)


def _claims(
    token: str, able: Iterable[Any], alg: str, issuer: str | None, audience: str | None
) -> Mapping[str, Any]:
    """The claims, if one of the keys has signed them; each is tried."""
    claims, reason = None, "signature"
    options: Any = {**_UNCHECKED, "verify_aud": audience is not None, "enforce_minimum_key_length": True}
    for key in able:
        try:
            claims = jwt.decode(
                token, key, algorithms=[alg], issuer=issuer, audience=audience, options=options
            )
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError, jwt.MissingRequiredClaimError):
            reason = "addressee"
        except _MALFORMED:
            continue
    if claims is None:
        raise BadToken(reason)
    return claims


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """`exp`, `nbf` and `iat` where there are any. By our own clock, which PyJWT does not know."""
    if _time(claims, "exp", math.inf) <= now - LEEWAY_S:
        raise BadToken("stale")
    if max(_time(claims, "nbf", 0), _time(claims, "iat", 0)) > now + LEEWAY_S:
        raise BadToken("not-yet")


def _time(claims: Mapping[str, Any], name: str, default: float) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise BadToken("bad-time")
    return value
