"""Every case of every mapping, and every hard case made from it, as a test of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.workbench.cases_hard import Play
from gateway.workbench.cases_play import plays_of, read, run, shown_id
from gateway.workbench.cases_stage import Bench

LIKE_ANOTHER = re.compile(r"was a 50[24]|is half of an envelope")
"""Disturbances that nearly every rule treats as a 500, or as half of the answer: `make test-long` plays them too."""
LONG = os.environ.get("LMS_GATEWAY_LONG") == "1"
FILES = sorted(Path(__file__).parent.glob("*.yaml"))


def _all_plays() -> Iterator[object]:
    with Bench() as bench:
        for file in FILES:
            cases, mapping = read(file)
            for case in cases:
                for play in plays_of(bench, case, mapping):
                    if LIKE_ANOTHER.search(play.name) and not LONG:
                        continue
                    yield pytest.param(play, id=f"{file.stem}: {shown_id(play.name)}")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as opened:
        yield opened


@pytest.mark.parametrize("play", list(_all_plays()))
def test_case(play: Play, bench: Bench) -> None:
    failed = run(bench, play)
    assert failed is None, f"\n{failed}"
