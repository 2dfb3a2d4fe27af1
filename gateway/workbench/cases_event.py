"""A webhook of a case as the vendor would post it: bytes, headers and, where asked for, a signature."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Runtime
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.templates import as_text
from gateway.progress.digests import key_of
from gateway.progress.verify import Delivery, delivery_scope
from gateway.workbench.cases_vendor import OffScript

TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "raw": "text/plain"}
_ONE_HEADER = re.compile(r"headers\.([a-z0-9_]+)")


def delivery_of(
    event: Mapping[str, Any], webhook: Webhook, secrets: Mapping[str, str], scope: Mapping[str, Any]
) -> Delivery:
    """What is posted. Raises OffScript where it cannot be signed as the case wants it."""
    kind = next((kind for kind in TYPES if kind in event), None)
    headers = {} if kind is None else {"content-type": TYPES[kind]}
    headers |= {name.lower(): value for name, value in event.get("headers", {}).items()}
    unsigned = Delivery(
        raw=b"" if kind is None else _body(kind, event[kind]),
        headers=_fields(headers),
        query=event.get("query", "").encode(),
        path_secret=event.get("path"),
    )
    if "sign" not in event:
        return unsigned
    if event["sign"] not in secrets:
        raise OffScript(f"with.event.sign: the mapping has no secret `{event['sign']}`.")
    try:
        name, signature = _signature(webhook.verify, unsigned, secrets[event["sign"]], scope)
    except (ValueError, ExpressionError) as why:
        raise OffScript(f"with.event.sign: it cannot be signed: {why}") from None
    return Delivery(
        raw=unsigned.raw,
        headers=_fields(headers | {name: signature}),
        query=unsigned.query,
        path_secret=unsigned.path_secret,
    )


def _body(kind: str, data: Any) -> bytes:
    if kind == "json":
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return urlencode(data).encode() if kind == "form" else str(data).encode()


def _fields(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode()) for name, value in headers.items())


def _signature(how: Verify, delivery: Delivery, secret: str, scope: Mapping[str, Any]) -> tuple[str, str]:
    """The header that proves it, and its value. Raises ValueError for a kind that is not signed so."""
    seen = {**scope, **delivery_scope(delivery)}
    if how.kind == "standard-webhooks":
        headers = seen["headers"]
        parts = [headers.get("webhook_id", ""), headers.get("webhook_timestamp", "")]
        signed = b".".join([*(part.encode() for part in parts), delivery.raw])
        digest = hmac.digest(key_of(secret.removeprefix("whsec_"), "base64"), signed, "sha256")
        return "webhook-signature", "v1," + base64.b64encode(digest).decode()
    header = _ONE_HEADER.fullmatch(how.signature.text) if how.signature is not None else None
    if how.kind != "hmac" or header is None:
        raise ValueError("write the headers out; only `hmac` with one header as its signature can be signed")
    parts = [delivery.raw if part is None else _text(part.evaluate(seen, Runtime())) for part in how.signed]
    digest = hmac.digest(key_of(secret, how.key), b"".join(parts), how.hash)
    return header[1].replace("_", "-"), how.prefix + _written(digest, how.encoding)


def _text(value: Any) -> bytes:
    return b"" if value is None else as_text(value).encode()


def _written(digest: bytes, encoding: str) -> str:
    if encoding == "hex":
        return digest.hex()
    encode = base64.b64encode if encoding == "base64" else base64.urlsafe_b64encode
    return encode(digest).decode()
