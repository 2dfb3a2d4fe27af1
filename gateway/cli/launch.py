"""For who sends learners their links: `launch`, the pages of a tenant's enrolments."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import orjson
import typer

from gateway.cli.options import Config, Json, TenantName, run, settings_of, tenant_of, tenants_of
from gateway.cli.report import complain, on_terminal, say, say_json, table
from gateway.cli.spreadsheet import harmless

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.operator.launch_sheet import Row, Sheet

TABLE_ROWS = 500
"""How many rows a table on a terminal holds before the next one begins."""


def add_to(app: typer.Typer) -> None:
    app.command("launch")(launch)


def launch(
    tenant: TenantName,
    enrolment: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="One lmsEnrolmentId, with its link; else all.", show_default=False),
    ] = None,
    config: Config = None,
    course: Annotated[
        str | None,
        typer.Option("--course", metavar="ID", help="Only this course: RTOPilot's id or the LMS's."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only enrolments made on this day or later.")
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, as it does anyway where nobody is looking.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the CSV, or the JSON, to this file.")
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the LMS's own link of ID; on a terminal only.")
    ] = False,
    json: Json = False,
) -> None:
    """List the pages from which a tenant's learners open their courses, to be sent to them."""
    settings = settings_of(config)
    if reveal and (enrolment is None or not on_terminal()):
        raise typer.BadParameter("--reveal goes with one ID, on a terminal: the link opens the course.")
    if enrolment is not None:
        if course or since or as_csv or out:
            raise typer.BadParameter("With one ID there is nothing to choose, and no file.")
        _say_one(run(_one(settings, tenant_of(settings, tenant, enrolment), enrolment, reveal)), json)
        return
    names = _with_launch(settings, tenants_of(settings, tenant))
    chosen = _Chosen(course=course, since=_day(since))
    with _opened(out) as file:
        count = run(_list(settings, names, chosen, lambda head: _printer(head, file, json, as_csv)))
    where = "" if out is None else f" written to {out}"
    typer.echo(f"{count} {'enrolment' if count == 1 else 'enrolments'} of {tenant}{where}.", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Which enrolments are wanted."""

    course: str | None
    since: date | None


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is not a day. Write it such as 2026-02-28.") from None


def _with_launch(settings: Settings, names: Sequence[str]) -> list[str]:
    """Those whose mapping makes links; says which do not, and ends where none does."""
    found = []
    for name in names:
        mapping = settings.tenants[name].mapping
        if mapping.launch is not None:
            found.append(name)
        else:
            complain(f"{name}: the mapping {mapping.name} has no `launch`, so there are no pages.")
    if not found:
        raise typer.Exit(1)
    return found


# -- the parts that touch the store -----------------------------------------------------------------


@contextlib.asynccontextmanager
async def _sheets(settings: Settings, names: Sequence[str]) -> AsyncIterator[list[Sheet]]:
    from gateway.app import open_gateway
    from gateway.launch import token
    from gateway.operator.launch_sheet import Sheet

    key = token.derive_key(settings.session_secret().reveal())
    async with open_gateway(settings, only=names) as gateway:
        yield [
            Sheet(
                tenant=gateway.tenants[name],
                config=settings.tenants[name],
                key=key,
                public_url=settings.public_url,
            )
            for name in names
        ]


async def _list(
    settings: Settings,
    names: Sequence[str],
    chosen: _Chosen,
    printer: Callable[[Sequence[str]], contextlib.AbstractContextManager[Callable[[Row], None]]],
) -> int:
    """Print each row as it is read; how many there were."""
    from gateway.operator.launch_sheet import columns

    count = 0
    async with _sheets(settings, names) as sheets:
        with printer(columns(sheets)) as write:
            for sheet in sheets:
                async for row in sheet.rows(course=chosen.course, since=chosen.since):
                    write(row)
                    count += 1
    return count


async def _one(settings: Settings, name: str, enrolment_id: str, reveal: bool) -> dict[str, str]:
    from gateway.operator.launch_sheet import masked

    _with_launch(settings, [name])
    async with _sheets(settings, [name]) as (sheet,):
        stored = await sheet.stored(enrolment_id)
        if stored.state != "active":
            complain(f"This enrolment is {stored.state}: its page answers 410.")
            raise typer.Exit(1)
        row, link = await sheet.row(stored), await sheet.link(stored)
        return {**row, "link": link if reveal else masked(link)}


# -- how they are shown -----------------------------------------------------------------------------


def _say_one(row: dict[str, str], json: bool) -> None:
    if json:
        say_json(row)
        return
    width = max(map(len, row)) + 2
    for name, value in row.items():
        say(f"{name:{width}}{value}".rstrip())


@contextlib.contextmanager
def _opened(out: Path | None) -> Iterator[TextIO | None]:
    """The file, for its owner's eyes: it holds names, addresses and pages that open courses."""
    if out is None:
        yield None
        return
    try:
        number = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"`{out}` cannot be written: {error.strerror}.") from error
    with open(number, "w", newline="", encoding="utf-8") as file:
        yield file


def _printer(
    head: Sequence[str], file: TextIO | None, json: bool, as_csv: bool
) -> contextlib.AbstractContextManager[Callable[[Row], None]]:
    if file is None and not json and not as_csv and on_terminal():
        return _table(head)
    if file is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the machine is set to: names are in it
    target = file or sys.stdout
    return _json(head, target) if json else _csv(head, target)


@contextlib.contextmanager
def _csv(head: Sequence[str], file: TextIO) -> Iterator[Callable[[Row], None]]:
    from gateway.operator.launch_sheet import in_columns

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    yield lambda row: writer.writerow([harmless(cell) for cell in in_columns(row, head)])


@contextlib.contextmanager
def _json(head: Sequence[str], file: TextIO) -> Iterator[Callable[[Row], None]]:
    """One array, an object a line."""
    opening = iter(["[\n"])

    def write(row: Row) -> None:
        file.write(next(opening, ",\n"))
        file.write(orjson.dumps({name: row.get(name, "") for name in head}).decode())

    yield write
    file.write("[]\n" if next(opening, None) else "\n]\n")


@contextlib.contextmanager
def _table(head: Sequence[str]) -> Iterator[Callable[[Row], None]]:
    from gateway.operator.launch_sheet import in_columns

    waiting: list[Any] = []

    def write(row: Row) -> None:
        waiting.append(in_columns(row, head))
        if len(waiting) == TABLE_ROWS:
            table(head, waiting)
            waiting.clear()

    yield write
    if waiting:
        table(head, waiting)
