"""Deliveries that prove nothing, made from a true one: changed, cut short, stale, unsigned, signed by others.

Each must be refused, with nothing stored, nothing asked of the vendor and nothing queued for RTOPilot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.contract import Operation
from gateway.mapping.expressions import Expression, Runtime
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.spec import MappingSpec
from gateway.perform import TenantSpec
from gateway.perform.tenant import frame
from gateway.progress.verify import Delivery, verify
from gateway.progress.webhooks import switched_on
from gateway.store import inbox
from gateway.workbench.cases import Case
from gateway.workbench.cases_event import delivery_of
from gateway.workbench.cases_hard import Play
from gateway.workbench.cases_stage import NAME, Bench, Stage, tenant_spec
from gateway.workbench.cases_told import told
from gateway.workbench.cases_verdict import CaseFailed

SIGNS_BODY = frozenset({"hmac", "digest", "standard-webhooks"})
OTHER_SECRET = "c29tZWJvZHkgZWxzZSdz"  # is also base64 and text, so that every kind can use it
STALE_S = 60.0
PROOFS: dict[str, frozenset[str]] = {
    "basic": frozenset({"authorization"}),
    "bearer": frozenset({"authorization"}),
    "standard-webhooks": frozenset({"webhook_id", "webhook_timestamp", "webhook_signature"}),
}
"""The headers that kinds look for by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One way to post what was never sent.

    `other_secrets`: the tenant has others than the sender; `later_s`: how long after its time it is posted.
    """

    what: str
    change: Callable[[Delivery], Delivery] = field(default=lambda delivery: delivery)
    other_secrets: bool = False
    later_s: float = 0.0


def plays(case: Case, mapping: MappingSpec) -> Iterator[Play]:
    spec = tenant_spec(case, mapping)
    scope = frame(spec, Operation.GET_ENROLMENT, Runtime(now=case.at)).root
    webhooks = switched_on(mapping.progress, scope)
    if not webhooks:
        return
    delivery = delivery_of(case.given["event"], webhooks, spec.secrets, scope)
    taker = next((one for one in webhooks if _takes(one, delivery, spec, scope, case.at)), webhooks[0])
    aside = any(one.verify.kind == "none-quarantine" for one in webhooks)
    for forgery in forgeries(taker, delivery):
        yield Play(name=f"{case.name}: {forgery.what}", case=case, run=_play(case, mapping, forgery, aside))


def _takes(
    webhook: Webhook, delivery: Delivery, spec: TenantSpec, scope: Mapping[str, Any], now: float
) -> bool:
    return verify(webhook, delivery, secrets=spec.secrets, scope=scope, now=now).kind == "verified"


def forgeries(webhook: Webhook, delivery: Delivery) -> Iterator[Forgery]:
    """The ways that this kind of proof must withstand; none for what is never verified."""
    how = webhook.verify
    if how.kind == "none-quarantine":
        return
    if how.secrets:
        yield Forgery(what="the tenant's secrets are others", other_secrets=True)
    if _covers_body(how):
        yield Forgery(what="one byte of the body is changed", change=_changed)
        yield Forgery(what="a byte is added to the body", change=lambda one: replace(one, raw=one.raw + b"!"))
        yield Forgery(
            what="the body is cut short", change=lambda one: replace(one, raw=one.raw[: len(one.raw) // 2])
        )
        yield Forgery(what="the body is empty", change=lambda one: replace(one, raw=b""))
    elif how.kind == "digest" and how.signature is not None and "body" in how.signature.roots:
        yield Forgery(what="the body is empty", change=lambda one: replace(one, raw=b""))
    if len(how.tokens) > 1:
        yield Forgery(what="there is no token", change=_without_tokens(how))
    if how.kind == "secret-path":
        yield Forgery(
            what="there is no secret in the address", change=lambda one: replace(one, path_secret=None)
        )
        yield Forgery(what="the secret in the address is another", change=_other_path)
    for name in sorted(_headers_of(how) & {_key(key) for key, _ in delivery.headers}):
        yield Forgery(what=f"there is no {name.replace('_', '-')}", change=_without(name))
        yield Forgery(what=f"{name.replace('_', '-')} is another", change=_other_header(name))
    if how.fresh_at is not None or how.kind == "standard-webhooks":
        late = how.fresh_within_s + STALE_S
        yield Forgery(what=f"sent again {late:.0f} s later", later_s=late)
        yield Forgery(what=f"its time is {late:.0f} s ahead", later_s=-late)
        if how.kind in SIGNS_BODY:
            newer = _brought_up_to_date(_headers_in(how.fresh_at) | {"webhook_timestamp"}, late)
            what = f"sent again {late:.0f} s later, with its time brought up to date"
            yield Forgery(what=what, change=newer, later_s=late)


def _covers_body(how: Verify) -> bool:
    """Whether every byte of the body is proved."""
    if how.kind in ("hmac", "digest"):
        return "raw" in how.signed
    return how.kind == "standard-webhooks" or (how.kind == "jwt" and how.token is None)


def _headers_of(how: Verify) -> frozenset[str]:
    """The headers that a proof stands on; of several places for one token none is needed."""
    tokens = how.tokens if len(how.tokens) == 1 else ()
    signed = [part for part in how.signed if isinstance(part, Expression)]
    parts = [*signed, how.signature, how.token, how.fresh_at, *tokens]
    return PROOFS.get(how.kind, frozenset()).union(*map(_headers_in, parts))


def _headers_in(expression: Expression | None) -> frozenset[str]:
    """The headers an expression reads."""
    paths = [] if expression is None else [path.parts for path in expression.names]
    return frozenset(path[1] for path in paths if path[0] == "headers" and len(path) > 1)


def _changed(delivery: Delivery) -> Delivery:
    """A letter or digit in the middle is another, so that the body may still be read."""
    raw = bytearray(delivery.raw)
    places = [place for place, byte in enumerate(raw) if chr(byte).isalnum() and byte < 128]
    if not places:
        return replace(delivery, raw=delivery.raw + b"!")
    at = places[len(places) // 2]
    raw[at] = ord("1") if raw[at] == ord("0") else ord("0")
    return replace(delivery, raw=bytes(raw))


def _other_path(delivery: Delivery) -> Delivery:
    return replace(delivery, path_secret=f"{delivery.path_secret}x")


def _without(name: str) -> Callable[[Delivery], Delivery]:
    return lambda one: replace(
        one, headers=tuple((key, value) for key, value in one.headers if _key(key) != name)
    )


def _without_tokens(how: Verify) -> Callable[[Delivery], Delivery]:
    """Nothing is left of the places where the token may stand."""
    names = frozenset[str]().union(*map(_headers_in, how.tokens))
    return lambda one: replace(
        one,
        raw=b"",
        query=b"",
        headers=tuple((key, value) for key, value in one.headers if _key(key) not in names),
    )


def _other_header(name: str) -> Callable[[Delivery], Delivery]:
    def change(one: Delivery) -> Delivery:
        return replace(
            one,
            headers=tuple((key, value + b"1" if _key(key) == name else value) for key, value in one.headers),
        )

    return change


def _brought_up_to_date(names: frozenset[str], by_s: float) -> Callable[[Delivery], Delivery]:
    """A time that is not signed lets an old delivery pass for a new one."""

    def change(one: Delivery) -> Delivery:
        moved = (
            (key, b"%d" % (int(value) + by_s) if _key(key) in names and value.isdigit() else value)
            for key, value in one.headers
        )
        return replace(one, headers=tuple(moved))

    return change


def _key(name: bytes) -> str:
    return name.decode("latin-1").lower().replace("-", "_")


def _play(
    case: Case, mapping: MappingSpec, forgery: Forgery, aside: bool
) -> Callable[[Bench], Awaitable[None]]:
    """`aside`: what no webhook verifies is kept aside by one of them, instead of refused."""

    async def run(bench: Bench) -> None:
        stage = await Stage.set_up(bench, case, mapping)
        delivery, before = forgery.change(stage.delivery()), await told(stage)
        if forgery.other_secrets:
            others = {name: OTHER_SECRET for name in mapping.secrets}
            stage = await Stage.set_up(bench, replace(case, secrets=others), mapping)
        stage.clock.move(forgery.later_s)
        heard = await stage.deliver(delivery)
        await stage.settle()
        kept = await bench.reads.run(lambda conn: inbox.list_items(conn, tenant=NAME))
        wanted = 200 if aside else 401
        problems = [] if heard.status == wanted else [f"the vendor heard {heard.status}, not {wanted}"]
        if any(one.state != "quarantined" for one in kept) or (kept and not aside):
            problems.append("it was stored")
        if stage.vendor.sent:
            problems.append(f"the vendor was asked: {stage.vendor.sent[0].line.ask}")
        if await told(stage) != before:
            problems.append("something was learnt from it")
        CaseFailed.when(problems)

    return run
