"""SOAP: envelopes written from data in Clark notation, and read into header, body and fault.

Plain writes SOAP 1.1 with names as in `xmltree`; encoded writes the RPC style of SOAP 1.1 section 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from gateway.engine.calls import SoapStyle, XmlStyle
from gateway.vendor.forms import kind
from gateway.vendor.xmltree import (
    ENCODING,
    ENVELOPE,
    ENVELOPE_12,
    XSD,
    XSI,
    Path,
    TreeReader,
    XmlWriter,
    place,
    serialised,
)

_ENCODING_STYLE = f"{{{ENVELOPE}}}encodingStyle"
_ARRAY_TYPE = f"{{{ENCODING}}}arrayType"
_TYPE = f"{{{XSI}}}type"
_CLARK = re.compile(r"\{([^{}]+)\}([^{}]+)")


def action_header(action: str) -> str:
    """`SOAPAction` is the action in quotation marks. Raises ValueError for what cannot stand there."""
    if not action.isascii() or not action.isprintable() or '"' in action:
        raise ValueError("`soap.action`: only printable ASCII without quotation marks can stand there")
    return f'"{action}"'


def write(data: Any, header: Any, style: SoapStyle) -> bytes:
    """An envelope; `data` are the elements of the body, `header` those of the header, or None for none.

    Header and body are written the same way, plain or encoded. Raises ValueError as `XmlWriter` does.
    """
    if not isinstance(data, Mapping) or not data:
        raise ValueError(f"a SOAP body needs an object that names its element, not {kind(data)}")
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap=_namespaces(style.encoded))
    if header:
        block = etree.SubElement(envelope, f"{{{ENVELOPE}}}Header")
    body = etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")
    writer = EncodedWriter(body) if style.encoded else XmlWriter()
    if header:
        writer.fill(block, header, ("header",))
    writer.fill(body, data, ())
    if isinstance(writer, EncodedWriter):
        writer.finish()
    return serialised(envelope)


def read(root: etree._Element, style: XmlStyle) -> dict[str, Any] | None:
    """`{header, body, fault}` of an envelope, or None when the document is none.

    `header` and `body` are objects, `fault` is an object or None and does not stand in `body` too.
    Independent elements that something refers to show only there. Raises Unreadable as TreeReader does.
    """
    name = etree.QName(root)
    body = root.find(f"{{{name.namespace}}}Body")
    if name.localname != "Envelope" or name.namespace not in (ENVELOPE, ENVELOPE_12) or body is None:
        return None
    reader = TreeReader(root, style)
    header = root.find(f"{{{name.namespace}}}Header")
    fault = body.find(f"{{{name.namespace}}}Fault")
    elements = [child for child in body if child is not fault and not reader.refers_to(child)]
    return {
        "header": {} if header is None else reader.members(header, ("Envelope", "Header"), 3),
        "body": reader.members(elements, ("Envelope", "Body"), 3),
        "fault": None if fault is None else _fault(reader.value(fault, ("Envelope", "Body", "Fault"), 3)),
    }


def _fault(value: Any) -> dict[str, Any]:
    # a fault with nothing in it, or with bare text, is still a fault
    return value if isinstance(value, dict) else {"faultstring": value or ""}


def _namespaces(encoded: bool) -> dict[str, str]:
    common = {"soapenv": ENVELOPE, "xsd": XSD, "xsi": XSI}
    return {**common, "soapenc": ENCODING} if encoded else common


class EncodedWriter(XmlWriter):
    """Section-5 encoding: bare names are in no namespace and every scalar says its type.

    Text is `xsd:string`, a boolean `xsd:boolean`, a whole number `xsd:int` (`xsd:long` beyond 32 bits), any
    other number `xsd:double`. `{$ref: type, $value: object}` becomes `href="#idN"` and an independent element
    of the body; `{$array: type, $items: list}` a `soapenc:Array` with its count, items called `item`.
    `finish` must be called once, after everything is added.
    """

    def __init__(self, body: etree._Element) -> None:
        self._body = body
        self._waiting: list[tuple[str, Any, Path]] = []
        self._written = 0

    def bare_namespace(self, parent: etree._Element) -> str | None:
        return None

    def text(self, element: etree._Element, value: Any, path: Path) -> None:
        super().text(element, value, path)
        element.set(_TYPE, _scalar_type(value))

    def element(self, parent: etree._Element, key: str, value: Any, path: Path) -> etree._Element:
        if isinstance(value, Mapping) and "$ref" in value:
            return self._reference(parent, key, value, path)
        if isinstance(value, Mapping) and "$array" in value:
            return self._array(parent, key, value, path)
        return super().element(parent, key, value, path)

    def finish(self) -> None:
        """Write the independent elements, those they refer to as well, and say where the encoding holds."""
        methods = list(self._body)
        # sooner or later every reference has been written: data is a finite tree
        while self._written < len(self._waiting):
            type_name, value, path = self._waiting[self._written]
            self._written += 1
            self._independent(type_name, value, path, f"id{self._written}")
        # it holds for what is inside: the method element will do, unless there are independent elements
        for element in [self._body] if self._waiting else methods:
            element.set(_ENCODING_STYLE, ENCODING)

    def _reference(self, parent: etree._Element, key: str, value: Any, path: Path) -> etree._Element:
        if value.keys() != {"$ref", "$value"} or not isinstance(value["$value"], Mapping):
            raise ValueError(f"`{place(path)}`: `$ref` needs `$value`, an object, and nothing else")
        self._waiting.append((value["$ref"], value["$value"], path))
        element = self.child(parent, key, path)
        element.set("href", f"#id{len(self._waiting)}")
        return element

    def _independent(self, type_name: str, value: Any, path: Path, label: str) -> None:
        element = self.child(self._body, type_name, path, _prefix_for(type_name, path))
        element.set("id", label)
        element.set(_TYPE, _qualified(element, type_name))
        self.fill(element, value, path)

    def _array(self, parent: etree._Element, key: str, value: Any, path: Path) -> etree._Element:
        if value.keys() != {"$array", "$items"} or not isinstance(value["$items"], list | tuple):
            raise ValueError(f"`{place(path)}`: `$array` needs `$each` or `$items`, a list, and nothing else")
        type_name, items = value["$array"], value["$items"]
        element = self.child(parent, key, path, _prefix_for(type_name, path))
        item_type = _qualified(element, type_name)
        element.set(_TYPE, "soapenc:Array")
        element.set(_ARRAY_TYPE, f"{item_type}[{len(items)}]")
        for index, item in enumerate(items):
            added = self.element(element, "item", item, (*path, index))
            if isinstance(item, Mapping) and not item.keys() & {"$ref", "$array", "$nil", "$text"}:
                added.set(_TYPE, item_type)
        return element


def _prefix_for(type_name: Any, path: Path) -> dict[str, str]:
    """The declaration an element needs so that attributes can name a type."""
    match = _CLARK.fullmatch(type_name) if isinstance(type_name, str) else None
    if match is None:
        raise ValueError(f"`{place(path)}`: write a type as `{{namespace}}Name`")
    return {} if match.group(1) == XSD else {"q": match.group(1)}


def _qualified(element: etree._Element, type_name: str) -> str:
    """A type as attribute values write it, with a prefix that is declared at the element."""
    name = etree.QName(type_name)
    prefix = next(prefix for prefix, uri in element.nsmap.items() if uri == name.namespace and prefix)
    return f"{prefix}:{name.localname}"


def _scalar_type(value: Any) -> str:
    if isinstance(value, str):
        return "xsd:string"
    if isinstance(value, bool):
        return "xsd:boolean"
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e15):
        return "xsd:double"
    return "xsd:int" if -(2**31) <= value < 2**31 else "xsd:long"
