"""For who runs the gateway: `serve`, `db upgrade`, `runs`, `adopt`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli import serving
from gateway.cli.options import Config, Json, TenantName, known, run, settings_of, tenants_of, values_of
from gateway.cli.report import complain, progress, say, say_json, table
from gateway.cli.stored import read, write

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.operator.adopt import Adoption
    from gateway.operator.run_report import RunReport
    from gateway.store.runs import Run

T = TypeVar("T")

STATES = ("running", "in_doubt", "done", "failed")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The reference RTOPilot was given.")]
Only = Annotated[str | None, typer.Option("--tenant", metavar="TENANT", help="Only this tenant's.")]


def add_to(app: typer.Typer) -> None:
    app.command("serve")(serve)
    database = typer.Typer(no_args_is_help=True, help="The database.")
    database.command("upgrade")(upgrade)
    app.add_typer(database, name="db")
    runs = typer.Typer(no_args_is_help=True, help="What RTOPilot asked for, and what became of it.")
    runs.command("list")(list_runs)
    runs.command("show")(show)
    runs.command("settle")(settle)
    manual = typer.Typer(no_args_is_help=True, help="What a person has to do at an LMS.")
    manual.command("list")(list_manual)
    manual.command("done")(manual_done)
    runs.add_typer(manual, name="manual")
    app.add_typer(runs, name="runs")
    app.command("adopt")(adopt)


def serve(
    config: Config = None,
    log_level: Annotated[
        str, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = "info",
    log_json: Annotated[bool, typer.Option("--log-json", help="Write the log as JSON lines.")] = False,
) -> None:
    """Serve RTOPilot's calls until SIGTERM or Ctrl-C."""
    level = known(log_level, serving.LEVELS, "log level")
    raise typer.Exit(serving.serve(serving.Options(config=config, log_level=level, log_json=log_json)))


def upgrade(config: Config = None) -> None:
    """Bring the database's tables up to this version."""
    from gateway.store.database import upgrade as upgrade_store

    upgrade_store(settings_of(config).store.reveal())
    say("The database is up to date.")


def list_runs(
    config: Config = None,
    tenant: Only = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="running, in_doubt, done or failed.")
    ] = None,
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="OPERATION", help="Such as createEnrolment.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")
    ] = 50,
    json: Json = False,
) -> None:
    """List the newest runs."""
    from gateway.contract import Operation
    from gateway.operator.run_report import stamp
    from gateway.store import runs

    wanted: Any = None if state is None else known(state, STATES, "state")
    named = None if operation is None else known(operation, [each.value for each in Operation], "operation")
    found = read(
        settings_of(config),
        lambda conn, _: runs.list_runs(conn, tenant=tenant, state=wanted, operation=named, limit=limit),
    )
    if json:
        say_json([_run_line(each) for each in found])
        return
    head = ("run", "asked", "tenant", "operation", "state", "tries", "enrolment", "student")
    rows = [
        (
            each.id,
            stamp(each.created_at) or "",
            each.tenant,
            each.operation,
            each.state,
            str(each.tries),
            each.enrolment_id or "",
            each.student_id or "",
        )
        for each in found
    ]
    colours = {"failed": "red", "in_doubt": "yellow"}
    table(head, rows, styles=[colours.get(each.state) for each in found])


def show(
    run_id: RunId,
    config: Config = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write a masked bundle for the vendor's support desk."),
    ] = None,
    json: Json = False,
) -> None:
    """Show one run: its steps, its masked exchanges, and what to do about it."""
    report, now = _report(settings_of(config), run_id)
    if export is not None:
        import orjson

        export.write_bytes(orjson.dumps(report.bundle(now), option=orjson.OPT_INDENT_2))
        say(f"Written to {export}. Read it before you send it.")
    elif json:
        say_json(report.as_json(now))
    else:
        _say_report(report, now)


def settle(
    run_id: RunId,
    config: Config = None,
    done: Annotated[
        bool | None, typer.Option("--done/--not-done", help="Whether the LMS did it.", show_default=False)
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option("--value", metavar="K=V", help="What the step would have given.")
    ] = None,
) -> None:
    """Settle by hand a run whose outcome nobody knows, after looking in the LMS."""
    if done is None:
        raise typer.BadParameter("Look in the LMS first, then say --done or --not-done.")
    after = run(_settle(settings_of(config), run_id, done=done, values=values_of(value)))
    say(f"The run is {after.state}." + (f" RTOPilot is given {after.output['id']}." if after.output else ""))
    if after.state == "in_doubt":
        raise typer.Exit(1)


