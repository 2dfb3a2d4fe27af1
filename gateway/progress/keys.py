"""Where the public keys of a webhook's tokens come from: written out in the mapping, or at an address.

Fetched keys are kept for an hour. A token with a key id that is not among them makes for one more look,
at most once a minute, whoever sends such tokens. Keys that cannot be fetched again stay in use.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from gateway.errors import TransportError, VendorUnavailable
from gateway.outbound import Pool

if TYPE_CHECKING:
    from gateway.progress.verify_jwt import Key

KEPT_S = 3600.0
PAUSE_S = 60.0
TIMEOUT_S = 5.0
MAX_BYTES = 262_144

log = logging.getLogger("gateway.hooks")


class KeySource(Protocol):
    async def keys(self, kid: str | None) -> tuple[Key, ...]:
        """The keys now; `kid` is the one wanted. Raises VendorUnavailable when there never were any."""
        ...


def key_source(keys: Any, pool: Pool) -> KeySource:
    """The source that a mapping's `keys` names: a JWKS document, as data or JSON text, or its address.

    Raises ValueError for a document without usable keys, and for what is neither.
    """
    if isinstance(keys, Mapping):
        return InlineKeys(_keys_of(keys))
    if isinstance(keys, str) and keys.lstrip().startswith("{"):
        return InlineKeys(_read(keys))
    if isinstance(keys, str) and urlsplit(keys).netloc:
        return FetchedKeys(pool, keys)
    raise ValueError("`keys` is neither a JWKS document nor its address")


class InlineKeys:
    """Keys that stand in the mapping or the tenant's settings."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys

    async def keys(self, kid: str | None) -> tuple[Key, ...]:
        return self._keys


class FetchedKeys:
    """Keys read from an address, whose host the pool must allow."""

    def __init__(self, pool: Pool, address: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(address)
        self._pool = pool
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def keys(self, kid: str | None) -> tuple[Key, ...]:
        if self._due(kid) or (self._lock.locked() and self._lacks(kid)):
            async with self._lock:  # another delivery may be looking: its answer serves both
                if self._due(kid):
                    await self._look()
        if self._read_at is None:
            raise VendorUnavailable(detail="the keys of the webhook's tokens cannot be read")
        return self._keys

    def _due(self, kid: str | None) -> bool:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < PAUSE_S:
            return False
        return self._lacks(kid) or (self._read_at is not None and now - self._read_at >= KEPT_S)

    def _lacks(self, kid: str | None) -> bool:
        if self._read_at is None:
            return True
        return kid is not None and all(key.kid != kid for key in self._keys)

    async def _look(self) -> None:
        self._tried_at = self._clock()
        try:
            answer = await self._pool.send(
                "GET",
                self._base,
                self._target,
                headers={"accept": "application/json"},
                timeout_s=TIMEOUT_S,
                max_bytes=MAX_BYTES,
            )
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            self._keys = _read(answer.content)
        except (TransportError, ValueError) as error:
            log.warning("the keys at %s cannot be read: %s", self._base, error)
        else:
            self._read_at = self._clock()


def _keys_of(document: Any) -> tuple[Key, ...]:
    from gateway.progress.verify_jwt import read_keys  # 3 MB that few deployments need

    return read_keys(document)


def _read(text: str | bytes) -> tuple[Key, ...]:
    try:
        return _keys_of(json.loads(text))
    except RecursionError:
        raise ValueError("not a JWKS document: nested too deeply") from None
