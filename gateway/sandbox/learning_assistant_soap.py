"""SOAP 1.1 RPC/encoded requests, read as the Learning Assistant stand-in's platform would read them.

Source: vendors/learning-assistant.md 1.3, 2, 7; the fault texts are those of Axis 1 and ColdFusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from gateway.sandbox.learning_assistant_sessions import Token
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.learning_assistant_wire import METHOD_NS, SCALARS, Method, Struct, Wire, header_namespace

ENVELOPE_NS = "http://schemas.xmlsoap.org/soap/envelope/"
ENCODING_NS = "http://schemas.xmlsoap.org/soap/encoding/"
XSD_NS = "http://www.w3.org/2001/XMLSchema"
XSI_NS = "http://www.w3.org/2001/XMLSchema-instance"

_MAX_DEPTH = 20  # structures inside structures; also what stops a reference to itself
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})

# Structures are dicts, arrays lists. What is absent has no key; what is nil has None.
Value = str | bool | None | list[Any] | dict[str, Any]


class SoapFault(Exception):
    """Becomes HTTP 500 with a Fault body."""

    def __init__(self, text: str, *, code: str = "soapenv:Server.userException") -> None:
        self.code = code
        self.text = text
        super().__init__(text)


def application_fault(kind: str, text: str) -> SoapFault:
    """A fault from inside the ColdFusion component; `kind` is the exception class."""
    return SoapFault(f"coldfusion.xml.rpc.CFCInvocationException: [{kind} : {text}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapRequest:
    """One well-formed envelope: the method called, its arguments, and the header's token if there was one."""

    method: Method
    arguments: Mapping[str, Value]
    token: Token | None


def read_request(body: bytes, service: str, wire: Wire, switches: LearningAssistantSwitches) -> SoapRequest:
    """The call a request makes.

    Raises SoapFault when it is not well-formed, carries a DTD, is no SOAP 1.1 envelope, calls what this
    service does not have, or lacks an argument.
    """
    envelope = _parse(body)
    if envelope.tag != f"{{{ENVELOPE_NS}}}Envelope":
        raise SoapFault("Version Mismatch", code="soapenv:VersionMismatch")
    soap_body = envelope.find(f"{{{ENVELOPE_NS}}}Body")
    call = None if soap_body is None else next(soap_body.iterchildren("*"), None)
    if soap_body is None or call is None:
        raise SoapFault("no operation in the SOAP body", code="soapenv:Client")
    method = _method(call, service, wire)
    reader = _Reader(soap_body, wire, switches)
    arguments = reader.arguments(call, method)
    _require_all(arguments, method, wire)
    token = _token(envelope, service, switches)
    return SoapRequest(method=method, arguments=arguments, token=token)


