"""Credentials into calls: static ones, and session tokens that are logged in for once for everybody.

A login is shared: any number of concurrent callers (and, through the keeper, other gateways) wait for one.
After a failed login nobody tries again for a while, so that accounts are not locked out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

from gateway.engine import requests
from gateway.engine.calls import AuthPlace, Body, Call, Reply, Verdict
from gateway.engine.frame import Frame, truth
from gateway.errors import ExpressionError, VendorFault, VendorUnavailable
from gateway.mapping.spec import Auth, OAuth2, Session
from gateway.mapping.templates import as_text

PAUSE_S = 30.0
EARLY_S = 60.0
"""An OAuth2 token is renewed this long before its stated end."""
LEASE_S = 30.0
TOUCH_S = 60.0
WAIT_S = 0.2

NO_ACCESS = "The LMS does not accept the gateway's login. Operators have been told."
PAUSED = "The LMS did not accept the gateway's login a moment ago. It is tried again shortly."

Exchange = Callable[[Call], Awaitable[Reply]]
Renewal = Literal["yours", "renewed", "wait", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A session at the vendor. `parts` are what the mapping reads as `token.…`; times are Unix seconds."""

    version: int
    parts: Mapping[str, Any]
    saved_at: float
    used_at: float
    expires_at: float | None = None


class Keeper(Protocol):
    """Where tokens live so that all gateways share one (the store implements it)."""

    async def load(self) -> Token | None: ...
    async def version(self) -> int: ...
    async def claim(self, failed_version: int) -> Renewal: ...
    async def save(self, failed_version: int, parts: Mapping[str, Any], expires_at: float | None) -> Token | None: ...
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

    async def save(self, failed_version: int, parts: Mapping[str, Any], expires_at: float | None) -> Token | None:
        if self._version != failed_version:
            return None
        self._version += 1
        self._token = Token(version=self._version, parts=dict(parts), saved_at=self._now(), used_at=self._now(), expires_at=expires_at)
        return self._token

    async def pause(self, seconds: float, reason: str) -> None:
        self._paused_until = self._now() + seconds


class Credentials:
    """Puts one tenant's credentials into calls of one vendor.

    `frame` gives scope to the login's templates; `exchange` sends the login call, once.
    """

    def __init__(self, auth: Auth, frame: Frame, keeper: Keeper, exchange: Exchange, now: Callable[[], float]) -> None:
        self._auth, self._frame, self._keeper, self._exchange, self._now = auth, frame, keeper, exchange, now
        self._token: Token | None = None
        self._renewing: asyncio.Task[Token] | None = None
        self._static = None if auth.has_login else _static_place(auth, frame)

    @property
    def has_login(self) -> bool:
        return self._auth.has_login

    async def token(self) -> Token | None:
        """The session to use now, logging in when there is none that is still good."""
        if not self._auth.has_login:
            return None
        if self._token is None:
            self._token = await self._keeper.load()
        if self._token is not None and self._alive(self._token):
            return self._token
        return await self.renew(self._token)

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

    async def renew(self, failed: Token | None) -> Token:
        """A new session in place of `failed`; everybody who asks meanwhile gets the same one."""
        if self._token is not None and self._token is not failed and self._alive(self._token):
            return self._token
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        # a cancelled caller must not take the login away from the others
        return await asyncio.shield(self._renewing)

    async def _renew(self) -> Token:
        version = self._token.version if self._token is not None else await self._keeper.version()
        while True:
            match await self._keeper.claim(version):
                case "yours":
                    return await self._log_in(version)
                case "renewed":
                    loaded = await self._keeper.load()
                    if loaded is not None and self._alive(loaded):
                        self._token = loaded
                        return loaded
                    version = await self._keeper.version()
                case "paused":
                    raise VendorUnavailable(PAUSED, code="vendor_login_paused")
                case "wait":
                    await asyncio.sleep(WAIT_S)

    async def _log_in(self, version: int) -> Token:
        try:
            parts, expires_at = await self._session() if self._auth.kind == "session" else await self._oauth2()
        except VendorFault as fault:
            await self._keeper.pause(PAUSE_S, fault.detail or "login refused")
            raise
        except VendorUnavailable:
            await self._keeper.pause(WAIT_S, "no answer")
            raise
        saved = await self._keeper.save(version, parts, expires_at)
        self._token = saved if saved is not None else await self._keeper.load()
        if self._token is None:
            raise VendorUnavailable(PAUSED, code="vendor_login_paused")
        return self._token

    # -- logging in -------------------------------------------------------------------------------------

    async def _session(self) -> tuple[dict[str, Any], float | None]:
        session = self._auth.session
        assert session is not None
        call = requests.build(self._frame, session.login, step="login", scope={})
        reply = await self._exchange(replace(call, anonymous=True))
        self._check_answered(reply)
        context = self._frame.context(reply=reply.scope())
        try:
            if session.good is not None and not truth(session.good.evaluate(context.scope, context.runtime)):
                raise VendorFault(NO_ACCESS, code="vendor_login", detail="the login was refused")
            parts = session.token.render(context)
        except ExpressionError as error:
            raise VendorFault(NO_ACCESS, code="vendor_login", detail=f"the login's answer has no token: {error}") from error
        return parts, self._until(session, reply)

    def _until(self, session: Session, reply: Reply) -> float | None:
        if session.until is None:
            return None
        context = self._frame.context(reply=reply.scope())
        until = session.until.evaluate(context.scope, context.runtime)
        return float(until) if isinstance(until, (int, float)) else None

    async def _oauth2(self) -> tuple[dict[str, Any], float | None]:
        oauth2 = self._auth.oauth2
        assert oauth2 is not None
        reply = await self._exchange(_token_call(oauth2, self._frame))
        self._check_answered(reply)
        body = reply.body if isinstance(reply.body, dict) else {}
        if reply.status >= 400 or not body.get("access_token"):
            raise VendorFault(NO_ACCESS, code="vendor_login", detail=f"token endpoint: status {reply.status}, {str(body.get('error', ''))[:80]}")
        life = body.get("expires_in")
        expires_at = self._now() + max(float(life) - EARLY_S, 1.0) if isinstance(life, (int, float)) else None
        return {"access_token": str(body["access_token"])}, expires_at

    def _check_answered(self, reply: Reply) -> None:
        if reply.lost is not None or reply.status >= 500 and reply.soap is None:
            raise VendorUnavailable(detail=f"no answer to the login: {reply.lost or reply.status}")

    # -- placing ----------------------------------------------------------------------------------------

    def place(self, call: Call, token: Token | None) -> Call:
        """The call with its credentials in; every value placed is masked in traces."""
        if call.anonymous:
            return call
        if token is None:
            return call if self._static is None else placed(call, *self._static)
        if self._auth.kind == "oauth2":
            value = as_text(token.parts["access_token"])
            return placed(call, AuthPlace(headers={"authorization": f"Bearer {value}"}), {value: "‹token›"})
        assert self._auth.session is not None
        render = call.place or requests.place_renderer(self._auth.session.place, self._frame)
        labels = {as_text(part): "‹token›" for part in token.parts.values() if part is not None}
        return placed(call, render(token.parts), labels)

    async def note(self, reply: Reply, token: Token | None) -> None:
        """After a successful call: a sliding life goes on, and a rotated token is kept."""
        session = self._auth.session
        if session is None or token is None or self._token is not token:
            return
        fresh = self._rotated(session, reply)
        if fresh is not None and fresh != dict(token.parts):
            saved = await self._keeper.save(token.version, fresh, token.expires_at)
            self._token = saved or await self._keeper.load()
            return
        now = self._now()
        if session.idle_s is not None and now - token.saved_at >= TOUCH_S and now - token.used_at >= TOUCH_S:
            # other gateways learn now and then that the session is still alive
            self._token = await self._keeper.save(token.version, token.parts, token.expires_at) or self._token
        elif session.idle_s is not None:
            self._token = replace(token, used_at=now)

    def _rotated(self, session: Session, reply: Reply) -> dict[str, Any] | None:
        if session.rotate is None:
            return None
        try:
            context = self._frame.context(reply=reply.scope())
            fresh = session.rotate.render(context)
        except ExpressionError:
            return None
        return fresh if all(part not in (None, "") for part in fresh.values()) else None


