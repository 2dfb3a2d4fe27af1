"""How a delivery of Hooked LMS proves where it comes from: address, headers and body of one request.

Sources: RFC 7519 (JWT), RFC 7517 (JWKS), RFC 7617 (Basic), the Standard Webhooks specification, and
signing.py. Tokens are made here by hand, apart from any library that could check them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.sandbox.hooked_switches import AUDIENCE, HEX_SECRET, ISSUER, HookedSwitches
from gateway.sandbox.signing import STANDARD_PREFIX, key_bytes, sign, standard_headers

TOKEN_LIFE_S = 300
OTHER_SECRETS = {"text": "somebody-elses-secret", "hex": HEX_SECRET[::-1], "base64": "c29tZWJvZHkgZWxzZQ=="}
Events = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One request as it leaves."""

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes


class Keys:
    """The RSA keys of the LMS; the last one signs, all are published. Made when they are first needed."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._made = 0

    def rotate(self, *, keep: bool = True) -> str:
        """A new key, which signs from now on; without `keep` the older ones are not published any more."""
        if keep:
            self._signer()
        else:
            self._keys.clear()
        self._made += 1
        self._keys[f"hooked-{self._made}"] = new_key()
        return f"hooked-{self._made}"

    def jwks(self) -> dict[str, Any]:
        """The public halves as a JWKS document."""
        self._signer()
        return {"keys": [_public(kid, key) for kid, key in self._keys.items()]}

    def token(self, claims: Mapping[str, Any], *, forged: bool = False) -> str:
        """A signed JWT, RS256; forged: under the published key's id, by a key of somebody else."""
        kid = self._signer()
        parts = [base64url(_json({"alg": "RS256", "typ": "JWT", "kid": kid})), base64url(_json(claims))]
        signer = new_key() if forged else self._keys[kid]
        signature = signer.sign(".".join(parts).encode(), padding.PKCS1v15(), SHA256())
        return ".".join([*parts, base64url(signature)])

    def _signer(self) -> str:
        """The id of the key that signs; the first is made here."""
        if not self._keys:
            self._made += 1
            self._keys[f"hooked-{self._made}"] = new_key()
        return next(reversed(self._keys))


class HookedMail:
    """The deliveries of Hooked LMS, under the switches of the moment."""

    def __init__(self, switches: Callable[[], HookedSwitches], keys: Keys) -> None:
        self._switches, self._keys = switches, keys

    def batches(self, events: Events) -> list[Events]:
        switches = self._switches()
        size = switches.batch if switches.body in ("array", "list", "jwt") else 1
        return [events[start : start + size] for start in range(0, len(events), size)]

    def message(self, number: int) -> str:
        return f"msg_{number}"

    def parcel(self, events: Events, message: str, attempt: int, now: float) -> Parcel:
        return parcel(events, message, now, self._switches(), self._keys)


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def parcel(events: Events, message_id: str, now: float, switches: HookedSwitches, keys: Keys) -> Parcel:
    """The request for these events; `now` is in Unix seconds."""
    at = int(now + switches.clock_skew_s)
    secret = _other_secret(switches) if switches.wrong_signature else switches.secret
    content_type, body = _body(events, message_id, at, secret, switches, keys)
    url = f"{switches.hook_url}/{secret}" if switches.verify == "secret-path" else switches.hook_url
    proof = _proof(body, message_id, at, secret, switches, keys)
    return Parcel(url=url, headers=(("Content-Type", content_type), *proof), body=body)


def _body(
    events: Events, message_id: str, at: int, secret: str, switches: HookedSwitches, keys: Keys
) -> tuple[str, bytes]:
    token = {switches.token_key: secret} if switches.verify == "token-body" else {}
    match switches.body:
        case "array":
            return "application/json", _json(list(events))
        case "list":
            return "application/json", _json({"events": list(events), "count": len(events), **token})
        case "form":
            return "application/x-www-form-urlencoded", urlencode({**flat(events[0]), **token}).encode()
        case "jwt":
            claims = _claims(message_id, at) | {"events": list(events)}
            return "application/jwt", keys.token(claims, forged=switches.wrong_signature).encode()
        case _:
            return "application/json", _json({**events[0], **token})


def _proof(
    body: bytes, message_id: str, at: int, secret: str, switches: HookedSwitches, keys: Keys
) -> list[tuple[str, str]]:
    match switches.verify:
        case "token-header":
            return [(switches.token_header, secret)]
        case "basic":
            pair = base64.b64encode(f"{switches.user}:{secret}".encode()).decode()
            return [("Authorization", f"Basic {pair}")]
        case "bearer":
            return [("Authorization", f"Bearer {secret}")]
        case "hmac":
            return _hmac(body, at, secret, switches)
        case "standard-webhooks":
            return standard_headers(message_id, at, body, secret)
        case "jwt" if switches.body != "jwt":
            claims = _claims(message_id, at) | {"sha256": hashlib.sha256(body).hexdigest()}
            return [(switches.token_header, keys.token(claims, forged=switches.wrong_signature))]
        case _:
            return []


def _hmac(body: bytes, at: int, secret: str, switches: HookedSwitches) -> list[tuple[str, str]]:
    message = f"{at}.".encode() + body if switches.signed == "timestamp.raw" else body
    used = [OTHER_SECRETS[switches.key], secret] if switches.second_signature else [secret]
    prefix = switches.prefix.replace("{t}", str(at))
    signatures = [
        prefix + sign(message, key_bytes(each, switches.key), hash=switches.hash, encoding=switches.encoding)
        for each in used
    ]
    stamped = [(switches.timestamp_header, str(at))] if switches.timestamp_header else []
    return [*stamped, (switches.signature_header, ",".join(signatures))]


def _other_secret(switches: HookedSwitches) -> str:
    """What a forger would use: another secret of the right form."""
    standard = switches.verify == "standard-webhooks"
    return STANDARD_PREFIX + OTHER_SECRETS["base64"] if standard else OTHER_SECRETS[switches.key]


def _claims(message_id: str, at: int) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "iat": at, "exp": at + TOKEN_LIFE_S, "jti": message_id}


def flat(event: Mapping[str, Any]) -> dict[str, str]:
    """An event as form fields: `enrolment_id`, `enrolment_percent`; what is null is empty."""
    fields: dict[str, str] = {}
    for name, value in event.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for key, item in inner:
            fields[f"{name}_{key}" if key else name] = "" if item is None else str(item)
    return fields


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _public(kid: str, key: rsa.RSAPrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    parts = {name: _big_endian(value) for name, value in (("n", numbers.n), ("e", numbers.e))}
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, **parts}


def _big_endian(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
