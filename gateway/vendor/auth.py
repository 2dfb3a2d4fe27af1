"""Credentials into calls: static ones, and session tokens that are logged in for once for everybody.

A login is shared: any number of concurrent callers (and, through the keeper, other gateways) wait for one.
After a failed login nobody tries again for a while, so that accounts are not locked out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from gateway.engine import requests
from gateway.engine.calls import AuthPlace, BodyKind, Call, Reply
from gateway.engine.frame import Frame, mismade
from gateway.errors import ExpressionError, GatewayError, InternalError, StoreError, VendorUnavailable
from gateway.futures import looked_at
from gateway.mapping.spec import Auth, Session
from gateway.mapping.templates import Template, as_text
from gateway.vendor import retry
from gateway.vendor.keeper import Keeper as Keeper
from gateway.vendor.keeper import MemoryKeeper as MemoryKeeper
from gateway.vendor.keeper import Renewal as Renewal
from gateway.vendor.keeper import Token as Token
from gateway.vendor.login import Exchange, basic, log_in

PAUSE_S = 30.0
LEASE_S = 30.0
TOUCH_S = 60.0
WAIT_S = 0.2
TOKEN = "‹token›"

PAUSED = "The LMS did not accept the gateway's login a moment ago. It is tried again shortly."

Placed = tuple[AuthPlace, Mapping[str, str]]
"""Where credentials go, and every text in them that a trace must hide."""


class Credentials:
    """Puts one tenant's credentials into calls of one vendor.

    `frame` gives scope to the login's templates; `exchange` sends the login call, once; `pause` waits for
    another gateway's login.
    """

    def __init__(
        self,
        auth: Auth,
        frame: Frame,
        keeper: Keeper,
        exchange: Exchange,
        now: Callable[[], float],
        *,
        pause: Callable[[float], Awaitable[None]] = retry.wait,
    ) -> None:
        self._auth, self._frame, self._keeper, self._exchange = auth, frame, keeper, exchange
        self._now, self._pause = now, pause
        self._token: Token | None = None
        self._renewing: asyncio.Task[Token] | None = None
        self._static = None if auth.has_login else _static_place(auth, frame)

    @property
    def has_login(self) -> bool:
        return self._auth.has_login

    # -- sessions -----------------------------------------------------------------------------------

    def current(self) -> Token | None:
        """The session at hand, when it is still good."""
        return self._token if self._token is not None and self._alive(self._token) else None

    async def token(self) -> Token | None:
        """The session to use now, logging in when there is none that is still good.

        Raises VendorFault when the vendor refuses the login, VendorUnavailable while logins are paused or
        it does not answer.
        """
        if not self._auth.has_login:
            return None
        return self.current() or await self._renewed(None)

    async def renew(self, failed: Token | None) -> Token:
        """Another session in place of `failed`, which the vendor refused; all who ask get the same one."""
        current = self.current()
        if current is not None and (failed is None or current.parts != failed.parts):
            return current
        return await self._renewed(failed)

    async def _renewed(self, refused: Token | None) -> Token:
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(refused))
            self._renewing.add_done_callback(looked_at)
        # a cancelled caller must not take the login away from the others
        return await asyncio.shield(self._renewing)

    async def _renew(self, refused: Token | None) -> Token:
        last = self._token
        if last is None:
            last = await self._keeper.load()
            if last is not None and self._usable(last, refused):
                self._token = last
                return last
        version = last.version if last is not None else await self._keeper.version()
        while True:
            match await self._keeper.claim(version):
                case "yours":
                    return await self._log_in(version, last)
                case "paused":
                    raise VendorUnavailable(PAUSED, code="vendor_login_paused")
                case "wait":
                    await self._pause(WAIT_S)
                case "renewed":
                    last = await self._keeper.load()
                    if last is not None and self._usable(last, refused):
                        self._token = last
                        return last
                    version = last.version if last is not None else await self._keeper.version()

    def _usable(self, token: Token, refused: Token | None) -> bool:
        return self._alive(token) and (refused is None or token.parts != refused.parts)

    def _alive(self, token: Token) -> bool:
        now = self._now()
        if token.expires_at is not None and now >= token.expires_at:
            return False
        session = self._auth.session
        if session is None:
            return True
        if session.idle_s is not None and now >= token.used_at + session.idle_s:
            return False
        return session.fixed_s is None or now < token.saved_at + session.fixed_s

    async def _log_in(self, version: int, last: Token | None) -> Token:
        before = last.parts if last is not None else None
        try:
            login = await log_in(self._auth, self._frame, self._exchange, self._now(), before)
        except VendorUnavailable as error:  # not a refusal: the next one may try at once
            await self._keeper.pause(WAIT_S, error.detail or "no answer")
            raise
        except GatewayError as error:
            await self._keeper.pause(PAUSE_S, error.detail or "login refused")
            raise
        saved = await self._keeper.save(version, login.parts, login.expires_at)
        self._token = saved or await self._keeper.load()
        if self._token is None:
            raise VendorUnavailable(PAUSED, code="vendor_login_paused")
        return self._token

    # -- placing ------------------------------------------------------------------------------------

    def place(self, call: Call, token: Token | None) -> Call:
        """The call with its credentials in; every value placed is masked in traces."""
        if call.anonymous:
            return call
        if token is None:
            return call if self._static is None else placed(call, *self._static, self._auth.field_in)
        session = self._auth.session
        if session is None:
            bearer = f"Bearer {as_text(token.parts['access_token'])}"
            return placed(call, AuthPlace(headers={"authorization": bearer}), labels(token))
        render = call.place or requests.place_renderer(session.place, self._frame)
        try:
            place = render(token.parts)
        except ExpressionError as error:
            raise mismade(error, f"{call.step}: auth.place") from error
        return placed(call, place, labels(token))

    async def note(self, reply: Reply, token: Token | None) -> dict[str, str]:
        """After a successful call: a sliding life goes on, and a rotated token is kept.

        Gives what the reply brought that a trace must hide. Whatever the store says, the call has succeeded.
        """
        session = self._auth.session
        if session is None or token is None:
            return {}
        fresh = self._rotated(session, reply)
        if self._token is not None and self._token.version == token.version:
            await self._keep(session, token, fresh)
        return {} if fresh is None else _hidden(fresh)

    async def _keep(self, session: Session, token: Token, fresh: dict[str, Any] | None) -> None:
        now = self._now()
        changed = fresh is not None and fresh != token.parts
        # other gateways learn now and then that the session is still alive
        touched = session.idle_s is not None and now - token.saved_at >= TOUCH_S
        if session.idle_s is not None or changed:
            self._token = replace(token, parts=fresh if fresh is not None else token.parts, used_at=now)
        if self._token is not None and (changed or touched):
            with contextlib.suppress(StoreError):
                saved = await self._keeper.save(token.version, self._token.parts, token.expires_at)
                self._token = saved or await self._keeper.load()

    def _rotated(self, session: Session, reply: Reply) -> dict[str, Any] | None:
        if session.rotate is None:
            return None
        try:
            fresh: dict[str, Any] = session.rotate.render(self._frame.context(reply=reply.scope()))
        except ExpressionError:
            return None
        return fresh if fresh and all(part not in (None, "") for part in fresh.values()) else None


def labels(token: Token) -> dict[str, str]:
    return _hidden(token.parts)


def _hidden(parts: Mapping[str, Any]) -> dict[str, str]:
    return {as_text(part): TOKEN for part in parts.values() if part not in (None, "")}


def _static_place(auth: Auth, frame: Frame) -> Placed | None:
    """What `basic`, `bearer`, `header` and `field` put into every call. Raises InternalError."""
    context = frame.request_context()

    def text(template: Template | None) -> str:
        return "" if template is None else as_text(template.render(context))

    try:
        match auth.kind:
            case "basic":
                place = AuthPlace(headers={"authorization": basic(text(auth.user), text(auth.password))})
            case "bearer":
                place = AuthPlace(headers=requests.headers({"authorization": f"Bearer {text(auth.token)}"}))
            case "header":
                place = AuthPlace(headers=requests.headers({auth.name: text(auth.value)}))
            case "field" if auth.field_in == "query":
                place = AuthPlace(query=((auth.name, text(auth.value)),))
            case "field":
                place = AuthPlace(field=((auth.name, text(auth.value)),))
            case _:
                return None
    except ExpressionError as error:
        raise mismade(error, "auth") from error
    values = [*place.headers.values(), *(value for _, value in (*place.query, *place.field))]
    whole = {value.partition(" ")[2] or value: "‹credentials›" for value in values if value}
    return place, {**whole, **context.sensitive}


def placed(call: Call, place: AuthPlace, hidden: Mapping[str, str], field_in: str = "form") -> Call:
    """The call with a place filled in: headers, query, body fields, SOAP header."""
    body = call.body
    if place.field:
        data = {} if body.data is None else body.data
        if not isinstance(data, dict):
            detail = f"{call.step}: the body is not an object, so no credential can be put into it"
            raise InternalError(code="mapping_failed", detail=detail)
        kind: BodyKind = body.kind if body.kind != "none" else "json" if field_in == "json" else "form"
        body = replace(body, kind=kind, data={**dict(place.field), **data})
    if place.soap_header is not None:
        body = replace(body, header=place.soap_header)
    return replace(
        call,
        headers={**call.headers, **place.headers},
        query=(*call.query, *place.query),
        body=body,
        sensitive={**call.sensitive, **hidden},
    )


def fingerprint(auth: Auth, frame: Frame) -> str:
    """A hash of what a session logs in with: a changed password means a new session, not the old one."""
    told = [frame.base, *sorted(f"{name}={value}" for name, value in frame.secrets.items())]
    return hashlib.sha256("\n".join([auth.kind, *told]).encode()).hexdigest()[:32]
