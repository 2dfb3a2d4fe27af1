"""Where webhooks come in: `/t/{door}/lms-events` from the LMS, `/t/{door}/hooks/{event}` from RTOPilot.

Of several LMSs each has an address of its own, `/t/{door}/{alias}/lms-events`.

    raw bytes -> who sent them -> stored -> 200 {"received":true} -> worked off later, by `intake`

What cannot be stored is answered 503, so that it is sent again. Answers hold nothing of what is inside:
RTOPilot shows them to its customers' administrators.
Source: vendors/rtopilot.md 5.5.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, Protocol

from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.errors import (
    ExpressionError,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    StoreError,
    Unauthorised,
    VendorUnavailable,
)
from gateway.mapping.expressions import Runtime
from gateway.mapping.progress_spec import ProgressSpec, Verify, Webhook
from gateway.mapping.templates import Context
from gateway.outbound import Pool
from gateway.progress import bodies
from gateway.progress.keys import KeySource, key_source
from gateway.progress.signatures import HookRules
from gateway.progress.verify import Delivery, Verdict, token_of, verify
from gateway.progress.webhooks import (
    headers_read_later,
    headers_with_tokens,
    secrets_in_bodies,
    source_of,
    switched_on,
)
from gateway.rtopilot import replies
from gateway.rtopilot.routes import log_crash, read_body, send_json
from gateway.store import inbox
from gateway.store.database import Database
from gateway.vendor.masking import Masker

RECEIVED = b'{"received":true}'
RETRY_AFTER_S = 60
MAX_ASIDE_BYTES = 10_000_000
"""What is kept aside unverified, per tenant and hour in one process: anybody may be the sender."""
COVERED = "hidden"
"""What is stored in place of a token that stands in a body."""

_COVERED_FROM = 16
"""A shorter token is stored as it came: by chance it may be a part of what the delivery tells."""
_ROW_BYTES = 1000
_MAX_HEADER_CHARS = 2000
_EVENT = re.compile("[A-Za-z0-9._-]{1,64}")
_BASIC = b'Basic realm="gateway", charset="UTF-8"'
_ALWAYS_KEPT = frozenset({"content_type", "date", "user_agent", "webhook_id", "webhook_timestamp"})
_NEVER_KEPT = frozenset({
    "authorization", "proxy_authorization", "cookie", "x_api_key", "x_auth_token", "x_forwarded_for",
})  # fmt: skip
_UNVERIFIED = "This delivery could not be verified."
_AGAIN = "This delivery cannot be taken just now. Please send it again."

log = logging.getLogger("gateway.hooks")


class Gatekeeper(Protocol):
    """What checks a delivery. May raise VendorUnavailable where it cannot tell just now."""

    async def check(self, delivery: Delivery, now: float) -> Verdict: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One sender and its proof, at a tenant's receiver.

    `source` is what the inbox calls it; the event is added where the address has one. `keeps` are headers
    stored beside the always kept ones (lower case, `_` for `-`), None for all; those in `hides` never are.
    `cover` takes the tokens out of a body that is to be stored.
    `coalesce`: a delivery that is waiting already, byte for byte, is not stored twice.
    """

    tenant: str
    source: str
    gate: Gatekeeper
    keeps: frozenset[str] | None = frozenset()
    hides: frozenset[str] = frozenset()
    cover: Masker | None = field(default=None, repr=False)
    coalesce: bool = True
    needs_json: bool = False
    challenge: bytes = b"Bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """The receivers by door (`door/alias` of several LMSs), where they store, and whom they tell of work."""

    lms: Mapping[str, Sequence[Hook]]
    rtopilot: Mapping[str, Hook]
    database: Database
    kick: Callable[[], None]


def hook_routes(
    reception: Callable[[], Reception], *, new_reference: Callable[[], str] | None = None
) -> list[Route]:
    """The routes, to stand before those of the seven operations; `reception` is asked on each delivery."""
    make = new_reference or (lambda: secrets.token_hex(6))
    lms, rtopilot = Receiver("lms", reception, make), Receiver("rtopilot", reception, make)
    shapes = {
        "/lms-events": lms,
        "/lms-events/{secret}": lms,
        "/{alias}/lms-events": lms,
        "/{alias}/lms-events/{secret}": lms,
        "/hooks/{event}": rtopilot,
    }
    return [
        Route(f"/t/{{door}}{shape}{slash}", endpoint=receiver)
        for shape, receiver in shapes.items()
        for slash in ("", "/")
    ]


# -- the two kinds of receivers


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorGate:
    """Checks an LMS's deliveries by the mapping's `verify`."""

    webhook: Webhook
    secrets: Mapping[str, str] = field(repr=False)
    scope: Mapping[str, Any]
    keys: KeySource | None = None

    async def check(self, delivery: Delivery, now: float) -> Verdict:
        keys = None
        token = "" if self.keys is None else token_of(self.webhook, delivery, self.scope)
        if self.keys is not None and token.count(".") == 2:  # keys are not fetched for another's delivery
            from gateway.progress.verify_jwt import claimed_kid  # 3 MB that few deployments need

            keys = await self.keys.keys(claimed_kid(token))
        return verify(self.webhook, delivery, secrets=self.secrets, scope=self.scope, now=now, keys=keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class RtopilotGate:
    """Checks RTOPilot's deliveries by what config.yaml says of them."""

    rules: HookRules

    async def check(self, delivery: Delivery, now: float) -> Verdict:
        return self.rules.check(delivery, now)


