"""`lms-gateway`: the commands, a thin shell over the rooms. Each is in the file of those who run it.

    cli_operator.py   serve, db, runs, adopt          cli_newcomer.py  demo
    cli_admin.py      check, settings, choices, token cli_author.py    lint, plan, try, explain, test, docs, …

Exit codes: 0 ok, 1 problem found, 2 usage. `serve` loads neither the workbench nor the sandbox: commands
import what they need when they run.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from gateway import cli_admin, cli_author, cli_newcomer, cli_operator
from gateway.cli_report import failed, on_terminal
from gateway.errors import GatewayError, ProblemsFound, StoreError


class Commands(TyperGroup):
    """The group of all commands: our own errors become a report and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ProblemsFound, StoreError, GatewayError) as error:
            raise typer.Exit(failed(error)) from error


def _quiet() -> None:
    """Commands report by themselves; only `serve` writes the log."""
    logging.getLogger().addHandler(logging.NullHandler())


app = typer.Typer(
    name="lms-gateway",
    cls=Commands,
    callback=_quiet,
    help="A gateway between RTOPilot and learning management systems.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if on_terminal() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli_newcomer.add_to(app)
cli_operator.add_to(app)
cli_admin.add_to(app)
cli_author.add_to(app)


def main() -> None:
    """The entry point of `lms-gateway`."""
    try:
        app(prog_name="lms-gateway")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
