"""A request the gateway sent, against the lines of a script: what differs, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from lxml import etree

from gateway.workbench.cases import Line

ANYTHING = "*"
ANYWHERE = "anywhere"
SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it reached the edge; `path` is the target below the path of the base address."""

    method: str
    target: str
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def ask(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.method} {self.target}" + (f"?{query}" if query else "")


def differences(line: Line, request: Request) -> list[str]:
    """What keeps the request from being the one the line expects; empty when it is."""
    found: list[str] = []
    if line.method != request.method:
        found.append(f"method: expected {line.method}, sent {request.method}")
    if not _same_target(line, request):
        found.append(f"path: expected {line.target}, sent {request.target}")
    if line.query is not None or request.query:
        found += _compare("query", _texts(line.query or {}), _paired(request.query))
    lowered = {name.lower(): value for name, value in request.headers.items()}
    for name, wanted in (line.headers or {}).items():
        found += _compare(f"headers.{name}", wanted, lowered.get(name.lower()))
    if line.body_kind is not None:
        found += _body(line, request)
    return found


def explain(lines: Iterable[Line], request: Request) -> str:
    """Why nothing in the script answers this request: the nearest line, and what differs from it."""
    ranked = sorted(((_distance(line, request), line) for line in lines), key=lambda pair: pair[0])
    sent = f"The gateway sent a request that nothing in the script answers:\n  {request.ask}"
    if not ranked:
        return f"{sent}\n  The script is empty."
    nearest = ranked[0][1]
    rows = "\n".join(
        f"    {row}" for row in differences(nearest, request) or ["nothing: it was asked before"]
    )
    return f"{sent}\n  The nearest is {nearest.ask} ({nearest.place}). It differs in:\n{rows}"


def _distance(line: Line, request: Request) -> tuple[bool, int, int]:
    common = 0
    for mine, theirs in zip(line.target, request.target, strict=False):
        if mine != theirs:
            break
        common += 1
    return line.method != request.method, len(differences(line, request)), -common


def _same_target(line: Line, request: Request) -> bool:
    return line.target in (request.target, request.path)  # a recorded line has the whole path


def _body(line: Line, request: Request) -> list[str]:
    if line.body_kind == "form":
        sent = _paired(parse_qsl(request.content.decode("utf-8", "replace"), keep_blank_values=True))
        return _compare("form", _texts(line.body), sent)
    if line.body_kind == "json":
        try:
            return _compare("json", line.body, json.loads(request.content))
        except ValueError:
            return ["json: the body is not JSON"]
    tree = soap_tree(request.content)
    if tree is None:
        return ["soap: the body is not a SOAP envelope"]
    if isinstance(line.body, str):
        recorded = soap_tree(line.body.encode())
        return _compare("soap", {} if recorded is None else recorded["body"], tree["body"])
    return _soap(line.body, tree)


def _soap(wanted: Mapping[str, Any], tree: Mapping[str, Any]) -> list[str]:
    """Only what the line names is compared; null means that it must not be there."""
    found: list[str] = []
    for name, value in wanted.items():
        if name == ANYWHERE:
            for local, text in value.items():
                texts = list(_everywhere(tree["body"], local))
                if not any(not _compare("", _text(text), one) for one in texts):
                    found.append(f"soap.anywhere.{local}: expected {_shown(text)}, sent {_shown(texts)}")
        elif name == "header":
            found += _part("soap.header", value, tree["header"])
        else:
            found += _part(f"soap.{name}", value, tree["body"].get(name))
    return found


def _part(place: str, wanted: Any, sent: Any) -> list[str]:
    if wanted is None:
        return [] if sent is None else [f"{place}: expected nothing, sent {_shown(sent)}"]
    if isinstance(wanted, Mapping) and isinstance(sent, Mapping):
        return [row for key, value in wanted.items() for row in _part(f"{place}.{key}", value, sent.get(key))]
    if isinstance(wanted, Mapping) and not wanted:
        return [] if sent is not None else [f"{place}: expected, not sent"]
    return _compare(place, _texts(wanted), sent)


def _compare(place: str, wanted: Any, sent: Any) -> list[str]:
    if wanted == ANYTHING:
        return [] if sent is not None else [f"{place}: expected something, not sent"]
    if isinstance(wanted, Mapping) and isinstance(sent, Mapping):
        rows = [row for key in wanted for row in _compare(f"{place}.{key}", wanted[key], sent.get(key))]
        return rows + [
            f"{place}.{key}: sent {_shown(sent[key])}, not expected" for key in sent if key not in wanted
        ]
    if isinstance(wanted, list) and isinstance(sent, list) and len(wanted) == len(sent):
        pairs = enumerate(zip(wanted, sent, strict=True))
        return [row for index, (one, other) in pairs for row in _compare(f"{place}[{index}]", one, other)]
    if wanted == sent and isinstance(wanted, bool) == isinstance(sent, bool):
        return []
    return [f"{place}: expected {_shown(wanted)}, sent {_shown(sent)}"]


def _texts(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _texts(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_texts(value) for value in data]
    return _text(data)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _paired(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = f'"{text}"' if isinstance(value, str) else text
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


# -- SOAP requests, read apart from the gateway's own codec -----------------------------------------


def soap_tree(content: bytes) -> dict[str, Any] | None:
    """A SOAP request over local names: `{header, body}`, with `href` followed; None when it is none."""
    try:
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None
    targets = {element.get("id"): element for element in root.iter() if element.get("id")}
    parts: dict[str, Any] = {"header": {}, "body": {}}
    for part in root:
        name = _local(part).lower()
        for child in part:
            if name == "body" and child.get("id"):
                continue  # an independent element is read where it is referred to
            parts.setdefault(name, {})[_local(child)] = _read(child, targets, 0)
    return parts


def _read(element: Any, targets: Mapping[Any, Any], depth: int) -> Any:
    reference = element.get("href")
    if reference and depth < 30:
        return _read(targets[reference.removeprefix("#")], targets, depth + 1)
    if len(element) == 0:
        return (element.text or "").strip()
    found: dict[str, Any] = {}
    for child in element:
        name, value = _local(child), _read(child, targets, depth + 1)
        found[name] = value if name not in found else [*_list(found[name]), value]
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _everywhere(tree: Any, local: str) -> Iterable[str]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if name == local and isinstance(value, str):
                yield value
            yield from _everywhere(value, local)
    elif isinstance(tree, list):
        for value in tree:
            yield from _everywhere(value, local)


def _local(element: Any) -> str:
    return etree.QName(element).localname
