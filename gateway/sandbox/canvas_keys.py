"""The keys that sign live events: two are published, as while one replaces the other.

Source: vendors/canvas.md 3.5 and 5.9; RFC 7517 for the JWK set.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from gateway.sandbox.hooked_proof import new_key

UNKNOWN_KID = "2019-01-01T00:00:00Z"


class Keys:
    """Made when they are first needed; the newest signs unless told otherwise."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._stranger: rsa.RSAPrivateKey | None = None
        self._made = 0
        # The postman signs in a thread of its own, while the key set is asked for in another.
        self._lock = threading.Lock()

    def rotate(self, *, keep: bool = True) -> str:
        """A new key, which signs from now on; the one before stays published if `keep`. The key's id."""
        with self._lock:
            older = list(self._published().items())[-1:] if keep else []
            self._keys = dict(older)
            return self._add()

    def jwks(self) -> dict[str, Any]:
        """The public halves as a JWK set."""
        with self._lock:
            keys = dict(self._published())
        return {"keys": [_public(kid, key) for kid, key in keys.items()]}

    def token(self, claims: Mapping[str, Any], *, forgery: str = "", older: bool = False) -> str:
        """A JWT under RS256; `forgery` as the switch hook_forgery says."""
        with self._lock:
            keys = list(self._published().items())
        kid, key = keys[0 if older else -1]
        match forgery:
            case "unsigned":
                return jwt.encode(dict(claims), "", algorithm="none", headers={"kid": kid})
            case "other_key":
                key = self._somebody_elses()
            case "unknown_kid":
                kid, key = UNKNOWN_KID, self._somebody_elses()
        return jwt.encode(dict(claims), key, algorithm="RS256", headers={"kid": kid})

    def _somebody_elses(self) -> rsa.RSAPrivateKey:
        with self._lock:
            self._stranger = self._stranger or new_key()
            return self._stranger

    def _published(self) -> dict[str, rsa.RSAPrivateKey]:
        if not self._keys:
            self._add()
            self._add()
        return self._keys

    def _add(self) -> str:
        self._made += 1
        kid = f"2026-{self._made:02d}-01T00:00:00Z"
        self._keys[kid] = new_key()
        return kid


def _public(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    numbers = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": numbers["n"], "e": numbers["e"]}
