"""HMAC signatures as senders of webhooks make them, every part of the recipe being data.

Source: vendors/rtopilot.md 5.4; RFC 2104; the Standard Webhooks specification, version 1.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Literal

Hash = Literal["sha256", "sha512", "sha1"]
Encoding = Literal["hex", "base64", "base64url"]
KeyForm = Literal["text", "hex", "base64"]

STANDARD_PREFIX = "whsec_"


def sign(message: bytes, key: bytes, *, hash: Hash = "sha256", encoding: Encoding = "hex") -> str:
    """The signature as text; base64url without padding."""
    digest = hmac.new(key, message, getattr(hashlib, hash)).digest()
    match encoding:
        case "hex":
            return digest.hex()
        case "base64":
            return base64.b64encode(digest).decode()
        case _:
            return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def key_bytes(secret: str, form: KeyForm = "text") -> bytes:
    """The bytes a secret stands for. Raises ValueError when it is not of this form."""
    match form:
        case "hex":
            return bytes.fromhex(secret)
        case "base64":
            return base64.b64decode(secret, validate=True)
        case _:
            return secret.encode()


def standard_headers(message_id: str, timestamp: int, body: bytes, secret: str) -> list[tuple[str, str]]:
    """The three headers of Standard Webhooks; `secret` is `whsec_` and base64.

    Raises ValueError for another secret.
    """
    key = key_bytes(secret.removeprefix(STANDARD_PREFIX), "base64")
    signature = sign(f"{message_id}.{timestamp}.".encode() + body, key, encoding="base64")
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", f"v1,{signature}"),
    ]
