"""Differences between the SOAP names of a mapping and the vendor's WSDLs, ready to paste into config.yaml.

wsdl_diff(mapping, names, fetch)  ->  [Difference]        names_block(differences)  ->  YAML
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gateway.errors import TransportError
from gateway.mapping.spec import MappingSpec
from gateway.outbound import Pool
from gateway.workbench.wsdl_read import XSD, Name, NotAWsdl, Wsdl, WsdlOperation, read_wsdl
from gateway.workbench.wsdl_uses import Use, server_reads, uses
from gateway.yamlfile import Document, read_yaml

Kind = Literal[
    "service", "method", "parameter", "accessor", "type", "namespace", "reply", "address", "action", "style"
]
FETCH_S = 15.0
MAX_OTHERS = 6

Fetch = Callable[[str], Awaitable[bytes]]
"""Path of a WSDL below the mapping's base, such as `/user.cfc?wsdl` -> its bytes.

Raises NotAWsdl, TransportError or OSError.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One name the WSDL does not have. `theirs` is the likeliest of its names, None where none is near;
    `others` are names of the WSDL in that place that the mapping does not use.

    `fixable`: a line in `names:` puts it right. Where `note` says why not, the mapping must be changed.
    """

    kind: Kind
    place: str
    name: str
    theirs: str | None = None
    others: tuple[str, ...] = ()
    fixable: bool = False
    note: str | None = None

    def data(self) -> dict[str, Any]:
        return asdict(self)


def pool_fetch(pool: Pool, base: str) -> Fetch:
    """Downloads through a tenant's own pool, so that only its hosts are ever called."""

    async def fetch(path: str) -> bytes:
        answer = await pool.send("GET", base, path, timeout_s=FETCH_S)
        if answer.status != 200:
            raise NotAWsdl(f"status {answer.status}")
        return answer.content

    return fetch


async def wsdl_diff(
    mapping: MappingSpec,
    names: Mapping[str, str],
    fetch: Fetch,
    *,
    document: Document | None = None,
) -> list[Difference]:
    """Everything the mapping names that the WSDLs do not have, after the tenant's `names` are applied.

    A service that cannot be downloaded is a difference of its own and stops nothing.
    """
    document = document or read_yaml(Path(mapping.file))
    found: list[Difference] = []
    wsdls: dict[str, Wsdl] = {}
    calls = uses(document)
    for path in dict.fromkeys(use.path for use in calls):
        renamed = "/".join(names.get(part, part) for part in path.split("/"))
        try:
            wsdls[path] = read_wsdl(await fetch(f"{renamed}?wsdl"))
        except (NotAWsdl, TransportError, OSError) as error:
            # file names too may be provisional
            service = path.rpartition("/")[2]
            note = f"{renamed}?wsdl cannot be read: {error}"
            found.append(Difference(kind="service", place=path, name=service, note=note))
    written = {name for use in calls for name in _all_of(use)} | server_reads(document)
    ours = frozenset(names.get(name, name) for name in written)
    for use in calls:
        if use.path in wsdls:
            found += _Comparison(use, wsdls[use.path], names, ours).differences()
    told = {difference.name for difference in found}
    found += (rest for rest in _server_rules(document, wsdls.values(), names) if rest.name not in told)
    return _judged(_agreed(found), mapping, wsdls.values())


def names_block(differences: Iterable[Difference]) -> str:
    """The `names:` of config.yaml that puts right what can be, or an empty text."""
    lines: dict[str, str] = {}
    for difference in differences:
        if difference.fixable and difference.name not in lines:
            lines[difference.name] = _line(difference)
    return "\n".join(["names:", *lines.values()]) + "\n" if lines else ""


def _line(difference: Difference) -> str:
    others = ", ".join(name for name in difference.others if name != difference.theirs)
    if difference.theirs is None:
        return f"  # {_quoted(difference.name)}: one of {others}"
    line = f"  {_quoted(difference.name)}: {_quoted(difference.theirs)}"
    return f"{line}  # or: {others}" if others else line


def _quoted(text: str) -> str:
    return f'"{text}"'


