"""The bodies of webhooks: bytes to values, once their sender has been verified.

Never a crash: what cannot be read is kept aside, since senders do post what is not quite JSON. One vendor's
published sample has a comma too many.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

from gateway.mapping.styles import XmlStyle
from gateway.vendor.codecs import decode

BodyKind = Literal["json", "form", "jwt"]

MAX_FIELDS = 1000
_XML = XmlStyle()


class Unreadable(ValueError):
    """A body that is not what the mapping says; the message holds nothing of the body."""


def parse(kind: BodyKind, raw: bytes, content_type: str = "") -> Any:
    """The value of a body.

    `json`: any JSON value. `form`: each field's text, or a list of texts where it came several times.
    `jwt`: the claims, which are not verified here: that was done before the delivery was stored.
    Raises Unreadable.
    """
    if kind == "form":
        return fields(raw)
    return _json(_claims(raw), "") if kind == "jwt" else _json(raw, content_type)


def fields(
    raw: bytes, *, errors: Literal["replace", "surrogateescape"] = "replace"
) -> Mapping[str, str | list[str]]:
    """What a form body or query string holds: text, or a list where a name came several times.

    `errors` says what becomes of bytes that are not UTF-8, as in `bytes.decode`.
    Raises Unreadable for more than MAX_FIELDS fields, and for an empty body.
    """
    try:
        text = raw.decode("utf-8", errors)
        pairs = parse_qsl(text, keep_blank_values=True, errors=errors, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Unreadable(f"more than {MAX_FIELDS} fields") from None
    if not pairs:
        raise Unreadable("empty")
    found: dict[str, str | list[str]] = {}
    for name, value in pairs:
        earlier = found.get(name)
        if earlier is None:
            found[name] = value
        elif isinstance(earlier, list):
            earlier.append(value)
        else:
            found[name] = [earlier, value]
    return found


def _json(raw: bytes, content_type: str) -> Any:
    read = decode(raw, {"content-type": content_type}, expect="json", xml=_XML, unwrap=None)
    if read.undecodable is not None:
        raise Unreadable(read.undecodable)
    if not raw.strip():
        raise Unreadable("empty")
    return read.body


def _claims(raw: bytes) -> bytes:
    parts = raw.strip().split(b".")
    if len(parts) != 3:
        raise Unreadable("not a JWT")
    try:
        return base64.b64decode(parts[1] + b"=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise Unreadable("not a JWT") from None
