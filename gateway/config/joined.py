"""The LMSs of one organisation in config.yaml: its own (`mapping:`), and those under `lms:` by alias."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.config.file import ConfigFile
from gateway.ids import ALIAS_PATTERN
from gateway.yamlfile import Place

MAX_LMS = 20
LONG_ALIAS = 8
"""Beyond this many characters an id made of two UUIDs no longer fits, and is lost with the database."""
TAKEN = frozenset({"courses", "enrolments", "hooks", "launch"})
"""Words that stand in addresses beside an alias."""
_FOR_ONE = ("base_url", "settings", "secrets", "names")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """One LMS of an organisation: the tenant's name it is served under, its alias, its place in the file."""

    name: str
    alias: str | None
    here: Place


def read_joined(file: ConfigFile, organisation: str) -> list[Joined]:
    """The organisation's LMSs in the order of the file, its own first; what cannot be one is a problem."""
    here: Place = ("tenants", organisation)
    found = [Joined(name=organisation, alias=None, here=here)] if file.has(*here, "mapping") else []
    for alias in list(file.object(*here, "lms"))[:MAX_LMS]:
        _check_alias(file, (*here, "lms", alias), alias)
        found.append(Joined(name=f"{organisation}/{alias}", alias=alias, here=(*here, "lms", alias)))
    if not found:
        file.problem(
            here, "This tenant is joined to no LMS.", fix="Add `mapping:`, or `lms:` with several.", key=True
        )
    if not file.has(*here, "mapping"):
        _refuse_ownerless(file, here)
    return found


def _check_alias(file: ConfigFile, place: Place, alias: str) -> None:
    if not re.fullmatch(ALIAS_PATTERN, alias) or alias in TAKEN:
        message = "This name begins the LMS's ids: a letter, then letters and digits, lower case, at most 16."
        fix = re.sub(r"[^a-z0-9]+", "", alias.lower()).lstrip("0123456789")[:16]
        file.problem(place, message, fix=f"Write `{fix if fix and fix not in TAKEN else 'lms2'}`.", key=True)
    elif len(alias) > LONG_ALIAS:
        message = "A short name is better: with a long one, ids made of two UUIDs no longer fit."
        file.warn(place, message, fix=f"Write such as `{alias[:LONG_ALIAS]}`. It cannot be changed later.")


def _refuse_ownerless(file: ConfigFile, here: Place) -> None:
    """What belongs to one LMS, where it is not said to which."""
    for key in _FOR_ONE:
        if file.has(*here, key) and file.has(*here, "lms"):
            message = f"`{key}` belongs to one LMS."
            file.problem((*here, key), message, fix="Move it below its name under `lms:`.", key=True)
