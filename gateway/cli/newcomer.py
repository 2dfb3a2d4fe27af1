"""For who has just cloned the repository: `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import known

BOTH = "both"


def add_to(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the day, with 0 if all went well.")] = False,
    vendor: Annotated[
        str, typer.Option("--vendor", metavar="NAME", help="Which vendor's stand-in to play with, or both.")
    ] = BOTH,
) -> None:
    """Play a day at an RTO on this machine: stand-ins, gateway and every call between them."""
    from gateway.sandbox.demo import play
    from gateway.sandbox.demo_vendors import VENDORS

    chosen = tuple(VENDORS) if known(vendor, (*VENDORS, BOTH), "stand-in") == BOTH else (vendor,)
    raise typer.Exit(play(chosen, once=once))
