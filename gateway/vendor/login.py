"""Logging in: one call to the vendor, and the session that comes of it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus, urlsplit

from gateway.engine import requests
from gateway.engine.calls import Body, Call, Reply, Verdict
from gateway.engine.failures import NO_ACCESS
from gateway.engine.frame import Frame, mismade
from gateway.errors import ExpressionError, VendorFault, VendorUnavailable
from gateway.mapping.expressions import Expression, truthy
from gateway.mapping.spec import Auth, OAuth2, Session
from gateway.mapping.templates import Context, Template, as_text

EARLY_S = 60.0
"""An OAuth2 token is renewed this long before its stated end."""

Exchange = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A fresh session: what the mapping reads as `token.…`, and when it ends (None: not known)."""

    parts: Mapping[str, Any]
    expires_at: float | None


async def log_in(
    auth: Auth, frame: Frame, exchange: Exchange, now: float, before: Mapping[str, Any] | None
) -> Login:
    """Log in once; `before` are the parts of the session that has ended, if there was one.

    Raises VendorFault when the vendor says no, VendorUnavailable when it says nothing, InternalError when
    the call cannot be made.
    """
    if auth.session is not None:
        return await _session(auth.session, frame, exchange)
    assert auth.oauth2 is not None
    return await _oauth2(auth.oauth2, frame, exchange, now, before or {})


async def _session(session: Session, frame: Frame, exchange: Exchange) -> Login:
    try:
        call = requests.build(frame, session.login, step="login", scope={})
    except ExpressionError as error:
        raise mismade(error, "auth.login") from error
    reply = await exchange(replace(call, anonymous=True))
    _check_answered(reply)
    context = frame.context(reply=reply.scope())
    try:
        if not _is_good(session.good, reply, context):
            raise _no_access(f"the login was refused: status {reply.status}")
        return Login(parts=session.token.render(context), expires_at=_until(session.until, context))
    except ExpressionError as error:
        raise _no_access(f"the login's answer has no token: {error}") from error


def _is_good(good: Expression | None, reply: Reply, context: Context) -> bool:
    if good is not None:
        return truthy(good.evaluate(context.scope, context.runtime))
    return reply.status < 400


def _until(until: Expression | None, context: Context) -> float | None:
    return None if until is None else _number(until.evaluate(context.scope, context.runtime))


def _number(value: Any) -> float | None:
    """A number, also written as text; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _check_answered(reply: Reply) -> None:
    """Raises VendorUnavailable when the vendor has not said yes or no. A SOAP fault is an answer."""
    if reply.lost is not None or reply.status in (408, 429) or (reply.status >= 500 and reply.soap is None):
        raise VendorUnavailable(detail=f"no answer to the login: {reply.lost or reply.status}")


def _no_access(detail: str) -> VendorFault:
    return VendorFault(NO_ACCESS, code="vendor_login", detail=detail)


async def _oauth2(
    oauth2: OAuth2, frame: Frame, exchange: Exchange, now: float, before: Mapping[str, Any]
) -> Login:
    try:
        call = _token_call(oauth2, frame, before.get("refresh_token"))
    except ExpressionError as error:
        raise mismade(error, "auth") from error
    reply = await exchange(call)
    _check_answered(reply)
    body = reply.body if isinstance(reply.body, dict) else {}
    if reply.status >= 400 or not isinstance(body.get("access_token"), str) or not body["access_token"]:
        said = str(body.get("error", ""))[:80]
        raise _no_access(f"token endpoint: status {reply.status} {said}".rstrip())
    parts = {"access_token": body["access_token"]}
    # a vendor that rotates refresh tokens has just ended the one before
    kept = body.get("refresh_token") or before.get("refresh_token")
    if oauth2.grant == "refresh_token" and kept:
        parts["refresh_token"] = str(kept)
    life = _number(body.get("expires_in"))
    return Login(parts=parts, expires_at=None if life is None else now + life - min(EARLY_S, life / 2))


def _token_call(oauth2: OAuth2, frame: Frame, refresh_token: str | None) -> Call:
    """The request to the token endpoint. Source: RFC 6749 2.3.1, 4.3.2, 4.4.2, 6."""
    context = frame.request_context()

    def text(template: Template | None) -> str:
        return "" if template is None else as_text(template.render(context))

    optional = {
        "scope": oauth2.scope,
        "username": oauth2.username,
        "password": oauth2.password,
        "refresh_token": oauth2.refresh_token,
    }
    form: dict[str, str] = {"grant_type": oauth2.grant}
    form |= {name: text(template) for name, template in optional.items() if template is not None}
    if refresh_token is not None:
        form["refresh_token"] = refresh_token
    client = text(oauth2.client_id), text(oauth2.client_secret)
    headers = {"accept": "application/json"}
    if oauth2.client_in == "form":
        form |= {"client_id": client[0], "client_secret": client[1]}
    else:
        headers["authorization"] = basic(quote_plus(client[0]), quote_plus(client[1]))
    url = urlsplit(text(oauth2.token_url))
    return Call(
        step="login",
        method="POST",
        base=f"{url.scheme}://{url.netloc}",
        target=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        effect="read",
        judge=lambda reply: Verdict(outcome="ok"),
        headers=headers,
        body=Body(kind="form", data=form),
        timeout_s=frame.mapping.server.timeout_s,
        sensitive=context.sensitive,
        anonymous=True,
    )


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header. Source: RFC 7617 2."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
