"""Whether a delivery comes from whom it says: raw bytes against secrets, before anything else is done.

Pure: no network, no clock, no store. What is missing is a refusal, never a pass: a header, a time stamp,
a secret that has no value. Every secret is compared, in constant time, so that two are valid while one is
replaced and nothing shows which of them it was.
Sources: docs/mapping-language.md, "Webhooks"; standardwebhooks.com, "Signature scheme".
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, Runtime
from gateway.mapping.progress_spec import Verify, VerifyKind, Webhook
from gateway.mapping.templates import Context, Template, as_text
from gateway.progress import bodies
from gateway.progress.comparing import Refused, bytes_of, need_any, need_fresh, need_signature
from gateway.progress.cutting import without_member
from gateway.progress.digests import KeyForm, key_of, plain, written
from gateway.rtopilot import credentials

if TYPE_CHECKING:
    from gateway.progress.verify_jwt import Key

READS_BODY = frozenset({"shared-token", "digest"})
"""The kinds whose proof may stand in the body."""

_STAMP = re.compile("[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What was posted, untouched.

    `headers` have lower-case names, as ASGI gives them; `query` is the raw query string. `path_secret` and
    `event` are what stood last in the address, where it has such a part.
    """

    raw: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    query: bytes = b""
    path_secret: str | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check says: take it, refuse it (401), or keep it aside without acting on it (200).

    `reason` is a stable word for our log; the sender never sees it.
    """

    kind: Literal["verified", "refused", "quarantine"]
    reason: str = ""


VERIFIED = Verdict(kind="verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One delivery and what it is checked against; `secrets` are those that have a value."""

    webhook: Webhook
    delivery: Delivery
    secrets: tuple[str, ...]
    scope: Mapping[str, Any]
    now: float
    keys: Sequence[Key] | None
    _read: list[Any] = field(default_factory=list)

    @property
    def verify(self) -> Verify:
        return self.webhook.verify

    def value(self, expression: Expression | None) -> Any:
        if expression is None:
            return None
        if self.verify.kind in READS_BODY and "body" in expression.roots:
            return expression.evaluate({**self.scope, "body": self._body()}, Runtime(now=self.now))
        return expression.evaluate(self.scope, Runtime(now=self.now))

    def _body(self) -> Any:
        """The body, read once, and only where the proof asks for it."""
        if not self._read:
            self._read.append(_body(self.webhook, self.delivery))
        return self._read[0]

    def text(self, template: Template | None) -> str | None:
        if template is None:
            return None
        return as_text(template.render(Context(self.scope, Runtime(now=self.now))))


def verify(
    webhook: Webhook,
    delivery: Delivery,
    *,
    secrets: Mapping[str, str],
    scope: Mapping[str, Any],
    now: float,
    keys: Sequence[Key] | None = None,
) -> Verdict:
    """The verdict on a delivery, by the mapping's `verify`. Never raises, whatever was posted.

    `secrets` are the tenant's, by name; `scope` is what expressions see besides the delivery (`settings`);
    `keys` are those of `verify.keys`, fetched already.
    """
    if webhook.verify.kind == "none-quarantine":
        return Verdict(kind="quarantine", reason="unverifiable")
    try:
        case = _Case(
            webhook=webhook,
            delivery=delivery,
            secrets=tuple(value for name in webhook.verify.secrets if (value := secrets.get(name))),
            scope={**scope, **delivery_scope(delivery)},
            now=now,
            keys=None if webhook.verify.keys is None else keys or (),
        )
        _CHECKS[webhook.verify.kind](case)
        _check_fresh(case)
    except Refused as why:
        return Verdict(kind="refused", reason=why.reason)
    except ExpressionError:
        return Verdict(kind="refused", reason="unreadable")
    return VERIFIED


def delivery_scope(delivery: Delivery) -> dict[str, Any]:
    """What expressions see of a delivery: `headers` and `query`."""
    return {"headers": header_texts(delivery.headers), "query": _query(delivery.query)}


