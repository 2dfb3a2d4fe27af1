"""What loading says of a wrong mapping: each case of problems.yaml changes lines of whole.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Problem, ProblemsFound
from gateway.mapping.load import parse_mapping
from gateway.yamlfile import read_yaml

TEXTS = Path(__file__).parents[1] / "data" / "mapping-texts"
WHOLE = (TEXTS / "whole.yaml").read_text().splitlines()
CASES = read_yaml(TEXTS / "problems.yaml").data
LINES = {
    "format": 1,
    "version": 3,
    "top": 4,
    "server": 5,
    "courses": 8,
    "each": 9,
    "give": 10,
    "enrol": 12,
    "record": 13,
    "key": 14,
    "transfer": 15,
    "cancel": 16,
}
"""Which line of whole.yaml a key of a case replaces."""


def changed(case: dict[str, Any]) -> str:
    lines = list(WHOLE)
    for key, number in LINES.items():
        if key in case:
            lines[number - 1] = case[key].rstrip("\n")
    return "\n".join(lines) + "\n" + case.get("more", "")


def problems(text: str) -> list[Problem]:
    try:
        return list(parse_mapping(text).warnings)
    except ProblemsFound as found:
        return list(found.problems)


def shown(problem: Problem) -> str:
    warning = "warning: " if problem.severity == "warning" else ""
    where = f"{problem.line}:{problem.column} {problem.place}"
    fix = f" → {problem.fix.strip()}" if problem.fix else ""
    return f"{where} | {warning}{problem.message}{fix}"


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_mapping_is_answered_with_exactly_these_problems(name: str) -> None:
    case = CASES[name]
    assert [shown(problem) for problem in problems(changed(case))] == case["problems"]
