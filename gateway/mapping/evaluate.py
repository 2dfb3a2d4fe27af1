"""A syntax tree to closures `(current node, run) -> value`, made once and run many times.

Steps are charged for each round of a projection, by the size of what is done in it: fields cost nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

from gateway.mapping import tree
from gateway.mapping.closures import Closure
from gateway.mapping.function_calls import close_call
from gateway.mapping.limits import Run
from gateway.mapping.tree import Node
from gateway.mapping.values import NUMBERS, equal, truthy

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def follow(value: Any, names: tuple[str, ...]) -> Any:
    """The value at a path of names, None where one is missing."""
    for name in names:
        if type(value) is dict or isinstance(value, Mapping):
            value = value.get(name)
        else:
            return None
    return value


def cost(node: Node | None) -> int:
    """Steps for one round: one, and one more for every eight parts."""
    return 1 + (tree.size(node) >> 3)


@singledispatch
def close(node: Node) -> Closure:
    raise AssertionError(f"no closure for {type(node).__name__}")


@close.register
def _literal(node: tree.Literal) -> Closure:
    value = node.value
    return lambda _here, _run: value


@close.register
def _current(node: tree.Current) -> Closure:
    return lambda here, _run: here


@close.register
def _root(node: tree.Root) -> Closure:
    return lambda _here, run: run.root


@close.register
def _group(node: tree.Group) -> Closure:
    return close(node.inner)


@close.register
def _field(node: tree.Field) -> Closure:
    name = node.name

    def field(here: Any, _run: Run) -> Any:
        if type(here) is dict:
            return here.get(name)
        return here.get(name) if isinstance(here, Mapping) else None

    return field


@close.register
def _sub(node: tree.Sub) -> Closure:
    base, names = tree.field_chain(node)
    if len(names) > 1 or (names and base is not None):
        return _path(base, names)
    left, right = close(node.left), close(node.right)
    return lambda here, run: right(left(here, run), run)


def _path(base: Node | None, names: tuple[str, ...]) -> Closure:
    if base is None or isinstance(base, tree.Current):
        return lambda here, _run: follow(here, names)
    if isinstance(base, tree.Root):
        return lambda _here, run: follow(run.root, names)
    start = close(base)
    return lambda here, run: follow(start(here, run), names)


@close.register
def _index(node: tree.Index) -> Closure:
    left, index = close(node.left), node.index

    def item(here: Any, run: Run) -> Any:
        items = left(here, run)
        if isinstance(items, list) and -len(items) <= index < len(items):
            return items[index]
        return None

    return item


@close.register
def _slice(node: tree.Slice) -> Closure:
    left, bounds = close(node.left), slice(*node.bounds)

    def cut(here: Any, run: Run) -> Any:
        items = left(here, run)
        return items[bounds] if isinstance(items, list) else None

    return cut


@close.register
def _flatten(node: tree.Flatten) -> Closure:
    left = close(node.left)

    def flatten(here: Any, run: Run) -> Any:
        items = left(here, run)
        if not isinstance(items, list):
            return None
        # Counted before it is built: one long list may stand in it many times.
        run.spend(sum(len(item) if isinstance(item, list) else 1 for item in items))
        flat: list[Any] = []
        for item in items:
            flat.extend(item) if isinstance(item, list) else flat.append(item)
        return flat

    return flatten


@close.register
def _project(node: tree.Project) -> Closure:
    left = close(node.left)
    each = _each(node.right)

    def project(here: Any, run: Run) -> Any:
        items = left(here, run)
        return each(items, run) if isinstance(items, list) else None

    return project


@close.register
def _project_values(node: tree.ProjectValues) -> Closure:
    left = close(node.left)
    each = _each(node.right)

    def project_values(here: Any, run: Run) -> Any:
        thing = left(here, run)
        return each(list(thing.values()), run) if isinstance(thing, Mapping) else None

    return project_values


def _each(right: Node | None) -> Callable[[list[Any], Run], list[Any]]:
    """What `right` gives for each item, nulls left out."""
    price = cost(right)
    if right is None:

        def keep(items: list[Any], run: Run) -> list[Any]:
            run.spend(len(items))
            return [item for item in items if item is not None]

        return keep
    closure = close(right)

    def change(items: list[Any], run: Run) -> list[Any]:
        run.spend(len(items) * price)
        return [value for item in items if (value := closure(item, run)) is not None]

    return change


@close.register
def _filter(node: tree.Filter) -> Closure:
    left, holds = close(node.left), close(node.condition)
    price = cost(node.condition)
    each = _each(node.right)

    def choose(here: Any, run: Run) -> Any:
        items = left(here, run)
        if not isinstance(items, list):
            return None
        run.spend(len(items) * price)
        return each([item for item in items if (held := holds(item, run)) is True or truthy(held)], run)

    return choose


@close.register
def _compare(node: tree.Compare) -> Closure:
    left, right = close(node.left), close(node.right)
    if node.operator in ("==", "!=") and isinstance(node.right, tree.Literal):
        constant = node.right.value
        if constant is None or isinstance(constant, str):
            # Nothing but itself is equal to a text or null, whatever the other side is.
            if node.operator == "==":
                return lambda here, run: bool(left(here, run) == constant)
            return lambda here, run: bool(left(here, run) != constant)
    if node.operator == "==":
        return lambda here, run: equal(left(here, run), right(here, run), run)
    if node.operator == "!=":
        return lambda here, run: not equal(left(here, run), right(here, run), run)
    compare = _ORDER[node.operator]

    def order(here: Any, run: Run) -> bool | None:
        one, other = left(here, run), right(here, run)
        if type(one) in NUMBERS and type(other) in NUMBERS:
            return compare(one, other)
        if isinstance(one, str) and isinstance(other, str):
            run.spend(min(len(one), len(other)) >> 10)
            return compare(one, other)
        return None

    return order


@close.register
def _and(node: tree.And) -> Closure:
    left, right = close(node.left), close(node.right)

    def both(here: Any, run: Run) -> Any:
        value = left(here, run)
        return right(here, run) if truthy(value) else value

    return both


@close.register
def _or(node: tree.Or) -> Closure:
    left, right = close(node.left), close(node.right)

    def either(here: Any, run: Run) -> Any:
        value = left(here, run)
        return value if truthy(value) else right(here, run)

    return either


@close.register
def _coalesce(node: tree.Coalesce) -> Closure:
    left, right = close(node.left), close(node.right)

    def coalesce(here: Any, run: Run) -> Any:
        value = left(here, run)
        return right(here, run) if value is None else value

    return coalesce


@close.register
def _choose(node: tree.Choose) -> Closure:
    condition, then, otherwise = close(node.condition), close(node.then), close(node.otherwise)
    return lambda here, run: then(here, run) if truthy(condition(here, run)) else otherwise(here, run)


@close.register
def _not(node: tree.Not) -> Closure:
    inner = close(node.inner)
    return lambda here, run: not truthy(inner(here, run))


@close.register
def _pipe(node: tree.Pipe) -> Closure:
    left, right = close(node.left), close(node.right)
    return lambda here, run: right(left(here, run), run)


@close.register
def _multi_list(node: tree.MultiList) -> Closure:
    items = tuple(close(item) for item in node.items)

    def multi_list(here: Any, run: Run) -> Any:
        if here is None:
            return None
        run.build(len(items))
        return [item(here, run) for item in items]

    return multi_list


@close.register
def _multi_object(node: tree.MultiObject) -> Closure:
    pairs = tuple((name, close(value)) for name, value in node.pairs)

    def multi_object(here: Any, run: Run) -> Any:
        if here is None:
            return None
        run.build(len(pairs))
        return {name: value(here, run) for name, value in pairs}

    return multi_object


@close.register
def _call(node: tree.Call) -> Closure:
    return close_call(node, close, cost)
