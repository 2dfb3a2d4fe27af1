"""For an RTO's administrator: `check`, `settings`, `choices`, `token`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import Config, Json, TenantName, run, settings_of, tenant_of, tenants_of
from gateway.cli.report import STYLES, complain, on_terminal, say, say_json, table

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.config import Settings
    from gateway.config.file import ConfigFile
    from gateway.operator.check import Row
    from gateway.operator.progress_sheet import Paste
    from gateway.operator.slot_sheet import Slot

TOKEN_BYTES = 32
WORDS = {"ok": "ok", "warning": "warning", "red": "RED", "skipped": "-"}


def add_to(app: typer.Typer) -> None:
    app.command("check")(check)
    app.command("settings")(settings)
    app.command("choices")(choices)
    app.command("token")(token)


def check(
    tenant: Annotated[
        str | None, typer.Argument(metavar="TENANT", help="One tenant; else all.", show_default=False)
    ] = None,
    config: Config = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="A running gateway's public address; else one is started."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Make and cancel one test enrolment too.")] = False,
    course: Annotated[
        str | None, typer.Option("--course", metavar="ID", help="The course for --write.")
    ] = None,
    rtopilot: Annotated[
        bool,
        typer.Option("--rtopilot", help="Try the API key too, with one progress of 0 for nobody."),
    ] = False,
    json: Json = False,
) -> None:
    """Play RTOPilot against this configuration and say what holds and what to do about the rest."""
    from gateway.operator.check import good

    if write and (course is None or tenant is None):
        raise typer.BadParameter("--write needs a TENANT and --course ID: it makes an enrolment there.")
    loaded = settings_of(config)
    if write and tenant is not None:
        tenant = tenant_of(loaded, tenant)
    names = list(loaded.tenants) if tenant is None else list(tenants_of(loaded, tenant))
    found = run(_check(loaded, names, url, course if write else None, rtopilot))
    if json:
        say_json({name: [row.as_json() for row in rows] for name, rows in found.items()})
    else:
        for name, rows in found.items():
            _say_rows(name, rows)
    if not all(good(rows) for rows in found.values()):
        raise typer.Exit(1)


def settings(
    tenant: TenantName,
    config: Config = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the secrets themselves; on a terminal only.")
    ] = False,
    json: Json = False,
) -> None:
    """Print what to paste into RTOPilot, with Slate off, and what progress needs there and at the LMS."""
    if reveal and not on_terminal():
        raise typer.BadParameter("--reveal works on a terminal only, so that secrets do not land in files.")
    loaded = settings_of(config)
    names = tenants_of(loaded, tenant)
    name = loaded.tenants[names[0]].organisation
    slots = _sheet(loaded, names, loaded.public_url, reveal=reveal)
    pastes = _progress_sheet(loaded, names, reveal=reveal)
    if json:
        say_json(
            {"slots": [each.as_json() for each in slots], "progress": [each.as_json() for each in pastes]}
        )
        return
    say(f"RTOPilot > Developers > LMS Integration (Slate off), for the tenant {name}")
    for slot in slots:
        _say_slot(slot)
    if pastes:
        say("\nSo that progress comes back")
    for paste in pastes:
        _say_paste(paste)
    say(f"\nThen run `lms-gateway check {name}`: RTOPilot itself tests nothing when these are saved.")


def choices(
    tenant: TenantName,
    setting: Annotated[str, typer.Argument(metavar="SETTING", help="A setting of its mapping.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """List the values a setting may take, read from the vendor."""
    loaded = settings_of(config)
    found = run(_choices(loaded, tenant_of(loaded, tenant), setting))
    if json:
        say_json(found)
    else:
        table(("value", "name"), [(each["id"], each.get("name", "")) for each in found])


def token() -> None:
    """Print a fresh token for RTOPilot to present."""
    say(secrets.token_urlsafe(TOKEN_BYTES))


# -- the parts that touch the vendor ----------------------------------------------------------------


async def _check(
    loaded: Settings, names: list[str], url: str | None, course: str | None, trial: bool
) -> dict[str, list[Row]]:
    from gateway.app import open_gateway, public_app
    from gateway.listen import listening

    async with open_gateway(loaded, only=names) as gateway:
        if url is not None:
            return {name: await _rows(gateway, name, url.rstrip("/"), course, trial) for name in names}
        async with listening(public_app(loaded, gateway.perform), "127.0.0.1", 0) as here:
            return {name: await _rows(gateway, name, here, course, trial) for name in names}


async def _rows(gateway: Gateway, name: str, url: str, course: str | None, trial: bool) -> list[Row]:
    """Everything about one tenant; RTOPilot's part is played against `url`, `trial` pushes for nobody."""
    from gateway.operator.check_progress import progress_rows
    from gateway.operator.check_push import push_rows
    from gateway.operator.check_rtopilot import rtopilot_rows, seen_enrolment
    from gateway.operator.check_settings import settings_rows
    from gateway.operator.check_vendor import vendor_rows

    tenant, config = gateway.tenants[name], gateway.settings.tenants[name]
    slots = _sheet(gateway.settings, [name], url, reveal=True)
    known = await gateway.database.read(lambda conn: seen_enrolment(conn, name))
    rows = await settings_rows(tenant, config, gateway.settings.public_url)
    rows += await vendor_rows(tenant)
    rows += await rtopilot_rows(slots, config.accepted, known, alias=tenant.alias)
    rows += await progress_rows(tenant, config, gateway.progress)
    target = gateway.progress.deliveries.targets.get(name)
    if target is not None:
        rows += await push_rows(target, trial=trial, now=gateway.database.clock.now())
    if course is not None:
        rows += await _write(gateway, name, slots, course)
    return rows


