"""How Hooked LMS sends its webhooks, and how its API behaves: every switch of the stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from gateway.sandbox.signing import STANDARD_PREFIX as STANDARD
from gateway.sandbox.signing import Encoding, Hash, KeyForm, key_bytes

API_KEY = "hk-not-a-real-key-0001"
SECRET = "hooked-not-a-real-secret-0001"
HEX_SECRET = "686f6f6b65642d6e6f742d612d7265616c2d7365637265742d30303031"
BASE64_SECRET = "aG9va2VkLW5vdC1hLXJlYWwtc2VjcmV0LTAwMDE="
STANDARD_SECRET = STANDARD + BASE64_SECRET
USER = "hooked"
MAX_AT_ONCE = 64
ISSUER, AUDIENCE = "https://hooked.example", "gateway"

VerifyKind = Literal[
    "none",
    "secret-path",
    "token-header",
    "token-body",
    "basic",
    "bearer",
    "hmac",
    "standard-webhooks",
    "jwt",
]
BodyKind = Literal["object", "array", "list", "form", "jwt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookedSwitches:
    """All can be changed at run time over `POST /_control/switches`. Raises ValueError for an odd value."""

    # Where to, and the proof
    hook_url: str = ""
    """Where webhooks go; empty: none are sent."""
    verify: VerifyKind = "hmac"
    secret: str = SECRET
    """Token, password, key or last part of the path, as `verify` says. For standard-webhooks `whsec_…`."""
    user: str = USER
    """The user name of basic."""
    token_header: str = "X-Hooked-Token"
    """The header of token-header; of jwt when the body is not the token."""
    token_key: str = "token"
    """The member of an object, list or form that carries token-body."""
    wrong_signature: bool = False
    """Prove with another secret or key: a forgery."""
    clock_skew_s: float = 0.0
    """Added to every time stamp that is signed; -600 makes deliveries stale."""

    # HMAC
    hash: Hash = "sha256"
    encoding: Encoding = "hex"
    key: KeyForm = "text"
    signed: Literal["raw", "timestamp.raw"] = "timestamp.raw"
    signature_header: str = "X-Hooked-Signature"
    timestamp_header: str = "X-Hooked-Timestamp"
    """Empty: none is sent."""
    prefix: str = ""
    """Stands before the signature; `{t}` is the timestamp, as in `t={t},v1=`."""
    second_signature: bool = False
    """A signature with another secret stands first, and a comma between: one candidate of several."""

    # The body
    body: BodyKind = "object"
    batch: int = 1
    """The most events of one delivery; for array, list and jwt only."""
    values_in_events: bool = True
    """False: events name the enrolment and nothing else, so that it has to be read."""

    # The way there
    linger_s: float = 0.02
    """Events of this long are gathered before they are sent."""
    duplicates: int = 0
    """How many more times each delivery is sent."""
    reverse: bool = False
    """What was gathered is sent in reverse order."""
    delay_s: float = 0.0
    """How late a delivery leaves; further events overtake it."""
    lost: bool = False
    """Nothing is sent, though events happen."""
    retries: tuple[float, ...] = (0.05, 0.1, 0.2)
    """The waits before further attempts after anything but 2xx."""
    at_once: int = 1
    """How many deliveries are under way at a time; with more than 1 their order is left to chance."""
    timeout_s: float = 5.0

    # The API
    page_size: int = 50
    chunk: int = 25
    """The most ids of one status call."""
    fraction: bool = False
    """Percentages are 0 to 1 instead of 0 to 100."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            allowed = get_args(hint)
            if allowed and hint.__class__.__name__ == "_LiteralGenericAlias":
                _check(name, getattr(self, name), allowed)
        if not 1 <= self.at_once <= MAX_AT_ONCE:
            raise ValueError(f"at_once is 1 to {MAX_AT_ONCE}")
        if self.batch < 1 or self.duplicates < 0 or self.page_size < 1 or self.chunk < 1:
            raise ValueError("batch, page_size and chunk are at least 1, duplicates at least 0")
        if self.verify == "standard-webhooks" and not self.secret.startswith(STANDARD):
            raise ValueError(f"standard-webhooks takes a secret that begins with {STANDARD}")
        if self.verify == "hmac":
            key_bytes(self.secret, self.key)


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"switch {name!r} is one of {', '.join(map(str, allowed))}")