def _parse(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise SoapFault(f"org.xml.sax.SAXParseException: {exc}") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise SoapFault("org.xml.sax.SAXException: DTD is not allowed in a SOAP message")
    return root


def _method(call: etree._Element, service: str, wire: Wire) -> Method:
    name = etree.QName(call)
    for method in wire.methods_of(service):
        if name.localname == wire.name(method.name) and name.namespace == METHOD_NS:
            return method
    raise SoapFault(f"No such operation '{name.localname}'", code="soapenv:Client")


def _require_all(arguments: Mapping[str, Value], method: Method, wire: Wire) -> None:
    for parameter in method.parameters:
        if parameter.name not in arguments:
            name = wire.name(parameter.name, scope=method.name)
            raise application_fault(
                "coldfusion.runtime.MissingArgumentException",
                f"{name} was not supplied to {wire.name(method.name)}.",
            )


def _token(envelope: etree._Element, service: str, switches: LearningAssistantSwitches) -> Token | None:
    """The token as sent: untrimmed, because nobody pads when sending."""
    for header in envelope.iterfind(f"{{{ENVELOPE_NS}}}Header/{{*}}authToken"):
        if switches.header_namespace == "lax" or etree.QName(header).namespace == header_namespace(service):
            return Token(id=header.findtext("{*}id") or "", uuid=header.findtext("{*}uuid") or "")
    return None


class _Reader:
    def __init__(self, soap_body: etree._Element, wire: Wire, switches: LearningAssistantSwitches) -> None:
        self._targets = {element.get("id"): element for element in soap_body.iter("*") if element.get("id")}
        self._wire = wire
        self._switches = switches

    def arguments(self, call: etree._Element, method: Method) -> dict[str, Value]:
        names = {self._wire.name(part.name, scope=method.name): part for part in method.parameters}
        found: dict[str, Value] = {}
        for child in call.iterchildren("*"):
            part = names.get(etree.QName(child).localname)
            if part is None:
                self._unknown(child, method.name)
            elif self._in_the_right_namespace(child, method):
                found[part.name] = self._value(child, part.type, part.name, _MAX_DEPTH)
        return found

    def _in_the_right_namespace(self, child: etree._Element, method: Method) -> bool:
        """Page A qualifies its parameters through a default namespace; all others leave them bare."""
        wanted = METHOD_NS if method.name == "Authenticate" else None
        return self._switches.parameter_namespace == "lax" or etree.QName(child).namespace == wanted

    def _value(self, element: etree._Element, type_: str, label: str, depth: int) -> Value:
        element = self._resolve(element, depth)
        if element.get(f"{{{XSI_NS}}}nil") in ("true", "1"):
            return None
        if type_.endswith("[]"):
            return [self._value(item, type_[:-2], label, depth - 1) for item in element.iterchildren("*")]
        self._check_type(element, type_)
        if type_ in SCALARS:
            return _scalar(element, type_, label)
        return self._struct(element, self._wire.structs[type_], depth)

    def _resolve(self, element: etree._Element, depth: int) -> etree._Element:
        for _ in range(depth):
            href = element.get("href")
            if href is None:
                return element
            target = self._targets.get(href.removeprefix("#"))
            if target is None:
                raise SoapFault(f"org.xml.sax.SAXException: Missing id for href {href}")
            element = target
        raise SoapFault("org.xml.sax.SAXException: structures are nested too deeply, or refer to themselves")

    def _struct(self, element: etree._Element, struct: Struct, depth: int) -> dict[str, Value]:
        names = {self._wire.name(part.name, scope=struct.name): part for part in struct.parts}
        found: dict[str, Value] = {}
        for child in element.iterchildren("*"):
            part = names.get(etree.QName(child).localname)
            if part is None:
                self._unknown(child, struct.name)
            else:
                found[part.name] = self._value(child, part.type, part.name, depth - 1)
        return found

    def _unknown(self, child: etree._Element, holder: str) -> None:
        if self._switches.unknown_accessor == "fault":
            name = etree.QName(child).localname
            raise SoapFault(
                f"org.xml.sax.SAXException: Invalid element in {self._wire.name(holder)} - {name}"
            )

    def _check_type(self, element: etree._Element, type_: str) -> None:
        """It may be left out, but what it names must exist: `xsi:string` of the vendor's samples does not."""
        stated = element.get(f"{{{XSI_NS}}}type")
        if stated is None or not self._switches.check_xsi_type:
            return
        prefix, _, local = stated.strip().rpartition(":")
        namespace = element.nsmap.get(prefix or None)
        if type_ in SCALARS:
            good = namespace in (XSD_NS, ENCODING_NS) and local in SCALARS
        else:
            struct = self._wire.structs[type_]
            wanted = (self._wire.name(struct.namespace), self._wire.name(struct.name))
            good = (namespace, local) == wanted
        if not good:
            raise SoapFault(
                f"org.xml.sax.SAXException: No deserializer defined for type {{{namespace or ''}}}{local}"
            )


def _scalar(element: etree._Element, type_: str, label: str) -> str | bool:
    if len(element):
        raise SoapFault(f"org.xml.sax.SAXException: {label} holds elements where text was expected")
    text = element.text or ""
    if type_ != "boolean":
        return text
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise application_fault(
            "coldfusion.runtime.UDFMethod$InvalidArgumentTypeException",
            f"The {label} argument is not of type boolean.",
        )
    return word in _TRUE
