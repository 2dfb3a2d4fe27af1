"""What RTOPilot must present: per tenant and operation, any of the credentials accepted there.

Source: vendors/rtopilot.md 2.4. Two credentials may be valid at once, so that seven slots can be
changed one by one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.contract import Operation

Kind = Literal["none", "basic", "bearer", "custom_header"]
Headers = Iterable[tuple[bytes, bytes]]

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One accepted credential: `header` is the lower-case header it comes in, `expected` what must be in it.

    Make one with `open_door`, `basic`, `bearer` or `custom_header`; all but the first raise ValueError
    for values that could never match or would match nothing at all.
    """

    kind: Kind
    header: bytes = b"authorization"
    expected: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The credentials of one tenant: a default, and other ones for single operations."""

    default: tuple[Credential, ...]
    per_operation: Mapping[Operation, tuple[Credential, ...]] = field(default_factory=dict)

    def of(self, operation: Operation) -> tuple[Credential, ...]:
        return self.per_operation.get(operation, self.default)

    def any_open(self) -> bool:
        """Whether some operation takes calls without a credential."""
        return any(
            one.kind == "none" for group in (self.default, *self.per_operation.values()) for one in group
        )


def open_door() -> Credential:
    """No credential at all: only behind an unguessable path."""
    return Credential(kind="none")


def basic(username: str, password: str) -> Credential:
    if not password or ":" in username:
        raise ValueError("basic needs a password, and a user name without a colon")
    return Credential(kind="basic", expected=f"{username}:{password}".encode())


def bearer(token: str) -> Credential:
    return Credential(kind="bearer", expected=_secret(token))


def custom_header(name: str, value: str) -> Credential:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("this is not the name of a header")
    return Credential(kind="custom_header", header=name.lower().encode(), expected=_secret(value))


def permits(accepted: Sequence[Credential], headers: Headers) -> bool:
    """Whether a request with these raw headers (names in lower case) may pass.

    Takes the same time whichever secret is wrong, and wherever. A header sent twice never matches,
    or one request could try many guesses. Nothing accepted means nobody passes.
    """
    received: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        received.setdefault(name, []).append(value)
    passed = False
    for credential in accepted:
        passed |= _matches(credential, received.get(credential.header, []))
    return passed


def challenge(accepted: Sequence[Credential]) -> bytes:
    """The `WWW-Authenticate` value of a refusal."""
    return (
        b'Basic realm="gateway", charset="UTF-8"' if any(c.kind == "basic" for c in accepted) else b"Bearer"
    )


def _matches(credential: Credential, values: Sequence[bytes]) -> bool:
    if credential.kind == "none":
        return True
    value = values[0].strip() if len(values) == 1 else b""
    presented = value if credential.kind == "custom_header" else _after_scheme(credential.kind, value)
    # An absent or unreadable value is compared like a wrong one, and `expected` is never empty.
    return hmac.compare_digest(presented, credential.expected)


def _after_scheme(kind: Kind, value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() != kind.encode():
        return b""
    return rest.strip() if kind == "bearer" else _unbase64(rest.strip())


def _unbase64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


def _secret(text: str) -> bytes:
    """The bytes that will arrive: HTTP trims a header value, so ours are trimmed too."""
    raw = text.strip().encode()
    if not raw:
        raise ValueError("the secret is empty")
    return raw
