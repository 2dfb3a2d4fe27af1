"""WSDLs of the Learning Assistant stand-in, as ColdFusion generates them through Axis 1 (RPC, encoded).

Source: vendors/learning-assistant.md 1, 2 and 9; the layout is Axis 1's. The token header is absent, as
ColdFusion adds it in code (`AddSOAPResponseHeader`), where the generator cannot see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from gateway.sandbox.learning_assistant_wire import METHOD_NS, SCALARS, Method, Part, Wire

_EXCEPTION_NS = "http://rpc.xml.coldfusion"
_ENCODING_NS = "http://schemas.xmlsoap.org/soap/encoding/"


def wsdl(service: str, address: str, wire: Wire) -> bytes:
    """The description of one service file; `address` is its URL without `?wsdl`."""
    return _Description(service, address, wire).text().encode()


class _Description:
    def __init__(self, service: str, address: str, wire: Wire) -> None:
        self._wire = wire
        self._methods = wire.methods_of(service)
        self._file = wire.name(service)
        self._port = self._file.removesuffix(".cfc")
        self._address = address
        self._types = list(dict.fromkeys(self._reachable()))
        names = dict.fromkeys(wire.structs[type_].namespace for type_ in self._structs())
        self._prefixes = {original: f"tns{number}" for number, original in enumerate(names, start=2)}

    def text(self) -> str:
        prefixes = "".join(
            f" xmlns:{prefix}={quoteattr(self._wire.name(namespace))}"
            for namespace, prefix in self._prefixes.items()
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<wsdl:definitions targetNamespace="{METHOD_NS}" xmlns:apachesoap="http://xml.apache.org/xml-soap"'
            f' xmlns:impl="{METHOD_NS}" xmlns:intf="{METHOD_NS}"'
            ' xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"'
            f' xmlns:tns1="{_EXCEPTION_NS}"{prefixes} xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"'
            ' xmlns:wsdlsoap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n'
            "<!--WSDL created by ColdFusion-->\n"
            f"<wsdl:types>{''.join(self._schemas())}</wsdl:types>\n"
            f"{''.join(self._messages())}{self._port_type()}{self._binding()}{self._service()}"
            "</wsdl:definitions>\n"
        )

    def _reachable(self) -> Iterator[str]:
        """Every type, arrays with their `[]`, that a method of this service can carry."""
        waiting = [part.type for method in self._methods for part in method.parameters]
        waiting += [method.result for method in self._methods]
        seen: set[str] = set()
        while waiting:
            type_ = waiting.pop(0)
            if type_ in SCALARS or type_ in seen:
                continue
            seen.add(type_)
            yield type_
            if type_.endswith("[]"):
                waiting.append(type_[:-2])
            else:
                waiting += [part.type for part in self._wire.structs[type_].parts]

    def _structs(self) -> list[str]:
        return [type_ for type_ in self._types if not type_.endswith("[]")]

    def _schemas(self) -> Iterator[str]:
        namespaces = [self._wire.name(namespace) for namespace in self._prefixes]
        others = [*namespaces, METHOD_NS, _ENCODING_NS]
        for original, namespace in zip(self._prefixes, namespaces, strict=True):
            structs = [each for each in self._structs() if self._wire.structs[each].namespace == original]
            yield _schema(namespace, others, map(self._complex_type, structs))
        arrays = (self._array_type(each) for each in self._types if each.endswith("[]"))
        yield _schema(METHOD_NS, others, arrays)
        exception = '<complexType name="CFCInvocationException"><sequence/></complexType>'
        yield _schema(_EXCEPTION_NS, [], [exception])

    def _complex_type(self, type_: str) -> str:
        elements = "".join(
            f'<element name="{self._wire.name(part.name, scope=type_)}" nillable="true" '
            f'type="{self._qname(part.type)}"/>'
            for part in self._wire.structs[type_].parts
        )
        return f'<complexType name="{self._wire.name(type_)}"><sequence>{elements}</sequence></complexType>'

    def _array_type(self, type_: str) -> str:
        local = self._qname(type_).removeprefix("impl:")
        return (
            f'<complexType name="{local}"><complexContent><restriction base="soapenc:Array">'
            f'<attribute ref="soapenc:arrayType" wsdl:arrayType="{self._qname(type_[:-2])}[]"/>'
            "</restriction></complexContent></complexType>"
        )

    def _qname(self, type_: str) -> str:
        if type_.endswith("[]"):
            return "impl:ArrayOf_" + self._qname(type_[:-2]).replace(":", "_")
        if type_ in SCALARS:
            return f"xsd:{type_}"
        return f"{self._prefixes[self._wire.structs[type_].namespace]}:{self._wire.name(type_)}"

    def _messages(self) -> Iterator[str]:
        for method in self._methods:
            name = self._wire.name(method.name)
            yield _message(f"{name}Request", (self._part(part, method) for part in method.parameters))
            yield _message(
                f"{name}Response", [_part(self._wire.result_name(method), self._qname(method.result))]
            )
        yield _message("CFCInvocationException", [_part("fault", "tns1:CFCInvocationException")])

    def _part(self, part: Part, method: Method) -> str:
        return _part(self._wire.name(part.name, scope=method.name), self._qname(part.type))

    def _port_type(self) -> str:
        operations = "".join(map(self._operation, self._methods))
        return f'<wsdl:portType name="{self._port}">{operations}</wsdl:portType>\n'

    def _operation(self, method: Method) -> str:
        name = self._wire.name(method.name)
        order = " ".join(self._wire.name(part.name, scope=method.name) for part in method.parameters)
        return (
            f'<wsdl:operation name="{name}" parameterOrder="{order}">'
            f'<wsdl:input message="impl:{name}Request" name="{name}Request"/>'
            f'<wsdl:output message="impl:{name}Response" name="{name}Response"/>'
            '<wsdl:fault message="impl:CFCInvocationException" name="CFCInvocationException"/>'
            "</wsdl:operation>"
        )

    def _binding(self) -> str:
        operations = "".join(map(self._bound_operation, self._methods))
        return (
            f'<wsdl:binding name="{self._file}SoapBinding" type="impl:{self._port}">'
            '<wsdlsoap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>'
            f"{operations}</wsdl:binding>\n"
        )

    def _bound_operation(self, method: Method) -> str:
        name = self._wire.name(method.name)
        encoded = (
            'encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" '
            f'namespace="{METHOD_NS}" use="encoded"/>'
        )
        return (
            f'<wsdl:operation name="{name}"><wsdlsoap:operation soapAction=""/>'
            f'<wsdl:input name="{name}Request"><wsdlsoap:body {encoded}</wsdl:input>'
            f'<wsdl:output name="{name}Response"><wsdlsoap:body {encoded}</wsdl:output>'
            '<wsdl:fault name="CFCInvocationException">'
            f'<wsdlsoap:fault name="CFCInvocationException" {encoded}</wsdl:fault></wsdl:operation>'
        )

    def _service(self) -> str:
        return (
            f'<wsdl:service name="{self._port}Service"><wsdl:port binding="impl:{self._file}SoapBinding" '
            f'name="{self._file}"><wsdlsoap:address location={quoteattr(self._address)}/></wsdl:port>'
            "</wsdl:service>\n"
        )


def _schema(namespace: str, others: Iterable[str], types: Iterable[str]) -> str:
    imports = "".join(f"<import namespace={quoteattr(other)}/>" for other in others if other != namespace)
    return (
        f'<schema targetNamespace={quoteattr(namespace)} xmlns="http://www.w3.org/2001/XMLSchema">'
        f"{imports}{''.join(types)}</schema>\n"
    )


def _message(name: str, parts: Iterable[str]) -> str:
    return f'<wsdl:message name="{name}">{"".join(parts)}</wsdl:message>\n'


def _part(name: str, type_: str) -> str:
    return f'<wsdl:part name="{name}" type="{type_}"/>'
