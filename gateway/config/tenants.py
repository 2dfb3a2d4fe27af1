"""The tenants of config.yaml: each one RTOPilot organisation joined to one vendor account, checked, frozen.

An organisation with several LMSs (`lms:`, joined.py) makes a tenant of each, named `acme/media`; they share
what the organisation says: its door, its RTOPilot, its windows. `inbound` says who may come in (doors.py),
`vendor` where calls may go (hosts.py), `rtopilot` where progress goes (rtopilot.py) and what comes from there
by webhook (hooks.py), `progress` how it is read (progress.py), `launch` what learners' pages say (launch.py).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.config.doors import read_accepted, read_path
from gateway.config.file import ConfigFile
from gateway.config.hosts import VendorAddress, read_address, read_base_url
from gateway.config.joined import Joined, read_joined
from gateway.config.launch import read_launch
from gateway.config.progress import ProgressConfig, read_progress
from gateway.config.rtopilot import Rtopilot, read_rtopilot
from gateway.contract import OPTIONAL, Operation
from gateway.errors import ProblemsFound
from gateway.launch.terms import LaunchConfig
from gateway.mapping.expressions import nearest
from gateway.mapping.load import load_mapping
from gateway.mapping.schema import data_folder
from gateway.mapping.settings import TenantSettings, resolve_settings
from gateway.mapping.spec import MappingSpec
from gateway.outbound.addresses import Base
from gateway.rtopilot.credentials import Accepted
from gateway.secret import Secret
from gateway.yamlfile import Place

MAX_TENANTS = 1_000

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantConfig:
    """Everything one tenant needs to be served.

    `organisation` is its name in config.yaml, the same for all LMSs of one RTOPilot; `alias` is the name of
    this LMS there, None where ids carry none; `here` is where config.yaml speaks of it. `path` stands in
    place of the organisation's name in its addresses. `names` are the vendor's real wire names for those the
    mapping calls provisional. `signs_in_elsewhere`: learners have a sign-in system that the vendor relies on.
    """

    name: str
    organisation: str
    alias: str | None
    here: Place
    mapping: MappingSpec = field(repr=False)
    vendor: VendorAddress
    settings: TenantSettings
    secrets: Mapping[str, Secret]
    accepted: Accepted
    path: Secret | None
    off: frozenset[Operation]
    rtopilot: Rtopilot
    progress: ProgressConfig
    adopt_unknown_ids: bool
    push_adopted_completed: bool
    repeat_window_s: float
    grace_s: float
    names: Mapping[str, str]
    launch: LaunchConfig = LaunchConfig()
    signs_in_elsewhere: bool = False

    @property
    def base(self) -> str:
        """The address every vendor path is joined to."""
        return self.vendor.base

    @property
    def hosts(self) -> frozenset[str]:
        """The only hosts that may be called, lower case, without ports."""
        return self.vendor.hosts

    @property
    def public_only_hosts(self) -> frozenset[str]:
        """Those of them that must resolve to public addresses."""
        return self.vendor.public_only_hosts

    @property
    def door(self) -> str:
        """The segment after `/t/` in the organisation's addresses; a secret where `path` is given."""
        return self.organisation if self.path is None else self.path.reveal()

    @property
    def events_door(self) -> str:
        """What stands between `/t/` and `/lms-events` in the address of this LMS's webhooks."""
        return self.door if self.alias is None else f"{self.door}/{self.alias}"

    @property
    def shared(self) -> Place:
        """Where config.yaml speaks of the organisation."""
        return ("tenants", self.organisation)


