"""What is presented against what is expected: in constant time, all with all, whichever matches."""

from __future__ import annotations

import hmac
import math
from collections.abc import Sequence
from typing import Any

MAX_SIGNATURES = 20
"""Candidates looked at in one delivery; an honest sender has one for each of its secrets."""


class Refused(Exception):
    """The delivery proves nothing; `reason` is a stable word for our log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def need_any(presented: Sequence[bytes], secrets: Sequence[bytes]) -> None:
    """Every secret is compared with all that was presented. Raises Refused."""
    matched = False
    for secret in secrets:
        for one in presented:
            matched |= hmac.compare_digest(one, secret)
    if not matched:
        raise Refused("mismatch")


def need_signature(expected: Sequence[bytes], given: Sequence[bytes]) -> None:
    """Every signature is compared with every candidate. Raises Refused."""
    if not expected:
        raise Refused("unusable-secret")
    if not given:
        raise Refused("no-signature")
    if len(given) > MAX_SIGNATURES:
        raise Refused("too-many-signatures")
    need_any(given, expected)


def need_fresh(at: Any, now: float, within_s: float) -> None:
    """Raises Refused for what is no time in Unix seconds, and for one too far from now, either way."""
    if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at):
        raise Refused("no-timestamp")
    if abs(now - at) > within_s:
        raise Refused("stale")


def bytes_of(text: str) -> bytes:
    """The bytes that were sent, for text out of headers and queries. Raises Refused."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which an expression may have made
        raise Refused("unreadable") from None
