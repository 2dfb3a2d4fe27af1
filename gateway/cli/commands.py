"""All commands as one Typer application; our own errors become a report and an exit code.

Exit codes: 0 ok, 1 problem found, 2 usage. `serve` loads neither the workbench nor the sandbox: commands
import what they need when they run.
"""

from __future__ import annotations

import logging
from typing import Any

import typer
from typer.core import TyperGroup

from gateway.cli import admin, author, hooks, launch, newcomer, operator, outbox, units
from gateway.cli.report import failed, on_terminal
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
newcomer.add_to(app)
operator.add_to(app)
outbox.add_to(app)
hooks.add_to(app)
units.add_to(app)
launch.add_to(app)
admin.add_to(app)
author.add_to(app)
