"""For who writes mapping files: `lint`, `plan`, `try`, `explain`, `test`, `docs`, `schema`, `wsdl-diff`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.options import (
    Config,
    Json,
    TenantName,
    With,
    known,
    run,
    settings_of,
    tenant_of,
    values_of,
)
from gateway.cli.report import on_terminal, say, say_json, table

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.config import Settings
    from gateway.contract import Operation
    from gateway.workbench.cases_known import Known
    from gateway.workbench.cases_play import Report
    from gateway.workbench.plan import Plan
    from gateway.workbench.trial import Tried
    from gateway.workbench.wsdl import Difference, Fetch

CASES = Path("tests/mappings")
SCHEMAS = ("mapping", "config", "cases")

OperationName = Annotated[str, typer.Argument(metavar="OPERATION", help="Such as createEnrolment.")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE", help="A mapping file, instead of a tenant.")
]


def add_to(app: typer.Typer) -> None:
    app.command("lint")(lint)
    app.command("plan")(plan)
    app.command("try")(try_)
    app.command("explain")(explain)
    app.command("test")(test)
    app.command("docs")(docs)
    app.command("schema")(schema)
    app.command("wsdl-diff")(wsdl_diff)


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Mapping files.")],
    json: Json = False,
) -> None:
    """Find every problem of mapping files at once, each with its place and what to write instead."""
    from gateway.workbench.lint import lint as lint_files

    raise typer.Exit(lint_files(files, _console(), as_json=json))


def plan(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[TENANT] OPERATION",
            help="The tenant, unless --mapping is given, and such as createEnrolment, or poll.",
        ),
    ],
    values: With = None,
    config: Config = None,
    mapping: MappingFile = None,
    settings: Annotated[
        list[str] | None, typer.Option("--settings", metavar="K=V", help="A setting, with --mapping.")
    ] = None,
    case: Annotated[
        str | None,
        typer.Option("--case", metavar="NAME", help="Fill in what a case of tests/mappings knows."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the requests an operation would send, every branch of it, without a network."""
    from gateway.workbench.plan_text import print_plan

    if len(words) != (2 if mapping is None else 1):
        raise typer.BadParameter("Name a TENANT and an OPERATION; with --mapping FILE only the OPERATION.")
    operation, given = _planned(words[-1]), values_of(values)
    if mapping is None:
        loaded = settings_of(config)
        name = tenant_of(loaded, words[0])
        told = _known(case, loaded.tenants[name].mapping.name, operation)
        planned = _plan_of_tenant(loaded, name, operation, {**told.given, **given}, told.steps)
    else:
        told = _known(case, mapping.stem, operation, mapping)
        chosen = {**told.settings, **values_of(settings)}
        planned = _plan_of_file(mapping, operation, {**told.given, **given}, chosen, told.steps)
    print_plan(planned, _console(), as_json=json)


def try_(
    tenant: TenantName,
    operation: OperationName,
    values: With = None,
    config: Config = None,
    really_write: Annotated[
        bool, typer.Option("--really-write", help="Send writes too; else it stops before the first.")
    ] = False,
    json: Json = False,
) -> None:
    """Do one operation at the real vendor, showing each exchange, masked."""
    from gateway.workbench.trial import print_exchange, print_tried

    loaded, console = settings_of(config), _console()
    watch = (lambda shown: None) if json else (lambda shown: print_exchange(shown, console))
    name, wanted = tenant_of(loaded, tenant), _operation(operation)
    tried = run(_try(loaded, name, wanted, values_of(values), really_write, watch))
    print_tried(tried, console, as_json=json)


def explain(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help="As it stands between ${ and }.")],
    scope: Annotated[
        Path | None, typer.Option("--scope", metavar="FILE", help="A JSON object with the names it sees.")
    ] = None,
) -> None:
    """Evaluate an expression, or say why it is null."""
    from gateway.workbench.explain import explain as explained
    from gateway.workbench.explain import read_scope

    say(explained(expression, read_scope(scope) if scope is not None else {}))


def test(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MAPPING...]",
            help="Mapping names or case files; else all of tests/mappings.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="WORD", help="Only cases with this word in their name.")
    ] = None,
    json: Json = False,
) -> None:
    """Play a mapping's cases, and the hard cases made from them."""
    reports = [_played(path, only) for path in _case_files(files)]
    if json:
        say_json([_report_data(report) for report in reports])
    else:
        for report in reports:
            say(str(report))
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


def docs(
    mapping: Annotated[str, typer.Argument(metavar="MAPPING", help="A mapping's name or file.")],
    config: Config = None,
) -> None:
    """Print the page about a mapping for an RTO's administrator, as Markdown."""
    from gateway.mapping.load import load_mapping
    from gateway.workbench.docs_page import docs as page_of

    say(page_of(load_mapping(_mapping_file(mapping, config)).mapping).rstrip())


def schema(
    which: Annotated[str, typer.Argument(metavar="[WHICH]", help="mapping, config or cases.")] = "mapping",
) -> None:
    """Print a JSON Schema, for an editor."""
    from gateway.mapping.schema import load_schema

    file = {"mapping": "mapping-1.json", "config": "config.json", "cases": "cases-1.json"}
    say_json(load_schema(file[known(which, SCHEMAS, "schema")]))


