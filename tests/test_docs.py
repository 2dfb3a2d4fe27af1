"""What the documents say exists: error codes, commands, make targets, links, slots, vendors, dependencies."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import typer

from gateway.cli.commands import app
from gateway.mapping.load import load_mapping
from gateway.rtopilot.operations import SPECS

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "gateway"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"(?:^|`|\s)lms-gateway ([a-z][^`\n]*)", re.MULTILINE)
MAKE = re.compile(r"(?:`|^    )make ([a-z-]+)", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


# -- error codes --------------------------------------------------------------------------------------


def codes_in(tree: ast.Module, *, tree_of_errors: bool) -> Iterator[str]:
    """Every error code a module can give: `code="x"`, a parameter called `code`, and classes' own codes."""
    places = {
        node.name: [argument.arg for argument in node.args.args].index("code")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any(argument.arg == "code" for argument in node.args.args)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (word.value.value for word in node.keywords if _is_text(word.value, word.arg))
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in places and len(node.args) > places[name]:
                given = node.args[places[name]]
                assert isinstance(given, ast.Constant), f"{name} is given a code that cannot be read here"
                yield given.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and _is_text(value, key.value):
                    yield value.value
        elif tree_of_errors and isinstance(node, ast.ClassDef):
            yield from _own_code(node)


def _is_text(value: ast.expr, name: object) -> bool:
    return name == "code" and isinstance(value, ast.Constant) and isinstance(value.value, str)


def _own_code(node: ast.ClassDef) -> Iterator[str]:
    for line in node.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            target = line.targets[0] if isinstance(line, ast.Assign) else line.target
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and _is_text(value, name.id):
                    yield value.value  # type: ignore[attr-defined]


def test_every_error_code_is_documented_and_none_is_made_up() -> None:
    used: set[str] = set()
    for file in GATEWAY.rglob("*.py"):
        if "sandbox" not in file.parts:
            tree = ast.parse(file.read_text("utf-8"))
            used |= set(codes_in(tree, tree_of_errors=file.name == "errors.py"))
    documented = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/errors.md").read_text("utf-8"), re.MULTILINE)
    assert len(documented) == len(set(documented)), "a code has two lines in docs/errors.md"
    assert used - set(documented) == set(), "not in docs/errors.md"
    assert set(documented) - used == set(), "in docs/errors.md, but no code of ours"


# -- links --------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings."""
    text = FENCE.sub("", path.read_text("utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@page
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        here = todo.pop()
        reached.add(here)
        links = (here.parent / link.partition("#")[0] for link in LINK.findall(here.read_text("utf-8")))
        todo += [file for link in links if (file := link.resolve()).suffix == ".md" and file not in reached]
    assert set(PAGES) - reached == set()


# -- commands -----------------------------------------------------------------------------------------


@cache
def program() -> click.Command:
    return typer.main.get_command(app)


def wrong_in(line: str) -> str | None:
    """What is wrong with `lms-gateway LINE`: a command or an option that there is not."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    command, path = program(), "lms-gateway"
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        for each in name.split("/"):  # `runs list/show` names two
            if each not in command.commands:
                return f"{path} has no command {each}"
        command, path = command.commands[name.split("/")[0]], f"{path} {name}"
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [
        word for word in words if word.startswith("--") and word.split("=")[0] not in options | {"--help"}
    ]
    return f"{path} has no {unknown[0]}" if unknown else None


@page
def test_commands_shown_exist_with_their_options(page: Path) -> None:
    wrong = [(line, why) for line in COMMAND.findall(page.read_text("utf-8")) if (why := wrong_in(line))]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("runs lists", "lms-gateway runs has no command lists"),
        ("check acme --writes", "lms-gateway check has no --writes"),
        ("check acme --write --course 126", None),
        ("runs settle REFERENCE --not-done", None),
    ],
)
def test_command_that_does_not_exist_is_found(line: str, why: str | None) -> None:
    assert wrong_in(line) == why


@page
def test_make_targets_shown_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(MAKE.findall(page.read_text("utf-8"))) - targets == set()


# -- tables -------------------------------------------------------------------------------------------


def rows(path: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = path.read_text("utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_readme_shows_the_seven_slots_as_the_gateway_takes_them() -> None:
    shown = [tuple(row) for row in rows(ROOT / "README.md", "What to paste into RTOPilot")]
    base = "https://gw.example.net/t/acme"
    assert shown == [(spec.slot, spec.method, base + spec.url, (spec.body or "")) for spec in SPECS.values()]


def test_readme_lists_every_mapping_under_its_vendors_name() -> None:
    listed = {row[0]: row[1] for row in rows(ROOT / "README.md", "Vendors")}
    mappings = sorted((ROOT / "mappings").glob("*.yaml"))
    assert listed == {
        load_mapping(file).mapping.vendor["name"]: f"[{file.stem}](mappings/{file.name})" for file in mappings
    }


def test_every_dependency_has_its_reason_in_decisions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += [name for extra in project["project"]["optional-dependencies"].values() for name in extra]
    names = {re.split(r"[\[<>=!~ ]", each)[0] for each in wanted}
    page = ROOT / "docs/decisions.md"
    told = {
        name.strip()
        for heading in ("At run time", "For development")
        for row in rows(page, heading)
        for name in row[0].split(",")
    }
    assert told == names


# -- output -------------------------------------------------------------------------------------------


def plain(text: str) -> list[str]:
    """Lines without what differs from run to run: the student's number, addresses, milliseconds."""
    text = re.sub(r"stu-\d+", "stu-1", text)
    text = re.sub(r" +(\[[\d.]+ m?s\]|\(http://[\d.:]+\))", "", text)
    return [line.rstrip() for line in text.splitlines()]


def test_readme_shows_what_the_demo_prints() -> None:
    sample = FENCE.findall((ROOT / "README.md").read_text("utf-8"))[0]
    wanted = [line for line in plain(sample)[1:-1] if line != "…"]
    demo = [sys.executable, "-m", "gateway.cli", "demo", "--once"]
    done = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = iter(plain(done.stdout))
    missing = [line for line in wanted if line not in printed]  # in this order: `in` uses the iterator up
    assert missing == []
