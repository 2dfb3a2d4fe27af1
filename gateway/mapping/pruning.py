"""What is left of a document when the parts its schema refuses are taken out.

The rest keeps its places, so that it can be compiled, and complained of, in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import jsonschema
from jsonschema.exceptions import ValidationError

from gateway.mapping.templates import Path

Item = TypeVar("Item")

KEPT: frozenset[Path] = frozenset({(), ("operations",), ("server",)})
"""Objects that are compiled whatever is missing in them."""


class Rest(list[Any]):
    """A list that lost items; `places` are the indexes that the others had."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.places = list(range(len(items)))

    def drop(self, index: int) -> None:
        del self[index], self.places[index]


def placed(items: list[Item] | None) -> Iterator[tuple[int, Item]]:
    """The items of a list, each with the index it has in the document."""
    items = items or []
    yield from zip(items.places if isinstance(items, Rest) else range(len(items)), items, strict=True)


def leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The errors behind an error of a combining keyword such as `allOf`."""
    if not error.context:
        yield error
    for child in error.context or ():
        yield from leaves(child)


def prune(data: Any, validator: jsonschema.Draft202012Validator) -> tuple[Any, set[Path]]:
    """A copy that the schema accepts, but for keys missing in `KEPT`; and the places taken out."""
    rest, broken = _copy(data), set[Path]()
    while True:
        doomed = {path for error in validator.iter_errors(rest) for path in _doomed(error)}
        if not doomed - {()}:
            return rest, broken
        for path in sorted(doomed - {()}, key=_last_first):
            broken.add(_original(rest, path))
            _remove(rest, path)


def _doomed(error: ValidationError) -> Iterator[Path]:
    for leaf in leaves(error):
        path: Path = tuple(leaf.absolute_path)
        if leaf.validator == "additionalProperties":
            yield from ((*path, key) for key in unknown_keys(leaf))
        elif is_name(leaf):
            yield (*path, leaf.instance)
        elif leaf.validator != "required" or path not in KEPT:
            yield path


def is_name(error: ValidationError) -> bool:
    """Whether the error is about a key that the author chose."""
    return "propertyNames" in error.absolute_schema_path


def unknown_keys(error: ValidationError) -> list[str]:
    known = error.schema.get("properties", {})
    return [key for key in error.instance if key not in known]


def _last_first(path: Path) -> tuple[int, list[int]]:
    """Deep places before those around them, and later items of a list before earlier ones."""
    return -len(path), [-part if isinstance(part, int) else 0 for part in path]


def _copy(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    return Rest([_copy(value) for value in node]) if isinstance(node, list) else node


def _original(rest: Any, path: Path) -> Path:
    found: list[str | int] = []
    for part in path:
        found.append(rest.places[part] if isinstance(part, int) else part)
        rest = rest[part]
    return tuple(found)


def _remove(rest: Any, path: Path) -> None:
    *around, last = path
    for part in around:
        rest = rest[part]
    rest.drop(last) if isinstance(rest, Rest) else rest.pop(last)
