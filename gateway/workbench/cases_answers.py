"""A scripted answer as the bytes and headers a vendor would send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lxml import etree

from gateway.workbench.cases import Scripted

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
    "soap": "text/xml; charset=utf-8",
}


def content_of(answer: Scripted) -> bytes:
    if answer.kind is None:
        return b""
    if answer.kind == "json":
        return json.dumps(answer.data, ensure_ascii=False).encode()
    if answer.kind == "soap" and not isinstance(answer.data, str):
        return envelope(answer.data, answer.header, answer.namespace)
    if answer.kind == "soap":
        return wrapped(answer.data, answer.header)
    return str(answer.data).encode()


def headers_of(answer: Scripted) -> dict[str, str]:
    """As the pool gives them: lower-case names with `_` for `-`."""
    own = {name.lower().replace("-", "_"): str(value) for name, value in answer.headers.items()}
    return ({"content_type": TYPES[answer.kind]} if answer.kind else {}) | own


def envelope(body: Mapping[str, Any], header: Any, namespace: str | None) -> bytes:
    """Data as a SOAP 1.1 envelope: a list repeats its element, `$attr` holds attributes, null is left empty.

    The children of header and body are in `namespace`, and so are theirs, as servers write them with a
    default namespace.
    """
    root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soapenv": ENVELOPE})
    if header is not None:
        _fill(etree.SubElement(root, f"{{{ENVELOPE}}}Header"), header, namespace)
    _fill(etree.SubElement(root, f"{{{ENVELOPE}}}Body"), body, namespace)
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def wrapped(literal: str, header: Any) -> bytes:
    """XML written out by the author: a whole envelope, or what stands in its body."""
    if "Envelope" in literal[:200]:
        return literal.encode()
    root = etree.fromstring(envelope({}, header, None))
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    holder = etree.fromstring(f"<holder>{literal}</holder>".encode(), parser)
    root[-1].extend(list(holder))
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def _fill(element: Any, data: Any, namespace: str | None) -> None:
    if not isinstance(data, Mapping):
        element.text = "" if data is None else _text(data)
        return
    for name, value in data.items():
        if name == "$attr":
            for attribute, text in value.items():
                element.set(attribute, _text(text))
            continue
        tag = f"{{{namespace}}}{name}" if namespace and name != "Fault" else name
        tag = f"{{{ENVELOPE}}}Fault" if name == "Fault" else tag
        inner = None if name == "Fault" else namespace
        for item in value if isinstance(value, list) else [value]:
            _fill(etree.SubElement(element, tag), item, inner)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
