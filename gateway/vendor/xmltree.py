"""XML replies as plain data, and plain data as XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from lxml import etree

from gateway.engine.calls import XmlStyle
from gateway.vendor.forms import kind, scalar_text

XSD = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
ENVELOPE_12 = "http://www.w3.org/2003/05/soap-envelope"
ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
ENCODING_12 = "http://www.w3.org/2003/05/soap-encoding"

MAX_NODES = 500_000
MAX_ATTRIBUTES = 200
MAX_DEPTH = 150
"""Levels of any tree, whatever the mapping allows: a level costs three Python frames."""

Path = tuple[str | int, ...]

_NIL = f"{{{XSI}}}nil"
_TYPE = f"{{{XSI}}}type"
_ARRAY_TYPES = frozenset({f"{{{ENCODING}}}arrayType", f"{{{ENCODING_12}}}itemType"})
_PROTOCOL = tuple(f"{{{namespace}}}" for namespace in (XSI, ENVELOPE, ENVELOPE_12, ENCODING, ENCODING_12))
# some servers lose the `xsi:`; without this an empty <id type="xsd:string"/> would be an object, not empty
_STRAY_TYPE = re.compile(r"(?:xsd?|xsi|soapenc):\w+")
_DECLARED_CHARSET = re.compile(rb"\xef\xbb\xbf|\xfe\xff|\xff\xfe|<\?xml[^>]{1,200}encoding")
_LABELLED = etree.XPath("descendant::*[@id]")
_REFERRING = etree.XPath("descendant::*[@href]")
_DROPPED = object()


class Unreadable(Exception):
    """A reply that is not in the declared form; the message says why and quotes nothing of the vendor's."""


