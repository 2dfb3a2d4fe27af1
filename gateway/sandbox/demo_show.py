"""How the demo shows its day: readable in 80 columns, coloured on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.sandbox.demo_day import Happened

WIDTH = 100
LABEL = 10


class Show:
    """Prints to standard output; every line is cut to the width."""

    def __init__(self) -> None:
        on_terminal = sys.stdout.isatty()
        self._console = Console(
            file=sys.stdout, width=None if on_terminal else WIDTH, highlight=False, soft_wrap=False
        )

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style), no_wrap=True, overflow="ellipsis")

    def lines(self, text: str, style: str = "") -> None:
        for line in text.splitlines():
            self._console.print(Text(line, style=style))

    def vendor(self, title: str, url: str) -> None:
        self.line()
        self.line(f"== {title}  ({url})", "bold")

    def step(self, number: int, happened: Happened) -> None:
        """One step: what staff did, what the vendor got, what RTOPilot was answered."""
        self.line()
        self.line(f"{number:2}. {happened.title}", "bold")
        self._labelled("RTOPilot", happened.asked)
        for call in happened.calls:
            status = "no answer" if call.status is None else str(call.status)
            room = min(self._console.width, WIDTH) - len(f"    {'':{LABEL}}{call.method:<4}  -> {status}")
            what = call.what if len(call.what) <= room else call.what[: room - 1] + "…"
            self._labelled("  vendor", f"{call.method:<4} {what} -> {status}", "cyan")
        if not happened.calls:
            self._labelled("  vendor", "no call", "dim")
        self._labelled("answer", f"{happened.answer}  [{happened.ms:.0f} ms]")
        if happened.wrong is not None:
            self._labelled("WRONG", happened.wrong, "bold red")

    def summary(self, day: Sequence[Happened]) -> None:
        table = Table("Vendor", "RTOPilot did", "vendor calls", "ms", "as expected", box=None, pad_edge=False)
        for each in day:
            went = Text("yes", "green") if each.wrong is None else Text(f"NO: {each.wrong}", "bold red")
            table.add_row(each.vendor, each.title, str(len(each.calls)), f"{each.ms:.0f}", went)
        self.line()
        self._console.print(table)
        wrong = sum(each.wrong is not None for each in day)
        self.line()
        if wrong:
            self.line(f"{wrong} of {len(day)} steps did not go as expected.", "bold red")
        else:
            self.line(f"All {len(day)} steps went as expected.", "bold green")

    def _labelled(self, label: str, text: str, style: str = "") -> None:
        self.line(f"    {label:<{LABEL}}{text}", style)
