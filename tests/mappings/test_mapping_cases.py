"""Every case of every mapping, and with it every hard case made from it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.mapping.spec import MappingSpec
from gateway.workbench.cases import Case
from gateway.workbench.cases_play import plays_of, read, run, shown_id
from gateway.workbench.cases_stage import Bench

LIKE_ANOTHER = re.compile(r"was a 50[24]|is half of an envelope")
"""Disturbances that nearly every rule treats as a 500, or as half of the answer: `make test-long` plays them too."""
LONG = os.environ.get("LMS_GATEWAY_LONG") == "1"
FILES = sorted(Path(__file__).parent.glob("*.yaml"))


def _cases() -> Iterator[object]:
    for file in FILES:
        cases, mapping = read(file)
        for case in cases:
            yield pytest.param(case, mapping, id=f"{file.stem}: {shown_id(case.name)}")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as opened:
        yield opened


@pytest.mark.no_cover  # counting branches would double the minutes; the rooms have tests of their own
@pytest.mark.parametrize(("case", "mapping"), list(_cases()))
def test_case(case: Case, mapping: MappingSpec, bench: Bench) -> None:
    plays = [play for play in plays_of(bench, case, mapping) if LONG or not LIKE_ANOTHER.search(play.name)]
    failed = [str(failure) for play in plays if (failure := run(bench, play)) is not None]
    assert not failed, "\n" + "\n".join(failed)
