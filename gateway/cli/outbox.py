"""For who runs the gateway: `outbox`, what RTOPilot has not been told yet, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.options import Config, Json, TenantName, known, settings_of, tenant_of, tenants_of
from gateway.cli.report import complain, say, say_json, table
from gateway.cli.stored import read, write

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.operator.outbox_report import Overview

T = TypeVar("T")

STATES = ("pending", "dead", "done")
CAUSES = ("transient", "not_found", "refused", "config")
SHOWN_IDS = 20
TENANT_CELLS = ("tenant", "waiting", "dead", "oldest", "paused", "todo")
CAUSE_CELLS = ("tenant", "cause", "status", "count", "example", "replay")
ITEM_CELLS = ("tenant", "enrolment", "state", "value", "delivered", "since", "due", "tries", "error")

MaybeTenant = Annotated[
    str | None, typer.Argument(metavar="TENANT", help="One tenant; else all.", show_default=False)
]
Cause = Annotated[
    str | None,
    typer.Option("--cause", metavar="CAUSE", help="Only transient, not_found, refused or config."),
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What RTOPilot has not been told yet, and why.")
    group.command("list")(list_items)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("resume")(resume)
    group.command("replies")(replies)
    app.add_typer(group, name="outbox")


def list_items(
    tenant: MaybeTenant = None,
    config: Config = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="pending, dead or done; else the first two."),
    ] = None,
    cause: Cause = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many of each state.")
    ] = 50,
    json: Json = False,
) -> None:
    """List what waits for RTOPilot and what it refused, with the cause and what to do."""
    from gateway.operator.outbox_report import overview

    settings = settings_of(config)
    name = None if tenant is None else tenant_of(settings, tenant)
    states: Any = ("dead", "pending") if state is None else (known(state, STATES, "state"),)
    why: Any = None if cause is None else known(cause, CAUSES, "cause")
    found = read(settings, lambda conn, _: overview(conn, tenant=name, states=states, cause=why, limit=limit))
    if json:
        say_json(found.as_json())
    else:
        _say_overview(found)


def show(
    tenant: TenantName,
    id: Annotated[str, typer.Argument(metavar="ID", help="The lmsEnrolmentId.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Show one enrolment's value, what became of it, and what to do about it."""
    from gateway.operator.outbox_report import load

    settings = settings_of(config)
    name = tenant_of(settings, tenant, id)
    report, now = read(settings, lambda conn, now: (load(conn, name, id), now))
    if report is None:
        complain(f"Nothing has been queued for {id}: its progress is not known, or is still 0.")
        raise typer.Exit(1)
    shown = report.as_json(now)
    if json:
        say_json(shown)
        return
    for label, value in shown.items():
        if value is not None:
            say(f"{label.replace('_', ' '):<16} {value}")


def replay(
    tenant: TenantName,
    id: Annotated[
        str | None, typer.Argument(metavar="ID", help="One lmsEnrolmentId.", show_default=False)
    ] = None,
    config: Config = None,
    cause: Cause = None,
    status: Annotated[
        int | None, typer.Option("--status", metavar="N", help="Only those RTOPilot answered with N.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters of the tenant.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    json: Json = False,
) -> None:
    """Try dead letters again: one, all, or all with one cause or status."""
    from gateway.store import outbox

    some = cause is not None or status is not None
    if [id is not None, some, every].count(True) != 1:
        raise typer.BadParameter("Say which: an ID, or --cause or --status (or both), or --all.")
    settings = settings_of(config)
    name = tenant_of(settings, tenant, id)
    why: Any = None if cause is None else known(cause, CAUSES, "cause")
    ids = write(
        settings,
        lambda conn, now: outbox.replay(
            conn, tenant=name, id=id, cause=why, status=status, now=now, dry=dry_run
        ),
    )
    if json:
        say_json({"tenant": name, "dry_run": dry_run, "ids": ids})
    else:
        _say_replayed(name, ids, dry_run=dry_run)
    if id is not None and not ids:
        complain(f"{id} is no dead letter of an active enrolment: `lms-gateway outbox show {name} {id}`.")
        raise typer.Exit(1)


def resume(tenant: TenantName, config: Config = None, json: Json = False) -> None:
    """Let a tenant's API key be tried again, after RTOPilot refused it by mistake."""
    from gateway.store import outbox, pauses

    settings = settings_of(config)
    names = tenants_of(settings, tenant)  # the key is the organisation's

    def lifted(conn: Connection, _: float) -> tuple[int, int]:
        counts = outbox.counts(conn)
        waiting = sum(counts.get(name, {}).get("pending", 0) for name in names)
        return sum(pauses.lift(conn, name) for name in names), waiting

    count, waiting = write(settings, lifted)
    if json:
        say_json({"tenant": tenant, "resumed": count > 0, "waiting": waiting})
    elif count:
        say(f"Resumed. A running gateway takes up the {waiting} waiting within a second or two.")
    else:
        say(f"{tenant} is not paused.")


def replies(tenant: MaybeTenant = None, config: Config = None, json: Json = False) -> None:
    """Show the first body RTOPilot answered with each status, scrubbed."""
    from gateway.operator.run_report import stamp
    from gateway.store import outbox

    settings = settings_of(config)
    name = None if tenant is None else tenant_of(settings, tenant)
    found = read(settings, lambda conn, _: outbox.replies(conn, name))
    rows = [
        {"tenant": each.tenant, "status": each.status, "at": stamp(each.at), "body": each.body}
        for each in found
    ]
    if json:
        say_json(rows)
    elif rows:
        table(("tenant", "status", "at", "body"), [[str(cell) for cell in row.values()] for row in rows])
    else:
        say("RTOPilot has not answered a push yet.")


# -- how they are shown -----------------------------------------------------------------------------


def _say_overview(found: Overview) -> None:
    from gateway.operator.outbox_report import cause_json, item_json

    if not found.tenants:
        say("Nothing has been queued for RTOPilot yet.")
        return
    styles = ["red" if each.pause else "yellow" if each.dead else None for each in found.tenants]
    table(
        ("tenant", "waiting", "dead", "oldest", "paused", "what to do"),
        _cells([each.as_json() for each in found.tenants], TENANT_CELLS),
        styles=styles,
    )
    if found.causes:
        say()
        table(
            ("tenant", "dead because", "status", "how many", "such as", "to try again"),
            _cells([cause_json(each) for each in found.causes], CAUSE_CELLS),
        )
    if found.items:
        say()
        table(ITEM_CELLS, _cells([item_json(each) for each in found.items], ITEM_CELLS))


def _cells(rows: list[dict[str, Any]], names: Sequence[str]) -> list[list[str]]:
    return [["" if row[name] is None else str(row[name]) for name in names] for row in rows]


def _say_replayed(name: str, ids: list[str], *, dry_run: bool) -> None:
    for id in ids[:SHOWN_IDS]:
        say(id)
    if len(ids) > SHOWN_IDS:
        say(f"… and {len(ids) - SHOWN_IDS} more")
    if not ids:
        say(f"No dead letters of {name} match.")
    elif dry_run:
        say(f"{len(ids)} would be tried again.")
    else:
        say(f"{len(ids)} will be tried again, oldest first.")