def header_texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header values by name, lower case with `_` for `-`; repeated ones joined by `, ` (RFC 9110, 5.3).

    Bytes that are not UTF-8 become lone surrogates, so that signed text gives back the bytes that came.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.decode("latin-1").lower().replace("-", "_")
        text = value.strip(b" \t").decode("utf-8", "surrogateescape")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def token_of(webhook: Webhook, delivery: Delivery, scope: Mapping[str, Any]) -> str:
    """The token of a delivery of kind `jwt`: the body, or what `token` gives; empty when there is none."""
    if webhook.verify.token is None:
        return delivery.raw.strip().decode("ascii", "replace")
    try:
        value = webhook.verify.token.evaluate({**scope, **delivery_scope(delivery)})
    except ExpressionError:
        return ""
    text = value.strip() if isinstance(value, str) else ""
    scheme, space, rest = text.partition(" ")
    return rest.strip() if space and scheme.lower() == "bearer" else text


# -- the kinds


def _check_path(case: _Case) -> None:
    if not case.delivery.path_secret:
        raise Refused("no-secret-in-path")
    need_any([bytes_of(case.delivery.path_secret)], _secret_bytes(case))


def _check_token(case: _Case) -> None:
    """Any of the places may hold the secret; what cannot be read at one of them does not spoil the others."""
    tokens, trouble = list[str](), "no-token"
    for place in case.verify.tokens:
        try:
            value = case.value(place)
        except ExpressionError:
            trouble = "unreadable"
        except Refused as why:
            trouble = why.reason
        else:
            if isinstance(value, str | int) and not isinstance(value, bool):
                tokens += [token] if (token := _without_scheme(as_text(value), case.verify.prefix)) else []
    if not tokens:
        raise Refused(trouble)
    need_any([bytes_of(token) for token in tokens], _secret_bytes(case))


def _without_scheme(token: str, prefix: str) -> str:
    """A token less what stands before it; one that never had it is left as it is. Source: RFC 9110, 11.1."""
    if prefix and token[: len(prefix)].lower() == prefix.lower():
        return token[len(prefix) :].lstrip(" ")
    return token


def _body(webhook: Webhook, delivery: Delivery) -> Any:
    """The body, parsed before it is trusted, because the proof is inside; bounded as every body is.

    Fields of a form give back the bytes that came, since they may be what was signed.
    """
    try:
        if webhook.body == "form":
            return bodies.fields(delivery.raw, errors="surrogateescape")
        content_type = header_texts(delivery.headers).get("content_type", "")
        return bodies.parse(webhook.body, delivery.raw, content_type)
    except bodies.Unreadable:
        raise Refused("unreadable-body") from None


def _check_basic(case: _Case) -> None:
    user = case.text(case.verify.user) or ""
    _need_credential(case, lambda secret: credentials.basic(user, secret))


def _check_bearer(case: _Case) -> None:
    _need_credential(case, credentials.bearer)


def _check_hmac(case: _Case) -> None:
    how = case.verify
    keys = _keys(_secrets(case), how.key)
    signed = b"".join(_signed_parts(case, case.delivery.raw))
    need_signature(
        [written(hmac.digest(key, signed, how.hash), how.encoding) for key in keys],
        [plain(bytes_of(text), how.encoding) for text in _signatures(case)],
    )


def _check_digest(case: _Case) -> None:
    """A plain hash of a text in which the secret stands."""
    how, secrets = case.verify, _secret_bytes(case)
    given = _signatures(case)
    texts = [b"".join(_signed_parts(case, case.delivery.raw, secret)) for secret in secrets]
    if how.without is not None:
        texts = [_cut(case, text, how.without, given) for text in texts]
    hashes = [hashlib.new(how.hash, text, usedforsecurity=False) for text in texts]
    need_signature(
        [written(one.digest(), how.encoding) for one in hashes],
        [plain(bytes_of(text), how.encoding) for text in given],
    )


def _cut(case: _Case, signed: bytes, name: str, signatures: Sequence[str]) -> bytes:
    """What is signed less the member that holds the one signature."""
    if not signatures:
        raise Refused("no-signature")
    if len(signatures) > 1:
        raise Refused("too-many-signatures")
    cut = without_member(signed, name, bytes_of(case.verify.prefix + signatures[0]))
    if cut is None:
        raise Refused("no-member-to-cut")
    return cut


