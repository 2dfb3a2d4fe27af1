"""RTOPilot's `${name}` templates, and its URLs as they reach the wire.

Source: vendors/rtopilot.md 2.1 (which operation has which variables), 2.3 and 7.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from gateway.contract import Operation
from gateway.sandbox.rtopilot_switches import Switches

VARIABLES: Mapping[Operation, frozenset[str]] = {
    Operation.GET_COURSES: frozenset({"searchTerm"}),
    Operation.GET_COURSE: frozenset({"courseId"}),
    Operation.GET_ENROLMENT: frozenset({"enrolmentId"}),
    Operation.CREATE_ENROLMENT: frozenset(
        {"courseId", "student.id", "student.firstName", "student.lastName"}
    ),
    Operation.TRANSFER_ENROLMENT: frozenset({"enrolmentId", "to.id", "to.firstName", "to.lastName"}),
    Operation.CANCEL_ENROLMENT: frozenset({"enrolmentId"}),
    Operation.UPDATE_MARKING: frozenset({"enrolmentId", "quizResults"}),
}

Values = Mapping[str, Any]
"""Variable name to value: text, a number, None for absent, or the list of quiz results."""

PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")

# What a WHATWG parser leaves alone, besides letters and digits: printable ASCII less the standard's own sets.
PATH_SAFE = "!$%&'()*+,-./:;=@[]\\_|~"
QUERY_SAFE = "!$%&()*+,-./:;=?@[]\\^_`{|}~"
STRIPPED = "".join(map(chr, range(0x21)))


class TemplateError(Exception):
    """A template names a variable its operation does not have, so nothing was sent."""


def render_body(template: str, operation: Operation, values: Values, switches: Switches) -> bytes:
    """The body's bytes. Text is escaped, `quizResults` becomes a JSON array without quotes.

    Raises TemplateError for an unknown variable under `unknown = error`.
    """
    escape = escape_full if switches.escape == "full" else escape_minimal

    def insert(value: Any) -> str:
        return compact_json(value) if isinstance(value, list) else escape(as_text(value, switches))

    return _utf8(_fill(template, operation, values, switches, insert))


def render_url(template: str, operation: Operation, values: Values, switches: Switches) -> str:
    """The absolute URL in ASCII, exactly as it goes on the wire.

    Raises TemplateError for an unknown variable under `unknown = error`.
    """

    def insert(value: Any) -> str:
        text = compact_json(value) if isinstance(value, list) else as_text(value, switches)
        return encode_component(text) if switches.url == "component" else text

    return whatwg_url(_fill(template, operation, values, switches, insert))


def _fill(
    template: str, operation: Operation, values: Values, switches: Switches, insert: Callable[[Any], str]
) -> str:
    """One pass from left to right; what is inserted is never looked at again."""

    def replace(match: re.Match[str]) -> str:
        if match[1] in VARIABLES[operation]:
            return insert(values.get(match[1]))
        if switches.unknown == "error":
            raise TemplateError(f"{operation} has no variable {match[1]}")
        return match[0] if switches.unknown == "literal" else ""

    return PLACEHOLDER.sub(replace, template)


def as_text(value: Any, switches: Switches) -> str:
    if value is None:
        return "" if switches.none == "empty" else switches.none
    return str(value)


def compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def escape_minimal(text: str) -> str:
    # Backslashes first: the other way round, the backslash of an escaped quote is doubled.
    return text.replace("\\", "\\\\").replace('"', '\\"')


def escape_full(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def encode_component(text: str) -> str:
    """JavaScript's `encodeURIComponent`."""
    return quote(_utf8(text), safe="!'()*-._~")


def whatwg_url(url: str) -> str:
    """An absolute http(s) URL as a WHATWG parser serialises it, less its fragment.

    Outer spaces and controls go, tabs and newlines go anywhere; `\\` is `/` and dot segments are resolved in
    the path; spaces, controls, non-ASCII and a few delimiters are percent-encoded. A lone `%` stays.
    Source: https://url.spec.whatwg.org/#url-parsing
    """
    text = re.sub(r"[\t\r\n]", "", url.strip(STRIPPED)).partition("#")[0]
    target, question, query = text.partition("?")
    scheme, slashes, rest = target.partition("://")
    authority, slash, path = rest.replace("\\", "/").partition("/")
    path = quote(_utf8(_without_dots(path)), safe=PATH_SAFE)
    return f"{scheme}{slashes}{authority}/{path}{question}{quote(_utf8(query), safe=QUERY_SAFE)}"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for position, segment in enumerate(segments):
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE)
        if plain not in (".", ".."):
            kept.append(segment)
            continue
        if plain == ".." and kept:
            kept.pop()
        if position == len(segments) - 1:
            kept.append("")
    return "/".join(kept)


def _utf8(text: str) -> bytes:
    # Half a surrogate pair becomes U+FFFD, as in JavaScript, instead of an error.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