def _server_rules(
    document: Document, wsdls: Iterable[Wsdl], names: Mapping[str, str]
) -> Iterator[Difference]:
    known: set[str] = set()
    for wsdl in wsdls:
        for operation in wsdl.operations.values():
            known |= wsdl.reachable(operation.reply_parts)
    for name in sorted(server_reads(document)):
        if known and names.get(name, name) not in known:
            yield Difference(kind="reply", place="server.replies", name=name)


def _agreed(found: list[Difference]) -> list[Difference]:
    """A name is one everywhere: only what is free in all its places can be what it is called now."""
    common: dict[str, set[str]] = {}
    for difference in found:
        if difference.others:
            common[difference.name] = common.get(difference.name, set(difference.others)) & {
                *difference.others
            }
    return [_narrowed(difference, common.get(difference.name, set())) for difference in found]


def _narrowed(difference: Difference, common: set[str]) -> Difference:
    others = tuple(sorted(common)) or difference.others
    theirs = _likeliest(difference.name, others) if common else difference.theirs
    return replace(difference, theirs=theirs, others=others[:MAX_OTHERS])


def _likeliest(name: str, free: Sequence[str]) -> str | None:
    return free[0] if len(free) == 1 else _near(name, free)


def _near(name: str, known: Iterable[str]) -> str | None:
    words = {word.lower(): word for word in sorted(known)}
    close = difflib.get_close_matches(name.lower(), words, n=1, cutoff=0.5)
    return words[close[0]] if close else None


class _Comparison:
    """One call beside the WSDL of its service."""

    def __init__(self, use: Use, wsdl: Wsdl, names: Mapping[str, str], ours: frozenset[str]) -> None:
        self._use, self._wsdl, self._names = use, wsdl, names
        self._ours = ours

    def _name(self, name: str) -> str:
        return self._names.get(name, name)

    def _differs(self, kind: Kind, name: str, theirs: str | None, note: str | None = None) -> Difference:
        return Difference(kind=kind, place=self._use.place, name=name, theirs=theirs, note=note)

    def _guess(self, kind: Kind, name: str, known: Iterable[str]) -> Difference:
        """A name that is not there, with the nearest of those that the mapping uses nowhere."""
        free = sorted(set(known) - self._ours)
        near = _likeliest(self._name(name), free)
        return Difference(kind=kind, place=self._use.place, name=name, theirs=near, others=tuple(free))

    def differences(self) -> Iterator[Difference]:
        for key, body in self._use.body.items():
            operation = self._wsdl.operations.get(self._name(_local(key)))
            if operation is None:
                guess = self._guess("method", _local(key), self._wsdl.operations)
                yield guess
                operation = self._wsdl.operations.get(guess.theirs or "")
            if operation is not None:
                yield from self._method(key, body, operation)
        yield from self._address()

    def _method(self, key: str, body: Any, operation: WsdlOperation) -> Iterator[Difference]:
        yield from self._namespace(key, operation.namespace)
        yield from self._style(operation)
        yield from self._members(body, operation.parts, "parameter")
        yield from self._reads(_local(key), operation)

    def _namespace(self, key: str, theirs: str) -> Iterator[Difference]:
        ours = _namespace(key)
        if ours and theirs and self._name(ours) != theirs:
            yield self._differs("namespace", ours, theirs)

    def _style(self, operation: WsdlOperation) -> Iterator[Difference]:
        if operation.encoded != self._use.encoded:
            word = "encoded" if operation.encoded else "literal"
            note = f"The WSDL says {word}; the mapping says encoded: {str(self._use.encoded).lower()}."
            yield self._differs("style", operation.name, word, note)
        if operation.action != self._use.action:
            note = f"The WSDL's SOAPAction is `{operation.action}`, the mapping's `{self._use.action}`."
            yield self._differs("action", operation.name, operation.action, note)

    def _address(self) -> Iterator[Difference]:
        ours = "/".join(self._name(part) for part in self._use.path.split("/"))
        if self._wsdl.address and not self._wsdl.address.partition("?")[0].endswith(ours):
            note = f"The WSDL's address is {self._wsdl.address}."
            yield self._differs("address", self._use.path, self._wsdl.address, note)

    # -- what is sent -----------------------------------------------------------------------------------

    def _members(self, data: Any, known: Mapping[str, Name], kind: Kind) -> Iterator[Difference]:
        """Names of an object beside the parts or accessors that may stand there."""
        if not isinstance(data, dict):
            return
        written = {
            _local(key.removesuffix("?")): value for key, value in data.items() if not key.startswith("$")
        }
        for name, value in written.items():
            if "${" in name:
                continue  # a setting chooses this name
            theirs = self._name(name)
            if theirs not in known:
                guess = self._guess(kind, name, known)
                yield guess
                theirs = guess.theirs or ""
            yield from self._below(value, known.get(theirs, ("", "")))

    def _below(self, value: Any, type_: Name) -> Iterator[Difference]:
        if not isinstance(value, dict):
            return
        item = self._wsdl.arrays.get(type_, type_)
        if item[0] == XSD:
            written = value.get("$ref") or value.get("$array") or "an object"
            yield self._differs("type", _local(written), item[1], f"The WSDL says a plain {item[1]} here.")
            return
        if "$ref" in value or "$array" in value:
            yield from self._type(value.get("$ref") or value["$array"], item)
        inside = value.get("$value", value.get("$give", value))
        yield from self._members(inside, self._wsdl.accessors(type_), "accessor")

    def _type(self, written: str, theirs: Name) -> Iterator[Difference]:
        if not theirs[1]:
            return
        if self._name(_local(written)) != theirs[1]:
            yield self._differs("type", _local(written), theirs[1])
        yield from self._namespace(written, theirs[0])

    # -- what is read -----------------------------------------------------------------------------------

    def _reads(self, method: str, operation: WsdlOperation) -> Iterator[Difference]:
        known = self._wsdl.reachable(operation.reply_parts) | {f"{operation.name}Response"}
        for name in sorted(self._use.reads):
            if self._name(name) in known:
                continue
            if name == f"{method}Response":
                yield self._differs("reply", name, f"{operation.name}Response")
            elif name == f"{method}Return" and len(operation.reply_parts) == 1:
                yield self._differs("reply", name, next(iter(operation.reply_parts)))
            else:
                # the wrapper and the result are named after the method, accessors are not
                free = (other for other in known if not other.startswith(operation.name))
                yield self._guess("reply", name, free)