def vendor_hooks(
    tenant: str,
    progress: ProgressSpec | None,
    *,
    secrets: Mapping[str, str],
    scope: Mapping[str, Any],
    pool: Pool,
) -> tuple[Hook, ...]:
    """The receiver of a tenant's LMS: its webhooks that are on, in the mapping's order; none where none is.

    `scope` is what expressions see (`settings`, `bundle`, `probe`). A header or a body's part that holds a
    token of one webhook is stored for none. Raises ValueError where `verify.keys` of a webhook that is on
    gives neither a JWKS document nor its address.
    """
    webhooks = switched_on(progress, scope)
    hides = frozenset[str]().union(*map(headers_with_tokens, webhooks))
    cover = _cover(webhooks, secrets)
    return tuple(
        Hook(
            tenant=tenant,
            source=source_of(webhook),
            gate=VendorGate(
                webhook=webhook, secrets=secrets, scope=scope, keys=_keys(webhook.verify, scope, pool)
            ),
            keeps=headers_read_later(webhook),
            hides=hides,
            cover=cover,
            coalesce=webhook.trust == "hint",
            challenge=_BASIC if webhook.verify.kind == "basic" else b"Bearer",
        )
        for webhook in webhooks
    )


def _cover(webhooks: Sequence[Webhook], secrets: Mapping[str, str]) -> Masker | None:
    names = {name for each in webhooks for name in secrets_in_bodies(each)}
    values = [value for name in sorted(names) if len(value := secrets.get(name) or "") >= _COVERED_FROM]
    return Masker(dict.fromkeys(values, COVERED), {}) if values else None


def _keys(verify: Verify, scope: Mapping[str, Any], pool: Pool) -> KeySource | None:
    if verify.keys is None:
        return None
    try:
        return key_source(verify.keys.render(Context(scope, Runtime())), pool)
    except ExpressionError as error:
        raise ValueError(str(error)) from error


def rtopilot_hook(tenant: str, rules: HookRules) -> Hook:
    """The receiver of RTOPilot's webhooks. All headers are kept, for `hooks match`, but no credential."""
    return Hook(
        tenant=tenant,
        source="rtopilot",
        gate=RtopilotGate(rules=rules),
        keeps=None,
        hides=frozenset(_field_name(one.header) for one in rules.accepted),
        needs_json=True,
    )


# -- receiving


@dataclass(slots=True)
class _Line:
    """What the log says of one request; the address itself may hold a secret."""

    tenant: str = "-"
    outcome: str = "received"


