"""docs/commands.md, generated: every command with its help.

python -m gateway.cli.docs > docs/commands.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from gateway.cli.commands import app

PROGRAM = "lms-gateway"
HEAD = """\
# Commands

<!-- Made by `python -m gateway.cli.docs > docs/commands.md`; a test compares the two. -->

Exit codes: 0 ok, 1 problem found, 2 usage. Off a terminal tables are tab-separated lines; `--json` is for
machines.
"""


def commands_page() -> str:
    """The page as Markdown."""
    return "\n".join([HEAD, *_commands(get_command(app), PROGRAM)]).rstrip() + "\n"


def _commands(command: Any, name: str) -> Iterator[str]:
    """A command, or the commands below it in their order. (Typer brings its own click, without types.)"""
    children = getattr(command, "commands", None)
    if children is None:
        yield from _section(command, name)
        return
    for word, child in children.items():
        yield from _commands(child, f"{name} {word}")


def _section(command: Any, name: str) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    words = [
        word if each.required or word.startswith("[") else f"[{word}]" for each, word in _words(arguments)
    ]
    yield f"## {name}\n"
    yield f"{command.help}\n"
    yield f"    {' '.join([name, *words, *(['[options]'] if options else [])])}\n"
    rows = [(word, each) for each, word in _words(arguments)] + [(_option(each), each) for each in options]
    if rows:
        yield from ("| | |", "|---|---|")
        yield from (f"| `{word}` | {each.help}{_default(each)} |" for word, each in rows)
        yield ""


def _words(arguments: list[Any]) -> Iterator[tuple[Any, str]]:
    for each in arguments:
        yield each, each.metavar or each.name.upper()


def _option(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar}"


def _default(parameter: Any) -> str:
    value = parameter.default
    return f" Default: {value}." if isinstance(value, str | int) and not isinstance(value, bool) else ""


if __name__ == "__main__":
    sys.stdout.write(commands_page())