@dataclass(slots=True)
class MappingFiles:
    """The mapping files of one deployment, each read once."""

    file: ConfigFile
    loaded: dict[Path, MappingSpec | None] = field(default_factory=dict)

    def of(self, here: Place, tenant: str) -> MappingSpec | None:
        """The mapping of a tenant of which config.yaml speaks `here`; its own problems join the report."""
        path: Place = (*here, "mapping")
        written = self.file.text(*path)
        if not written:
            return None
        found = self._find(written)
        if found is None:
            self.file.problem(path, f"There is no mapping `{written}`.", fix=self._suggestion(written))
            return None
        mapping = self.load(found)
        if mapping is None:
            self.file.problem(path, f"`{found}` cannot be used; its problems are listed too.")
        else:
            log.info("tenant %s: mapping %s, hash %s, from %s", tenant, mapping.name, mapping.digest, found)
        return mapping

    def load(self, path: Path) -> MappingSpec | None:
        if path not in self.loaded:
            try:
                usable = load_mapping(path)
                self.file.source.problems.extend(usable.warnings)
                self.loaded[path] = usable.mapping
            except ProblemsFound as found:
                self.file.source.problems.extend(found.problems)
                self.loaded[path] = None
        return self.loaded[path]

    def _find(self, written: str) -> Path | None:
        if _NAME.fullmatch(written):
            places = [folder / f"{written}.yaml" for folder in self._folders()]
        else:
            places = [self.file.folder / written]
        return next((place for place in places if place.is_file()), None)

    def _folders(self) -> tuple[Path, Path]:
        return self.file.folder / "mappings", data_folder("mappings")

    def _suggestion(self, written: str) -> str:
        if not _NAME.fullmatch(written):
            return f"A path starts at {self.file.folder}. For a mapping by name write the name alone."
        names = sorted({file.stem for folder in self._folders() for file in folder.glob("*.yaml")})
        near = nearest(written, names)
        return f"Write `{near}`." if near else f"There is: {', '.join(names) or 'none'}."


def read_tenants(file: ConfigFile) -> dict[str, TenantConfig]:
    """All tenants without problems; the others' problems are added to the report."""
    mappings = MappingFiles(file)
    found: dict[str, TenantConfig] = {}
    for name in list(file.object("tenants"))[:MAX_TENANTS]:
        if not _NAME.fullmatch(name):
            fix = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:41]
            message = "A tenant's name stands in addresses: a-z, 0-9 and -, at most 41 characters."
            file.problem(("tenants", name), message, fix=f"Write `{fix or 'acme'}`.", key=True)
        found.update({tenant.name: tenant for tenant in _read_organisation(file, name, mappings)})
    _refuse_same_door(file, found)
    return found


def _read_organisation(file: ConfigFile, name: str, mappings: MappingFiles) -> list[TenantConfig]:
    """A tenant for each LMS of an organisation."""
    joined = read_joined(file, name)
    vendors = [_read_vendor(file, each, mappings) for each in joined]
    # a stand-in on this machine: its secrets protect nothing
    plain = bool(vendors) and all(vendor.plain for vendor in vendors)
    here: Place = ("tenants", name)
    accepted = read_accepted(file, here, plain=plain)
    shared: dict[str, Any] = {
        "organisation": name,
        "accepted": accepted,
        "path": read_path(file, here, accepted, plain=plain),
        "rtopilot": read_rtopilot(file, here, accepted.default, plain=plain),
        "off": _read_off(file, here),
        "adopt_unknown_ids": file.value(*here, "adopt_unknown_ids", default="read") == "read",
        "push_adopted_completed": file.value(*here, "adopted_completed", default="hold") == "push",
        "repeat_window_s": file.seconds(*here, "repeat_window", default=900.0),
        "grace_s": file.seconds(*here, "grace", default=45.0),
    }
    tenants = [_read_tenant(file, each, vendor, shared) for each, vendor in zip(joined, vendors, strict=True)]
    return [tenant for tenant in tenants if tenant is not None] if file.is_sound(name) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vendor:
    """The mapping of one LMS, and the address that config.yaml gives instead of the mapping's."""

    mapping: MappingSpec | None
    own: Base | None

    @property
    def plain(self) -> bool:
        return self.own is not None and self.own.origin.startswith("http:")


def _read_vendor(file: ConfigFile, joined: Joined, mappings: MappingFiles) -> _Vendor:
    return _Vendor(mapping=mappings.of(joined.here, joined.name), own=read_base_url(file, joined.here))


