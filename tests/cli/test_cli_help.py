import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gateway.cli.commands import app
from gateway.cli.docs import commands_page

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def commands(command: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command if command is not None else get_command(app)
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for word, child in children.items():
        yield from commands(child, (*name, word))


ALL = [pytest.param(name, command, id=" ".join(name)) for name, command in commands()]


def test_the_commands_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(), (
        "python -m gateway.cli.docs > docs/commands.md"
    )


@pytest.mark.parametrize(("name", "command"), ALL)
def test_a_command_says_what_it_does_in_one_sentence(name: tuple[str, ...], command: Any) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", command.help.strip()), command.help


@pytest.mark.parametrize(("name", "command"), ALL)
def test_every_option_and_argument_is_explained(name: tuple[str, ...], command: Any) -> None:
    for each in command.params:
        assert each.help, each.name
        assert each.param_type_name == "argument" or each.is_flag or each.metavar, each.name


@pytest.mark.parametrize(("name", "command"), ALL)
def test_every_command_has_help_that_runs(name: tuple[str, ...], command: Any) -> None:
    result = CliRunner().invoke(app, [*name, "--help"])
    assert result.exit_code == 0
    assert command.help.split()[0] in result.output


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["nonsense"], id="unknown command"),
        pytest.param(["serve", "--nonsense"], id="unknown option"),
        pytest.param(["settings"], id="missing argument"),
        pytest.param(["token", "surplus"], id="surplus argument"),
        pytest.param(["demo", "--vendor", "nobody"], id="unknown stand-in"),
        pytest.param(["serve", "--log-level", "loud"], id="unknown level"),
        pytest.param(["check", "--write"], id="write without a course"),
        pytest.param(["runs", "settle", "r1"], id="settle without an outcome"),
        pytest.param(["plan", "getCourses"], id="plan without a tenant"),
        pytest.param(["schema", "nothing"], id="unknown schema"),
    ],
)
def test_a_usage_mistake_exits_with_2(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
