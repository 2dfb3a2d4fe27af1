"""The launch link, read as strictly as its rules allow: all parameters stand inside the fragment.

Source: vendors/77media.md 2.1 to 2.3; RFC 3986 for the characters of an address.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gateway.sandbox.media77_switches import Switches

REQUIRED = ("reg", "em", "fn", "dom", "lmsId")
MAX_CHARACTERS = 255
MAX_LINK = 16_384
_ODD = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A well-made link, its values decoded; `reg` in lower case."""

    scheme: str
    host: str
    port: int | None
    path: str
    reg: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    domain: str
    lms_id: str
    extra: dict[str, str] = field(repr=False)


def link_of(url: str, switches: Switches) -> Link:
    """The parts of a launch link. Raises ValueError for a malformed one, saying what is wrong."""
    if len(url) > MAX_LINK:
        raise ValueError("the link is too long")
    if odd := _ODD.search(url):
        raise ValueError(f"the character {odd[0]!r} cannot stand in an address; it has to be encoded")
    address, mark, fragment = url.partition("#")
    if not mark or "#" in fragment:
        raise ValueError("a link has one # and its parameters behind it")
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("the link is not a web address")
    if leaked := [name for name in REQUIRED if f"&{name}=" in f"&{parts.query}"]:
        raise ValueError(f"{', '.join(leaked)} before the # would reach the server")
    values = _values(_query_of(fragment, deep_links=switches.deep_links))
    extra = {name: value for name, value in values.items() if name not in REQUIRED}
    if extra and not switches.extra_parameters:
        raise ValueError(f"there is no parameter {', '.join(sorted(extra))}")
    _check(values, switches)
    return Link(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port,
        path=parts.path,
        reg=str(uuid.UUID(values["reg"])),
        email=values["em"],
        name=values["fn"],
        domain=values["dom"],
        lms_id=values["lmsId"],
        extra=extra,
    )


def _query_of(fragment: str, *, deep_links: bool) -> str:
    route, mark, query = fragment.partition("?")
    if not mark:
        raise ValueError("the parameters have to stand behind #/?, not before the #")
    if route != "/" and not (deep_links and route.startswith("/")):
        raise ValueError("the fragment has to begin with /?")
    return query


def _values(query: str) -> dict[str, str]:
    """The pairs, decoded. A plus is a plus, for this is no form."""
    values: dict[str, str] = {}
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ValueError("a parameter is a name, = and a value")
        if "=" in value:
            raise ValueError(f"{name}: = inside a value has to be encoded")
        if name in values:
            raise ValueError(f"{name} is there twice")
        values[name] = _decoded(name, value)
    return values


def _decoded(name: str, value: str) -> str:
    if _BAD_ESCAPE.search(value):
        raise ValueError(f"{name}: % is followed by no two hexadecimal digits; a percent sign is %25")
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as exc:
        raise ValueError(f"{name} is not UTF-8") from exc


def _check(values: dict[str, str], switches: Switches) -> None:
    for name in REQUIRED:
        if not values.get(name, "").strip():
            raise ValueError(f"{name} is missing")
        if len(values[name]) > MAX_CHARACTERS:
            raise ValueError(f"{name} is longer than {MAX_CHARACTERS} characters")
    if not _UUID.fullmatch(values["reg"]):
        raise ValueError("reg is not a UUID")
    if switches.email_checked and not _EMAIL.fullmatch(values["em"]):
        raise ValueError("em is not an e-mail address")
    if switches.bare_domain and not _HOST.fullmatch(values["dom"]):
        raise ValueError("dom is not a bare host name")