def _read_tenant(
    file: ConfigFile, joined: Joined, vendor: _Vendor, shared: Mapping[str, Any]
) -> TenantConfig | None:
    here, mapping, organisation = joined.here, vendor.mapping, str(shared["organisation"])
    if mapping is None:
        return None
    secrets = _read_secrets(file, here, mapping, plain=vendor.plain)
    settings = resolve_settings(mapping, file.source, (*here, "settings"))
    file.hidden.update(settings.sensitive(file.object(*here, "settings")))
    names = _read_names(file, here, mapping)
    own_progress = file.has(*here, "progress")
    progress = read_progress(file, here if own_progress else ("tenants", organisation), mapping, settings)
    address = read_address(file, here, mapping, settings, vendor.own) if file.is_sound(organisation) else None
    if address is None:
        return None
    return TenantConfig(
        name=joined.name,
        alias=joined.alias,
        here=here,
        mapping=mapping,
        vendor=address,
        settings=settings,
        secrets=secrets,
        progress=progress,
        names=names,
        launch=read_launch(file, here, ("tenants", organisation)),
        signs_in_elsewhere=_read_sign_in(file, here, ("tenants", organisation)),
        **shared,
    )


def _read_sign_in(file: ConfigFile, here: Place, shared: Place) -> bool:
    """What the LMS says; else what its organisation does."""
    place = here if file.has(*here, "sign_in") else shared
    return bool(file.value(*place, "sign_in", default="lms") == "elsewhere")


def _read_secrets(file: ConfigFile, here: Place, mapping: MappingSpec, *, plain: bool) -> dict[str, Secret]:
    place = (*here, "secrets")
    given = file.object(*place)
    if file.has(*place) and not isinstance(file.source.document.node(place).data, dict):
        file.problem(place, "Secrets are names with values, one a line.")
    for name in given:
        if name not in mapping.secrets:
            fix = _did_you_mean(name, mapping.secrets)
            file.problem((*place, name), f"{mapping.name} has no secret `{name}`.", fix=fix, key=True)
    # a misspelt name is one mistake, not also a missing one
    meant = {nearest(name, mapping.secrets) for name in given.keys() - mapping.secrets.keys()}
    for secret in mapping.secrets.values():
        if secret.required and given.get(secret.name) is None and secret.name not in meant:
            why = f": {secret.help}" if secret.help else ""
            fix = f'Write `secrets: {{{secret.name}: "${{env:{_env_name(_name_of(here), secret.name)}}}"}}`.'
            file.problem(place, f"The secret `{secret.name}` is missing{why}.", fix=fix, key=True)
    read = {name: file.secret(*place, name, plain=plain) for name in given if name in mapping.secrets}
    return {name: secret for name, secret in read.items() if secret is not None}


def _read_names(file: ConfigFile, here: Place, mapping: MappingSpec) -> dict[str, str]:
    place = (*here, "names")
    found: dict[str, str] = {}
    for name in file.object(*place):
        if name not in mapping.provisional:
            message = f"{mapping.name} does not call `{name}` provisional, so it cannot be renamed here."
            file.problem((*place, name), message, fix=_did_you_mean(name, mapping.provisional), key=True)
        found[name] = file.text(*place, name) or name
    return found


def _read_off(file: ConfigFile, here: Place) -> frozenset[Operation]:
    place = (*here, "operations")
    off = frozenset(
        operation for operation in Operation if file.value(*place, operation.value) in (False, "off")
    )
    for operation in sorted(off - OPTIONAL):
        message = f"`{operation}` cannot be off: RTOPilot does not work without it."
        file.problem(
            (*place, operation.value), message, fix=f"Only {', '.join(sorted(OPTIONAL))} may be off."
        )
    return off


def _refuse_same_door(file: ConfigFile, tenants: Mapping[str, TenantConfig]) -> None:
    doors: dict[str, str] = {}
    for tenant in tenants.values():
        other = doors.setdefault(tenant.door, tenant.organisation)
        if other != tenant.organisation:
            message = f"`{other}` has the same path: calls for one would reach the other."
            file.problem((*tenant.shared, "inbound", "path"), message, fix="Make a fresh one.")


def _did_you_mean(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    near = nearest(name, known)
    return f"Write `{near}`." if near else f"It has: {', '.join(known) or 'none'}."


def _name_of(here: Place) -> str:
    """What a tenant of which config.yaml speaks `here` is called in names of the environment."""
    return "_".join(str(part) for part in here if part not in ("tenants", "lms"))


def _env_name(tenant: str, secret: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", f"{tenant}_{secret}")
    return re.sub(r"[^A-Za-z0-9]+", "_", words).upper()
