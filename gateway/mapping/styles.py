"""Words and styles that mapping files, the engine and the codecs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Effect = Literal["read", "write"]
Outcome = Literal[
    "ok", "already", "absent", "refused", "throttled", "relogin", "retry", "unknown", "restart", "fail"
]
CheckOutcome = Literal["refused", "absent", "fail"]
BodyKind = Literal["none", "json", "form", "xml", "soap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStyle:
    """How values go into a path: `keep` stays literal, a value holding one of `refuse` is never sent.

    `encode`: characters that need no encoding (RFC 3986 section 2.3) and get it all the same.
    """

    keep: str = ""
    encode: str = ""
    refuse: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormStyle:
    """How nested data becomes a form: `server.form` of the mapping."""

    nested: Literal["brackets", "dots", "repeat"] = "brackets"
    booleans: tuple[str, str] = ("true", "false")
    omit_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlStyle:
    """How XML and SOAP replies become a tree: `server.xml` of the mapping."""

    names: Literal["local", "prefixed"] = "local"
    resolve_href: bool = False
    empty_absent: bool = False
    lists: tuple[str, ...] = ()
    max_bytes: int = 10_000_000
    max_depth: int = 100