def _judged(found: list[Difference], mapping: MappingSpec, wsdls: Iterable[Wsdl]) -> list[Difference]:
    """Each difference once, with whether `names:` can put it right."""
    names = {name for wsdl in wsdls for name in _all_names(wsdl)}
    return [_fixed(difference, mapping, names) for difference in dict.fromkeys(found)]


def _fixed(difference: Difference, mapping: MappingSpec, known: set[str]) -> Difference:
    note = difference.note
    if note is None and difference.name not in mapping.provisional:
        note = "The mapping does not call this name provisional: change the mapping."
    if note is None and difference.name in known:
        # one line renames it everywhere
        note = "The name is right in other places, so it cannot be renamed: change the mapping here."
    if note is None and difference.theirs is None and not difference.others:
        note = "No name of the WSDL is near; look there."
    return replace(difference, note=note, fixable=note is None)


def _all_names(wsdl: Wsdl) -> Iterator[str]:
    for operation in wsdl.operations.values():
        yield from (operation.name, operation.namespace, *operation.parts, *operation.reply_parts)
    for (namespace, local), accessors in wsdl.types.items():
        yield from (namespace, local, *accessors)


def _all_of(use: Use) -> Iterator[str]:
    """Every vendor name one call sends or reads."""
    yield from use.reads
    waiting: list[Any] = [use.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield from (_local(key.removesuffix("?")) for key in node if not key.startswith("$"))
            waiting += node.values()


def _local(key: str) -> str:
    return key.rpartition("}")[2]


def _namespace(key: str) -> str:
    return key[1:].partition("}")[0] if key.startswith("{") else ""
