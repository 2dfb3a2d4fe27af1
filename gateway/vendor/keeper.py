"""Session tokens, and where they live so that everybody who calls one vendor account shares one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Renewal = Literal["yours", "renewed", "wait", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A session at the vendor. `parts` are what the mapping reads as `token.…`; times are Unix seconds.

    `version` grows with each save; two tokens are the same session when their `parts` are equal.
    """

    version: int
    parts: Mapping[str, Any]
    saved_at: float
    used_at: float
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Token(version={self.version})"


class Keeper(Protocol):
    """Where tokens live so that all gateways share one (the store implements it).

    `claim`: yours: log in, then `save` or `pause` · renewed: somebody has, load again · wait: somebody is
    at it · paused: a login failed a moment ago. `save` gives None when somebody saved first.
    """

    async def load(self) -> Token | None: ...
    async def version(self) -> int: ...
    async def claim(self, failed_version: int) -> Renewal: ...
    async def save(
        self, failed_version: int, parts: Mapping[str, Any], expires_at: float | None
    ) -> Token | None: ...
    async def pause(self, seconds: float, reason: str) -> None: ...


class MemoryKeeper:
    """A keeper for one process, for `try`, tests and tenants without a shared store."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._token: Token | None = None
        self._version = 0
        self._paused_until = 0.0

    async def load(self) -> Token | None:
        return self._token

    async def version(self) -> int:
        return self._version

    async def claim(self, failed_version: int) -> Renewal:
        if self._version != failed_version:
            return "renewed"
        return "paused" if self._now() < self._paused_until else "yours"

    async def save(
        self, failed_version: int, parts: Mapping[str, Any], expires_at: float | None
    ) -> Token | None:
        if self._version != failed_version:
            return None
        self._version += 1
        now = self._now()
        self._token = Token(
            version=self._version, parts=dict(parts), saved_at=now, used_at=now, expires_at=expires_at
        )
        return self._token

    async def pause(self, seconds: float, reason: str) -> None:
        self._paused_until = self._now() + seconds
