"""`serve` on its own: which words it reads by itself, and which it leaves to the full form."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway import logs
from gateway.cli.serving import LEVELS, Options, read_options

READ = [
    (["serve"], Options()),
    (["serve", "--config", "a.yaml"], Options(config=Path("a.yaml"))),
    (["serve", "--config=a.yaml", "--log-json"], Options(config=Path("a.yaml"), log_json=True)),
    (["serve", "--log-level", "debug"], Options(log_level="debug")),
    (["serve", "--help"], None),
    (["serve", "--log-level", "loud"], None),
    (["serve", "--config"], None),
    (["serve", "--confg", "a.yaml"], None),
    (["serve", "a.yaml"], None),
    (["check", "acme"], None),
    ([], None),
]


@pytest.mark.parametrize(("words", "options"), READ, ids=[" ".join(words) or "nothing" for words, _ in READ])
def test_words_of_serve_are_read_or_left_to_the_full_form(words, options):
    assert read_options(words) == options


def test_both_forms_know_the_same_levels():
    assert LEVELS == logs.LEVELS


def test_serving_loads_nothing_that_only_commands_need():
    code = (
        "import sys, gateway.cli.start, gateway.serving; "
        "print([name for name in ('typer', 'rich', 'pygments', 'pydantic', 'jwt', 'gateway.workbench', "
        "'gateway.sandbox') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
