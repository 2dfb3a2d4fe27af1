"""What a WSDL says: operations, their parts, and the types behind them. WSDL 1.1 with XML Schema types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP = ("http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/")
XSD = "http://www.w3.org/2001/XMLSchema"
MAX_BYTES = 5_000_000
MAX_DEPTH = 20

Name = tuple[str, str]
"""Namespace and local name."""


class NotAWsdl(ValueError):
    """What was downloaded cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WsdlOperation:
    """One method. `parts` and `reply_parts` are its parameters and results, each with its type."""

    name: str
    namespace: str
    action: str
    encoded: bool
    parts: dict[str, Name]
    reply_parts: dict[str, Name]


@dataclass(slots=True, kw_only=True)
class Wsdl:
    """One service file. `types` maps a type to its accessors, `arrays` an array type to its items' type."""

    address: str
    operations: dict[str, WsdlOperation]
    types: dict[Name, dict[str, Name]] = field(default_factory=dict)
    arrays: dict[Name, Name] = field(default_factory=dict)

    def accessors(self, type_: Name) -> dict[str, Name]:
        """The accessors of a type, or of the items of an array type."""
        for _ in range(MAX_DEPTH):
            if type_ not in self.arrays:
                break
            type_ = self.arrays[type_]
        return self.types.get(type_, {})

    def reachable(self, parts: dict[str, Name]) -> set[str]:
        """Every name that can stand in a message with these parts."""
        found, seen, waiting = set(parts), set[Name](), list(parts.values())
        while waiting:
            type_ = waiting.pop()
            if type_ in seen:
                continue
            seen.add(type_)
            accessors = self.accessors(type_)
            found |= set(accessors)
            waiting += accessors.values()
        return found


def read_wsdl(content: bytes) -> Wsdl:
    """Raises NotAWsdl. Documents with a DTD, entities or more than 5 MB are refused."""
    root = _parsed(content)
    if root.tag != f"{{{WSDL}}}definitions":
        raise NotAWsdl(f"the answer is `{etree.QName(root).localname}`, not a WSDL")
    reader = _Reader(root)
    return Wsdl(
        address=reader.address(),
        operations={operation.name: operation for operation in reader.operations()},
        types=reader.types,
        arrays=reader.arrays,
    )


def _parsed(content: bytes) -> etree._Element:
    if len(content) > MAX_BYTES:
        raise NotAWsdl("the answer is larger than 5 MB")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotAWsdl("the answer is not XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotAWsdl("the answer has a DTD, which is refused")
    return root


class _Reader:
    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._target = root.get("targetNamespace", "")
        self.types: dict[Name, dict[str, Name]] = {}
        self.arrays: dict[Name, Name] = {}
        self._elements: dict[Name, Name] = {}
        for schema in root.iter(f"{{{XSD}}}schema"):
            self._read_schema(schema, schema.get("targetNamespace", ""))

    def _read_schema(self, schema: etree._Element, namespace: str) -> None:
        for node in schema.iterchildren(f"{{{XSD}}}complexType"):
            self._read_type(node, (namespace, node.get("name", "")))
        for node in schema.iterchildren(f"{{{XSD}}}element"):
            name = (namespace, node.get("name", ""))
            inline = node.find(f"{{{XSD}}}complexType")
            if inline is not None:
                self._read_type(inline, name)
            self._elements[name] = name if inline is not None else _named(node, node.get("type"))

    def _read_type(self, node: etree._Element, name: Name) -> None:
        for attribute in node.iter(f"{{{XSD}}}attribute"):
            item = attribute.get(f"{{{WSDL}}}arrayType")
            if item is not None:
                self.arrays[name] = _named(attribute, item.partition("[")[0])
        self.types[name] = {
            child.get("name", ""): _named(child, child.get("type"))
            for child in node.iter(f"{{{XSD}}}element")
        }

    def operations(self) -> Iterator[WsdlOperation]:
        for binding in self._root.iterchildren(f"{{{WSDL}}}binding"):
            for operation in binding.iterchildren(f"{{{WSDL}}}operation"):
                name = operation.get("name", "")
                yield self._operation(name, operation)

    def _operation(self, name: str, bound: etree._Element) -> WsdlOperation:
        body = bound.find(f"{{{WSDL}}}input/{{*}}body")
        action = next((found.get("soapAction") for found in bound.iterchildren() if _is_soap(found)), None)
        namespace = body.get("namespace") if body is not None else None
        return WsdlOperation(
            name=name,
            namespace=namespace or self._target,
            action=action or "",
            encoded=body is not None and body.get("use") == "encoded",
            parts=self._message(name, "input"),
            reply_parts=self._message(name, "output"),
        )

    def _message(self, operation: str, direction: str) -> dict[str, Name]:
        for node in self._root.iterfind(f"{{{WSDL}}}portType/{{{WSDL}}}operation[@name='{operation}']"):
            told = node.find(f"{{{WSDL}}}{direction}")
            name = _named(node, told.get("message") if told is not None else None)[1]
            for message in self._root.iterchildren(f"{{{WSDL}}}message"):
                if message.get("name") == name:
                    return self._parts(message)
        return {}

    def _parts(self, message: etree._Element) -> dict[str, Name]:
        """Parameters; of a document-style message, what stands in its one element."""
        parts: dict[str, Name] = {}
        for part in message.iterchildren(f"{{{WSDL}}}part"):
            element = part.get("element")
            if element is None:
                parts[part.get("name", "")] = _named(part, part.get("type"))
            else:
                name = _named(part, element)
                parts |= self.types.get(self._elements.get(name, name), {})
        return parts

    def address(self) -> str:
        for node in self._root.iterfind(f"{{{WSDL}}}service/{{{WSDL}}}port/{{*}}address"):
            return node.get("location", "")
        return ""


def _is_soap(node: etree._Element) -> bool:
    name = etree.QName(node)
    return name.namespace in SOAP and name.localname == "operation"


def _named(node: etree._Element, text: str | None) -> Name:
    """A qualified name of an attribute, with its prefix resolved where it stands."""
    prefix, _, local = (text or "").rpartition(":")
    return node.nsmap.get(prefix or None, "") or "", local
