"""Vendor sessions kept in the store, encrypted, so that all gateways share one login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet

from gateway.store import tokens
from gateway.store.database import Database
from gateway.vendor.auth import LEASE_S, Renewal, Token


class StoreKeeper:
    """A `Keeper` over the token table; `auth` is a hash of what the tenant logs in with."""

    def __init__(self, database: Database, tenant: str, auth: str, owner: str, key: Fernet) -> None:
        self._database, self._tenant, self._auth, self._owner, self._key = database, tenant, auth, owner, key

    async def load(self) -> Token | None:
        return _usable(await self._stored())

    async def version(self) -> int:
        return (await self._stored()).version

    async def _stored(self) -> tokens.Token:
        return await self._database.read(lambda conn: tokens.load(conn, self._tenant, self._auth, self._key))

    async def claim(self, failed_version: int) -> Renewal:
        now = self._database.clock.now()
        return await self._database.write(
            lambda conn: tokens.claim_renewal(
                conn, self._tenant, self._auth, failed_version, self._owner, now, LEASE_S
            )
        )

    async def save(
        self, failed_version: int, parts: Mapping[str, Any], expires_at: float | None
    ) -> Token | None:
        now = self._database.clock.now()
        saved = await self._database.write(
            lambda conn: tokens.save(
                conn,
                self._tenant,
                self._auth,
                failed_version,
                parts,
                self._key,
                now=now,
                expires_at=expires_at,
            )
        )
        if not saved:
            return None
        return Token(
            version=failed_version + 1, parts=dict(parts), saved_at=now, used_at=now, expires_at=expires_at
        )

    async def pause(self, seconds: float, reason: str) -> None:
        until = self._database.clock.now() + seconds
        await self._database.write(
            lambda conn: tokens.pause(conn, self._tenant, self._auth, self._owner, until, reason[:200])
        )


def _usable(stored: tokens.Token) -> Token | None:
    if stored.value is None or stored.saved_at is None:
        return None
    return Token(
        version=stored.version,
        parts=stored.value,
        saved_at=stored.saved_at,
        used_at=stored.saved_at,
        expires_at=stored.expires_at,
    )
