"""A webhook of a case as the vendor would post it: bytes, headers and, where asked for, a signature."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from gateway.errors import ExpressionError
from gateway.mapping.progress_spec import Webhook
from gateway.progress.verify import Delivery
from gateway.workbench.cases_sign import signed
from gateway.workbench.cases_vendor import OffScript

TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "raw": "text/plain"}


def delivery_of(
    event: Mapping[str, Any],
    webhooks: Sequence[Webhook],
    secrets: Mapping[str, str],
    scope: Mapping[str, Any],
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
    return _signed(event, webhooks, unsigned, secrets, scope)


def _signed(
    event: Mapping[str, Any],
    webhooks: Sequence[Webhook],
    unsigned: Delivery,
    secrets: Mapping[str, str],
    scope: Mapping[str, Any],
) -> Delivery:
    """Signed for the first webhook that names the secret; where none does, for the first that is signed."""
    name, troubles = event["sign"], list[Exception]()
    for webhook in sorted(webhooks, key=lambda one: name not in one.verify.secrets):
        try:
            return signed(webhook, unsigned, secrets[name], scope, as_it_is="raw" in event)
        except (ValueError, ExpressionError) as why:
            troubles.append(why)
    raise OffScript(f"with.event.sign: it cannot be signed: {troubles[0]}")


def _body(kind: str, data: Any) -> bytes:
    if kind == "json":
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return urlencode(data).encode() if kind == "form" else str(data).encode()


def _fields(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode()) for name, value in headers.items())
