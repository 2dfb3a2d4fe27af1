"""Parameters of functions: what they are made of, and Moodle's strict way of checking them.

A name that is not known, one that is missing, and a value that its type would have changed are all
`invalidparameter`. Source: vendors/moodle.md 1 and 7, and the recordings of 4.3 with debugging on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox.moodle_errors import INVALID, Refused, invalid
from gateway.sandbox.moodle_versions import Name, Version


class _Mark:
    """What stands in place of a default."""


REQUIRED, OPTIONAL = _Mark(), _Mark()
Clean = Callable[[str], str]


def _without_tags(text: str) -> str:
    return re.sub(r"<[/!?A-Za-z][^>]*>?", "", text)


def _integer(text: str) -> str:
    found = re.match(r"\s*(-?\d+)", text)
    return str(int(found[1])) if found else "0"


def _sequence(text: str) -> str:
    return re.sub(r"[^0-9,]", "", text)


def username(text: str, *, extended: bool = False) -> str:
    """A username as Moodle would clean it."""
    lower = text.lower().replace(" ", "")
    return lower if extended else re.sub(r"[^-.@_a-z0-9]", "", lower)


def plugin(text: str) -> str:
    return text if re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]|[a-z]", text) else ""


CLEAN: Mapping[str, Clean] = {
    "int": _integer,
    "raw": str,
    "text": _without_tags,
    "notags": _without_tags,
    "username": username,
    "alpha": lambda text: re.sub(r"[^A-Za-z]", "", text),
    "alphanum": lambda text: re.sub(r"[^A-Za-z0-9]", "", text),
    "alphanumext": lambda text: re.sub(r"[^A-Za-z0-9_-]", "", text),
    "plugin": plugin,
    "safedir": lambda text: re.sub(r"[^A-Za-z0-9_-]", "", text),
    "sequence": _sequence,
    "trimmed": str.strip,
}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a Moodle type; `since` is the release that brought it."""

    type: str
    default: Any = REQUIRED
    since: Name = field(default="3.5", kw_only=True)


@dataclass(frozen=True, slots=True)
class Struct:
    """Named members; any other name is refused."""

    members: Mapping[str, Spec]
    default: Any = REQUIRED
    since: Name = field(default="3.5", kw_only=True)


@dataclass(frozen=True, slots=True)
class Many:
    """Any number of the same, at least one: an empty list cannot be sent."""

    item: Spec
    default: Any = REQUIRED
    since: Name = field(default="3.5", kw_only=True)


Spec = Value | Struct | Many


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What checking depends on."""

    version: Version
    extended_usernames: bool = False


def checked(spec: Spec, given: Any, rules: Rules) -> Any:
    """The value as the function gets it. Raises Refused (invalidparameter), its detail naming the place."""
    match spec:
        case Value():
            return _value(spec, given, rules)
        case Many():
            if not isinstance(given, Mapping):
                raise invalid(f"Only arrays accepted. The bad value is: '{given}'")
            return [checked(spec.item, item, rules) for item in given.values()]
        case _:
            return _struct(spec, given, rules)


def _struct(spec: Struct, given: Any, rules: Rules) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise invalid(f"Only arrays accepted. The bad value is: '{given}'")
    found: dict[str, Any] = {}
    known = {name: each for name, each in spec.members.items() if rules.version.since(each.since)}
    for name, each in known.items():
        if name in given:
            found[name] = _member(name, each, given[name], rules)
        elif each.default is REQUIRED:
            raise invalid(f"Missing required key in single structure: {name}")
        elif each.default is not OPTIONAL:
            found[name] = each.default
    unexpected = [name for name in given if name not in known]
    if unexpected:
        raise invalid(f"Unexpected keys ({', '.join(unexpected)}) detected in parameter array.")
    return found


def _member(name: str, spec: Spec, given: Any, rules: Rules) -> Any:
    try:
        return checked(spec, given, rules)
    except Refused as refusal:
        raise invalid(f"{name} => {INVALID}: {refusal.detail}") from None


def _value(spec: Value, given: Any, rules: Rules) -> Any:
    if isinstance(given, Mapping):
        raise invalid("Scalar type expected, array or object received.")
    expected = f'the value is "{given}", the server was expecting "{spec.type}" type'
    if spec.type == "bool":
        if given not in ("0", "1"):
            raise invalid(f"Invalid external api parameter: {expected}")
        return given == "1"
    if spec.type == "float":
        if not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", given):
            raise invalid(f"Invalid external api parameter: {expected}")
        return float(given)
    if cleaned(spec.type, given, rules) != given:
        raise invalid(f"Invalid external api parameter: {expected}")
    return int(given) if spec.type == "int" else given


def cleaned(type: str, text: str, rules: Rules) -> str:
    """A text as a Moodle type would leave it."""
    if type == "username":
        return username(text, extended=rules.extended_usernames)
    return CLEAN[type](text)
