"""What the commands print: Rich on a terminal, plain lines anywhere else, JSON where a machine reads.

Nothing here decides anything; commands hand over rows, problems and sentences.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import orjson
import typer

from gateway.errors import GatewayError, Problem, ProblemsFound, StoreError

STYLES = {"ok": "green", "warning": "yellow", "red": "red", "skipped": "dim"}


def say(text: str = "") -> None:
    """One plain line for the reader, on standard output."""
    typer.echo(text)


def say_json(data: Any) -> None:
    """One JSON document on standard output, for a machine."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    typer.echo(orjson.dumps(data, default=str, option=options).decode())


def complain(text: str) -> None:
    """A sentence on standard error."""
    typer.secho(text, fg="red" if _is_terminal(sys.stderr) else None, err=True)


def on_terminal() -> bool:
    """Whether somebody is looking at standard output."""
    return _is_terminal(sys.stdout)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str | None] = ()) -> None:
    """A table, one `styles` entry a row; off a terminal, tab-separated lines under a head line."""
    if not on_terminal():
        for row in (head, *rows):
            say("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console  # a tenth of a second that `serve` need not pay
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in head:
        shown.add_column(title, overflow="fold")  # a cut path or id could not be copied
    for at, row in enumerate(rows):
        style = styles[at] if at < len(styles) else None
        shown.add_row(*(Text(cell) for cell in row), style=style)
    Console().print(shown)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each of `total` pieces of work; a bar on a terminal, else nothing."""
    if not on_terminal():
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def problem_text(problem: Problem) -> str:
    """A problem as its file's author wants to read it; without a place when it is about the whole file."""
    text = str(problem)
    return text if problem.line else text.replace(f":{problem.line}:{problem.column}", "", 1)


def failed(error: Exception) -> int:
    """Report an error of ours on standard error; gives the exit code."""
    match error:
        case ProblemsFound():
            complain("\n\n".join(problem_text(problem) for problem in error.problems))
            count = sum(problem.severity == "error" for problem in error.problems)
            complain(f"\n{count} problem{'s' if count != 1 else ''} found.")
        case StoreError():
            complain(f"The store cannot be used. {error}")
        case GatewayError():
            detail = f"\n    {error.detail}" if error.detail else ""
            complain(f"{error.message} ({error.code}){detail}")
        case _:
            complain(str(error))
    return 1


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
