"""What to paste into RTOPilot for one tenant, slot by slot, and which slots to leave blank and why.

Source: vendors/rtopilot.md 1 (nothing is tested when it is saved), 2.4, 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.config.file import ConfigFile
from gateway.config.tenants import TenantConfig
from gateway.contract import Operation
from gateway.engine import operations
from gateway.errors import ExpressionError, GatewayError
from gateway.mapping.expressions import Runtime
from gateway.mapping.templates import as_text
from gateway.perform.tenant import TenantSpec, frame
from gateway.rtopilot.credentials import Credential
from gateway.rtopilot.operations import SPECS, OperationSpec
from gateway.secret import is_source

AUTH = {"none": "NONE", "basic": "BASIC", "bearer": "BEARER", "custom_header": "CUSTOM_HEADER"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot. `blank` says why it is to be left blank, else None; `note` is worth knowing either way."""

    operation: Operation
    name: str
    method: str
    url: str
    body: str | None
    auth: str
    values: Mapping[str, str]
    blank: str | None = None
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "slot": self.name,
            "operation": self.operation.value,
            "method": self.method,
            "url": self.url,
            "body": self.body,
            "auth": self.auth,
            "values": dict(self.values),
            "leave_blank": self.blank,
            "note": self.note,
        }


def sheet(
    file: ConfigFile, tenant: TenantConfig, spec: TenantSpec, public_url: str, *, reveal: bool = False
) -> list[Slot]:
    """All seven slots in RTOPilot's order; secrets by name unless `reveal`."""
    base = base_of(file, tenant, public_url, reveal=reveal)
    return [_slot(file, tenant, spec, each, base, reveal) for each in SPECS.values()]


def together(sheets: Mapping[str, Sequence[Slot]]) -> list[Slot]:
    """One sheet for all LMSs of an organisation, by name: a slot is left blank where none needs it."""
    if len(sheets) == 1:
        return list(next(iter(sheets.values())))
    return [_joined(dict(zip(sheets, slots, strict=True))) for slots in zip(*sheets.values(), strict=True)]


def _joined(slots: Mapping[str, Slot]) -> Slot:
    first = next(iter(slots.values()))
    if all(slot.blank is not None for slot in slots.values()):
        return first
    said = {name: slot.blank or slot.note for name, slot in slots.items()}
    notes = " ".join(f"{name}: {text}" for name, text in said.items() if text is not None)
    return replace(first, blank=None, note=notes or None)


def base_of(file: ConfigFile, tenant: TenantConfig, public_url: str, *, reveal: bool) -> str:
    """What all of a tenant's addresses begin with."""
    door = tenant.door
    if tenant.path is not None and not reveal:
        door = named(file, (*tenant.shared, "inbound", "path"))
    return f"{public_url}/t/{door}"


def _slot(
    file: ConfigFile, tenant: TenantConfig, spec: TenantSpec, each: OperationSpec, base: str, reveal: bool
) -> Slot:
    blank, note = why_blank(spec, each.operation)
    # Of two credentials that are valid at once, the first is the new one.
    credential = tenant.accepted.of(each.operation)[0]
    place = _credential_place(file, tenant, each.operation)
    return Slot(
        operation=each.operation,
        name=each.slot,
        method=each.method,
        url=base + each.url,
        body=each.body,
        auth=AUTH[credential.kind],
        values=values_of(file, place, credential, reveal),
        blank=blank,
        note=note,
    )


def why_blank(spec: TenantSpec, operation: Operation) -> tuple[str | None, str | None]:
    """(why the slot is to be left blank or None, what is worth knowing about it or None)."""
    if SPECS[operation].required:
        return None, None
    if operation in spec.off:
        return "It is switched off in config.yaml.", None
    about = frame(spec, operation, Runtime())
    try:
        form = operations.form(about, operation)
    except (GatewayError, ExpressionError) as error:
        return f"The settings do not say how this is done: {error}", None
    sentence = None
    if form is not None and form.sentence is not None:
        sentence = _sentence(form.sentence, about.context())
    match None if form is None else form.kind:
        case None:  # mappings may leave out marking only
            return "The LMS takes no marks.", "Filled in, it answers 200 and nothing is done."
        case "refuse":
            return f"It is refused: {sentence}", None
        case "acknowledge":
            return None, f"It may stay blank: it answers 200 and nothing is done. {sentence or ''}".rstrip()
        case "manual":
            return None, f"A person does the rest; the manual list says: {sentence}"
        case _:
            return None, None


def _sentence(template: Any, context: Any) -> str:
    try:
        return as_text(template.render(context))
    except ExpressionError:  # it names the enrolment, which there is none of here
        return "see the mapping's sentence"


def _credential_place(file: ConfigFile, tenant: TenantConfig, operation: Operation) -> tuple[str | int, ...]:
    inbound = (*tenant.shared, "inbound")
    own = (*inbound, "operations", operation.value, "auth")
    place: tuple[str | int, ...] = own if file.has(*own) else (*inbound, "auth")
    return (*place, 0) if file.has(*place, 0) else place


def values_of(
    file: ConfigFile, place: tuple[str | int, ...], credential: Credential, reveal: bool
) -> dict[str, str]:
    """What goes into the fields of RTOPilot's auth setting; `place`: the credential in config.yaml."""
    secret = credential.expected.decode()
    match credential.kind:
        case "basic":
            user, _, password = secret.partition(":")
            return {"user name": user, "password": password if reveal else named(file, (*place, "password"))}
        case "bearer":
            return {"token": secret if reveal else named(file, (*place, "token"))}
        case "custom_header":
            name = file.text(*place, "name") or credential.header.decode()
            return {"header": name, "value": secret if reveal else named(file, (*place, "value"))}
        case _:
            return {}


def named(file: ConfigFile, place: tuple[str | int, ...]) -> str:
    """A secret by where it comes from, never by its value."""
    text = file.text(*place) or ""
    return f"‹the value of {text}›" if is_source(text) else f"‹written out in {file.source.document.file}›"
