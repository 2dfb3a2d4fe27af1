"""One plain value of a setting: is it what the type says, and how is it spelt."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import available_timezones

from gateway.mapping.expressions import nearest
from gateway.mapping.spec import Setting
from gateway.mapping.values import kind_of
from gateway.mapping.zones import RAILS_ZONES, find_zone

MAX_CHARACTERS = 10_000
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)+(?=.*[a-z]){_LABEL}")
_URL = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?P<rest>/[!-~]*)?")
_LINK = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:[/?#][!#-;=?-\[\]-~]*)?")
_SWITCHES = {"true": True, "on": True, "false": False, "off": False}


class Wrong(ValueError):
    """A value its setting cannot have, and what to write instead."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        self.message, self.fix = message, fix
        super().__init__(message)


def check_scalar(setting: Setting, value: Any, text: str | None) -> Any:
    """The value as the setting's type wants it. Raises Wrong.

    `text` is how it is spelt in the file, None for lists and objects.
    """
    if text is None or value is None:
        raise wrong_kind(_WANTED[setting.type], value)
    if len(text) > MAX_CHARACTERS:
        raise Wrong(f"This is longer than {MAX_CHARACTERS:,} characters.")
    checked = _CHECKS[setting.type](setting, value, text)
    _match(setting, text)
    return checked


def wrong_kind(wanted: str, value: Any) -> Wrong:
    found = "nothing" if value is None else kind_of(value)
    return Wrong(f"This must be {wanted}; {found} stands here.")


def is_host(text: str) -> bool:
    """A full lower-case host name: no port, no address, no single word."""
    return _HOST.fullmatch(text) is not None


def _match(setting: Setting, text: str) -> None:
    if setting.pattern is None and setting.refuse is None:
        return
    import re2  # heavy: only where a mapping has patterns

    if setting.pattern is not None and re2.search(setting.pattern, text) is None:
        raise Wrong(f"This does not match the pattern `{setting.pattern}`.")
    if setting.refuse is not None and re2.search(setting.refuse, text) is not None:
        raise Wrong(f"This matches the pattern `{setting.refuse}`, which it must not.")


def _text(setting: Setting, value: Any, text: str) -> str:
    return text


def _number(setting: Setting, value: Any, text: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("This must be a number.", "Write digits without quotes, units or spaces, such as `2000`.")
    return value


def _switch(setting: Setting, value: Any, text: str) -> bool:
    if text not in _SWITCHES:
        raise Wrong("This is a switch.", "Write `true` or `false`.")
    return _SWITCHES[text]


def _host(setting: Setting, value: Any, text: str) -> str:
    host = text.strip().lower()
    if is_host(host):
        return host
    bare = re.sub(r"^[a-z+]+://", "", host).split("/")[0].split(":")[0]
    if bare != host and is_host(bare):
        raise Wrong("This must be a host name alone, without scheme, port or path.", f"Write `{bare}`.")
    raise Wrong("This is not a full host name.", _with_example(setting, "acme.example.com"))


def _url(setting: Setting, value: Any, text: str) -> str:
    match = _URL.fullmatch(text)
    if match is None or not is_host(match["host"].lower()):
        raise Wrong("This is not an https address.", _with_example(setting, "https://acme.example.com/path"))
    if "#" in text:
        raise Wrong("An address has no `#` here.", "Leave out `#` and what follows.")
    return text.rstrip("/") if match["rest"] == "/" else text


def _link(setting: Setting, value: Any, text: str) -> str:
    """An address for people, as it is written: the part after `#` may decide what they see."""
    match = _LINK.fullmatch(text)
    if match is not None and is_host(match["host"].lower()):
        return text
    if "@" in re.split(r"[/?#]", text.removeprefix("https://"), maxsplit=1)[0]:
        raise Wrong("A link holds no user name and no password.", "Leave out what stands before the `@`.")
    raise Wrong("This is not an https address.", _with_example(setting, "https://acme.example.com/c1/#/"))


def _zone(setting: Setting, value: Any, text: str) -> str:
    if find_zone(text) is not None:
        return text
    near = nearest(text, [*RAILS_ZONES, *available_timezones()])
    raise Wrong(f"`{text}` is not a time zone.", f"Write `{near or 'Australia/Perth'}`.")


def _choice(setting: Setting, value: Any, text: str) -> str:
    if setting.of and text not in setting.of:
        near = nearest(text, setting.of)
        words = ", ".join(setting.of)
        found = "The choice" if setting.secret else f"`{text}`"
        raise Wrong(f"{found} is not one of {words}.", f"Write `{near}`." if near else None)
    if not text.strip():
        raise Wrong("The choice is empty.")
    return text


def _with_example(setting: Setting, usual: str) -> str:
    return f"Write it such as `{setting.example or usual}`."


_CHECKS: dict[str, Callable[[Setting, Any, str], Any]] = {
    "text": _text,
    "number": _number,
    "switch": _switch,
    "host": _host,
    "url": _url,
    "link": _link,
    "zone": _zone,
    "choice": _choice,
}
_WANTED = {
    "text": "text",
    "number": "a number",
    "switch": "`true` or `false`",
    "host": "a host name",
    "url": "an https address",
    "link": "an https address",
    "zone": "the name of a time zone",
    "choice": "one word",
}