def _static_place(auth: Auth, frame: Frame) -> tuple[AuthPlace, dict[str, str]] | None:
    context = frame.request_context()

    def text(template: Any) -> str:
        return as_text(template.render(context))

    match auth.kind:
        case "basic":
            pair = f"{text(auth.user)}:{text(auth.password)}"
            return AuthPlace(headers={"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}), context.sensitive
        case "bearer":
            return AuthPlace(headers={"authorization": f"Bearer {text(auth.token)}"}), context.sensitive
        case "header":
            return AuthPlace(headers=requests.headers({auth.name: text(auth.value)})), context.sensitive
        case "field":
            pair_in = ((auth.name, text(auth.value)),)
            place = AuthPlace(query=pair_in) if auth.field_in == "query" else AuthPlace(field=pair_in)
            return place, context.sensitive
    return None


def placed(call: Call, place: AuthPlace, labels: Mapping[str, str]) -> Call:
    """The call with a place filled in: headers, query, body fields, SOAP header."""
    body = call.body
    if place.field:
        body = replace(body, kind="form" if body.kind == "none" else body.kind, data={**dict(place.field), **(body.data or {})})
    if place.soap_header is not None:
        body = replace(body, header=place.soap_header)
    return replace(
        call,
        headers={**call.headers, **place.headers},
        query=(*call.query, *place.query),
        body=body,
        sensitive={**call.sensitive, **labels},
    )


def _token_call(oauth2: OAuth2, frame: Frame) -> Call:
    """The request to the token endpoint. Source: RFC 6749 2.3.1, 4.3, 4.4, 6."""
    context = frame.request_context()

    def text(template: Any) -> str:
        return as_text(template.render(context))

    url = urlsplit(text(oauth2.token_url))
    client = text(oauth2.client_id), text(oauth2.client_secret)
    form: dict[str, str] = {"grant_type": oauth2.grant}
    for name, template in (("scope", oauth2.scope), ("username", oauth2.username), ("password", oauth2.password), ("refresh_token", oauth2.refresh_token)):
        if template is not None:
            form[name] = text(template)
    headers: dict[str, str] = {"accept": "application/json"}
    if oauth2.client_in == "form":
        form |= {"client_id": client[0], "client_secret": client[1]}
    else:
        pair = ":".join(quote(part, safe="") for part in client)
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Call(
        step="login",
        method="POST",
        base=f"{url.scheme}://{url.netloc}",
        target=url.path or "/",
        effect="read",
        judge=lambda reply: Verdict(outcome="ok"),
        headers=headers,
        body=Body(kind="form", data=form),
        timeout_s=frame.mapping.server.timeout_s,
        sensitive=context.sensitive,
        anonymous=True,
    )


def fingerprint(auth: Auth, frame: Frame) -> str:
    """A hash of what a session logs in with: a changed password means a new session, not the old one."""
    context = frame.request_context()
    told = [frame.base, *sorted(f"{name}={value}" for name, value in frame.secrets.items())]
    del context
    return hashlib.sha256("\n".join([auth.kind, *told]).encode()).hexdigest()[:32]
