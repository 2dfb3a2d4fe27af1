"""Replies of the Learning Assistant stand-in, in the look of Axis 1: nested or with multiRef elements.

Written as text, not with a tree builder, so that prefixes and default namespaces come out as in the
vendor's samples. Source: vendors/learning-assistant.md 3.1, 4, 5.5 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from gateway.sandbox.learning_assistant_sessions import Token
from gateway.sandbox.learning_assistant_soap import ENCODING_NS, ENVELOPE_NS, XSD_NS, XSI_NS, SoapFault
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.learning_assistant_wire import METHOD_NS, SCALARS, Method, Wire, header_namespace

_ENVELOPE = (
    f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE_NS}" xmlns:soapenc="{ENCODING_NS}" xmlns:xsd="{XSD_NS}" '
    f'xmlns:xsi="{XSI_NS}">'
    "{}</soapenv:Envelope>"
)
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ENCODED = f'soapenv:encodingStyle="{ENCODING_NS}"'


def fault_reply(fault: SoapFault) -> bytes:
    """A Fault as the platform makes it, outside the application: no token header."""
    body = (
        f"<soapenv:Fault><faultcode>{escape(fault.code)}</faultcode><faultstring>{escape(fault.text)}</faultstring>"
        '<detail><ns1:stackTrace xmlns:ns1="http://xml.apache.org/axis/">'
        f"{escape(fault.text)}&#xd;\n\tat coldfusion.xml.rpc.CFCProvider.processMessage(CFCProvider.java:54)"
        '</ns1:stackTrace><ns2:hostname xmlns:ns2="http://xml.apache.org/axis/">stand-in</ns2:hostname></detail>'
        "</soapenv:Fault>"
    )
    return (_DECLARATION + _ENVELOPE.format(f"<soapenv:Body>{body}</soapenv:Body>")).encode()


def reply(
    method: Method, value: Any, token: Token | None, wire: Wire, switches: LearningAssistantSwitches
) -> bytes:
    """The envelope around one result; without a token the header says loggedin="NO"."""
    writer = _Writer(method, wire, switches)
    result = writer.element(wire.result_name(method), method.result, value)
    return _envelope(method, result, writer.independent(), token, wire, switches)


def not_logged_in_reply(method: Method, wire: Wire, switches: LearningAssistantSwitches) -> bytes:
    """What a call without a usable token brings when expiry is no fault; its body is anybody's guess."""
    name = wire.result_name(method)
    writer = _Writer(method, wire, switches)
    empty: Any = [] if method.result.endswith("[]") else {}
    result = {
        "nil": f'<{name} xsi:nil="true"/>',
        "no": f'<{name} xsi:type="xsd:string">NO</{name}>',
        "empty_response": "",
        "empty_result": writer.element(name, method.result, empty),
    }[switches.expired_body]
    return _envelope(method, result, writer.independent(), None, wire, switches)


def _envelope(
    method: Method,
    result: str,
    independent: str,
    token: Token | None,
    wire: Wire,
    switches: LearningAssistantSwitches,
) -> bytes:
    name = f"{wire.name(method.name)}Response"
    if method.name == "Authenticate":  # page A: a default namespace, and no encodingStyle
        response = f'<{name} xmlns="{METHOD_NS}">{result}</{name}>'
    else:
        response = f'<ns2:{name} xmlns:ns2="{METHOD_NS}" {_ENCODED}>{result}</ns2:{name}>'
    header = _header(header_namespace(method.service), token, switches)
    return (
        _DECLARATION
        + _ENVELOPE.format(
            f"<soapenv:Header>{header}</soapenv:Header><soapenv:Body>{response}{independent}</soapenv:Body>"
        )
    ).encode()


def _header(namespace: str, token: Token | None, switches: LearningAssistantSwitches) -> str:
    """Children carry a plain `type`, not xsi:type, and inherit the default namespace: so the samples."""
    pad = " " if switches.padding == "all" and token else ""
    shown = token or Token(id="", uuid="")
    return (
        f'<authToken xmlns="{namespace}" xmlns:ns1="{namespace}" loggedin="{"YES" if token else "NO"}" '
        'soapenv:actor="" soapenv:mustUnderstand="0">'
        f'<id type="xsd:string">{pad}{shown.id}{pad}</id>'
        f'<uuid type="xsd:string">{pad}{shown.uuid}{pad}</uuid></authToken>'
    )


class _Writer:
    def __init__(self, method: Method, wire: Wire, switches: LearningAssistantSwitches) -> None:
        self._wire = wire
        self._switches = switches
        padded = switches.padding == "all" or (switches.padding, method.name) == (
            "candidates",
            "GetCandidates",
        )
        self._pad = " " if padded else ""
        self._independent: list[str] = []

    def independent(self) -> str:
        return "".join(self._independent)

    def element(self, name: str, type_: str, value: Any) -> str:
        if value is None or (value == [] and self._switches.empty_array == "nil"):
            return f'<{name} xsi:nil="true"/>'
        form = self._switches.reply_form
        if type_.endswith("[]"):  # Axis 1 keeps arrays in place, and refers to their items
            array = self._array(name, type_[:-2], value)
            return self._place(name, *array, by_reference=form == "multiref_all")
        if type_ in SCALARS:
            by_reference = type_ != "string" and form == "multiref_all"
            return self._place(name, f'xsi:type="xsd:{type_}"', self._text(value), by_reference=by_reference)
        return self._place(name, *self._struct(type_, value), by_reference=form != "nested")

    def _place(self, name: str, attributes: str, content: str, *, by_reference: bool) -> str:
        """In place, or as an independent element behind the response."""
        if not by_reference:
            return f"<{name} {attributes}>{content}</{name}>"
        label = f"id{len(self._independent)}"
        self._independent.append(
            f'<multiRef id="{label}" soapenc:root="0" {_ENCODED} {attributes}>{content}</multiRef>'
        )
        return f'<{name} href="#{label}"/>'

    def _array(self, name: str, type_: str, items: list[Any]) -> tuple[str, str]:
        """Items repeat the array's own name. Source: page C, as printed, count included."""
        count = {"zero": 0, "right": len(items), "one_more": len(items) + 1}[self._switches.array_count]
        declared, qname = self._qname(type_)
        attributes = f'{declared}soapenc:arrayType="{qname}[{count}]" xsi:type="soapenc:Array"'
        return attributes, "".join(self.element(name, type_, item) for item in items)

    def _struct(self, type_: str, value: Mapping[str, Any]) -> tuple[str, str]:
        declared, qname = self._qname(type_)
        content = "".join(
            self.element(self._wire.name(part.name, scope=type_), part.type, value.get(part.name))
            for part in self._wire.structs[type_].parts
        )
        return f'{declared}xsi:type="{qname}"', content

    def _qname(self, type_: str) -> tuple[str, str]:
        if type_ in SCALARS:
            return "", f"xsd:{type_}"
        struct = self._wire.structs[type_]
        namespace = escape(self._wire.name(struct.namespace), {'"': "&quot;"})
        return f'xmlns:ns3="{namespace}" ', f"ns3:{self._wire.name(type_)}"

    def _text(self, value: str | bool | float) -> str:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        return f"{self._pad}{escape(shown)}{self._pad}"
