"""What can be said of a tenant without asking its vendor: sign-in, addresses, hosts, credentials."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from gateway.config.tenants import TenantConfig
from gateway.contract import Operation, Person
from gateway.errors import ExpressionError
from gateway.operator.check import Row, ok, red, skipped, warning
from gateway.outbound.addresses import is_loopback, is_public
from gateway.perform.tenant import Tenant

EMAIL, FIRST_PASSWORD = "email", "firstPassword"
"""The settings by which mappings say how learners sign in (docs/mapping-language.md)."""
SAMPLE = Person(id="1001", first_name="Sample", last_name="Student")

Resolve = Callable[[str], Awaitable[list[str]]]


async def resolved(host: str) -> list[str]:
    """The addresses of a host; empty when it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]) for entry in found})


async def settings_rows(
    tenant: Tenant, config: TenantConfig, public_url: str, *, resolve: Resolve = resolved
) -> list[Row]:
    mapping = config.mapping
    return [
        ok("Mapping", f"{mapping.name} {mapping.version}, hash {mapping.digest[:12]}, from {mapping.file}"),
        sign_in(tenant, elsewhere=config.signs_in_elsewhere),
        _reachable(public_url),
        *[await _host(config, host, resolve) for host in _hosts(config)],
    ]


def sign_in(tenant: Tenant, *, elsewhere: bool = False) -> Row:
    """Whether a learner enrolled today could sign in: RTOPilot sends us no e-mail address (design 3, 6)."""
    what, settings = "Learners can sign in", tenant.mapping.settings
    if elsewhere:
        return ok(what, "Through a sign-in system of yours, as `sign_in: elsewhere` says (not tried).")
    if EMAIL not in settings:
        return skipped(what, "This mapping makes no e-mail addresses.")
    try:
        values = tenant.frame(Operation.CREATE_ENROLMENT, person=SAMPLE).root["settings"]
    except ExpressionError as error:
        return red(what, f"The settings cannot be filled in for a student: {error}", "Correct the settings.")
    email = str(values.get(EMAIL) or "")
    if email and not email.endswith(".invalid"):
        return ok(what, f"The LMS can write to {email}.")
    if values.get(FIRST_PASSWORD):
        return ok(what, "They are told their user name and first password by you; the LMS sends no mail.")
    if tenant.mapping.launch is not None:
        return ok(what, "By launch link; the LMS sends no mail.")
    ways = [f"an `{EMAIL}` pattern that learners can read"]
    if FIRST_PASSWORD in settings:
        ways.append(f"a `{FIRST_PASSWORD}` that they are told")
    return red(
        what,
        f"Nobody can: addresses such as {email or '(none)'} get no mail, and nobody knows a password.",
        f"Set {' or '.join(ways)} under the tenant's `settings`; or say `sign_in: elsewhere` beside them.",
    )


def _reachable(public_url: str) -> Row:
    what, address = "RTOPilot can reach the gateway", urlsplit(public_url)
    host = address.hostname or ""
    if is_loopback(host):
        todo = "Write `public_url:`, the https address that RTOPilot is to use."
        return warning(what, f"{public_url} is this machine only.", todo)
    if address.scheme != "https":
        return red(what, f"{public_url} is not https.", "Put TLS in front, and write the https address.")
    return ok(what, f"{public_url} (not tried from outside)")


def _hosts(config: TenantConfig) -> Iterable[str]:
    """The vendor's own host first, then whatever else may be called."""
    own = urlsplit(config.base).hostname or ""
    return [own, *sorted(config.hosts - {own})]


async def _host(config: TenantConfig, host: str, resolve: Resolve) -> Row:
    what = f"Host {host}"
    found = await resolve(host)
    own = host == (urlsplit(config.base).hostname or "")
    if not found and own:
        return red(what, "It has no address.", "Correct the tenant's settings, or the name servers.")
    if not found:
        return warning(what, "It has no address.", "Only a matter if the mapping calls it.")
    if host in config.public_only_hosts and not all(map(is_public, found)):
        return red(what, f"{found[0]} is no public address.", "Name the vendor's own host in the settings.")
    return ok(what, found[0])
