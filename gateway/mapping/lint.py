"""What lint says about a whole mapping once its parts are compiled: mostly warnings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract import Operation
from gateway.mapping import tree
from gateway.mapping.expressions import Expression, nearest
from gateway.mapping.origin import Node
from gateway.mapping.source import Source
from gateway.mapping.templates import Path

REQUIRED = (
    Operation.GET_COURSES,
    Operation.CREATE_ENROLMENT,
    Operation.TRANSFER_ENROLMENT,
    Operation.CANCEL_ENROLMENT,
)
_VENDORS_OWN = frozenset({"form", "json", "xml", "soap", "query", "headers", "soap_header", "field"})
_BOOLEAN_KEYS = frozenset({"on", "off", "yes", "no", "y", "n"})
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_RANDOM_BITS = 3.8
_RANDOM_CHANGES = 5


def check_left_out(source: Source) -> None:
    """The four operations that must be said, if only as `refuse`; a misspelt one is no second problem."""
    written = source.at(("operations",))
    if not isinstance(written, dict):
        return
    unknown = [key for key in written if source.is_broken(("operations", key)) and key not in list(Operation)]
    for operation in REQUIRED:
        if operation not in written and not nearest(operation, unknown):
            source.problem(
                ("operations",),
                f"`{operation}` is left out.",
                fix=f'If that is meant, say so: `{operation}: {{refuse: "…"}}`.',
                key=True,
            )


def check_unused(source: Source, data: Node, used_calls: set[str]) -> None:
    """Settings, secrets and shared calls that nothing mentions."""
    roots: dict[str, set[str]] = {"settings": set(), "secrets": set()}
    for expressions in source.compiled.values():
        for expression in expressions:
            _note_used(expression, roots)
    roots["secrets"].update(_named_secrets(data))
    bundles = data.get("bundles")
    roots["settings"].add(str(bundles.get("by")) if isinstance(bundles, dict) else "")
    for root, used in roots.items():
        for name in _keys(source, root) if "*" not in used else ():
            if name not in used and not source.broken:
                source.warning(
                    (root, name), f"`{root}.{name}` is never used.", fix="Use it, or remove it.", key=True
                )
    for name in _keys(source, "calls"):
        if name not in used_calls and not source.broken:
            source.warning(
                ("calls", name), f"The call `{name}` is never used.", fix="Use it, or remove it.", key=True
            )


def _named_secrets(data: Node) -> Iterator[str]:
    """The secrets that `verify` of webhooks names."""
    written = data.get("progress", {}).get("webhook", [])
    for webhook in written if isinstance(written, list) else [written]:
        yield from webhook["verify"].get("secrets", ())
        yield webhook["verify"].get("secret", "")


def _note_used(expression: Expression, roots: Mapping[str, set[str]]) -> None:
    for path in expression.names:
        if path.parts[0] in roots:
            roots[path.parts[0]].add(path.parts[1] if len(path.parts) > 1 else "*")
    if expression.whole_scope:
        roots["settings"].add("*")


def _keys(source: Source, section: str) -> Iterator[str]:
    written = source.at((section,))
    if isinstance(written, dict):
        yield from written


def check_keys(source: Source) -> None:
    """Keys that other YAML readers, and editors, take for true or false."""
    for path in _paths(source.document.data, ()):
        key = path[-1]
        theirs = _VENDORS_OWN & set(path[:-1]) or _in_public_keys(path)
        if isinstance(key, str) and key.lower() in _BOOLEAN_KEYS and not theirs:
            source.warning(
                path,
                f"Editors and other YAML readers take the key `{key}` for true or false.",
                fix="Choose another name.",
                key=True,
            )


def _paths(node: Any, path: Path) -> Iterator[Path]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _in_public_keys(path: Path) -> bool:
    """Whether this is part of a JWKS document: random, but no secret, and with keys such as `n`."""
    names = tuple(part for part in path if isinstance(part, str))
    return names[:4] == ("progress", "webhook", "verify", "keys")


def check_plain_secrets(source: Source) -> None:
    """Texts as long and as random as a key."""
    for path in _paths(source.document.data, ()):
        value = source.at(path)
        if isinstance(value, str) and not _in_public_keys(path) and looks_secret(value):
            source.warning(
                path,
                "This looks like a secret. Secrets never stand in a mapping file.",
                fix="Name it under `secrets:` and write `${secrets.NAME}`.",
                show=False,
            )


def looks_secret(text: str) -> bool:
    """Whether a text holds a word with the length and randomness of a key."""
    return any(_HEX.fullmatch(word) or _is_random(word) for word in _TOKEN.findall(text))


def _is_random(word: str) -> bool:
    """Capitals, small letters and digits thoroughly mixed; names and paths change kind seldom."""
    kinds = [next((at for at, test in enumerate(_KINDS) if test(letter)), 3) for letter in word]
    if not {0, 1, 2} <= set(kinds):
        return False
    changes = sum(2 in pair and pair[0] != pair[1] for pair in zip(kinds, kinds[1:], strict=False))
    shares = [count / len(word) for count in Counter(word).values()]
    return changes >= _RANDOM_CHANGES and -sum(share * math.log2(share) for share in shares) > _RANDOM_BITS


_KINDS = (str.islower, str.isupper, str.isdigit)


def check_flattened(source: Source) -> None:
    """`?? []`, meant as an empty list: in JMESPath these brackets flatten what stands before them."""
    for path, expressions in list(source.compiled.items()):
        for expression in expressions:
            if any(_flattens_scope(part) for part, _ in tree.everything(expression.tree)):
                message = "`[]` after `??` is no empty list: it flattens all the names there are, to null."
                source.warning(path, message, fix="Write the empty list between backticks.")


def _flattens_scope(part: tree.Node) -> bool:
    match part:
        case tree.Coalesce(right=tree.Project(left=tree.Flatten(left=tree.Current()), right=None)):
            return True
    return False


def check_lost_fields(source: Source, record: Mapping[str, None] | None, key: tuple[str, ...]) -> None:
    """A field outside `key` is gone with the database; say so where it is used without a fallback."""
    lost = set(record or ()) - set(key)
    for path, expressions in list(source.compiled.items()):
        if not lost or path[:2] == ("operations", "createEnrolment"):
            continue
        guarded = _guarded_around(source, path)
        for expression in expressions:
            for name in sorted(lost & _enrolment_fields(expression) - guarded - _guarded(expression)):
                source.warning(
                    path,
                    f"`enrolment.{name}` is lost with the database: from the id only "
                    f"{', '.join(key) or 'nothing'} can be read back.",
                    fix=f"Add it to `key`, look it up in a step, or supply one: `enrolment.{name} ?? …`.",
                )


def _enrolment_fields(expression: Expression) -> set[str]:
    return {
        path.parts[1] for path in expression.names if path.parts[0] == "enrolment" and len(path.parts) > 1
    }


def _guarded_around(source: Source, path: Path) -> set[str]:
    """Fields whose null is dealt with by a `when` around the place, or by a key ending in `?`."""
    found: set[str] = set()
    for depth in range(len(path)):
        for expression in source.compiled.get((*path[:depth], "when"), ()):
            found |= _guarded(expression)
    if isinstance(path[-1], str) and path[-1].endswith("?"):
        found |= {name for expression in source.compiled[path] for name in _enrolment_fields(expression)}
    return found


def _guarded(expression: Expression) -> set[str]:
    """Fields of `enrolment` that an expression compares with null or gives a `??`."""
    found: set[str] = set()
    for part, _ in tree.everything(expression.tree):
        match part:
            case tree.Coalesce(left=left) | tree.Or(left=left):
                found |= _fields(left)
            case tree.Compare(left=left, right=tree.Literal(value=None)):
                found |= _fields(left)
            case tree.Compare(left=tree.Literal(value=None), right=right):
                found |= _fields(right)
    return found


def _fields(node: tree.Node) -> set[str]:
    chains = (tree.field_chain(part)[1] for part, _ in tree.everything(node))
    return {names[1] for names in chains if len(names) > 1 and names[0] == "enrolment"}
