"""How RTOPilot signs its webhooks, as data; `HookRules` is the gatekeeper of their addresses.

The scheme is not published, so it stands in config.yaml (`rtopilot.hooks.signature`) once `hooks match`
has found it. Until then nothing unsigned is acted on. Source: vendors/rtopilot.md 5.4.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from gateway.progress.digests import Encoding, KeyForm, key_of, plain, written
from gateway.progress.verify import VERIFIED, Delivery, Verdict
from gateway.rtopilot.credentials import Credential, permits
from gateway.secret import Secret

Algorithm = Literal["hmac-sha256", "hmac-sha512", "hmac-sha1"]
Signed = Literal["raw", "timestamp.raw"]
Headers = Sequence[tuple[bytes, bytes]]

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
KEY_FORMS: tuple[KeyForm, ...] = get_args(KeyForm)
TOLERANCE_S = 300.0
MAX_CANDIDATES = 5
"""Signatures looked at in one header: a list holds one for each secret while one is replaced."""

_UNIX = re.compile(r"[0-9]{9,16}")
_MILLISECONDS_FROM = 100_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HookScheme:
    """How one signature is made and where it stands.

    The header may hold a list, `t=1767225600,v1=…`: each part that begins with `prefix` is a signature, and
    `t=` is the time where no `timestamp_header` is given. `timestamp.raw` signs the time as it was sent, a
    dot and the body; then it may be at most `tolerance_s` from now.
    """

    header: str
    algorithm: Algorithm = "hmac-sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    signed: Signed = "raw"
    timestamp_header: str | None = None
    tolerance_s: float = TOLERANCE_S
    key: KeyForm = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRules:
    """What one tenant asks of RTOPilot's webhooks: a credential, and a signature once its scheme is known.

    `secrets` by event, for which the address is the authority; any one of an event's may have signed.
    """

    accepted: tuple[Credential, ...]
    scheme: HookScheme | None = None
    secrets: Mapping[str, tuple[Secret, ...]] = field(default_factory=dict)
    allow_unsigned: bool = False

    def check(self, delivery: Delivery, now: float) -> Verdict:
        """What is to be done with a delivery to the address of `delivery.event`."""
        if not permits(self.accepted, delivery.headers):
            return Verdict(kind="refused", reason="credential")
        if self.scheme is None:
            return VERIFIED if self.allow_unsigned else Verdict(kind="quarantine", reason="no-scheme")
        secrets = self.secrets.get(delivery.event or "", ())
        if not secrets:
            return Verdict(kind="quarantine", reason="no-secret")
        return check_signature(self.scheme, secrets, delivery, now)


def check_signature(scheme: HookScheme, secrets: Sequence[Secret], delivery: Delivery, now: float) -> Verdict:
    """Whether one of the secrets signed these bytes, in the time the scheme allows.

    A good signature whose time is too far from now is kept aside: it may be a late retry, or a replay.
    Takes the same time wherever a signature differs.
    """
    value = _only(delivery.headers, scheme.header)
    if value is None:
        return Verdict(kind="refused", reason="no-signature")
    stamp = _stamp(scheme, value, delivery.headers)
    if stamp is None and scheme.signed == "timestamp.raw":
        return Verdict(kind="refused", reason="no-timestamp")
    if not _signed_by_any(scheme, secrets, signed_bytes(delivery.raw, stamp), value):
        return Verdict(kind="refused", reason="mismatch")
    if stamp is not None and not _fresh(stamp, now, scheme.tolerance_s):
        return Verdict(kind="quarantine", reason="stale")
    return VERIFIED


def signed_bytes(raw: bytes, stamp: bytes | None) -> bytes:
    """What the signature covers."""
    return raw if stamp is None else stamp + b"." + raw


def digest(algorithm: Algorithm, key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, algorithm.removeprefix("hmac-"))


def candidates(value: bytes, prefix: bytes) -> list[bytes]:
    """The signatures in a header: its parts that begin with the prefix, without it."""
    parts = [part.strip() for part in value.split(b",")]
    return [part.removeprefix(prefix) for part in parts if part.startswith(prefix)][:MAX_CANDIDATES]


def listed(value: bytes, name: bytes) -> bytes | None:
    """The part of a list such as `t=…,v1=…` that has this name; None unless there is exactly one."""
    found = candidates(value, name)
    return found[0] if len(found) == 1 and found[0] else None


def time_of(stamp: bytes) -> float | None:
    """Unix seconds of a time as senders write it: seconds, milliseconds, or ISO 8601 with a zone."""
    text = stamp.decode("latin-1")
    if _UNIX.fullmatch(text):
        number = int(text)
        return number / 1000 if number >= _MILLISECONDS_FROM else float(number)
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.timestamp()
    except ValueError:
        return None


def _stamp(scheme: HookScheme, value: bytes, headers: Headers) -> bytes | None:
    if scheme.signed == "raw":
        return None
    if scheme.timestamp_header is None:
        return listed(value, b"t=")
    return _only(headers, scheme.timestamp_header)


def _fresh(stamp: bytes, now: float, tolerance_s: float) -> bool:
    at = time_of(stamp)
    return at is not None and abs(now - at) <= tolerance_s


def _signed_by_any(scheme: HookScheme, secrets: Sequence[Secret], signed: bytes, value: bytes) -> bool:
    received = [plain(one, scheme.encoding) for one in candidates(value, scheme.prefix.encode())]
    found = False
    for secret in secrets:
        key = key_of(secret.reveal(), scheme.key)
        expected = written(digest(scheme.algorithm, key, signed), scheme.encoding)
        for one in received:
            found |= hmac.compare_digest(one, expected)
    return found


def _only(headers: Headers, name: str) -> bytes | None:
    """The header's value; None where it is missing, empty, or there twice: one request, one signature."""
    wanted = name.lower().encode()
    values = [value.strip() for found, value in headers if found == wanted]
    return values[0] if len(values) == 1 and values[0] else None