def list_manual(config: Config = None, tenant: Only = None, json: Json = False) -> None:
    """List what a person has to do at an LMS."""
    from gateway.operator.run_report import stamp
    from gateway.store import manual

    items = read(settings_of(config), lambda conn, _: manual.list_items(conn, tenant=tenant, limit=1000))
    if json:
        say_json([dataclasses.asdict(item) for item in items])
        return
    rows = [(item.id, stamp(item.created_at) or "", item.tenant, item.sentence) for item in items]
    table(("item", "since", "tenant", "what to do"), rows)


def manual_done(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item, as listed.")], config: Config = None
) -> None:
    """Take one thing off the manual list: it has been done."""
    from gateway.store import manual

    settings = settings_of(config)
    if not write(settings, lambda conn, now: manual.done(conn, item, now)):
        complain(f"There is no open item {item}.")
        raise typer.Exit(1)
    say("Done.")


def adopt(
    tenant: TenantName,
    csv: Annotated[
        Path, typer.Option("--csv", metavar="FILE", help="Ids, one a line or under lmsEnrolmentId.")
    ],
    config: Config = None,
    json: Json = False,
) -> None:
    """Bring many enrolment ids back at once after a lost database."""
    from gateway.operator.adopt import read_ids

    settings = settings_of(config)
    names = tenants_of(settings, tenant)
    try:
        ids = read_ids(csv.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"`{csv}` cannot be read: {error}") from error
    found = run(_adopt(settings, names, ids))
    if json:
        say_json([dataclasses.asdict(each) for each in found])
    else:
        table(("id", "state", "why"), [(each.id, each.state, each.why) for each in found])
        counts = {
            state: sum(each.state == state for each in found)
            for state in ("adopted", "known", "not found", "failed")
        }
        say(", ".join(f"{count} {state}" for state, count in counts.items()))
    if any(each.state in ("not found", "failed") for each in found):
        raise typer.Exit(1)


# -- the parts that touch the store -----------------------------------------------------------------


def _report(settings: Settings, run_id: str) -> tuple[RunReport, float]:
    import time

    from gateway.operator import run_report

    report = read(settings, lambda conn, _: run_report.load(conn, run_id))
    if report is None:
        complain(f"There is no run {run_id}. Reads leave none; the log has their reference.")
        raise typer.Exit(1)
    return report, time.time()


async def _settle(settings: Settings, run_id: str, *, done: bool, values: dict[str, Any]) -> Run:
    from gateway.app import open_gateway
    from gateway.operator.settle import settle

    async with open_gateway(settings) as gateway:
        return await settle(gateway.database, gateway.tenants, gateway.runs, run_id, done=done, values=values)


async def _adopt(settings: Settings, names: Sequence[str], ids: list[str]) -> list[Adoption]:
    from gateway.app import open_gateway
    from gateway.operator.adopt import adopt

    # Asked for by name, so it holds even where RTOPilot's own calls may not adopt.
    allowed = {name: dataclasses.replace(settings.tenants[name], adopt_unknown_ids=True) for name in names}
    settings = dataclasses.replace(settings, tenants={**settings.tenants, **allowed})
    found: list[Adoption] = []
    async with open_gateway(settings, only=names) as gateway:
        with progress("Looking up", len(ids)) as step:
            async for each in adopt([gateway.tenants[name] for name in names], ids):
                found.append(each)
                step()
    return found


# -- how they are shown -----------------------------------------------------------------------------


def _run_line(each: Run) -> dict[str, Any]:
    from gateway.operator.run_report import stamp

    return {
        "run": each.id,
        "tenant": each.tenant,
        "operation": each.operation,
        "state": each.state,
        "tries": each.tries,
        "enrolment": each.enrolment_id,
        "student": each.student_id,
        "created": stamp(each.created_at),
        "finished": stamp(each.finished_at),
        "error": each.error.get("code") if isinstance(each.error, dict) else None,
    }


def _say_report(report: RunReport, now: float) -> None:
    from gateway.operator.run_report import request_line

    shown = report.as_json(now)
    for name in (
        "run",
        "tenant",
        "operation",
        "state",
        "student",
        "enrolment",
        "created",
        "finished",
        "tries",
    ):
        if shown[name] is not None:
            say(f"{name:<10} {shown[name]}")
    if isinstance(shown["error"], dict):
        say(f"{'error':<10} {shown['error'].get('code')}: {shown['error'].get('message') or ''}".rstrip(": "))
    say(f"{'to do':<10} {shown['todo']}")
    for step in shown["steps"]:
        say(
            f"step       {step['name']}: {step['state']}" + (f", left {step['left']}" if step["left"] else "")
        )
        for warning in step["warnings"]:
            say(f"             {warning}")
    for exchange in shown["exchanges"]:
        say(f"exchange   {exchange.get('at')}  {exchange.get('step')}")
        say(f"             {request_line(exchange)}")
        if exchange.get("reply"):
            say(f"             {' '.join(str(exchange['reply']).split())[:300]}")
