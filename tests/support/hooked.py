"""Hooked LMS in tests: its mapping with every kind of webhook, and a tenant joined to its stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.sandbox.hooked_switches import (
    API_KEY,
    AUDIENCE,
    BASE64_SECRET,
    HEX_SECRET,
    ISSUER,
    SECRET,
    STANDARD_SECRET,
    USER,
)
from tests.support.deployment import Kind

MAPPING = Path(__file__).resolve().parents[1] / "data" / "hooked.yaml"
HOOKED = Kind(
    name="hooked",
    module="gateway.sandbox.hooked",
    api="",
    settings={},
    secrets={"apiKey": API_KEY, "webhook": SECRET},
    courses=("crs_1", "crs_2"),
)
JWKS_PATH = "/.well-known/jwks.json"
_FROM_FORM = {
    "id": "${event.id}",
    "find": {"enrolment": "${event.enrolment_id}"},
    "value": {
        "percent?": "${number(event.enrolment_percent)}",
        "completed": "${(event.enrolment_completed_at ?? '') != ''}",
    },
}
VALUE = {
    "percent?": "${scale(event.enrolment.percent, settings.percentScale)}",
    "completed": "${event.enrolment.completed_at != null}",
}
_STAMPED = ["headers.x_hooked_timestamp", "'.'", "raw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One kind of webhook: what the mapping says of it, and the switches that make the stand-in send it.

    `verify` replaces the mapping's; `webhook` adds to `progress.webhook`. `secret` is what both sides know.
    """

    verify: Mapping[str, Any]
    switches: Mapping[str, Any] = field(default_factory=dict)
    webhook: Mapping[str, Any] = field(default_factory=dict)
    secret: str = SECRET


def _hmac(**more: Any) -> dict[str, Any]:
    usual = {
        "kind": "hmac",
        "secrets": ["webhook", "webhookOld"],
        "signed": _STAMPED,
        "signature": "headers.x_hooked_signature",
    }
    return {**usual, **more}


VARIANTS: Mapping[str, Variant] = {
    "hmac": Variant(
        verify=_hmac(fresh={"at": "number(headers.x_hooked_timestamp)", "within": "5m"}),
        switches={"verify": "hmac"},
    ),
    "hmac-raw-hex-key-sha512": Variant(
        verify=_hmac(hash="sha512", key="hex", signed=["raw"], prefix="sha512="),
        switches={
            "hash": "sha512",
            "key": "hex",
            "signed": "raw",
            "prefix": "sha512=",
            "timestamp_header": "",
        },
        secret=HEX_SECRET,
    ),
    "hmac-base64-sha1": Variant(
        verify=_hmac(hash="sha1", key="base64", encoding="base64"),
        switches={"hash": "sha1", "key": "base64", "encoding": "base64"},
        secret=BASE64_SECRET,
    ),
    "hmac-base64url": Variant(verify=_hmac(encoding="base64url"), switches={"encoding": "base64url"}),
    "hmac-two-signatures": Variant(
        verify=_hmac(signature="split(headers.x_hooked_signature, ',')"), switches={"second_signature": True}
    ),
    "secret-path": Variant(
        verify={"kind": "secret-path", "secrets": ["webhook", "webhookOld"]},
        switches={"verify": "secret-path"},
    ),
    "token-header": Variant(
        verify={
            "kind": "shared-token",
            "secrets": ["webhook", "webhookOld"],
            "token": "headers.x_hooked_token",
        },
        switches={"verify": "token-header"},
    ),
    "token-body": Variant(
        verify={"kind": "shared-token", "secrets": ["webhook", "webhookOld"], "token": "body.token"},
        switches={"verify": "token-body"},
    ),
    "basic": Variant(
        verify={"kind": "basic", "secrets": ["webhook", "webhookOld"], "user": USER},
        switches={"verify": "basic"},
    ),
    "bearer": Variant(
        verify={"kind": "bearer", "secrets": ["webhook", "webhookOld"]}, switches={"verify": "bearer"}
    ),
    "standard-webhooks": Variant(
        verify={"kind": "standard-webhooks", "secrets": ["webhook", "webhookOld"]},
        switches={"verify": "standard-webhooks"},
        secret=STANDARD_SECRET,
    ),
    "jwt": Variant(
        verify={
            "kind": "jwt",
            "keys": "${settings.jwks}",
            "algorithms": ["RS256"],
            "issuer": ISSUER,
            "audience": AUDIENCE,
        },
        switches={"verify": "jwt", "body": "jwt", "batch": 10},
        webhook={"body": "jwt", "events": "body.events"},
    ),
    "none": Variant(verify={"kind": "none-quarantine"}, switches={"verify": "none"}),
    # body kinds
    "array": Variant(verify=_hmac(), switches={"body": "array", "batch": 10}, webhook={"events": "body"}),
    "list": Variant(
        verify={"kind": "shared-token", "secrets": ["webhook", "webhookOld"], "token": "body.token"},
        switches={"verify": "token-body", "body": "list", "batch": 10},
        webhook={"events": "body.events"},
    ),
    "form": Variant(
        verify=_hmac(),
        switches={"body": "form"},
        webhook={"body": "form", "trust": "value", **_FROM_FORM},
    ),
    # what is done with it
    "value": Variant(verify=_hmac(), webhook={"trust": "value", "value": VALUE}),
    "ids-only": Variant(verify=_hmac(), switches={"values_in_events": False}),
}