def parse(content: bytes, style: XmlStyle, charset: str | None = None) -> etree._Element:
    """The root element. `charset` is what the HTTP header says; the document's own word wins.

    Nothing is fetched and no entity is expanded. Raises Unreadable for a document that is too large,
    not well-formed, or declares a DTD.
    """
    if len(content) > style.max_bytes:
        raise Unreadable(f"larger than {style.max_bytes} bytes")
    if content.count(b"<") > 2 * MAX_NODES:  # each element has at most two; far cheaper than parsing first
        raise Unreadable(f"more than {MAX_NODES} elements and attributes")
    content = content.lstrip()  # server pages often print blank lines before `<?xml`
    encoding = None if _DECLARED_CHARSET.match(content) else charset
    parser = etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as exc:
        raise Unreadable(f"not well-formed XML at line {exc.position[0]}, column {exc.position[1]}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("declares a DTD")
    return root


def read(root: etree._Element, style: XmlStyle) -> dict[str, Any]:
    """A whole document as `{root name: value}`. Raises Unreadable as `TreeReader` does."""
    return TreeReader(root, style).members([root], (), 1)


class TreeReader:
    """Makes data of elements, by the rules of `server.xml`.

    An element with only text is its trimmed text; otherwise attributes and children are keys, and a child
    wins over an attribute of the same name even where it is empty. Text beside children is `$text`.
    Nil is None and an empty element is `""`, unless `empty_absent` drops both or a list rule makes them `[]`.
    Raises Unreadable for a tree deeper than `max_depth` or larger than 500,000 nodes or
    `max_bytes` characters, references followed.
    """

    def __init__(self, root: etree._Element, style: XmlStyle) -> None:
        self._style = style
        self._max_depth = min(style.max_depth, MAX_DEPTH)
        self._repeated, self._wrapped = _list_rules(style.lists)
        self._names: dict[str, str] = {}
        self._nodes = 0
        self._characters = 0
        self._targets = _targets(root) if style.resolve_href else {}
        self._open: set[str] = set()

    def refers_to(self, element: etree._Element) -> bool:
        """Whether some `href` points at this element, so that it shows there and nowhere else."""
        return element.get("id") in self._targets

    def members(self, elements: Iterable[etree._Element], path: Path, depth: int) -> dict[str, Any]:
        """Elements as keys and values; `path` is where they stand, `depth` their own level."""
        return self._joined(self._grouped(elements, path, depth), path)

    def value(self, element: etree._Element, path: Path, depth: int) -> Any:
        """One element; `path` ends in its own name."""
        if depth > self._max_depth:
            raise Unreadable(f"deeper than {self._max_depth} levels")
        attributes = self._attributes(element)
        href = attributes.get("href", "")
        if href.startswith("#") and href[1:] in self._targets:
            return self._referred(href[1:], path, depth)
        listed = _matches(self._wrapped, path) or _is_array(attributes)
        if attributes.get(_NIL, "").strip() in ("true", "1"):
            return [] if listed else None
        if len(element):
            inside = self._items if listed else self._object
            return inside(element, attributes, path, depth)
        text = self._text(element.text)
        if listed:
            return [text] if text else []
        return text or self._kept(attributes) or ""

    def _object(
        self, element: etree._Element, attributes: dict[str, str], path: Path, depth: int
    ) -> dict[str, Any]:
        grouped = self._grouped(element, path, depth + 1)
        found = {name: text for name, text in self._kept(attributes).items() if name not in grouped}
        found.update(self._joined(grouped, path))
        texts = [self._text(element.text), *(self._text(child.tail) for child in element)]
        if own := " ".join(text for text in texts if text):
            found["$text"] = own
        return found

    def _items(
        self, element: etree._Element, attributes: dict[str, str], path: Path, depth: int
    ) -> list[Any]:
        values = [self.value(child, (*path, self._name(child)), depth + 1) for child in element]
        return [value for value in values if not self._absent(value)]

    def _grouped(self, elements: Iterable[etree._Element], path: Path, depth: int) -> dict[str, list[Any]]:
        groups: dict[str, list[Any]] = {}
        for element in elements:
            name = self._name(element)
            groups.setdefault(name, []).append(self.value(element, (*path, name), depth))
        return groups

    def _joined(self, groups: dict[str, list[Any]], path: Path) -> dict[str, Any]:
        joined = {}
        for name, values in groups.items():
            value = self._one_or_list(values, (*path, name))
            if value is not _DROPPED:
                joined[name] = value
        return joined

    def _one_or_list(self, values: list[Any], path: Path) -> Any:
        if _matches(self._repeated, path):
            return _spliced(values)
        kept = [value for value in values if not self._absent(value)]
        if len(values) > 1:
            return kept
        return kept[0] if kept else _DROPPED

    def _absent(self, value: Any) -> bool:
        return self._style.empty_absent and (value is None or value == "")

    def _referred(self, target: str, path: Path, depth: int) -> Any:
        if target in self._open:
            return None
        self._open.add(target)
        try:
            return self.value(self._targets[target], path, depth + 1)
        finally:
            self._open.discard(target)

    def _attributes(self, element: etree._Element) -> dict[str, str]:
        size = len(element.attrib)
        self._count(1 + size, 0)
        if size > MAX_ATTRIBUTES:  # reading them takes time by the square of their number
            raise Unreadable(f"more than {MAX_ATTRIBUTES} attributes on one element")
        return dict(cast("list[tuple[str, str]]", element.items())) if size else {}

    def _kept(self, attributes: dict[str, str]) -> dict[str, str]:
        """What is left of the attributes under their local names, without those of the protocol."""
        found = {}
        for name, text in attributes.items():
            if name.startswith(_PROTOCOL) or (name == "type" and _STRAY_TYPE.match(text)):
                continue
            if name == "id" and text in self._targets:
                continue
            found[_local(name)] = self._text(text)
        return found

    def _text(self, text: str | None) -> str:
        if not text:
            return ""
        self._count(0, len(text))
        return text.strip()

    def _name(self, element: etree._Element) -> str:
        if self._style.names == "prefixed" and element.prefix:
            return f"{element.prefix}:{_local(element.tag)}"
        tag = element.tag
        name = self._names.get(tag)
        if name is None:
            name = self._names[tag] = _local(tag)
        return name

    def _count(self, nodes: int, characters: int) -> None:
        """What was made so far: references can make a small document large."""
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES:
            raise Unreadable(f"more than {MAX_NODES} elements and attributes")
        if self._characters > self._style.max_bytes:
            raise Unreadable(f"larger than {self._style.max_bytes} bytes with its references followed")


_Rules = dict[str, tuple[tuple[str, ...], ...]]


@lru_cache(maxsize=256)
def _list_rules(lists: tuple[str, ...]) -> tuple[_Rules, _Rules]:
    """`server.xml.lists` by last name: (B under A is a list, B under A becomes the list of its children)."""
    repeated: _Rules = {}
    wrapped: _Rules = {}
    for ending in lists:
        parts = tuple(ending.strip("/").split("/"))
        rules = wrapped if parts[-1] == "*" else repeated
        parts = parts[:-1] if parts[-1] == "*" else parts
        rules[parts[-1]] = (*rules.get(parts[-1], ()), parts)
    return repeated, wrapped


def _matches(rules: _Rules, path: Path) -> bool:
    endings = rules.get(str(path[-1])) if rules else None
    return endings is not None and any(path[-len(ending) :] == ending for ending in endings)


def _spliced(values: list[Any]) -> list[Any]:
    """A repeated element as one list: empty ones left out, arrays opened."""
    filled = [value for value in values if value is not None and value != ""]
    return [item for value in filled for item in (value if isinstance(value, list) else (value,))]


def _targets(root: etree._Element) -> dict[str, etree._Element]:
    """Labelled elements that something refers to, by label; the first of several with one label counts."""
    referring = cast("list[etree._Element]", _REFERRING(root))
    labelled = cast("list[etree._Element]", _LABELLED(root))
    wanted = {element.get("href", "")[1:] for element in referring if element.get("href", "")[:1] == "#"}
    found: dict[str, etree._Element] = {}
    for element in labelled:
        label = element.get("id", "")
        if label in wanted:
            found.setdefault(label, element)
    return found


def _is_array(attributes: dict[str, str]) -> bool:
    # SOAP 1.1 section 5.4.2 demands arrayType; the type alone is read too, whatever its prefix stands for
    is_typed = attributes.get(_TYPE, "").strip().endswith(":Array")
    return is_typed or not _ARRAY_TYPES.isdisjoint(attributes)


def _local(name: Any) -> str:
    return str(name).rpartition("}")[2]


def write(data: Any) -> bytes:
    """A document of data with one key, its root; elements in the order of the data.

    Raises ValueError, naming the key, for anything that cannot stand in XML (see `XmlWriter`).
    """
    if not isinstance(data, Mapping) or len(data) != 1:
        raise ValueError("an XML body needs an object with one key, its root element")
    holder = etree.Element("holder")
    (name, value), writer = next(iter(data.items())), XmlWriter()
    if isinstance(value, list | tuple):
        raise ValueError(f"`{name}`: the root element cannot be a list")
    writer.add(holder, name, value, (name,))
    return serialised(holder[0])


def serialised(root: etree._Element) -> bytes:
    """UTF-8 bytes with an XML declaration."""
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(
        root, encoding="UTF-8", xml_declaration=False
    )


class XmlWriter:
    """Adds data to an element, in the order of the data.

    `{namespace}name` says a name's namespace; a bare name is in its parent's. A list repeats its element.
    `$attr` holds attributes, `$text` the text beside them, `$nil: true` marks a nil element, `$$x` stands for
    the name `$x`. Raises ValueError, naming the key and never the value, for null, text with control
    characters, what is no XML name, an unknown `$` key, and data deeper than 150.
    """

    def add(self, parent: etree._Element, key: str, value: Any, path: Path) -> None:
        """Add `key` with `value`; `path` leads to it and is for messages."""
        if not isinstance(value, list | tuple):
            self.element(parent, key, value, path)
            return
        for index, item in enumerate(value):
            self.element(parent, key, item, (*path, index))

    def element(self, parent: etree._Element, key: str, value: Any, path: Path) -> etree._Element:
        """Add one element and return it."""
        element = self.child(parent, key, path)
        self.fill(element, value, path)
        return element

    def fill(self, element: etree._Element, value: Any, path: Path) -> None:
        """Put a scalar or an object into an element."""
        if not isinstance(value, Mapping):
            self.text(element, value, path)
            return
        for key, item in value.items():
            if key.startswith("$") and not key.startswith("$$"):
                self._structure(element, key, item, path)
            else:
                self.add(element, key, item, (*path, key))

    def child(
        self, parent: etree._Element, key: str, path: Path, nsmap: dict[str, str] | None = None
    ) -> etree._Element:
        """Add an empty element named by `key`."""
        if len(path) > MAX_DEPTH:
            raise ValueError(f"`{place(path[:4])}…`: nested deeper than {MAX_DEPTH}")
        name = key[1:] if key.startswith("$$") else key
        if not name.startswith("{"):
            namespace = self.bare_namespace(parent)
            name = f"{{{namespace}}}{name}" if namespace else name
        try:
            return etree.SubElement(parent, name.removeprefix("{}"), nsmap=nsmap)
        except ValueError:
            raise ValueError(f"`{place(path)}`: this is not a name an XML element can have") from None

    def bare_namespace(self, parent: etree._Element) -> str | None:
        """The namespace of a bare name under `parent`; directly under Body or Header there is none."""
        namespace = etree.QName(parent).namespace
        return None if namespace == ENVELOPE else namespace

    def text(self, element: etree._Element, value: Any, path: Path) -> None:
        """Set an element's text."""
        try:
            element.text = scalar_text(value, place(path))
        except ValueError as exc:
            raise _named(exc, path) from None

    def _structure(self, element: etree._Element, key: str, value: Any, path: Path) -> None:
        if key == "$text":
            self.text(element, value, (*path, key))
        elif key == "$attr" and isinstance(value, Mapping):
            for name, item in value.items():
                _set_attribute(element, name, item, (*path, key, name))
        elif key == "$nil" and isinstance(value, bool):
            if value:
                element.set(_NIL, "true")
        else:
            raise ValueError(f"`{place((*path, key))}`: {kind(value)} under `{key}` means nothing here")


def _set_attribute(element: etree._Element, name: str, value: Any, path: Path) -> None:
    if name == "xmlns" or name.startswith("{http://www.w3.org/2000/xmlns/}"):
        raise ValueError(f"`{place(path)}`: write namespaces into the names, as in `{{namespace}}name`")
    try:
        element.set(name.removeprefix("{}"), scalar_text(value, place(path)))
    except ValueError as exc:
        raise _named(exc, path) from None


def _named(exc: ValueError, path: Path) -> ValueError:
    """lxml's refusals name no place; ours do."""
    if str(exc).startswith("`"):
        return exc
    return ValueError(f"`{place(path)}`: a control character or a name that XML cannot carry")


def place(path: Path) -> str:
    """A path as messages write it: `Users.User[0].Id`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
