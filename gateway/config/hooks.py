"""RTOPilot's own webhooks: what they must present and how they are signed, from `rtopilot.hooks`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.config.doors import read_group
from gateway.config.file import ConfigFile
from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, compile_expression
from gateway.progress.digests import key_of
from gateway.progress.signatures import TOLERANCE_S, HookRules, HookScheme
from gateway.progress.students import MergedRule
from gateway.rtopilot.credentials import Credential
from gateway.secret import Secret
from gateway.yamlfile import Place

EVENT = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""The name of an event, which stands in its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksConfig:
    """`rules` decide over each delivery; `merged` says where student.merged carries its two ids."""

    rules: HookRules
    merged: MergedRule


def read_hooks(
    file: ConfigFile, here: Place, inbound: tuple[Credential, ...], *, plain: bool
) -> HooksConfig | None:
    """The tenant's rules, or None where it takes no webhooks; `inbound` is what its calls must present."""
    place = (*here, "rtopilot", "hooks")
    if not file.has(*place):
        return None
    own = file.has(*place, "auth")
    accepted = read_group(file, (*place, "auth"), plain=plain) if own else inbound
    scheme = _read_scheme(file, (*place, "signature"))
    secrets = _read_secrets(file, (*place, "events"), plain=plain)
    allow_unsigned = file.value(*place, "allow_unsigned", default=False)
    _check_closed(file, place, accepted, allow_unsigned=allow_unsigned)
    if scheme is not None:
        _check_keys(file, (*place, "events"), scheme, secrets)
    return HooksConfig(
        rules=HookRules(accepted=accepted, scheme=scheme, secrets=secrets, allow_unsigned=allow_unsigned),
        merged=MergedRule(
            merged_away=_read_expression(file, (*place, "merged", "from")),
            survivor=_read_expression(file, (*place, "merged", "to")),
        ),
    )


def _check_closed(
    file: ConfigFile, place: Place, accepted: tuple[Credential, ...], *, allow_unsigned: bool
) -> None:
    """Somebody unknown must never be believed. Source: vendors/rtopilot.md 5.4."""
    signed = file.has(*place, "signature")
    if any(credential.kind == "none" for credential in accepted) and not signed:
        file.problem(
            place,
            "With `kind: none` and without a signature anybody could send events.",
            fix="Add `auth:` here with another kind, and choose the same in RTOPilot's webhook.",
            key=True,
        )
    if allow_unsigned and signed:
        file.problem(
            (*place, "allow_unsigned"), "The signature decides; nothing unsigned passes.", fix="Leave it out."
        )


def _read_scheme(file: ConfigFile, place: Place) -> HookScheme | None:
    header = file.text(*place, "header")
    if header is None:
        return None
    scheme = HookScheme(
        header=header.lower(),
        algorithm=file.value(*place, "algorithm", default="hmac-sha256"),
        encoding=file.value(*place, "encoding", default="hex"),
        prefix=file.text(*place, "prefix") or "",
        signed=file.value(*place, "signed", default="raw"),
        timestamp_header=_lower(file.text(*place, "timestamp_header")),
        tolerance_s=file.seconds(*place, "tolerance", default=TOLERANCE_S),
        key=file.value(*place, "key", default="text"),
    )
    _check_timestamp(file, place, scheme)
    return scheme


def _check_timestamp(file: ConfigFile, place: Place, scheme: HookScheme) -> None:
    if scheme.signed == "raw":
        for key in ("timestamp_header", "tolerance"):
            if file.has(*place, key):
                message = "A time that is not signed proves nothing, so it is not looked at."
                file.problem((*place, key), message, fix="Leave it out, or write `signed: timestamp.raw`.")
        return
    if scheme.timestamp_header is None and not scheme.prefix:
        file.warn(
            (*place, "signed"),
            "The time is looked for as `t=` in a list, which a signature without a prefix hardly is.",
            fix="Add `timestamp_header:`, or the `prefix:` of a list `t=…,v1=…`.",
        )
    if scheme.tolerance_s < 1:
        file.problem((*place, "tolerance"), "This is less than a second.", fix="Write it such as `300s`.")


def _read_secrets(file: ConfigFile, place: Place, *, plain: bool) -> dict[str, tuple[Secret, ...]]:
    found: dict[str, tuple[Secret, ...]] = {}
    for event in file.object(*place):
        if not EVENT.fullmatch(event):
            message = "An event's name has letters, digits, `.`, `-` and `_`, at most 64."
            file.problem((*place, event), message, fix="Write it such as `student.merged`.", key=True)
        secrets = (file.secret(*one, plain=plain) for one in _secret_places(file, (*place, event, "secret")))
        found[event] = tuple(secret for secret in secrets if secret is not None)
    return found


def _check_keys(
    file: ConfigFile, place: Place, scheme: HookScheme, secrets: dict[str, tuple[Secret, ...]]
) -> None:
    if not secrets:
        message = "No event has a secret, so every webhook will be kept aside."
        file.warn(
            (*place[:-1], "signature"), message, fix='Add `events: {student.merged: {secret: "${env:…}"}}`.'
        )
    for event, group in secrets.items():
        for one, secret in zip(_secret_places(file, (*place, event, "secret")), group, strict=False):
            try:
                key_of(secret.reveal(), scheme.key)
            except ValueError as error:
                file.problem(one, f"With `key: {scheme.key}`, {error}.", fix="Copy the secret again.")


def _secret_places(file: ConfigFile, place: Place) -> list[Place]:
    written = file.source.at(place)
    return [(*place, at) for at in range(len(written))] if isinstance(written, list) else [place]


def _read_expression(file: ConfigFile, place: Place) -> Expression | None:
    text = file.text(*place)
    if text is None:
        return None
    try:
        return compile_expression(text)
    except ExpressionError as error:
        file.problem(place, error.message, fix=error.fix)
        return None


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
