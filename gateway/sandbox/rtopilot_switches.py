"""What RTOPilot's documentation leaves open about its calls, one switch each.

Source: vendors/rtopilot.md 7.1; the points marked SILENT in 2.2, 2.3 and 8.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

Unknown = Literal["error", "literal", "empty"]
Escape = Literal["minimal", "full"]
UrlMode = Literal["component", "raw"]
Absent = Literal["empty", "undefined", "null"]
IdKey = Literal["id", "enrolmentId", "lmsEnrolmentId"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """One way RTOPilot may behave; the defaults are the likeliest."""

    unknown: Unknown = "error"
    """A placeholder the operation does not have: refuse to call, leave it as written, or put nothing."""
    escape: Escape = "minimal"
    """Text put into bodies: only backslash and quote (all that is promised), or complete JSON escaping."""
    url: UrlMode = "component"
    """Values put into URLs: encoded like `encodeURIComponent`, or left to a WHATWG URL parser."""
    none: Absent = "empty"
    """A value that is absent: nothing, or the bare word `undefined` or `null`."""
    content_type: bool = True
    """Whether POSTs carry `Content-Type: application/json`."""
    timeout_s: float = 10.0
    """How long one call may take in all, from connecting to the last byte of the answer."""
    follow_redirects: bool = False
    """Whether redirects are followed (at most five)."""
    keep_enrolment_on_failure: bool = False
    """Whether an enrolment stays in RTOPilot, without an LMS id, when Create fails."""
    id_key: IdKey = "id"
    """The key of the answer to Create and Transfer from which the enrolment id is taken."""


CHOICES: dict[str, tuple[Any, ...]] = {
    "unknown": ("error", "literal", "empty"),
    "escape": ("minimal", "full"),
    "url": ("component", "raw"),
    "none": ("empty", "undefined", "null"),
    "content_type": (True, False),
    "timeout_s": (10.0, 5.0),
    "follow_redirects": (False, True),
    "keep_enrolment_on_failure": (False, True),
    "id_key": ("id", "enrolmentId", "lmsEnrolmentId"),
}
"""Every setting of every switch, the default first."""

Pair = tuple[str, Any, str, Any]


def pairs_of(switches: Switches) -> set[Pair]:
    """Every two settings that hold together in `switches`."""
    settings = [(field.name, getattr(switches, field.name)) for field in fields(switches)]
    return {(*one, *two) for one, two in itertools.combinations(settings, 2)}


@cache
def all_switch_combinations() -> tuple[Switches, ...]:
    """A short list in which every two settings meet at least once; the defaults come first."""
    every = [
        Switches(**dict(zip(CHOICES, values, strict=True))) for values in itertools.product(*CHOICES.values())
    ]
    pairs = {switches: pairs_of(switches) for switches in every}
    missing = set().union(*pairs.values())
    chosen: list[Switches] = []
    best = every[0]
    while missing:
        chosen.append(best)
        missing -= pairs[best]
        best = max(every, key=lambda switches: len(pairs[switches] & missing))
    return tuple(chosen)


def switch_id(switches: Switches) -> str:
    """The settings that differ from the defaults, as a short name for a test's id."""
    return ",".join(_differences(switches)) or "defaults"


def _differences(switches: Switches) -> Iterable[str]:
    for name, (default, *_) in CHOICES.items():
        value = getattr(switches, name)
        if value != default:
            yield f"{name}={value}"
