"""Why an expression's value is null: it is walked again, step by step, and the first null is described.

Names of keys may stand in a reason, values never: they may be personal data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import singledispatch
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping import tree
from gateway.mapping.evaluate import close
from gateway.mapping.limits import Run, Runtime
from gateway.mapping.signatures import FUNCTIONS
from gateway.mapping.tree import Node
from gateway.mapping.values import kind_of, truthy

_SHOWN = 12
_LONGEST_NAME = 40
_CONSIDERED = 500

# What null means when all arguments had values and nothing was unreadable.
_FUNCTION_REASONS = {
    "json": "the text is empty, or says null",
    "number": "the text is empty",
    "boolean": "the text is empty",
    "scale": "a text is empty",
    "percent": "the whole is 0 or empty",
    "date": "the time is empty or 0",
    "epoch": "the time is empty or 0",
    "ascii": "no ASCII letter is left",
    "slug": "no ASCII letter or digit is left",
    "fill": "all of its texts are null or blank",
    "not_null": "all of its values are null",
    "pick_by": "no item of the list has that value",
    "to_number": "this cannot be read as a number",
    **dict.fromkeys(("avg", "max", "min", "max_by", "min_by"), "the list is empty"),
}


_OnLists = tree.Project | tree.Filter | tree.Slice | tree.Flatten


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """`at` is what the current node is called, `faults` what was unreadable in the last call."""

    text: str
    run: Run
    faults: list[str]
    at: str = ""

    def value(self, node: Node, here: Any) -> Any:
        return close(node)(here, self.run)

    def source(self, node: Node) -> str:
        return self.text[node.start : node.end] or self.at or "@"


def reason(node: Node, text: str, here: Any, root: Any, runtime: Runtime) -> str:
    """One line. Also tells an error of the expression, or that the value is not null at all."""
    faults: list[str] = []
    run = Run(root, replace(runtime, vendor_fault=faults.append))
    walk = Walk(text=text, run=run, faults=faults)
    try:
        if walk.value(node, here) is not None:
            return f"`{text}` is not null."
        return _why(node, here, walk, text)
    except ExpressionError as problem:
        return problem.message
    except RecursionError:
        return "The data is nested too deeply to say."


@singledispatch
def _why(node: Node, here: Any, walk: Walk, label: str) -> str:
    """`label` is the whole path the node belongs to."""
    return (
        f"`{label}` is null."
        if here is not None
        else f"`{label}`: `{walk.source(node)}` has nothing to work on."
    )


@_why.register
def _group(node: tree.Group, here: Any, walk: Walk, label: str) -> str:
    return _inside(node.inner, here, walk)


@_why.register(tree.Field)
@_why.register(tree.Sub)
def _path(node: tree.Field | tree.Sub, here: Any, walk: Walk, label: str) -> str:
    steps: list[tree.Sub] = []
    base: Node = node
    while isinstance(base, tree.Sub):
        steps.append(base)
        base = base.left
    owner, value = walk.at, walk.value(base, here)
    if isinstance(base, tree.Field):
        if value is None:
            return _missing(base.name, owner, here, label, top=not walk.at)
    elif value is None:
        return _why(base, here, walk, label)
    owner = walk.source(base)
    for step in reversed(steps):
        found = walk.value(step.right, value)
        if found is None and not isinstance(step.right, tree.Field):
            return _inside(step.right, value, replace(walk, at=owner))
        if found is None and isinstance(step.right, tree.Field):
            return _missing(step.right.name, "" if owner == "$" else owner, value, label, top=owner == "$")
        owner, value = walk.source(step), found
    return f"`{label}` is null."


def _missing(name: str, owner: str, value: Any, label: str, *, top: bool) -> str:
    if isinstance(value, Mapping) and name in value:
        whole = f"{owner}.{name}" if owner else name
        return f"`{label}` is null." if whole in (label, f"$.{label}") else f"`{label}`: `{whole}` is null."
    if isinstance(value, list):
        ways = f"for one write `{owner}[0].{name}`, for all `{owner}[*].{name}`"
        return f"`{label}`: `{owner}` is a list of {_items(len(value))}; {ways}."
    if not isinstance(value, Mapping):
        return f"`{label}`: `{owner or label}` is {kind_of(value)}, it has no `{name}`."
    if top:
        return f"`{label}`: there is no `{name}` here; there is {_keys(value)}.{_did_you_mean(name, value)}"
    if not value:
        return f"`{label}`: `{owner}` has no `{name}`; it is empty."
    return f"`{label}`: `{owner}` has no `{name}`; it has {_keys(value)}.{_did_you_mean(name, value)}"


def _keys(value: Mapping[str, Any]) -> str:
    names = sorted(_some(value))
    shown = ", ".join(name[:_LONGEST_NAME] for name in names[:_SHOWN])
    more = len(value) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "nothing"


def _some(value: Mapping[str, Any]) -> list[str]:
    return [str(name) for name, _ in zip(value, range(_CONSIDERED), strict=False)]


def _did_you_mean(name: str, value: Mapping[str, Any]) -> str:
    near = nearest(name, _some(value))
    return f" Did you mean `{near}`?" if near else ""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, or None; another case comes first."""
    folded = {other.casefold(): other for other in names}
    near = get_close_matches(name.casefold(), folded, 1)
    return folded[near[0]] if near else None


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


