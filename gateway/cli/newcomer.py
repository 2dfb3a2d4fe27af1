"""For who has just cloned the repository: `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import known

BOTH, ALL = "both", "all"


def add_to(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the day, with 0 if all went well.")] = False,
    vendor: Annotated[
        str,
        typer.Option(
            "--vendor", metavar="NAME", help="A vendor's stand-in, `both` of the first two, or `all`."
        ),
    ] = BOTH,
) -> None:
    """Play a day at an RTO on this machine: stand-ins, gateway and every call between them."""
    from gateway.sandbox.demo import play
    from gateway.sandbox.demo_vendors import FIRST, VENDORS

    several = {BOTH: FIRST, ALL: tuple(VENDORS)}
    chosen = several.get(known(vendor, (*VENDORS, *several), "stand-in"), (vendor,))
    raise typer.Exit(play(chosen, once=once))
