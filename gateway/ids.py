"""Ids towards RTOPilot: a reversible, URL-safe spelling of the vendor's own key.

    [alias__]part(-part)*[_n]        at most 64 characters of a-z 0-9 _ -

A part holds neither `_` nor `-`, an alias no `_`, so each separator has one meaning:

    126                 digits without a leading zero, as they are
    u + 26 characters   UUID 8-4-4-4-12 in lower case     (v: the same in upper case)
    w + 26 characters   UUID 8-4-4-16 in lower case       (x: the same in upper case)
    t + base32          any other text, also the empty one
    r + 26 characters   a stored random id, for keys that do not fit; says nothing by itself

Course ids are `[alias__]part`. One key has one spelling: whatever decodes encodes back to the same text.
An alias names one of several LMSs of a tenant; a tenant with one LMS has none.
Source: design 3.1; why so narrow an alphabet: vendors/rtopilot.md 2.3.
"""

from __future__ import annotations

import base64
import re
from binascii import Error as Base32Error
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gateway.errors import NotFound

MAX_LENGTH = 64
ALIAS_PATTERN = "[a-z][a-z0-9]{0,15}"

_ID = re.compile(rf"(?:({ALIAS_PATTERN})__)?([0-9a-z-]+)(?:_([1-9][0-9]*))?")
_ALIAS = re.compile(ALIAS_PATTERN)
_NUMBER = re.compile("0|[1-9][0-9]*")
_RANDOM = re.compile(
    rf"(?:{ALIAS_PATTERN}__)?r[a-z2-7]{{25}}[aeimquy4]"
)  # 128 bits leave two zero bits in the last character
_UUIDS = {
    "u": re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "v": re.compile("[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
    "w": re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){2}-[0-9a-f]{16}"),
    "x": re.compile("[0-9A-F]{8}(?:-[0-9A-F]{4}){2}-[0-9A-F]{16}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentId:
    """What an enrolment id says: which LMS, the vendor's key in order, and which enrolment of that key."""

    alias: str | None
    parts: tuple[str, ...]
    generation: int


class IdTooLong(ValueError):
    """The key does not fit into 64 characters; an enrolment gets a stored random id instead."""


def encode(parts: Sequence[str], *, alias: str | None = None, generation: int = 1) -> str:
    """The enrolment id of a vendor key.

    Raises IdTooLong above 64 characters, ValueError for no parts, an alias outside ALIAS_PATTERN,
    a generation below 1, or text that is not Unicode (a lone surrogate).
    """
    if not parts or generation < 1:
        raise ValueError("an id needs at least one part, and a generation from 1")
    suffix = "" if generation == 1 else f"_{generation}"
    return _fitting(_prefix(alias) + "-".join(map(_encode_part, parts)) + suffix)


def decode(text: str) -> EnrolmentId:
    """The vendor key an enrolment id was made from.

    Raises NotFound("unknown_enrolment") for any other text, random ids included: those are only in the store.
    """
    try:
        return _decode(text)
    except ValueError as exc:
        raise NotFound(
            "This enrolment was not made through this gateway.", code="unknown_enrolment", detail=str(exc)
        ) from exc


def encode_course(course: str, *, alias: str | None = None) -> str:
    """The course id RTOPilot keeps for a vendor's course id. Raises IdTooLong and ValueError as `encode`."""
    return _fitting(_prefix(alias) + _encode_part(course))


def decode_course(text: str, *, alias: str | None = None) -> str:
    """The vendor's own id of a course of the LMS with this alias.

    Raises NotFound("unknown_course") for text that `encode_course` never gives for it.
    """
    prefix = _prefix(alias)
    try:
        if not _fitting(text).startswith(prefix):
            raise ValueError("a course of another LMS")
        return _decode_part(text[len(prefix) :])
    except ValueError as exc:
        raise NotFound("The LMS has no such course.", code="unknown_course", detail=str(exc)) from exc


def new_random_id(random: Random, *, alias: str | None = None) -> str:
    """A fresh stored id, for a key that is too long; pass a `random.SystemRandom`."""
    return f"{_prefix(alias)}r{_base32(random.randbytes(16))}"


def alias_of(text: str) -> str | None:
    """The alias that an enrolment or course id begins with; says nothing of whether the rest is an id."""
    alias, separator, _ = text.partition("__")
    return alias if separator and _ALIAS.fullmatch(alias) else None


def is_random(text: str) -> bool:
    """Whether this has the form of a stored random id, to be looked up rather than decoded."""
    return _RANDOM.fullmatch(text) is not None


def _prefix(alias: str | None) -> str:
    if alias is None:
        return ""
    if not _ALIAS.fullmatch(alias):
        raise ValueError(f"an alias is lower-case letters and digits, at most 16: {alias!r}")
    return f"{alias}__"


def _decode(text: str) -> EnrolmentId:
    match = _ID.fullmatch(_fitting(text))
    if match is None:
        raise ValueError("not the form of an enrolment id")
    alias, body, generation = match.groups()
    parts = tuple(map(_decode_part, body.split("-")))
    if generation == "1":
        raise ValueError("the first enrolment of a key has no number")
    return EnrolmentId(alias=alias, parts=parts, generation=int(generation or 1))


def _encode_part(text: str) -> str:
    if _NUMBER.fullmatch(text):
        return text
    for tag, pattern in _UUIDS.items():
        if pattern.fullmatch(text):
            return tag + _base32(bytes.fromhex(text.replace("-", "")))
    return "t" + _base32(text.encode())


def _decode_part(text: str) -> str:
    """Raises ValueError unless `_encode_part` gives exactly this text: a second spelling is a second id."""
    if _NUMBER.fullmatch(text):
        return text
    tag, digits = text[:1], text[1:]
    if tag in _UUIDS:
        part = _uuid(tag, _unbase32(digits))
    elif tag == "t":
        part = _unbase32(digits).decode()
    else:
        raise ValueError("a part is a number, a UUID or text")
    if _encode_part(part) != text:
        raise ValueError("a part is not in its one spelling")
    return part


def _uuid(tag: str, raw: bytes) -> str:
    digits = raw.hex().upper() if tag in "vx" else raw.hex()
    head = (digits[:8], digits[8:12], digits[12:16])
    tail = (digits[16:20], digits[20:]) if tag in "uv" else (digits[16:],)
    return "-".join(head + tail)


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _unbase32(text: str) -> bytes:
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except Base32Error as exc:
        raise ValueError("not base32") from exc


def _fitting(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise IdTooLong(f"{len(text)} characters, at most {MAX_LENGTH}")
    return text
