"""Where one tenant's calls may go: the mapping's hosts filled in, and config.yaml's own address.

A host that came from a tenant's settings must be a public one; only `base_url` may name this machine.
Source: design 3 (14).
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config.file import ConfigFile
from gateway.errors import ExpressionError, HostRefused
from gateway.mapping.expressions import Runtime
from gateway.mapping.setting_values import is_host
from gateway.mapping.settings import TenantSettings
from gateway.mapping.spec import MappingSpec
from gateway.mapping.templates import Context, NullHere, Template
from gateway.outbound.addresses import Base, bare_host, checked_base
from gateway.secret import has_source
from gateway.yamlfile import Place

_OPEN_LEVELS = frozenset({"ac", "asn", "co", "com", "edu", "gov", "govt", "id", "net", "org"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAddress:
    """`base` is what every path is joined to; `hosts` all that may be called, lower case, without ports."""

    base: str
    hosts: frozenset[str]
    public_only_hosts: frozenset[str]


def read_address(
    file: ConfigFile,
    here: Place,
    mapping: MappingSpec,
    settings: TenantSettings,
    own: Base | None,
) -> VendorAddress | None:
    """The tenant's address, or None with a problem noted. `own` comes from `base_url`."""
    scope = {"settings": settings.values(None, Runtime()), "bundle": settings.bundle, "probe": {}}
    context = Context(scope, Runtime())
    try:
        rendered = [(_host(host, context), _from_settings(host)) for host in mapping.server.hosts]
        hosts = {bare_host(host): from_settings for host, from_settings in rendered if host is not None}
        base = own.origin + own.path if own is not None else _text(mapping.server.base, context)
    except ExpressionError as error:
        file.problem((*here, "settings"), f"The vendor's address cannot be made. {error}", key=True)
        return None
    for host, given in hosts.items():
        if given and (not is_host(host) or _anybodys(host)):
            message = f"`{host}` cannot be called: calls go to one full host name only."
            file.problem((*here, "settings"), message, fix="Correct the setting.", key=True)
            return None
    public_only = {host for host, given in hosts.items() if given}
    if own is not None:
        hosts[own.host] = False
        public_only.discard(own.host)
    try:
        checked_base(base, hosts=hosts, public_only_hosts=public_only)
    except HostRefused as refused:
        file.problem((*here, "mapping"), f"The mapping's address cannot be called: {refused}.")
        return None
    return VendorAddress(
        base=base.rstrip("/"), hosts=frozenset(hosts), public_only_hosts=frozenset(public_only)
    )


def read_base_url(file: ConfigFile, here: Place) -> Base | None:
    """The address that config.yaml gives instead of the mapping's; None without one that can be called."""
    place = (*here, "base_url")
    written = file.text(*place)
    if written is None or has_source(written):
        return None
    base = own_base(written)
    if isinstance(base, Base):
        return base
    fix = "Write it such as https://acme.example.com/api/v1; http is for this machine."
    file.problem(place, f"The vendor cannot be called at this address: {base}.", fix=fix)
    return None


def own_base(address: str) -> Base | HostRefused:
    """An address that config.yaml itself gives: its own host is allowed, http only on this machine."""
    try:
        return checked_base(address, hosts={bare_host(address)}, public_only_hosts=())
    except HostRefused as refused:
        return refused


def _host(template: Template, context: Context) -> str | None:
    """None for a host whose setting is not given: there is none to call then."""
    try:
        return _text(template, context)
    except NullHere:
        return None


def _text(template: Template, context: Context) -> str:
    value = template.render(context)
    if not isinstance(value, str):
        raise ExpressionError(f"{template.place} does not give text.")
    return value


def _from_settings(template: Template) -> bool:
    return any(
        "settings" in expression.roots or expression.whole_scope for expression in template.expressions
    )


def _anybodys(host: str) -> bool:
    """`com.au`, `co.uk`: a name under which anybody may register."""
    first, _, last = host.partition(".")
    return len(last) == 2 and first in _OPEN_LEVELS
