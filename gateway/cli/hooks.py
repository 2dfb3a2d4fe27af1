"""RTOPilot's webhooks, and what of any webhook was kept aside: `hooks match`, `list`, `show`, `release`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.options import Config, Json, known, settings_of, tenants_of
from gateway.cli.report import complain, say, say_json, table
from gateway.cli.stored import read, write

if TYPE_CHECKING:
    from gateway.config import HooksConfig, Settings
    from gateway.progress.match import Captured, Match
    from gateway.secret import Secret
    from gateway.store.inbox import Delivery

T = TypeVar("T")

STATES = ("quarantined", "new", "done")
MAX_BYTES = 10_000_000
UNPROVEN = frozenset({"no-scheme", "no-secret", "unverifiable"})
"""Why a delivery is kept aside of which nobody knows who sent it."""

DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="The delivery, as listed.")]
SECOND = " (the second)"
TO_CHECK = """\
Check that
  - the secret is the one of this webhook: each has its own, and a new one when it is made again;
  - the body is as it was sent: not indented, not written anew, every byte;
  - the headers are all there, also the ones a proxy may take off."""


def add_to(app: typer.Typer) -> None:
    hooks = typer.Typer(
        no_args_is_help=True, help="Webhooks: how RTOPilot signs them, and what was kept aside."
    )
    hooks.command("match")(match)
    hooks.command("list")(list_deliveries)
    hooks.command("show")(show)
    hooks.command("release")(release)
    app.add_typer(hooks, name="hooks")


def match(
    request: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The request as text: request line, headers, a blank line, the body.",
            show_default=False,
        ),
    ] = None,
    headers: Annotated[
        Path | None, typer.Option("--headers", metavar="FILE", help="Its headers, one a line; with --body.")
    ] = None,
    body: Annotated[
        Path | None, typer.Option("--body", metavar="FILE", help="Its body, byte for byte; with --headers.")
    ] = None,
    delivery: Annotated[
        str | None,
        typer.Option("--delivery", metavar="ID", help="A delivery that was kept, instead of files."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="Whose secrets; else the address says.")
    ] = None,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="EVENT", help="Such as student.merged; else the address says."),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", metavar="FILE", help="The secret, instead of the tenant's."),
    ] = None,
    secret_env: Annotated[
        str | None, typer.Option("--secret-env", metavar="NAME", help="The variable that holds the secret.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Find out how RTOPilot signed one webhook, and print what to write into the configuration."""
    from gateway.progress.match import find_schemes, tried

    if [request is not None, headers is not None or body is not None, delivery is not None].count(True) != 1:
        raise typer.BadParameter("Name one FILE, or --headers and --body, or --delivery.")
    if delivery is not None:
        kept = _delivery(settings_of(config), delivery)
        captured, tenant = _as_captured(kept), kept.tenant
    else:
        captured = _captured(request, headers, body)
    given, wanted = _given_secret(secret_file, secret_env), event or captured.event
    secrets = given or _stored_secrets(config, tenant, captured.door, wanted)
    found = find_schemes(captured, secrets)
    if json:
        say_json([_match_data(each) for each in found])
    elif found:
        _say_found(found, None if given else wanted)
    else:
        complain(f"Nothing fits.\n{tried(captured, list(secrets))}\n{TO_CHECK}")
    if not found:
        raise typer.Exit(1)


def list_deliveries(
    config: Config = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="Only this tenant's.")
    ] = None,
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="quarantined, new or done.")
    ] = "quarantined",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")
    ] = 50,
    json: Json = False,
) -> None:
    """List webhooks that were kept aside, newest first."""
    from gateway.store import inbox

    wanted: Any = known(state, STATES, "state")
    found = read(
        settings_of(config),
        lambda conn, _: inbox.list_items(conn, tenant=tenant, state=wanted, limit=limit),
    )
    if json:
        say_json([_line(each) for each in found])
        return
    rows = [tuple(str(cell) for cell in _line(each).values()) for each in found]
    table(("delivery", "received", "tenant", "from", "state", "why", "bytes"), rows)