@_why.register
def _index(node: tree.Index, here: Any, walk: Walk, label: str) -> str:
    items = walk.value(node.left, here)
    if items is None:
        return _why(node.left, here, walk, label)
    if not isinstance(items, list):
        return f"`{label}`: `{walk.source(node.left)}` is {kind_of(items)}, not a list."
    if -len(items) <= node.index < len(items):
        return f"`{label}`: item {node.index} of `{walk.source(node.left)}` is null."
    return f"`{label}`: `{walk.source(node.left)}` has {_items(len(items))}, item {node.index} was asked for"


@_why.register(tree.Project)
@_why.register(tree.Filter)
@_why.register(tree.Slice)
@_why.register(tree.Flatten)
def _list_wanted(node: _OnLists, here: Any, walk: Walk, label: str) -> str:
    return _unfit(node.left, here, walk, label, "a list")


@_why.register
def _object_wanted(node: tree.ProjectValues, here: Any, walk: Walk, label: str) -> str:
    return _unfit(node.left, here, walk, label, "an object")


def _unfit(left: Node, here: Any, walk: Walk, label: str, wanted: str) -> str:
    found = walk.value(left, here)
    if found is None:
        return _why(left, here, walk, label)
    return f"`{label}`: `{walk.source(left)}` is {kind_of(found)}, not {wanted}."


def _inside(node: Node, here: Any, walk: Walk) -> str:
    """A part that stands for itself: its own text is the label."""
    return _why(node, here, walk, walk.source(node))


@_why.register
def _pipe(node: tree.Pipe, here: Any, walk: Walk, label: str) -> str:
    left = walk.value(node.left, here)
    if left is None:
        return _inside(node.left, here, walk)
    problem = _why(node.right, left, replace(walk, at=walk.source(node.left)), label)
    return problem if left != [] else problem + _why_empty(tree.bare(node.left), here, walk)


def _why_empty(node: Node, here: Any, walk: Walk) -> str:
    """What made a list of something into a list of nothing."""
    if not isinstance(node, tree.Filter | tree.Project) or not (items := walk.value(node.left, here)):
        return ""
    if isinstance(node, tree.Filter):
        items = [item for item in items if truthy(walk.value(node.condition, item))]
        if not items:
            return "; no item passed the filter."
    if node.right is None:
        return ""
    first = walk.source(node.left) + ("[…]" if isinstance(node, tree.Filter) else "[0]")
    return f"; {_inside(node.right, items[0], replace(walk, at=first))}"


@_why.register
def _compare(node: tree.Compare, here: Any, walk: Walk, label: str) -> str:
    for side in (node.left, node.right):
        if walk.value(side, here) is None:
            return _inside(side, here, walk)
    left, right = kind_of(walk.value(node.left, here)), kind_of(walk.value(node.right, here))
    return f"`{walk.source(node)}`: {left} and {right} have no order; only two numbers or two texts have one."


@_why.register
def _and(node: tree.And, here: Any, walk: Walk, label: str) -> str:
    return _inside(node.right if truthy(walk.value(node.left, here)) else node.left, here, walk)


@_why.register
def _or(node: tree.Or, here: Any, walk: Walk, label: str) -> str:
    return _inside(node.right, here, walk)


@_why.register
def _coalesce(node: tree.Coalesce, here: Any, walk: Walk, label: str) -> str:
    return f"{_inside(node.left, here, walk)} And {_inside(node.right, here, walk)}"


@_why.register
def _choose(node: tree.Choose, here: Any, walk: Walk, label: str) -> str:
    return _inside(node.then if truthy(walk.value(node.condition, here)) else node.otherwise, here, walk)


@_why.register
def _call(node: tree.Call, here: Any, walk: Walk, label: str) -> str:
    function, source = FUNCTIONS[node.name], walk.source(node)
    arguments = [part for part in node.arguments if not isinstance(part, tree.Reference)]
    watched = arguments if function.nulls == "null" else arguments[: node.name in ("date", "epoch")]
    for argument in watched:
        if walk.value(argument, here) is None:
            return _inside(argument, here, walk)
    walk.faults.clear()
    walk.value(node, here)
    if walk.faults:
        return f"`{source}`: {walk.faults[-1].partition(': ')[2]}."
    if node.name == "lookup":
        table = walk.value(node.arguments[0], here)
        return f"`{source}`: `{walk.source(node.arguments[0])}` has no such key; it has {_keys(table)}."
    return f"`{source}`: {_FUNCTION_REASONS.get(node.name, 'it gave null')}."