def wsdl_diff(
    tenant: TenantName,
    config: Config = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="FOLDER", help="Downloaded WSDLs, named as the services, instead."),
    ] = None,
    json: Json = False,
) -> None:
    """List what the vendor's WSDLs call differently from the tenant's mapping."""
    from gateway.workbench.wsdl import names_block

    loaded = settings_of(config)
    found = run(_wsdl_diff(loaded, tenant_of(loaded, tenant), folder))
    if json:
        say_json([difference.data() for difference in found])
    elif not found:
        say("No differences.")
    else:
        head = ("kind", "place", "mapping says", "WSDL says", "note")
        rows = [(each.kind, each.place, each.name, each.theirs or "", each.note or "") for each in found]
        table(head, rows)
        block = names_block(found)
        if block:
            say(f"\nUnder the tenant in config.yaml:\n\n{block}")
    if found:
        raise typer.Exit(1)


# -- planning and trying ----------------------------------------------------------------------------


def _planned(name: str) -> Operation | Literal["poll"]:
    return "poll" if name == "poll" else _operation(name)


def _known(
    case: str | None, mapping: str, operation: Operation | Literal["poll"], file: Path | None = None
) -> Known:
    """What `--case` fills in; nothing without it."""
    from gateway.contract import Operation
    from gateway.workbench.cases_known import Known, known_of

    if case is None:
        return Known(operation=Operation.GET_ENROLMENT, given={}, settings={}, steps={})
    if operation == "poll":
        raise typer.BadParameter("--case fills in operations of RTOPilot; for a poll use --with.")
    found = known_of(_case_files([mapping])[0], case, file)
    if found.operation is not operation:
        raise typer.BadParameter(f"That case is about {found.operation}.")
    return found


def _plan_of_tenant(
    loaded: Settings,
    name: str,
    operation: Operation | Literal["poll"],
    given: dict[str, Any],
    steps: Mapping[str, Any],
) -> Plan:
    from gateway.workbench.plan import plan

    tenant = loaded.tenants[name]
    return plan(
        tenant.mapping,
        tenant.settings,
        operation,
        given,
        base=tenant.base,
        wire_names=tenant.names,
        steps=steps,
    )


def _plan_of_file(
    file: Path,
    operation: Operation | Literal["poll"],
    given: dict[str, Any],
    settings: dict[str, Any],
    steps: Mapping[str, Any],
) -> Plan:
    import orjson

    from gateway.mapping.load import load_mapping
    from gateway.mapping.settings import parse_settings
    from gateway.workbench.plan import plan

    mapping = load_mapping(file).mapping
    chosen = parse_settings(mapping, orjson.dumps(settings).decode(), name="--settings")
    return plan(mapping, chosen, operation, given, steps=steps)


async def _try(
    loaded: Settings, name: str, operation: Operation, given: dict[str, Any], really_write: bool, watch: Any
) -> Tried:
    from gateway.app import open_gateway
    from gateway.workbench.trial import trial

    async with open_gateway(loaded, only=[name]) as gateway:
        return await trial(gateway.perform, name, operation, given, really_write=really_write, watch=watch)


def _operation(name: str) -> Operation:
    from gateway.contract import Operation

    return Operation(known(name, [each.value for each in Operation], "operation"))


# -- cases ------------------------------------------------------------------------------------------


def _case_files(given: list[str] | None) -> list[Path]:
    """Case files by path, or by the mapping's name below tests/mappings."""
    named = {path.stem: path for path in sorted(CASES.glob("*.yaml"))}
    if not given:
        if not named:
            raise typer.BadParameter(f"There are no case files in ./{CASES}; name some.")
        return list(named.values())
    return [Path(word) if Path(word).is_file() else named[known(word, named, "case file")] for word in given]


def _played(path: Path, only: str | None) -> Report:
    from gateway.workbench.cases_play import play

    def progress(name: str, held: bool) -> None:
        if on_terminal():
            say(f"{'ok    ' if held else 'FAILED'} {name}")

    return play(path, only=only, progress=progress)


def _report_data(report: Report) -> dict[str, Any]:
    return {
        "file": str(report.path),
        "mapping": report.mapping,
        "cases": report.cases,
        "hard": report.hard,
        "failures": [
            {"name": failure.name, "place": failure.place, "text": failure.text}
            for failure in report.failures
        ],
    }


# -- mapping files and WSDLs ------------------------------------------------------------------------


def _mapping_file(word: str, config: Path | None) -> Path:
    """A mapping by path, or by name: beside config.yaml, then in the installed package."""
    from gateway.config import find_config
    from gateway.errors import ProblemsFound
    from gateway.mapping.schema import data_folder

    if Path(word).is_file():
        return Path(word)
    folders = [data_folder("mappings")]
    try:
        folders.insert(0, find_config(config).resolve().parent / "mappings")
    except ProblemsFound:  # no configuration is needed to read about a mapping
        if config is not None:
            raise
    named = {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob("*.yaml"))}
    return named[known(word, named, "mapping")]


async def _wsdl_diff(loaded: Settings, name: str, folder: Path | None) -> list[Difference]:
    from gateway.app import open_gateway
    from gateway.workbench import wsdl

    async with open_gateway(loaded, only=[name]) as gateway:
        tenant = gateway.tenants[name]
        fetch = wsdl.pool_fetch(tenant.pool, tenant.spec.base) if folder is None else _from_folder(folder)
        return await wsdl.wsdl_diff(tenant.mapping, tenant.spec.wire_names, fetch)


def _from_folder(folder: Path) -> Fetch:
    async def fetch(path: str) -> bytes:
        service = path.partition("?")[0].rpartition("/")[2]
        names = (service, f"{service}.wsdl", f"{Path(service).stem}.wsdl")
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        if found is None:
            raise FileNotFoundError(f"none of {', '.join(names)} is in {folder}")
        return found.read_bytes()

    return fetch


def _console() -> Console:
    from rich.console import Console

    # Off a terminal nothing is wrapped: whoever reads lines wants them whole.
    return (
        Console(highlight=False) if on_terminal() else Console(highlight=False, no_color=True, width=10_000)
    )
