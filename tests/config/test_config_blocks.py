"""The blocks at the end of config.yaml are there to be copied: each of them is right as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config import load_config

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"  # [A-Z0-9].* -{5,}$")
BLOCKS = ("acme", "beacon", "cedar", "delta", "elder", "fern", "gorse")


def test_every_block_of_config_yaml_is_right_without_its_comment_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "config.yaml").read_text("utf-8")
    head, mark, blocks = text.partition("  # TalentLMS ---")
    lines = [line for line in (mark + blocks).splitlines() if not HEADING.match(line)]
    file = tmp_path / "config.yaml"
    file.write_text(head + "\n".join(re.sub("^  # ", "  ", line) for line in lines), "utf-8")
    (tmp_path / "mappings").symlink_to(ROOT / "mappings")
    for name in set(re.findall(r"env:([A-Z0-9_]+)", text)):
        monkeypatch.setenv(name, f"rtop_made-up-{name.lower()}-0123456789")
    served = load_config(file)
    assert set(BLOCKS) <= set(served.organisations)
