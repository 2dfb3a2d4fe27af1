"""Which addresses may be called: exact hosts, https, harmless targets, public IP addresses on request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, urlsplit

from gateway.errors import HostRefused

_BASE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#]*)?"
)
# What may stand in a request line. Not "#", which ends a target, nor a backslash, to some servers a slash.
_TARGET = re.compile(r"[!\"$-\[\]-~]*")
# A segment that some server, after decoding, takes for "here" or "one up". `%2F`, `\` and `;` end a
# segment too: nginx, IIS and Tomcat each normalise one of them.
_DOT_SEGMENT = re.compile(
    r"(?:^|/|%2F|%5C)(?:\.|%2E){1,2}(?:/|%2F|%5C|;|%3B|$)",
    re.IGNORECASE,
)
# NAT64: the last 32 bits are an IPv4 address that the network translates to (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")
MAX_TARGET_CHARS = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The fixed front of a vendor's addresses.

    `origin` is `scheme://host[:port]`; `path` has no final slash.
    """

    origin: str
    host: str
    path: str


def bare_host(text: str) -> str:
    """The host of an address, or of `host[:port]`, in lower case; empty where there is none."""
    try:
        return (urlsplit(text if "://" in text else f"//{text}").hostname or "").lower()
    except ValueError:
        return ""


def checked_base(text: str, *, hosts: Iterable[str], public_only_hosts: Iterable[str]) -> Base:
    """The base address, if calls to it are allowed.

    `hosts` are lower case and without ports. Plain http is for loopback only. Raises HostRefused.
    """
    match = _BASE.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        raise HostRefused("the base address is not https://host[:port][/path]")
    host = match["host"].lower().strip("[]")
    if host not in hosts:
        raise HostRefused(f"host {host!r} is not among the hosts of this mapping")
    if match["scheme"] == "http" and not is_loopback(host):
        raise HostRefused(f"host {host!r} may be called over https only")
    if host in public_only_hosts and is_address(host) and not is_public(host):
        raise HostRefused(f"host {host!r} is not a public address")
    shown = f"[{host}]" if ":" in host else host
    origin = f"{match['scheme']}://{shown}" + (f":{match['port']}" if match["port"] else "")
    return Base(origin=origin, host=host, path=(match["path"] or "").rstrip("/"))


def checked_target(base: Base, target: str, query: Iterable[tuple[str, str]]) -> str:
    """Path and query as they will stand in the request line: `target` byte for byte, `query` encoded.

    A space in `query` becomes `%20`: a "+" means a plus sign to some servers and a space to others.
    Raises HostRefused for dot segments, however they are written, and for characters HTTP cannot carry.
    """
    whole = base.path + target or "/"
    if not whole.startswith("/") or len(whole) > MAX_TARGET_CHARS or not _TARGET.fullmatch(whole):
        raise HostRefused("the path is not a plain absolute path")
    path, mark, asked = whole.partition("?")
    if _DOT_SEGMENT.search(path):
        raise HostRefused("the path has a dot segment")
    pairs = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query]
    if not pairs:
        return whole
    return f"{path}?{'&'.join([asked, *pairs] if mark and asked else pairs)}"


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, looking through IPv4 inside IPv6.

    Not public: private, loopback, link-local (cloud metadata), shared 100.64/10, multicast, reserved.
    """
    ip = ip_address(address)
    inner = _embedded(ip)
    return ip.is_global and not ip.is_multicast if inner is None else is_public(str(inner))


def _embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
