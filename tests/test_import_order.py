"""Imports point one way: a room may only import from rooms before it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "gateway"
ORDER = [
    {"errors", "futures"},
    {"secret", "contract", "ids", "yamldocument", "yamlhint"},
    {"yamlfile"},
    {"mapping"},
    {"engine"},
    {"outbound", "vendor"},
    {"store"},
    {"perform"},
    {"rtopilot"},
    {"progress", "launch"},
    {"config", "logs"},
    {"workbench", "operator", "sandbox"},
    {"app", "listen", "serving"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parts[-2] != "gateway" or path.stem != "__init__")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module is not None
            and node.module.split(".")[0] == "gateway"
        ):
            parts = node.module.split(".")
            rooms.update([parts[1]] if len(parts) > 1 else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            rooms.update(
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gateway.")
            )
    return rooms


def test_every_file_of_the_gateway_stands_in_a_known_room():
    assert {room_of(path) for path in FILES} - set(LEVEL) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_to_earlier_rooms_only(path):
    here = LEVEL[room_of(path)]
    late = {room for room in imported_rooms(path) if LEVEL[room] > here}
    assert late == set(), f"{path.name} imports {late}"


def test_only_the_outbound_room_imports_httpx():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if room_of(path) not in ("outbound", "sandbox"):
            assert "import httpx" not in text and "import aiohttp" not in text, path


def test_no_vendor_is_named_outside_the_sandbox():
    vendors = (
        "talentlms",
        "learnupon",
        "77media",
        "moodle",
        "canvas",
        "learningassistant",
        "learning_assistant",
        "learning-assistant",
        "learning assistant",
    )
    for path in FILES:
        if room_of(path) != "sandbox":
            text = path.read_text(encoding="utf-8").lower()
            assert not [vendor for vendor in vendors if vendor in text], path
