"""RTOPilot as one tenant sees it: where progress goes, with which key, and what comes from there.

Source: vendors/rtopilot.md 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.file import ConfigFile
from gateway.config.hooks import HooksConfig, read_hooks
from gateway.config.hosts import own_base
from gateway.contract import Operation
from gateway.errors import HostRefused
from gateway.rtopilot.credentials import Credential
from gateway.rtopilot.replies import ExtraFields
from gateway.secret import Secret
from gateway.yamlfile import Place

PRODUCTION_HOST = "v2.rtopilot.com.au"

_API_KEY = re.compile(r"rtop_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rtopilot:
    """Where progress goes, and what RTOPilot's replies need changed. Without `base_url` nothing is pushed.

    `key_file`: where `api_key` was read, so that a new key there can be taken up without a restart.
    `hooks` None: RTOPilot's webhooks are not taken.
    """

    base_url: str | None = None
    production: bool = False
    api_key: Secret | None = None
    key_file: Path | None = None
    hooks: HooksConfig | None = None
    extra_fields: Mapping[Operation, ExtraFields] = field(default_factory=dict)


def read_rtopilot(file: ConfigFile, here: Place, inbound: tuple[Credential, ...], *, plain: bool) -> Rtopilot:
    """`inbound` is what RTOPilot's calls must present; `plain`: secrets may be written out."""
    place = (*here, "rtopilot")
    address = file.text(*place, "base_url")
    production = file.value(*place, "production", default=False)
    host = _check_rtopilot_address(file, (*place, "base_url"), address, production=production)
    local = host is not None and host.startswith("http:")
    key = file.secret(*place, "api_key", plain=local)
    if key is not None:
        _check_key(file, (*place, "api_key"), key)
    if file.object(*place) and (address is None) != (not file.has(*place, "api_key")):
        missing = "base_url" if address is None else "api_key"
        file.problem(place, f"`{missing}` is missing: pushing progress needs both.", key=True)
    return Rtopilot(
        base_url=address.rstrip("/") if address else None,
        production=production,
        api_key=key,
        key_file=file.secret_file(*place, "api_key") if key is not None else None,
        hooks=read_hooks(file, here, inbound, plain=plain or local),
        extra_fields=_read_extra_fields(file, (*place, "extra_fields")),
    )


def _check_rtopilot_address(
    file: ConfigFile, path: Place, address: str | None, *, production: bool
) -> str | None:
    """The address's origin, if there is one and it may be called."""
    if address is None:
        return None
    base = own_base(address)
    if isinstance(base, HostRefused):
        file.problem(path, f"This address cannot be called: {base}.", fix=f"https://{PRODUCTION_HOST}/api")
        return None
    if base.host.rstrip(".") == PRODUCTION_HOST and not production:
        file.problem(
            path,
            "This is RTOPilot's production: progress sent there can issue certificates.",
            fix="Write `production: true` beside it if that is meant.",
        )
    return base.origin


def _check_key(file: ConfigFile, path: Place, key: Secret) -> None:
    """Source: vendors/rtopilot.md 4.2; the prefix is sure, the rest nearly."""
    if not key.reveal().startswith("rtop_"):
        file.problem(
            path, "RTOPilot's API keys begin with `rtop_`; this does not.", fix="Copy the key again."
        )
    elif not _API_KEY.fullmatch(key.reveal()):
        file.warn(path, "RTOPilot's API keys are `rtop_` and 64 hexadecimal digits; this is not.")


def _read_extra_fields(file: ConfigFile, place: Place) -> dict[Operation, ExtraFields]:
    return {
        operation: ExtraFields(
            add=file.object(*place, operation.value, "add"),
            rename=file.object(*place, operation.value, "rename"),
        )
        for operation in Operation
        if file.object(*place, operation.value)
    }
