"""Which signature scheme made the signature of a captured webhook: every candidate over every header.

Source: vendors/rtopilot.md 5.4. Only what is found is worth anything: that nothing fits proves nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.progress.digests import Encoding, KeyForm, key_of, plain, written
from gateway.progress.signatures import (
    ALGORITHMS,
    KEY_FORMS,
    Algorithm,
    Headers,
    HookScheme,
    candidates,
    digest,
    listed,
    signed_bytes,
    time_of,
)
from gateway.secret import Secret

MAX_HEADERS = 100
MAX_STAMPS = 10
MAX_VALUE = 2000
MAX_PREFIX = 32

_REQUEST_LINE = re.compile(rb"[A-Z]{1,10} (\S+)(?: HTTP/[0-9.]+)?")
_HOOK_PATH = re.compile(r"/t/([^/?#]+)/hooks/([^/?#]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One request as it was caught. `door` and `event` are those of its address, where that is known."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    door: str | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A scheme that fits, the name of the secret, and what had to be done to the body, if anything."""

    scheme: HookScheme
    secret: str
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamp:
    """A time and the header it stands in: alone, or as `t=` of a list."""

    header: str
    text: bytes
    listed: bool


def parse_request(raw: bytes) -> Captured:
    """A request copied as text: request line (may be missing), headers, blank line, body.

    Raises ValueError when there is no header in it.
    """
    head, body = _parted(raw)
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    first = _REQUEST_LINE.fullmatch(lines[0].strip())
    headers = parse_headers(b"\n".join(lines[1:] if first else lines))
    address = _HOOK_PATH.search(first[1].decode("latin-1")) if first else None
    door, event = (address[1], address[2]) if address else (None, None)
    return Captured(headers=headers, body=body, door=door, event=event)


def parse_headers(text: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Headers written `Name: value`, one a line. Raises ValueError when there is none."""
    found = []
    for line in text.splitlines():
        name, colon, value = line.partition(b":")
        if colon and name.strip():
            found.append((name.strip().lower(), value.strip()[:MAX_VALUE]))
    if not found:
        raise ValueError("there is no header in it, such as `X-Signature: …`")
    return tuple(found[:MAX_HEADERS])


def stored_headers(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as a delivery is stored: `-` in their names is `_` there."""
    return tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())


def find_schemes(captured: Captured, secrets: Mapping[str, Secret]) -> list[Match]:
    """Every scheme that fits one of the secrets (by name), the least change of the body first."""
    found: dict[tuple[HookScheme, str], Match] = {}
    for note, body in _bodies(captured.body):
        for stamp in (None, *_stamps(captured.headers)):
            signed = signed_bytes(body, None if stamp is None else stamp.text)
            for name, form, algorithm, value in _digests(secrets, signed):
                for header, encoding, prefix in _places(captured.headers, value, stamp):
                    scheme = HookScheme(
                        header=header,
                        algorithm=algorithm,
                        encoding=encoding,
                        prefix=prefix,
                        signed="raw" if stamp is None else "timestamp.raw",
                        timestamp_header=None if stamp is None or stamp.listed else stamp.header,
                        key=form,
                    )
                    found.setdefault((scheme, name), Match(scheme=scheme, secret=name, body=note))
    return list(found.values())


def as_yaml(scheme: HookScheme) -> str:
    """What to paste below a tenant in config.yaml."""
    lines = [
        f"header: {_title(scheme.header)}",
        f"algorithm: {scheme.algorithm}",
        f"encoding: {scheme.encoding}",
        f"prefix: {json.dumps(scheme.prefix)}",
        f"signed: {scheme.signed}",
    ]
    if scheme.timestamp_header is not None:
        lines.append(f"timestamp_header: {_title(scheme.timestamp_header)}")
    if scheme.signed == "timestamp.raw":
        lines.append(f"tolerance: {scheme.tolerance_s:.0f}s")
    lines.append(f"key: {scheme.key}")
    return "\n".join(["rtopilot:", "  hooks:", "    signature:", *(f"      {line}" for line in lines)])


def tried(captured: Captured, secrets: Sequence[str]) -> str:
    """What a search without a result has looked at: names only."""
    names = ", ".join(dict.fromkeys(_title(name.decode("latin-1")) for name, _ in captured.headers))
    stamps = _stamps(captured.headers)
    times = f", or one of {len(stamps)} times, a dot and it" if stamps else ""
    return (
        f"Tried {', '.join(ALGORITHMS)} of the body ({len(captured.body)} bytes){times}; in hex, base64 and "
        f"base64url, alone, behind a prefix or in a list; each secret as {', '.join(KEY_FORMS)}.\n"
        f"Headers: {names}.\nSecrets: {', '.join(secrets)}."
    )


def _parted(raw: bytes) -> tuple[bytes, bytes]:
    """Head and body, parted by the first blank line."""
    found = re.search(rb"\r?\n\r?\n", raw)
    return (raw, b"") if found is None else (raw[: found.start()], raw[found.end() :])


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The body, and what it may have been before a tool or an editor touched its line ends."""
    yield "", body
    shorter = body.rstrip(b"\r\n")
    if shorter != body:
        yield "without the line end behind it", shorter
    if b"\r\n" in shorter:
        yield "with \\n for \\r\\n", shorter.replace(b"\r\n", b"\n")
    elif b"\n" in shorter:
        yield "with \\r\\n for \\n", shorter.replace(b"\n", b"\r\n")


def _stamps(headers: Headers) -> list[_Stamp]:
    """Times that may have been signed."""
    found = [
        _Stamp(header=name.decode("latin-1"), text=text, listed=from_list)
        for name, value in headers
        for text, from_list in ((value, False), (listed(value, b"t="), True))
        if text is not None and time_of(text) is not None
    ]
    return found[:MAX_STAMPS]


def _digests(secrets: Mapping[str, Secret], signed: bytes) -> Iterator[tuple[str, KeyForm, Algorithm, bytes]]:
    for name, secret in secrets.items():
        for form in KEY_FORMS:
            try:
                key = key_of(secret.reveal(), form)
            except ValueError:
                continue
            for algorithm in ALGORITHMS:
                yield name, form, algorithm, digest(algorithm, key, signed)


def _places(headers: Headers, value: bytes, stamp: _Stamp | None) -> Iterator[tuple[str, Encoding, str]]:
    """Where this digest stands: header, encoding and the prefix before it."""
    for name, text in headers:
        header = name.decode("latin-1")
        if stamp is not None and stamp.listed and stamp.header != header:
            continue
        for part in candidates(text, b""):
            for encoding in _encodings(part):
                wanted = written(value, encoding)
                before = part[: max(0, len(part.rstrip(b"=")) - len(wanted))]
                if len(before) <= MAX_PREFIX and plain(part[len(before) :], encoding) == wanted:
                    yield header, encoding, before.decode("latin-1")


def _encodings(text: bytes) -> tuple[Encoding, Encoding]:
    """Both alphabets of base64 mean the same: the one that the text shows."""
    return "hex", "base64url" if b"-" in text or b"_" in text else "base64"


def _title(header: str) -> str:
    return "-".join(word.capitalize() for word in header.split("-"))