async def _write(gateway: Gateway, name: str, slots: list[Slot], course: str) -> list[Row]:
    from gateway.operator.check_write import refused, why_not, write_rows
    from gateway.workbench.given import vendor_course

    cancel = next(slot for slot in slots if slot.operation == "cancelEnrolment")
    why = why_not(slots, by_hand=cancel.note is not None)
    if why is not None:
        return [refused(why)]
    tenant, accepted = gateway.tenants[name], gateway.settings.tenants[name].accepted
    return await write_rows(slots, accepted, tenant.course_id(vendor_course(course, tenant.alias)))


async def _choices(loaded: Settings, name: str, setting: str) -> list[dict[str, str]]:
    from gateway.app import open_gateway
    from gateway.workbench.choices import choices

    async with open_gateway(loaded, only=[name]) as gateway:
        return await choices(gateway.tenants[name], setting)


def _sheet(loaded: Settings, names: Sequence[str], public_url: str, *, reveal: bool) -> list[Slot]:
    """The slots of one tenant, or of all LMSs of one organisation together."""
    from gateway.app import tenant_spec
    from gateway.operator.slot_sheet import sheet, together

    file, tenants = _file(loaded), [loaded.tenants[name] for name in names]
    sheets = [sheet(file, each, tenant_spec(each), public_url, reveal=reveal) for each in tenants]
    return together(dict(zip(names, sheets, strict=True)))


def _progress_sheet(loaded: Settings, names: Sequence[str], *, reveal: bool) -> list[Paste]:
    """The same of what progress needs; what several LMSs share is said once."""
    from gateway.app import tenant_spec
    from gateway.operator.progress_sheet import progress_sheet

    file = _file(loaded)
    pastes: list[Paste] = []
    for tenant in (loaded.tenants[name] for name in names):
        found = progress_sheet(file, tenant, tenant_spec(tenant), loaded.public_url, reveal=reveal)
        pastes += [each for each in found if each not in pastes]
    return pastes


def _file(loaded: Settings) -> ConfigFile:
    """config.yaml as it is written, to name where secrets come from."""
    import os

    from gateway.config.file import open_config

    return open_config(Path(loaded.file), os.environ)


# -- how they are shown -----------------------------------------------------------------------------


def _say_rows(name: str, rows: list[Row]) -> None:
    reds = sum(row.verdict == "red" for row in rows)
    say(f"Tenant {name}")
    table(
        ("what", "", "found", "what to do"),
        [(row.what, WORDS[row.verdict], row.found, row.todo) for row in rows],
        styles=[STYLES[row.verdict] for row in rows],
    )
    if reds:
        complain(f"{reds} thing{'s' if reds > 1 else ''} must be put right.")
    else:
        say("Everything that must hold, holds.")


def _say_slot(slot: Slot) -> None:
    say(f"\n{slot.name} ({slot.method})")
    if slot.blank is not None:
        say(f"    Leave it blank. {slot.blank}")
        return
    fields: dict[str, Any] = {"URL": slot.url}
    if slot.body is not None:
        fields["body"] = slot.body
    _say_fields({**fields, "auth": slot.auth, **slot.values}, slot.note)


def _say_paste(paste: Paste) -> None:
    say(f"\n{paste.what} ({paste.where})")
    _say_fields(paste.values, paste.note)


def _say_fields(fields: Mapping[str, Any], note: str | None) -> None:
    width = max((len(label) for label in fields), default=0)
    for label, value in fields.items():
        say(f"    {label:<{max(width + 1, 10)}}{value}")
    if note is not None:
        say(f"    ({note})")
