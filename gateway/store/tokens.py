"""Vendor session tokens: one for each (tenant, auth), shared by all gateways, encrypted at rest.

Some vendors end the old session at each login, so gateways must not log in side by side: a renewal is held
under a lease, and a new token is saved only over the very version that failed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, and_, bindparam, or_, select, update

from gateway.store.tables import insert, token

Renewal = Literal["yours", "renewed", "wait", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A stored session. `version` 0 means there has never been one; it grows with each save.

    `value` is what the login answered (never in `repr`), None when there is none, or it was sealed with
    another key. Times are Unix seconds; `expires_at` None: no known end.
    """

    version: int
    saved_at: float | None
    expires_at: float | None
    paused_until: float | None
    pause_reason: str | None
    value: Mapping[str, Any] | None

    def __repr__(self) -> str:
        return f"Token(version={self.version}, value={'•••' if self.value else None})"


NO_TOKEN = Token(version=0, saved_at=None, expires_at=None, paused_until=None, pause_reason=None, value=None)


def derive_key(secret: str) -> Fernet:
    """The key for `load` and `save`, from a configured secret of any length."""
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"lms-gateway session tokens")
    return Fernet(base64.urlsafe_b64encode(kdf.derive(secret.encode())))


def load(conn: Connection, tenant: str, auth: str, key: Fernet) -> Token:
    """The session of this tenant and auth (a hash of what it logs in with); NO_TOKEN when there is none."""
    row = conn.execute(_LOAD, {"in_tenant": tenant, "of_auth": auth}).mappings().first()
    if row is None:
        return NO_TOKEN
    fields = dict(row)
    return Token(value=_open(fields.pop("sealed"), key), **fields)


def claim_renewal(
    conn: Connection, tenant: str, auth: str, failed_version: int, owner: str, now: float, lease_s: float
) -> Renewal:
    """Ask to log in because version `failed_version` (0: none) was refused.

    yours: log in, then `save` or `pause` · renewed: somebody has, load again · wait: somebody is at it ·
    paused: a login failed a moment ago, see `Token.paused_until`.
    """
    values = {"in_tenant": tenant, "of_auth": auth, "failed": failed_version, "now": now}
    conn.execute(_CREATE, {"tenant": tenant, "auth": auth, "version": 0})
    if conn.execute(_CLAIM, values | {"new_owner": owner, "new_until": now + lease_s}).rowcount:
        return "yours"
    row = conn.execute(_LOAD, {"in_tenant": tenant, "of_auth": auth}).one()
    if row.version != failed_version:
        return "renewed"
    return "paused" if row.paused_until is not None and row.paused_until > now else "wait"


def save(
    conn: Connection,
    tenant: str,
    auth: str,
    failed_version: int,
    value: Mapping[str, Any],
    key: Fernet,
    *,
    now: float,
    expires_at: float | None = None,
) -> bool:
    """Keep a new token over `failed_version`, ending lease and pause; False when somebody saved one first.

    Then theirs holds: load it, and forget the one just made.
    """
    conn.execute(_CREATE, {"tenant": tenant, "auth": auth, "version": 0})
    values = {"in_tenant": tenant, "of_auth": auth, "failed": failed_version, "now": now}
    sealed = key.encrypt(orjson.dumps(dict(value)))
    return conn.execute(_SAVE, values | {"new_sealed": sealed, "ends": expires_at}).rowcount == 1


def pause(conn: Connection, tenant: str, auth: str, owner: str, until: float, reason: str) -> bool:
    """A login failed: nobody tries again before `until`, so that the account is not locked out.

    `reason` must hold no secret. False when the renewal was no longer ours.
    """
    values = {"in_tenant": tenant, "of_auth": auth, "holder": owner, "until": until, "reason": reason}
    return conn.execute(_PAUSE, values).rowcount == 1


def _open(sealed: bytes | None, key: Fernet) -> Mapping[str, Any] | None:
    if sealed is None:
        return None
    try:
        value: dict[str, Any] = orjson.loads(key.decrypt(sealed))
    except InvalidToken:  # the configured secret was changed: a new login mends it
        return None
    return value


_THIS = and_(token.c.tenant == bindparam("in_tenant"), token.c.auth == bindparam("of_auth"))
_UNCHANGED = and_(_THIS, token.c.version == bindparam("failed"))
_NOW: Any = bindparam("now")
_LOAD = select(
    token.c.version,
    token.c.sealed,
    token.c.saved_at,
    token.c.expires_at,
    token.c.paused_until,
    token.c.pause_reason,
).where(_THIS)
_CREATE = insert(token).on_conflict_do_nothing()
_CLAIM = (
    update(token)
    .where(
        _UNCHANGED,
        or_(
            token.c.lease_until.is_(None),
            token.c.lease_until <= _NOW,
            token.c.owner == bindparam("new_owner"),
        ),
        or_(token.c.paused_until.is_(None), token.c.paused_until <= _NOW),
    )
    .values(owner=bindparam("new_owner"), lease_until=bindparam("new_until"))
)
_SAVE = (
    update(token)
    .where(_UNCHANGED)
    .values(
        version=token.c.version + 1,
        sealed=bindparam("new_sealed"),
        saved_at=_NOW,
        expires_at=bindparam("ends"),
        paused_until=None,
        pause_reason=None,
        owner=None,
        lease_until=None,
    )
)
_PAUSE = (
    update(token)
    .where(_THIS, token.c.owner == bindparam("holder"))
    .values(paused_until=bindparam("until"), pause_reason=bindparam("reason"), owner=None, lease_until=None)
)