class Receiver:
    """The ASGI application behind the addresses of one kind of sender."""

    def __init__(
        self,
        source: Literal["lms", "rtopilot"],
        reception: Callable[[], Reception],
        new_reference: Callable[[], str],
    ) -> None:
        self._source = source
        self._reception = reception
        self._new_reference = new_reference
        self._aside: dict[str, tuple[int, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, reference, line = time.perf_counter(), self._new_reference(), _Line()
        extra = [(b"x-reference", reference.encode())]
        try:
            await self._receive(scope, receive, line, extra)
            status, body = 200, RECEIVED
        except ClientDisconnect:
            return
        except GatewayError as error:
            status, body = error.status, replies.error_bytes(error, reference)
            line.outcome = error.detail or error.code
        except Exception as exc:  # noqa: BLE001 - the last stop before the sender: a fixed sentence
            status, body = 500, replies.error_bytes(InternalError(), reference)
            line.outcome = "internal_error"
            log_crash(exc, reference)
        if status == 503:
            extra.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        await send_json(send, status, body, extra)
        log.log(
            logging.WARNING if status >= 500 else logging.INFO,
            "%s webhook from %s tenant=%s %d %.1f ms %s: %s",
            scope["method"],
            self._source,
            line.tenant,
            status,
            (time.perf_counter() - started) * 1000,
            reference,
            line.outcome,
        )

    async def _receive(
        self, scope: Scope, receive: Receive, line: _Line, extra: list[tuple[bytes, bytes]]
    ) -> None:
        """Check and store one delivery. Raises GatewayError where the answer is not 200."""
        reception = self._reception()
        hooks = self._find(reception, scope["path_params"])
        line.tenant = hooks[0].tenant
        if scope["method"] != "POST":
            extra.append((b"allow", b"POST"))
            raise MethodNotAllowed()
        delivery = await _delivery(scope, receive)
        now = reception.database.clock.now()
        hook, verdict = await _checked(hooks, delivery, now)
        if verdict.kind == "refused":
            extra += [(b"www-authenticate", each) for each in dict.fromkeys(one.challenge for one in hooks)]
            raise Unauthorised(_UNVERIFIED, detail=verdict.reason)
        if hook.needs_json:
            _need_json(delivery)
        if verdict.kind == "quarantine":
            self._need_room(hook, delivery, now)
            line.outcome = f"kept aside: {verdict.reason}"
        await _store(reception, hook, delivery, verdict, now)

    def _find(self, reception: Reception, path: Mapping[str, str]) -> Sequence[Hook]:
        """Who may have sent it, at least one."""
        door = f"{path['door']}/{path['alias']}" if "alias" in path else path["door"]
        if self._source == "lms":
            hooks = reception.lms.get(door, ())
        else:
            hooks = [reception.rtopilot[door]] if door in reception.rtopilot else ()
        if not hooks or ("event" in path and not _EVENT.fullmatch(path["event"])):
            raise NotFound()
        return hooks

    def _need_room(self, hook: Hook, delivery: Delivery, now: float) -> None:
        """Raises VendorUnavailable when too much was kept aside in this hour."""
        hour = int(now // 3600)
        since, spent = self._aside.get(hook.tenant, (hour, 0))
        spent = (spent if since == hour else 0) + len(delivery.raw) + _ROW_BYTES
        self._aside[hook.tenant] = (hour, min(spent, MAX_ASIDE_BYTES + 1))
        if spent > MAX_ASIDE_BYTES:
            raise VendorUnavailable(_AGAIN, detail="too much is kept aside unverified in this hour")


async def _delivery(scope: Scope, receive: Receive) -> Delivery:
    """All that was posted. Raises BodyTooLarge, and RequestError when it comes too slowly."""
    path: Mapping[str, str] = scope["path_params"]
    return Delivery(
        raw=await read_body(scope["headers"], receive),
        headers=tuple(scope["headers"]),
        query=scope["query_string"],
        path_secret=path.get("secret"),
        event=path.get("event"),
    )


async def _checked(hooks: Sequence[Hook], delivery: Delivery, now: float) -> tuple[Hook, Verdict]:
    """The first whose proof is right. Kept aside is what none can verify, refused what none keeps aside.

    Raises VendorUnavailable while one that might have verified it cannot tell.
    """
    others, untold = list[tuple[Hook, Verdict]](), None
    for hook in hooks:
        try:
            verdict = await hook.gate.check(delivery, now)
        except VendorUnavailable as error:
            untold = untold or error
            continue
        if verdict.kind == "verified":
            return hook, verdict
        others.append((hook, verdict))
    if untold is not None:
        raise VendorUnavailable(_AGAIN, detail=untold.detail) from untold
    for hook, verdict in others:
        if verdict.kind == "quarantine":
            return hook, verdict
    reasons = ", ".join(dict.fromkeys(verdict.reason for _, verdict in others))
    return hooks[0], Verdict(kind="refused", reason=reasons)


def _need_json(delivery: Delivery) -> None:
    try:
        bodies.parse("json", delivery.raw)
    except bodies.Unreadable as why:
        raise RequestError("The body is not JSON.", code="not_json", detail=str(why)) from why


async def _store(reception: Reception, hook: Hook, delivery: Delivery, verdict: Verdict, now: float) -> None:
    """Durable before the sender hears of it; then somebody is told to look."""
    source = hook.source if delivery.event is None else f"{hook.source}:{delivery.event}"
    aside = verdict.reason if verdict.kind == "quarantine" else None
    dedupe = sha256(f"{source}\n".encode() + delivery.raw).hexdigest()
    raw, headers = kept_body(hook, delivery), kept_headers(hook, delivery)
    try:
        await reception.database.write(
            lambda conn: inbox.store(
                conn,
                tenant=hook.tenant,
                source=source,
                raw=raw,
                headers=headers,
                now=now,
                dedupe=dedupe if hook.coalesce and aside is None else None,
                quarantined=aside,
            )
        )
    except StoreError as error:
        raise VendorUnavailable(_AGAIN, detail=f"the store cannot be used: {error}") from error
    if aside is None:
        reception.kick()


def kept_body(hook: Hook, delivery: Delivery) -> bytes:
    """The body that is stored: byte for byte, but for the tokens in it."""
    if hook.cover is None:
        return delivery.raw
    return hook.cover(delivery.raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def kept_headers(hook: Hook, delivery: Delivery) -> dict[str, str]:
    """The headers that are stored: few, none with a credential, each of a bounded length."""
    found: dict[str, str] = {}
    for name, value in delivery.headers:
        key = _field_name(name)
        if key in _NEVER_KEPT or key in hook.hides:
            continue
        if hook.keeps is None or key in hook.keeps or key in _ALWAYS_KEPT:
            text = value.decode("utf-8", "replace").replace("\0", "").strip()
            found[key] = (f"{found[key]}, {text}" if key in found else text)[:_MAX_HEADER_CHARS]
    return found


def _field_name(name: bytes) -> str:
    return name.decode("latin-1").lower().replace("-", "_")