def show(
    delivery_id: DeliveryId,
    config: Config = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the body itself, which may name students.")
    ] = False,
    json: Json = False,
) -> None:
    """Show one delivery: its headers, the keys of its body, and why it was kept aside."""
    delivery = _delivery(settings_of(config), delivery_id)
    shown = {**_line(delivery), "headers": delivery.headers, "keys": _keys_of(delivery.raw)}
    if reveal:
        shown["body"] = delivery.raw.decode("utf-8", "replace")
    if json:
        say_json(shown)
        return
    for name, value in _line(delivery).items():
        say(f"{name:<10} {value}")
    for name, value in delivery.headers.items():
        say(_printable(f"header     {name.replace('_', '-')}: {value}"))
    say(_printable(f"keys       {', '.join(shown['keys']) or 'none'}"))
    if reveal:
        say(_printable(shown["body"]))


def release(
    deliveries: Annotated[list[str], typer.Argument(metavar="ID...", help="Deliveries, as listed.")],
    config: Config = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where nothing proves who sent it: you have looked.")
    ] = False,
) -> None:
    """Have deliveries worked off that were kept aside, once the configuration says how to prove them."""
    settings = settings_of(config)
    refused = False
    for one in deliveries:
        delivery = _delivery(settings, one)
        why = None if anyway else _unproven(settings, delivery)
        if why is None and not _released(settings, one):
            why = f"it is {delivery.state}"
        if why is None:
            say(f"{one}: released.")
        else:
            refused = True
            complain(f"{one}: not released, {why}.")
    if refused:
        raise typer.Exit(1)


# -- what to match ------------------------------------------------------------------------------------


def _captured(request: Path | None, headers: Path | None, body: Path | None) -> Captured:
    from gateway.progress.match import Captured, parse_headers, parse_request

    try:
        if request is not None:
            return parse_request(_bytes(request))
        if headers is not None and body is not None:
            return Captured(headers=parse_headers(_bytes(headers)), body=_bytes(body))
    except ValueError as error:
        raise typer.BadParameter(f"`{request or headers}` is no request: {error}.") from error
    raise typer.BadParameter("--headers and --body belong together.")


def _as_captured(delivery: Delivery) -> Captured:
    from gateway.progress.match import Captured, stored_headers

    event = _event_of(delivery)
    return Captured(headers=stored_headers(delivery.headers), body=delivery.raw, event=event)


def _given_secret(file: Path | None, variable: str | None) -> dict[str, Secret]:
    """The secret that the caller points to; never one that is written on the command line."""
    from gateway.secret import SecretUnreadable, read_secret

    if file is None and variable is None:
        return {}
    name = str(file) if file is not None else str(variable)
    text = f"${{file:{file}}}" if file is not None else f"${{env:{variable}}}"
    try:
        return {name: read_secret(text, folder=Path.cwd(), environ=os.environ)}
    except SecretUnreadable as trouble:
        raise typer.BadParameter(f"{trouble.message} {trouble.fix}") from trouble


def _stored_secrets(
    config: Path | None, tenant: str | None, door: str | None, event: str | None
) -> dict[str, Secret]:
    """The tenant's secrets by event, this event's first: one webhook's secret may stand at another's."""
    settings = settings_of(config)
    hooks = _hooks_of(settings, tenant, door)
    given = hooks.rules.secrets if hooks is not None else {}
    found = {
        name if at == 0 else f"{name}{SECOND}": secret
        for name in sorted(given, key=lambda name: name != event)
        for at, secret in enumerate(given[name])
    }
    if not found:
        raise typer.BadParameter(
            "There is no secret to try. Write it under `rtopilot.hooks.events` of the tenant, or name a "
            "file with --secret-file."
        )
    return found


def _hooks_of(settings: Settings, tenant: str | None, door: str | None) -> HooksConfig | None:
    if tenant is not None:
        return settings.tenants[tenants_of(settings, tenant)[0]].rtopilot.hooks
    organisations = {each.organisation: each for each in settings.tenants.values()}
    with_hooks = [each for each in organisations.values() if each.rtopilot.hooks is not None]
    here = [each for each in with_hooks if each.door == door] or with_hooks
    if len(here) > 1:
        raise typer.BadParameter("Several tenants take webhooks: say whose this is with --tenant.")
    return here[0].rtopilot.hooks if here else None


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise typer.BadParameter(f"`{file}` is larger than {MAX_BYTES // 1_000_000} MB.")
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"`{file}` cannot be read: {error.strerror}.") from error


