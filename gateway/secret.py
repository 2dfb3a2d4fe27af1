"""Secrets: a text that never shows itself, and the places it comes from.

    ${env:NAME}            an environment variable
    ${file:/run/secrets/x} a file; a relative path starts at the folder of config.yaml
    anything else          the text itself

Source: design 3 (13); a secret in an exception is still a leak.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from gateway.errors import Problem

MAX_BYTES = 65_536
SHORTEST_HIDDEN = 3
MASK = "‹secret›"

_SOURCE = re.compile(r"\$\{(env|file):([^{}]*)\}")
_ANY_SOURCE = re.compile(r"(?<!\$)\$\{\s*(env|file)\s*:")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret:
    """A text that shows itself only through `reveal`.

    `str`, `repr`, `format` and JSON through `str` give a mask; pickling is refused; copies are the same
    object; equality takes the same time wherever two secrets differ.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        return self.__text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__text), _bytes(other.__text))

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is never pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")


class SecretUnreadable(ValueError):
    """A secret that is not where it should be; names the variable or file, never a value."""

    def __init__(self, message: str, fix: str) -> None:
        self.message, self.fix = message, fix
        super().__init__(message)


def has_source(text: str) -> bool:
    """Whether a text holds `${env:…}` or `${file:…}`, well-formed or not; `$${env:` is a literal."""
    return _ANY_SOURCE.search(text) is not None


def is_source(text: str) -> bool:
    """Whether a text says where a secret comes from, rather than being one."""
    return _SOURCE.fullmatch(text) is not None


def read_secret(text: str, *, folder: Path, environ: Mapping[str, str]) -> Secret:
    """The secret that a text of config.yaml stands for, without line ends behind it.

    Raises SecretUnreadable where it is missing, empty, or not the whole value.
    """
    match = _SOURCE.fullmatch(text)
    if match is None:
        return _literal(text)
    kind, name = match[1], match[2].strip()
    value = _from_environment(name, environ) if kind == "env" else _from_file(folder / name, name)
    what = f"The environment variable `{name}`" if kind == "env" else f"The file `{name}`"
    return _not_empty(value, what)


def hide(problem: Problem, texts: Iterable[str]) -> Problem:
    """The problem without these texts: masked in its sentences; a line of the file with one is left out.

    Texts of one or two characters are no secrets, and would mask half of every sentence.
    """
    message, fix, source = problem.message, problem.fix, problem.source
    for text in filter(lambda text: len(text) >= SHORTEST_HIDDEN, texts):
        source = None if source is not None and text in source else source
        for spelling in {text, json.dumps(text)[1:-1], repr(text)[1:-1]}:
            whole = re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)")
            message = whole.sub(MASK, message)
            fix = whole.sub(MASK, fix) if fix else fix
    return replace(problem, message=message, fix=fix, source=source)


def read_or_make_key(path: Path) -> Secret:
    """The random key kept in this file; made there, readable by its owner only, when there is none.

    Several processes may start at once: all get the same key. Raises SecretUnreadable.
    """
    try:
        if not path.exists():
            _make_key(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SecretUnreadable(f"The key file `{path}` may be read by others.", f"chmod 600 {path}")
    except OSError as exc:
        raise SecretUnreadable(*_key_trouble(path, exc)) from exc
    return _not_empty(_from_file(path, str(path)), f"The key file `{path}`")


def _not_empty(text: str, what: str) -> Secret:
    value = text.rstrip("\r\n")
    if not value:
        raise SecretUnreadable(f"{what} is empty.", "Put the secret there.")
    return Secret(value)


def _make_key(path: Path) -> None:
    """Linked into place whole, so that nobody reads half a key and the first of several processes wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _key_trouble(path: Path, exc: OSError) -> tuple[str, str]:
    reason = exc.strerror or "unknown reason"
    return (
        f"The key file `{path}` cannot be made or read: {reason}.",
        "Write `secret:` in config.yaml instead.",
    )


def _literal(text: str) -> Secret:
    if "${" in text:
        raise SecretUnreadable(
            "A secret is one whole `${env:NAME}` or `${file:/path}`, with nothing around it.",
            "Put the whole text into the variable or file.",
        )
    if not text.strip():
        raise SecretUnreadable("The secret is empty.", "Write `${env:NAME}` or `${file:/path}`.")
    return Secret(text)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if not _ENV_NAME.fullmatch(name):
        raise SecretUnreadable(
            "This is not the name of an environment variable.", "Use letters, digits and underscores."
        )
    value = environ.get(name)
    if value is None:
        raise SecretUnreadable(
            f"The environment variable `{name}` is not set.",
            f"Set it before the gateway starts: export {name}=…",
        )
    return value


def _from_file(path: Path, name: str) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise SecretUnreadable(f"There is no file `{name}`.", "Make the file, or correct its path.")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        if isinstance(exc, SecretUnreadable):
            raise
        reason = getattr(exc, "strerror", None) or "unknown reason"
        raise SecretUnreadable(
            f"The file `{name}` cannot be read: {reason}.", "Give the gateway's user leave to read it."
        ) from exc
    return _text(raw, name)


def _text(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise SecretUnreadable(f"The file `{name}` is larger than 64 KiB.", "Is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:  # not chained: that error carries the bytes
        pass
    raise SecretUnreadable(f"The file `{name}` is not UTF-8 text.", "Save it as UTF-8.")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
