"""What signatures of every scheme are made and compared with: keys out of secrets, digests as text."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Literal

KeyForm = Literal["text", "hex", "base64"]
Encoding = Literal["hex", "base64", "base64url"]

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def key_of(secret: str, form: KeyForm) -> bytes:
    """The bytes of the key a secret stands for. Raises ValueError when it is not of this form, without it."""
    if form == "text":
        key = secret.encode("utf-8", "surrogateescape")
    elif form == "hex":
        key = bytes.fromhex(secret.strip()) if _HEX.fullmatch(secret.strip()) else b""
    else:
        key = _unbase64(secret.strip())
    if not key:
        raise ValueError(f"this secret cannot be read as {form}")
    return key


def written(digest: bytes, encoding: Encoding) -> bytes:
    """A digest as it is compared: hexadecimal in lower case, base64 in the usual alphabet without `=`."""
    return digest.hex().encode() if encoding == "hex" else base64.b64encode(digest).rstrip(b"=")


def plain(signature: bytes, encoding: Encoding) -> bytes:
    """A signature that came, as it is compared: capital digits, or the other base64, are no forgery."""
    if encoding == "hex":
        return signature.lower()
    return signature.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")


def _unbase64(text: str) -> bytes:
    usual = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(usual + "=" * (-len(usual) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