# -- the parts that touch the store -----------------------------------------------------------------


def _released(settings: Settings, delivery_id: str) -> bool:
    from gateway.store import inbox

    return write(settings, lambda conn, now: inbox.release_quarantined(conn, delivery_id, now))


def _delivery(settings: Settings, delivery_id: str) -> Delivery:
    from gateway.store import inbox

    found = read(settings, lambda conn, _: inbox.get(conn, delivery_id))
    if found is None:
        complain(f"There is no delivery {delivery_id}.")
        raise typer.Exit(1)
    return found


def _unproven(settings: Settings, delivery: Delivery) -> str | None:
    """Why nothing proves who sent it, by config.yaml as it is now; None where something does."""
    from gateway.progress import verify
    from gateway.progress.match import stored_headers
    from gateway.progress.signatures import check_signature

    if delivery.reason not in UNPROVEN:
        return None
    names, event = settings.organisations.get(delivery.tenant), _event_of(delivery)
    hooks = settings.tenants[names[0]].rtopilot.hooks if names is not None else None
    if event is None or hooks is None:
        return "nothing proves who sent it (--anyway, if you have looked)"
    rules = hooks.rules
    if rules.scheme is None:
        return None if rules.allow_unsigned else "no signature scheme is configured; see `hooks match`"
    secrets = rules.secrets.get(event)
    if not secrets:
        return f"no secret is configured for {event}"
    whole = verify.Delivery(raw=delivery.raw, headers=stored_headers(delivery.headers), event=event)
    # a person decides, so its age is no matter
    verdict = check_signature(rules.scheme, secrets, whole, delivery.received_at)
    return "its signature does not fit" if verdict.kind == "refused" else None


# -- how they are shown -----------------------------------------------------------------------------


def _say_found(found: list[Match], event: str | None) -> None:
    from gateway.progress.match import as_yaml

    for each in found:
        say(f"It fits with the secret of {each.secret}" + (f", {each.body}." if each.body else "."))
        if event is not None and each.secret.removesuffix(SECOND) != event:
            complain(f"But it was sent to the address of {event}: the secrets of the two may be swapped.")
        say(f"\n{as_yaml(each.scheme)}\n")
    if len(found) > 1:
        say("Each of these fits this request; one more request may tell them apart.")


def _match_data(found: Match) -> dict[str, Any]:
    import dataclasses

    scheme = {name: value for name, value in dataclasses.asdict(found.scheme).items() if value is not None}
    return {"secret": found.secret, "body": found.body, "signature": scheme}


def _line(delivery: Delivery) -> dict[str, Any]:
    from gateway.operator.run_report import stamp

    return {
        "delivery": delivery.id,
        "received": stamp(delivery.received_at),
        "tenant": delivery.tenant,
        "from": delivery.source,
        "state": delivery.state,
        "why": delivery.reason or delivery.last_error or "",
        "bytes": len(delivery.raw),
    }


def _printable(text: str) -> str:
    """Without what a terminal would obey: anybody may have sent it."""
    return "".join(each if each.isprintable() or each in "\n\t" else "�" for each in text)


def _event_of(delivery: Delivery) -> str | None:
    source, _, event = delivery.source.partition(":")
    return event if source == "rtopilot" else None


def _keys_of(raw: bytes) -> list[str]:
    """Dotted names of the keys of a JSON body, without values."""
    import orjson

    try:
        value = orjson.loads(raw)
    except ValueError:
        return []
    return sorted(_names(value, "", 4))[:200]


def _names(value: Any, before: str, depth: int) -> list[str]:
    if isinstance(value, list):
        return [name for one in value[:1] for name in _names(one, before, depth)]
    if not isinstance(value, Mapping) or depth == 0:
        return [before.rstrip(".")] if before else []
    return [name for key, one in value.items() for name in _names(one, f"{before}{key}.", depth - 1)]
