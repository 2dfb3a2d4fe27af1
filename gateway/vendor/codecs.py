"""Bodies to bytes and back: JSON, forms, XML and SOAP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from lxml import etree

from gateway.engine.calls import Body, BodyKind, FormStyle, XmlStyle
from gateway.vendor import forms, soap, xmltree
from gateway.vendor.xmltree import Unreadable

TEXT_BYTES = 2048
MAX_JSON_BYTES = 20_000_000
MAX_JSON_DEPTH = 100
MAX_JSON_HOLDERS = 500_000

# closed on purpose: Python also knows "encodings" that unpack archives
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "us-ascii": "ascii",
    "iso-8859-1": "iso-8859-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
}
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.ASCII | re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"\s*([\w.+-]{1,60}/[\w.+-]{1,60})", re.ASCII)
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A request body as it is sent, with the headers that describe it."""

    content: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A reply body, or why it cannot be read.

    `text` is always the first 2 kB; `undecodable` says why the rest is None, or is None.
    `body` is the JSON value (unwrapped), the XML tree, or the same object as `soap`.
    """

    body: Any = None
    text: str = ""
    xml: Any = None
    soap: Any = None
    undecodable: str | None = None


def encode(body: Body, form: FormStyle) -> Encoded:
    """The bytes and headers of a request body; a body of kind `none` has neither.

    Raises ValueError, naming the key and never the value, for data that cannot be sent in this form.
    """
    if body.kind == "json":
        return Encoded(content=_json_bytes(body.data), headers={"content-type": "application/json"})
    if body.kind == "form":
        content = forms.write(body.data, form)
        return Encoded(content=content, headers={"content-type": "application/x-www-form-urlencoded"})
    if body.kind == "xml":
        content = xmltree.write(body.data)
        return Encoded(content=content, headers={"content-type": "application/xml; charset=utf-8"})
    if body.kind == "soap":
        # Source: SOAP 1.1 sections 6.1 and 6.1.1; some servers answer a missing SOAPAction with a fault
        action = soap.action_header(body.soap.action)
        content = soap.write(body.data, body.header, body.soap)
        return Encoded(
            content=content, headers={"content-type": "text/xml; charset=utf-8", "SOAPAction": action}
        )
    return Encoded(content=b"", headers={})


def encode_query(data: Any, form: FormStyle) -> list[tuple[str, str]]:
    """The pairs of a query string, not yet percent-encoded. Raises ValueError as `forms.flatten` does."""
    return forms.flatten(data, form)


def decode(
    content: bytes, headers: Mapping[str, str], *, expect: BodyKind, xml: XmlStyle, unwrap: str | None
) -> Decoded:
    """Read a reply. Never raises: what cannot be read is `undecodable`.

    `expect` is the form the mapping declares: `xml` and `soap` are read as XML, every other kind as JSON,
    whatever the content type says. An empty body is None and not undecodable, except where SOAP is expected.
    `unwrap` names the key whose value is the body, where the JSON body is an object with that key.
    """
    content_type = _content_type(headers)
    charset = _charset(content_type)
    text = _first_text(content, charset)
    if not content.strip():
        return Decoded(text=text, undecodable="empty" if expect == "soap" else None)
    try:
        if expect == "soap":
            return _soap(xmltree.parse(content, xml, charset), xml, text)
        if expect == "xml":
            tree = xmltree.read(xmltree.parse(content, xml, charset), xml)
            return Decoded(body=tree, xml=tree, text=text)
        value = _json_value(content, charset)
    except Unreadable as why:
        return Decoded(text=text, undecodable=f"{why}{_said_to_be(content_type)}")
    if unwrap is not None and isinstance(value, dict) and unwrap in value:
        value = value[unwrap]
    return Decoded(body=value, text=text)


def _soap(root: etree._Element, style: XmlStyle, text: str) -> Decoded:
    envelope = soap.read(root, style)
    if envelope is None:
        return Decoded(text=text, xml=xmltree.read(root, style), undecodable="not a SOAP envelope")
    return Decoded(body=envelope, soap=envelope, text=text)


def _json_bytes(data: Any) -> bytes:
    # not orjson: it writes NaN as null and refuses numbers beyond 64 bits
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise ValueError("the JSON body holds half a character (a lone surrogate)") from None
    except (RecursionError, TypeError) as exc:
        raise ValueError(f"the JSON body cannot be written: {type(exc).__name__}") from None


def _json_value(content: bytes, charset: str | None) -> Any:
    if len(content) > MAX_JSON_BYTES:
        raise Unreadable(f"larger than {MAX_JSON_BYTES} bytes")
    content = _as_utf8(content, charset)
    if content.count(b"[") + content.count(b"{") > MAX_JSON_HOLDERS:
        raise Unreadable(f"more than {MAX_JSON_HOLDERS} lists and objects")
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise Unreadable(f"not JSON: {exc}") from None
    if _deeper_than(value, MAX_JSON_DEPTH):
        raise Unreadable(f"deeper than {MAX_JSON_DEPTH} levels")
    # orjson reads a whole number beyond 64 bits as a float: two ids would become one
    return json.loads(content) if _LONG_NUMBER in content.translate(_DIGITS) else value


def _as_utf8(content: bytes, charset: str | None) -> bytes:
    """JSON is UTF-8 (RFC 8259); older servers send UTF-16, or Latin-1 when their header says so."""
    encoding: str = json.detect_encoding(content)
    try:
        if encoding == "utf-8" and charset is not None and not _is_utf8(content):
            encoding = charset
        return content if encoding == "utf-8" else content.decode(encoding).encode()
    except UnicodeError:
        raise Unreadable(f"not JSON: not {encoding} text") from None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested deeper; not recursive, since that is what it guards."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            item
            for holder in level
            for item in (holder.values() if type(holder) is dict else holder)
            if type(item) is dict or type(item) is list
        ]
    return bool(level)


def _first_text(content: bytes, charset: str | None) -> str:
    head = content[:TEXT_BYTES]
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), charset or "utf-8")
    text = head.decode(encoding, "replace")
    # the cut may have gone through a character
    return text.removesuffix("\ufffd") if len(content) > TEXT_BYTES else text


def _content_type(headers: Mapping[str, str]) -> str:
    names = ("content-type", "content_type")
    return next((value for name, value in headers.items() if name.lower() in names), "")


def _charset(content_type: str) -> str | None:
    match = _CHARSET.search(content_type)
    return _CHARSETS.get(match.group(1).lower()) if match else None


def _said_to_be(content_type: str) -> str:
    match = _MEDIA_TYPE.match(content_type)
    return f" (content type {match.group(1).lower()})" if match else ""