def mapping(variant: Variant, *, every: str | None = None) -> dict[str, Any]:
    """The mapping with this webhook, as plain values; `every` is how often the delta list is asked for."""
    made: dict[str, Any] = yaml.safe_load(MAPPING.read_text(encoding="utf-8"))
    webhook = {**made["progress"]["webhook"], **variant.webhook, "verify": dict(variant.verify)}
    made["progress"]["webhook"] = webhook
    if every is not None:
        made["progress"]["poll"]["every"] = every
    if variant.verify["kind"] == "jwt":
        made["settings"]["jwks"] = {"type": "text", "required": True, "help": "address of the public keys"}
    if not _has_secret(variant):
        made["secrets"] = {"apiKey": made["secrets"]["apiKey"]}
    return made


def _has_secret(variant: Variant) -> bool:
    return variant.verify["kind"] not in ("jwt", "none-quarantine")


def chunked(variant: Variant, *, every: str = "10m", of: int = 25) -> dict[str, Any]:
    """The same with a bulk status call instead of the delta list."""
    made = mapping(variant)
    made["progress"]["poll"] = {
        "plan": "chunks",
        "of": of,
        "every": every,
        "call": "POST /v1/enrolments/status",
        "effect": "read",
        "json": {"ids": {"$each": "enrolments", "$as": "e", "$give": "${e.enrolment}"}},
        "items": "reply.body.data",
        "keep": "status != 'cancelled'",
        "find": {"enrolment": "${row.id}"},
        "value": {
            "percent?": "${scale(row.percent, settings.percentScale)}",
            "completed": "${row.completed_at != null}",
        },
    }
    return made


def write_mapping(folder: Path, made: Mapping[str, Any], name: str = "hooked.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(dict(made), sort_keys=False, width=10_000), encoding="utf-8")
    return path


def tenant_changes(variant: Variant, mapping_path: Path, vendor_url: str) -> dict[str, Any]:
    """What `deployment.tenant(HOOKED, vendor_url, **changes)` needs besides; secrets included."""
    jwt = variant.verify["kind"] == "jwt"
    secrets = {"apiKey": API_KEY} | ({"webhook": variant.secret} if _has_secret(variant) else {})
    changes: dict[str, Any] = {"mapping": str(mapping_path), "secrets": secrets}
    return changes | ({"settings": {"jwks": f"{vendor_url}{JWKS_PATH}"}} if jwt else {})


def switches(variant: Variant, gateway_url: str, tenant_name: str = "acme") -> dict[str, Any]:
    """The stand-in's switches for this variant, with the address of the tenant's receiver."""
    url = f"{gateway_url}/t/{tenant_name}/lms-events"
    return {**variant.switches, "secret": variant.secret, "hook_url": url}
