"""For who types results into RTOPilot: `units`, what learners have achieved at the LMS."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import Config, Json, TenantName, run, settings_of, tenants_of
from gateway.cli.report import say, say_json, table
from gateway.cli.spreadsheet import harmless

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.config import Settings
    from gateway.store.units import Place, StoredUnit

HEAD = ("lmsEnrolmentId", "studentId", "courseId", "code", "unit", "outcome", "date", "source", "seen")
PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    app.command("units")(units)


def units(
    tenant: TenantName,
    config: Config = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for a spreadsheet.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the CSV to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """List the unit results of a tenant's learners, with the outcome code and the date of each."""
    settings = settings_of(config)
    names = tenants_of(settings, tenant)
    if out is not None:
        with out.open("w", newline="", encoding="utf-8") as file:
            count = run(_write(settings, names, csv.writer(file).writerow))
        say(f"{count} unit results written to {out}.")
    elif as_csv:
        run(_write(settings, names, csv.writer(sys.stdout, lineterminator="\n").writerow))
    else:
        rows: list[Any] = []
        run(_write(settings, names, rows.append))
        if json:
            say_json([dict(zip(HEAD, row, strict=True)) for row in rows[1:]])
        elif len(rows) > 1:
            table(HEAD, [[str(cell) for cell in row] for row in rows[1:]])
        else:
            say(f"No unit results are known for {tenant} yet. They come with the next poll or webhook.")


async def _write(settings: Settings, tenants: Sequence[str], write: Callable[[tuple[str, ...]], Any]) -> int:
    write(HEAD)
    count = 0
    for tenant in tenants:
        async for row in _rows(settings, tenant):
            write(tuple(harmless(cell) for cell in row))
            count += 1
    return count


async def _rows(settings: Settings, tenant: str) -> AsyncIterator[tuple[str, ...]]:
    from gateway.operator.run_report import stamp
    from gateway.store.database import Database

    database = Database.open(settings.store.reveal())
    try:
        after: tuple[str, str, str] | None = None
        while True:
            page, of = await database.read(lambda conn: _page(conn, tenant, after))  # noqa: B023 (used at once)
            for each in page:
                student, course = of[each.enrolment_id]
                yield (
                    each.enrolment_id,
                    student,
                    course,
                    each.code,
                    each.name,
                    each.outcome,
                    each.date or "",
                    each.source,
                    stamp(each.source_at) or "",
                )
            if len(page) < PAGE:
                return
            after = (page[-1].enrolment_id, page[-1].code, page[-1].unit_id)
    finally:
        await database.close()


def _page(
    conn: Connection, tenant: str, after: Place | None
) -> tuple[list[StoredUnit], dict[str, tuple[str, str]]]:
    """A page of results, and whose they are: student and course of each enrolment."""
    from gateway.store import enrolments, units

    page = units.of_tenant(conn, tenant, after, PAGE)
    of: dict[str, tuple[str, str]] = {}
    for name in {each.enrolment_id for each in page}:
        stored = enrolments.by_id(conn, tenant, name)
        of[name] = ("", "") if stored is None else (stored.student_id or "", stored.course_id or "")
    return page, of
