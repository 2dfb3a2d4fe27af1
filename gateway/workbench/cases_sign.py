"""The signature of a webhook in a case, made as its sender would: in a header, or inside the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from gateway.mapping.expressions import Runtime
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.templates import as_text
from gateway.progress import bodies
from gateway.progress.digests import key_of
from gateway.progress.verify import Delivery, delivery_scope

_ONE_HEADER = re.compile(r"headers\.([a-z0-9_]+)")
_IN_BODY = re.compile(r"(?:json\(body\.(?P<field>[A-Za-z0-9_]+)\)|body)\.(?P<path>[A-Za-z0-9_.]+)")
_UNSIGNED = "write the proof out: only `hmac`, `digest` and `standard-webhooks` can be signed, in one place"


def signed(
    webhook: Webhook, delivery: Delivery, secret: str, scope: Mapping[str, Any], *, as_it_is: bool = False
) -> Delivery:
    """The delivery with its signature; `as_it_is`: the body is not written anew to hold it.

    Raises ValueError for what is not signed, or not in a place that can be filled in, and ExpressionError.
    """
    how = webhook.verify
    if how.kind == "standard-webhooks":
        return _with_header(delivery, "webhook-signature", _standard(delivery, secret))
    if how.kind not in ("hmac", "digest") or how.signature is None:
        raise ValueError(_UNSIGNED)
    if (header := _ONE_HEADER.fullmatch(how.signature.text)) is not None:
        return _with_header(
            delivery, header[1].replace("_", "-"), _signature(webhook, delivery, secret, scope)
        )
    place = _IN_BODY.fullmatch(how.signature.text)
    if how.kind != "digest" or place is None or as_it_is:
        raise ValueError(_UNSIGNED)
    path = place["path"].split(".")
    unsigned = replace(delivery, raw=_written_anew(delivery.raw, place["field"], path, None))
    signature = _signature(webhook, unsigned, secret, scope)
    return replace(delivery, raw=_written_anew(delivery.raw, place["field"], path, signature))


def _with_header(delivery: Delivery, name: str, value: str) -> Delivery:
    others = tuple(one for one in delivery.headers if one[0] != name.encode())
    return replace(delivery, headers=(*others, (name.encode(), value.encode())))


def _standard(delivery: Delivery, secret: str) -> str:
    headers = delivery_scope(delivery)["headers"]
    parts = [headers.get("webhook_id", ""), headers.get("webhook_timestamp", "")]
    text = b".".join([*(part.encode() for part in parts), delivery.raw])
    digest = hmac.digest(key_of(secret.removeprefix("whsec_"), "base64"), text, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def _signature(webhook: Webhook, delivery: Delivery, secret: str, scope: Mapping[str, Any]) -> str:
    how, seen = webhook.verify, {**scope, **delivery_scope(delivery)}
    if how.kind == "digest":
        seen["body"] = _body(webhook, delivery, seen["headers"])
    words = {"raw": delivery.raw, "secret": secret.encode()}
    text = b"".join(
        words[part] if isinstance(part, str) else _text(part.evaluate(seen, Runtime())) for part in how.signed
    )
    if how.kind == "hmac":
        digest = hmac.digest(key_of(secret, how.key), text, how.hash)
    else:
        digest = hashlib.new(how.hash, text, usedforsecurity=False).digest()
    return how.prefix + _written(digest, how)


def _body(webhook: Webhook, delivery: Delivery, headers: Mapping[str, str]) -> Any:
    try:
        return bodies.parse(webhook.body, delivery.raw, headers.get("content_type", ""))
    except bodies.Unreadable:
        return None


def _text(value: Any) -> bytes:
    return b"" if value is None else as_text(value).encode()


def _written(digest: bytes, how: Verify) -> str:
    if how.encoding == "hex":
        return digest.hex()
    encode = base64.b64encode if how.encoding == "base64" else base64.urlsafe_b64encode
    return encode(digest).decode()


def _written_anew(raw: bytes, field: str | None, path: list[str], value: str | None) -> bytes:
    """The body with the signature as the last member of its object, or without it for None."""
    if field is None:
        return _with_member(raw.decode(), path, value).encode()
    fields = dict(bodies.fields(raw))
    text = fields.get(field)
    if not isinstance(text, str):
        raise ValueError(f"there is no one field `{field}` to write the signature into")
    return urlencode({**fields, field: _with_member(text, path, value)}, doseq=True).encode()


def _with_member(text: str, path: list[str], value: str | None) -> str:
    data = json.loads(text)
    holder = data
    for name in path[:-1]:
        holder = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        raise ValueError(f"there is no object to write `{'.'.join(path)}` into")
    holder.pop(path[-1], None)
    if value is not None:
        holder[path[-1]] = value
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
