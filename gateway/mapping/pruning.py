"""What is left of a document when the parts its schema refuses are taken out.

The rest keeps its places, so that it can be compiled, and complained of, in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jsonschema
from jsonschema.exceptions import ValidationError

from gateway.mapping.templates import Path

Item = TypeVar("Item")

KEPT: frozenset[Path] = frozenset({(), ("server",)})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One thing the schema refuses: `given` broke `rule: wanted` of `schema`.

    `is_name`: it is about a key that the author chose, and `given` is the key.
    """

    path: Path
    rule: str
    wanted: Any
    given: Any
    schema: Mapping[str, Any]
    is_name: bool

    def unknown_keys(self) -> list[str]:
        """For `additionalProperties`: the keys the schema does not know."""
        return [key for key in self.given if key not in self.schema.get("properties", {})]

    def missing_keys(self) -> list[str]:
        """For `required`: the keys that are not there."""
        return [key for key in self.wanted if key not in self.given]


def refusals(data: Any, validator: jsonschema.Draft202012Validator) -> Iterator[Refusal]:
    """Everything the schema refuses."""
    for error in validator.iter_errors(data):
        yield from _refusals(error)


def _refusals(error: ValidationError) -> Iterator[Refusal]:
    """One refusal, or those behind a combining keyword such as `allOf`."""
    for child in error.context or ():
        yield from _refusals(child)
    if not error.context:
        schema: Any = error.schema
        path: Any = error.absolute_path
        yield Refusal(
            path=tuple(path),
            rule=str(error.validator),
            wanted=error.validator_value,
            given=error.instance,
            schema=schema,
            is_name="propertyNames" in error.absolute_schema_path,
        )


def prune(data: Any, validator: jsonschema.Draft202012Validator) -> tuple[Any, set[Path]]:
    """A copy that the schema accepts, but for keys missing in `KEPT`; and the places taken out."""
    rest, broken = _copy(data), set[Path]()
    while True:
        doomed = {path for refusal in refusals(rest, validator) for path in _doomed(refusal)}
        if not doomed - {()}:
            return rest, broken
        for path in sorted(doomed - {()}, key=_last_first):
            broken.add(_original(rest, path))
            _remove(rest, path)


def _doomed(refusal: Refusal) -> Iterator[Path]:
    if refusal.rule == "additionalProperties":
        yield from ((*refusal.path, key) for key in refusal.unknown_keys())
    elif refusal.is_name:
        yield (*refusal.path, refusal.given)
    elif refusal.rule != "required" or refusal.path not in KEPT:
        yield refusal.path


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
    if isinstance(last, int):
        rest.drop(last)
    else:
        del rest[last]
