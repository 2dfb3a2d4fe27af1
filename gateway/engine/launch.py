"""From a stored enrolment to the personal link that opens its course.

The arguments go into the link's own query, or, with `fragment`, into one inside the part after `#`, which
only the page's script reads. Every value is percent-encoded: a `+` there would stay a plus sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from gateway.engine.ask import YIELDS, ask, question
from gateway.engine.failures import failure
from gateway.engine.frame import Frame, mismade
from gateway.engine.requests import pairs
from gateway.engine.steps import Work
from gateway.errors import BadLink, ExpressionError, GatewayError, Refused, VendorFault
from gateway.mapping.spec import Launch
from gateway.mapping.templates import NullHere, Template, as_text

MAX_CHARACTERS = 8_000

_ADDRESS = re.compile(r"[!$-;=?-\[\]-~]*(?:#[!$-;=?-\[\]-~]*)?")
"""No space, quote or backslash (browsers take it for a slash), nothing outside ASCII, and `#` once."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

Arguments = tuple[tuple[str, str], ...]


def link(frame: Frame, launch: Launch) -> Work:
    """The link of the enrolment in the frame, after the mapping's own read, if it makes one.

    Raises NotFound, Refused or VendorError when that read fails, InternalError when the values do not make a
    link, BadLink when they make one that must not be given out.
    """
    scope: Mapping[str, Any] = {}
    if launch.call is not None:
        answer = yield from ask(frame, question(frame, launch.call.call, step="launch"))
        if answer.outcome not in YIELDS:
            raise failure(frame, answer.reply, answer.verdict)
        scope = answer.scope
    try:
        return _link(frame, launch, scope)
    except ExpressionError as error:
        raise _unmade(launch, error) from error


def help_text(frame: Frame, launch: Launch) -> str | None:
    """Whom to ask about what is inside the course; None where nothing is said. Raises InternalError."""
    if launch.help is None:
        return None
    try:
        text = launch.help.render(frame.context())
    except NullHere:
        return None
    except ExpressionError as error:
        raise mismade(error, launch.help.place) from error
    return as_text(text).strip() or None


def joined(url: str, query: Arguments, *, path: str | None = None, inside: Arguments = ()) -> str:
    """The link: `query` added to the URL's own, and, where `path` is given, `inside` to its fragment's.

    `path` is the fragment's where the URL has none. Raises BadLink, which names no value.
    """
    _check_address(url)
    front, mark, fragment = url.partition("#")
    front = _with(front, query, "query")
    if path is not None:
        front, fragment = (front, fragment) if fragment else (_folder(front), path)
        mark, fragment = "#", _with(fragment, inside, "fragment")
    whole = f"{front}{mark}{fragment}"
    if not _ADDRESS.fullmatch(whole):  # the fragment's path is the mapping's own text
        _refuse("`launch.fragment.path` holds a character that no address can")
    if len(whole) > MAX_CHARACTERS:
        _refuse(f"the link is longer than {MAX_CHARACTERS:,} characters")
    return whole


def _link(frame: Frame, launch: Launch, scope: Mapping[str, Any]) -> str:
    context = frame.context(**scope)
    url = launch.url.render(context)
    if not isinstance(url, str):
        _refuse(f"{launch.url.place} is not text")

    def filled(template: Template | None) -> Arguments:
        return () if template is None else _arguments(template.render(context))

    return joined(url, filled(launch.query), path=launch.fragment_path, inside=filled(launch.fragment_query))


def _arguments(data: Mapping[str, Any]) -> Arguments:
    try:
        return pairs(data)
    except Refused as error:
        raise BadLink(detail=error.detail) from None


def _unmade(launch: Launch, error: ExpressionError) -> GatewayError:
    """A link that its read did not give enough for is the LMS's fault, any other the mapping's."""
    if launch.call is not None and isinstance(error, NullHere) and "reply" in error.roots:
        return VendorFault(detail=f"launch: {error}")
    return mismade(error, "launch")


def _with(part: str, arguments: Arguments, where: str) -> str:
    """A path with its query and these arguments after it; `where` is what the error calls it."""
    if not arguments:
        return part
    path, mark, own = part.partition("?")
    held = {read(pair.partition("=")[0]) for pair in own.split("&") for read in (unquote, unquote_plus)}
    for name, value in arguments:
        if name in held:
            _refuse(f"the {where} of `launch.url` holds `{name}` already")
        if _CONTROL.search(value):
            _refuse(f"the value of `{name}` holds a control character")
    return f"{path}?{own}{_separator(mark, own)}{_encoded(arguments)}"


def _separator(mark: str, own: str) -> str:
    return "&" if mark and own and not own.endswith("&") else ""


def _encoded(arguments: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in arguments)


def _folder(front: str) -> str:
    """What stands before `#`, with a slash at its end: but a file is none with one, and a query stays."""
    path = urlsplit(front).path
    if "?" in front or path.endswith("/") or "." in path.rpartition("/")[2]:
        return front
    return f"{front}/"


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        _refuse("`launch.url` is no address")
    if not _ADDRESS.fullmatch(url):
        _refuse("`launch.url` holds a character that no address can")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        _refuse("`launch.url` is not https")


def _is_here(host: str) -> bool:
    """Whether the host is this machine: a stand-in, in a rehearsal."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(why: str) -> NoReturn:
    raise BadLink(detail=why)
