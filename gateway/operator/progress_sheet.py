"""What to paste so that progress comes back: RTOPilot's key, the LMS's webhook, RTOPilot's webhooks.

Source: vendors/rtopilot.md 4.2, 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.config.file import ConfigFile
from gateway.config.tenants import TenantConfig
from gateway.contract import Operation
from gateway.errors import ExpressionError
from gateway.mapping.expressions import Runtime
from gateway.mapping.progress_spec import Webhook
from gateway.mapping.templates import Template, as_text
from gateway.operator.slot_sheet import AUTH, base_of, named, values_of
from gateway.perform.tenant import TenantSpec, frame
from gateway.progress.push import PATH
from gateway.progress.webhooks import switched_on
from gateway.secret import is_source

USEFUL_EVENTS = ("student.merged", "student.created")
"""RTOPilot's events of which something comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paste:
    """One thing to make at RTOPilot or at the LMS: where, and what goes into its fields."""

    what: str
    where: str
    values: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "where": self.where, "values": dict(self.values), "note": self.note}


def progress_sheet(
    file: ConfigFile, tenant: TenantConfig, spec: TenantSpec, public_url: str, *, reveal: bool = False
) -> list[Paste]:
    """All that a tenant needs; nothing where its progress is off. Secrets by name unless `reveal`."""
    if not tenant.progress.on:
        return []
    base = base_of(file, tenant, public_url, reveal=reveal)
    lms = base if tenant.alias is None else f"{base}/{tenant.alias}"
    return [
        _key(file, tenant),
        *_lms_webhooks(file, tenant, spec, lms, reveal),
        *_hooks(file, tenant, base, reveal),
    ]


def _key(file: ConfigFile, tenant: TenantConfig) -> Paste:
    """RTOPilot shows its key once, so it goes from there to where config.yaml looks for it."""
    what, where = "API key", "made in RTOPilot, which shows it once"
    rtopilot = tenant.rtopilot
    if rtopilot.base_url is None:
        who = tenant.organisation
        note = f"config.yaml has no `rtopilot:` for {who}, so RTOPilot hears of no progress by itself."
        return Paste(what=what, where=where, note=note)
    place = (*tenant.shared, "rtopilot", "api_key")
    if rtopilot.key_file is not None:
        note = "A new key in that file is taken up without a restart."
    else:
        note = "Restart the gateway when the key is rotated; read from a ${file:…}, it would need none."
    return Paste(
        what=what,
        where=where,
        values={"goes to": _kept_in(file, place), "pushes": f"PUT {rtopilot.base_url}{PATH}"},
        note=note,
    )


def _lms_webhooks(
    file: ConfigFile, tenant: TenantConfig, spec: TenantSpec, base: str, reveal: bool
) -> list[Paste]:
    """The webhooks that the tenant has, all at one address."""
    scope = frame(spec, Operation.GET_ENROLMENT, Runtime()).root
    found = switched_on(tenant.mapping.progress, scope)
    return [
        _lms_webhook(
            file,
            tenant,
            spec,
            base,
            reveal,
            webhook=each,
            what="Webhook" if len(found) == 1 else f"Webhook, {each.name} in the mapping",
        )
        for each in found
    ]


def _lms_webhook(
    file: ConfigFile,
    tenant: TenantConfig,
    spec: TenantSpec,
    base: str,
    reveal: bool,
    *,
    webhook: Webhook,
    what: str,
) -> Paste:
    verify, url = webhook.verify, f"{base}/lms-events"
    where = f"{tenant.mapping.vendor.get('name', 'the LMS')}, under webhooks"
    given = [name for name in verify.secrets if name in tenant.secrets]
    if verify.secrets and not given:
        note = f"Nothing is taken yet: write `{verify.secrets[0]}` under the tenant's `secrets`."
        return Paste(what=what, where=where, note=note)
    values = {"URL": url}
    if verify.user is not None:
        values["user name"] = _filled(verify.user, spec)
    if given:
        place = (*tenant.here, "secrets", given[0])
        secret = tenant.secrets[given[0]].reveal() if reveal else named(file, place)
        values |= {"URL": f"{url}/{secret}"} if verify.kind == "secret-path" else {"secret": secret}
    two = "Of two secrets this is the new one; the other is still taken." if len(given) > 1 else None
    return Paste(what=what, where=where, values=values, note=two)


def _filled(template: Template, spec: TenantSpec) -> str:
    try:
        return as_text(template.render(frame(spec, Operation.GET_ENROLMENT, Runtime()).context()))
    except ExpressionError:
        return "as the mapping says"


def _hooks(file: ConfigFile, tenant: TenantConfig, base: str, reveal: bool) -> list[Paste]:
    """RTOPilot makes the signing secret of each webhook, so that one goes the other way."""
    if tenant.rtopilot.hooks is None:
        return []
    rules = tenant.rtopilot.hooks.rules
    here: tuple[str | int, ...] = (*tenant.shared, "rtopilot", "hooks", "auth")
    place = here if file.has(*here) else (*tenant.shared, "inbound", "auth")
    credential = rules.accepted[0]
    auth = values_of(file, (*place, 0) if file.has(*place, 0) else place, credential, reveal)
    return [
        Paste(
            what=f"Webhook for {event}",
            where="RTOPilot > Developers > Webhooks",
            values={
                "URL": f"{base}/hooks/{event}",
                "auth": AUTH[credential.kind],
                **auth,
                **_secret(file, tenant, event),
            },
        )
        for event in rules.secrets or USEFUL_EVENTS
    ]


def _secret(file: ConfigFile, tenant: TenantConfig, event: str) -> dict[str, str]:
    place: tuple[str | int, ...] = (*tenant.shared, "rtopilot", "hooks", "events", event, "secret")
    if not file.has(*place):
        return {"secret": f"goes to config.yaml, `rtopilot.hooks.events.{event}.secret`"}
    return {"secret": f"goes to {_kept_in(file, (*place, 0) if file.has(*place, 0) else place)}"}


def _kept_in(file: ConfigFile, place: tuple[str | int, ...]) -> str:
    """Where config.yaml looks for a secret, never the secret itself."""
    text = file.text(*place) or ""
    return text if is_source(text) else f"{file.source.document.file}, where it is written out"
