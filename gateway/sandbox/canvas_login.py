"""OAuth2 of the REST API: one interactive consent, then refreshes; and tokens made by hand.

There is no client-credentials grant [I]. Source: vendors/canvas.md 2 and 5.8; for what it leaves open,
RFC 6749.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox.canvas_errors import oauth
from gateway.sandbox.canvas_params import Params
from gateway.sandbox.canvas_switches import Switches

TOKEN = "7~sandboxHandMadeTokenOfTheServiceAdmin"
CLIENT_ID, CLIENT_SECRET = "10420000000000031", "sandbox-developer-key-secret"
REFRESH_TOKEN = "7~sandboxRefreshTokenOfTheServiceAdmin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client of this stand-in may show: the hand-made token, or the key and its consent."""

    token: str = TOKEN
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    refresh_token: str = REFRESH_TOKEN


class Login:
    """The tokens that are good at the moment."""

    def __init__(self, credentials: Credentials) -> None:
        self._known = credentials
        self._hand_made = True
        self._codes: dict[str, str] = {}
        self._refresh = {credentials.refresh_token}
        self._access: dict[str, tuple[str, datetime]] = {}
        self._made = 0

    def admits(self, token: str, now: datetime) -> bool:
        if self._hand_made and hmac.compare_digest(token.encode(), self._known.token.encode()):
            return True
        _, end = self._access.get(token, ("", now))
        return now < end

    def end_hand_made(self) -> None:
        """The hand-made token's end date has come, or somebody deleted it."""
        self._hand_made = False

    def end_consent(self) -> None:
        """Somebody deleted the consent: no refresh token is good any more, nor what came of it."""
        self._refresh.clear()
        self._access.clear()

    def expire(self) -> None:
        """Every access token got by OAuth has come to its end; refresh tokens stay good."""
        self._access.clear()

    def consent(self, client_id: str | None, redirect_uri: str) -> str:
        """The code for a client whose user has just agreed. Raises Refused (400) for an unknown client."""
        if not redirect_uri:
            raise oauth(400, "invalid_request", "redirect_uri is missing")
        if client_id != self._known.client_id:
            raise oauth(400, "invalid_client", "unknown client")
        self._made += 1
        code = f"code{self._made:04d}"
        self._codes[code] = redirect_uri
        return code

    def grant(self, params: Params, now: datetime, switches: Switches) -> dict[str, Any]:
        """The answer of the token endpoint. Raises Refused (400 or 401)."""
        key = (params.text("client_id") or "", params.text("client_secret") or "")
        if not _same(key, (self._known.client_id, self._known.client_secret)):
            raise oauth(401, "invalid_client", "unknown client")
        match params.text("grant_type"):
            case "authorization_code":
                return self._by_code(params, now, switches)
            case "refresh_token":
                return self._by_refresh(params, now, switches)
            case _:
                raise oauth(400, "unsupported_grant_type", "The grant_type you requested is not supported")

    def _by_code(self, params: Params, now: datetime, switches: Switches) -> dict[str, Any]:
        code = params.text("code") or ""
        if code not in self._codes or self._codes[code] != (params.text("redirect_uri") or ""):
            raise oauth(400, "invalid_grant", "authorization_code not found")
        del self._codes[code]
        refresh = self._new("refresh")
        self._refresh.add(refresh)
        return self._answer(refresh, now, switches) | {"refresh_token": refresh}

    def _by_refresh(self, params: Params, now: datetime, switches: Switches) -> dict[str, Any]:
        refresh = params.text("refresh_token") or ""
        if refresh not in self._refresh:
            raise oauth(400, "invalid_grant", "refresh_token not found")
        if switches.refresh_voids_older:
            self._access = {token: row for token, row in self._access.items() if row[0] != refresh}
        if not switches.refresh_rotates:
            return self._answer(refresh, now, switches)
        newer = self._new("refresh")
        self._refresh = self._refresh - {refresh} | {newer}
        return self._answer(newer, now, switches) | {"refresh_token": newer}

    def _answer(self, refresh: str, now: datetime, switches: Switches) -> dict[str, Any]:
        token = self._new("access")
        self._access[token] = (refresh, now + timedelta(seconds=switches.token_life_s))
        return {"access_token": token, "token_type": "Bearer", "expires_in": switches.token_life_s}

    def _new(self, kind: str) -> str:
        self._made += 1
        return f"7~{kind}{self._made:04d}"


def _same(given: tuple[str, str], known: tuple[str, str]) -> bool:
    pairs = zip(given, known, strict=True)
    return all(hmac.compare_digest(one.encode(), other.encode()) for one, other in pairs)