def _check_standard(case: _Case) -> None:
    """Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, base64; a space between several signatures."""
    headers = header_texts(case.delivery.headers)
    parts = [headers.get(f"webhook_{name}") or "" for name in ("id", "timestamp", "signature")]
    if not all(parts):
        raise Refused("no-signature")
    identity, stamp, signatures = parts
    if not _STAMP.fullmatch(stamp):
        raise Refused("no-timestamp")
    signed = b".".join([bytes_of(identity), stamp.encode(), case.delivery.raw])
    keys = _keys([secret.removeprefix("whsec_") for secret in _secrets(case)], "base64")
    given = [text.removeprefix("v1,") for text in signatures.split() if text.startswith("v1,")]
    need_signature(
        [written(hmac.digest(key, signed, "sha256"), "base64") for key in keys],
        [plain(bytes_of(text), "base64") for text in given],
    )
    need_fresh(int(stamp), case.now, case.verify.fresh_within_s)


def _check_jwt(case: _Case) -> None:
    from gateway.progress.verify_jwt import BadToken, check_token  # 3 MB that few deployments need

    how = case.verify
    try:
        check_token(
            token_of(case.webhook, case.delivery, case.scope),
            keys=case.keys,
            secrets=case.secrets,
            algorithms=how.algorithms,
            issuer=case.text(how.issuer),
            audience=case.text(how.audience),
            now=case.now,
        )
    except BadToken as why:
        raise Refused(why.reason) from why


_CHECKS: Mapping[VerifyKind, Callable[[_Case], None]] = {
    "secret-path": _check_path,
    "shared-token": _check_token,
    "basic": _check_basic,
    "bearer": _check_bearer,
    "hmac": _check_hmac,
    "digest": _check_digest,
    "standard-webhooks": _check_standard,
    "jwt": _check_jwt,
}


# -- comparing


def _secrets(case: _Case) -> tuple[str, ...]:
    if not case.secrets:
        raise Refused("no-secret")
    return case.secrets


def _secret_bytes(case: _Case) -> list[bytes]:
    return [bytes_of(secret) for secret in _secrets(case)]


def _need_credential(case: _Case, made: Callable[[str], credentials.Credential]) -> None:
    accepted = []
    for secret in _secrets(case):
        try:
            accepted.append(made(secret))
        except ValueError:  # a secret that could never be sent this way
            continue
    if not credentials.permits(accepted, case.delivery.headers):
        raise Refused("mismatch")


def _check_fresh(case: _Case) -> None:
    """After the signature, so that `stale` in the log means a true delivery, sent again."""
    if case.verify.fresh_at is not None:
        need_fresh(case.value(case.verify.fresh_at), case.now, case.verify.fresh_within_s)


# -- signatures


def _keys(secrets: Iterable[str], form: KeyForm) -> list[bytes]:
    """The keys that secrets stand for; one that is not of this form is passed over."""
    found = []
    for secret in secrets:
        with contextlib.suppress(ValueError):
            found.append(key_of(secret, form))
    return found


def _signed_parts(case: _Case, raw: bytes, secret: bytes = b"") -> Iterator[bytes]:
    words = {"raw": raw, "secret": secret}
    for part in case.verify.signed:
        yield words[part] if isinstance(part, str) else _signed_part(case, part)


def _signed_part(case: _Case, part: Expression) -> bytes:
    value = case.value(part)
    if value is None or value == "" or isinstance(value, list | dict):
        raise Refused("no-signed-part")
    return bytes_of(as_text(value))


def _signatures(case: _Case) -> list[str]:
    """The candidates, each without its prefix; one without the prefix is of another scheme."""
    value = case.value(case.verify.signature)
    given = value if isinstance(value, list) else [value]
    prefix = case.verify.prefix
    texts = [text.strip() for text in given if isinstance(text, str)]
    return [rest for text in texts if text.startswith(prefix) and (rest := text.removeprefix(prefix))]


def _query(query: bytes) -> Mapping[str, str | list[str]]:
    try:
        return bodies.fields(query, errors="surrogateescape")
    except bodies.Unreadable:  # empty, or far too long: then nothing in it can match
        return {}
