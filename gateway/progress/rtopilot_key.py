"""The tenant's RTOPilot API key: a fixed one, or a file that is read again when it changes.

RTOPilot has one key per organisation, and rotating it kills the old one at once; a key file lets the new one
in without a restart. Source: vendors/rtopilot.md 4.2.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

from gateway.secret import Secret, SecretUnreadable, read_secret

log = logging.getLogger("gateway.delivery")

LOOK_EVERY_S = 1.0

_KEY = re.compile(r"rtop_[!-~]{1,500}")
_Mark = tuple[int, int, int]


class KeySource:
    """The key as it stands now. A file is looked at once a second at most, and read when it has changed.

    A file that is missing, unreadable or half written leaves the last good key in use.
    Raises SecretUnreadable when there is no good key to begin with.
    """

    def __init__(self, given: Secret | Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = given if isinstance(given, Path) else None
        self._clock = clock
        self._looked_at = clock()
        self._mark: _Mark | None = None if self._file is None else _mark(self._file)
        self._secret = given if isinstance(given, Secret) else _read(given)
        self._fingerprint = fingerprint(self._secret)

    def current(self) -> Secret:
        """The key to send with."""
        if self._file is not None and self._clock() - self._looked_at >= LOOK_EVERY_S:
            self._look(self._file)
        return self._secret

    @property
    def fingerprint(self) -> str:
        """`fingerprint` of the key to send with."""
        self.current()
        return self._fingerprint

    def _look(self, file: Path) -> None:
        self._looked_at = self._clock()
        mark = _mark(file)  # before the reading: what changes meanwhile is seen the next time
        if mark is None or mark == self._mark:
            return
        self._mark = mark
        try:
            self._secret = _read(file)
        except SecretUnreadable as problem:
            log.warning("the new RTOPilot key is not used: %s %s", problem.message, problem.fix)
            return
        self._fingerprint = fingerprint(self._secret)


def fingerprint(key: Secret) -> str:
    """A hash that tells keys apart and gives none away: they are 256 random bits."""
    return hashlib.sha256(b"rtopilot-key\0" + key.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> Secret:
    key = read_secret(f"${{file:{file.name}}}", folder=file.parent, environ={})
    if _KEY.fullmatch(key.reveal()) is None:
        raise SecretUnreadable(
            f"The file `{file.name}` does not hold an RTOPilot key.",
            "Write the key alone into it: it begins with `rtop_`.",
        )
    return key


def _mark(file: Path) -> _Mark | None:
    """What changes when the file does; None when it cannot be looked at just now."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
